//! Looks at Redis: a real one of the test's own, and some that misbehave.

use std::process::Command;

use pulse_core::models::probe_spec::{Auth, ProbeSpec};
use pulse_core::models::run::FailClass;
use tempfile::TempDir;

use crate::daemon::{Daemon, Files, free_port, listens};
use crate::hostile;
use crate::looking::Look;
use crate::tls::{Authority, params};

const PASSWORD: &str = "hush-hush";

pub struct Redis {
    pub server: Daemon,
    _folder: TempDir,
}

impl Redis {
    pub fn start(settings: &[&str]) -> Self {
        Self::on(settings, "--port")
    }

    /// The port that is not for TLS, or is.
    fn on(settings: &[&str], port_setting: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let command = |port: u16| {
            let mut command = Command::new("redis-server");
            command.args(["--bind", "127.0.0.1", "--save", "", "--daemonize", "no"]);
            command.args(settings).args([port_setting, &port.to_string()]);
            command.current_dir(folder.path());
            command
        };
        Self { server: Daemon::start(command, listens), _folder: folder }
    }

    /// One that is reached over TLS alone.
    pub fn encrypting(files: &Files) -> Self {
        let (certificate, key) = (files.certificate(), files.key());
        let settings = ["--tls-cert-file", &certificate, "--tls-key-file", &key];
        let settings = [&settings[..], &["--tls-auth-clients", "no", "--port", "0"]].concat();
        Self::on(&settings, "--tls-port")
    }

    fn look(&self, path: &str) -> Asking {
        asking(format!("redis://127.0.0.1:{}{path}", self.server.port))
    }
}

struct Asking(ProbeSpec);

fn asking(url: impl Into<String>) -> Asking {
    Asking(ProbeSpec::at(url))
}

impl Asking {
    fn by(mut self, username: &str, password: &str) -> Self {
        let (username, password) = (username.to_owned(), password.to_owned());
        self.0.auth = Some(Auth::Basic { username, password });
        self
    }

    fn send(mut self, command: &str) -> Self {
        self.0.send = Some(command.to_owned());
        self
    }

    fn expect(mut self, pattern: &str) -> Self {
        self.0.expect = Some(pattern.to_owned());
        self
    }

    fn look(self) -> Look {
        Look::with(self.0)
    }
}

#[tokio::test]
async fn a_ping_is_answered_and_the_way_is_timed() {
    let redis = Redis::start(&[]);

    let (_, seen, evidence) = redis.look("").look().closely().await;
    redis.look("").expect("^PONG$").look().expect_ok().await;

    assert_eq!((seen.error, evidence.reply.as_deref()), (None, Some("PONG")));
    assert!(seen.phases.connect_us.is_some() && seen.phases.first_byte_us.is_some());
    assert_eq!(seen.phases.tls_us, None);
}

#[tokio::test]
async fn a_command_is_asked_in_its_database_and_its_reply_looked_through() {
    let redis = Redis::start(&[]);
    let ask = |path: &str, command: &str| redis.look(path).send(command);

    ask("/2", r#"SET "a key" 'it is there'"#).expect("^OK$").look().expect_ok().await;
    ask("/2", r#"GET "a key""#).expect("^it is there$").look().expect_ok().await;
    ask("/2", r#"MGET "a key" none"#).expect("there\n\\(nil\\)$").look().expect_ok().await;
    let elsewhere = ask("/0", r#"GET "a key""#).expect("there").look();
    let elsewhere = elsewhere.expect_fail(FailClass::Assertion).await;
    let (_, _, about) = ask("", "INFO server").look().closely().await;

    assert_eq!(elsewhere, "what was expected is not in the reply");
    assert_eq!(about.facts[0].0, "server_version");
    assert!(about.facts[0].1.contains('.'), "{:?}", about.facts);
}

#[tokio::test]
async fn who_may_not_is_refused_with_the_servers_word_for_it_and_no_secret() {
    let redis = Redis::start(&["--requirepass", PASSWORD]);
    let look = || redis.look("");

    look().by("", PASSWORD).expect("PONG").look().expect_ok().await;
    look().by("default", PASSWORD).look().expect_ok().await;
    for (asking, sentence) in [
        (look(), "the server refused the command: NOAUTH"),
        (look().by("", "guessed"), "the server refused the log-in: WRONGPASS"),
        (look().by("nobody", PASSWORD), "the server refused the log-in: WRONGPASS"),
        (
            redis.look("/99").by("", PASSWORD),
            "the server refused the database: ERR DB index is out",
        ),
        (
            look().by("", PASSWORD).send("SECRET hush"),
            "the server refused the command: ERR unknown command",
        ),
    ] {
        assert_eq!(asking.look().expect_fail(FailClass::Refused).await, sentence);
    }
}

#[tokio::test]
async fn a_replica_that_has_lost_its_master_is_not_well() {
    let nobody = format!("127.0.0.1 {}", free_port());
    let redis = Redis::start(&["--replicaof", &nobody, "--replica-serve-stale-data", "no"]);

    let sentence = redis.look("").send("GET a").look().expect_fail(FailClass::Refused).await;

    assert_eq!(sentence, "the server refused the command: MASTERDOWN");
}

#[tokio::test]
async fn over_tls_the_certificate_is_verified() {
    let authority = Authority::new();
    let files = Files::of(&authority.issue(&params("localhost")));
    let redis = Redis::encrypting(&files);
    let look = |host: &str| asking(format!("rediss://{host}:{}/0", redis.server.port)).look();

    let seen = look("localhost").through(authority.egress()).expect_ok().await;
    let other = look("127.0.0.1").through(authority.egress()).expect_fail(FailClass::Tls).await;
    look("localhost").through(Authority::new().egress()).expect_fail(FailClass::Tls).await;
    redis.look("").look().expect_fail(FailClass::Connect).await;

    assert!(seen.phases.tls_us.is_some_and(|us| us > 0));
    assert_eq!(other, "the certificate is for another host, not for 127.0.0.1");
}

#[tokio::test]
async fn what_is_long_is_read_to_the_bound() {
    let redis = Redis::start(&[]);
    let long = || redis.look("").send("EVAL 'return string.rep(\"x\", 1000000)' 0");

    long().expect("^xxx").look().expect_ok().await;
    let unmet = long().expect("y").look().expect_fail(FailClass::Assertion).await;

    assert_eq!(unmet, "what was expected is not in the first 64 KiB of the reply");
}

#[tokio::test]
async fn what_is_no_redis_is_told_in_time() {
    hostile::is_told_in_time(|port| ProbeSpec::at(format!("redis://127.0.0.1:{port}")), b"-").await;
}
