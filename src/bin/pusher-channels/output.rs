//! Standard output for results, standard error for notes.

use std::io::{self, IsTerminal, Write};

use pusher_channels::Event;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::data;
use crate::exit::Failure;

/// Writes a line to standard error. Unlike `eprintln!` it does not panic if that is closed.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", printable(line));
}

/// Returns the text as one line, with control characters escaped: a server must not be able to control the terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    line
}

/// Writes lines to standard output.
pub(crate) struct Output {
    json: bool,
    color: bool,
}

#[derive(Serialize)]
struct JsonEvent<'a> {
    channel: Option<&'a str>,
    event: &'a str,
    data: Box<RawValue>,
    user_id: Option<&'a str>,
    time: &'a str,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { json, color: !json && wanted && io::stdout().is_terminal() }
    }

    /// Writes a line. An error ends the program, quietly if nobody reads any more.
    pub(crate) fn line(&self, line: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()?;
        Ok(())
    }

    pub(crate) fn event(&self, event: &Event, time: &str) -> Result<(), Failure> {
        let (name, channel) = (event.name(), event.channel());
        if self.json {
            let data = data::json(event.data());
            let line = JsonEvent { channel, event: name, data, user_id: event.user_id(), time };
            let line = serde_json::to_string(&line).map_err(io::Error::from)?;
            return self.line(&line);
        }
        let user = event.user_id().map(|id| format!(" (user {id})")).unwrap_or_default();
        self.line(&format!(
            "{} {} {} {}{}",
            self.painted("2", time),
            self.painted("36", &printable(channel.unwrap_or("-"))),
            self.painted("1", &printable(name)),
            printable(event.data()),
            printable(&user),
        ))
    }

    /// Returns the text in the color with this number, on terminals.
    pub(crate) fn painted(&self, color: &str, text: &str) -> String {
        match self.color {
            true => format!("\x1b[{color}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\x1b[2J\nb\u{9b}1m ü\t"), "a\\u{1b}[2J\\nb\\u{9b}1m ü\\t");
    }
}
