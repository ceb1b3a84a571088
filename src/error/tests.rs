use std::error::Error as _;

use super::*;

#[test]
fn text_becomes_the_message_and_an_error_the_source() {
    let borrowed = String::from("said");
    for error in [
        Error::new(ErrorKind::Auth, "said"),
        Error::new(ErrorKind::Auth, borrowed.as_str()),
        Error::new(ErrorKind::Auth, borrowed.clone()),
        Error::new(ErrorKind::Auth, Cow::Borrowed("said")),
    ] {
        assert_eq!(error.to_string(), "said");
        assert!(error.source().is_none());
    }
    let error = Error::new(ErrorKind::Auth, io::Error::other("cause"));
    assert_eq!(error.to_string(), "authorization failed");
    assert!(error.source().unwrap().is::<io::Error>());
}

#[test]
fn long_channel_name_is_truncated_in_the_text_only() {
    let long = "é".repeat(1000);
    let error = Error::message(ErrorKind::Server, "refused").on_channel(&long);
    assert_eq!(error.to_string(), format!("refused (channel {})", "é".repeat(200)));
    assert_eq!(error.channel(), Some(&*long));
}

#[test]
fn io_timeout_is_a_timeout() {
    let error = Error::from(io::Error::from(io::ErrorKind::TimedOut));
    assert!(error.is_timeout() && error.is_retryable());
}

#[test]
fn retryable_follows_the_close_code_and_the_status_first() {
    let server = || Error::message(ErrorKind::Server, "");
    assert!(!server().with_close_code(Some(4001)).is_retryable());
    assert!(server().with_close_code(Some(4100)).is_retryable());
    assert!(server().with_close_code(Some(4200)).is_retryable());
    assert!(!server().with_close_code(Some(4301)).is_retryable());
    assert!(server().with_http_status(503).is_retryable());
    assert!(!server().with_http_status(403).is_retryable());
}

#[test]
fn error_is_one_pointer_and_shareable() {
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    fn shareable<T: Clone + Send + Sync + 'static>() {}
    shareable::<Error>();
}

/// An error of another library: text and cause.
#[derive(Debug)]
struct Foreign(&'static str, Option<Box<dyn std::error::Error + Send + Sync>>);

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Foreign {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.1.as_deref().map(|cause| cause as _)
    }
}

fn refused() -> io::Error {
    io::Error::from_raw_os_error(if cfg!(windows) { 10061 } else { 111 })
}

fn dial() -> Error {
    Error::message(ErrorKind::Io, "connecting to 127.0.0.1:7849 failed").caused_by(refused())
}

#[test]
#[cfg(target_os = "linux")]
fn io_failures_show_their_cause_in_words() {
    let error = dial();
    assert_eq!(error.to_string(), "connecting to 127.0.0.1:7849 failed: connection refused");
    let raw = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(raw.raw_os_error(), Some(111));
    assert_eq!(Error::from(refused()).to_string(), "input or output failed: connection refused");
}

#[test]
fn the_kind_decides_whether_the_cause_is_shown() {
    for kind in [ErrorKind::Io, ErrorKind::Dns, ErrorKind::Tls] {
        let error = Error::message(kind, "m").caused_by(Foreign("Why", None));
        assert_eq!(error.to_string(), "m: why", "{kind:?}");
        assert_eq!(error.explained().to_string(), "m", "{kind:?}");
    }
    for kind in [ErrorKind::Auth, ErrorKind::Json, ErrorKind::Timeout, ErrorKind::Protocol] {
        let error = Error::message(kind, "m").caused_by(Foreign("Why", None));
        assert_eq!(error.to_string(), "m", "{kind:?}");
        assert_eq!(format!("{error:#}"), "m: why", "{kind:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn timeout_shows_the_whole_failure_behind_it() {
    let wait = Error::timed_out(Timeout::Wait, "timed out after 2 s").caused_by(dial());
    let text = "timed out after 2 s: connecting to 127.0.0.1:7849 failed: connection refused";
    assert_eq!(wait.to_string(), text);
    assert_eq!(format!("{wait:#}"), text);
    let system = Error::from(io::Error::from_raw_os_error(110));
    assert_eq!(system.to_string(), "timed out: connection timed out");
}

#[test]
fn alternate_form_shows_each_cause_once() {
    let inner = Foreign("Peer closed", None);
    let outer = Foreign("TLS: Peer closed (os error 5)", Some(Box::new(inner)));
    let error = Error::message(ErrorKind::Auth, "refused").caused_by(outer);
    assert_eq!(format!("{error:#}"), "refused: TLS: Peer closed");
    // Inside a name they do not count.
    let error = Error::message(ErrorKind::Io, "connecting to closed.example.org failed")
        .caused_by(Foreign("closed", None));
    assert_eq!(format!("{error:#}"), "connecting to closed.example.org failed: closed");
}

#[test]
fn the_text_is_one_bounded_line() {
    let long = String::from("é\r\n").repeat(1000).leak();
    let error = Error::message(ErrorKind::Io, "a\n b\u{1b}c").caused_by(Foreign(long, None));
    let text = error.to_string();
    assert!(text.starts_with("a b c: é é") && text.ends_with('…'), "{text}");
    assert!(!text.contains(char::is_control) && text.chars().count() == 7 + 301, "{text}");
    let mut chain = Foreign("end", None);
    for level in 0..20 {
        chain = Foreign(format!("cause{level}").leak(), Some(Box::new(chain)));
    }
    let error = Error::message(ErrorKind::Io, "m").caused_by(chain);
    assert_eq!(format!("{error:#}").split(": ").count(), 1 + 8);
}

#[test]
fn only_leading_capitals_of_plain_words_are_lowered() {
    for (text, expected) in [
        ("Connection refused (os error 111)", "connection refused"),
        ("No route (os error 113).", "no route"),
        ("TLS alert 40", "TLS alert 40"),
        ("OpenSSL failed", "OpenSSL failed"),
        ("Étrange", "étrange"),
        ("I/O", "I/O"),
        ("", ""),
    ] {
        let error = Error::message(ErrorKind::Io, "m").caused_by(Foreign(text, None));
        let shown = error.to_string();
        assert_eq!(shown.strip_prefix("m: ").unwrap_or_default(), expected);
    }
}

#[test]
fn hint_follows_the_causes_once() {
    let cause = Error::message(ErrorKind::Io, "cut").with_hint("check the app key");
    let error = Error::timed_out(Timeout::Wait, "late").caused_by(cause);
    assert_eq!(error.to_string(), "late: cut; check the app key");
    let again = Error::timed_out(Timeout::Wait, "later").with_hint("check the app key");
    assert_eq!(again.caused_by(error).to_string(), "later: late: cut; check the app key");
}

#[test]
fn value_quoted_by_serde_json_is_hidden() {
    let cause = serde_json::from_str::<u32>(r#""canary""#).unwrap_err();
    let error = Error::new(ErrorKind::Auth, cause);
    assert_eq!(format!("{error:#}"), "authorization failed: expected u32 at line 1 column 8");
}

#[test]
fn timeout_returns_which_limit_passed() {
    let error = Error::timed_out(Timeout::Pong, "late");
    assert_eq!((error.kind(), error.timeout()), (ErrorKind::Timeout, Some(Timeout::Pong)));
    assert_eq!(dial().with_timeout(Timeout::Connect).timeout(), None);
    assert_eq!(Error::from(io::Error::from(io::ErrorKind::TimedOut)).timeout(), None);
}
