//! The common frame without serde_json: an object of strings.
//!
//! Most of a frame is `data`, most often JSON in a string, with a `\"` every few bytes. A search for
//! the next special byte stops at each of them, so blocks of bytes are checked as a whole instead,
//! in loops without branches that the compiler turns into vector instructions.

use super::{Data, Envelope, Span, Text};

const BLOCK: usize = 64;
const WORD: usize = size_of::<u64>();
/// How many words are tried before blocks: most keys and names end within.
const WORDS: usize = 4;

/// The envelope of a frame, or `None` if anything about it is unusual: a value that is not a string,
/// escapes in a key or a name, or a fault.
pub(super) fn fast(raw: &str) -> Option<Envelope> {
    let mut scanner = Scanner { bytes: raw.as_bytes(), at: 0 };
    let (mut event, mut channel, mut user_id) = (None, None, None);
    let mut data = Data::Absent;
    scanner.expect(b'{')?;
    loop {
        let key = scanner.string()?;
        if key.escaped {
            return None;
        }
        scanner.expect(b':')?;
        let value = scanner.string()?;
        match key.span.get(raw) {
            "event" => event = Some(value.into_text()?),
            "channel" => channel = Some(value.into_text()?),
            "user_id" => user_id = Some(value.into_text()?),
            "data" if value.escaped => data = Data::Escaped(value.span),
            "data" => data = Data::Plain(value.span),
            _ => {}
        }
        match scanner.token()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    if scanner.token().is_some() {
        return None;
    }
    Some(Envelope { event: event?, channel, data, user_id })
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

struct Found {
    span: Span,
    escaped: bool,
}

impl Found {
    fn into_text(self) -> Option<Text> {
        (!self.escaped).then_some(Text::Span(self.span))
    }
}

enum Stop {
    /// At the closing quote.
    Quote(usize),
    /// Elsewhere, and not after a backslash.
    Open(usize),
}

impl Scanner<'_> {
    /// The next byte that is not white space.
    fn token(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.token()? == byte).then_some(())
    }

    /// A valid string.
    fn string(&mut self) -> Option<Found> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        let end = match self.short(start) {
            Some(end) => end,
            None => self.long(start, &mut escaped)?,
        };
        self.at = end + 1;
        Some(Found { span: Span::new(start, end), escaped })
    }

    /// The end of a string of few bytes without escapes, as keys and names are.
    #[inline]
    fn short(&self, start: usize) -> Option<usize> {
        let mut at = start;
        for _ in 0..WORDS {
            let plain = before_special(*self.bytes.get(at..)?.first_chunk()?);
            at += plain;
            if plain < WORD {
                return (self.bytes.get(at) == Some(&b'"')).then_some(at);
            }
        }
        None
    }

    /// The end of any valid string.
    fn long(&self, start: usize, escaped: &mut bool) -> Option<usize> {
        let mut at = start;
        loop {
            match self.careful(self.blocks(at, escaped), escaped)? {
                Stop::Quote(end) => return Some(end),
                Stop::Open(next) => at = next,
            }
        }
    }

    /// Goes on byte by byte from `at`, which is not after a backslash, for about a block.
    #[inline]
    fn careful(&self, mut at: usize, escaped: &mut bool) -> Option<Stop> {
        let goal = at + BLOCK;
        loop {
            match *self.bytes.get(at)? {
                b'"' => return Some(Stop::Quote(at)),
                b'\\' => {
                    *escaped = true;
                    match *self.bytes.get(at + 1)? {
                        b'\\' => {
                            // Blocks would take the second one for the start of an escape.
                            at += 2;
                            continue;
                        }
                        b'"' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                        b'u' => {
                            let digits = self.bytes.get(at + 2..at + 6)?;
                            if !digits.iter().all(u8::is_ascii_hexdigit) {
                                return None;
                            }
                            at += 6;
                        }
                        _ => return None,
                    }
                }
                ..0x20 => return None,
                _ => at += 1,
            }
            if at >= goal {
                return Some(Stop::Open(at));
            }
        }
    }

    /// Skips the blocks after `start`, which is not after a backslash, that need no closer look.
    #[inline]
    fn blocks(&self, start: usize, escaped: &mut bool) -> usize {
        let mut at = start;
        // With the byte before, which decides about the block's first.
        while let Some(block) = self.bytes.get(at - 1..).and_then(<[u8]>::first_chunk) {
            let Some(escape) = only_quotes(block).or_else(|| only_simple(block)) else {
                break;
            };
            *escaped |= escape;
            at += BLOCK;
        }
        // An escape that the last block began is for `careful`.
        if at > start && self.bytes.get(at - 1) == Some(&b'\\') {
            at -= 1;
        }
        at
    }
}

/// How many bytes of the word stand before its first quote, backslash or control character.
#[inline]
fn before_special(word: [u8; WORD]) -> usize {
    const fn all(byte: u8) -> u64 {
        u64::from_le_bytes([byte; WORD])
    }
    let word = u64::from_le_bytes(word);
    // The high bit of each byte that is below `limit`, and maybe of some after the first of them.
    let below = |bytes: u64, limit: u8| bytes.wrapping_sub(all(limit)) & !bytes;
    let marks = below(word ^ all(b'"'), 1) | below(word ^ all(b'\\'), 1) | below(word, 0x20);
    (marks & all(0x80)).trailing_zeros() as usize / 8
}

/// Accepts a block if all backslashes are followed by a quote, all quotes follow one, and no byte is a
/// control character. Returns `true` if it holds an escape.
#[inline]
fn only_quotes(block: &[u8; BLOCK + 1]) -> Option<bool> {
    check(block, |byte, after| after != (byte == b'"'))
}

/// As `only_quotes`, with all the escapes of one letter but `\\`, which needs counting.
#[inline]
fn only_simple(block: &[u8; BLOCK + 1]) -> Option<bool> {
    check(block, |byte, after| {
        let quote = byte == b'"';
        // `/` or one of b, r, f, n, t.
        let letter =
            (byte == b'/') | (byte & !0x10 == b'b') | (byte & !0x08 == b'f') | (byte == b't');
        (after & !(quote | letter)) | (!after & quote)
    })
}

#[inline(always)]
fn check(block: &[u8; BLOCK + 1], wrong: impl Fn(u8, bool) -> bool) -> Option<bool> {
    let ([previous @ .., _], [_, current @ ..]) = (block, block);
    let (mut bad, mut escape) = (false, false);
    for (previous, &byte) in previous.iter().zip(current) {
        let after = *previous == b'\\';
        escape |= after;
        bad |= wrong(byte, after) | (byte < 0x20);
    }
    (!bad).then_some(escape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    /// Compares the first string of `raw` with what serde_json finds.
    fn agree(raw: &str) {
        let mut scanner = Scanner { bytes: raw.as_bytes(), at: 0 };
        let found = scanner.string().map(|found| (found.span.get(raw), found.escaped, scanner.at));
        let mut values = serde_json::Deserializer::from_str(raw).into_iter::<&RawValue>();
        let expected = values.next().and_then(Result::ok).map(|value| {
            let content = super::super::quoted(value.get()).unwrap();
            (content, content.contains('\\'), value.get().len())
        });
        assert_eq!(found, expected, "{raw:?}");
    }

    #[test]
    fn any_byte_anywhere() {
        for byte in 0..0x80_u8 {
            for before in (0..2 * BLOCK).map(|count| "a".repeat(count)) {
                for after in [0, 1, 2 * BLOCK].map(|count| "b".repeat(count) + "\"  ") {
                    agree(&format!("\"{before}{}{after}", byte as char));
                    agree(&format!("\"{before}\\{}{after}", byte as char));
                }
            }
        }
    }

    #[test]
    fn backslashes_at_the_edges_of_blocks() {
        // What follows the string would pass as a block of it.
        let space = " ".repeat(2 * BLOCK);
        for before in 0..3 * BLOCK {
            for between in 0..2 * BLOCK {
                let (before, between) = ("a".repeat(before), "c".repeat(between));
                for escape in [r"\\", r#"\""#, r"\\\\", r#"\\\""#] {
                    agree(&format!(r#""{before}\\{between}{escape}"{space}"#));
                    agree(&format!(r#""{before}\\{between}{escape}cc"{space}"#));
                }
            }
        }
    }
}
