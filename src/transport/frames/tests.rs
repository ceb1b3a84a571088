use std::slice;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tungstenite::Message;
use tungstenite::protocol::{Role, WebSocketConfig};

use super::*;
use crate::wire::batch::Intake;

/// More than one frame of most tests, so that some are too large.
const LIMIT: usize = 100_000;

/// A server's frame, or one that only a client or nobody may send.
#[derive(Clone, Debug)]
struct Sent {
    first: u8,
    mask: Option<[u8; 4]>,
    payload: Vec<u8>,
    /// The length in the header, if it is a lie.
    length: Option<u64>,
}

impl Sent {
    fn new(first: u8, payload: &[u8]) -> Self {
        Self { first, mask: None, payload: payload.to_vec(), length: None }
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        let length = self.length.unwrap_or(self.payload.len() as u64);
        let masked = if self.mask.is_some() { 0x80 } else { 0 };
        bytes.push(self.first);
        match length {
            0..126 => bytes.push(masked | length as u8),
            126..0x1_0000 => {
                bytes.push(masked | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(masked | 127);
                bytes.extend(length.to_be_bytes());
            }
        }
        bytes.extend(self.mask.unwrap_or_default().iter().take(if masked > 0 { 4 } else { 0 }));
        let mask = self.mask.unwrap_or_default().into_iter().cycle();
        bytes.extend(self.payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
    }
}

/// What was received, how many bytes were sent in reply, and the error that ended it, if one did.
#[derive(Debug, PartialEq)]
struct Outcome(Vec<Message>, usize, Option<String>);

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(1024)
        .write_buffer_size(0)
        .max_message_size(Some(LIMIT))
        .max_frame_size(Some(LIMIT))
}

/// What tungstenite alone makes of the bytes.
fn judge(bytes: &[u8], role: Role, is_ended: bool) -> Outcome {
    let mut memory = MemoryStream::default();
    memory.inbox().extend(bytes);
    if is_ended {
        memory.end();
    }
    let mut codec = tungstenite::WebSocket::from_raw_socket(memory, role, Some(config()));
    let mut messages = Vec::new();
    let error = loop {
        match codec.read() {
            Ok(message) => messages.push(message),
            Err(tungstenite::Error::Io(error)) if would_block(&error) => break None,
            Err(error) => break Some(format!("{error:?}")),
        }
    };
    let _ = codec.flush();
    Outcome(messages, codec.get_mut().unsent(), error)
}

fn texts(inbox: &mut Inbox) -> Vec<String> {
    let mut messages = Vec::new();
    inbox.drain(&mut messages);
    let text = |message| match message {
        crate::Message::Text(text) => text,
        other => panic!("{other:?} instead of a text"),
    };
    messages.into_iter().map(text).collect()
}

/// The same by [`read`], with bytes that come in parts.
fn receive(bytes: &[u8], parts: &[usize], role: Role, is_ended: bool) -> Outcome {
    let mut parts = parts.iter().copied().chain(std::iter::repeat(usize::MAX));
    let early = parts.next().unwrap().min(bytes.len());
    let (early, mut rest) = bytes.split_at(early);
    let frames = Frames::new(Stream::Plain(MemoryStream::default()), early, role, LIMIT);
    let mut codec = Codec::from_raw_socket(frames, role, Some(config()));
    let (mut messages, mut inbox) = (Vec::new(), Inbox::default());
    let error = loop {
        let other = read(&mut codec, &mut inbox);
        messages.extend(texts(&mut inbox).into_iter().map(Message::text));
        match other {
            Ok(Some(other)) => messages.push(other),
            Err(error) => break Some(format!("{error:?}")),
            Ok(None) if !rest.is_empty() => {
                let mut part = &rest[..parts.next().unwrap().clamp(1, rest.len())];
                let taken = codec.get_mut().memory().inbox().fill(&mut part).unwrap();
                rest = &rest[taken..];
            }
            Ok(None) if is_ended && !codec.get_mut().ended => codec.get_mut().memory().end(),
            // After a close, tungstenite as a server ends without reading, so nothing of it passes through here.
            Ok(None) if role == Role::Server && messages.last().is_some_and(Message::is_close) => {
                match codec.read() {
                    Err(tungstenite::Error::Io(error)) if would_block(&error) => break None,
                    ended => break ended.err().map(|error| format!("{error:?}")),
                }
            }
            Ok(None) => break None,
        }
    };
    let _ = codec.flush();
    Outcome(messages, codec.get_mut().memory().unsent(), error)
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let size = prop_oneof![
        6 => 0_usize..140,
        2 => 1_000_usize..5_000,
        1 => 60_000_usize..70_000,
        1 => LIMIT - 2..LIMIT + 2,
    ];
    let text = size.prop_map(|size| "0123456789\u{e9}".repeat(size / 12 + 1).into_bytes());
    // Cut where it may be in the middle of a character, in fragments too.
    (text, 0_usize..12).prop_map(|(mut text, cut)| {
        text.truncate(text.len() - cut);
        text
    })
}

fn sent() -> impl Strategy<Value = Sent> {
    let first = prop_oneof![
        // Whole texts, fragments of texts, binary, pings, pongs.
        12 => Just(0x81_u8),
        2 => Just(0x01),
        3 => Just(0x00),
        3 => Just(0x80),
        1 => Just(0x82),
        2 => Just(0x89),
        1 => Just(0x8a),
    ];
    let usual = (first, payload()).prop_map(|(first, payload)| {
        let most = if first & 8 > 0 { 125 } else { payload.len() };
        Sent::new(first, &payload[..most.min(payload.len())])
    });
    let faulty = (any::<u8>(), payload(), any::<Option<[u8; 4]>>(), any::<bool>(), any::<u64>())
        .prop_map(|(first, payload, mask, lies, length)| {
            let length = lies.then_some(length >> (length % 64));
            Sent { first, mask, payload, length }
        });
    prop_oneof![12 => usual, 1 => faulty]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_as_by_tungstenite_alone(
        frames in vec(sent(), 0..12),
        masks in any::<bool>(),
        parts in vec(prop_oneof![1_usize..20, 100_usize..3_000, 10_000_usize..80_000], 0..60),
        keep in prop_oneof![3 => Just(1.0), 1 => 0.0..1.0],
        is_ended in any::<bool>(),
    ) {
        let mut bytes = Vec::new();
        let role = if masks { Role::Server } else { Role::Client };
        for mut frame in frames {
            if masks && frame.mask.is_none() && frame.length.is_none() {
                frame.mask = Some([1, 2, 3, 250]);
            }
            frame.encode(&mut bytes);
        }
        bytes.truncate((bytes.len() as f64 * keep) as usize);
        let expected = judge(&bytes, role, is_ended);
        prop_assert_eq!(receive(&bytes, &parts, role, is_ended), expected);
    }
}

fn encode(frames: &[Sent]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| frame.encode(&mut bytes));
    bytes
}

fn frames(bytes: &[u8]) -> Frames {
    Frames::new(Stream::Plain(MemoryStream::default()), bytes, Role::Client, LIMIT)
}

#[test]
fn whole_texts_never_reach_tungstenite() {
    let expected = ["", "one", &"x".repeat(125), &"x".repeat(126), &"\u{e9}".repeat(LIMIT / 2)];
    let bytes = encode(&expected.map(|text| Sent::new(0x81, text.as_bytes())));
    let mut frames = frames(&bytes);
    let mut inbox = Inbox::default();
    assert!(!frames.take_texts(&mut inbox).unwrap());
    assert_eq!(texts(&mut inbox), expected);
    assert!(would_block(&frames.read(&mut [0; 8]).unwrap_err()));
}

#[test]
fn tungstenite_reads_one_frame_and_not_beyond() {
    let long = "\u{e9}".repeat(LIMIT / 2 + 1);
    let others = [
        Sent::new(0x89, b"ping"),
        Sent::new(0x82, b"binary"),
        Sent::new(0x01, b"fragment"),
        Sent::new(0xc1, b"reserved"),
        Sent::new(0x81, b"not \xff UTF-8"),
        Sent::new(0x81, long.as_bytes()),
        Sent { mask: Some([1; 4]), ..Sent::new(0x81, b"masked") },
    ];
    for other in others {
        let bytes = encode(slice::from_ref(&other));
        let mut frames = frames(&[&bytes[..], &encode(&[Sent::new(0x81, b"next")])].concat());
        let mut inbox = Inbox::default();
        assert!(frames.take_texts(&mut inbox).unwrap());
        assert!(inbox.is_empty());
        let mut read = Vec::new();
        assert!(would_block(&frames.read_to_end(&mut read).unwrap_err()));
        assert!(read == bytes, "{} bytes for {}", read.len(), bytes.len());
    }
}

#[test]
fn a_server_takes_no_text_that_is_not_masked() {
    let bytes = encode(&[Sent::new(0x81, b"not masked")]);
    let expected = judge(&bytes, Role::Server, false);
    assert!(expected.2.is_some());
    assert_eq!(receive(&bytes, &[1], Role::Server, false), expected);
}

#[test]
fn a_close_frame_ends_as_with_tungstenite_alone() {
    for (role, mask) in [(Role::Client, None), (Role::Server, Some([1, 2, 3, 4]))] {
        for payload in [&b""[..], b"\x03\xe8", b"0123456789", b"0"] {
            let bytes = encode(&[Sent { mask, ..Sent::new(0x88, payload) }]);
            for is_ended in [false, true] {
                let expected = judge(&bytes, role, is_ended);
                assert_eq!(receive(&bytes, &[], role, is_ended), expected, "{payload:?}");
            }
        }
    }
}

#[test]
fn a_text_behind_a_close_frame_is_an_error() {
    let close = Sent::new(0x88, b"\x03\xe8");
    let bytes = encode(&[Sent::new(0x81, b"before"), close, Sent::new(0x81, b"behind")]);
    let expected = judge(&bytes, Role::Client, false);
    assert!(expected.2.is_some());
    assert_eq!(receive(&bytes, &[], Role::Client, false), expected);
}

#[test]
fn texts_that_take_most_of_their_buffer_are_not_copied() {
    let (ping, long) = (Sent::new(0x89, b"\xff"), "\u{e9}".repeat(1_500));
    let texts = [&long[..], "short", "", &long].map(|text| Sent::new(0x81, text.as_bytes()));
    let few = encode(&texts[1..2]);
    let much = encode(&[&[ping][..], &texts].concat());
    for (bytes, is_copied) in [(few, true), (much, false)] {
        let mut codec = Codec::from_raw_socket(frames(&bytes), Role::Client, Some(config()));
        let buffer = codec.get_mut().buffer().rest().as_ptr_range();
        let mut intake = Intake::default();
        while read(&mut codec, &mut intake.inbox).unwrap().is_some() {}
        intake.take_in(Duration::ZERO);
        let batches = intake.batches.iter();
        let taken: Vec<_> = batches.flat_map(|shared| shared.batch.texts()).collect();
        let sent = if is_copied { &texts[1..2] } else { &texts };
        assert!(taken.iter().map(|text| text.as_bytes()).eq(sent.iter().map(|it| &it.payload[..])));
        assert!(taken.iter().all(|text| buffer.contains(&text.as_ptr()) != is_copied));
    }
}
