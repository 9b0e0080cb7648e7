//! What changed of targets, on the real store.

use pulse_core::models::traits::{Leaf, Traits};
use serde_json::{Value, json};

use super::world::{World, each, walk};

impl World {
    /// A minute later each check that is due sees this.
    async fn see(&self, traits: Traits) {
        self.later_as(60_000, |result| result.seeing(traits.clone())).await;
    }
}

fn leaf(digit: &str) -> Traits {
    let leaf = Leaf {
        sha256: digit.repeat(64),
        subject: "CN=shop.example".to_owned(),
        issuer: "CN=An authority".to_owned(),
        not_after: "2027-01-02T03:04:05Z".parse().unwrap(),
    };
    Traits { certificate: Some(leaf), ..Traits::default() }
}

#[tokio::test]
async fn changes_are_listed_newest_first_by_kind_and_page_by_page() {
    let world = World::new().await;
    let check = world.a_check(&json!({})).await;
    let to = |url: &str| Traits { redirect: Some(url.to_owned()), ..leaf("a") };
    let at = [[192, 0, 2, 1].into(), [192, 0, 2, 2].into()].to_vec();

    world.see(to("/a")).await;
    assert_eq!(world.get("/changes").await["items"], json!([]));
    world.see(to("/b")).await;
    world.see(leaf("b")).await;
    world.see(Traits { addresses: at[..1].to_vec(), ..Traits::default() }).await;
    world.see(Traits { addresses: at, ..Traits::default() }).await;

    let all = world.get(&format!("{check}/changes")).await;
    assert_eq!(each(&all, "kind"), ["addresses", "certificate", "redirect"]);
    assert_eq!(world.get("/changes").await, all);
    assert_eq!(walk(&world, "/changes?limit=2").await, (each(&all, "id"), 2));
    let before = each(&all, "before");
    let after = each(&all, "after");
    assert_eq!((&before[2]["redirect"], &after[2]["redirect"]), (&json!("/a"), &json!("/b")));
    assert_eq!(
        after[0],
        json!({
            "addresses": ["192.0.2.1", "192.0.2.2"], "certificate": null, "redirect": null,
        })
    );
    assert_eq!(
        after[1]["certificate"],
        json!({
            "sha256": "b".repeat(64), "subject": "CN=shop.example", "issuer": "CN=An authority",
            "not_after": "2027-01-02T03:04:05.000Z",
        })
    );
    let item: &Value = &all["items"][2];
    let runs = world.get(&format!("{check}/runs?limit=4")).await;
    assert_eq!((&item["region"], &item["seen_at"]), (&json!("default"), &runs["items"][3]["slot"]));
    assert_eq!(each(&world.get("/changes?kind=redirect").await, "kind"), ["redirect"]);
}

#[tokio::test]
async fn a_kind_that_is_none_is_told() {
    let world = World::new().await;

    let told = world.client.ask("GET /changes?kind=colour").await;

    assert_eq!(told.status, 400);
    let text = String::from_utf8_lossy(&told.body).into_owned();
    assert!(text.contains("must be one of addresses, certificate, redirect"), "{text}");
}
