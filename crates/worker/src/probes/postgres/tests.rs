//! What a server may say, good and bad; the real one is asked in `tests/wire`.

use std::time::Duration;

use super::super::database::testing::{asking, is_read_or_refused_wherever_it_is_spoilt, saying};
use super::*;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind], &length[..], body].concat()
}

fn admitted() -> Vec<u8> {
    [
        message(b'R', &[0, 0, 0, 0]),
        message(b'S', b"server_version\x0015.4 (x)\0"),
        message(b'K', &[0, 0, 0, 1, 0, 0, 0, 2]),
        message(b'Z', b"I"),
    ]
    .concat()
}

fn answered() -> Vec<u8> {
    [
        message(b'1', b""),
        message(b'2', b""),
        message(b'D', b"\0\x03\0\0\0\x01a\xff\xff\xff\xff\0\0\0\x02bc"),
        message(b'D', b"\0\x01\0\0\0\x01d"),
        message(b'C', b"SELECT 2\0"),
        message(b'Z', b"T"),
    ]
    .concat()
}

fn refusal(fields: &[u8]) -> Vec<u8> {
    message(b'E', fields)
}

async fn told(said: &[u8]) -> Result<(), String> {
    let probe = Postgres { database: asking("postgres://h/shop", "^a\t\tbc\nd$") };
    let mut trace = Trace::begin(Duration::from_secs(1));
    let (stream, _server) = saying(said).await;
    probe.ask(Box::new(stream), &mut trace).await.map_err(|failure| failure.sentence)
}

#[tokio::test]
async fn rows_are_lines_and_columns_are_parted_by_tabs() {
    assert_eq!(told(&[admitted(), answered()].concat()).await, Ok(()));
}

#[tokio::test]
async fn a_server_that_says_no_or_something_else_is_told() {
    let sasl =
        |rest: &[u8]| [message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0").as_slice(), rest].concat();
    let scram = |what: u8, text: &str| message(b'R', &[&[0, 0, 0, what], text.as_bytes()].concat());
    for (said, sentence) in [
        (
            refusal(b"SFATAL\0C57P03\0Mthe database system is starting up\0\0"),
            "the server refused the log-in: 57P03 the database system is starting up",
        ),
        (refusal(b"nonsense"), "the server refused the log-in: an error without a code"),
        (
            [admitted(), refusal(b"C42P01\0Mno \x1b[31m relation\0\0")].concat(),
            "the server refused the query: 42P01 no  [31m relation",
        ),
        (message(b'Z', b"I"), "what came back is not PostgreSQL"),
        (message(b'?', b""), "what came back is not PostgreSQL"),
        (message(b'R', &[0, 0, 0, 99]), "what came back is not PostgreSQL"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "what came back is not PostgreSQL"),
        (vec![b'R', 0, 0, 0, 3], "what came back is not PostgreSQL"),
        (
            message(b'R', &[0, 0, 0, 7]),
            "the server asks for a log-in other than SCRAM-SHA-256, md5 or password",
        ),
        (
            message(b'R', b"\0\0\0\x0aOAUTHBEARER\0\0"),
            "the server asks for a log-in other than SCRAM-SHA-256, md5 or password",
        ),
        // Letting in whoever asks, in the middle of a proof, proves nothing.
        (sasl(&message(b'R', &[0, 0, 0, 0])), "what came back is not PostgreSQL"),
        (
            sasl(&scram(11, "r=x,s=AAAA,i=4096")),
            "the server did not prove that it knows the password",
        ),
        (
            sasl(&scram(11, "r=,s=,i=999999999")),
            "the server did not prove that it knows the password",
        ),
        (sasl(&scram(12, "v=AAAA")), "the server did not prove that it knows the password"),
        (scram(11, "r=x,s=AAAA,i=4096"), "what came back is not PostgreSQL"),
        (
            [admitted(), message(b'H', &[0, 0, 0])].concat(),
            "the query copies instead of answering with rows",
        ),
        ([admitted(), message(b'D', &[0, 9, 0])].concat(), "what came back is not PostgreSQL"),
    ] {
        assert_eq!(told(&said).await.unwrap_err(), sentence, "{}", said.escape_ascii());
    }
}

#[tokio::test]
async fn more_than_is_read_is_not_waited_for() {
    let huge =
        [admitted(), message(b'D', b"\0\x01\0\0\0\x01z"), vec![b'D', 0x7f, 0, 0, 0]].concat();
    let many = [
        admitted(),
        message(b'D', &[b"\0\x01\0\0\x03\xe8", [b'x'; 1000].as_slice()].concat()).repeat(100),
    ];

    for said in [huge, many.concat()] {
        let unmet = "what was expected is not in the first 64 KiB of the reply";
        assert_eq!(told(&said).await.unwrap_err(), unmet);
    }
}

#[tokio::test]
async fn what_is_cut_or_spoilt_anywhere_is_read_or_refused_and_nothing_worse() {
    let whole = [admitted(), answered()].concat();

    is_read_or_refused_wherever_it_is_spoilt(&whole, told).await;
}
