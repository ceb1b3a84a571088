//! Received events.

#[cfg(feature = "encrypted")]
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
#[cfg(feature = "encrypted")]
use std::sync::OnceLock;

use serde::Deserialize;

use crate::Error;
use crate::error::read_json;
use crate::wire::batch::{Batch, Frame};
use crate::wire::{Data, Text, unescape};

/// A channel's name, shared between the tables that hold it.
pub(crate) type ChannelName = Arc<str>;

/// An event that the server sent.
///
/// Clones are cheap: they share the frame's text, and so do the events that other bindings receive of the same
/// frame. The data is decoded on first use, by the thread that uses it.
///
/// **Memory**: frames that arrive together share one buffer, which is freed or reused when all events in it are
/// dropped. An event therefore keeps the whole buffer alive: at most 64 KiB of text and 256 frames, or its own frame
/// alone if that is longer. The buffer of an event that arrives alone has the size of its frame. While more than 64
/// values wait in a [`Queue`](crate::Queue), events that take less than a quarter of their buffer are copied into one
/// of their own size. To keep single events for long, copy what you need of them (`event.data().to_owned()`).
///
/// # Example
///
/// ```no_run
/// # fn main() -> Result<(), pusher_channels::Error> {
/// # let client = pusher_channels::Client::new(pusher_channels::Options::cluster("eu", "app-key"))?;
/// # let chat = client.public_channel("chat")?;
/// let messages = chat.bind("message");
/// for event in &messages {
///     let message: serde_json::Value = event.json()?;
///     println!("{} on {:?}: {message}", event.name(), event.channel());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Event {
    batch: Arc<Batch>,
    index: usize,
    /// Replaces what is in the frame.
    instead: Option<Arc<Instead>>,
}

#[derive(Clone, Default)]
struct Instead {
    name: Option<&'static str>,
    /// The decrypted `data`.
    #[cfg(feature = "encrypted")]
    plaintext: Option<Plaintext>,
    /// The text of the plaintext, decoded on first use, where it is not the plaintext itself.
    #[cfg(feature = "encrypted")]
    decoded: OnceLock<Box<str>>,
}

#[cfg(feature = "encrypted")]
#[derive(Clone)]
enum Plaintext {
    Text(Box<str>),
    /// Not UTF-8.
    Bytes(Box<[u8]>),
}

/// The memory that an event takes beside its texts, in bytes: itself, its place in the batch, and the overhead of
/// the allocator.
const OVERHEAD: usize = size_of::<Event>() + size_of::<Frame>() + 48;

impl Event {
    /// Parses a frame.
    pub(crate) fn parse(raw: String) -> Result<Self, Error> {
        let mut batch = Batch::of_one(raw);
        match batch.parse().pop() {
            Some((_, error)) => Err(error),
            None => Ok(Self::in_batch(&Arc::new(batch), 0)),
        }
    }

    /// Returns the event of this frame, which must be one.
    pub(crate) fn in_batch(batch: &Arc<Batch>, index: usize) -> Self {
        Self { batch: Arc::clone(batch), index, instead: None }
    }

    /// Returns the events for a slow consumer: those that take less than a quarter of their batch are copied into one
    /// of their own. `None` if there are none of these.
    pub(crate) fn excerpts(events: &[Self]) -> Option<Vec<Self>> {
        let mut excerpts = None;
        let mut done = 0;
        for group in events.chunk_by(|one, other| Arc::ptr_eq(&one.batch, &other.batch)) {
            let indexes = group.iter().map(|event| event.index);
            let batch = group.first().and_then(|first| first.batch.excerpt(indexes));
            if let Some(batch) = batch.map(Arc::new) {
                let excerpts: &mut Vec<_> = excerpts.get_or_insert_with(|| events.to_vec());
                for (index, event) in excerpts.iter_mut().skip(done).take(group.len()).enumerate() {
                    (event.batch, event.index) = (Arc::clone(&batch), index);
                }
            }
            done += group.len();
        }
        excerpts
    }

    /// Returns the event under the name that the user sees.
    pub(crate) fn renamed(mut self, name: &'static str) -> Self {
        self.instead().name = Some(name);
        self
    }

    /// Returns the event with this as its data instead of the ciphertext.
    #[cfg(feature = "encrypted")]
    pub(crate) fn decrypted(mut self, plaintext: Vec<u8>) -> Self {
        let plaintext = match String::from_utf8(plaintext) {
            Ok(text) => Plaintext::Text(text.into()),
            Err(error) => Plaintext::Bytes(error.into_bytes().into()),
        };
        let instead = self.instead();
        instead.plaintext = Some(plaintext);
        instead.decoded = OnceLock::new();
        self
    }

    fn instead(&mut self) -> &mut Instead {
        Arc::make_mut(self.instead.get_or_insert_default())
    }

    /// Returns the memory that it takes in bytes, including the frame that it may share with other events.
    pub(crate) fn size(&self) -> usize {
        let frame = self.frame();
        let decoded = frame.decoded.get().map_or(0, |text| text.len());
        #[cfg(feature = "encrypted")]
        let decoded = decoded
            + self.instead.as_ref().map_or(0, |instead| {
                let plaintext = instead.plaintext.as_ref().map_or(0, |text| text.bytes().len());
                size_of::<Instead>()
                    + plaintext
                    + instead.decoded.get().map_or(0, |text| text.len())
            });
        OVERHEAD + self.raw().len() + decoded
    }

    fn frame(&self) -> &Frame {
        self.batch.frame(self.index)
    }

    fn text<'a>(&'a self, text: &'a Text) -> &'a str {
        text.get(self.raw())
    }

    /// Returns the name of the event.
    ///
    /// The prefix `pusher_internal:` of the protocol is `pusher:` here: `pusher:subscription_succeeded`.
    #[doc(alias = "eventName")]
    pub fn name(&self) -> &str {
        match self.instead.as_ref().and_then(|instead| instead.name) {
            Some(name) => name,
            None => self.text(&self.frame().envelope.event),
        }
    }

    /// Returns the channel of the event; `None` for the few events that belong to the connection.
    #[doc(alias = "channelName")]
    pub fn channel(&self) -> Option<&str> {
        self.frame().envelope.channel.as_ref().map(|channel| self.text(channel))
    }

    /// Returns the data as text.
    ///
    /// A JSON string is unwrapped once, any other JSON is returned as its text, and missing data is `""`. On
    /// encrypted channels the same applies to the plaintext.
    ///
    /// Servers usually send a string that holds JSON, which [`json`](Self::json) deserializes. A lone surrogate, which
    /// JSON allows but UTF-8 does not, becomes U+FFFD, and so do bytes of a plaintext that are not UTF-8:
    /// [`bytes`](Self::bytes) returns those unchanged.
    #[doc(alias = "tryGetDataAsMap")]
    pub fn data(&self) -> &str {
        #[cfg(feature = "encrypted")]
        if let Some(instead) = &self.instead {
            match &instead.plaintext {
                None => {}
                // Most texts are objects, which need no decoding.
                Some(Plaintext::Text(text)) if !text.trim_start().starts_with('"') => return text,
                Some(plaintext) => return instead.decoded.get_or_init(|| plaintext.data()),
            }
        }
        let (frame, raw) = (self.frame(), self.raw());
        match &frame.envelope.data {
            Data::Absent => "",
            Data::Plain(span) | Data::Json(span) => span.get(raw),
            Data::Escaped(span) => {
                frame.decoded.get_or_init(|| unescape(span.get(raw)).into_boxed_str())
            }
        }
    }

    /// Returns the data of the frame as text. It is not kept, since nothing uses it after decryption.
    #[cfg(feature = "encrypted")]
    pub(crate) fn ciphertext(&self) -> Cow<'_, str> {
        let raw = self.raw();
        match &self.frame().envelope.data {
            Data::Absent => Cow::Borrowed(""),
            Data::Plain(span) | Data::Json(span) => Cow::Borrowed(span.get(raw)),
            Data::Escaped(span) => Cow::Owned(unescape(span.get(raw))),
        }
    }

    /// Returns the data as bytes.
    ///
    /// On encrypted channels this is the plaintext unchanged: it need not be text, and a JSON string is not unwrapped.
    /// On other channels these are the bytes of [`data`](Self::data).
    ///
    /// ```no_run
    /// # #[cfg(feature = "encrypted")]
    /// # fn main() -> Result<(), pusher_channels::Error> {
    /// # let client = pusher_channels::Client::new(pusher_channels::Options::cluster("eu", "app-key"))?;
    /// // Measurements that the server encrypts as four bytes each.
    /// let readings = client.private_encrypted_channel("private-encrypted-readings")?.bind("reading");
    /// for reading in &readings {
    ///     if let Ok(bytes) = reading.bytes().try_into() {
    ///         println!("{}", f32::from_be_bytes(bytes));
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "encrypted"))]
    /// # fn main() {}
    /// ```
    pub fn bytes(&self) -> &[u8] {
        #[cfg(feature = "encrypted")]
        if let Some(plaintext) = self.instead.as_ref().and_then(|it| it.plaintext.as_ref()) {
            return plaintext.bytes();
        }
        self.data().as_bytes()
    }

    /// Deserializes the data as JSON.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Json`](crate::ErrorKind::Json) if the data is not valid JSON or does not match `T`.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        read_json(self.data()).map_err(|error| {
            let name = self.name();
            let message = format!("the data of {name:.200} is not JSON of the requested type");
            let error = error.with_message(message);
            match self.channel() {
                Some(channel) => error.on_channel(channel),
                None => error,
            }
        })
    }

    /// Returns the id of the user who sent the event. Servers set it for client events on presence channels.
    #[doc(alias = "userId")]
    pub fn user_id(&self) -> Option<&str> {
        self.frame().envelope.user_id.as_ref().map(|id| self.text(id))
    }

    /// Returns the whole frame, unchanged.
    pub fn raw(&self) -> &str {
        self.batch.text(self.index)
    }
}

#[cfg(feature = "encrypted")]
impl Plaintext {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// Unwraps a JSON string once, returns any other text unchanged, and replaces what is not UTF-8 by U+FFFD.
    fn data(&self) -> Box<str> {
        match self {
            Self::Text(text) => json_string(text).unwrap_or_else(|| text.to_string()).into(),
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes).into(),
        }
    }
}

/// Returns the content of a JSON string; `None` for any other text.
#[cfg(feature = "encrypted")]
fn json_string(text: &str) -> Option<String> {
    // serde_json refuses lone surrogates in a `String`.
    let json: &serde_json::value::RawValue = serde_json::from_str(text).ok()?;
    crate::wire::text(json.get())
}

impl fmt::Debug for Event {
    /// Omits the data, which may be private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("name", &self.name())
            .field("channel", &self.channel())
            .field("user_id", &self.user_id())
            .field("raw_len", &self.raw().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn event(raw: &str) -> Event {
        Event::parse(raw.to_owned()).unwrap()
    }

    #[test]
    fn data_in_every_shape() {
        for (data, text) in [
            (r#""{\"a\":1}""#, r#"{"a":1}"#),
            (r#""plain""#, "plain"),
            (r#""""#, ""),
            (r#"{"a": [1]}"#, r#"{"a": [1]}"#),
            ("[1,2]", "[1,2]"),
            ("17.50", "17.50"),
            ("null", "null"),
            ("true", "true"),
            (r#""\u00e9\ud83d\ude00 \ud83d""#, "é😀 \u{fffd}"),
        ] {
            let event = event(&format!(r#"{{"event":"e","data":{data}}}"#));
            assert_eq!(event.data(), text);
            assert_eq!(event.clone().data().as_ptr(), event.data().as_ptr(), "decoded once");
        }
        assert_eq!(event(r#"{"event":"e"}"#).data(), "");
    }

    #[cfg(feature = "encrypted")]
    #[test]
    fn decrypted_text_takes_the_place_of_data_only() {
        let raw = r#"{"event":"e","channel":"c","user_id":"u","data":"{\"nonce\":\"\"}"}"#;
        let encrypted = event(raw);
        assert_eq!(encrypted.data(), r#"{"nonce":""}"#, "decoded before, as when it is decrypted");
        for (text, data) in [
            (r#"{"a": [1]}"#, r#"{"a": [1]}"#),
            (r#""hello \"you\" \ud83d""#, "hello \"you\" \u{fffd}"),
            (" \"a\"\n", "a"),
            (r#""\"twice\"""#, r#""twice""#),
            ("no JSON", "no JSON"),
            (r#""no JSON"#, r#""no JSON"#),
            (r#""a" "b""#, r#""a" "b""#),
            ("17.50", "17.50"),
            ("", ""),
        ] {
            let decrypted = encrypted.clone().decrypted(text.into());
            assert_eq!(decrypted.bytes(), text.as_bytes(), "as it is");
            assert_eq!(decrypted.data(), data);
            assert_eq!(
                decrypted.clone().data().as_ptr(),
                decrypted.data().as_ptr(),
                "decoded once"
            );
            assert_eq!((decrypted.name(), decrypted.channel()), ("e", Some("c")));
            assert_eq!((decrypted.user_id(), decrypted.raw()), (Some("u"), raw));
        }
        assert_eq!(encrypted.data(), r#"{"nonce":""}"#, "clones of it stay as they were");
    }

    #[cfg(feature = "encrypted")]
    #[test]
    fn a_plaintext_need_not_be_text() {
        let encrypted = event(r#"{"event":"e","data":"{\"nonce\":\"\"}"}"#);
        for (plaintext, data) in [
            (&b"\xff\xfeab"[..], "\u{fffd}\u{fffd}ab"),
            // The start of a string, and CBOR's of a map.
            (b"\"a\xff\"", "\"a\u{fffd}\""),
            (b"\xa1\x61a\x01", "\u{fffd}aa\u{1}"),
            (b"\0", "\0"),
            (b"", ""),
        ] {
            let decrypted = encrypted.clone().decrypted(plaintext.to_vec());
            assert_eq!((decrypted.bytes(), decrypted.data()), (plaintext, data));
        }
    }

    #[test]
    fn bytes_are_those_of_data_where_nothing_is_encrypted() {
        for data in [r#""{\"a\":1}""#, r#""plain""#, r#"{"a": [1]}"#, "null", r#""\ud800""#] {
            let event = event(&format!(r#"{{"event":"e","data":{data}}}"#));
            assert_eq!(event.bytes(), event.data().as_bytes());
        }
        assert_eq!(event(r#"{"event":"e"}"#).bytes(), b"");
    }

    #[test]
    fn its_size_is_of_all_that_it_keeps() {
        let text = "\\n".repeat(1_000);
        let event = event(&format!(r#"{{"event":"e","data":"{text}"}}"#));
        let before = event.size();
        assert!(before > event.raw().len());
        assert_eq!(event.data().len(), 1_000);
        assert_eq!(event.size(), before + 1_000, "decoded beside the frame");
        #[cfg(feature = "encrypted")]
        {
            let decrypted = event.clone().decrypted(vec![0xff; 500]);
            assert_eq!(decrypted.size(), event.size() + size_of::<Instead>() + 500);
        }
    }

    #[test]
    fn json_reads_what_the_string_holds() {
        let event = event(r#"{"event":"e","channel":"c","data":"{\"a\":[1,2]}"}"#);
        let value: serde_json::Value = event.json().unwrap();
        assert_eq!(value["a"][1], 2);
        let error = event.json::<u8>().unwrap_err();
        assert_eq!((error.kind(), error.channel()), (ErrorKind::Json, Some("c")));
        let long = Event::parse(format!(r#"{{"event":"{}"}}"#, "é".repeat(1000))).unwrap();
        assert!(long.json::<u8>().unwrap_err().to_string().len() < 600);
        let causes = [
            event.json::<u8>().unwrap_err(),
            event.json::<std::collections::HashMap<String, std::num::NonZeroU8>>().unwrap_err(),
        ]
        .map(|error| std::error::Error::source(&error).unwrap().to_string());
        assert!(causes.iter().all(|cause| cause.starts_with("expected ")), "{causes:?}");
    }

    #[test]
    fn neither_debug_nor_an_error_shows_data() {
        let event = event(r#"{"event":"e","data":"canary"}"#);
        assert!(!format!("{event:?}").contains("canary"));
        let error = Event::parse(r#"{"event":7,"data":"canary"}"#.into()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
