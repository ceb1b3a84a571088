//! Any text as a frame: the envelope's fields, with serde_json as the judge.

use std::mem::discriminant;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::Event;
use crate::util::redact::redact;
use crate::wire::envelope::{Envelope, Malformed, slow};
use crate::wire::unescape;

/// The input is the frame.
pub(crate) fn frames(data: &[u8]) {
    let raw = String::from_utf8_lossy(data).into_owned();
    let parsed = Envelope::parse(&raw);
    match (&parsed, slow(&raw)) {
        (Ok(parsed), Ok(slow)) => assert_eq!(*parsed, slow, "{raw:?}"),
        (Err(parsed), Err(slow)) => {
            assert_eq!(discriminant(parsed), discriminant(&slow), "{raw:?}")
        }
        (parsed, slow) => panic!("{raw:?}: {parsed:?}, but slowly {slow:?}"),
    }
    accepted_as_json_is(&raw, &parsed);
    if let Ok(event) = Event::parse(raw.clone()) {
        fields_are_those_of(&raw, &event);
    }
    let _ = redact(&raw);
    let decoded = unescape(&raw);
    assert!(decoded.len() <= raw.len().saturating_mul(3));
}

fn accepted_as_json_is(raw: &str, parsed: &Result<Envelope, Malformed>) {
    // This reads neither numbers nor halves of surrogate pairs, so that nothing but the syntax counts.
    let json = serde_json::from_str::<&RawValue>(raw).is_ok();
    let object = raw.trim_start().starts_with('{');
    match parsed {
        Ok(_) | Err(Malformed::NoEvent) => assert!(json && object, "{raw:?}"),
        // What is no object is refused at its beginning, whatever follows.
        Err(Malformed::NotAnObject) => assert!(!object, "{raw:?}"),
        Err(Malformed::Syntax(_)) => assert!(!json || !object, "{raw:?}"),
        Err(Malformed::TooLong) => panic!("{} bytes are too long", raw.len()),
    }
}

/// What the user sees, where serde_json reads the whole frame.
fn fields_are_those_of(raw: &str, event: &Event) {
    let _ = format!("{event:?}");
    let Ok(value) = serde_json::from_str::<Value>(raw) else { return };
    assert_eq!(Some(event.name()), value["event"].as_str(), "{raw:?}");
    is_the_id(raw, event.channel(), &value["channel"]);
    assert_eq!(event.raw(), raw);
    match value.get("data") {
        None => assert_eq!(event.data(), "", "{raw:?}"),
        Some(Value::String(text)) => assert_eq!(event.data(), text, "{raw:?}"),
        Some(data) => assert_eq!(event.json::<Value>().as_ref().ok(), Some(data), "{raw:?}"),
    }
    is_the_id(raw, event.user_id(), &value["user_id"]);
}

fn is_the_id(raw: &str, id: Option<&str>, value: &Value) {
    match value {
        Value::String(text) => assert_eq!(id, Some(&**text), "{raw:?}"),
        Value::Number(number) => {
            let id = id.and_then(|id| serde_json::from_str::<Value>(id).ok());
            assert_eq!(id.as_ref(), Some(&Value::Number(number.clone())), "{raw:?}");
        }
        _ => assert_eq!(id, None, "{raw:?}"),
    }
}
