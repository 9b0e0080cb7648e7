//! Looks by an echo in networks of their own, where nobody answers, nothing leads anywhere, or nothing is
//! permitted.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::Stdio;

use pulse_core::models::scheme::Scheme;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::probing::{Probed, end_of};

/// A network has no loopback before it is up, and takes no groups into account before it is told some.
const UP: &str = "ip link set lo up";
const MUTE: &str = "echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all; echo 1 >/proc/sys/net/ipv6/icmp/echo_ignore_all";
/// Answers echoes in place of the system, with the byte at `AT` changed, from when it says that it is ready.
const IMPOSTOR: &str = r#"
import signal, socket, sys
signal.alarm(30)
at = int(sys.argv[1])
hears = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
print("ready", flush=True)
while True:
    packet, sender = hears.recvfrom(2048)
    message = bytearray(packet[20:])
    if message[0] != 8:
        continue
    message[0:4] = bytes(4)
    if at:
        message[at] ^= 0x40
    total = sum(message[i] << 8 | message[i + 1] for i in range(0, len(message), 2))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    message[2:4] = (~total & 0xffff).to_bytes(2, "big")
    hears.sendto(message, sender)
"#;
const UNPRIVILEGED: &str = "setpriv --bounding-set=-net_raw --inh-caps=-net_raw --";

/// A look by `pulse probe` in a new network, after `first` was done there, started by `by`.
async fn probe(first: &[&str], by: &str, arguments: &[&str]) -> Value {
    let enter = r#"if [ "$(id -u)" = 0 ]; then exec unshare --net "$@"
        else exec unshare --user --map-root-user --net "$@"; fi"#;
    let then = format!("set -e\n{}\n{by} \"$@\"", first.join("\n"));
    let mut command = Command::new("sh");
    command.args([
        "-c",
        enter,
        "sh",
        "sh",
        "-c",
        &then,
        "sh",
        env!("CARGO_BIN_EXE_pulse"),
        "probe",
    ]);
    command.args(arguments).arg("--json").kill_on_drop(true).stdin(Stdio::null());
    let probed = Probed::from(end_of(command).await);
    assert_eq!(probed.stderr, "", "{probed:?}");
    let [look]: [Value; 1] = probed.objects().try_into().unwrap();
    assert_eq!(probed.code == 0, look["outcome"] == "ok", "{look}");
    note(arguments[0], &look);
    look
}

/// Writes down what a look came to, for `make kinds`, if somebody asks for it.
fn note(url: &str, look: &Value) {
    let Some(file) = std::env::var_os("PULSE_LOOKS") else {
        return;
    };
    let phases = look["phases_ms"].as_object().unwrap().iter();
    let phases =
        phases.filter_map(|(name, ms)| Some((format!("{name}_us"), ms.as_f64()? * 1000.0)));
    let line = json!({
        "kind": url.split("://").next(),
        "test": std::thread::current().name(),
        "outcome": look["outcome"],
        "reason": look["reason"],
        "detail": look["detail"],
        "phases": phases.collect::<Value>(),
        "error": look["error"],
    });
    let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Outcome, reason and detail, and the sentence.
fn told(look: &Value) -> ([&str; 3], &str) {
    let text = |name: &str| look[name].as_str().unwrap_or_default();
    (["outcome", "reason", "detail"].map(text), text("error"))
}

const WAITED: [&str; 3] = ["fail", "timeout", "while_waiting"];
const UNREACHABLE: [&str; 3] = ["fail", "connect", "unreachable"];
const WELL: ([&str; 3], &str) = (["ok", "", ""], "");

#[tokio::test]
async fn a_host_that_never_answers_is_called_again_each_second() {
    for url in ["icmp://127.0.0.1", "icmp://[::1]"] {
        let probed = probe(&[UP, MUTE], "", &[url, "--timeout", "1900ms"]).await;

        let sentence = "timed out after 1900 ms while waiting for the first byte";
        assert_eq!(told(&probed), (WAITED, sentence));
        assert_eq!(probed["facts"], json!([{"name": "sent", "value": "2"}]));
    }
}

#[tokio::test]
async fn an_answer_to_anothers_echo_is_never_taken_for_ours() {
    let (nothing, identifier, sequence, first_of_token, last_of_token) = (0, 5, 7, 8, 39);
    let looking_at = async |changed: usize, timeout: &str| {
        let home = tempfile::tempdir().unwrap();
        let script = home.path().join("impostor.py");
        std::fs::write(&script, IMPOSTOR).unwrap();
        let ready = home.path().join("ready");
        let start = format!(
            "mkfifo {ready}\npython3 {script} {changed} >{ready} &\ntrap \"kill $!\" EXIT\nread _word <{ready}",
            ready = ready.display(),
            script = script.display(),
        );
        probe(&[UP, MUTE, &start], "", &["icmp://127.0.0.1", "--timeout", timeout]).await
    };

    assert_eq!(told(&looking_at(nothing, "2s").await), WELL);
    for changed in [identifier, sequence, first_of_token, last_of_token] {
        let probed = looking_at(changed, "300ms").await;

        let sentence = "timed out after 300 ms while waiting for the first byte";
        assert_eq!(told(&probed), (WAITED, sentence), "byte {changed}");
    }
}

/// What to look at, with the least that a kind needs.
fn at(scheme: Scheme, host: &str) -> Vec<String> {
    let log_in = "auth={\"type\": \"basic\", \"username\": \"me\", \"password\": \"hush-hush\"}";
    match scheme {
        Scheme::Icmp => vec![format!("icmp://{host}")],
        Scheme::Dns => vec![format!("dns://{host}/shop.example")],
        Scheme::Postgres | Scheme::Mysql => {
            vec![format!("{scheme}://{host}/shop"), "--field".to_owned(), log_in.to_owned()]
        }
        _ => vec![format!("{scheme}://{host}:9")],
    }
}

#[tokio::test]
async fn where_no_way_leads_the_host_is_unreachable_whatever_the_kind() {
    for scheme in Scheme::looked_at() {
        let arguments = at(scheme, "192.0.2.1");
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();

        let probed = probe(&[UP], "", &arguments).await;

        assert_eq!(told(&probed), (UNREACHABLE, "the network is unreachable"), "{scheme}");
    }
    let probed = probe(&[UP], "", &["icmp://[2001:db8::1]"]).await;
    assert_eq!(told(&probed), (UNREACHABLE, "the network is unreachable"));
    let cut_off = "ip route add unreachable 192.0.2.1";
    let probed = probe(&[UP, cut_off], "", &["icmp://192.0.2.1"]).await;
    assert_eq!(told(&probed), (UNREACHABLE, "the host is unreachable"));
}

#[tokio::test]
async fn either_permission_will_do_and_without_both_nothing_is_known() {
    let group = "echo 0 0 >/proc/sys/net/ipv4/ping_group_range";
    for url in ["icmp://127.0.0.1", "icmp://[::1]"] {
        let by_group = probe(&[UP, group], UNPRIVILEGED, &[url]).await;
        let by_privilege = probe(&[UP], "", &[url]).await;
        let by_none = probe(&[UP], UNPRIVILEGED, &[url]).await;

        assert_eq!((told(&by_group), told(&by_privilege)), (WELL, WELL));
        let sentence = "this worker may not send echoes: it needs its group in net.ipv4.ping_group_range, or CAP_NET_RAW";
        assert_eq!(told(&by_none), (["inconclusive", "unsupported", ""], sentence));
    }
}
