//! No address is met by more at once than may be, and whose turn does not come is told as ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::Utc;
use futures_util::future::join_all;
use prometheus::IntCounter;
use pulse_core::models::address::AddressPolicy;
use pulse_core::models::alert::Settlement;
use pulse_core::models::probe_spec::ProbeSpec;
use pulse_core::models::run::{InconclusiveReason, Outcome};
use pulse_core::models::scheme::Scheme;
use pulse_worker::egress::{Admission, Egress, Waiting};
use pulse_worker::notifiers::Notifier;
use rustls::RootCertStore;
use tokio::io::AsyncWriteExt;

use crate::every_kind::at;
use crate::looking::{Look, get};
use crate::servers::Server;
use crate::webhook::a_delivery;

const CAPPED: Outcome = Outcome::Inconclusive(InconclusiveReason::Capped);
const WELL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn limited(most: usize) -> (Egress, IntCounter) {
    let waits = IntCounter::new("waits", "Waits.").unwrap();
    let egress = Egress::with_roots(RootCertStore::empty(), AddressPolicy::open()).unwrap();
    (egress.limited(most, waits.clone()), waits)
}

/// Answers after a while, and counts how many wait for that at once.
async fn slow() -> (Server, Arc<AtomicUsize>) {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let server = Server::after_request(move |mut stream| {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            let _gone = stream.write_all(WELL.as_bytes()).await;
        }
    });
    (server.await, seen)
}

/// The one place at 127.0.0.1, for as long as it is kept.
async fn hold(egress: &Egress) -> Admission {
    let waiting = Waiting::default();
    let addresses =
        egress.resolve(&url::Host::parse("127.0.0.1").unwrap(), &waiting).await.unwrap();
    egress.admit(&addresses, &waiting).await
}

/// A check of each kind at one address, whatever is there.
fn every_kind(port: u16) -> Vec<ProbeSpec> {
    Scheme::looked_at().map(|scheme| at(scheme, "127.0.0.1", port)).collect()
}

#[tokio::test]
async fn looks_at_one_address_take_turns_and_all_are_well() {
    let (server, most) = slow().await;
    let (egress, waits) = limited(3);

    let looks = (0..12).map(|_| Look::at(server.url()).through(egress.clone()).expect_ok());
    join_all(looks).await;

    assert_eq!(most.load(Ordering::SeqCst), 3);
    assert_eq!(waits.get(), 9);
}

#[tokio::test]
async fn whose_turn_does_not_come_is_inconclusive_whatever_its_kind() {
    let server = Server::answering(WELL).await;
    let (egress, waits) = limited(1);
    let place = hold(&egress).await;

    let kinds = every_kind(server.port());
    let looks = kinds.iter().map(|spec| async {
        let url = &spec.url;
        let look = Look::with(spec.clone()).within(700);
        let (outcome, seen) = look.through(egress.clone()).once().await;
        assert_eq!(outcome, CAPPED, "{url}: {seen:?}");
        let told =
            "its turn did not come within 700 ms: as much as may be was under way to the address";
        assert_eq!(seen.error.as_deref(), Some(told), "{url}");
    });
    join_all(looks).await;

    assert_eq!(waits.get(), kinds.len() as u64);
    assert!(server.requests.all().is_empty());
    drop(place);
    Look::at(server.url()).through(egress).expect_ok().await;
}

#[tokio::test]
async fn a_crowd_at_one_address_holds_up_nobody_elsewhere() {
    let elsewhere = Server::on("127.0.0.2:0", |mut stream| async move {
        crate::servers::read_request(&mut stream).await;
        let _gone = stream.write_all(WELL.as_bytes()).await;
    });
    let elsewhere = elsewhere.await.unwrap();
    let (egress, waits) = limited(1);
    let _place = hold(&egress).await;

    Look::at(elsewhere.url()).through(egress).expect_ok().await;

    assert_eq!(waits.get(), 0);
}

#[tokio::test]
async fn a_look_gives_its_place_back_before_it_is_led_on() {
    let there = Server::answering(WELL).await;
    let to =
        format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", there.url());
    let here = Server::answering(to).await;
    let (egress, waits) = limited(1);

    let spec = ProbeSpec { max_redirects: 1, ..get(here.url()) };
    Look::with(spec).through(egress).expect_ok().await;

    assert_eq!(waits.get(), 0);
}

#[tokio::test]
async fn webhooks_take_turns_with_everything_else() {
    let (receiver, most) = slow().await;
    let (egress, waits) = limited(1);
    let notifier = Notifier::new(&egress).unwrap();
    let delivery = a_delivery(receiver.url());
    let now = Utc::now().timestamp();
    let place = hold(&egress).await;

    let sending = (0..4).map(|_| notifier.send(&delivery, now));
    let leaving = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(place);
    };
    let (sent, ()) = tokio::join!(join_all(sending), leaving);

    assert!(sent.iter().all(|it| it.settlement == Settlement::Delivered), "{sent:?}");
    assert_eq!((most.load(Ordering::SeqCst), waits.get()), (1, 4));
}

#[tokio::test]
async fn a_webhook_whose_turn_does_not_come_is_tried_again_later() {
    let receiver = Server::answering(WELL).await;
    let (egress, _waits) = limited(1);
    let notifier = Notifier::new(&egress).unwrap();
    let _place = hold(&egress).await;

    let outcome = notifier.send(&a_delivery(receiver.url()), Utc::now().timestamp()).await;

    assert!(matches!(outcome.settlement, Settlement::RetryIn(_)), "{outcome:?}");
    let told = "no connection: as much as may be is under way to the address";
    assert_eq!(outcome.report.error.as_deref(), Some(told));
    assert!(receiver.requests.all().is_empty());
}
