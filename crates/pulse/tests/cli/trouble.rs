//! What goes wrong, how it is told, and how the process ends.

use pulse_core::models::scheme::Scheme;

use crate::binary::Pulse;
use crate::world::World;

const NOBODY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[tokio::test]
async fn what_is_not_there_ends_with_4() {
    let world = World::new().await;

    for args in [
        &["check", "show", NOBODY][..],
        &["check", "show", "nobody"],
        &["check", "show", ""],
        &["check", "show", &"x".repeat(5_000)],
        &["check", "edit", "nobody", "--name", "b"],
        &["check", "pause", NOBODY],
        &["runs", "nobody"],
        &["incidents", "--check", "nobody"],
        &["deliveries", "--replay", NOBODY],
    ] {
        let told = world.pulse.bad(4, args).await;
        assert!(told.starts_with("pulse: ") && told.lines().count() == 1, "{told}");
    }
}

#[tokio::test]
async fn what_the_server_refuses_is_told_field_by_field_and_ends_with_2() {
    let world = World::new().await;

    let one = world.pulse.bad(2, &["check", "add", "shop.test"]).await;
    let two =
        world.pulse.bad(2, &["check", "add", "shop.test", "--timeout", "2m", "--name", ""]).await;

    let of_url = format!("url must be an absolute URL that begins with {}", Scheme::known());
    assert_eq!(one, format!("pulse: {of_url}.\n"));
    let lines: Vec<_> = two.lines().collect();
    assert_eq!(lines[0], "pulse: Some fields are not right:");
    assert!(lines[1].starts_with("  name must have 1 to 200"), "{two}");
    assert_eq!(lines[2], format!("  {of_url}"));
    assert!(lines[3].starts_with("  timeout_ms must be from 1 to 300000 and less"), "{two}");
    assert_eq!(lines.len(), 4);
}

#[tokio::test]
async fn a_paused_check_is_not_run() {
    let world = World::new().await;
    let id = world.a_check(&["--name", "shop", "--paused"]).await;

    let told = world.pulse.bad(2, &["check", "run", "shop"]).await;

    let expected = format!("pulse: shop ({id}): The check is paused; resume it to run it.\n");
    assert_eq!(told, expected);
}

#[tokio::test]
async fn wrong_usage_ends_with_2() {
    let pulse = Pulse::at("http://127.0.0.1:1");

    for args in [
        &["check"][..],
        &["check", "add"],
        &["check", "pause"],
        &["check", "list", "--status", "sick"],
        &["check", "list", "--limit", "0"],
        &["check", "add", "http://h", "--interval", "10"],
        &["check", "add", "http://h", "--interval", "1500ms"],
        &["check", "add", "http://h", "--expect", "ok"],
        &["check", "add", "http://h", "--header", "novalue"],
        &["check", "add", "http://h", "--webhook-secret-file", "/no/such/file"],
        &["check", "add", "http://h", "--webhook-secret=a", "--webhook-secret-file=b"],
        &["--url", "localhost:8080", "check", "list"],
        &["--token", "a\nb", "check", "list"],
        &["frobnicate"],
    ] {
        let told = pulse.bad(2, args).await;
        assert!(!told.contains("panicked"), "{told}");
    }
}
