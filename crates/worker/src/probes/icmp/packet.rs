//! Echoes on the wire: RFC 792 and RFC 4443, section 4. Pure.

use std::net::IpAddr;

/// Enough that nobody draws the same, and as much as others send.
pub(super) const TOKEN_BYTES: usize = 32;

const HEADER_BYTES: usize = 8;
/// What the first half of a byte says in front of a message that comes with its IPv4 header.
const VERSION_4: u8 = 4;

/// Which of the two protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    V4,
    V6,
}

impl Kind {
    pub(super) const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    const fn request(self) -> u8 {
        match self {
            Self::V4 => 8,
            Self::V6 => 128,
        }
    }

    const fn reply(self) -> u8 {
        match self {
            Self::V4 => 0,
            Self::V6 => 129,
        }
    }
}

/// What an answer brings back as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) identifier: u16,
    pub(super) sequence: u16,
    pub(super) token: [u8; TOKEN_BYTES],
}

pub(super) fn request(kind: Kind, mark: &Mark) -> Vec<u8> {
    let mut packet = vec![kind.request(), 0, 0, 0];
    packet.extend(mark.identifier.to_be_bytes());
    packet.extend(mark.sequence.to_be_bytes());
    packet.extend(mark.token);
    // For IPv6 it covers the addresses too, and the system fills it in.
    if kind == Kind::V4 {
        let checksum = checksum(&packet);
        packet[2..4].copy_from_slice(&checksum.to_be_bytes());
    }
    packet
}

/// What an answer carries; `None` when it is none, or none to an echo like ours.
pub(super) fn reply(kind: Kind, message: &[u8]) -> Option<Mark> {
    let message = if kind == Kind::V4 { without_header(message)? } else { message };
    let (head, payload) = message.split_first_chunk::<HEADER_BYTES>()?;
    let [kind_byte, code, _, _, id_high, id_low, seq_high, seq_low] = *head;
    let token = payload.try_into().ok()?;
    let is_reply = kind_byte == kind.reply() && code == 0;
    is_reply.then(|| Mark {
        identifier: u16::from_be_bytes([id_high, id_low]),
        sequence: u16::from_be_bytes([seq_high, seq_low]),
        token,
    })
}

/// Some sockets hand over the IPv4 header as well, and no echo begins like one.
fn without_header(message: &[u8]) -> Option<&[u8]> {
    let first = *message.first()?;
    if first >> 4 != VERSION_4 {
        return Some(message);
    }
    message.get(usize::from(first & 0x0f) * 4..)
}

/// RFC 1071.
fn checksum(packet: &[u8]) -> u16 {
    let words = packet.chunks(2).map(|pair| {
        u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or_default()]))
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> Mark {
        Mark { identifier: 0x1234, sequence: 7, token: [0xab; TOKEN_BYTES] }
    }

    /// What a host makes of a request.
    fn answered(kind: Kind) -> Vec<u8> {
        let mut packet = request(kind, &mark());
        packet[0] = kind.reply();
        packet
    }

    #[test]
    fn a_request_adds_up() {
        let packet = request(Kind::V4, &mark());

        assert_eq!(packet[..2], [8, 0]);
        assert_eq!(checksum(&packet), 0, "the checksum of what holds its checksum");
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&[0xff]), 0x00ff);
    }

    #[test]
    fn an_answer_brings_back_what_was_sent_with_a_header_in_front_or_without() {
        let mut with_header = vec![0x46];
        with_header.resize(24, 0);
        with_header.extend(answered(Kind::V4));

        assert_eq!(reply(Kind::V4, &answered(Kind::V4)), Some(mark()));
        assert_eq!(reply(Kind::V4, &with_header), Some(mark()));
        assert_eq!(reply(Kind::V6, &answered(Kind::V6)), Some(mark()));
    }

    #[test]
    fn what_is_no_answer_to_an_echo_like_ours_is_none() {
        let changed = |at: usize, to: u8| {
            let mut packet = answered(Kind::V4);
            packet[at] = to;
            packet
        };
        let unreachable = [&[3, 1, 0, 0, 0, 0, 0, 0][..], &answered(Kind::V4)].concat();
        let longer = [answered(Kind::V4), vec![0]].concat();
        for packet in [
            request(Kind::V4, &mark()),
            answered(Kind::V6),
            changed(1, 1),
            unreachable,
            longer,
            answered(Kind::V4)[..39].to_vec(),
            vec![0; 7],
            vec![0x4f; 30],
            vec![0x40],
            vec![],
        ] {
            assert_eq!(reply(Kind::V4, &packet), None, "{packet:?}");
        }
    }
}
