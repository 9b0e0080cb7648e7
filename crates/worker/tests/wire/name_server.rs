//! A real name server for a zone of its own, on loopback.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const ZONE: &str = r#"
$ORIGIN shop.example.
$TTL 300
@ SOA ns.shop.example. admin.shop.example. 2026112101 7200 3600 1209600 300
@ NS ns.shop.example.
@ A 192.0.2.2
@ A 192.0.2.1
@ AAAA 2001:db8::1
www 60 CNAME shop.example.
@ MX 20 backup.shop.example.
@ MX 10 mail.shop.example.
@ TXT "v=spf1 " "-all"
_sip._tcp SRV 10 60 5060 sip.shop.example.
@ CAA 0 issue "ca.example"
elsewhere NS ns.elsewhere.shop.example.
here A 127.0.0.1
three A 127.0.0.1
three A 127.0.0.2
three A 127.0.0.3
ns.elsewhere A 192.0.2.3
"#;

const PATIENCE: Duration = Duration::from_secs(10);

/// Knows `shop.example`, fails for `broken.example`, refuses everything else.
pub struct NameServer {
    pub port: u16,
    process: Child,
    _directory: TempDir,
}

impl NameServer {
    pub fn start() -> Self {
        // The port may be taken by somebody else before the server has it.
        for _attempt in 0..5 {
            let directory = tempfile::tempdir().unwrap();
            let port = free_port();
            write_settings(directory.path(), port);
            let process = Command::new("nsd")
                .args(["-d", "-c"])
                .arg(directory.path().join("nsd.conf"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("nsd, the name server of these tests, is not installed; run: make setup");
            let mut server = Self { port, process, _directory: directory };
            if server.answers() {
                return server;
            }
        }
        panic!("no name server came up");
    }

    fn answers(&mut self) -> bool {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", self.port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until && self.process.try_wait().unwrap().is_none() {
            let question = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x04shop\x07example\0\0\x01\0\x01";
            // Refused, until it listens.
            if socket.send(question).is_ok() && socket.recv(&mut [0; 512]).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

/// Free for both protocols.
fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address.port();
        }
    }
}

fn write_settings(directory: &Path, port: u16) {
    let home = directory.display();
    let settings = format!(
        r#"
server:
    ip-address: 127.0.0.1
    port: {port}
    username: ""
    chroot: ""
    zonesdir: "{home}"
    database: ""
    pidfile: ""
    logfile: "{home}/log"
    xfrdfile: "{home}/xfrd"
    xfrdir: "{home}"
    zonelistfile: "{home}/zones"
    server-count: 1
remote-control:
    control-enable: no
zone:
    name: shop.example
    zonefile: shop.example.zone
zone:
    name: broken.example
    zonefile: missing.zone
"#
    );
    fs::write(directory.join("nsd.conf"), settings).unwrap();
    let mut zone = fs::File::create(directory.join("shop.example.zone")).unwrap();
    zone.write_all(ZONE.as_bytes()).unwrap();
    // More than fits into a datagram.
    let texts: Vec<_> = (0..20).map(|n| format!("\"{n:02}{}\"", "x".repeat(198))).collect();
    writeln!(zone, "long TXT {}", texts.join(" ")).unwrap();
    // More than are looked at.
    for last in 1..=20 {
        writeln!(zone, "crowd A 127.0.1.{last}").unwrap();
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        // Asked politely, it takes its own processes along.
        let pid = self.process.id().to_string();
        let asked = Command::new("sh").args(["-c", "kill \"$1\"", "sh", &pid]).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _gone = self.process.kill();
        }
        let _reaped = self.process.wait();
    }
}
