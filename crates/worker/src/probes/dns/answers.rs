//! What an answer says, as text. Pure.

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use pulse_core::models::evidence::Answer;
use pulse_core::models::text::tame_line;

use super::message::Asked;

/// A name that leads to a name that leads to a name: nobody's resolver follows more.
const MOST_ALIASES: usize = 16;
const LONGEST_VALUE: usize = 512;

/// The parts of an answer that count.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) code: ResponseCode,
    /// Nobody was found, and others were named who may know.
    pub(super) is_referral: bool,
    /// Every record, those of the type that was asked for first; in an order that is always the same.
    pub(super) all: Vec<Answer>,
    /// The values of the type that was asked for, of the name or what it stands for; sorted.
    pub(super) wanted: Vec<String>,
}

impl Found {
    pub(super) fn read(message: &Message, asked: &Asked) -> Self {
        let records = &message.answers;
        let mut all: Vec<_> = records.iter().map(shown).collect();
        let kind = asked.record().to_string();
        all.sort_by(|a, b| {
            let place = |it: &Answer| (it.record != kind, it.record.clone(), it.value.clone());
            place(a).cmp(&place(b))
        });
        let mut wanted = wanted(records, asked);
        wanted.sort();
        let flags = &message.metadata;
        let is_referral = records.is_empty()
            && !(flags.authoritative || flags.recursion_available)
            && message.authorities.iter().any(|it| it.record_type() == RecordType::NS);
        Self { code: flags.response_code, is_referral, all, wanted }
    }
}

fn wanted(records: &[Record], asked: &Asked) -> Vec<String> {
    let mut owner = asked.name();
    for _alias in 0..MOST_ALIASES {
        let of_owner = |it: &&Record| it.name.eq_ignore_root(owner);
        let wanted =
            records.iter().filter(of_owner).filter(|it| it.record_type() == asked.record());
        let wanted: Vec<_> = wanted.map(|it| value(&it.data)).collect();
        if !wanted.is_empty() {
            return wanted;
        }
        let alias = records.iter().filter(of_owner).find_map(|it| match &it.data {
            RData::CNAME(alias) => Some(&alias.0),
            _ => None,
        });
        match alias {
            Some(alias) => owner = alias,
            None => break,
        }
    }
    Vec::new()
}

fn shown(record: &Record) -> Answer {
    Answer {
        record: record.record_type().to_string(),
        value: tame_line(&value(&record.data), LONGEST_VALUE),
        ttl: record.ttl,
    }
}

fn value(data: &RData) -> String {
    match data {
        RData::A(address) => address.0.to_string(),
        RData::AAAA(address) => address.0.to_string(),
        RData::CNAME(alias) => name(&alias.0),
        RData::NS(server) => name(&server.0),
        RData::MX(mx) => format!("{} {}", mx.preference, name(&mx.exchange)),
        RData::TXT(txt) => String::from_utf8_lossy(&txt.txt_data.concat()).into_owned(),
        RData::SOA(soa) => format!(
            "{} {} {} {} {} {} {}",
            name(&soa.mname),
            name(&soa.rname),
            soa.serial,
            soa.refresh,
            soa.retry,
            soa.expire,
            soa.minimum
        ),
        RData::SRV(srv) => {
            format!("{} {} {} {}", srv.priority, srv.weight, srv.port, name(&srv.target))
        }
        RData::CAA(caa) => {
            format!("{} {} {}", caa.flags(), caa.tag, String::from_utf8_lossy(&caa.value))
        }
        other => other.to_string(),
    }
}

/// In ASCII, and without the final dot unless it is all there is.
fn name(name: &Name) -> String {
    let text = name.to_ascii();
    match text.strip_suffix('.') {
        Some(stripped) if !stripped.is_empty() => stripped.to_owned(),
        _ => text,
    }
}
