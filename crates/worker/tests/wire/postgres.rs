//! Looks at PostgreSQL: a real one of the tests' own, with TLS and each way to log in, and some that
//! misbehave.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use futures_util::future::join_all;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::FailClass;
use pulse_worker::egress::Egress;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::daemon::{Daemon, Files, run};
use crate::database::{self, Database, PASSWORD, Shared, by, is_refused};
use crate::hostile;
use crate::looking::Look;
use crate::servers::Server;
use crate::tls::{Authority, params};

/// Who may come how. `pulse` is the administrator.
const RULES: &str = "
    host    all pulse     127.0.0.1/32 trust
    host    all scrammer  127.0.0.1/32 scram-sha-256
    host    all md5er     127.0.0.1/32 md5
    host    all plain     127.0.0.1/32 password
    host    all crowded   127.0.0.1/32 trust
    hostssl all encrypted 127.0.0.1/32 scram-sha-256
";

const ROLES: &str = "
    CREATE ROLE scrammer LOGIN PASSWORD 'hush-hush';
    CREATE ROLE plain LOGIN PASSWORD 'hush-hush';
    CREATE ROLE encrypted LOGIN PASSWORD 'hush-hush';
    CREATE ROLE crowded LOGIN CONNECTION LIMIT 0;
    SET password_encryption = md5;
    CREATE ROLE md5er LOGIN PASSWORD 'hush-hush';
    CREATE TABLE fruit (name text, colour text);
    INSERT INTO fruit VALUES ('apple', 'red'), ('plum', NULL);
    GRANT SELECT, INSERT ON fruit TO scrammer;
";

pub struct Postgres {
    pub server: Daemon,
    authority: Authority,
    _files: Files,
}

static SHARED: Shared<Postgres> = Shared::new();

pub fn postgres() -> Arc<Postgres> {
    SHARED.or_start(Postgres::start)
}

impl Postgres {
    fn start() -> Self {
        let authority = Authority::new();
        let files = Files::of(&authority.issue(&params("localhost")));
        let data = files.folder().join("data");
        let data = data.to_str().unwrap();
        run(Command::new("chmod").args(["600", &files.key()]));
        if is_root() {
            run(Command::new("chown").args(["-R", "postgres:", files.folder().to_str().unwrap()]));
        }
        let settings =
            ["--username", "pulse", "--auth", "trust", "--no-sync", "--locale", "C.UTF-8"];
        run(program("initdb").args(["--pgdata", data]).args(settings));
        std::fs::write(files.folder().join("data/pg_hba.conf"), RULES).unwrap();
        let command = |port: u16| {
            let mut command = program("postgres");
            command.args(["-D", data, "-p", &port.to_string(), "-c", "fsync=off", "-c", "ssl=on"]);
            command.args(["-c", &format!("ssl_cert_file={}", files.certificate())]);
            command.args(["-c", &format!("ssl_key_file={}", files.key())]);
            command.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
            command.args(["-c", "log_destination=stderr", "-c", "log_min_messages=panic"]);
            command
        };
        let answers =
            |port: u16| psql(port, "SELECT 1").output().is_ok_and(|it| it.status.success());
        // TERM would wait until everybody has left.
        let server = Daemon::start(command, answers).ended_by("INT");
        run(&mut psql(server.port, ROLES));
        Self { server, authority, _files: files }
    }
}

impl Database for Postgres {
    const PATH: &str = "/postgres";

    fn spec(&self, rest: &str) -> ProbeSpec {
        spec(&format!("postgres://localhost:{}{rest}", self.server.port))
    }

    fn egress(&self) -> Egress {
        self.authority.egress()
    }

    fn sql(&self, text: &str) -> String {
        run(&mut psql(self.server.port, text)).trim().to_owned()
    }
}

fn is_root() -> bool {
    run(Command::new("id").arg("-u")).trim() == "0"
}

/// A program of PostgreSQL, which refuses to run as root. The newest, where several are installed.
fn program(name: &str) -> Command {
    let path = newest().join(name);
    if !is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(path);
    command.current_dir("/");
    command
}

fn newest() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL: run `make setup`");
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let versions = versions.map(|entry| entry.unwrap().path());
    versions.max_by_key(version).expect("PostgreSQL: run `make setup`").join("bin")
}

fn psql(port: u16, sql: &str) -> Command {
    let mut command = Command::new(newest().join("psql"));
    command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--command", sql]);
    command.arg(format!("host=127.0.0.1 port={port} user=pulse dbname=postgres sslmode=disable"));
    command
}

fn spec(url: &str) -> ProbeSpec {
    by("scrammer", PASSWORD, ProbeSpec::at(url))
}

#[tokio::test]
async fn whoever_has_the_password_logs_in_each_way_the_server_may_ask() {
    let server = postgres();

    for (username, path) in [
        ("scrammer", "/postgres"),
        ("md5er", "/template1"),
        ("plain", "/postgres"),
        ("pulse", "/postgres"),
    ] {
        let who = (username, PASSWORD);
        database::whoever_has_the_password_logs_in(&*server, who, path, ".").await;
    }
}

#[tokio::test]
async fn only_where_tls_is_required_the_certificate_must_be_good_and_else_it_is_told() {
    database::only_where_tls_is_required_the_certificate_must_be_good(&*postgres()).await;
}

#[tokio::test]
async fn a_log_in_that_is_refused_says_so_with_its_code() {
    let server = postgres();
    let at = |rest: &str| server.spec(rest);
    let wrong = "28P01 password authentication failed for user";
    let looks = [
        (by("scrammer", "guessed", at("/postgres")), wrong),
        (by("md5er", "guessed", at("/postgres")), wrong),
        (by("plain", "guessed", at("/postgres")), wrong),
        (by("nobody", PASSWORD, at("/postgres")), "28000 no pg_hba.conf entry"),
        (at("/nowhere"), "3D000 database \"nowhere\" does not exist"),
        (by("crowded", "", at("/postgres")), "53300 too many connections for role"),
        (by("encrypted", PASSWORD, at("/postgres?sslmode=disable")), "28000 no pg_hba.conf entry"),
    ];

    is_refused("the log-in", looks).await;
}

#[tokio::test]
async fn a_query_is_asked_and_its_rows_looked_through() {
    let many = "SELECT * FROM generate_series(1, 5000)";
    let long = "SELECT repeat('x', 1000) FROM generate_series(1, 99)";

    database::rows_are_looked_through(&*postgres(), many, long).await;
}

#[tokio::test]
async fn a_query_cannot_write_nor_hide_another_behind_it() {
    let server = postgres();
    let queries = [
        ("INSERT INTO fruit VALUES ('pear', 'green')", "25006 cannot execute INSERT"),
        ("COMMIT; INSERT INTO fruit VALUES ('pear', 'green')", "42601 cannot insert multiple"),
        ("SELECT colour FROM", "42601 syntax error at end of input"),
        ("SELECT * FROM nothing", "42P01 relation \"nothing\" does not exist"),
        ("SELECT $1::text", "08P01 bind message supplies 0 parameters"),
    ];

    is_refused("the query", queries.map(|(query, code)| (server.asking(query, ""), code))).await;

    assert_eq!(server.sql("SELECT count(*) FROM fruit"), "2");
}

#[tokio::test]
async fn a_query_that_lasts_is_given_up_here_and_ended_there() {
    let sleeping = "SELECT count(*) FROM pg_stat_activity \
                    WHERE usename = 'scrammer' AND query LIKE '%slow%'";

    database::a_query_that_lasts_is_ended(&*postgres(), "SELECT 'slow', pg_sleep(60)", sleeping)
        .await;
}

/// Answers the request for TLS with these bytes.
async fn answering_tls_with(answer: &'static [u8]) -> Server {
    Server::raw(move |mut stream| async move {
        let mut request = [0; 8];
        let _read = stream.read_exact(&mut request).await;
        let _sent = stream.write_all(answer).await;
        let mut rest = Vec::new();
        let _read = stream.read_to_end(&mut rest).await;
    })
    .await
}

#[tokio::test]
async fn a_server_that_does_not_encrypt_as_it_should_is_told() {
    for (answer, class, sentence) in [
        (b"N" as &[u8], FailClass::Tls, "the server offers no TLS"),
        (b"Smore", FailClass::Protocol, "the server said more than it was asked before TLS began"),
        (
            b"E\0\0\0\x1eC53300\0Mtoo many clients\0\0",
            FailClass::Refused,
            "the server refused TLS: 53300 too many clients",
        ),
        (b"220 mail.example\r\n", FailClass::Protocol, "what came back is not PostgreSQL"),
    ] {
        let server = answering_tls_with(answer).await;
        let spec = spec(&format!("postgres://127.0.0.1:{}/a?sslmode=require", server.port()));

        assert_eq!(Look::with(spec).expect_fail(class).await, sentence);
    }
}

#[tokio::test]
async fn what_is_no_postgresql_is_told_in_time() {
    let told = ["disable", "prefer", "require"].map(|mode| {
        let at = move |port: u16| spec(&format!("postgres://127.0.0.1:{port}/a?sslmode={mode}"));
        hostile::is_told_in_time(at, b"R")
    });
    join_all(told).await;
}
