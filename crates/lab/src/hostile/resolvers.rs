//! Name servers: asked by a check of names, or by one that has to find its target first.

use super::After;
use super::{DNS, Door, End, Kind, Mischief, Must, OK, PROTOCOL, Part, TIMEOUT, Talk, must};

/// A kind that is asked for a name.
const fn asked(name: &'static str, mischief: Mischief, must: Must) -> Kind {
    Kind { name, scheme: "dns", door: Door::Names(mischief), must }
}

/// A kind that is asked where a target is.
const fn resolving(name: &'static str, mischief: Mischief, must: Must) -> Kind {
    Kind { name, scheme: "http", door: Door::Names(mischief), must }
}

const NO_ANSWER: Must = must(TIMEOUT, "while resolving the name");
/// More than was agreed for a datagram is no answer, either.
const UNUSABLE: Must = must(DNS, "no name server gave an answer");

pub(super) const KINDS: &[Kind] = &[
    asked("names-silent", Mischief::Silent, must(TIMEOUT, "timed out after")),
    asked("names-late", Mischief::Late, must(TIMEOUT, "timed out after")),
    asked("names-endless-alias", Mischief::EndlessAlias, must(DNS, "no record of type A")),
    asked("names-alias-loop", Mischief::AliasLoop, must(DNS, "no record of type A")),
    asked("names-huge", Mischief::Huge, must(OK, "")),
    asked("names-garbage", Mischief::Garbage, must(PROTOCOL, "what came back is no answer")),
    asked(
        "names-pointer-loop",
        Mischief::PointerLoop,
        must(PROTOCOL, "what came back is no answer"),
    ),
    asked("names-another-id", Mischief::AnotherId, must(PROTOCOL, "no answer to what was asked")),
    asked("names-another-name", Mischief::AnotherName, must(PROTOCOL, "answers another question")),
    asked("names-cut-short", Mischief::CutShort, must(TIMEOUT, "timed out after")),
    asked("names-flood", Mischief::Flood, must(DNS, "the name does not exist")),
    asked("names-failing", Mischief::Failing, must(DNS, "SERVFAIL")),
    resolving("resolver-silent", Mischief::Silent, NO_ANSWER),
    resolving("resolver-late", Mischief::Late, NO_ANSWER),
    resolving("resolver-endless-alias", Mischief::EndlessAlias, must(DNS, "")),
    resolving("resolver-alias-loop", Mischief::AliasLoop, must(DNS, "")),
    resolving("resolver-huge", Mischief::Huge, UNUSABLE),
    resolving("resolver-garbage", Mischief::Garbage, UNUSABLE),
    resolving("resolver-pointer-loop", Mischief::PointerLoop, UNUSABLE),
    resolving("resolver-another-id", Mischief::AnotherId, NO_ANSWER),
    resolving("resolver-another-name", Mischief::AnotherName, NO_ANSWER),
    resolving("resolver-cut-short", Mischief::CutShort, NO_ANSWER),
    resolving("resolver-flood", Mischief::Flood, must(DNS, "the name does not exist")),
    resolving("resolver-failing", Mischief::Failing, UNUSABLE),
    Kind {
        name: "black-hole-first",
        scheme: "http",
        door: Door::BehindBlackHole(Talk {
            after: After::Request,
            says: &[Part::Words("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")],
            then: End::Close,
        }),
        must: must(OK, ""),
    },
];
