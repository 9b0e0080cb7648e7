//! How a user of MySQL proves a password without saying it.

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// A way to prove who one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// SHA-1, what MariaDB does unless told otherwise.
    Native,
    /// SHA-256, what MySQL does since 8.0. Where the server has not seen the user for long, it wants the
    /// password itself.
    CachingSha2,
}

impl Method {
    pub(super) fn parse(name: &[u8]) -> Option<Self> {
        [Self::Native, Self::CachingSha2].into_iter().find(|it| it.as_str().as_bytes() == name)
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "mysql_native_password",
            Self::CachingSha2 => "caching_sha2_password",
        }
    }

    /// The proof for this salt; nothing for no password.
    pub(super) fn proof(self, password: &str, salt: &[u8]) -> Vec<u8> {
        if password.is_empty() {
            return Vec::new();
        }
        match self {
            Self::Native => {
                let once = Sha1::digest(password);
                let salted = Sha1::new().chain_update(salt).chain_update(Sha1::digest(once));
                mixed(&once, &salted.finalize())
            }
            Self::CachingSha2 => {
                let once = Sha256::digest(password);
                let salted = Sha256::new().chain_update(Sha256::digest(once)).chain_update(salt);
                mixed(&once, &salted.finalize())
            }
        }
    }
}

fn mixed(one: &[u8], other: &[u8]) -> Vec<u8> {
    one.iter().zip(other).map(|(one, other)| one ^ other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_finds_what_it_keeps_in_the_proof() {
        let salt = [7; 20];

        let proof = Method::Native.proof("hush", &salt);

        // What it keeps is the hash of the hash; with the salt it takes the first hash out of the proof.
        let kept = Sha1::digest(Sha1::digest("hush"));
        let once = mixed(&proof, &Sha1::new().chain_update(salt).chain_update(kept).finalize());
        assert_eq!(Sha1::digest(once), kept);
        let proof = Method::CachingSha2.proof("hush", &salt);
        let kept = Sha256::digest(Sha256::digest("hush"));
        let once = mixed(&proof, &Sha256::new().chain_update(kept).chain_update(salt).finalize());
        assert_eq!(Sha256::digest(once), kept);
    }

    #[test]
    fn without_a_password_there_is_nothing_to_prove() {
        assert!(Method::Native.proof("", &[1; 20]).is_empty());
        assert_eq!(Method::parse(b"caching_sha2_password"), Some(Method::CachingSha2));
        assert_eq!(Method::parse(b"mysql_old_password"), None);
    }
}
