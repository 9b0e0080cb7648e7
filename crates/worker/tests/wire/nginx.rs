//! A real nginx, with a configuration of its own and ports that the kernel chose.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::daemon::{Daemon, Files, free_port, listens};
use crate::tls::Identity;

/// Debian puts it where only root looks for programs.
const ON_DEBIAN: &str = "/usr/sbin/nginx";

/// It ends when dropped.
pub struct Nginx {
    _daemon: Daemon,
    _files: Files,
    /// HTTP/1.1 without TLS.
    pub plain: u16,
    /// HTTP/2 to those who know beforehand.
    pub h2c: u16,
    /// Both over TLS.
    pub tls: u16,
    /// HTTP/1.1 over TLS.
    pub old_tls: u16,
}

impl Nginx {
    /// `locations` are those of every port.
    pub fn start(identity: &Identity, locations: &str) -> Self {
        Self::showing(Files::of(identity), locations)
    }

    /// The same, with a certificate from files.
    pub fn showing(files: Files, locations: &str) -> Self {
        fs::write(files.folder().join("big"), "x".repeat(1_000_000)).unwrap();
        let others = Cell::new([0; 3]);
        let command = |plain| {
            let [h2c, tls, old_tls] = [(); 3].map(|()| free_port());
            others.set([h2c, tls, old_tls]);
            let configuration = configuration([plain, h2c, tls, old_tls], locations);
            fs::write(files.folder().join("nginx.conf"), configuration).unwrap();
            nginx(files.folder())
        };
        let answers = |plain| listens(plain) && others.get().into_iter().all(listens);
        let daemon = Daemon::start(command, answers);
        let ([h2c, tls, old_tls], plain) = (others.get(), daemon.port);
        Self { _daemon: daemon, _files: files, plain, h2c, tls, old_tls }
    }
}

fn nginx(folder: &Path) -> Command {
    let program = if Path::new(ON_DEBIAN).exists() { ON_DEBIAN } else { "nginx" };
    let mut nginx = Command::new(program);
    nginx.arg("-p").arg(folder).args(["-c", "nginx.conf", "-e", "stderr"]);
    nginx
}

fn configuration([plain, h2c, tls, old_tls]: [u16; 4], locations: &str) -> String {
    let listens = [
        format!("127.0.0.1:{plain}"),
        format!("127.0.0.1:{h2c} http2"),
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
