//! The envelope of a frame: the positions of its event, channel, data and user id.
//!
//! `data` is found but not decoded: parsing takes one pass, and the consumer decodes on first use.

mod scan;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::error::Category;

use super::fields::each_field;
use super::unescape;

/// The fields of `{"event":String,"channel"?:String,"data"?:any,"user_id"?:String}`, in any order,
/// others ignored, the last of equal keys taken. All spans are of the text that was parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) event: Text,
    /// A string, or the text of a number, which some servers send for a name such as `7`; `None` for anything else.
    pub(crate) channel: Option<Text>,
    pub(crate) data: Data,
    /// A string, or the text of a number, which some servers send; `None` for anything else.
    pub(crate) user_id: Option<Text>,
}

/// A range of bytes of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

/// A string of the frame: where it is, or decoded if it holds escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    Span(Span),
    Owned(Box<str>),
}

/// `data` as found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    Absent,
    /// The content of a string without escapes.
    Plain(Span),
    /// The content of a string with escapes; [`unescape()`] decodes it.
    Escaped(Span),
    /// The JSON text of any other value. It is valid JSON, but its nesting is not bounded.
    Json(Span),
}

/// Why a frame has no envelope. The text contains nothing of the frame.
#[derive(Debug)]
pub(crate) enum Malformed {
    /// Not JSON; serde_json names the fault and its place.
    Syntax(serde_json::Error),
    NotAnObject,
    /// No `event`, or it is not a string.
    NoEvent,
    /// Too long for spans of 32 bits.
    TooLong,
}

impl Envelope {
    /// The envelope of a frame that was not parsed.
    pub(crate) const EMPTY: Self = Self {
        event: Text::Span(Span { start: 0, end: 0 }),
        channel: None,
        data: Data::Absent,
        user_id: None,
    };

    pub(crate) fn parse(raw: &str) -> Result<Self, Malformed> {
        // All positions are at most the length, so they fit from here on.
        if u32::try_from(raw.len()).is_err() {
            return Err(Malformed::TooLong);
        }
        scan::fast(raw).map_or_else(|| slow(raw), Ok)
    }
}

/// Parses any frame, with serde_json.
pub(crate) fn slow(raw: &str) -> Result<Envelope, Malformed> {
    let [mut event, mut channel, mut data, mut user_id] = [None; 4];
    let read = each_field(raw, |key, value| match &*key {
        "event" => event = Some(value),
        "channel" => channel = Some(value),
        "data" => data = Some(value),
        "user_id" => user_id = Some(value),
        _ => {}
    });
    read.map_err(|error| match error.classify() {
        // The message would quote the value.
        Category::Data => Malformed::NotAnObject,
        Category::Syntax | Category::Eof | Category::Io => Malformed::Syntax(error),
    })?;
    let id = |json| Text::of_id(raw, json);
    Ok(Envelope {
        event: event.and_then(|json| Text::of_string(raw, json)).ok_or(Malformed::NoEvent)?,
        channel: channel.and_then(id),
        data: data.map_or(Data::Absent, |json| Data::of(raw, json)),
        user_id: user_id.and_then(id),
    })
}

impl Span {
    pub(crate) fn get(self, raw: &str) -> &str {
        raw.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    fn new(start: usize, end: usize) -> Self {
        // `parse` has seen that they fit.
        Self { start: start as u32, end: end as u32 }
    }

    /// Where `part`, a slice of `raw`, is in it.
    fn of(raw: &str, part: &str) -> Self {
        let start = part.as_ptr().addr().wrapping_sub(raw.as_ptr().addr());
        Self::new(start, start.wrapping_add(part.len()))
    }
}

impl Text {
    pub(crate) fn get<'a>(&'a self, raw: &'a str) -> &'a str {
        match self {
            Self::Span(span) => span.get(raw),
            Self::Owned(text) => text,
        }
    }

    fn of_string(raw: &str, json: &str) -> Option<Self> {
        quoted(json).map(|content| {
            if has_escapes(content) {
                Self::Owned(unescape(content).into())
            } else {
                Self::Span(Span::of(raw, content))
            }
        })
    }

    fn of_id(raw: &str, json: &str) -> Option<Self> {
        if json.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            return Some(Self::Span(Span::of(raw, json)));
        }
        Self::of_string(raw, json)
    }
}

impl Data {
    fn of(raw: &str, json: &str) -> Self {
        match quoted(json) {
            Some(content) if has_escapes(content) => Self::Escaped(Span::of(raw, content)),
            Some(content) => Self::Plain(Span::of(raw, content)),
            None => Self::Json(Span::of(raw, json)),
        }
    }
}

/// The content of a JSON string; `None` for any other valid JSON.
fn quoted(json: &str) -> Option<&str> {
    json.strip_prefix('"')?.strip_suffix('"')
}

fn has_escapes(content: &str) -> bool {
    content.as_bytes().contains(&b'\\')
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax(_) => "the frame is not JSON",
            Self::NotAnObject => "the frame is not a JSON object",
            Self::NoEvent => "the frame has no event name",
            Self::TooLong => "the frame is too long",
        })
    }
}

impl std::error::Error for Malformed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Syntax(error) => Some(error),
            Self::NotAnObject | Self::NoEvent | Self::TooLong => None,
        }
    }
}
