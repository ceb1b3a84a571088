//! Signatures of authorizations and sign-ins.

pub(super) use crate::auth::signature::sign;

/// The text that is signed for a channel.
pub(super) fn channel_text(socket_id: &str, channel: &str, channel_data: Option<&str>) -> String {
    match channel_data {
        Some(data) => format!("{socket_id}:{channel}:{data}"),
        None => format!("{socket_id}:{channel}"),
    }
}

/// The text that is signed for a user.
pub(super) fn user_text(socket_id: &str, user_data: &str) -> String {
    format!("{socket_id}::user::{user_data}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_pushers_documentation() {
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
        assert_eq!(
            sign(SECRET, &user_text("1234.1234", r#"{"id":"12345"}"#)),
            "4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba"
        );
    }
}
