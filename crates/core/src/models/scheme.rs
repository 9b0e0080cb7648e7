//! The kinds of checks: what each is called, and what a URL of its kind and a check of its kind may
//! say.
//!
//! A new kind is a variant and its row here, and a probe in the worker.

words! {
    /// How a target is looked at.
    Scheme {
        /// A request over plain HTTP.
        Http = "http",
        /// A request over HTTP in TLS.
        Https = "https",
        /// A connection.
        Tcp = "tcp",
        /// A connection and a TLS handshake, with the certificate verified.
        Tls = "tls",
        /// A command to Redis or Valkey.
        Redis = "redis",
        /// The same in TLS.
        Rediss = "rediss",
        /// A log-in at PostgreSQL, and a query.
        Postgres = "postgres",
        /// A log-in at MySQL or MariaDB, and a query.
        Mysql = "mysql",
        /// The beginning of a session with a mail server.
        Smtp = "smtp",
        /// A datagram, and one back if that is expected.
        Udp = "udp",
        /// An echo over ICMP.
        Icmp = "icmp",
        /// A question to a name server.
        Dns = "dns",
        /// The health of a service over gRPC.
        Grpc = "grpc",
        /// The same in TLS.
        Grpcs = "grpcs",
        /// A WebSocket, and what is said over it.
        Ws = "ws",
        /// The same in TLS.
        Wss = "wss",
        /// Not looked at: a job calls Pulse, and is waited for.
        Heartbeat = "heartbeat",
    }
}

/// What a URL may have after the host and the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// Whatever the web allows: it is sent as it is.
    Web,
    /// Nothing.
    None,
    /// What it names, which may be left out.
    Optional,
    /// What it must name: "a name", say.
    Needed(&'static str),
}

/// Which port is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    /// This one when none is named.
    Usually(u16),
    /// One must be named.
    Named,
    /// There are none.
    Never,
}

/// Whether a look logs in, with a name and a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogIn {
    /// It does not: `auth`, where it is taken, goes with a request.
    Never,
    /// If there is an `auth`.
    IfTold,
    /// There must be an `auth`.
    Always,
}

/// What is particular to a kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traits {
    pub(super) port: Port,
    /// Whether there is something to look at when no host is named.
    pub(super) can_lack_host: bool,
    pub(super) path: Path,
    /// The keys that a query may have. Not asked where the path is the web's.
    pub(super) query: &'static [&'static str],
    pub(super) log_in: LogIn,
    /// See [`Scheme::takes`].
    takes: &'static [&'static str],
}

const REQUEST: &[&str] = &[
    "method",
    "expected_status",
    "max_body_bytes",
    "max_redirects",
    "http_version",
    "headers",
    "body",
    "json",
    "form",
    "cache_busting",
    "auth",
    "proxy",
];
const CALL: &[&str] = &["headers", "auth", "proxy"];
const CONVERSATION: &[&str] = &["headers", "auth", "send", "expect", "proxy"];
const TALK: &[&str] = &["send", "expect"];
const TALK_OVER_TCP: &[&str] = &["send", "expect", "proxy"];
const ASK: &[&str] = &["send", "expect", "auth", "proxy"];

impl Scheme {
    /// The row of each kind.
    pub(super) const fn traits(self) -> Traits {
        let bare = Traits {
            port: Port::Named,
            can_lack_host: false,
            path: Path::None,
            query: &[],
            log_in: LogIn::Never,
            takes: &[],
        };
        let redis = Traits {
            port: Port::Usually(6379),
            path: Path::Optional,
            log_in: LogIn::IfTold,
            takes: ASK,
            ..bare
        };
        let database = Traits {
            path: Path::Optional,
            query: &["sslmode"],
            log_in: LogIn::Always,
            takes: ASK,
            ..bare
        };
        let web = Traits { path: Path::Web, takes: REQUEST, ..bare };
        let grpc = Traits { path: Path::Optional, takes: CALL, ..bare };
        match self {
            Self::Http => Traits { port: Port::Usually(80), ..web },
            Self::Https => Traits { port: Port::Usually(443), ..web },
            Self::Tcp => Traits { takes: TALK_OVER_TCP, ..bare },
            Self::Udp => Traits { takes: TALK, ..bare },
            Self::Tls => Traits {
                port: Port::Usually(443),
                query: &["starttls"],
                takes: TALK_OVER_TCP,
                ..bare
            },
            Self::Redis | Self::Rediss => redis,
            Self::Postgres => Traits { port: Port::Usually(5432), ..database },
            Self::Mysql => Traits { port: Port::Usually(3306), ..database },
            Self::Smtp => Traits {
                port: Port::Usually(25),
                query: &["starttls"],
                log_in: LogIn::IfTold,
                takes: &["auth", "proxy"],
                ..bare
            },
            Self::Icmp => Traits { port: Port::Never, ..bare },
            Self::Dns => Traits {
                port: Port::Usually(53),
                can_lack_host: true,
                path: Path::Needed("a domain"),
                query: &["type"],
                takes: &["expect"],
                ..bare
            },
            Self::Grpc => grpc,
            Self::Grpcs => Traits { port: Port::Usually(443), ..grpc },
            Self::Ws => Traits { port: Port::Usually(80), takes: CONVERSATION, ..web },
            Self::Wss => Traits { port: Port::Usually(443), takes: CONVERSATION, ..web },
            Self::Heartbeat => {
                Traits { port: Port::Never, can_lack_host: true, takes: &["heartbeat"], ..bare }
            }
        }
    }

    /// Whether the way there is encrypted, or may become so: by a redirect, or after a greeting.
    #[must_use]
    pub const fn may_use_tls(self) -> bool {
        !matches!(
            self,
            Self::Tcp
                | Self::Redis
                | Self::Udp
                | Self::Icmp
                | Self::Dns
                | Self::Grpc
                | Self::Ws
                | Self::Heartbeat
        )
    }

    /// Whether it is Pulse that looks. If not, Pulse waits: there are no slots to hand out, and what
    /// is said of looks means nothing.
    #[must_use]
    pub const fn is_looked_at(self) -> bool {
        !matches!(self, Self::Heartbeat)
    }

    /// The kinds that Pulse looks at.
    pub fn looked_at() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|scheme| scheme.is_looked_at())
    }

    /// The fields of a check, beyond those that every kind has, that mean something here. The others
    /// are refused: they would be promises that nobody keeps.
    #[must_use]
    pub const fn takes(self) -> &'static [&'static str] {
        self.traits().takes
    }

    /// Whether a request over HTTP is made.
    #[must_use]
    pub const fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }

    /// Whether its URLs are read by the rules of the web.
    pub(super) const fn is_web(self) -> bool {
        matches!(self.traits().path, Path::Web)
    }

    /// Of those, whether their usual port is that of https.
    pub(super) const fn is_encrypted_web(self) -> bool {
        matches!(self.traits().port, Port::Usually(443)) && self.is_web()
    }

    /// The kinds that take `field`, as in `http, https`.
    #[must_use]
    pub fn taking(field: &str) -> String {
        let taking = Self::ALL.iter().filter(|scheme| scheme.takes().contains(&field));
        taking.map(|scheme| scheme.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// All kinds, as URLs begin: `http://, https:// or tls://`.
    #[must_use]
    pub fn known() -> String {
        let [others @ .., last] = Self::ALL else {
            return String::new();
        };
        let others: Vec<_> = others.iter().map(|scheme| format!("{scheme}://")).collect();
        format!("{} or {last}://", others.join(", "))
    }
}
