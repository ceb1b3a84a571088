//! How the server, and who trusts it, signs.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// HMAC SHA-256 in hex.
pub(super) fn sign(secret: &str, text: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        // HMAC takes keys of every length.
        return String::new();
    };
    mac.update(text.as_bytes());
    let mut hex = String::with_capacity(64);
    for byte in mac.finalize().into_bytes() {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// What is signed for a channel.
pub(super) fn channel_text(socket_id: &str, channel: &str, channel_data: Option<&str>) -> String {
    match channel_data {
        Some(data) => format!("{socket_id}:{channel}:{data}"),
        None => format!("{socket_id}:{channel}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of Pusher's documentation.
    #[test]
    fn documented_signatures() {
        const SECRET: &str = "7ad3773142a6692b25b8";
        let text = channel_text("1234.1234", "private-foobar", None);
        assert_eq!(
            sign(SECRET, &text),
            "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"
        );
        let data = r#"{"user_id":10,"user_info":{"name":"Mr. Channels"}}"#;
        let text = channel_text("1234.1234", "presence-foobar", Some(data));
        assert_eq!(
            sign(SECRET, &text),
            "31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80"
        );
    }
}
