//! What changes of a target between two runs is told by the program as it is shipped.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::process::Pulse;

/// Points to wherever it is told to point.
async fn pointing(to: Arc<Mutex<String>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _request = stream.read(&mut [0; 4096]).await;
            let to = to.lock().unwrap().clone();
            let answer =
                format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
            let _gone = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn a_redirect_that_leads_elsewhere_is_told_once_and_without_its_query() {
    let to = Arc::new(Mutex::new("/home?token=1".to_owned()));
    let url = pointing(Arc::clone(&to)).await;
    let data = TempDir::new().unwrap();
    let mut pulse = Pulse::start(data.path()).await;
    let check = json!({"name": "a", "url": url, "interval_seconds": 1, "expected_status": 302});
    let (status, told) = pulse.call("POST /checks", Some(&check)).await;
    assert_eq!(status, 201, "{told}");
    let check: Value = serde_json::from_str(&told).unwrap();
    let id = check["id"].as_str().unwrap();
    let runs = format!("/checks/{id}/runs");
    let seen = async |pulse: &Pulse| pulse.page(&runs).await.1["items"].as_array().unwrap().len();

    pulse.until("two runs", async |pulse| seen(pulse).await >= 2).await;
    assert_eq!(pulse.page("/changes").await.1["items"], json!([]));
    *to.lock().unwrap() = "/elsewhere?token=2".to_owned();
    let changes = format!("/checks/{id}/changes");
    let told = async |pulse: &Pulse| pulse.page(&changes).await.1["items"].clone();
    pulse.until("the change", async |pulse| told(pulse).await != json!([])).await;
    let so_far = seen(&pulse).await;
    pulse.until("two more", async |pulse| seen(pulse).await >= so_far + 2).await;

    let all = told(&pulse).await;
    assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
    let [before, after] = ["before", "after"].map(|side| all[0][side]["redirect"].clone());
    assert_eq!(
        (&all[0]["kind"], before, after),
        (&json!("redirect"), json!("/home"), json!("/elsewhere"))
    );
    let (_, metrics) = pulse.page("/metrics").await;
    let counted = r#"pulse_changes_total{kind=\"redirect\"}":1"#;
    assert!(metrics.to_string().contains(counted), "{metrics}");
}
