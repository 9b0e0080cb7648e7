//! A real nginx, with a configuration of its own and ports that the kernel chose.

use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use crate::tls::Identity;

const BEGINS_WITHIN: Duration = Duration::from_secs(10);
/// Somebody else may take a port between our asking for it and nginx taking it.
const TRIES: usize = 5;

/// It ends when dropped.
pub struct Nginx {
    process: Child,
    _home: TempDir,
    /// HTTP/2 to those who know beforehand.
    pub h2c: u16,
    /// HTTP/1.1 without TLS.
    pub plain: u16,
    /// Both over TLS.
    pub tls: u16,
    /// HTTP/1.1 over TLS.
    pub old_tls: u16,
}

impl Nginx {
    /// `locations` are those of every port.
    pub fn start(identity: &Identity, locations: &str) -> Self {
        (0..TRIES)
            .find_map(|_| Self::try_start(identity, locations))
            .expect("nginx does not begin; if it is not installed, run: make setup")
    }

    fn try_start(identity: &Identity, locations: &str) -> Option<Self> {
        let home = TempDir::new().unwrap();
        let ports = free_ports();
        write_identity(home.path(), identity);
        fs::write(home.path().join("big"), "x".repeat(1_000_000)).unwrap();
        fs::write(home.path().join("nginx.conf"), configuration(ports, locations)).unwrap();
        let mut nginx = Command::new("nginx");
        nginx.arg("-p").arg(home.path()).args(["-c", "nginx.conf", "-e", "stderr"]);
        let process = nginx.stderr(Stdio::piped()).spawn().ok()?;
        let [h2c, plain, tls, old_tls] = ports;
        let mut begun = Self { process, _home: home, h2c, plain, tls, old_tls };
        begun.answers().then_some(begun)
    }

    /// Whether all its ports answer, before it ends or time is up.
    fn answers(&mut self) -> bool {
        let began = Instant::now();
        let mut ports = vec![self.h2c, self.plain, self.tls, self.old_tls];
        while began.elapsed() < BEGINS_WITHIN {
            ports.retain(|port| TcpStream::connect(("127.0.0.1", *port)).is_err());
            if self.process.try_wait().unwrap().is_some() {
                let mut told = String::new();
                let _cut = self.process.stderr.take().unwrap().read_to_string(&mut told);
                eprintln!("nginx ended: {told}");
                return false;
            }
            if ports.is_empty() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn free_ports() -> [u16; 4] {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let held = [(); 4].map(|()| TcpListener::bind(any).unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

fn write_identity(home: &Path, identity: &Identity) {
    let certificate = STANDARD.encode(&identity.certificate);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n");
    fs::write(home.join("certificate.pem"), pem).unwrap();
    fs::write(home.join("key.pem"), identity.key.serialize_pem()).unwrap();
}

fn configuration([h2c, plain, tls, old_tls]: [u16; 4], locations: &str) -> String {
    let listens = [
        format!("127.0.0.1:{h2c} http2"),
        format!("127.0.0.1:{plain}"),
        format!("127.0.0.1:{tls} ssl http2"),
        format!("127.0.0.1:{old_tls} ssl"),
    ];
    let servers = listens.map(|listen| format!("server {{ listen {listen}; {locations} }}\n"));
    let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let folders = folders.map(|folder| format!("{folder}_temp_path {folder};\n")).concat();
    format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nevents {{ worker_connections 64; }}\n\
         http {{\naccess_log off;\n{folders}ssl_certificate certificate.pem;\nssl_certificate_key key.pem;\n\
         {}}}\n",
        servers.concat()
    )
}
