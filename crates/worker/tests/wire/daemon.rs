//! Real servers as a process of their own: on a port from the kernel, in a folder of their own, gone
//! with the test.

use std::ffi::OsString;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::KeyPair;
use tempfile::TempDir;

use crate::tls::Identity;

const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(5);
/// A server whose port is somebody else's has ended by then.
const SETTLED: Duration = Duration::from_millis(100);
/// Somebody may take a port between the kernel's answer and the server's start.
const TRIES: usize = 5;

/// A server that runs.
pub struct Daemon {
    child: Child,
    pub port: u16,
    /// What makes it end in order.
    signal: &'static str,
}

impl Daemon {
    /// Starts what `command` says for a port, until `answers` does. Where the program is missing, the
    /// test fails.
    pub fn start(command: impl Fn(u16) -> Command, answers: impl Fn(u16) -> bool) -> Self {
        for _ in 0..TRIES {
            let port = free_port();
            let mut command = command(port);
            let program = command.get_program().to_owned();
            let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
            let child = child.unwrap_or_else(|error| missing(&program, &error));
            let mut daemon = Self { child, port, signal: "TERM" };
            if daemon.comes_up(&answers) && daemon.stays_up() {
                return daemon;
            }
        }
        panic!("the server came up on none of {TRIES} ports");
    }

    /// This signal ends it in order, and not TERM.
    pub fn ended_by(self, signal: &'static str) -> Self {
        let mut daemon = self;
        daemon.signal = signal;
        daemon
    }

    fn comes_up(&mut self, answers: &impl Fn(u16) -> bool) -> bool {
        let began = Instant::now();
        while began.elapsed() < START {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if answers(self.port) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server did not answer within {START:?}");
    }

    /// Whether it was the server that answered, and not whoever has its port.
    fn stays_up(&mut self) -> bool {
        std::thread::sleep(SETTLED);
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let id = self.child.id().to_string();
        let _sent = Command::new("kill").args(["-s", self.signal, &id]).status();
        let began = Instant::now();
        while began.elapsed() < STOP && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// Says what to do where a server is not installed.
fn missing(program: &OsString, error: &std::io::Error) -> ! {
    panic!("{} cannot be started ({error}): run `make setup`", program.display())
}

pub fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Runs a program to its end, which must be a good one; what it printed.
pub fn run(command: &mut Command) -> String {
    let program = command.get_program().to_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| missing(&program, &error));
    assert!(
        output.status.success(),
        "{}: {}",
        program.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// One that nobody listens on right now.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A certificate and its key in files, for servers to read.
pub struct Files {
    folder: TempDir,
}

impl Files {
    /// Whoever asks for the files writes them.
    pub fn none_yet() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        Self { folder }
    }

    pub fn of(identity: &Identity) -> Self {
        let files = Self::none_yet();
        std::fs::write(files.certificate(), identity.pem()).unwrap();
        std::fs::write(files.key(), KeyPair::serialize_pem(&identity.key)).unwrap();
        files
    }

    pub fn certificate(&self) -> String {
        self.path("certificate.pem")
    }

    pub fn key(&self) -> String {
        self.path("key.pem")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}
