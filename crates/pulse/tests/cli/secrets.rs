//! `pulse secret`.

use serde_json::json;
use tempfile::TempDir;

use crate::binary::rows;
use crate::world::World;

const VALUE: &str = "pl4nted-s3cret";

#[tokio::test]
async fn a_secret_is_set_from_the_standard_input_or_a_file_listed_and_removed() {
    let world = World::new().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, format!("{VALUE}\r\n")).unwrap();

    let set = world.pulse.clone().reading(VALUE).json(&["secret", "set", "b"]).await;
    world.pulse.good(&["secret", "set", "a", "--from-file", file.to_str().unwrap()]).await;
    let listed = world.pulse.good(&["secret", "list"]).await;
    world.pulse.good(&["secret", "remove", "b"]).await;

    assert_eq!(set, json!({"name": "b", "state": "set"}));
    let names: Vec<_> = rows(&listed).iter().map(|row| row[0].to_owned()).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(!listed.contains(VALUE));
    assert_eq!(world.pulse.json(&["secret", "list"]).await, world.get("/secrets").await["items"]);
    let gone = world.pulse.bad(4, &["secret", "remove", "b"]).await;
    assert!(gone.contains("no secret of that name"), "{gone}");
}

#[tokio::test]
async fn what_is_no_secret_is_refused_and_not_repeated() {
    let world = World::new().await;

    for (input, args, told) in [
        ("", vec!["secret", "set", "a"], "must have 1 to"),
        (VALUE, vec!["secret", "set", "a b"], "name must have"),
        (&*VALUE.repeat(2_000), vec!["secret", "set", "a"], "must have 1 to"),
        ("", vec!["secret", "set", "a", VALUE], "unexpected argument"),
    ] {
        let complaint = world.pulse.clone().reading(input).bad(2, &args).await;
        assert!(complaint.contains(told), "{complaint}");
    }
    let complaint = world.pulse.bad(3, &["secret", "set", "a", "--from-file", "/nowhere"]).await;
    assert!(complaint.contains("/nowhere cannot be read"), "{complaint}");
}
