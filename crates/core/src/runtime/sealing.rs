//! Seals secrets for the store, and opens them for a look.
//!
//! XChaCha20-Poly1305 with a random nonce; whose secret it is and what it is called are part of the
//! seal, so that none can be passed off as another. What is stored: a version, which key (the first
//! bytes of its hash), the nonce, the ciphertext. Keys come from the setting `PULSE_SECRET_KEY` and
//! are shown nowhere. The first seals and all open, which is how keys are changed.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

use crate::models::ids::ProjectId;
use crate::models::secret::SecretName;
use crate::ports::secrets::KeyId;

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;

/// The keys of this process, or none. Cheap to clone.
#[derive(Clone, Default)]
pub struct SecretKeys(Arc<[Key]>);

struct Key {
    id: KeyId,
    cipher: XChaCha20Poly1305,
}

/// Why a secret cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unopenable {
    /// Of another key, or no key is set.
    #[error("is sealed with a key that is not in PULSE_SECRET_KEY here")]
    NoKey,
    /// Changed since, or put in the place of another.
    #[error("is not what was sealed under its name")]
    Broken,
    /// Of a newer version of Pulse, or nothing of its own.
    #[error("is sealed in a way that is not known here")]
    Strange,
}

impl SecretKeys {
    /// Reads the setting: keys of 32 bytes in base64, parted by commas.
    ///
    /// # Errors
    /// What it should be. Nothing of it is repeated.
    pub fn parse(text: &str) -> Result<Self, String> {
        let key = |word: &str| <[u8; 32]>::try_from(STANDARD.decode(word.trim()).ok()?).ok();
        let keys: Option<Vec<Key>> = text.split(',').map(|word| key(word).map(Key::new)).collect();
        keys.map(|keys| Self(keys.into())).ok_or_else(|| {
            "must be 32 bytes in base64, or several such keys parted by commas; `openssl rand -base64 32` makes one".to_owned()
        })
    }

    /// The key that seals; `None` when there is none.
    #[must_use]
    pub fn newest(&self) -> Option<KeyId> {
        self.0.first().map(|key| key.id)
    }

    /// The keys that only open.
    #[must_use]
    pub fn older(&self) -> Vec<KeyId> {
        self.0.iter().map(|key| key.id).filter(|id| Some(*id) != self.newest()).collect()
    }

    /// Seals a value; `None` without a key.
    #[must_use]
    pub fn seal(&self, project: ProjectId, name: &SecretName, value: &str) -> Option<Vec<u8>> {
        let key = self.0.first()?;
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let owner = owner(project, name);
        let payload = Payload { msg: value.as_bytes(), aad: &owner };
        let sealed = key.cipher.encrypt(&XNonce::from(nonce), payload).ok()?;
        Some([&[VERSION][..], &key.id, &nonce, &sealed].concat())
    }

    /// Opens what [`Self::seal`] made for the same project and name.
    ///
    /// # Errors
    /// Why not, as a sentence without its subject.
    pub fn open(
        &self,
        project: ProjectId,
        name: &SecretName,
        sealed: &[u8],
    ) -> Result<String, Unopenable> {
        let (version, rest) = sealed.split_first().ok_or(Unopenable::Strange)?;
        let (id, rest) = rest.split_first_chunk::<4>().ok_or(Unopenable::Strange)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(Unopenable::Strange)?;
        if *version != VERSION {
            return Err(Unopenable::Strange);
        }
        let key = self.0.iter().find(|key| key.id == *id).ok_or(Unopenable::NoKey)?;
        let owner = owner(project, name);
        let payload = Payload { msg: rest, aad: &owner };
        let opened = key.cipher.decrypt(&XNonce::from(*nonce), payload).ok();
        opened.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(Unopenable::Broken)
    }
}

impl Key {
    fn new(bytes: [u8; 32]) -> Self {
        let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(bytes).into();
        Self { id: [a, b, c, d], cipher: XChaCha20Poly1305::new(&bytes.into()) }
    }
}

/// A project's id always has 16 bytes: no name reads as another's.
fn owner(project: ProjectId, name: &SecretName) -> Vec<u8> {
    [project.0.as_bytes(), name.as_str().as_bytes()].concat()
}

/// How many there are.
impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecretKeys").field(&self.0.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROJECT: ProjectId = ProjectId::DEFAULT;

    fn key(byte: u8) -> String {
        STANDARD.encode([byte; 32])
    }

    fn keys(text: &str) -> SecretKeys {
        SecretKeys::parse(text).unwrap()
    }

    fn name(text: &str) -> SecretName {
        SecretName::parse(text).unwrap()
    }

    #[test]
    fn what_was_sealed_is_opened_under_its_own_name_alone() {
        let keys = keys(&key(1));
        let sealed = keys.seal(PROJECT, &name("a"), "hush").unwrap();

        assert_eq!(keys.open(PROJECT, &name("a"), &sealed), Ok("hush".into()));
        assert_eq!(keys.open(PROJECT, &name("b"), &sealed), Err(Unopenable::Broken));
        let other = ProjectId(uuid::Uuid::from_u128(1));
        assert_eq!(keys.open(other, &name("a"), &sealed), Err(Unopenable::Broken));
        assert_ne!(keys.seal(PROJECT, &name("a"), "hush").unwrap(), sealed, "another nonce");
        assert!(!sealed.windows(4).any(|bytes| bytes == b"hush"));
    }

    #[test]
    fn no_byte_can_be_changed_or_left_out() {
        let keys = keys(&key(1));
        let sealed = keys.seal(PROJECT, &name("a"), "hush").unwrap();

        for at in 0..sealed.len() {
            let mut other = sealed.clone();
            other[at] ^= 1;
            assert!(keys.open(PROJECT, &name("a"), &other).is_err(), "byte {at}");
            assert!(keys.open(PROJECT, &name("a"), &sealed[..at]).is_err(), "{at} bytes");
        }
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let (old, both, new) =
            (keys(&key(1)), keys(&format!("{}, {}", key(2), key(1))), keys(&key(2)));
        let of_old = old.seal(PROJECT, &name("a"), "hush").unwrap();
        let of_both = both.seal(PROJECT, &name("a"), "hush").unwrap();

        assert_eq!(both.open(PROJECT, &name("a"), &of_old), Ok("hush".into()));
        assert_eq!(new.open(PROJECT, &name("a"), &of_both), Ok("hush".into()));
        assert_eq!(new.open(PROJECT, &name("a"), &of_old), Err(Unopenable::NoKey));
        assert_eq!((both.older(), both.newest()), (vec![old.newest().unwrap()], new.newest()));
        assert_eq!(of_old[1..5], old.newest().unwrap());
    }

    #[test]
    fn without_a_key_nothing_is_sealed_or_opened() {
        let none = SecretKeys::default();
        let sealed = keys(&key(1)).seal(PROJECT, &name("a"), "hush").unwrap();

        assert_eq!(none.seal(PROJECT, &name("a"), "hush"), None);
        assert_eq!(none.open(PROJECT, &name("a"), &sealed), Err(Unopenable::NoKey));
    }

    #[test]
    fn a_key_is_never_shown() {
        let shown = format!("{:?}", keys(&key(7)));
        assert_eq!(shown, "SecretKeys(1)");

        for wrong in
            ["", "hunter2", &key(7)[..40], &format!("{},", key(7)), &STANDARD.encode([7; 31])]
        {
            let error = SecretKeys::parse(wrong).unwrap_err();
            assert!(error.contains("32 bytes") && !error.contains("hunter2"), "{error}");
        }
    }
}
