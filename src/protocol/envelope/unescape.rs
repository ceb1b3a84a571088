//! Decoding of JSON strings.

const WORD: usize = size_of::<u64>();

/// Decodes the content of a JSON string: what stood between its quotes, already validated.
///
/// A lone surrogate becomes U+FFFD. What is not valid decodes to something, without a panic.
pub(crate) fn unescape(content: &str) -> String {
    let mut out = Vec::with_capacity(content.len() + WORD);
    let mut rest = content.as_bytes();
    loop {
        if let Some((word, tail)) = rest.split_first_chunk::<WORD>() {
            // Copying the whole word and taking back what was too much beats copying as much as is needed.
            out.extend_from_slice(word);
            let plain = before_backslash(*word);
            if plain == WORD {
                rest = tail;
                continue;
            }
            out.truncate(out.len() - WORD + plain);
            rest = rest.get(plain + 1..).unwrap_or_default();
        } else {
            match rest.split_first() {
                None => break,
                Some((b'\\', tail)) => rest = tail,
                Some((byte, tail)) => {
                    out.push(*byte);
                    rest = tail;
                    continue;
                }
            }
        }
        rest = escape(rest, &mut out);
    }
    String::from_utf8(out)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
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

/// Decodes what follows a backslash, and returns what follows that.
#[inline]
fn escape<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let Some((&kind, tail)) = rest.split_first() else {
        return rest;
    };
    out.push(match kind {
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return unicode(tail, out),
        same => same,
    });
    tail
}

fn unicode<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
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
    out.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
    tail
}

/// The value of four hexadecimal digits.
fn code_unit(rest: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, tail) = rest.split_first_chunk::<4>()?;
    // A letter has bit 6 set, and its low bits count from 1.
    let digit = |byte: u8| u32::from((byte & 0x0f) + 9 * (byte >> 6));
    Some((digits.iter().fold(0, |unit, &byte| (unit << 4) + digit(byte)), tail))
}
