//! What the HTTP API accepts, checked before a request is sent.
//!
//! See [Pusher's documentation](https://pusher.com/docs/channels/library_auth_reference/rest-api/#post-event-trigger-an-event).

use crate::wire::{
    MAX_BATCH, MAX_EVENT_CHANNELS, MAX_EVENT_DATA, MAX_EVENT_NAME, check_characters, is_socket_id,
};
use crate::{Error, ErrorKind};

/// The longest name of a channel that Pusher's server libraries accept, in characters.
const MAX_CHANNEL: usize = 200;
/// The longest id of a user that Pusher's server libraries accept, in characters.
const MAX_USER_ID: usize = 200;

#[derive(Debug)]
pub(super) struct Limits {
    /// Of one event, in bytes.
    pub(super) max_data: usize,
    pub(super) check_channels: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_data: MAX_EVENT_DATA, check_channels: true }
    }
}

impl Limits {
    pub(super) fn channel(&self, name: &str) -> Result<(), Error> {
        if name.is_empty() {
            return wrong(ErrorKind::InvalidName, "the name of a channel must not be empty");
        }
        if !self.check_channels {
            return Ok(());
        }
        check_characters(name, MAX_CHANNEL)
    }

    pub(super) fn data(&self, data: &str) -> Result<(), Error> {
        at_most(ErrorKind::TooLarge, "the data of an event", self.max_data, "bytes", data.len())
    }
}

/// An empty one, such as that of a variable that is not set, would let everyone sign.
pub(super) fn secret(secret: &str) -> Result<(), Error> {
    if secret.is_empty() {
        return wrong(ErrorKind::Config, "the secret must not be empty");
    }
    Ok(())
}

pub(super) fn event(name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return wrong(ErrorKind::InvalidName, "the name of an event must not be empty");
    }
    let (what, count) = ("the name of an event", name.chars().count());
    at_most(ErrorKind::InvalidName, what, MAX_EVENT_NAME, "characters", count)
}

pub(super) fn channels(count: usize) -> Result<(), Error> {
    if count == 0 {
        return wrong(ErrorKind::Config, "an event must have at least 1 channel");
    }
    at_most(ErrorKind::TooLarge, "an event", MAX_EVENT_CHANNELS, "channels", count)
}

pub(super) fn batch(count: usize) -> Result<(), Error> {
    at_most(ErrorKind::TooLarge, "a batch", MAX_BATCH, "events", count)
}

pub(super) fn user_id(id: &str) -> Result<(), Error> {
    if id.is_empty() || id.chars().any(char::is_control) {
        let message = "the id of a user must not be empty and have no control characters";
        return wrong(ErrorKind::InvalidName, message);
    }
    let (what, count) = ("the id of a user", id.chars().count());
    at_most(ErrorKind::InvalidName, what, MAX_USER_ID, "characters", count)
}

pub(super) fn socket_id(id: &str) -> Result<(), Error> {
    if is_socket_id(id) {
        return Ok(());
    }
    wrong(ErrorKind::Config, "a socket id must be two numbers with a dot between them")
}

fn at_most(kind: ErrorKind, what: &str, max: usize, unit: &str, count: usize) -> Result<(), Error> {
    if count <= max {
        return Ok(());
    }
    wrong(kind, &format!("{what} must have at most {max} {unit}, but has {count}"))
}

fn wrong(kind: ErrorKind, message: &str) -> Result<(), Error> {
    Err(Error::message(kind, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_at_a_limit_passes_and_what_is_over_it_names_it() {
        let limits = Limits::default();
        let long = |count| "é".repeat(count);
        type Check<'a> = &'a dyn Fn(usize) -> Result<(), Error>;
        let checks: [(Check<'_>, usize, ErrorKind, &str); 6] = [
            (&|n| limits.channel(&"c".repeat(n)), 200, ErrorKind::InvalidName, "200 characters"),
            (&|n| limits.data(&"d".repeat(n)), 10_240, ErrorKind::TooLarge, "10240 bytes"),
            (&|n| event(&long(n)), 200, ErrorKind::InvalidName, "200 characters"),
            (&channels, 100, ErrorKind::TooLarge, "100 channels"),
            (&batch, 10, ErrorKind::TooLarge, "10 events"),
            (&|n| user_id(&long(n)), 200, ErrorKind::InvalidName, "200 characters"),
        ];
        for (check, limit, kind, words) in checks {
            check(limit).unwrap();
            let error = check(limit + 1).unwrap_err();
            assert_eq!(error.kind(), kind);
            let text = error.to_string();
            assert!(text.contains(&format!("must have at most {words}, but ")), "{text}");
            assert!(text.ends_with(&format!(" has {}", limit + 1)), "{text}");
        }
    }

    #[test]
    fn names_and_ids_have_a_form() {
        let limits = Limits::default();
        for good in ["a", "presence-A_z-0=@,.;", "private-encrypted-x"] {
            limits.channel(good).unwrap();
        }
        for wrong in ["", "a b", "a/b", "#server-to-user-1", "ü", "a\n"] {
            assert_eq!(
                limits.channel(wrong).unwrap_err().kind(),
                ErrorKind::InvalidName,
                "{wrong}"
            );
        }
        let lenient = Limits { check_channels: false, ..Limits::default() };
        lenient.channel("a b ü").unwrap();
        lenient.channel("").unwrap_err();
        event("").unwrap_err();
        event("App\\Events\\Sent ü").unwrap();
        channels(0).unwrap_err();
        for wrong in ["", "a\0", "a\n"] {
            assert_eq!(user_id(wrong).unwrap_err().kind(), ErrorKind::InvalidName);
        }
        for good in ["1.2", "76.0", "3718590747.938286970"] {
            socket_id(good).unwrap();
        }
        for wrong in ["", "1", "1.", ".1", "1.2.3", "1.a", "-1.2", "1.2 "] {
            assert_eq!(socket_id(wrong).unwrap_err().kind(), ErrorKind::Config, "{wrong}");
        }
    }
}
