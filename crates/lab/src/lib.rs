//! Looks at Pulse from outside: real processes, real stores, nothing but HTTP and files.
//!
//! `target` is what checks look at and `sink` is where alerts go; both write down what they saw. `hostile`
//! are targets that mean harm, `names` is a name server that changes its mind, and `guard` is where nobody
//! may come.
//! `services` and `fleet` start (and kill) private stores and the programs, and `proxy` stands
//! between the two. `client` speaks the public API, `data` opens the files that one process keeps,
//! `slots` looks into the state store, and `judge` holds the logs against what the API says happened.
//! `journal` writes the logs to files and has the reference model, which is written in another
//! language (`crates/lab/model`), judge them too. `shows` puts them together, and `promises` says which
//! show proves what. Nothing here links to Pulse's own crates: a lab that shared the product's code
//! would share its mistakes.

pub mod client;
pub mod clock;
pub mod data;
pub mod fleet;
pub mod guard;
pub mod hostile;
pub mod http1;
pub mod journal;
pub mod judge;
pub mod lab;
pub mod log;
pub mod mailbox;
pub mod model;
pub mod names;
pub mod options;
pub mod process;
pub mod promises;
pub mod proxy;
pub mod report;
pub mod services;
pub mod shows;
pub mod sink;
pub mod slots;
pub mod target;
mod tree;
