//! `pulse incidents` and `pulse deliveries`.

use serde_json::json;

use crate::binary::rows;
use crate::world::World;

const MINUTE: i64 = 60_000;
const NOBODY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// `shop` was down and recovered, `mail` is down.
async fn a_bad_day(world: &World) -> (String, String) {
    let shop = world.a_telling_check("shop").await;
    world.later(0, false).await;
    world.later(2 * MINUTE, true).await;
    let mail = world.a_telling_check("mail").await;
    world.pulse.good(&["check", "pause", "shop"]).await;
    world.later(MINUTE, false).await;
    (shop, mail)
}

#[tokio::test]
async fn incidents_of_all_checks_are_listed_by_the_names_of_the_checks() {
    let world = World::new().await;
    let (shop, mail) = a_bad_day(&world).await;

    let all = world.pulse.good(&["incidents"]).await;
    let rows = rows(&all);

    let told: Vec<_> = rows.iter().map(|row| [row[1], row[2], row[5], row[6]]).collect();
    let cause = "status 500, expected any 2xx";
    assert_eq!(told, [[&mail, "open", "mail", cause], [&shop, "recovered", "shop", cause]]);
    assert_eq!((rows[0][4], rows[1][3]), ("-", "2026-09-21T14:13:20.000Z"));
    assert_eq!(world.pulse.json(&["incidents"]).await, world.get("/incidents").await["items"]);
}

#[tokio::test]
async fn incidents_can_be_narrowed_to_a_check_and_to_those_that_last() {
    let world = World::new().await;
    a_bad_day(&world).await;
    let names = async |args: &[&str]| {
        let listed = world.pulse.good(&[&["incidents"], args].concat()).await;
        rows(&listed).iter().map(|row| row[5].to_owned()).collect::<Vec<_>>()
    };

    assert_eq!(names(&["--open"]).await, ["mail"]);
    assert_eq!(names(&["--check", "shop"]).await, ["shop"]);
    assert_eq!(names(&["--check", "shop", "--open"]).await, [""; 0]);
    assert_eq!(names(&["--limit", "1"]).await, ["mail"]);
    world.pulse.bad(4, &["incidents", "--check", "nobody"]).await;
}

#[tokio::test]
async fn the_incident_of_a_deleted_check_is_listed_by_its_id() {
    let world = World::new().await;
    let (shop, _) = a_bad_day(&world).await;
    world.pulse.good(&["check", "delete", "shop"]).await;

    let all = world.pulse.good(&["incidents"]).await;

    assert_eq!(rows(&all)[1][5], shop);
}

#[tokio::test]
async fn deliveries_are_listed_attempt_by_attempt() {
    let world = World::new().await;
    let shop = world.a_telling_check("shop").await;
    world.a_telling_check("mail").await;
    world.later(0, false).await;
    let delivered = world.attempt_in_vain().await;
    assert_eq!(delivered.len(), 2);

    let all = world.pulse.good(&["deliveries"]).await;
    let of_shop = world.pulse.good(&["deliveries", "--check", "shop"]).await;

    assert_eq!(rows(&all).len(), 2);
    let row = &rows(&of_shop)[0];
    assert!(delivered.iter().any(|id| id.to_string() == row[0]));
    assert_eq!(
        [row[1], row[2], row[3], row[5], row[6], row[7], row[8]],
        ["dead", "opened", "1", "12", &shop, "503", "http://shop.test/hook"]
    );
    assert_eq!(rows(&world.pulse.good(&["deliveries", "--limit", "1"]).await).len(), 1);
    assert_eq!(world.pulse.json(&["deliveries"]).await, world.get("/deliveries").await["items"]);
}

#[tokio::test]
async fn a_delivery_is_sent_again_when_asked_for_by_its_id() {
    let world = World::new().await;
    world.a_telling_check("shop").await;
    world.a_telling_check("mail").await;
    world.pulse.good(&["check", "pause", "mail"]).await;
    world.later(0, false).await;
    let id = world.attempt_in_vain().await[0];
    let text = id.to_string();

    let replayed = world.pulse.good(&["deliveries", "--replay", &text]).await;
    assert_eq!(replayed, format!("delivery_id\t{text}\nstate\tpending\n"));
    assert_eq!(world.attempt_in_vain().await, [id]);

    let of_shop = ["deliveries", "--check", "shop", "--replay", &text];
    assert_eq!(world.pulse.json(&of_shop).await, json!({"delivery_id": text, "state": "pending"}));
    assert_eq!(world.attempt_in_vain().await, [id]);

    let told = world.pulse.bad(4, &["deliveries", "--check", "mail", "--replay", &text]).await;
    assert!(told.contains("of this check"), "{told}");
    world.pulse.bad(4, &["deliveries", "--replay", NOBODY]).await;
    world.pulse.bad(2, &["deliveries", "--replay", "shop"]).await;
    assert!(world.attempt_in_vain().await.is_empty());
}

#[tokio::test]
async fn an_incident_is_shown_seen_to_written_on_and_resolved() {
    let world = World::new().await;
    world.a_telling_check("shop").await;
    world.later(0, false).await;
    let id = rows(&world.pulse.good(&["incidents"]).await)[0][0].to_owned();
    let state = async || rows(&world.pulse.good(&["incidents"]).await)[0][2].to_owned();

    let acked = ["incident", "ack", &id, "--by", "Ada", "--note", "on it"];
    assert!(world.pulse.good(&acked).await.contains("acknowledged_by\tAda"));
    assert_eq!(state().await, "acknowledged");
    assert_eq!(world.pulse.json(&["incidents", "--status", "acknowledged"]).await[0]["id"], *id);
    world.pulse.good(&["incident", "unack", &id]).await;
    assert_eq!(state().await, "open");
    world.pulse.good(&["incident", "note", &id, "the disk is full", "--by", "Bob"]).await;
    world.pulse.good(&["incident", "resolve", &id]).await;
    assert_eq!(state().await, "resolved");

    let shown = world.pulse.good(&["incident", "show", &id]).await;
    let told: Vec<_> = rows(&shown).iter().map(|row| [row[1], row[2], row[3]].join("|")).collect();
    let cause = "status 500, expected any 2xx";
    assert_eq!(
        told,
        [
            &format!("failed|-|{cause}"),
            &format!("opened|-|{cause}"),
            "told|-|opened: 0 of 1 delivered",
            "acknowledged|Ada|on it",
            "unacknowledged|-|-",
            "note|Bob|the disk is full",
            "resolved|-|-",
            "told|-|resolved: 0 of 1 delivered",
        ]
    );
    world.pulse.bad(4, &["incident", "show", NOBODY]).await;
    world.pulse.bad(2, &["incident", "ack", "shop"]).await;
}

#[tokio::test]
async fn an_incident_that_no_check_sees_is_opened_by_hand() {
    let world = World::new().await;

    let open = ["incident", "open", "Tills", "--cause", "they are slow", "--severity", "degraded"];
    world.pulse.good(&[&open[..], &["--tag", "shop", "--by", "Ada"]].concat()).await;

    let listed = world.pulse.good(&["incidents", "--tag", "shop"]).await;
    let row = &rows(&listed)[0];
    assert_eq!([row[1], row[2], row[5], row[6]], ["-", "open", "Tills", "they are slow"]);
    assert_eq!(world.pulse.json(&["incidents"]).await, world.get("/incidents").await["items"]);
    world.pulse.bad(2, &["incident", "open", "Tills"]).await;
}
