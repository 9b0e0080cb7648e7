//! What a server may say, good and bad; the real one is asked in `tests/wire`.

use std::time::Duration;

use super::super::database::testing::{asking, is_read_or_refused_wherever_it_is_spoilt, saying};
use super::packets::{Cursor, LARGEST, packet, reason, row};
use super::*;

fn greeting(method: &str) -> Vec<u8> {
    let abilities = u32::MAX.to_le_bytes();
    let mut body = vec![10];
    body.extend_from_slice(b"8.4.3\0\x01\0\0\0");
    body.extend_from_slice(b"saltsalt\0");
    body.extend_from_slice(&abilities[..2]);
    body.extend_from_slice(&[45, 2, 0]);
    body.extend_from_slice(&abilities[2..]);
    body.extend_from_slice(&[21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    body.extend_from_slice(b"saltsaltsalt\0");
    body.extend_from_slice(method.as_bytes());
    body.push(0);
    body
}

/// These bodies, numbered from `first` by `step`: during a log-in every second packet is ours.
fn packets_of(first: u8, step: u8, bodies: &[&[u8]]) -> Vec<u8> {
    let numbers = (0..).map(|turn: u8| first.wrapping_add(step.wrapping_mul(turn)));
    bodies.iter().zip(numbers).flat_map(|(body, number)| packet(number, body).unwrap()).collect()
}

const OKAY: &[u8] = &[0, 0, 0, 2, 0, 0, 0];
const ENDED: &[u8] = &[0xfe, 0, 0, 2, 0];
const COLUMN: &[u8] = b"\x03def\0\0\0\x01a\0\x0c\x2d\0\x01\0\0\0\xfd\0\0\0\0\0";

fn rows() -> Vec<u8> {
    let settled = packets_of(1, 1, &[OKAY]).repeat(2);
    let answered = [b"\x02", COLUMN, COLUMN, ENDED, b"\x01a\xfb", b"\0\x02bc", ENDED];
    [settled, packets_of(1, 1, &answered)].concat()
}

fn admitted() -> Vec<u8> {
    packets_of(0, 2, &[&greeting("mysql_native_password"), OKAY])
}

async fn told(said: &[u8]) -> Result<(), String> {
    let probe = Mysql { database: asking("mysql://h/shop", "^a\t\n\tbc$") };
    let mut trace = Trace::begin(Duration::from_secs(1));
    let (stream, _server) = saying(said).await;
    let mut wire = Wire { server: Bounded::new(stream, MOST_BEFORE), number: 0 };
    let walk = async {
        let greeting = log_in::greeted(&mut wire, &mut trace).await?;
        probe.ask(wire, &greeting, false, &mut trace).await
    };
    walk.await.map_err(|failure| failure.sentence)
}

#[tokio::test]
async fn rows_are_lines_and_columns_are_parted_by_tabs() {
    assert_eq!(told(&[admitted(), rows()].concat()).await, Ok(()));
}

#[test]
fn a_greeting_is_taken_apart_and_the_version_is_the_true_one() {
    let mut body = greeting("mysql_native_password");
    let read = Greeting::read(&body).unwrap();
    body.splice(1..6, *b"5.5.5-10.4.7-MariaDB");
    let masked = Greeting::read(&body).unwrap();

    assert_eq!(
        (read.version.as_str(), read.salt.as_slice()),
        ("8.4.3", b"saltsaltsaltsaltsalt".as_slice())
    );
    assert_eq!(
        (read.abilities, read.method.as_slice()),
        (u32::MAX, b"mysql_native_password".as_slice())
    );
    assert_eq!(masked.version, "10.4.7-MariaDB");
}

#[tokio::test]
async fn another_method_is_taken_up_and_one_that_needs_the_password_is_not_without_tls() {
    let native = greeting("mysql_native_password");
    let sha2 = greeting("caching_sha2_password");
    let switch = b"\xfecaching_sha2_password\0saltsaltsaltsaltsalt\0";
    let convinced = [packets_of(0, 2, &[&native, switch]), packets_of(4, 1, &[&[1, 3], OKAY])];
    let wanting = packets_of(0, 2, &[&sha2, &[1, 4]]);

    let convinced = told(&[convinced.concat(), rows()].concat()).await;
    let wanting = told(&wanting).await.unwrap_err();

    assert_eq!(convinced, Ok(()));
    assert!(wanting.contains("not sent without TLS: say sslmode=require"), "{wanting}");
}

#[tokio::test]
async fn a_server_that_says_no_or_something_else_is_told() {
    let native = greeting("mysql_native_password");
    let garbage = "what came back is not MySQL";
    for (said, sentence) in [
        (
            packets_of(0, 2, &[b"\xff\x10\x04Too many connections"]),
            "the server refused the connection: 1040 Too many connections",
        ),
        (
            packets_of(0, 2, &[&native, b"\xff\x15\x04#28000Access denied for \x1b[31m"]),
            "the server refused the log-in: 1045 (28000) Access denied for  [31m",
        ),
        (
            packets_of(0, 2, &[&native, &[0xfe]]),
            "the server asks for a log-in of a kind not known here: mysql_old_password",
        ),
        (
            packets_of(0, 2, &[&native, b"\xfeauth_\x07gssapi\0x"]),
            "the server asks for a log-in of a kind not known here: auth_ gssapi",
        ),
        (packets_of(0, 2, &[&native, &[1, 4]]), garbage),
        (packets_of(0, 2, &[&native, &[0xff, 1]]), garbage),
        (packets_of(0, 2, &[&native, b""]), garbage),
        (packets_of(0, 2, &[&[9, b'x', 0]]), garbage),
        (packets_of(1, 2, &[&native]), garbage),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), garbage),
        (vec![0xff, 0xff, 0xff, 0], garbage),
        // It would have a file of ours.
        ([admitted(), packets_of(1, 1, &[b"\xfb/etc/passwd"])].concat(), garbage),
        (
            [admitted(), packets_of(1, 1, &[b"\xff\xd9\x04#25006no"])].concat(),
            "the server refused to be kept from writing: 1241 (25006) no",
        ),
    ] {
        assert_eq!(told(&said).await.unwrap_err(), sentence, "{}", said.escape_ascii());
    }
}

#[tokio::test]
async fn more_than_is_read_is_not_waited_for() {
    let settled = packets_of(1, 1, &[OKAY]).repeat(2);
    let begun = packets_of(1, 1, &[b"\x01", COLUMN, ENDED, b"\x01z"]);
    let huge = [admitted(), settled.clone(), begun, vec![0xff, 0xff, 0x7f, 5]].concat();
    let row = [&[0xfc, 0xe8, 0x03], [b'x'; 1000].as_slice()].concat();
    let many: Vec<&[u8]> =
        [b"\x01" as &[u8], COLUMN, ENDED].into_iter().chain([&row[..]; 90]).collect();
    let many = [admitted(), settled, packets_of(1, 1, &many)].concat();

    for said in [huge, many] {
        let unmet = "what was expected is not in the first 64 KiB of the reply";
        assert_eq!(told(&said).await.unwrap_err(), unmet);
    }
}

#[tokio::test]
async fn what_is_cut_or_spoilt_anywhere_is_read_or_refused_and_nothing_worse() {
    let whole = [admitted(), rows()].concat();

    is_read_or_refused_wherever_it_is_spoilt(&whole, told).await;
}

#[test]
fn a_length_says_itself_how_long_it_is() {
    for (bytes, length) in [
        (&[0xfa_u8] as &[u8], Some(250)),
        (&[0xfc, 1, 2], Some(0x201)),
        (&[0xfd, 1, 2, 3], Some(0x0003_0201)),
        (&[0xfe, 1, 0, 0, 0, 0, 0, 0, 0x80], Some(0x8000_0000_0000_0001)),
        (&[0xfb], None),
        (&[0xff], None),
        (&[0xfc, 1], None),
        (&[], None),
    ] {
        assert_eq!(Cursor::new(bytes).length(), length, "{bytes:?}");
    }
}

#[test]
fn a_row_is_a_line_and_what_is_cut_is_none() {
    assert_eq!(row(b"\x01a\xfb\x02bc"), Some(b"a\t\tbc".to_vec()));
    assert_eq!(row(b""), Some(Vec::new()));
    for cut in [b"\x02a" as &[u8], b"\xfc\x01", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xffa", b"\xff"] {
        assert_eq!(row(cut), None, "{cut:?}");
    }
}

#[test]
fn an_error_has_a_number_and_may_have_a_state() {
    let told = |body: &[u8]| reason(body);

    assert_eq!(told(b"\xff\x15\x04#28000no").as_deref(), Some("1045 (28000) no"));
    assert_eq!(told(b"\xff\x10\x04no").as_deref(), Some("1040 no"));
    assert_eq!((told(b"\xff\x10"), told(b"\xff\x10\x04#280"), told(b"\x00")), (None, None, None));
}

#[test]
fn a_packet_tells_its_length_and_its_number_and_is_never_two() {
    assert_eq!(packet(3, b"ab"), Some(vec![2, 0, 0, 3, b'a', b'b']));
    assert_eq!(packet(0, &vec![0; LARGEST]), None);
}
