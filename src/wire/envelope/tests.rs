use proptest::prelude::*;

use super::*;

/// What an envelope says, without where.
#[derive(Debug, PartialEq)]
struct Seen {
    event: String,
    channel: Option<String>,
    data: (&'static str, String),
    user_id: Option<String>,
}

fn seen(raw: &str) -> Option<Seen> {
    let envelope = Envelope::parse(raw).ok()?;
    let data = match envelope.data {
        Data::Absent => ("absent", ""),
        Data::Plain(span) => ("plain", span.get(raw)),
        Data::Escaped(span) => ("escaped", span.get(raw)),
        Data::Json(span) => ("json", span.get(raw)),
    };
    Some(Seen {
        event: envelope.event.get(raw).to_owned(),
        channel: envelope.channel.as_ref().map(|text| text.get(raw).to_owned()),
        data: (data.0, data.1.to_owned()),
        user_id: envelope.user_id.as_ref().map(|text| text.get(raw).to_owned()),
    })
}

fn expect(
    raw: &str,
    event: &str,
    channel: Option<&str>,
    data: (&'static str, &str),
    user_id: Option<&str>,
) {
    let expected = Seen {
        event: event.to_owned(),
        channel: channel.map(str::to_owned),
        data: (data.0, data.1.to_owned()),
        user_id: user_id.map(str::to_owned),
    };
    assert_eq!(seen(raw), Some(expected), "{raw}");
}

/// `fast` may give up, but never disagree.
fn agree(raw: &str) -> bool {
    let fast = scan::fast(raw);
    if fast.is_some() {
        assert_eq!(fast, slow(raw).ok(), "{raw:?}");
    }
    fast.is_some()
}

#[test]
fn frames_of_servers() {
    let none = ("absent", "");
    expect(r#"{"event":"pusher:ping"}"#, "pusher:ping", None, none, None);
    expect(r#"{"event":"pusher:pong","data":"{}"}"#, "pusher:pong", None, ("plain", "{}"), None);
    expect(r#"{"event":"pusher:pong","data":{}}"#, "pusher:pong", None, ("json", "{}"), None);
    expect(
        r#"{"event":"order","channel":"private-o","data":"{\"id\":3}"}"#,
        "order",
        Some("private-o"),
        ("escaped", r#"{\"id\":3}"#),
        None,
    );
    expect(
        r#"{"event":"client-typing","channel":"presence-r","data":{"on":true},"user_id":"12"}"#,
        "client-typing",
        Some("presence-r"),
        ("json", r#"{"on":true}"#),
        Some("12"),
    );
    expect(
        r#"{"event":"pusher:error","data":{"code":null,"message":"\"x\""}}"#,
        "pusher:error",
        None,
        ("json", r#"{"code":null,"message":"\"x\""}"#),
        None,
    );
    expect(
        r##"{"event":"note","channel":"#server-to-user-9","data":"{}","extra":[1,{"a":"}"}]}"##,
        "note",
        Some("#server-to-user-9"),
        ("plain", "{}"),
        None,
    );
}

#[test]
fn data_of_all_shapes() {
    for (json, kind, text) in [
        (r#""""#, "plain", ""),
        (r#""null""#, "plain", "null"),
        (r#""é\u00e9""#, "escaped", r"é\u00e9"),
        (r#""\ud800""#, "escaped", r"\ud800"),
        ("null", "json", "null"),
        (" [1, 2] ", "json", "[1, 2]"),
        ("-1.5e9", "json", "-1.5e9"),
        ("true", "json", "true"),
        (r#"["\udfff"]"#, "json", r#"["\udfff"]"#),
    ] {
        expect(&format!(r#"{{"event":"e","data":{json}}}"#), "e", None, (kind, text), None);
        expect(&format!(r#"{{"data":{json},"event":"e"}}"#), "e", None, (kind, text), None);
    }
}

#[test]
fn order_and_white_space_do_not_matter() {
    let expected = ("plain", "d");
    expect(
        "\r\n{ \"user_id\" :\t\"7\" , \"data\": \"d\",\"x\":\"\",\"channel\":\"c\",\n\"event\":\"e\" } \n",
        "e",
        Some("c"),
        expected,
        Some("7"),
    );
    expect(
        r#"{"channel":"c","event":"e","user_id":"7","data":"d"}"#,
        "e",
        Some("c"),
        expected,
        Some("7"),
    );
}

#[test]
fn the_last_of_equal_keys_counts() {
    let absent = ("absent", "");
    expect(r#"{"event":"a","event":"b"}"#, "b", None, absent, None);
    expect(r#"{"event":1,"event":"b"}"#, "b", None, absent, None);
    expect(r#"{"event":"b","channel":"c","channel":null}"#, "b", None, absent, None);
    expect(r#"{"event":"b","data":"\n","data":"x"}"#, "b", None, ("plain", "x"), None);
    expect(r#"{"event":"b","data":"x","data":null}"#, "b", None, ("json", "null"), None);
    expect(r#"{"event":"a","\u0065vent":"b"}"#, "b", None, absent, None);
    assert_eq!(seen(r#"{"event":"a","event":1}"#), None);
}

#[test]
fn odd_channels_and_user_ids() {
    for (json, channel, user_id) in [
        (r#""x""#, Some("x"), Some("x")),
        (r#""""#, Some(""), Some("")),
        (r#""\u0078\n""#, Some("x\n"), Some("x\n")),
        (r#""\ud83d!""#, Some("\u{fffd}!"), Some("\u{fffd}!")),
        ("12", Some("12"), Some("12")),
        ("-1.0", Some("-1.0"), Some("-1.0")),
        (
            "12345678901234567890123",
            Some("12345678901234567890123"),
            Some("12345678901234567890123"),
        ),
        ("null", None, None),
        ("true", None, None),
        ("{}", None, None),
        ("[\"x\"]", None, None),
    ] {
        let raw = format!(r#"{{"event":"e","channel":{json},"user_id":{json}}}"#);
        expect(&raw, "e", channel, ("absent", ""), user_id);
    }
}

#[test]
fn names_with_escapes_and_long_names() {
    let absent = ("absent", "");
    expect(r#"{"event":"a\"b\\\u00e9"}"#, "a\"b\\é", None, absent, None);
    expect(r#"{"event":"\udc00x"}"#, "\u{fffd}x", None, absent, None);
    expect(r#"{"\ud800":1,"event":"e"}"#, "e", None, absent, None);
    let long = "ñ".repeat(500_000);
    expect(&format!(r#"{{"event":"{long}"}}"#), &long, None, absent, None);
}

#[test]
fn an_escape_belongs_to_its_own_string() {
    // Closer than a block to one another.
    for length in 0..80 {
        let name = "n".repeat(length);
        let raw = format!(r#"{{"event":"{name}","data":"{name}","x":"\"\n\\"}}"#);
        expect(&raw, &name, None, ("plain", &name), None);
        assert!(agree(&raw));
    }
}

#[test]
fn faults_are_reported_without_the_payload() {
    let nested = "[".repeat(10_000);
    for (raw, message) in [
        ("", "the frame is not JSON"),
        ("secret", "the frame is not JSON"),
        (r#"{"event":"secret"} {"#, "the frame is not JSON"),
        (r#"{"event":"secret",}"#, "the frame is not JSON"),
        (r#"{"event":"secret"#, "the frame is not JSON"),
        ("{\"event\":\"e\",\"data\":\"secret\n\"}", "the frame is not JSON"),
        (r#"{"event":"e","data":"secret\x"}"#, "the frame is not JSON"),
        (r#"{"event":"e","data":"secret\u12g4"}"#, "the frame is not JSON"),
        (r#"{"event":"e","data":["\x"]}"#, "the frame is not JSON"),
        (r#"{event:"e"}"#, "the frame is not JSON"),
        ("null", "the frame is not a JSON object"),
        ("17", "the frame is not a JSON object"),
        (r#""secret""#, "the frame is not a JSON object"),
        (r#"["event","secret"]"#, "the frame is not a JSON object"),
        (&nested, "the frame is not a JSON object"),
        ("{}", "the frame has no event name"),
        (r#"{"event":17}"#, "the frame has no event name"),
        (r#"{"event":null,"data":"secret"}"#, "the frame has no event name"),
    ] {
        let error = Envelope::parse(raw).unwrap_err();
        assert_eq!(error.to_string(), message, "{raw:.40}");
        if let Some(cause) = std::error::Error::source(&error) {
            assert!(!cause.to_string().contains("secret"), "{cause}");
        }
    }
}

#[test]
fn deep_nesting_does_not_recurse() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    expect(&format!(r#"{{"event":"e","data":{deep}}}"#), "e", None, ("json", &deep), None);
    assert!(serde_json::from_str::<serde_json::Value>(&deep).is_err());
    let open = format!(r#"{{"event":"e","data":{}"#, r#"{"a":["#.repeat(10_000));
    assert_eq!(seen(&open), None);
}

#[test]
fn all_lengths_around_the_blocks() {
    for escape in ["\\\"", "\\\\", "\\n", "\\/", "\\u00e9", "\\x", "\"", "\n", "é", "\\\\\\\""] {
        for before in 0..170 {
            for after in [0, 1, 2, 15, 31, 32, 33, 63, 64, 65, 130] {
                let content = format!("{}{escape}{}", "a".repeat(before), "b".repeat(after));
                let raw = format!(r#"{{"event":"e","data":"{content}"}}"#);
                assert_eq!(agree(&raw), slow(&raw).is_ok(), "{raw}");
            }
        }
    }
}

/// JSON text of a string, every UTF-16 unit as `\u`.
fn all_escaped(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect()
}

fn content(json: &str) -> &str {
    &json[1..json.len() - 1]
}

fn soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            "\"", "\\", "\\\"", "\\\\", "{", "}", ":", ",", "\\n", "\\u0041", "\\ud83d", "\\udE00", "\\u12",
            " ", "\n", "\u{1}", "\u{7f}", "é", "日", "😀", "null", "1", "[", "]",
            "\"event\":\"e\"", "\"data\":\"", "\"channel\":\"c\",", "{\"event\":\"e\",\"data\":\"",
        ]).prop_map(str::to_owned),
        2 => "[a-z]{1,40}",
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Content of a JSON string, mostly valid.
fn string_content() -> impl Strategy<Value = String> {
    let escapes = prop::sample::select(vec![
        "\\\"", "\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t", "\\u00e9", "\\uD83D",
        "\\ude00",
    ]);
    let piece = prop_oneof![
        4 => escapes.prop_map(str::to_owned),
        4 => "[ -!#-\\[\\]-~é日😀]{0,12}",
        1 => "[a-z]{0,200}",
        1 => any::<String>().prop_map(|text| content(&serde_json::to_string(&text).unwrap()).to_owned()),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

fn frame() -> impl Strategy<Value = String> {
    let space = prop::sample::select(vec!["", "", "", " ", "\n\t"]);
    let name = prop_oneof![8 => "[a-zA-Z0-9:#_-]{0,60}", 1 => string_content()];
    let value = prop_oneof![
        8 => string_content().prop_map(|content| format!("\"{content}\"")),
        1 => prop::sample::select(vec!["null", "1", "{}", "[\"\\\"\"]"]).prop_map(str::to_owned),
    ];
    let keys = vec!["event", "channel", "user_id", "data", "data", "x", "\\u0065vent"];
    let member = (prop::sample::select(keys), space.clone(), value)
        .prop_map(|(key, space, value)| format!("\"{key}\"{space}:{space}{value}"));
    (name, prop::collection::vec(member, 0..6), space).prop_map(|(name, members, space)| {
        let mut all = vec![format!("\"event\":\"{name}\"")];
        all.extend(members);
        format!("{space}{{{}{space}}}{space}", all.join(&format!("{space},{space}")))
    })
}

fn mutated() -> impl Strategy<Value = String> {
    let bytes =
        prop_oneof![prop::sample::select(br#""\{}:, nu"#.to_vec()), 0_u8..0x20, any::<u8>()];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..3, bytes), 0..4);
    (frame(), edits).prop_map(|(frame, edits)| {
        let mut frame = frame.into_bytes();
        for (place, edit, byte) in edits {
            let at = place.index(frame.len() + 1);
            match edit {
                0 => frame.insert(at, byte),
                1 if at < frame.len() => frame[at] = byte,
                1 => {}
                _ => frame.truncate(at),
            }
        }
        String::from_utf8_lossy(&frame).into_owned()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fast_agrees_on_frames(raw in frame()) {
        agree(&raw);
    }

    #[test]
    fn fast_agrees_on_broken_frames(raw in mutated()) {
        agree(&raw);
    }

    #[test]
    fn fast_agrees_on_soup(raw in soup()) {
        agree(&raw);
        agree(&format!("{{\"event\":\"e\",\"data\":\"{raw}\"}}"));
    }

    /// It is no fast path if it gives up on the frames it is for.
    #[test]
    fn fast_takes_strings(data in string_content(), name in "[a-z:-]{0,99}") {
        let raw = format!(r#"{{"event":"{name}","channel":"{name}","data":"{data}"}}"#);
        assert!(agree(&raw));
    }

    #[test]
    fn unescape_undoes_escaping(text in any::<String>()) {
        assert_eq!(unescape(content(&serde_json::to_string(&text).unwrap())), text);
        assert_eq!(unescape(&all_escaped(&text)), text);
    }

    #[test]
    fn unescape_agrees_with_serde_json(content in string_content()) {
        if let Ok(expected) = serde_json::from_str::<String>(&format!("\"{content}\"")) {
            assert_eq!(unescape(&content), expected);
        }
    }

    #[test]
    fn nothing_panics(raw in any::<String>(), soup in soup()) {
        for raw in [raw, soup] {
            let _ = Envelope::parse(&raw);
            unescape(&raw);
        }
    }
}

#[test]
fn lone_surrogates_and_faults_in_unescape() {
    for (content, expected) in [
        (r"\ud800", "\u{fffd}"),
        (r"\ud800x", "\u{fffd}x"),
        (r"\udc00\ud800", "\u{fffd}\u{fffd}"),
        (r"\ud800\ud83d\ude00", "\u{fffd}😀"),
        (r"\ud83d\n", "\u{fffd}\n"),
        (r"\uD83D\uDE00", "😀"),
        ("\\", ""),
        (r"\u12", "\u{fffd}12"),
    ] {
        assert_eq!(unescape(content), expected, "{content}");
    }
    // Cuts a character in two.
    assert!(!unescape("\\u12é4").is_empty());
}
