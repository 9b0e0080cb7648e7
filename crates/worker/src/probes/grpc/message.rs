//! The two messages of a health check, each of one field (`grpc.health.v1`), in the framing of gRPC.

use bytes::{BufMut, Bytes, BytesMut};

/// Whether what follows is compressed, and how long it is.
const PREFIX: usize = 5;
/// The first field as a text, and as a number.
const FIRST_AS_TEXT: u8 = 0x0a;
const FIRST: u64 = 1;

/// Asks for the health of `service`; nothing stands for the server as a whole.
pub(super) fn request(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(FIRST_AS_TEXT);
        put_varint(&mut message, service.len());
        message.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.put_u8(0);
    // An address has at most 2 KiB.
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(&message);
    framed.freeze()
}

fn put_varint(buffer: &mut BytesMut, mut number: usize) {
    while number >= 0x80 {
        buffer.put_u8(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    buffer.put_u8(number.to_le_bytes()[0]);
}

/// The number of the state in a whole answer; `None` when it is no such message.
pub(super) fn state(answer: &[u8]) -> Option<u64> {
    let (prefix, mut message) = answer.split_at_checked(PREFIX)?;
    let length = u32::from_be_bytes(prefix[1..].try_into().ok()?);
    if prefix[0] != 0 || usize::try_from(length).ok()? != message.len() {
        return None;
    }
    let mut state = 0;
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        // Fields that are not known are passed over, as of a later version.
        match (tag >> 3, tag & 7) {
            (FIRST, 0) => state = varint(&mut message)?,
            (0, _) => return None,
            (_, 0) => drop(varint(&mut message)?),
            (_, 1) => message = message.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            (_, 5) => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(state)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// The word for a state.
pub(super) fn state_word(state: u64) -> String {
    match state {
        0 => "UNKNOWN".to_owned(),
        1 => "SERVING".to_owned(),
        2 => "NOT_SERVING".to_owned(),
        3 => "SERVICE_UNKNOWN".to_owned(),
        other => format!("state {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_asked_for_byte_by_byte() {
        let long = "s".repeat(300);
        let long_message = [&[0x0a, 0xac, 0x02], long.as_bytes()].concat();
        for (service, bytes) in [
            ("", vec![0, 0, 0, 0, 0]),
            ("a", vec![0, 0, 0, 0, 3, 0x0a, 1, b'a']),
            ("shop.v1", [&[0, 0, 0, 0, 9, 0x0a, 7], b"shop.v1".as_slice()].concat()),
            (&long, [&[0, 0, 0, 1, 0x2f], long_message.as_slice()].concat()),
        ] {
            assert_eq!(request(service), bytes, "{service}");
        }
    }

    #[test]
    fn a_state_is_read_and_what_is_not_known_is_passed_over() {
        let framed = |message: &[u8]| {
            let length = u8::try_from(message.len()).unwrap();
            [&[0, 0, 0, 0, length], message].concat()
        };
        for (message, number) in [
            (&[][..], Some(0)),
            (&[0x08, 1], Some(1)),
            (&[0x08, 2], Some(2)),
            (&[0x08, 0x80, 0x01], Some(128)),
            (&[0x08, 1, 0x08, 2], Some(2)),
            (&[0x12, 2, b'h', b'i', 0x08, 1], Some(1)),
            (&[0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x08, 1], Some(1)),
            (&[0x25, 1, 2, 3, 4, 0x08, 1], Some(1)),
            (&[0x10, 5, 0x08, 1], Some(1)),
            (&[0x08], None),
            (&[0x08, 0x80], None),
            (&[0x12, 9, b'h'], None),
            (&[0x0b], None),
            (&[0x00, 1], None),
            (&[0xff; 12], None),
        ] {
            assert_eq!(state(&framed(message)), number, "{message:?}");
        }
        for broken in
            [&[][..], &[0, 0, 0, 0], &[0, 0, 0, 0, 1], &[1, 0, 0, 0, 0], &[0, 0, 0, 0, 0, 8]]
        {
            assert_eq!(state(broken), None, "{broken:?}");
        }
    }
}
