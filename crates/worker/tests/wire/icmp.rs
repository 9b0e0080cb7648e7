//! Looks by an echo: `icmp`. What needs a network of its own is in the tests of `pulse probe`.

use futures_util::future::join_all;
use pulse_core::models::run::Outcome;

use crate::looking::Look;

#[tokio::test]
async fn a_host_that_answers_is_well_and_the_round_trip_is_the_first_byte() {
    for host in ["127.0.0.1", "localhost"] {
        let (outcome, seen, evidence) = Look::at(format!("icmp://{host}")).closely().await;

        assert_eq!(outcome, Outcome::Ok, "{seen:?}");
        assert!(seen.phases.first_byte_us.is_some_and(|us| us > 0), "{seen:?}");
        assert!(seen.phases.first_byte_us <= seen.phases.total_us, "{seen:?}");
        assert_eq!((seen.phases.connect_us, seen.status_code), (None, None));
        assert!(seen.address.is_some_and(|address| address.is_loopback()));
        assert_eq!(evidence.facts, [("sent".to_owned(), "1".to_owned())]);
    }
}

#[tokio::test]
async fn many_that_call_the_same_host_each_hear_their_own_answer() {
    let looks = (0..50).map(|_| Look::at("icmp://127.0.0.1").expect_ok());

    for seen in join_all(looks).await {
        assert!(seen.phases.first_byte_us.is_some(), "{seen:?}");
    }
}
