//! The cipher of encrypted channels: XSalsa20-Poly1305, as NaCl's `crypto_secretbox` combines them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::aead::{AeadInPlace as _, KeyInit as _};
use crypto_secretbox::{Nonce, XSalsa20Poly1305};
use zeroize::Zeroizing;

use crate::wire::{pick, text};
use crate::{Error, ErrorKind};

const NONCE_SIZE: usize = XSalsa20Poly1305::NONCE_SIZE;

/// The key of an encrypted channel; wiped when dropped, never shown.
///
/// Boxed, because a value that is moved leaves a copy behind that is not wiped.
pub(crate) struct Key(Box<XSalsa20Poly1305>);

impl Key {
    /// Parses the `shared_secret` of an authorization. The error never contains it.
    pub(crate) fn parse(base64: &str) -> Result<Self, Error> {
        let mut bytes = Zeroizing::new(Vec::new());
        // The cause shows a byte of the secret.
        STANDARD
            .decode_vec(base64, &mut bytes)
            .map_err(|_| Error::message(ErrorKind::Auth, "the shared_secret is not base64"))?;
        match XSalsa20Poly1305::new_from_slice(&bytes) {
            Ok(cipher) => Ok(Self(Box::new(cipher))),
            Err(_) => {
                let (len, wanted) = (bytes.len(), XSalsa20Poly1305::KEY_SIZE);
                let message = format!("the shared_secret has {len} bytes, not {wanted}");
                Err(Error::message(ErrorKind::Auth, message))
            }
        }
    }

    /// Decrypts the data of an event: JSON of the form `{"nonce":base64,"ciphertext":base64}`.
    pub(crate) fn decrypt(&self, data: &str) -> Result<Vec<u8>, DecryptError> {
        let (nonce, mut bytes) = unpack(data).ok_or(DecryptError::Malformed)?;
        match self.0.decrypt_in_place(&nonce, b"", &mut bytes) {
            Ok(()) => Ok(bytes),
            Err(_) => Err(DecryptError::Refused),
        }
    }

    /// Encrypts text as a server does. A nonce must not be used twice with one key.
    #[cfg(any(test, feature = "testing", feature = "publisher"))]
    pub(crate) fn encrypt(&self, nonce: [u8; NONCE_SIZE], text: impl AsRef<[u8]>) -> String {
        use crypto_secretbox::aead::Aead as _;
        // It fails for associated data only, of which there is none.
        let ciphertext = self.0.encrypt(&Nonce::from(nonce), text.as_ref()).unwrap_or_default();
        let (nonce, ciphertext) = (STANDARD.encode(nonce), STANDARD.encode(ciphertext));
        format!(r#"{{"nonce":"{nonce}","ciphertext":"{ciphertext}"}}"#)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Returns the nonce and the ciphertext of an encrypted payload.
fn unpack(data: &str) -> Option<(Nonce, Vec<u8>)> {
    let [nonce, ciphertext] = pick(data, ["nonce", "ciphertext"]);
    let field = |json| STANDARD.decode(text(json)?).ok();
    let nonce: [u8; NONCE_SIZE] = field(nonce?)?.try_into().ok()?;
    let ciphertext = field(ciphertext?)?;
    (ciphertext.len() >= XSalsa20Poly1305::TAG_SIZE).then_some((nonce.into(), ciphertext))
}

/// Why data was not decrypted. The text contains nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecryptError {
    /// It is no encrypted payload: plaintext, another format, or impossible sizes.
    Malformed,
    /// It is not authentic under this key, but may be under another.
    Refused,
}

impl fmt::Display for DecryptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "is not encrypted, or not as it should be",
            Self::Refused => "cannot be decrypted with the channel's key",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn hex(digits: &str) -> Vec<u8> {
        let digits: Vec<_> = digits.chars().filter_map(|digit| digit.to_digit(16)).collect();
        digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
    }

    fn key_of(bytes: &[u8]) -> Result<Key, Error> {
        Key::parse(&STANDARD.encode(bytes))
    }

    fn payload(nonce: &[u8], ciphertext: &[u8]) -> String {
        let (nonce, ciphertext) = (STANDARD.encode(nonce), STANDARD.encode(ciphertext));
        serde_json::json!({ "nonce": nonce, "ciphertext": ciphertext }).to_string()
    }

    const NACL_KEY: &str = "1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389";
    const NACL_NONCE: &str = "69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37";

    /// From NaCl's own tests (`secretbox.c`). The message is not UTF-8.
    #[test]
    fn the_vector_of_nacl() {
        let message = "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffc
            e5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb31
            0e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde
            048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f93776384864
            5e0705";
        let ciphertext = "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce
            48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c972
            71d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae
            90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b3
            7973f622a43d14a6599b1f654cb45a74e355a5";
        let key = key_of(&hex(NACL_KEY)).unwrap();
        let data = payload(&hex(NACL_NONCE), &hex(ciphertext));
        assert_eq!(key.decrypt(&data), Ok(hex(message)));
    }

    /// The same key and nonce with a text, from the tests of Kalium, a binding to libsodium.
    #[test]
    fn encryption_matches_libsodium() {
        let key = key_of(&hex(NACL_KEY)).unwrap();
        let data = payload(&hex(NACL_NONCE), &hex("1b294418500a75e29daebfe2764e569858fb08361b"));
        assert_eq!(key.decrypt(&data).unwrap(), b"hello");
        let encrypted = key.encrypt(hex(NACL_NONCE).try_into().unwrap(), "hello");
        let [encrypted, data]: [Value; 2] =
            [encrypted, data].map(|json| serde_json::from_str(&json).unwrap());
        assert_eq!(encrypted, data);
    }

    /// From the tests of Pusher's own client for Java.
    const PUSHER_KEY: &str = "iBvNoPVYwByqSfg6anjPpEQ2j051b3rt1Vmnb+z5doo=";
    const PUSHER_DATA: &str = r#"{"nonce": "4sVYwy4j/8dCcjyxtPCWyk19GaaViaW9","ciphertext": "/GMESnFGlbNn01BuBjp31XYa3i9vZsGKR8fgR9EDhXKx3lzGiUD501A="}"#;

    #[test]
    fn data_of_pushers_own_libraries() {
        let key = Key::parse(PUSHER_KEY).unwrap();
        assert_eq!(key.decrypt(PUSHER_DATA).unwrap(), br#"{"message":"hello world"}"#);
        let other = Key::parse("iBvNoPVYwByqSfg6anjPpEQ2j051b3rt1Vmnb+z5do0=").unwrap();
        assert_eq!(other.decrypt(PUSHER_DATA), Err(DecryptError::Refused));
    }

    #[test]
    fn every_length_and_every_altered_or_missing_byte() {
        let key = key_of(&[7; 32]).unwrap();
        for len in [0, 1, 15, 16, 17, 63, 64, 65, 10_000] {
            let text = "é".repeat(len);
            assert_eq!(key.decrypt(&key.encrypt([9; 24], &text)).unwrap(), text.as_bytes());
        }
        let (nonce, encrypted) = unpack(&key.encrypt([9; 24], "text")).unwrap();
        assert_eq!(encrypted.len(), 16 + 4);
        for at in 0..encrypted.len() {
            let mut altered = encrypted.clone();
            altered[at] ^= 1;
            assert_eq!(key.decrypt(&payload(&nonce, &altered)), Err(DecryptError::Refused));
            let cut = if at < 16 { DecryptError::Malformed } else { DecryptError::Refused };
            assert_eq!(key.decrypt(&payload(&nonce, &encrypted[..at])), Err(cut));
        }
        for at in 0..nonce.len() {
            let mut altered = nonce;
            altered[at] ^= 1;
            assert_eq!(key.decrypt(&payload(&altered, &encrypted)), Err(DecryptError::Refused));
        }
    }

    #[test]
    fn what_is_no_encrypted_payload() {
        let key = key_of(&[7; 32]).unwrap();
        for data in ["", "canary", r#""canary""#, "null", "17", "[]", "{}", r#"{"a":"canary"}"#] {
            assert_eq!(key.decrypt(data), Err(DecryptError::Malformed), "{data}");
        }
        for nonce in [0, 1, 23, 25, 48] {
            let data = payload(&vec![9; nonce], &[0; 20]);
            assert_eq!(key.decrypt(&data), Err(DecryptError::Malformed), "{nonce} bytes");
        }
        let good: Value = serde_json::from_str(&key.encrypt([9; 24], "text")).unwrap();
        for field in ["nonce", "ciphertext"] {
            let text = good[field].as_str().unwrap();
            let wrong = [
                Value::Null,
                Value::from(17),
                Value::from(vec![text]),
                Value::from(format!("{text}*")),
                Value::from(format!(" {text}")),
                Value::from(text.replacen('C', "-", 1).replacen('k', "_", 1) + "="),
            ];
            for wrong in wrong {
                let mut data = good.clone();
                data[field] = wrong;
                assert_eq!(key.decrypt(&data.to_string()), Err(DecryptError::Malformed), "{data}");
            }
        }
    }

    #[test]
    fn invalid_keys_are_reported_without_showing_them() {
        let shown = |secret: &str| {
            let error = Key::parse(secret).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Auth);
            assert!(std::error::Error::source(&error).is_none());
            format!("{error} {error:?}")
        };
        for secret in ["canary*", "canary", "canary==canary=="] {
            let shown = shown(secret);
            assert!(shown.contains("is not base64") && !shown.contains("canary"), "{shown}");
        }
        for len in [0, 1, 31, 33, 64] {
            let secret = STANDARD.encode(vec![b'k'; len]);
            assert!(shown(&secret).contains(&format!("has {len} bytes, not 32")));
        }
        assert_eq!(format!("{:?}", Key::parse(PUSHER_KEY).unwrap()), "[redacted]");
    }
}
