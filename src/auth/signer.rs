//! Authorization with the app's secret itself.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::signature::sign;
use crate::util::secret::Secret;
use crate::{Auth, AuthRequest, Authorizer, Error, ErrorKind};
use crate::{UserAuth, UserAuthRequest, UserAuthenticator};

/// The length of the keys of encrypted channels, in bytes.
const KEY_LENGTH: usize = 32;

/// Signs with the app's secret, as an [`Authorizer`] and as a [`UserAuthenticator`]. It never blocks.
///
/// Use it on trusted devices and in tests only: whoever has the secret can subscribe to every channel and publish to
/// it. Programs that are distributed use [`HttpAuthorizer`](crate::HttpAuthorizer) instead.
///
/// # Example
///
/// ```
/// use pusher_channels::{AuthRequest, Authorizer, SecretAuthorizer, UserAuthRequest, UserAuthenticator};
///
/// let authorizer = SecretAuthorizer::new("app-key", "app-secret").member("7", &["Ann"]);
/// assert!(authorizer.authorize(&AuthRequest::new("1.2", "presence-room")).is_ok());
/// assert!(authorizer.authenticate(&UserAuthRequest::new("1.2")).is_ok());
/// ```
///
/// # Errors
///
/// [`authorize`](Authorizer::authorize) fails with [`ErrorKind::Config`]
///
/// - on presence channels, if no [`member`](Self::member) is set or it cannot be serialized
/// - on encrypted channels, if no [`encryption_master_key`](Self::encryption_master_key) is set or it is invalid
///
/// [`authenticate`](UserAuthenticator::authenticate) fails so if no member is set or it cannot be serialized.
///
/// See [how signatures are generated](https://pusher.com/docs/channels/library_auth_reference/auth-signatures/).
#[derive(Clone)]
pub struct SecretAuthorizer {
    key: String,
    secret: Secret,
    member: Option<Result<Member, Error>>,
    watchlist: Option<Vec<String>>,
    master_key: Option<Secret>,
}

impl SecretAuthorizer {
    /// Creates an authorizer for the app with this key and secret.
    pub fn new(key: &str, secret: &str) -> Self {
        Self {
            key: key.to_owned(),
            secret: Secret::new(secret.to_owned()),
            member: None,
            watchlist: None,
            master_key: None,
        }
    }

    /// Sets the user id and the user info of this client, for presence channels and sign-in. Default: none, and
    /// presence channels and sign-ins fail.
    ///
    /// If `info` cannot be serialized as JSON, they fail with the cause.
    pub fn member(mut self, id: &str, info: &(impl Serialize + ?Sized)) -> Self {
        self.member = Some(Member::new(id, info));
        self
    }

    /// Sets the ids of the users whose status the user watches: a signed-in user is notified when one of them comes
    /// online or goes offline. They replace those of an earlier call. Default: none.
    pub fn watchlist(mut self, user_ids: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.watchlist = Some(user_ids.into_iter().map(|id| id.as_ref().to_owned()).collect());
        self
    }

    /// Sets the master key of the app's encrypted channels: 32 bytes in base64. Default: none, and encrypted
    /// channels fail.
    pub fn encryption_master_key(mut self, base64: &str) -> Self {
        self.master_key = Some(Secret::new(base64.to_owned()));
        self
    }

    /// Returns the member, or an error that begins with `what`.
    fn needed_member(&self, what: &str) -> Result<&Member, Error> {
        match &self.member {
            Some(member) => member.as_ref().map_err(Error::clone),
            None => Err(config(&format!("{what} a member; set it with member()"))),
        }
    }

    fn signed(&self, text: &str) -> String {
        format!("{}:{}", self.key, sign(self.secret.expose(), text))
    }

    fn shared_secret(&self, channel: &str) -> Result<String, Error> {
        let master_key = self.master_key.as_ref().ok_or_else(|| {
            config(
                "encrypted channels need the app's master key; set it with encryption_master_key()",
            )
        })?;
        shared_secret(master_key, channel)
    }
}

/// Derives the key of an encrypted channel as Pusher's server libraries do: 32 bytes, in base64.
pub(crate) fn shared_secret(master_key: &Secret, channel: &str) -> Result<String, Error> {
    let wrong = || config("the encryption master key must be 32 bytes in base64");
    // The cause is not kept: it shows a character of the key.
    let bytes = BASE64_STANDARD.decode(master_key.expose()).map_err(|_| wrong())?;
    let bytes = Zeroizing::new(bytes);
    if bytes.len() != KEY_LENGTH {
        return Err(wrong());
    }
    let digest = Sha256::new().chain_update(channel).chain_update(&*bytes).finalize();
    Ok(BASE64_STANDARD.encode(digest))
}

impl Authorizer for SecretAuthorizer {
    fn authorize(&self, request: &AuthRequest) -> Result<Auth, Error> {
        let channel = request.channel();
        let mut text = format!("{}:{channel}", request.socket_id());
        let mut channel_data = None;
        if channel.starts_with("presence-") {
            let data = self.needed_member("presence channels need")?.channel_data();
            text.push(':');
            text.push_str(&data);
            channel_data = Some(data);
        }
        let mut auth = Auth::new(self.signed(&text));
        auth.channel_data = channel_data;
        if channel.starts_with("private-encrypted-") {
            auth = auth.shared_secret(self.shared_secret(channel)?);
        }
        Ok(auth)
    }
}

impl UserAuthenticator for SecretAuthorizer {
    fn authenticate(&self, request: &UserAuthRequest) -> Result<UserAuth, Error> {
        let user_data = self.needed_member("sign-in needs")?.user_data(self.watchlist.as_deref());
        let auth = self.signed(&format!("{}::user::{user_data}", request.socket_id()));
        Ok(UserAuth::new(auth, user_data))
    }
}

/// The member's id and info as JSON texts.
#[derive(Clone)]
struct Member {
    id: String,
    info: String,
}

impl Member {
    fn new(id: &str, info: &(impl Serialize + ?Sized)) -> Result<Self, Error> {
        let json = |result: serde_json::Result<String>| {
            result
                .map_err(|error| config("the member must be serializable as JSON").caused_by(error))
        };
        Ok(Self { id: json(serde_json::to_string(id))?, info: json(serde_json::to_string(info))? })
    }

    fn channel_data(&self) -> String {
        let Self { id, info } = self;
        format!(r#"{{"user_id":{id},"user_info":{info}}}"#)
    }

    fn user_data(&self, watchlist: Option<&[String]>) -> String {
        let Self { id, info } = self;
        match watchlist.map(serde_json::Value::from) {
            Some(list) => format!(r#"{{"id":{id},"user_info":{info},"watchlist":{list}}}"#),
            None => format!(r#"{{"id":{id},"user_info":{info}}}"#),
        }
    }
}

impl fmt::Debug for SecretAuthorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretAuthorizer")
            .field("key", &self.key)
            .field("secret", &self.secret)
            .field("member", &self.member.as_ref().map(|_| "[redacted]"))
            .field("watchlist", &self.watchlist.as_ref().map(|_| "[redacted]"))
            .field("master_key", &self.master_key)
            .finish()
    }
}

fn config(message: &str) -> Error {
    Error::message(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::error::Error as _;
    use std::sync::Arc;

    const KEY: &str = "278d425bdf160c739803";
    const SECRET: &str = "7ad3773142a6692b25b8";
    /// Bytes 0 to 31.
    const MASTER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn authorize(authorizer: &SecretAuthorizer, channel: &str) -> Result<Auth, Error> {
        authorizer.authorize(&AuthRequest::new("1234.1234", channel))
    }

    #[test]
    fn signatures_match_pushers_documentation() {
        let auth = authorize(&SecretAuthorizer::new(KEY, SECRET), "private-foobar").unwrap();
        let signature = "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4";
        assert_eq!(auth.auth, format!("{KEY}:{signature}"));
        assert!(auth.channel_data.is_none() && auth.shared_secret.is_none());

        let text = r#"1234.1234::user::{"id":"12345"}"#;
        let signature = "4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba";
        assert_eq!(sign(SECRET, text), signature);

        let text =
            r#"1234.1234:presence-foobar:{"user_id":10,"user_info":{"name":"Mr. Channels"}}"#;
        let signature = "31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80";
        assert_eq!(sign(SECRET, text), signature);
    }

    #[test]
    fn member_is_signed_and_returned() {
        let info = HashMap::from([("name", "Ann \"A\" Ä")]);
        let authorizer = SecretAuthorizer::new(KEY, SECRET).member("a\"b", &info);
        let auth = authorize(&authorizer, "presence-room").unwrap();
        let data = r#"{"user_id":"a\"b","user_info":{"name":"Ann \"A\" Ä"}}"#;
        assert_eq!(auth.channel_data.as_deref(), Some(data));
        let signature = sign(SECRET, &format!("1234.1234:presence-room:{data}"));
        assert_eq!(auth.auth, format!("{KEY}:{signature}"));
        assert!(authorize(&authorizer, "private-room").unwrap().channel_data.is_none());
    }

    fn authenticate(authorizer: &impl UserAuthenticator) -> Result<UserAuth, Error> {
        authorizer.authenticate(&UserAuthRequest::new("1234.1234"))
    }

    #[test]
    fn user_is_signed_and_returned() {
        let authorizer = SecretAuthorizer::new(KEY, SECRET).member("a\"b", &["Ä"]);
        let auth = authenticate(&authorizer).unwrap();
        let data = r#"{"id":"a\"b","user_info":["Ä"]}"#;
        assert_eq!(auth.user_data, data);
        let signature = sign(SECRET, &format!("1234.1234::user::{data}"));
        assert_eq!(auth.auth, format!("{KEY}:{signature}"));

        let authorizer = authorizer.watchlist(["replaced"]).watchlist(vec!["b\"".to_owned()]);
        let auth = authenticate(&authorizer).unwrap();
        let data = r#"{"id":"a\"b","user_info":["Ä"],"watchlist":["b\""]}"#;
        assert_eq!(auth.user_data, data);
        let signature = sign(SECRET, &format!("1234.1234::user::{data}"));
        assert_eq!(auth.auth, format!("{KEY}:{signature}"));
        // A watchlist does not belong to channels.
        let auth = authorize(&authorizer, "presence-room").unwrap();
        let data = r#"{"user_id":"a\"b","user_info":["Ä"]}"#;
        assert_eq!(auth.channel_data.as_deref(), Some(data));
    }

    #[test]
    fn user_signature_matches_openssl() {
        let authorizer = SecretAuthorizer::new(KEY, SECRET).member("7", &["Ann"]).watchlist(["8"]);
        let signature = "f6401162e722d22ca2403be60f1ef463caf08fd00364367bbecdbfdaf505b11e";
        assert_eq!(authenticate(&authorizer).unwrap().auth, format!("{KEY}:{signature}"));
    }

    #[test]
    fn one_value_is_authorizer_and_authenticator() {
        fn both(channels: impl Authorizer + 'static, user: impl UserAuthenticator + 'static) {
            assert!(channels.authorize(&AuthRequest::new("1.2", "private-a")).is_ok());
            assert!(authenticate(&user).is_ok());
        }
        let one = SecretAuthorizer::new(KEY, SECRET).member("7", "");
        both(one.clone(), one.clone());
        let shared = Arc::new(one);
        both(Arc::clone(&shared), shared);
        both(
            |_: &AuthRequest| Ok(Auth::new("k:s")),
            |_: &UserAuthRequest| Ok(UserAuth::new("k:s", "{}")),
        );
    }

    #[test]
    fn missing_or_unserializable_member_fails_where_it_is_needed() {
        let without_user = SecretAuthorizer::new(KEY, SECRET);
        for error in [
            authorize(&without_user, "presence-room").unwrap_err(),
            authenticate(&without_user).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("set it with member()"), "{error}");
        }

        let unwritable = HashMap::from([((1, 2), 3)]);
        let wrong = SecretAuthorizer::new(KEY, SECRET).member("1", &unwritable);
        for error in
            [authorize(&wrong, "presence-room").unwrap_err(), authenticate(&wrong).unwrap_err()]
        {
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.source().is_some());
        }
        assert!(authorize(&wrong, "private-room").is_ok());
    }

    #[test]
    fn shared_secret_is_the_hash_of_name_and_master_key() {
        let authorizer = SecretAuthorizer::new(KEY, SECRET).encryption_master_key(MASTER);
        let auth = authorize(&authorizer, "private-encrypted-room").unwrap();
        let mut joined = b"private-encrypted-room".to_vec();
        joined.extend(0..32);
        let expected = BASE64_STANDARD.encode(Sha256::digest(&joined));
        assert_eq!(auth.shared_secret.unwrap().expose(), expected);
        assert!(authorize(&authorizer, "private-room").unwrap().shared_secret.is_none());
    }

    #[test]
    fn missing_or_invalid_master_key_fails() {
        let none = SecretAuthorizer::new(KEY, SECRET);
        let error = authorize(&none, "private-encrypted-room").unwrap_err();
        assert!(error.to_string().contains("set it with encryption_master_key()"), "{error}");
        for wrong in ["", "AAEC", "not base64!", &MASTER[..43]] {
            let authorizer = SecretAuthorizer::new(KEY, SECRET).encryption_master_key(wrong);
            let error = authorize(&authorizer, "private-encrypted-room").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("32 bytes in base64"), "{error}");
            assert!(authorize(&authorizer, "private-room").is_ok());
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let authorizer = SecretAuthorizer::new(KEY, "canary-1")
            .member("canary-2", "canary-3")
            .watchlist(["canary-5"])
            .encryption_master_key("canary-4");
        let error = authorize(&authorizer, "private-encrypted-room").unwrap_err();
        let auth = authorize(&authorizer, "presence-room").unwrap();
        let user = authenticate(&authorizer).unwrap();
        let shown = format!("{authorizer:?} {error:?} {error} {auth:?} {user:?}");
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains(KEY), "{shown}");
    }
}
