//! A question and its answer on the wire. The question is made once, but for the id of each look.

use hickory_resolver::proto::ProtoError;
use hickory_resolver::proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_resolver::proto::rr::{DNSClass, Name, RecordType};
use pulse_core::models::question::{Question, RecordKind};

const ID_BYTES: usize = 2;
const HEADER_BYTES: usize = 12;
/// In the third byte of a message: an answer, and it was cut short.
const CUT_SHORT: u8 = 0x82;

/// What is asked, ready to be sent.
#[derive(Debug)]
pub(super) struct Asked {
    name: Name,
    record: RecordType,
    plain: Vec<u8>,
    /// With the size of the datagrams that we take (RFC 6891).
    extended: Vec<u8>,
}

/// What a datagram or a message over TCP turned out to be.
#[derive(Debug)]
pub(super) enum Read {
    /// Not to us: the id is another's.
    Strange,
    /// Nothing that can be read.
    Garbage,
    /// An answer to something else.
    Astray,
    /// The start of an answer that did not fit.
    CutShort,
    /// An answer, whatever it says.
    Answer(Box<Message>),
}

impl Asked {
    pub(super) fn new(question: &Question) -> Result<Self, ProtoError> {
        let name = Name::from_labels(question.name.split('.').map(str::as_bytes))?;
        let record = record_type(question.record);
        let mut message = Message::new(0, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(name.clone(), record));
        let plain = message.to_vec()?;
        message.set_edns(Edns::new());
        let extended = message.to_vec()?;
        Ok(Self { name, record, plain, extended })
    }

    pub(super) const fn name(&self) -> &Name {
        &self.name
    }

    pub(super) const fn record(&self) -> RecordType {
        self.record
    }

    /// The question under this id. Some servers understand it in its `plain` form only.
    pub(super) fn packet(&self, id: u16, plain: bool) -> Vec<u8> {
        let mut packet = if plain { self.plain.clone() } else { self.extended.clone() };
        packet[..ID_BYTES].copy_from_slice(&id.to_be_bytes());
        packet
    }

    /// Reads what came back to the question under this id.
    pub(super) fn read(&self, id: u16, bytes: &[u8]) -> Read {
        let Some(([a, b, flags], _)) = bytes.split_first_chunk() else {
            return Read::Strange;
        };
        if u16::from_be_bytes([*a, *b]) != id {
            return Read::Strange;
        }
        let Ok(message) = Message::from_vec(bytes) else {
            // It may have been cut in the middle of a record.
            let is_start = bytes.len() >= HEADER_BYTES && flags & CUT_SHORT == CUT_SHORT;
            return if is_start { Read::CutShort } else { Read::Garbage };
        };
        if message.metadata.message_type != MessageType::Response {
            return Read::Garbage;
        }
        // Who did not understand the question need not repeat it.
        if !message.queries.iter().all(|query| self.is(query)) {
            return Read::Astray;
        }
        if message.metadata.truncation { Read::CutShort } else { Read::Answer(Box::new(message)) }
    }

    fn is(&self, query: &Query) -> bool {
        let kind = (query.query_type, query.query_class);
        kind == (self.record, DNSClass::IN) && query.name.eq_ignore_root(&self.name)
    }
}

const fn record_type(record: RecordKind) -> RecordType {
    match record {
        RecordKind::A => RecordType::A,
        RecordKind::Aaaa => RecordType::AAAA,
        RecordKind::Cname => RecordType::CNAME,
        RecordKind::Mx => RecordType::MX,
        RecordKind::Ns => RecordType::NS,
        RecordKind::Txt => RecordType::TXT,
        RecordKind::Soa => RecordType::SOA,
        RecordKind::Srv => RecordType::SRV,
        RecordKind::Caa => RecordType::CAA,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn asked(name: &str) -> Asked {
        Asked::new(&Question::read(name, &BTreeMap::new()).unwrap()).unwrap()
    }

    #[test]
    fn a_question_is_the_same_but_for_its_id() {
        let asked = asked("shop.example");

        let packet = asked.packet(0xabcd, true);

        let expected = b"\xab\xcd\x01\0\0\x01\0\0\0\0\0\0\x04shop\x07example\0\0\x01\0\x01";
        assert_eq!(packet, expected);
        assert_eq!(asked.packet(1, false)[2..10], *b"\x01\0\0\x01\0\0\0\0");
        assert_eq!(asked.packet(1, false)[12..29], packet[12..29]);
    }

    #[test]
    fn every_name_that_may_be_asked_for_can_be_written() {
        for name in ["*.shop.example", "_a~b!c.example", "xn--mnchen-3ya.example", "a$b.example"] {
            assert!(!asked(name).packet(0, false).is_empty(), "{name}");
        }
    }

    #[test]
    fn only_an_answer_to_this_question_under_this_id_is_one() {
        let asked = asked("shop.example");
        let mut answer = asked.packet(7, true);
        answer[2] |= 0x80;
        let changed = |at: usize, to: u8| {
            let mut changed = answer.clone();
            changed[at] = to;
            changed
        };
        let read = |bytes: &[u8]| asked.read(7, bytes);

        assert!(matches!(read(&answer), Read::Answer(_)));
        assert!(matches!(read(&changed(13, b'S')), Read::Answer(_)), "names have no case");
        assert!(matches!(read(&changed(1, 8)), Read::Strange));
        assert!(matches!(read(&answer[..2]), Read::Strange));
        assert!(matches!(read(&[]), Read::Strange));
        assert!(matches!(read(&asked.packet(7, true)), Read::Garbage), "the question itself");
        assert!(matches!(read(&answer[..20]), Read::Garbage));
        assert!(matches!(read(b"\0\x07garbage, and more"), Read::Garbage));
        assert!(matches!(read(&changed(2, 0x83)[..11]), Read::Garbage));
        assert!(matches!(read(&changed(13, b'x')), Read::Astray));
        assert!(matches!(read(&changed(27, 2)), Read::Astray));
        assert!(matches!(read(&changed(2, 0x83)), Read::CutShort));
        assert!(matches!(read(&changed(2, 0x83)[..20]), Read::CutShort));
    }
}
