//! The program as it is shipped, started in a folder and asked over HTTP.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{sleep, timeout};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pulse");
const PATIENCE: Duration = Duration::from_secs(30);
const PACE: Duration = Duration::from_millis(20);

/// How a process ended that could not begin.
pub struct Refusal {
    pub code: Option<i32>,
    /// All that it said on standard error.
    pub told: String,
}

impl Refusal {
    /// One sentence, with these words.
    pub fn says(&self, code: i32, words: &[&str]) {
        let Self { code: ended, told } = self;
        assert_eq!(*ended, Some(code), "{told}");
        assert!(told.starts_with("pulse: ") && told.trim_end().lines().count() == 1, "{told}");
        for word in words {
            assert!(told.contains(word), "{word:?} is not in {told:?}");
        }
    }
}

/// Starts a process that must end by itself.
pub async fn refused(settings: &[(&str, &str)]) -> Refusal {
    let mut command = program(Command::new(PROGRAM));
    let child = command.envs(settings.iter().copied()).stdout(Stdio::null()).spawn().unwrap();
    let ended = timeout(PATIENCE, child.wait_with_output()).await.expect("it must end").unwrap();
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(!told.contains("panicked"), "{told}");
    Refusal { code: ended.status.code(), told }
}

/// A process that has begun. It ends when dropped.
pub struct Pulse {
    child: Child,
    base: String,
    client: Client,
    log: Arc<Mutex<String>>,
}

impl Pulse {
    /// Starts in a folder, and returns when it is ready.
    pub async fn start(data: &Path) -> Self {
        Self::heard(Command::new(PROGRAM), data).await
    }

    /// The same with settings of its own.
    pub async fn told(data: &Path, settings: &[(&str, &str)]) -> Self {
        // Others in its place would be cleared.
        let mut env = Command::new("env");
        env.args(settings.iter().map(|(name, value)| format!("{name}={value}"))).arg(PROGRAM);
        Self::heard(env, data).await
    }

    /// The same with a bound on the size of each file it writes, as if the disk were that small.
    /// Writing more is an error to it, not its end, and the bound can be lifted.
    pub async fn bounded(data: &Path, kib: u32) -> Self {
        let mut shell = Command::new("bash");
        shell.args(["-c", &format!("trap '' XFSZ; ulimit -S -f {kib}; exec \"$0\""), PROGRAM]);
        Self::heard(shell, data).await
    }

    /// The same when all that it prints is lost.
    pub async fn unheard(data: &Path) -> Self {
        let address = {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap()
        };
        let mut shell = Command::new("bash");
        shell.args(["-c", "exec \"$0\" >/dev/full 2>/dev/full", PROGRAM]);
        let mut command = program(shell);
        command.env("PULSE_DATA", data).env("PORT", address.port().to_string());
        Self::at(command.spawn().unwrap(), format!("http://{address}")).await
    }

    async fn heard(command: Command, data: &Path) -> Self {
        let mut command = program(command);
        let mut child = command.env("PULSE_DATA", data).stdout(Stdio::piped()).spawn().unwrap();
        let mut greeting = BufReader::new(child.stdout.take().unwrap());
        let base = timeout(PATIENCE, address(&mut greeting)).await.expect("it must greet");
        // It is listened to until its end: whether it bears less is another test.
        tokio::spawn(async move { tokio::io::copy(&mut greeting, &mut tokio::io::sink()).await });
        Self::at(child, base).await
    }

    async fn at(mut child: Child, base: String) -> Self {
        let log = Arc::default();
        tokio::spawn(listen(child.stderr.take().unwrap(), Arc::clone(&log)));
        let client = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let mut pulse = Self { child, base, client, log };
        pulse.until("it to be ready", async |pulse| pulse.page("/ready").await.0 == 200).await;
        pulse
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// What it said on standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Looks until something is so, as long as it lives.
    pub async fn until(&mut self, what: &str, so: impl AsyncFn(&Self) -> bool) {
        let begun = Instant::now();
        while !so(self).await {
            assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}:\n{}", self.log());
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended with {ended:?} before {what}:\n{}", self.log());
            sleep(PACE).await;
        }
    }

    /// The status and body of a page; 0 while nobody answers.
    pub async fn page(&self, path: &str) -> (u16, Value) {
        match self.client.get(format!("{}{path}", self.base)).send().await {
            Ok(answer) => (answer.status().as_u16(), answer.json().await.unwrap()),
            Err(_) => (0, Value::Null),
        }
    }

    /// Asks for anything: `PUT /secrets/a`; status and answer as it came.
    pub async fn call(&self, line: &str, body: Option<&Value>) -> (u16, String) {
        let (method, path) = line.split_once(' ').unwrap();
        let asked = self.client.request(method.parse().unwrap(), format!("{}{path}", self.base));
        let asked = match body {
            Some(body) => asked.json(body),
            None => asked,
        };
        let answer = asked.send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Creates a check that looks at this very process, and returns its id.
    pub async fn create(&self, name: &str) -> String {
        let (status, body) = self.post(name, "").await;
        assert_eq!(status, 201, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    /// Asks for a check that sends a body of its own; status and answer.
    pub async fn post(&self, name: &str, sent: &str) -> (u16, Value) {
        let url = format!("{}/health", self.base);
        let check = json!({"name": name, "url": url, "interval_seconds": 1, "body": sent});
        let asked = self.client.post(format!("{}/checks", self.base)).json(&check);
        let answer = asked.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// The ids of all checks, newest first.
    pub async fn checks(&self) -> Vec<String> {
        let (status, body) = self.page("/checks?limit=1000").await;
        assert_eq!(status, 200, "{body}");
        let items = body["items"].as_array().unwrap();
        items.iter().map(|check| check["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Ctrl-C; how it ended.
    pub async fn interrupt(&mut self) -> Option<i32> {
        let kill = format!("kill -INT {}", self.pid());
        assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
        timeout(PATIENCE, self.child.wait()).await.expect("it must end").unwrap().code()
    }
}

/// Told nothing by the environment, and away from any `.env`.
fn program(mut command: Command) -> Command {
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("PORT", "0")
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Where it listens, by its own words.
async fn address(greeting: &mut (impl AsyncBufRead + Unpin)) -> String {
    let mut said = String::new();
    while greeting.read_line(&mut said).await.unwrap() > 0 {
        if let Some((address, _)) =
            said.rsplit_once("listens on ").and_then(|(_, it)| it.split_once(','))
        {
            return address.to_owned();
        }
    }
    panic!("it ended before it said where it listens: {said}")
}

async fn listen(stderr: ChildStderr, log: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut log = log.lock().unwrap();
        log.push_str(&line);
        log.push('\n');
    }
}
