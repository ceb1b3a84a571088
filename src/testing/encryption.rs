//! The keys of encrypted channels.
//!
//! Keys and nonces are not cryptographically random: this is a server for tests.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

#[cfg(feature = "encrypted")]
use crate::protocol::Key;

/// The prefix of encrypted channels.
pub(super) const PREFIX: &str = "private-encrypted-";

pub(super) struct Keys {
    master: [u8; 32],
    /// These replace the keys derived from the master key.
    rotated: HashMap<String, [u8; 32]>,
}

impl Keys {
    pub(super) fn new() -> Self {
        Self { master: random(), rotated: HashMap::new() }
    }

    pub(super) fn rotate(&mut self, channel: &str) {
        self.rotated.insert(channel.to_owned(), random());
    }

    /// Derives the key as Pusher's server libraries do.
    fn of(&self, channel: &str) -> [u8; 32] {
        let rotated = self.rotated.get(channel).copied();
        rotated.unwrap_or_else(|| {
            Sha256::new().chain_update(channel).chain_update(self.master).finalize().into()
        })
    }
}

fn random<const N: usize>() -> [u8; N] {
    std::array::from_fn(|_| fastrand::u8(..))
}

#[cfg(feature = "encrypted")]
impl Keys {
    pub(super) fn master(&self) -> String {
        base64(&self.master)
    }

    /// The key that subscribers get; `None` if the channel is not encrypted.
    pub(super) fn shared_secret(&self, channel: &str) -> Option<String> {
        channel.starts_with(PREFIX).then(|| base64(&self.of(channel)))
    }

    /// Returns the `data` of an encrypted event; `None` if encryption fails.
    pub(super) fn encrypt(&self, channel: &str, text: &str) -> Option<String> {
        let key = Key::parse(&self.shared_secret(channel)?).ok()?;
        Some(key.encrypt(random(), text))
    }
}

#[cfg(feature = "encrypted")]
fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Without the feature there is neither cipher nor base64.
#[cfg(not(feature = "encrypted"))]
impl Keys {
    pub(super) fn shared_secret(&self, _channel: &str) -> Option<String> {
        None
    }

    pub(super) fn encrypt(&self, channel: &str, _text: &str) -> Option<String> {
        let _ = self.of(channel);
        None
    }
}
