//! Probes and notifiers against real servers on loopback, good ones and hostile ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod asserting;
mod bodies;
mod changing;
mod channels;
mod closely;
mod connecting;
mod curl;
mod daemon;
mod database;
mod destinations;
mod dns;
mod every_kind;
mod everywhere;
mod grpc;
mod guard;
mod hostile;
mod http;
mod http2;
mod http2_hostile;
mod icmp;
mod limits;
mod looking;
mod mail;
mod mysql;
mod name_server;
mod nginx;
mod openssl;
mod postgres;
mod proxies;
mod receivers;
mod redirects;
mod redis;
mod resolver;
mod servers;
mod smtp;
mod starttls;
mod telling;
mod tls;
mod tokens;
mod udp;
mod way;
mod webhook;
mod websocket;
