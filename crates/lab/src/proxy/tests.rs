//! Real sockets: a store that says everything twice, and someone who dials it through a proxy.

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, timeout};

use super::*;

const SOON: Duration = Duration::from_secs(5);
/// Long enough to say that nothing comes.
const A_WHILE: Duration = Duration::from_millis(200);

/// Answers each chunk with the same chunk twice, and an end with `bye`.
async fn a_store() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut heard = BytesMut::new();
                while stream.read_buf(&mut heard).await? > 0 {
                    let said = heard.split();
                    stream.write_all(&[&said[..], &said[..]].concat()).await?;
                }
                stream.write_all(b"bye").await
            });
        }
    });
    address
}

async fn a_proxy() -> Proxy {
    Proxy::before(a_store().await).unwrap()
}

async fn dial(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

async fn a_connection(proxy: &Proxy) -> TcpStream {
    let mut stream = dial(proxy).await;
    assert_eq!(ask(&mut stream, b"ab").await, b"abab");
    stream
}

async fn ask(stream: &mut TcpStream, words: &[u8]) -> Vec<u8> {
    stream.write_all(words).await.unwrap();
    hear(stream, words.len() * 2).await
}

async fn hear(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut answer = vec![0; length];
    timeout(SOON, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    answer
}

/// What comes next: bytes, 0 at an end, an error.
async fn next(stream: &mut TcpStream) -> io::Result<usize> {
    timeout(SOON, stream.read(&mut [0; 64])).await.expect("something to happen")
}

async fn is_silent(stream: &mut TcpStream) -> bool {
    timeout(A_WHILE, stream.read(&mut [0; 64])).await.is_err()
}

async fn carries(proxy: &Proxy, count: usize) {
    let carried = async {
        while proxy.carried() != count {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, carried).await.unwrap();
}

#[tokio::test]
async fn fair_weather_carries_everything_and_both_ends() {
    let proxy = a_proxy().await;
    let mut stream = a_connection(&proxy).await;
    let long = vec![b'x'; 300_000];

    assert_eq!(ask(&mut stream, &long).await.len(), 600_000);
    stream.shutdown().await.unwrap();

    assert_eq!(hear(&mut stream, 3).await, b"bye");
    assert_eq!(next(&mut stream).await.unwrap(), 0);
    carries(&proxy, 0).await;
}

#[tokio::test]
async fn a_cut_closes_what_is_open_and_refuses_what_is_new_until_it_is_over() {
    let proxy = a_proxy().await;
    let mut stream = a_connection(&proxy).await;

    proxy.play(Weather::Cut);

    assert_eq!(next(&mut stream).await.unwrap(), 0);
    carries(&proxy, 0).await;
    let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    proxy.play(Weather::Fair);
    let again = async {
        while TcpStream::connect(proxy.address()).await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, again).await.unwrap();
    a_connection(&proxy).await;
}

#[tokio::test]
async fn a_reset_is_one_for_the_old_and_the_new() {
    let proxy = a_proxy().await;
    let mut old = a_connection(&proxy).await;

    proxy.play(Weather::Reset);
    let mut new = dial(&proxy).await;

    for stream in [&mut old, &mut new] {
        assert_eq!(next(stream).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn a_hole_says_nothing_and_what_fell_into_it_never_comes_back() {
    let proxy = a_proxy().await;
    let (mut idle, mut lost) = (a_connection(&proxy).await, a_connection(&proxy).await);

    proxy.play(Weather::Hole(Way::Both));
    let mut new = dial(&proxy).await;
    lost.write_all(b"lost").await.unwrap();
    new.write_all(b"lost").await.unwrap();

    assert!(is_silent(&mut lost).await);
    assert!(is_silent(&mut new).await);
    proxy.play(Weather::Fair);
    for stream in [&mut lost, &mut new] {
        assert_eq!(next(stream).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
    // One that lost nothing has noticed nothing.
    assert_eq!(ask(&mut idle, b"cd").await, b"cdcd");
}

#[tokio::test]
async fn what_was_forgotten_stays_silent_for_good_while_the_new_is_carried() {
    let proxy = a_proxy().await;
    let mut old = a_connection(&proxy).await;

    proxy.play(Weather::Forgetful);
    sleep(A_WHILE).await;
    old.write_all(b"lost").await.unwrap();

    assert!(is_silent(&mut old).await);
    let mut new = a_connection(&proxy).await;
    proxy.play(Weather::Fair);
    assert!(is_silent(&mut old).await);
    assert_eq!(ask(&mut new, b"cd").await, b"cdcd");
    drop(old);
    carries(&proxy, 1).await;
}

#[tokio::test]
async fn a_hole_on_the_way_back_lets_the_store_hear() {
    let proxy = a_proxy().await;
    let mut stream = a_connection(&proxy).await;

    proxy.play(Weather::Hole(Way::Back));
    stream.write_all(b"heard").await.unwrap();

    assert!(is_silent(&mut stream).await);
    assert_eq!(proxy.answers_lost(), 10);
}

#[tokio::test]
async fn a_delay_holds_each_direction_back_and_loses_nothing() {
    let proxy = a_proxy().await;
    let mut stream = a_connection(&proxy).await;
    proxy.play(Weather::Delay(A_WHILE));

    let began = Instant::now();

    assert_eq!(ask(&mut stream, b"slow").await, b"slowslow");
    assert!(began.elapsed() >= A_WHILE * 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_throttle_carries_so_many_bytes_a_second() {
    let proxy = a_proxy().await;
    let mut stream = a_connection(&proxy).await;
    proxy.play(Weather::Throttle(20_000));

    let began = Instant::now();
    ask(&mut stream, &[b'x'; 5000]).await;

    // A quarter of a second there; twice that back, of which the first half overlaps.
    assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());
}

#[tokio::test]
async fn half_closed_one_direction_ends_and_the_other_goes_on() {
    let proxy = a_proxy().await;
    let mut stream = a_connection(&proxy).await;

    proxy.play(Weather::HalfClosed(Way::There));

    // The store has heard an end, and what it says to that still arrives.
    assert_eq!(hear(&mut stream, 3).await, b"bye");
}

#[tokio::test]
async fn the_store_does_not_hear_that_someone_left_in_a_hole_until_it_is_over() {
    let proxy = a_proxy().await;
    let stream = a_connection(&proxy).await;

    proxy.play(Weather::Hole(Way::Both));
    drop(stream);
    sleep(A_WHILE).await;

    assert_eq!(proxy.carried(), 1);
    proxy.play(Weather::Fair);
    carries(&proxy, 0).await;
}

#[tokio::test]
async fn who_dials_a_dead_store_is_reset() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = Proxy::before(nobody).unwrap();

    let mut stream = dial(&proxy).await;

    assert_eq!(next(&mut stream).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_proxy_that_is_gone_carries_nothing() {
    let proxy = a_proxy().await;
    let mut stream = a_connection(&proxy).await;

    drop(proxy);

    assert!(next(&mut stream).await.is_err());
}
