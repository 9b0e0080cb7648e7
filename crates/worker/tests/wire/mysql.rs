//! Looks at MySQL: a real MariaDB of the tests' own, with TLS, and some that misbehave.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use futures_util::future::join_all;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_worker::egress::Egress;

use crate::daemon::{Daemon, Files, run};
use crate::database::{self, Database, PASSWORD, Shared, by, is_refused};
use crate::hostile;
use crate::looking::Look;
use crate::tls::{Authority, params};

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

pub struct Mysql {
    server: Daemon,
    authority: Authority,
    files: Files,
}

static SHARED: Shared<Mysql> = Shared::new();

pub fn mysql() -> Arc<Mysql> {
    SHARED.or_start(Mysql::start)
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
}

impl Database for Mysql {
    const PATH: &str = "/shop";

    fn spec(&self, rest: &str) -> ProbeSpec {
        let url = format!("mysql://localhost:{}{rest}", self.server.port);
        by("native", PASSWORD, ProbeSpec::at(url))
    }

    fn egress(&self) -> Egress {
        self.authority.egress()
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

#[tokio::test]
async fn whoever_has_the_password_logs_in_encrypted_or_not() {
    let server = mysql();

    for who in [("native", PASSWORD), ("nobodys", "")] {
        database::whoever_has_the_password_logs_in(&*server, who, "/shop", "MariaDB").await;
    }
}

#[tokio::test]
async fn only_where_tls_is_required_the_certificate_must_be_good_and_else_it_is_told() {
    database::only_where_tls_is_required_the_certificate_must_be_good(&*mysql()).await;
}

#[tokio::test]
async fn a_log_in_that_is_refused_says_so_with_its_code() {
    let server = mysql();
    let at = |rest: &str| server.spec(rest);
    let crowded = || by("crowded", PASSWORD, at("?sslmode=disable"));
    let wrong = "1045 (28000) Access denied for user";
    Look::with(crowded()).expect_ok().await;
    let looks = [
        (by("native", "guessed", at("/shop")), wrong),
        (by("native", "", at("/shop")), wrong),
        (by("stranger", PASSWORD, at("/shop")), wrong),
        (at("/nowhere"), "1044 (42000) Access denied for user"),
        (by("encrypted", PASSWORD, at("/shop?sslmode=disable")), wrong),
        (crowded(), "1226 (42000) User 'crowded' has exceeded"),
    ];

    is_refused("the log-in", looks).await;
}

#[tokio::test]
async fn a_query_is_asked_and_its_rows_looked_through() {
    let server = mysql();
    let (many, long) =
        ("SELECT seq FROM seq_1_to_5000", "SELECT repeat('x', 1000) FROM seq_1_to_99");

    database::rows_are_looked_through(&*server, many, long).await;
    Look::with(server.asking("DO 1", "")).expect_ok().await;
}

#[tokio::test]
async fn a_query_cannot_write_nor_hide_another_behind_it() {
    let server = mysql();
    let queries = [
        ("INSERT INTO fruit VALUES ('pear', 'green')", "1792 (25006) Cannot execute statement"),
        ("DROP TABLE fruit", "1792 (25006) Cannot execute statement"),
        ("SELECT 1; DROP TABLE fruit", "1064 (42000) You have an error"),
        ("SELECT colour FROM", "1064 (42000) You have an error"),
        ("SELECT * FROM nothing", "1146 (42S02) Table 'shop.nothing' doesn't exist"),
        ("LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE fruit", ""),
    ];

    is_refused("the query", queries.map(|(query, code)| (server.asking(query, ""), code))).await;

    assert_eq!(server.sql("SELECT count(*) FROM shop.fruit"), "2");
}

#[tokio::test]
async fn a_query_that_lasts_is_given_up_here_and_ended_there() {
    let sleeping = "SELECT count(*) FROM information_schema.processlist \
                    WHERE user = 'native' AND info LIKE '%slow%'";

    database::a_query_that_lasts_is_ended(&*mysql(), "SELECT 'slow', sleep(60)", sleeping).await;
}

#[tokio::test]
async fn what_is_no_mysql_is_told_in_time() {
    let told = ["disable", "require"].map(|mode| {
        let at = move |port: u16| {
            let url = format!("mysql://127.0.0.1:{port}/a?sslmode={mode}");
            by("me", PASSWORD, ProbeSpec::at(url))
        };
        hostile::is_told_in_time(at, b"\xff")
    });
    join_all(told).await;
}
