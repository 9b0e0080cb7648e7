//! Looks at MySQL: a real MariaDB of the tests' own, with TLS, and some that misbehave.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use pulse_core::models::probe_spec::{Auth, ProbeSpec};
use pulse_core::models::run::{FailClass, Outcome};

use crate::daemon::{Daemon, Files, run};
use crate::hostile;
use crate::looking::Look;
use crate::tls::{Authority, params};

const PASSWORD: &str = "hush-hush";
const PEOPLE: &str = "
    CREATE DATABASE shop;
    CREATE TABLE shop.fruit (name varchar(20), colour varchar(20));
    INSERT INTO shop.fruit VALUES ('apple', 'red'), ('plum', NULL);
    CREATE USER native@'127.0.0.1' IDENTIFIED BY 'hush-hush';
    CREATE USER encrypted@'127.0.0.1' IDENTIFIED BY 'hush-hush' REQUIRE SSL;
    CREATE USER nobodys@'127.0.0.1';
    CREATE USER crowded@'127.0.0.1' IDENTIFIED BY 'hush-hush' WITH MAX_CONNECTIONS_PER_HOUR 1;
    GRANT ALL ON shop.* TO native@'127.0.0.1', encrypted@'127.0.0.1', nobodys@'127.0.0.1';
";

struct Mysql {
    server: Daemon,
    authority: Authority,
    files: Files,
}

/// One for all tests that run at the same time; gone with the last of them.
fn mysql() -> Arc<Mysql> {
    static SHARED: Mutex<Weak<Mysql>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap();
    if let Some(running) = shared.upgrade() {
        return running;
    }
    let started = Arc::new(Mysql::start());
    *shared = Arc::downgrade(&started);
    started
}

impl Mysql {
    fn start() -> Self {
        let authority = Authority::new();
        let files = Files::of(&authority.issue(&params("localhost")));
        let who = run(Command::new("id").arg("-un")).trim().to_owned();
        let data = format!("--datadir={}", files.folder().join("data").display());
        let always = ["--no-defaults", &data, &format!("--user={who}")];
        let install = ["--auth-root-authentication-method=normal", "--skip-test-db"];
        run(Command::new("mariadb-install-db").args(always).args(install));
        let socket = socket(&files);
        let command = |port: u16| {
            let mut command = Command::new(server_program());
            command.args(always).arg(format!("--port={port}")).arg(format!("--socket={socket}"));
            command.args([
                "--skip-networking=0",
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
            ]);
            command.arg(format!("--ssl-cert={}", files.certificate()));
            command.arg(format!("--ssl-key={}", files.key()));
            command.args(["--innodb-flush-log-at-trx-commit=0", "--log-warnings=0"]);
            command.arg(format!("--log-error={}", files.folder().join("log").display()));
            command
        };
        let answers =
            |_port: u16| sql(&socket, "SELECT 1").output().is_ok_and(|it| it.status.success());
        let server = Daemon::start(command, answers);
        run(&mut sql(&socket, PEOPLE));
        Self { server, authority, files }
    }

    fn spec(&self, rest: &str) -> ProbeSpec {
        let url = format!("mysql://localhost:{}{rest}", self.server.port);
        by("native", PASSWORD, ProbeSpec::at(url))
    }

    fn sql(&self, text: &str) -> String {
        run(&mut sql(&socket(&self.files), text)).trim().to_owned()
    }
}

fn socket(files: &Files) -> String {
    files.folder().join("socket").to_str().unwrap().to_owned()
}

/// Debian puts it where only root looks for programs.
fn server_program() -> &'static str {
    let usual = "/usr/sbin/mariadbd";
    if Path::new(usual).exists() { usual } else { "mariadbd" }
}

fn sql(socket: &str, text: &str) -> Command {
    let mut command = Command::new("mariadb");
    command.args(["--no-defaults", "--user=root", "--skip-column-names", "--batch"]);
    command.arg(format!("--socket={socket}")).args(["--execute", text]);
    command
}

fn by(username: &str, password: &str, spec: ProbeSpec) -> ProbeSpec {
    let (username, password) = (username.to_owned(), password.to_owned());
    ProbeSpec { auth: Some(Auth::Basic { username, password }), ..spec }
}

fn asking(send: &str, expect: &str, spec: ProbeSpec) -> ProbeSpec {
    let expect = (!expect.is_empty()).then(|| expect.to_owned());
    ProbeSpec { send: Some(send.to_owned()), expect, ..spec }
}

#[tokio::test]
async fn whoever_has_the_password_logs_in_encrypted_or_not() {
    let server = mysql();

    for mode in ["disable", "prefer", "require"] {
        for (username, password) in [("native", PASSWORD), ("nobodys", "")] {
            let spec = by(username, password, server.spec(&format!("/shop?sslmode={mode}")));
            let look = Look::with(spec).through(server.authority.egress());

            let (outcome, seen, evidence) = look.closely().await;

            assert_eq!(outcome, Outcome::Ok, "{username} {mode}: {seen:?}");
            assert_eq!(seen.phases.tls_us.is_some(), mode != "disable");
            assert!(seen.phases.first_byte_us.is_some());
            let version = evidence.facts.iter().find(|(name, _)| name == "server_version");
            assert!(
                version.is_some_and(|(_, version)| version.contains("MariaDB")),
                "{evidence:?}"
            );
        }
    }
}

#[tokio::test]
async fn only_where_tls_is_required_the_certificate_must_be_good_and_else_it_is_told() {
    let server = mysql();
    let look = |mode: &str| {
        let stranger = Authority::new().egress();
        Look::with(server.spec(&format!("?sslmode={mode}"))).through(stranger)
    };

    let refused = look("require").expect_fail(FailClass::Tls).await;
    let (outcome, seen, evidence) = look("prefer").closely().await;

    assert_eq!(refused, "the certificate is from an unknown authority");
    assert_eq!(outcome, Outcome::Ok, "{seen:?}");
    assert_eq!(evidence.certificates[0].names, ["localhost"]);
    let told = ("certificate".to_owned(), "not verified".to_owned());
    assert!(evidence.facts.contains(&told), "{:?}", evidence.facts);
}

#[tokio::test]
async fn a_log_in_that_is_refused_says_so_with_its_code() {
    let server = mysql();
    let crowded = || by("crowded", PASSWORD, server.spec("?sslmode=disable"));
    Look::with(crowded()).expect_ok().await;

    for (spec, begin) in [
        (by("native", "guessed", server.spec("/shop")), "1045 (28000) Access denied for user"),
        (by("native", "", server.spec("/shop")), "1045 (28000) Access denied for user"),
        (by("stranger", PASSWORD, server.spec("/shop")), "1045 (28000) Access denied for user"),
        (server.spec("/nowhere"), "1044 (42000) Access denied for user"),
        (
            by("encrypted", PASSWORD, server.spec("/shop?sslmode=disable")),
            "1045 (28000) Access denied for user",
        ),
        (crowded(), "1226 (42000) User 'crowded' has exceeded"),
    ] {
        let sentence = Look::with(spec).expect_fail(FailClass::Refused).await;

        let begin = format!("the server refused the log-in: {begin}");
        assert!(sentence.starts_with(&begin), "{sentence}");
        assert!(!sentence.contains("guessed"), "{sentence}");
    }
}

#[tokio::test]
async fn a_query_is_asked_and_its_rows_looked_through() {
    let server = mysql();
    let at = || server.spec("/shop");
    let fruit = "SELECT name, colour FROM fruit ORDER BY name";

    let (outcome, seen, evidence) =
        Look::with(asking(fruit, "^apple\tred\nplum\t$", at())).closely().await;
    let unmet = Look::with(asking(fruit, "pear", at())).expect_fail(FailClass::Assertion).await;
    let (_, _, many) =
        Look::with(asking("SELECT seq FROM seq_1_to_5000", "^100$", at())).closely().await;
    let long = asking("SELECT repeat('x', 1000) FROM seq_1_to_99", "y", at());
    let long = Look::with(long).expect_fail(FailClass::Assertion).await;
    Look::with(asking("SELECT repeat('x', 1000000)", "", at())).expect_ok().await;
    Look::with(asking("DO 1", "", at())).expect_ok().await;

    assert_eq!(outcome, Outcome::Ok, "{seen:?}");
    assert_eq!(evidence.reply.as_deref(), Some("apple\tred\nplum\t"));
    assert_eq!(unmet, "what was expected is not in the reply");
    assert!(many.facts.contains(&("rows".to_owned(), "100".to_owned())), "{:?}", many.facts);
    assert_eq!(long, "what was expected is not in the first 64 KiB of the reply");
}

#[tokio::test]
async fn a_query_cannot_write_nor_hide_another_behind_it() {
    let server = mysql();

    for (query, code) in [
        ("INSERT INTO fruit VALUES ('pear', 'green')", "1792 (25006) Cannot execute statement"),
        ("DROP TABLE fruit", "1792 (25006) Cannot execute statement"),
        ("SELECT 1; DROP TABLE fruit", "1064 (42000) You have an error"),
        ("SELECT colour FROM", "1064 (42000) You have an error"),
        ("SELECT * FROM nothing", "1146 (42S02) Table 'shop.nothing' doesn't exist"),
        ("LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE fruit", ""),
    ] {
        let spec = asking(query, "", server.spec("/shop"));
        let sentence = Look::with(spec).expect_fail(FailClass::Refused).await;

        let begin = format!("the server refused the query: {code}");
        assert!(sentence.starts_with(&begin), "{sentence}");
    }
    assert_eq!(server.sql("SELECT count(*) FROM shop.fruit"), "2");
}

#[tokio::test]
async fn a_query_that_lasts_is_given_up_here_and_ended_there() {
    let server = mysql();
    let spec = asking("SELECT 'slow', sleep(60)", "", server.spec("/shop"));

    let sentence = Look::with(spec).within(600).expect_fail(FailClass::Timeout).await;

    assert_eq!(sentence, "timed out after 600 ms while waiting for the first byte");
    let sleeping = "SELECT count(*) FROM information_schema.processlist WHERE user = 'native' AND info LIKE '%slow%'";
    let began = Instant::now();
    while server.sql(sleeping) != "0" {
        assert!(began.elapsed() < Duration::from_secs(10), "the query goes on");
    }
}

#[tokio::test]
async fn what_is_no_mysql_is_told_in_time() {
    for mode in ["disable", "require"] {
        let at = |port: u16| {
            let url = format!("mysql://127.0.0.1:{port}/a?sslmode={mode}");
            by("me", PASSWORD, ProbeSpec::at(url))
        };
        hostile::is_told_in_time(at, b"\xff").await;
    }
}
