//! What goes into a pipe, and what a terminal is spared.

use std::process::Stdio;

use crate::binary::{Done, Pulse, rows};
use crate::world::World;

fn is_plain(text: &str) -> bool {
    text.chars().all(|c| !c.is_control() || c == '\n' || c == '\t')
        && !text.contains(['│', '─', '┌', '╞'])
}

#[tokio::test]
async fn a_pipe_gets_lines_with_tabs_and_no_decoration() {
    let world = World::new().await;
    world.a_telling_check("shop").await;
    world.later(0, false).await;
    world.attempt_in_vain().await;

    for (args, columns) in [
        (&["check", "list"][..], 7),
        (&["check", "show", "shop"], 2),
        (&["check", "run", "shop"], 7),
        (&["runs", "shop"], 8),
        (&["incidents"], 8),
        (&["deliveries"], 9),
    ] {
        let text = world.pulse.good(args).await;

        assert!(is_plain(&text), "{args:?}: {text:?}");
        assert!(
            !text.is_empty() && rows(&text).iter().all(|row| row.len() == columns),
            "{args:?}: {text}"
        );
    }
}

#[tokio::test]
async fn a_column_is_never_empty_and_never_more_than_one() {
    let world = World::new().await;
    world.a_check(&["--name", "a b", "--body", "one\n\ttwo"]).await;

    let listed = world.pulse.good(&["check", "list"]).await;
    let shown = world.pulse.good(&["check", "show", "a b"]).await;

    assert_eq!(rows(&listed)[0][1..], ["pending", "1m", "-", "a b", "http://shop.test/", "-"]);
    assert!(shown.contains("\nbody\tone  two\n"), "{shown}");
}

#[tokio::test]
async fn no_text_of_others_commands_the_terminal() {
    let world = World::new().await;
    let hostile = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{7f}";
    let told = world.pulse.clone().reading(hostile);
    told.good(&["check", "add", "http://shop.test/", "--name", "a", "--body", "@-"]).await;

    let shown = world.pulse.good(&["check", "show", "a"]).await;
    let json = world.pulse.good(&["--json", "check", "show", "a"]).await;
    let missing = world.pulse.bad(4, &["check", "show", hostile]).await;

    for text in [&shown, &json, &missing] {
        assert!(is_plain(text), "{text:?}");
    }
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["body"], hostile);
}

#[tokio::test]
async fn colours_come_when_they_are_insisted_on_and_never_against_no_color() {
    let world = World::new().await;
    world.a_check(&["--name", "a"]).await;
    world.later(0, true).await;
    let insisting = world.pulse.clone().env("CLICOLOR_FORCE", "1");

    let coloured = insisting.good(&["check", "list"]).await;
    let plain = insisting.env("NO_COLOR", "1").good(&["check", "list"]).await;

    assert!(coloured.contains("\t\u{1b}[32mup\u{1b}[0m\t"), "{coloured:?}");
    assert!(is_plain(&plain), "{plain:?}");
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_error() {
    let world = World::new().await;
    world.a_check(&["--name", "a"]).await;

    for args in [&["check", "list"][..], &["--json", "check", "list"], &["completions", "zsh"]] {
        let mut child = world.pulse.command(args).spawn().unwrap();
        drop(child.stdout.take());
        let done = Done::from(child.wait_with_output().await.unwrap());

        assert_eq!((done.code, done.err.as_str()), (0, ""), "{args:?}");
    }
}

#[tokio::test]
async fn a_full_disk_is_told() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = Pulse::at("http://h").command(&["completions", "bash"]);

    let child = command.stdout(Stdio::from(full)).spawn().unwrap();
    let done = Done::from(child.wait_with_output().await.unwrap());

    assert_eq!(done.code, 3);
    assert!(done.err.starts_with("pulse: the output cannot be written: "), "{}", done.err);
}

#[tokio::test]
async fn completions_are_scripts() {
    let pulse = Pulse::at("http://h");
    let script = pulse.good(&["completions", "bash"]).await;
    let mut bash = tokio::process::Command::new("bash");
    bash.arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped());

    let mut child = bash.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut input, script.as_bytes()).await.unwrap();
    drop(input);
    let done = Done::from(child.wait_with_output().await.unwrap());

    assert_eq!((done.code, done.err.as_str()), (0, ""));
    assert!(script.contains("--webhook-secret-file") && script.contains("deliveries"));
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(pulse.good(&["completions", shell]).await.contains("deliveries"), "{shell}");
    }
    pulse.bad(2, &["completions", "cmd"]).await;
}
