//! Formats an error and its causes: one line, of bounded length, each part once.

use std::error::Error as StdError;
use std::fmt::{self, Display, Write};
use std::io;

use super::{Error, ErrorKind, json_words};

/// How many causes are shown, and how many characters of each.
const MAX_CAUSES: usize = 8;
const MAX_CAUSE: usize = 300;

/// Writes the error: `{}` with the causes that say what failed, `{:#}` with all of them.
pub(super) fn write(error: &Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut line = one_line(&Head(error), usize::MAX);
    let mut hints = vec![error.0.hint];
    let mut shows_next = f.alternate() || shows_cause(error);
    let mut next = error.source();
    for _ in 0..MAX_CAUSES {
        let Some(cause) = next.filter(|_| shows_next) else {
            break;
        };
        let own = cause.downcast_ref::<Error>();
        let text = match own {
            // The line already names the channel.
            Some(own) if own.channel() == error.channel() => one_line(own.text(), MAX_CAUSE),
            Some(own) => one_line(&Head(own), MAX_CAUSE),
            None => foreign(cause),
        };
        // Many libraries repeat their cause in their own text.
        if !text.is_empty() && !mentions(&line, &text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        hints.extend(own.map(|own| own.0.hint).filter(|hint| !hints.contains(hint)));
        shows_next = f.alternate() || own.is_some_and(shows_cause);
        next = cause.source();
    }
    f.write_str(&line)?;
    hints.iter().filter(|hint| !hint.is_empty()).try_for_each(|hint| write!(f, "; {hint}"))
}

/// Returns `true` if the text says too little without the cause. For other kinds the message suffices, or the cause
/// may quote private data.
fn shows_cause(error: &Error) -> bool {
    let is_known =
        |cause: &(dyn StdError + 'static)| cause.is::<Error>() || cause.is::<io::Error>();
    match error.kind() {
        ErrorKind::Io | ErrorKind::Dns | ErrorKind::Tls => !error.0.explained,
        // Other libraries say only that it was a time-out.
        ErrorKind::Timeout => error.source().is_some_and(is_known),
        _ => false,
    }
}

/// Formats an error without hint and causes.
pub(super) struct Head<'a>(pub(super) &'a Error);

impl Display for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.text())?;
        match self.0.channel() {
            // A server may name channels that are not subscribed, of any length.
            Some(channel) => write!(f, " (channel {channel:.200})"),
            None => Ok(()),
        }
    }
}

/// Returns the text of another library's error as a part of a sentence, without the number of the system's error, which
/// is in `source()`.
fn foreign(cause: &(dyn StdError + 'static)) -> String {
    let mut text = match cause.downcast_ref::<serde_json::Error>() {
        Some(error) => one_line(&json_words(error), MAX_CAUSE),
        None => one_line(cause, MAX_CAUSE),
    };
    while let Some(start) = text.find(" (os error ") {
        let length = text.get(start..).and_then(|rest| rest.find(')')).map(|end| end + 1);
        let end = length.map_or(text.len(), |length| start + length);
        text.replace_range(start..end, "");
    }
    let text = text.strip_suffix('.').unwrap_or(&text);
    let word = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let mut letters = word.chars();
    match letters.next() {
        // Words with capitals inside stay, such as TLS or OpenSSL.
        Some(first) if word.len() > 1 && !letters.any(char::is_uppercase) => {
            let rest = text.strip_prefix(first).unwrap_or_default();
            first.to_lowercase().chain(rest.chars()).collect()
        }
        _ => text.to_owned(),
    }
}

/// Returns `true` if the line contains the text, but not as a part of a word or a host name.
fn mentions(line: &str, text: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    let (line, text) = (line.to_lowercase(), text.to_lowercase());
    line.match_indices(&text).any(|(at, _)| {
        let before = line.get(..at).unwrap_or_default();
        let after = line.get(at + text.len()..).unwrap_or_default();
        !before.ends_with(goes_on) && !after.starts_with(goes_on)
    })
}

/// Returns the value's text as one line of at most `limit` characters, without control characters.
fn one_line(value: &(impl Display + ?Sized), limit: usize) -> String {
    let mut line = Line { text: String::new(), left: limit, gap: false };
    // Fails when the line is full, and when the value's own `Display` fails.
    let _ = write!(line, "{value}");
    line.text
}

struct Line {
    text: String,
    left: usize,
    /// The last character was a control character.
    gap: bool,
}

impl Line {
    fn push(&mut self, c: char) -> fmt::Result {
        if self.left == 0 {
            self.text.push('…');
            return Err(fmt::Error);
        }
        self.left -= 1;
        self.text.push(c);
        Ok(())
    }
}

impl Write for Line {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for c in part.chars() {
            if c.is_control() || (self.gap && c == ' ') {
                self.gap = true;
                continue;
            }
            if std::mem::take(&mut self.gap) && !self.text.is_empty() && !self.text.ends_with(' ') {
                self.push(' ')?;
            }
            self.push(c)?;
        }
        Ok(())
    }
}
