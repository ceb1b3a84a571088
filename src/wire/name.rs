//! The rules for channel names.
//!
//! See [Pusher's naming conventions](https://pusher.com/docs/channels/using_channels/channels/#channel-naming-conventions).

use crate::{Error, ErrorKind};

/// The longest channel name that Pusher accepts, in characters.
const MAX_LEN: usize = 164;

/// The kind of a channel by its prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ChannelKind {
    #[default]
    Public,
    Private,
    PrivateEncrypted,
    Presence,
}

impl ChannelKind {
    pub(crate) fn of(name: &str) -> Self {
        if name.starts_with("private-encrypted-") {
            Self::PrivateEncrypted
        } else if name.starts_with("private-") {
            Self::Private
        } else if name.starts_with("presence-") {
            Self::Presence
        } else {
            Self::Public
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Public => "a public channel",
            Self::Private => "a private channel (private-…)",
            Self::PrivateEncrypted => "an encrypted channel (private-encrypted-…)",
            Self::Presence => "a presence channel (presence-…)",
        }
    }
}

fn wrong(message: String) -> Result<(), Error> {
    Err(Error::message(ErrorKind::InvalidName, message))
}

/// Checks that `name` is of the `wanted` kind and, if `strictly`, that it follows Pusher's rules.
pub(crate) fn check_channel(name: &str, wanted: ChannelKind, strictly: bool) -> Result<(), Error> {
    if name.is_empty() {
        return wrong("the name of a channel must not be empty".into());
    }
    if strictly {
        check_characters(name, MAX_LEN)?;
    }
    let kind = ChannelKind::of(name);
    if kind != wanted {
        let (is, not) = (kind.words(), wanted.words());
        return wrong(format!("{name:.200} is the name of {is}, not of {not}"));
    }
    Ok(())
}

/// Checks that `name` follows Pusher's rules, with another limit of its length.
pub(crate) fn check_characters(name: &str, max: usize) -> Result<(), Error> {
    if name.len() > max {
        return wrong(format!(
            "the name of a channel must have at most {max} characters, but `{}` has {}",
            excerpt(name),
            name.len()
        ));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-=@,.;".contains(c);
    if let Some(bad) = name.chars().find(|&c| !allowed(c)) {
        return wrong(format!(
            "the name of a channel must not contain {bad:?}, as `{}` does; use letters, digits and _ - = @ , . ;",
            excerpt(name)
        ));
    }
    Ok(())
}

/// Returns the beginning of a name for a message of one line.
fn excerpt(name: &str) -> String {
    name.chars().take(MAX_LEN).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_names() {
        let check =
            |name: &str| check_channel(name, ChannelKind::Public, true).map_err(|e| e.kind());
        for good in ["a", "cache-a", "Az09_-=@,.;", "privat-x", &"x".repeat(164)] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let long = "x".repeat(165);
        for bad in ["", "a b", "ä", "#server", "a/b", "private-a", "presence-cache-a", &long] {
            assert_eq!(check(bad), Err(ErrorKind::InvalidName), "{bad}");
        }
    }

    #[test]
    fn errors_show_the_name_in_one_line() {
        let message =
            |name: &str| check_channel(name, ChannelKind::Public, true).unwrap_err().to_string();
        assert!(message("a b").contains("' ', as `a b` does;"), "{}", message("a b"));
        assert!(message("a\nb").contains(r"'\n', as `a\nb` does;"), "{}", message("a\nb"));
        let long = message(&"x".repeat(100_000));
        let shown = format!("but `{}` has 100000", "x".repeat(164));
        assert!(long.ends_with(&shown), "{long}");
    }

    #[test]
    fn other_servers_have_other_rules_but_the_same_prefixes() {
        let check = |name: &str| check_channel(name, ChannelKind::Public, false).is_ok();
        assert!(check(&"x".repeat(1000)) && check("ä b") && check("#x"));
        assert!(!check("") && !check("private-a"));
    }

    #[test]
    fn the_prefix_determines_the_kind() {
        for (name, kind) in [
            ("room", ChannelKind::Public),
            ("cache-room", ChannelKind::Public),
            ("private-room", ChannelKind::Private),
            ("private-cache-room", ChannelKind::Private),
            ("private-encrypted-room", ChannelKind::PrivateEncrypted),
            ("private-encrypted-cache-room", ChannelKind::PrivateEncrypted),
            ("presence-room", ChannelKind::Presence),
            ("presence-cache-room", ChannelKind::Presence),
        ] {
            assert_eq!(ChannelKind::of(name), kind);
        }
    }
}
