//! Servers' certificates as they are compared from run to run, read once each.
//!
//! To read one takes longer than to know it again, and it is the same one for weeks.

use std::fmt::Write;

use moka::sync::Cache;
use pulse_core::models::traits::Leaf;
use sha2::{Digest, Sha256};

use super::certificate;

/// Some 400 bytes each.
const MOST: u64 = 20_000;

/// See the module. Cloning it shares them.
#[derive(Clone, Debug)]
pub(super) struct Leaves(Cache<[u8; 32], Option<Leaf>>);

impl Default for Leaves {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl Leaves {
    /// The certificate; `None` when `der` is none.
    pub(super) fn read(&self, der: &[u8]) -> Option<Leaf> {
        let hash: [u8; 32] = Sha256::digest(der).into();
        self.0.get(&hash).unwrap_or_else(|| {
            let leaf = leaf(der, &hash);
            self.0.insert(hash, leaf.clone());
            leaf
        })
    }
}

fn leaf(der: &[u8], hash: &[u8]) -> Option<Leaf> {
    let read = certificate::read(der)?;
    let mut sha256 = String::with_capacity(2 * hash.len());
    for byte in hash {
        // Writing to a string does not fail.
        let _written = write!(sha256, "{byte:02x}");
    }
    Some(Leaf { sha256, subject: read.subject, issuer: read.issuer, not_after: read.not_after })
}
