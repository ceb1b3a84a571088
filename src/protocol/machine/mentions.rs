//! Finds the channels that the text of a server's error is about.

/// What may stand in a channel's name by the rules of Pusher.
const PUNCTUATION: &str = "_-=@,.;";

/// So many characters of a text are searched, and no more are shown: the time that a search takes grows with the
/// square of them.
const MAX_TEXT: usize = 500;

/// After one of these a word is a name, even if it is a word of the language too.
const INTRODUCING: [&str; 6] = ["channel", "to", "of", "for", "on", "from"];

/// A name that may stand in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mention<'a> {
    pub(super) name: &'a str,
    before: &'a str,
}

impl<'a> Mention<'a> {
    /// Returns `true` if the text says that this is a name: a quote, a colon or an equals sign stands before it, or
    /// a word such as `channel`.
    pub(super) fn is_introduced(&self) -> bool {
        if self.before.ends_with(['\'', '"', '`', ':', '(', '[', '#', '=']) {
            return true;
        }
        let word = self.before.split_whitespace().next_back().unwrap_or_default();
        let word = word.trim_end_matches(':').to_ascii_lowercase();
        INTRODUCING.contains(&&*word)
    }

    /// Returns `true` if it cannot be a mere word: any text may have `room` in it, or `message`.
    pub(super) fn is_clear(&self) -> bool {
        !self.name.bytes().all(|byte| byte.is_ascii_alphabetic()) || self.is_introduced()
    }

    /// The id of the connection that a text which quotes what should have been signed puts before the name.
    pub(super) fn socket_id(&self) -> Option<&'a str> {
        let before = self.before.strip_suffix(':')?;
        let start = before.rfind(|c: char| c != '.' && !c.is_ascii_digit());
        let id = before.get(start.map_or(0, |at| at + 1)..)?;
        id.split_once('.').filter(|(left, right)| !left.is_empty() && !right.is_empty())?;
        Some(id)
    }
}

/// What a server says itself, if that is not too long: the data that it quotes is the user's.
pub(super) fn own_words(text: &str) -> &str {
    let end = text.char_indices().nth(MAX_TEXT).map_or(text.len(), |(end, _)| end);
    text.get(..end).and_then(|text| text.split('{').next()).unwrap_or_default()
}

/// Returns each run of characters that may be a name, and each value of `key=value` in it: with the punctuation
/// behind it and without, the longest first.
pub(super) fn mentions(text: &str) -> impl Iterator<Item = Mention<'_>> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || PUNCTUATION.contains(c);
    let mut rest = 0;
    let runs = std::iter::from_fn(move || {
        let start = rest + text.get(rest..)?.find(is_name)?;
        let after = text.get(start..)?;
        let run = after.get(..after.find(|c| !is_name(c)).unwrap_or(after.len()))?;
        rest = start + run.len();
        Some(Mention { name: run, before: text.get(..start)? })
    });
    let with_values = runs.flat_map(move |run| {
        let values = run.name.match_indices('=').filter_map(move |(at, _)| {
            let before = text.get(..run.before.len() + at + 1)?;
            let value = run.name.get(at + 1..)?.split([',', ';']).next()?;
            (!value.is_empty()).then_some(Mention { name: value, before })
        });
        std::iter::once(run).chain(values)
    });
    with_values.flat_map(|run| {
        std::iter::successors(Some(run), move |mention| {
            let name = mention.name.strip_suffix(['.', ',', ';'])?;
            (!name.is_empty()).then_some(Mention { name, ..run })
        })
    })
}

/// Finds a name that breaks the rules of Pusher, which some servers do not have.
pub(super) fn mentions_odd(text: &str, name: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || "_-=@".contains(c);
    !name.is_empty()
        && text.match_indices(name).any(|(at, _)| {
            let (before, rest) = text.split_at(at);
            let after = rest.get(name.len()..).unwrap_or_default();
            !before.ends_with(goes_on) && !after.starts_with(goes_on)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<&str> {
        mentions(text).map(|mention| mention.name).collect()
    }

    #[test]
    fn names_are_found_whole_and_without_the_punctuation_behind_them() {
        for (text, expected) in [
            ("to private-a", vec!["to", "private-a"]),
            ("private-a.b,", vec!["private-a.b,", "private-a.b"]),
            ("'room-1'.", vec!["room-1", "."]),
            ("7.1:presence-5:x", vec!["7.1", "presence-5", "x"]),
            ("\"a;..\" é", vec!["a;..", "a;.", "a;", "a"]),
            ("(code=1;channel=b.)", vec!["code=1;channel=b.", "code=1;channel=b", "1", "b.", "b"]),
            ("a=", vec!["a="]),
            ("", vec![]),
            (" :é{}", vec![]),
        ] {
            assert_eq!(names(text), expected, "{text}");
        }
    }

    #[test]
    fn a_word_is_a_name_where_the_text_says_so() {
        let clear = |text: &str, name: &str| {
            mentions(text).find(|mention| mention.name == name).unwrap().is_clear()
        };
        for text in [
            "Existing subscription to channel room",
            "no access to room.",
            "room 'room' is full",
            "Channel: room",
            "1.2:room",
            "channel=room",
        ] {
            let last = mentions(text).filter(|mention| mention.name == "room").last().unwrap();
            assert!(last.is_clear(), "{text}");
        }
        for text in ["Invalid room format", "room is invalid"] {
            assert!(!clear(text, "room"), "{text}");
        }
        for name in ["room-1", "private-a", "v2"] {
            assert!(clear(name, name), "{name}");
        }
    }

    #[test]
    fn the_socket_id_before_a_name_is_found() {
        let id = |text: &'static str| mentions(text).last().unwrap().socket_id();
        assert_eq!(id("digest of 123.45:private-a"), Some("123.45"));
        assert_eq!(id("123.45:private-a"), Some("123.45"));
        for text in ["channel:private-a", "1.:private-a", "12:private-a", ":private-a", "private-a"]
        {
            assert_eq!(id(text), None, "{text}");
        }
    }

    #[test]
    fn names_that_break_the_rules_are_found_whole() {
        assert!(mentions_odd("no access to é b.", "é b"));
        assert!(mentions_odd("'chat:1'", "chat:1"));
        assert!(!mentions_odd("chat:12", "chat:1") && !mentions_odd("xchat:1", "chat:1"));
    }

    #[test]
    fn quoted_data_is_not_the_servers_own_words() {
        assert_eq!(own_words(r#"of 1.2:a:{"user_id":"private-b"}, but"#), "of 1.2:a:");
        assert_eq!(own_words("plain"), "plain");
    }

    #[test]
    fn a_text_is_searched_as_far_as_it_is_shown() {
        for text in ["é".repeat(100_000), "!a".repeat(100_000), format!("a{}", ".".repeat(100_000))]
        {
            assert_eq!(own_words(&text).chars().count(), MAX_TEXT);
        }
        assert_eq!(own_words(&"é".repeat(MAX_TEXT)).chars().count(), MAX_TEXT);
    }
}
