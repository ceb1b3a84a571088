//! Authorization with the app's secret itself.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::{Auth, AuthRequest, Authorizer, Error, ErrorKind};

/// The length of the keys of encrypted channels, in bytes.
const KEY_LENGTH: usize = 32;

/// Signs with the app's secret, without asking anybody. It never blocks.
///
/// For trusted devices and tests only: who has the secret may join every channel and publish to it. Programs
/// that are given away ask an endpoint instead, with [`HttpAuthorizer`](crate::HttpAuthorizer).
///
/// # Example
///
/// ```
/// use pusher_channels::{AuthRequest, Authorizer, SecretAuthorizer};
///
/// let authorizer = SecretAuthorizer::new("app-key", "app-secret").member("7", &["Ann"]);
/// assert!(authorizer.authorize(&AuthRequest::new("1.2", "presence-room")).is_ok());
/// ```
///
/// # Errors
///
/// [`authorize`](Authorizer::authorize) fails with [`ErrorKind::Config`], on presence channels if there is no
/// [`member`](Self::member) or it could not be written as JSON, and on encrypted channels if there is no
/// [`encryption_master_key`](Self::encryption_master_key) or it is wrong.
///
/// See [how signatures are made](https://pusher.com/docs/channels/library_auth_reference/auth-signatures/).
#[derive(Clone)]
pub struct SecretAuthorizer {
    key: String,
    secret: Secret,
    /// The member's channel data.
    member: Option<Result<String, Error>>,
    master_key: Option<Secret>,
}

impl SecretAuthorizer {
    /// Signs for the app that `key` and `secret` belong to.
    pub fn new(key: &str, secret: &str) -> Self {
        Self {
            key: key.to_owned(),
            secret: Secret::new(secret.to_owned()),
            member: None,
            master_key: None,
        }
    }

    /// Who this client is on presence channels: its user id, and what the other members learn of it.
    /// Default: nobody, and presence channels are refused.
    ///
    /// If `info` cannot be written as JSON, the authorizations of presence channels fail with the cause.
    pub fn member(mut self, id: &str, info: &(impl Serialize + ?Sized)) -> Self {
        self.member = Some(channel_data(id, info));
        self
    }

    /// The master key of the app's encrypted channels: 32 bytes in base64. Default: none, and encrypted
    /// channels are refused.
    pub fn encryption_master_key(mut self, base64: &str) -> Self {
        self.master_key = Some(Secret::new(base64.to_owned()));
        self
    }

    fn shared_secret(&self, channel: &str) -> Result<String, Error> {
        let master_key = self.master_key.as_ref().ok_or_else(|| {
            config("encrypted channels need the app's master key: call encryption_master_key()")
        })?;
        let wrong = || config("the encryption master key is not 32 bytes in base64");
        // The cause is not kept: it tells a character of the key.
        let bytes = BASE64_STANDARD.decode(master_key.expose()).map_err(|_| wrong())?;
        let bytes = Zeroizing::new(bytes);
        if bytes.len() != KEY_LENGTH {
            return Err(wrong());
        }
        let digest = Sha256::new().chain_update(channel).chain_update(&*bytes).finalize();
        Ok(BASE64_STANDARD.encode(digest))
    }
}

impl Authorizer for SecretAuthorizer {
    fn authorize(&self, request: &AuthRequest) -> Result<Auth, Error> {
        let channel = request.channel();
        let mut text = format!("{}:{channel}", request.socket_id());
        let mut channel_data = None;
        if channel.starts_with("presence-") {
            let member = self.member.clone().ok_or_else(|| {
                config("presence channels need to know who this client is: call member()")
            })??;
            text.push(':');
            text.push_str(&member);
            channel_data = Some(member);
        }
        let mut auth = Auth::new(format!("{}:{}", self.key, sign(self.secret.expose(), &text)));
        auth.channel_data = channel_data;
        if channel.starts_with("private-encrypted-") {
            auth = auth.shared_secret(self.shared_secret(channel)?);
        }
        Ok(auth)
    }
}

impl fmt::Debug for SecretAuthorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretAuthorizer")
            .field("key", &self.key)
            .field("secret", &self.secret)
            .field("member", &self.member.as_ref().map(|_| "[redacted]"))
            .field("master_key", &self.master_key)
            .finish()
    }
}

/// The signature of `text`: its HMAC-SHA256 in hexadecimal.
pub(crate) fn sign(secret: &str, text: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        // HMAC takes keys of every length.
        return String::new();
    };
    mac.update(text.as_bytes());
    let mut hex = String::with_capacity(64);
    for byte in mac.finalize().into_bytes() {
        for digit in [byte >> 4, byte & 0xf] {
            hex.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    hex
}

fn channel_data(id: &str, info: &(impl Serialize + ?Sized)) -> Result<String, Error> {
    let json = |result: serde_json::Result<String>| {
        result.map_err(|error| config("the member cannot be written as JSON").caused_by(error))
    };
    let id = json(serde_json::to_string(id))?;
    let info = json(serde_json::to_string(info))?;
    Ok(format!(r#"{{"user_id":{id},"user_info":{info}}}"#))
}

fn config(message: &str) -> Error {
    Error::message(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::error::Error as _;

    const KEY: &str = "278d425bdf160c739803";
    const SECRET: &str = "7ad3773142a6692b25b8";
    /// Bytes 0 to 31.
    const MASTER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn ask(authorizer: &SecretAuthorizer, channel: &str) -> Result<Auth, Error> {
        authorizer.authorize(&AuthRequest::new("1234.1234", channel))
    }

    #[test]
    fn signatures_are_those_that_pusher_documents() {
        let auth = ask(&SecretAuthorizer::new(KEY, SECRET), "private-foobar").unwrap();
        let signature = "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4";
        assert_eq!(auth.auth, format!("{KEY}:{signature}"));
        assert!(auth.channel_data.is_none() && auth.shared_secret.is_none());

        let text =
            r#"1234.1234:presence-foobar:{"user_id":10,"user_info":{"name":"Mr. Channels"}}"#;
        let signature = "31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80";
        assert_eq!(sign(SECRET, text), signature);
    }

    #[test]
    fn a_key_longer_than_a_block_is_hashed_first() {
        // RFC 4231, test case 6.
        let mut mac = Hmac::<Sha256>::new_from_slice(&[0xaa; 131]).unwrap();
        mac.update(b"Test Using Larger Than Block-Size Key - Hash Key First");
        let start = mac.finalize().into_bytes()[..4].to_vec();
        assert_eq!(start, [0x60, 0xe4, 0x31, 0x59]);
    }

    #[test]
    fn a_member_is_signed_and_told() {
        let info = HashMap::from([("name", "Ann \"A\" Ä")]);
        let authorizer = SecretAuthorizer::new(KEY, SECRET).member("a\"b", &info);
        let auth = ask(&authorizer, "presence-room").unwrap();
        let data = r#"{"user_id":"a\"b","user_info":{"name":"Ann \"A\" Ä"}}"#;
        assert_eq!(auth.channel_data.as_deref(), Some(data));
        let signature = sign(SECRET, &format!("1234.1234:presence-room:{data}"));
        assert_eq!(auth.auth, format!("{KEY}:{signature}"));
        assert!(ask(&authorizer, "private-room").unwrap().channel_data.is_none());
    }

    #[test]
    fn a_missing_or_wrong_member_is_told_and_others_go_on() {
        let nobody = SecretAuthorizer::new(KEY, SECRET);
        let error = ask(&nobody, "presence-room").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("call member()"), "{error}");

        let unwritable = HashMap::from([((1, 2), 3)]);
        let wrong = SecretAuthorizer::new(KEY, SECRET).member("1", &unwritable);
        let error = ask(&wrong, "presence-room").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.source().is_some());
        assert!(ask(&wrong, "private-room").is_ok());
    }

    #[test]
    fn the_shared_secret_is_the_hash_of_name_and_master_key() {
        let authorizer = SecretAuthorizer::new(KEY, SECRET).encryption_master_key(MASTER);
        let auth = ask(&authorizer, "private-encrypted-room").unwrap();
        let mut joined = b"private-encrypted-room".to_vec();
        joined.extend(0..32);
        let expected = BASE64_STANDARD.encode(Sha256::digest(&joined));
        assert_eq!(auth.shared_secret.unwrap().expose(), expected);
        assert!(ask(&authorizer, "private-room").unwrap().shared_secret.is_none());
    }

    #[test]
    fn a_missing_or_wrong_master_key_is_told() {
        let none = SecretAuthorizer::new(KEY, SECRET);
        let error = ask(&none, "private-encrypted-room").unwrap_err();
        assert!(error.to_string().contains("call encryption_master_key()"), "{error}");
        for wrong in ["", "AAEC", "not base64!", &MASTER[..43]] {
            let authorizer = SecretAuthorizer::new(KEY, SECRET).encryption_master_key(wrong);
            let error = ask(&authorizer, "private-encrypted-room").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("32 bytes in base64"), "{error}");
            assert!(ask(&authorizer, "private-room").is_ok());
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        let authorizer = SecretAuthorizer::new(KEY, "canary-1")
            .member("canary-2", "canary-3")
            .encryption_master_key("canary-4");
        let error = ask(&authorizer, "private-encrypted-room").unwrap_err();
        let auth = ask(&authorizer, "presence-room").unwrap();
        let shown = format!("{authorizer:?} {error:?} {error} {auth:?}");
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains(KEY), "{shown}");
    }
}
