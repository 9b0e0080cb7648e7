//! What it takes to see that no request reaches a forbidden address.
//!
//! `table` says a second time which addresses may be reached, `spellings` writes them in every way there is,
//! `places` are listeners at forbidden addresses and a server at one that is allowed, `cases` is
//! what checks and webhooks are pointed at, and `gate` asks the worker's own library about many
//! addresses more.

pub mod cases;
pub mod gate;
pub mod places;
pub mod spellings;
pub mod table;

use std::net::{IpAddr, Ipv4Addr};

/// The network that is allowed although it is private.
pub const ALLOWED: table::Network = (IpAddr::V4(Ipv4Addr::new(127, 0, 1, 0)), 24);
/// The address in it where a server is.
pub const HERE: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);

/// What programs ask for a proxy, in every way of writing it. Pulse must not: no proxy but one that a
/// check names is any of its business.
pub const PROXIES: [&str; 6] =
    ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];

/// What a worker is told, besides its name server.
#[must_use]
pub fn settings() -> [(&'static str, String); 2] {
    let (network, bits) = ALLOWED;
    [("PRIVATE_TARGETS", "deny".to_owned()), ("ALLOWED_TARGETS", format!("{network}/{bits}"))]
}
