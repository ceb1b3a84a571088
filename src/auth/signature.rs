//! Signatures by the app's secret: of authorizations, of requests to the HTTP API, of webhooks.
//!
//! See [Pusher's documentation](https://pusher.com/docs/channels/library_auth_reference/auth-signatures/).

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Returns the signature of `text`: its HMAC-SHA256 in hexadecimal.
pub(crate) fn sign(secret: &str, text: &str) -> String {
    mac(secret, text.as_bytes()).map_or_else(String::new, |mac| hex(&mac.finalize().into_bytes()))
}

/// Returns `true` if `signature` is that of `text`, in a time that does not depend on how much of it is right.
#[cfg(feature = "publisher")]
pub(crate) fn is_signed(secret: &str, text: &[u8], signature: &str) -> bool {
    let Some((mac, bytes)) = mac(secret, text).zip(unhex(signature)) else {
        return false;
    };
    mac.verify_slice(&bytes).is_ok()
}

/// Returns the text that is signed for a request to the HTTP API. `path` is that of the URL. The parameters are those
/// of the query, without the signature itself, and not encoded; they are sorted by name.
///
/// See [Pusher's documentation](https://pusher.com/docs/channels/library_auth_reference/rest-api/#authentication).
#[cfg(any(feature = "publisher", feature = "testing"))]
pub(crate) fn api_text(method: &str, path: &str, params: &[(&str, &str)]) -> String {
    let mut params = params.to_vec();
    params.sort_unstable();
    let pairs: Vec<_> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{method}\n{path}\n{}", pairs.join("&"))
}

/// Returns the MD5 of a request's body in hexadecimal.
#[cfg(any(feature = "publisher", feature = "testing"))]
pub(crate) fn body_md5(body: &[u8]) -> String {
    use md5::Digest;
    hex(&md5::Md5::digest(body))
}

fn mac(secret: &str, text: &[u8]) -> Option<Hmac<Sha256>> {
    // HMAC takes keys of every length.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(text);
    Some(mac)
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

#[cfg(feature = "publisher")]
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<_> = text.chars().map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    let byte = |pair: &[u32]| match pair {
        [high, low] => u8::try_from(high << 4 | low).ok(),
        _ => None,
    };
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_longer_than_a_block_is_hashed_first() {
        // RFC 4231, test case 6.
        let mut mac = Hmac::<Sha256>::new_from_slice(&[0xaa; 131]).unwrap();
        mac.update(b"Test Using Larger Than Block-Size Key - Hash Key First");
        let start = mac.finalize().into_bytes()[..4].to_vec();
        assert_eq!(start, [0x60, 0xe4, 0x31, 0x59]);
    }

    #[cfg(feature = "publisher")]
    #[test]
    fn request_is_signed_as_in_pushers_documentation() {
        let body = r#"{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}"#;
        let md5 = body_md5(body.as_bytes());
        assert_eq!(md5, "ec365a775a4cd0599faeb73354201b6f");
        let params = [
            ("body_md5", &*md5),
            ("auth_version", "1.0"),
            ("auth_key", "278d425bdf160c739803"),
            ("auth_timestamp", "1353088179"),
        ];
        let text = api_text("POST", "/apps/3/events", &params);
        assert_eq!(
            sign("7ad3773142a6692b25b8", &text),
            "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
        );
    }

    #[cfg(feature = "publisher")]
    #[test]
    fn signature_is_checked_as_a_whole() {
        let good = sign("secret", "text");
        assert!(is_signed("secret", b"text", &good));
        assert!(is_signed("secret", b"text", &good.to_uppercase()));
        assert!(!is_signed("secret", b"Text", &good));
        assert!(!is_signed("other", b"text", &good));
        for wrong in
            ["", "0", &good[..62], &good[..63], &format!("{good}00"), &good.replace('f', "g")]
        {
            assert!(!is_signed("secret", b"text", wrong), "{wrong}");
        }
        for at in 0..good.len() {
            let mut wrong = good.clone().into_bytes();
            wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
            assert!(!is_signed("secret", b"text", &String::from_utf8(wrong).unwrap()), "{at}");
        }
    }
}
