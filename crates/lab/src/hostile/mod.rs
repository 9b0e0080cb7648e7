//! Targets that mean harm: each a kind of misbehaviour, with what a look at it must come to.
//!
//! A `Kind` is data: where it is found, what it says, how it ends, and the outcome. The tables are
//! `heads` (what comes before a body), `bodies`, `redirects`, `handshakes` (TLS), `connections`
//! (everything below), `resolvers` (name servers, and what they lead to) and `situations` (what is met
//! every day). `papers` has the certificates, and `server` plays a kind on a port of its own.
//! A kind more is one more row.

mod bodies;
mod connections;
mod handshakes;
mod heads;
mod names;
mod papers;
mod redirects;
mod resolvers;
mod server;
pub mod situations;

use std::path::Path;

use anyhow::Context;

pub use names::Mischief;
pub use papers::Paper;
pub use server::Server;

use papers::Papers;

/// One way to misbehave.
#[derive(Debug)]
pub struct Kind {
    /// What it is called.
    pub name: &'static str,
    /// How a check looks at it.
    pub scheme: &'static str,
    /// What there is at its address.
    pub door: Door,
    /// What every look at it comes to.
    pub must: Must,
}

/// What there is at an address.
#[derive(Clone, Copy, Debug)]
pub enum Door {
    /// Nothing.
    Closed,
    /// A listener whose queue is full, so that packets are answered by nobody.
    Full,
    /// Somebody who talks without encryption.
    Bare(Talk),
    /// Somebody who shows this certificate, and then talks.
    Secured(Paper, Talk),
    /// A name server.
    Names(Mischief),
    /// Somebody who talks, at a name whose first address swallows whatever is sent to it.
    BehindBlackHole(Talk),
}

/// What is said on a connection.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    /// What is waited for.
    pub after: After,
    /// What is said then.
    pub says: &'static [Part],
    /// How it ends.
    pub then: End,
}

/// What is waited for before anything is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing.
    Nothing,
    /// Any word of the other side.
    AnyWord,
    /// A request with its head.
    Request,
}

/// A part of what is said.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// These words.
    Words(&'static str),
    /// These bytes.
    Bytes(&'static [u8]),
    /// These words, so many times.
    Many(&'static str, usize),
    /// Nothing, for so many milliseconds.
    Wait(u64),
}

/// How a connection ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// With FIN.
    Close,
    /// With RST.
    Reset,
    /// It does not: nothing is said any more.
    Silence,
    /// It does not: these bytes follow for ever, as fast as they are taken.
    Flood(&'static [u8]),
    /// It does not: these bytes follow for ever, one at a time, with a pause after each.
    Drip(&'static [u8]),
}

/// What a look must come to.
#[derive(Debug)]
pub struct Must {
    /// One of these, as the API tells them: `ok`, or the class of a failure.
    pub outcomes: &'static [&'static str],
    /// A part of the sentence that is told; empty for any.
    pub says: &'static str,
}

const OK: &[&str] = &["ok"];
const DNS: &[&str] = &["dns"];
const CONNECT: &[&str] = &["connect"];
const TLS: &[&str] = &["tls"];
const TIMEOUT: &[&str] = &["timeout"];
const STATUS: &[&str] = &["status"];
const PROTOCOL: &[&str] = &["protocol"];
const TOO_LARGE: &[&str] = &["too_large"];

const fn must(outcomes: &'static [&'static str], says: &'static str) -> Must {
    Must { outcomes, says }
}

/// A kind that answers requests.
const fn answer(name: &'static str, says: &'static [Part], then: End, must: Must) -> Kind {
    let talk = Talk { after: After::Request, says, then };
    Kind { name, scheme: "http", door: Door::Bare(talk), must }
}

/// Every kind.
pub fn kinds() -> impl Iterator<Item = &'static Kind> {
    let tables: [&'static [Kind]; 7] = [
        heads::KINDS,
        bodies::KINDS,
        redirects::KINDS,
        handshakes::KINDS,
        connections::KINDS,
        resolvers::KINDS,
        situations::KINDS,
    ];
    tables.into_iter().flatten()
}

/// A server of each kind, and the authority that some of their certificates are from.
#[derive(Debug)]
pub struct Zoo {
    servers: Vec<Server>,
}

impl Zoo {
    /// Opens all doors. The authority's certificate is written to `authority`, for Pulse to trust.
    pub async fn open(authority: &Path) -> anyhow::Result<Self> {
        Self::of(kinds(), authority).await
    }

    /// The same with these kinds alone.
    pub async fn of(
        kinds: impl Iterator<Item = &'static Kind>,
        authority: &Path,
    ) -> anyhow::Result<Self> {
        let papers = Papers::issue().context("issuing certificates")?;
        papers.write_authority(authority)?;
        let mut servers = Vec::new();
        for kind in kinds {
            let server = Server::open(kind, &papers).await;
            servers.push(server.with_context(|| format!("opening {}", kind.name))?);
        }
        Ok(Self { servers })
    }

    /// All servers, one for each kind.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_kind_has_a_name_of_its_own_and_an_outcome() {
        let names: HashSet<_> = kinds().map(|kind| kind.name).collect();

        assert_eq!(names.len(), kinds().count());
        assert!(kinds().count() >= 45, "{}", kinds().count());
        assert!(kinds().all(|kind| !kind.must.outcomes.is_empty()));
    }
}
