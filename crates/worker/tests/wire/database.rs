//! What holds of every kind of database: one real server, with a log-in and a table of fruit, and what
//! looks at it come to.

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use pulse_core::models::probe_spec::{Auth, ProbeSpec};
use pulse_core::models::run::{FailClass, Outcome};
use pulse_worker::egress::Egress;

use crate::looking::Look;
use crate::tls::Authority;

pub const PASSWORD: &str = "hush-hush";

/// One server for all tests that run at the same time; gone with the last of them.
pub struct Shared<T>(Mutex<Weak<T>>);

impl<T> Shared<T> {
    pub const fn new() -> Self {
        Self(Mutex::new(Weak::new()))
    }

    pub fn or_start(&self, start: impl FnOnce() -> T) -> Arc<T> {
        let mut shared = self.0.lock().unwrap();
        if let Some(running) = shared.upgrade() {
            return running;
        }
        let started = Arc::new(start());
        *shared = Arc::downgrade(&started);
        started
    }
}

/// A server that runs.
pub trait Database {
    /// A database in which `fruit` is, as the path of a URL.
    const PATH: &str;

    /// A look with a good log-in, at what follows the port.
    fn spec(&self, rest: &str) -> ProbeSpec;

    /// Trusts the server's certificate.
    fn egress(&self) -> Egress;

    /// Asks something as the administrator.
    fn sql(&self, text: &str) -> String;

    fn asking(&self, send: &str, expect: &str) -> ProbeSpec {
        let expect = (!expect.is_empty()).then(|| expect.to_owned());
        ProbeSpec { send: Some(send.to_owned()), expect, ..self.spec(Self::PATH) }
    }
}

pub fn by(username: &str, password: &str, spec: ProbeSpec) -> ProbeSpec {
    let (username, password) = (username.to_owned(), password.to_owned());
    ProbeSpec { auth: Some(Auth::Basic { username, password }), ..spec }
}

pub async fn whoever_has_the_password_logs_in(
    server: &impl Database,
    (username, password): (&str, &str),
    path: &str,
    version: &str,
) {
    for mode in ["disable", "prefer", "require"] {
        let spec = by(username, password, server.spec(&format!("{path}?sslmode={mode}")));

        let (outcome, seen, evidence) = Look::with(spec).through(server.egress()).closely().await;

        assert_eq!(outcome, Outcome::Ok, "{username} {mode}: {seen:?}");
        assert_eq!(seen.phases.tls_us.is_some(), mode != "disable");
        assert!(seen.phases.first_byte_us.is_some());
        let told = evidence.facts.iter().find(|(name, _)| name == "server_version");
        assert!(told.is_some_and(|(_, told)| told.contains(version)), "{evidence:?}");
    }
}

pub async fn only_where_tls_is_required_the_certificate_must_be_good<D: Database>(server: &D) {
    let look = |mode: &str| {
        let spec = server.spec(&format!("{}?sslmode={mode}", D::PATH));
        Look::with(spec).through(Authority::new().egress())
    };

    let refused = look("require").expect_fail(FailClass::Tls).await;
    let (outcome, seen, evidence) = look("prefer").closely().await;

    assert_eq!(refused, "the certificate is from an unknown authority");
    assert_eq!(outcome, Outcome::Ok, "{seen:?}");
    assert_eq!(evidence.certificates[0].names, ["localhost"]);
    let told = ("certificate".to_owned(), "not verified".to_owned());
    assert!(evidence.facts.contains(&told), "{:?}", evidence.facts);
}

/// Each look is refused `what`, in words that begin so, and the password is not among them.
pub async fn is_refused(what: &str, looks: impl IntoIterator<Item = (ProbeSpec, &str)>) {
    for (spec, reason) in looks {
        let sentence = Look::with(spec).expect_fail(FailClass::Refused).await;

        let begin = format!("the server refused {what}: {reason}");
        assert!(sentence.starts_with(&begin), "{sentence}");
        assert!(!sentence.contains("guessed"), "{sentence}");
    }
}

/// `many` is a query for 5,000 rows and `long` one for 99 of a thousand bytes.
pub async fn rows_are_looked_through(server: &impl Database, many: &str, long: &str) {
    let fruit = "SELECT name, colour FROM fruit ORDER BY name";
    let asking = |send: &str, expect: &str| Look::with(server.asking(send, expect));

    let (outcome, seen, evidence) = asking(fruit, "^apple\tred\nplum\t$").closely().await;
    let unmet = asking(fruit, "pear").expect_fail(FailClass::Assertion).await;
    let (_, _, many) = asking(many, "^100$").closely().await;
    let long = asking(long, "y").expect_fail(FailClass::Assertion).await;
    asking("SELECT repeat('x', 1000000)", "").expect_ok().await;

    assert_eq!(outcome, Outcome::Ok, "{seen:?}");
    assert_eq!(evidence.reply.as_deref(), Some("apple\tred\nplum\t"));
    assert_eq!(unmet, "what was expected is not in the reply");
    assert!(many.facts.contains(&("rows".to_owned(), "100".to_owned())), "{:?}", many.facts);
    assert_eq!(long, "what was expected is not in the first 64 KiB of the reply");
}

/// `sleeping` counts the queries with the word `slow` that run.
pub async fn a_query_that_lasts_is_ended(server: &impl Database, slow: &str, sleeping: &str) {
    let look = Look::with(server.asking(slow, "")).within(2_500);

    let sentence = look.expect_fail(FailClass::Timeout).await;

    assert_eq!(sentence, "timed out after 2500 ms while waiting for the first byte");
    let began = Instant::now();
    while server.sql(sleeping) != "0" {
        assert!(began.elapsed() < Duration::from_secs(10), "the query goes on");
    }
}
