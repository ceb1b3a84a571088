//! The head of an HTTP answer, as it comes in.

use std::time::Duration;

use crate::util::retry_after::retry_after;

/// So much may all the heads of an answer take together, those of informational answers too.
pub(super) const MAX_HEAD: usize = 16 * 1024;

/// Looks for the end of a head without looking at any byte of it twice.
#[derive(Default)]
pub(super) struct Search {
    /// So much of the head under way holds no end of it.
    searched: usize,
    /// What the heads before it took.
    skipped: usize,
}

/// The head is longer than [`MAX_HEAD`].
pub(super) struct TooLong;

impl Search {
    /// Where the empty line that ends the head ends, if it is in `input`, which begins with the head.
    pub(super) fn find_end(&mut self, input: &[u8]) -> Result<Option<usize>, TooLong> {
        let end = self.look(input);
        match self.skipped.saturating_add(end.unwrap_or(input.len())) {
            0..=MAX_HEAD => Ok(end),
            _ => Err(TooLong),
        }
    }

    /// A head of so many bytes was found, and the answer proper is yet to come.
    pub(super) fn skip(&mut self, length: usize) {
        self.skipped = self.skipped.saturating_add(length);
        self.searched = 0;
    }

    fn look(&mut self, input: &[u8]) -> Option<usize> {
        let rest = input.get(self.searched..).unwrap_or_default();
        for (index, _) in rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            let line = self.searched + index + 1;
            match input.get(line..).unwrap_or_default() {
                [b'\n', ..] => return Some(line + 1),
                [b'\r', b'\n', ..] => return Some(line + 2),
                _ => {}
            }
        }
        // Three bytes may be the beginning of the end.
        self.searched = input.len().saturating_sub(3);
        None
    }
}

/// Whether it begins as an answer in HTTP/1.0 or HTTP/1.1 does, as far as it goes.
pub(super) fn may_be_http(input: &[u8]) -> bool {
    input.iter().zip(b"HTTP/1.").all(|(byte, expected)| byte == expected)
}

/// Of `HTTP/1.1 200 Connection established`, and of the same without a reason.
pub(super) fn status(head: &[u8]) -> Option<u16> {
    match head {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9', b' ', digits @ ..] => {
            let (digits, rest) = digits.split_at_checked(3)?;
            let ends = matches!(rest, [b' ' | b'\r' | b'\n', ..]);
            let status = std::str::from_utf8(digits).ok()?.parse().ok()?;
            (ends && (100..=599).contains(&status)).then_some(status)
        }
        _ => None,
    }
}

/// The values of the fields of this name, from a head's lines.
pub(super) fn values<'a>(head: &'a [u8], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    head.split(|byte| *byte == b'\n').filter_map(move |line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (field, value) = line.split_at_checked(colon)?;
        let value = value.get(1..).unwrap_or_default();
        field.eq_ignore_ascii_case(name.as_bytes()).then(|| value.trim_ascii())
    })
}

/// How long a refusal with this head asks to wait; `wall` is the time since 1970.
pub(super) fn wait_of(head: &[u8], status: u16, wall: Duration) -> Option<Duration> {
    let header = values(head, "retry-after").next();
    retry_after(status, header.and_then(|value| std::str::from_utf8(value).ok()), wall)
}
