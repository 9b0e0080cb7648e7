//! What every process needs around its roles: settings, logs, loops that cannot go silent, an
//! orderly end, and the pages for operators.

pub mod config;
pub mod healthcheck;
pub mod identity;
pub mod lifecycle;
pub mod loops;
pub mod ops;
pub mod telemetry;
