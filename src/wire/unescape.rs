//! Decoding of JSON strings.
//!
//! Most contents are JSON in a string, with a `\"` every few bytes. A branch for each of them is
//! mispredicted too often, so blocks without other escapes are decoded with none.

const BLOCK: usize = 16;
const WORD: usize = size_of::<u64>();

/// Decodes the content of a JSON string: what stood between its quotes, already validated.
///
/// A lone surrogate becomes U+FFFD. What is not valid decodes to something, without a panic.
pub(crate) fn unescape(content: &str) -> String {
    // No valid escape decodes to more bytes than it has, so whole blocks and words always fit. Not
    // zeros, for which allocators have another, often slower, way.
    let mut writer = Writer { out: vec![b' '; content.len() + WORD], at: 0 };
    let mut rest = content.as_bytes();
    while !rest.is_empty() {
        rest = writer.blocks(rest);
        rest = writer.careful(rest).unwrap_or_default();
    }
    let Writer { mut out, at } = writer;
    out.truncate(at);
    String::from_utf8(out)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

struct Writer {
    out: Vec<u8>,
    /// How many bytes of `out` are written.
    at: usize,
}

impl Writer {
    /// The next bytes to write, of which `at` then counts those that stay; `None` if there is no room, as only
    /// content that is not valid can bring about.
    #[inline]
    fn place<const LEN: usize>(&mut self) -> Option<&mut [u8; LEN]> {
        self.out.get_mut(self.at..)?.first_chunk_mut()
    }

    /// Decodes blocks until one holds an escape other than `\"` and `\/`, and returns what follows. The
    /// start of `rest` is not inside an escape.
    #[inline]
    fn blocks<'a>(&mut self, mut rest: &'a [u8]) -> &'a [u8] {
        // With the byte after, which decides about a backslash at the block's end.
        while let Some(block) = rest.first_chunk::<{ BLOCK + 1 }>() {
            let ([bytes @ .., _], [_, next @ ..]) = (block, block);
            let (mut escapes, mut others) = (false, false);
            for (&byte, &next) in bytes.iter().zip(next) {
                let backslash = byte == b'\\';
                escapes |= backslash;
                others |= backslash & (next != b'"') & (next != b'/');
            }
            if others {
                break;
            }
            let Some(place) = self.place() else { break };
            if escapes {
                // In a function of its own it is slower: knowing that the two slices do not overlap, the compiler
                // finds vectors to build byte by byte.
                let mut kept = 0;
                for &byte in bytes {
                    // What follows a backslash overwrites it. The remainder changes nothing but spares a branch.
                    if let Some(place) = place.get_mut(kept % BLOCK) {
                        *place = byte;
                    }
                    kept += usize::from(byte != b'\\');
                }
                self.at += kept;
            } else {
                *place = *bytes;
                self.at += BLOCK;
            }
            rest = rest.get(BLOCK..).unwrap_or_default();
        }
        rest
    }

    /// Decodes any content for about a block, and returns what follows, which is not inside an escape;
    /// `None` if there is no room.
    #[inline]
    fn careful<'a>(&mut self, mut rest: &'a [u8]) -> Option<&'a [u8]> {
        let goal = rest.len().saturating_sub(BLOCK);
        while rest.len() > goal {
            if let Some((word, tail)) = rest.split_first_chunk::<WORD>() {
                // Copying the whole word and counting less beats copying as much as is needed.
                *self.place()? = *word;
                let plain = before_backslash(*word);
                self.at += plain;
                if plain == WORD {
                    rest = tail;
                    continue;
                }
                rest = rest.get(plain + 1..)?;
            } else {
                let (&byte, tail) = rest.split_first()?;
                rest = tail;
                if byte != b'\\' {
                    self.push(byte)?;
                    continue;
                }
            }
            rest = self.escape(rest)?;
        }
        Some(rest)
    }

    #[inline]
    fn push(&mut self, byte: u8) -> Option<()> {
        *self.place()? = [byte];
        self.at += 1;
        Some(())
    }

    /// Decodes what follows a backslash, and returns what follows that; `None` if there is no room, or
    /// nothing follows the backslash.
    #[inline]
    fn escape<'a>(&mut self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let (&kind, tail) = rest.split_first()?;
        self.push(match kind {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unicode(tail),
            same => same,
        })?;
        Some(tail)
    }

    fn unicode<'a>(&mut self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let (decoded, tail) = match code_unit(rest) {
            Some((high @ 0xd800..0xdc00, tail)) => {
                match tail.strip_prefix(b"\\u").and_then(code_unit) {
                    Some((low @ 0xdc00..0xe000, tail)) => {
                        (char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)), tail)
                    }
                    _ => (None, tail),
                }
            }
            Some((unit, tail)) => (char::from_u32(unit), tail),
            None => (None, rest),
        };
        let decoded = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
        self.at += decoded.encode_utf8(self.place::<4>()?).len();
        Some(tail)
    }
}

/// How many bytes of the word stand before its first backslash.
#[inline]
fn before_backslash(word: [u8; WORD]) -> usize {
    const ONES: u64 = u64::from_le_bytes([0x01; WORD]);
    const HIGH: u64 = u64::from_le_bytes([0x80; WORD]);
    const BACKSLASHES: u64 = u64::from_le_bytes([b'\\'; WORD]);
    // Marks the bytes that are zero; a borrow can only mark a wrong one after a right one.
    let zero_if_backslash = u64::from_le_bytes(word) ^ BACKSLASHES;
    let marks = zero_if_backslash.wrapping_sub(ONES) & !zero_if_backslash & HIGH;
    marks.trailing_zeros() as usize / 8
}

/// The value of four hexadecimal digits.
fn code_unit(rest: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, tail) = rest.split_first_chunk::<4>()?;
    // A letter has bit 6 set, and its low bits count from 1.
    let digit = |byte: u8| u32::from((byte & 0x0f) + 9 * (byte >> 6));
    Some((digits.iter().fold(0, |unit, &byte| (unit << 4) + digit(byte)), tail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ESCAPES: [&str; 8] =
        [r#"\""#, r"\/", r"\\", r"\n", r"\t", r"\u00e9", r"\ud83d\ude00", r#"\\\""#];

    /// Compares with serde_json; the content is one that it takes.
    fn agree(content: &str) {
        let expected: String = serde_json::from_str(&format!("\"{content}\"")).unwrap();
        assert_eq!(unescape(content), expected, "{content}");
    }

    #[test]
    fn escapes_at_every_place_of_a_block() {
        for (filler, most) in [("a", 2 * BLOCK + 2), ("é", BLOCK + 1)] {
            for before in (0..most).map(|count| filler.repeat(count)) {
                for first in ESCAPES {
                    agree(&format!("{before}{first}"));
                    for between in (0..=BLOCK + 1).map(|count| filler.repeat(count)) {
                        for second in ESCAPES {
                            // The end of the content, and of its blocks, at every distance.
                            agree(&format!("{before}{first}{between}{second}{before}"));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn only_escapes() {
        for first in ESCAPES {
            for second in ESCAPES {
                for count in 0..4 * BLOCK {
                    agree(&first.repeat(count));
                    agree(&format!("{second}{}", first.repeat(count)));
                    agree(&format!("{}{second}", format!("{first}{second}").repeat(count)));
                }
            }
        }
    }

    /// It is no fast path if it gives up on the contents it is for.
    #[test]
    fn blocks_take_quotes_and_slashes() {
        for escape in [r#"\""#, r"\/"] {
            for before in 0..2 * BLOCK {
                for between in 0..2 * BLOCK {
                    let piece = format!("{escape}{}", "é".repeat(between));
                    let content = format!("{}{}", "a".repeat(before), piece.repeat(BLOCK));
                    let mut writer = Writer { out: vec![0; content.len()], at: 0 };
                    assert!(writer.blocks(content.as_bytes()).len() <= BLOCK, "{content}");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        /// As servers send it, and encoded once more or not at all often enough.
        #[test]
        fn json_in_json(
            members in prop::collection::vec(("[a-zé/]{0,20}", r#"[ -~é日😀\n\t"/\\]{0,40}"#), 0..30),
            depth in 1..4,
        ) {
            let mut text: String =
                members.iter().map(|(key, value)| format!("{key:?}:{value:?},")).collect();
            for _ in 0..depth {
                text = serde_json::to_string(&text).unwrap();
            }
            agree(&text[1..text.len() - 1]);
            // PHP's way.
            agree(&text[1..text.len() - 1].replace('/', r"\/"));
        }
    }

    #[test]
    fn faults_that_decode_to_more_bytes_than_they_have() {
        for fault in [r"\u", r"\u\", r"\ud800\u", r"\u1", r"\u12é4"] {
            for count in 0..4 * BLOCK {
                let content = fault.repeat(count);
                assert_eq!(unescape(&content).is_empty(), content.is_empty(), "{content}");
            }
        }
    }

    #[test]
    fn lone_surrogates_anywhere() {
        for before in (0..2 * BLOCK + 2).map(|count| "a".repeat(count)) {
            for escape in ESCAPES {
                let decoded = unescape(escape);
                let expected = format!("{before}\u{fffd}{decoded}\u{fffd}");
                assert_eq!(unescape(&format!(r"{before}\ud83d{escape}\ude00")), expected);
            }
        }
    }
}
