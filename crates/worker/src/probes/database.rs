//! What looks at databases share: where one is, who logs in and how far in the clear, what is asked,
//! and what its rows come to. How that is said is each server's own.

use bytes::Bytes;
use pulse_core::models::particulars::SslMode;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::target::Target;

use super::log_in::LogIn;
use super::peer::Peer;
use super::reach::Duplex;
use super::talk::Talk;
use super::trace::Trace;
use super::{PrepareError, ProbeFailure};
use crate::egress::{Connection, Egress};

/// Of what is said before the query.
pub(super) const MOST_BEFORE: usize = 64 * 1024;

/// A database, and what to ask of it.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) peer: Peer,
    pub(super) mode: SslMode,
    /// Empty where the server has one for whoever logs in.
    pub(super) name: String,
    pub(super) log_in: LogIn,
    pub(super) query: Option<String>,
    talk: Talk,
}

impl Database {
    pub(super) fn new(target: Target, spec: &ProbeSpec) -> Result<Self, PrepareError> {
        Ok(Self {
            peer: Peer::of(&target)?,
            mode: SslMode::of(&target.query).map_err(PrepareError::Target)?,
            name: target.path,
            log_in: LogIn::needed(spec)?,
            query: spec.send.clone(),
            talk: Talk::new(spec)?,
        })
    }

    /// Encrypts a connection to a server that offers it. Whom the certificate is for matters only where
    /// TLS is required.
    pub(super) async fn encrypt(
        &self,
        egress: &Egress,
        stream: Connection,
        trace: &mut Trace,
    ) -> Result<Box<dyn Duplex>, ProbeFailure> {
        Ok(match self.mode {
            SslMode::Require => self.peer.encrypt(egress, stream, trace).await?,
            _ => self.peer.encrypt_unverified(egress, stream, trace).await?,
        })
    }

    /// Tells what came of the query, and whether it will do.
    pub(super) fn judge(&self, rows: Rows, trace: &mut Trace) -> Result<(), ProbeFailure> {
        let met = self.talk.verdict(&rows.text, rows.is_whole);
        trace.tell("rows", rows.count.to_string());
        trace.read(Bytes::from(rows.text));
        met
    }
}

/// What came of a query: a line for each row, a tab between columns, nothing for `NULL`.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) text: Vec<u8>,
    pub(super) count: usize,
    /// Whether it was read as far as it is ever wanted.
    pub(super) is_whole: bool,
}

impl Rows {
    /// Begins the line of one row more.
    pub(super) fn begin_line(&mut self) {
        if self.count > 0 {
            self.text.push(b'\n');
        }
        self.count += 1;
    }
}

#[cfg(test)]
pub(super) mod testing {
    use pulse_core::models::probe_spec::Auth;
    use tokio::io::{AsyncWriteExt, DuplexStream};

    use super::*;

    /// Asks one query of the database at `url`, whose rows must be `expect`.
    pub(in super::super) fn asking(url: &str, expect: &str) -> Database {
        let auth = Auth::Basic { username: "me".into(), password: "hush".into() };
        let spec = ProbeSpec {
            auth: Some(auth),
            send: Some("SELECT 1".into()),
            expect: Some(expect.into()),
            ..ProbeSpec::at(url)
        };
        Database::new(Target::parse(url).unwrap(), &spec).unwrap()
    }

    /// Our end of a connection to a server that says no more than these bytes; and its end, which
    /// hears whatever is said for as long as it is kept.
    pub(in super::super) async fn saying(said: &[u8]) -> (DuplexStream, DuplexStream) {
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        theirs.write_all(said).await.unwrap();
        theirs.shutdown().await.unwrap();
        (ours, theirs)
    }

    /// Of a good conversation no beginning will do, and no bit of it can be spoilt so that worse comes
    /// of it than a failure.
    pub(in super::super) async fn is_read_or_refused_wherever_it_is_spoilt(
        whole: &[u8],
        told: impl AsyncFn(&[u8]) -> Result<(), String>,
    ) {
        for place in 0..whole.len() {
            assert!(told(&whole[..place]).await.is_err(), "{place}");
            for bits in [0x01, 0x04, 0x20, 0x80, 0xff] {
                let mut spoilt = whole.to_vec();
                spoilt[place] ^= bits;
                let _read_or_refused = told(&spoilt).await;
            }
        }
    }
}
