//! Packets of MySQL's protocol: taken apart and put together, without a connection.
//!
//! What comes is read by a [`Cursor`], which knows no index: beyond the end there is nothing.

/// The largest body of one packet; a longer message would go on in the next.
pub(super) const LARGEST: usize = 0x00ff_ffff;
/// Length and number.
pub(super) const HEAD_BYTES: usize = 4;

pub(super) const OK: u8 = 0x00;
pub(super) const MORE: u8 = 0x01;
/// Wants a file; and in a row, `NULL`.
pub(super) const FILE: u8 = 0xfb;
pub(super) const END: u8 = 0xfe;
pub(super) const ERROR: u8 = 0xff;

pub(super) mod can {
    //! What a client and a server can do.

    pub(in super::super) const LONG_PASSWORD: u32 = 1;
    pub(in super::super) const LONG_FLAG: u32 = 1 << 2;
    pub(in super::super) const CONNECT_WITH_DB: u32 = 1 << 3;
    pub(in super::super) const PROTOCOL_41: u32 = 1 << 9;
    pub(in super::super) const SSL: u32 = 1 << 11;
    pub(in super::super) const TRANSACTIONS: u32 = 1 << 13;
    pub(in super::super) const SECURE_CONNECTION: u32 = 1 << 15;
    pub(in super::super) const PLUGIN_AUTH: u32 = 1 << 19;
}

/// utf8mb4, as every server since 5.5 knows it.
const CHARACTER_SET: u8 = 45;
const VERSION: u8 = 10;
/// Behind which MariaDB long hid from old replicas that it is newer than MySQL was.
const MASK: &str = "5.5.5-";
const SALT_BYTES: usize = 20;
const FIRST_SALT_BYTES: usize = 8;

/// Takes bytes from the front of a packet.
#[derive(Debug)]
pub(super) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// A number, the lowest byte first.
    fn number(&mut self, bytes: usize) -> Option<u64> {
        let bytes = self.take(bytes)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Up to a zero byte, which is not part of it.
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = self.take(end)?;
        self.byte()?;
        Some(text)
    }

    /// A number that says in its first byte how long it is.
    pub(super) fn length(&mut self) -> Option<u64> {
        match self.byte()? {
            small @ 0..=0xfa => Some(u64::from(small)),
            0xfc => self.number(2),
            0xfd => self.number(3),
            0xfe => self.number(8),
            _ => None,
        }
    }

    /// A value of a row; nothing for `NULL`.
    fn value(&mut self) -> Option<&'a [u8]> {
        if self.0.first() == Some(&FILE) {
            return self.take(1).map(|_mark| &[] as &[u8]);
        }
        let length = usize::try_from(self.length()?).ok()?;
        self.take(length)
    }
}

/// What a server says first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) version: String,
    pub(super) abilities: u32,
    pub(super) salt: Vec<u8>,
    /// How it would have users prove who they are.
    pub(super) method: Vec<u8>,
}

impl Greeting {
    /// `None` when it is no greeting of version 10, or of a server from before 4.1.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let mut from = Cursor::new(body);
        if from.byte()? != VERSION {
            return None;
        }
        let version = String::from_utf8_lossy(from.text()?).into_owned();
        let version = version.strip_prefix(MASK).unwrap_or(&version).to_owned();
        from.take(4)?; // the connection's number
        let mut salt = from.take(FIRST_SALT_BYTES)?.to_vec();
        from.take(1)?;
        let low = from.number(2)?;
        from.take(3)?; // the character set, the status
        let high = from.number(2)?;
        let abilities = u32::try_from(high << 16 | low).ok()?;
        from.take(1 + 10)?; // how long the salt is, which it never is not; and nothing
        salt.extend_from_slice(from.take(SALT_BYTES - FIRST_SALT_BYTES)?);
        from.take(1)?;
        // Some servers of old leave out the zero at the end.
        let method = from.text().unwrap_or(from.rest()).to_vec();
        let modern = abilities & can::PROTOCOL_41 != 0 && abilities & can::SECURE_CONNECTION != 0;
        modern.then_some(Self { version, abilities, salt, method })
    }
}

/// How an error reads: its number, its state and the sentence.
pub(super) fn reason(body: &[u8]) -> Option<String> {
    let mut from = Cursor::new(body);
    if from.byte()? != ERROR {
        return None;
    }
    let number = from.number(2)?;
    let state = match from.rest().strip_prefix(b"#") {
        Some(rest) => {
            from = Cursor::new(rest);
            format!(" ({})", String::from_utf8_lossy(from.take(5)?))
        }
        None => String::new(),
    };
    Some(format!("{number}{state} {}", String::from_utf8_lossy(from.rest())))
}

/// Whether nothing more comes of what was begun: columns, or rows.
pub(super) fn is_end(body: &[u8]) -> bool {
    body.first() == Some(&END) && body.len() < 9
}

/// A row as text: a tab between columns, nothing for `NULL`. `None` when it is no row.
pub(super) fn row(body: &[u8]) -> Option<Vec<u8>> {
    let (mut from, mut line, mut is_first) = (Cursor::new(body), Vec::new(), true);
    while !from.is_empty() {
        if !is_first {
            line.push(b'\t');
        }
        is_first = false;
        line.extend_from_slice(from.value()?);
    }
    Some(line)
}

/// Another way to prove who one is, and the salt for it. `None` when it is none that was ever safe.
pub(super) fn other_method(body: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut from = Cursor::new(body);
    if from.byte()? != END {
        return None;
    }
    let method = from.text()?.to_vec();
    let salt = from.rest();
    Some((method, salt.strip_suffix(&[0]).unwrap_or(salt).to_vec()))
}

/// The packet with this body; `None` when it is too long for one.
pub(super) fn packet(number: u8, body: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() < LARGEST)?;
    let length = length.to_le_bytes();
    Some([&[length[0], length[1], length[2], number], body].concat())
}

/// Asks for TLS, and is the beginning of what is said inside.
pub(super) fn preface(abilities: u32) -> Vec<u8> {
    let largest = u32::try_from(LARGEST).unwrap_or(u32::MAX).to_le_bytes();
    [&abilities.to_le_bytes()[..], &largest, &[CHARACTER_SET], &[0; 23]].concat()
}

/// Who asks, and the proof.
pub(super) fn introduction(
    abilities: u32,
    username: &str,
    proof: &[u8],
    database: &str,
    method: &str,
) -> Vec<u8> {
    let mut said = preface(abilities);
    said.extend_from_slice(username.as_bytes());
    said.push(0);
    said.push(u8::try_from(proof.len()).unwrap_or_default());
    said.extend_from_slice(proof);
    if abilities & can::CONNECT_WITH_DB != 0 {
        said.extend_from_slice(database.as_bytes());
        said.push(0);
    }
    said.extend_from_slice(method.as_bytes());
    said.push(0);
    said
}
