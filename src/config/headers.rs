//! The user's headers of the WebSocket handshake: checked, collected for each dial, never shown.

use std::fmt;

use crate::util::guard::guarded;
use crate::util::secret::Secret;
use crate::{Error, ErrorKind};

type Make = Box<dyn Fn() -> Vec<(String, String)> + Send + Sync>;

/// The headers that the handshake sets itself, and those of a body, which it does not have. Every `Sec-WebSocket-*` is
/// reserved too.
const RESERVED: [&str; 4] = ["connection", "upgrade", "content-length", "transfer-encoding"];
const RESERVED_PREFIX: &str = "sec-websocket-";

const FUNCTION: &str = "the function given to `headers_with`";

/// A name, as it was given, and its value.
pub(crate) type Header = (String, Secret);

/// The fixed headers, and the function that returns more.
#[derive(Default)]
pub(crate) struct Headers {
    fixed: Vec<Header>,
    fresh: Option<Make>,
}

impl Headers {
    pub(crate) fn push(&mut self, name: &str, value: &str) {
        self.fixed.push((name.to_owned(), Secret::new(value.to_owned())));
    }

    pub(crate) fn set_function(&mut self, make: Make) {
        self.fresh = Some(make);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.fixed.is_empty() && self.fresh.is_none()
    }

    /// Describes the user's function, if there is one.
    pub(crate) fn function(&self) -> Option<&'static str> {
        self.fresh.as_ref().map(|_| FUNCTION)
    }

    /// Checks the fixed headers. Does not call the function.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.fixed.iter().try_for_each(check)
    }

    /// Collects the headers of one dial, later ones last. Calls the user's function: no lock may be held.
    pub(crate) fn collect(&self) -> Result<Vec<Header>, Error> {
        let fresh = match &self.fresh {
            None => Vec::new(),
            Some(make) => guarded(make).ok_or_else(|| {
                let message = format!(
                    "collecting the headers of the WebSocket handshake failed: {FUNCTION} panicked"
                );
                Error::message(ErrorKind::Config, message)
            })?,
        };
        let fresh = fresh.into_iter().map(|(name, value)| (name, Secret::new(value)));
        let headers: Vec<Header> = self.fixed.iter().cloned().chain(fresh).collect();
        headers.iter().try_for_each(check)?;
        Ok(headers)
    }
}

/// Shows valid names, and no values.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |(name, value)| (if is_name(name) { name } else { "[redacted]" }, value);
        let fixed = self.fixed.iter().map(|(name, value)| (name.as_str(), value));
        f.debug_map().entries(fixed.map(named)).finish()
    }
}

fn check((name, value): &Header) -> Result<(), Error> {
    let wrong = |message: String| Err(Error::message(ErrorKind::Config, message));
    if !is_name(name) {
        // Not shown: by mistake it may contain a value.
        return wrong(
            "the name of a header must consist of letters, digits and `!#$%&'*+-.^_`|~`".to_owned(),
        );
    }
    let lower = name.to_ascii_lowercase();
    if RESERVED.contains(&lower.as_str()) || lower.starts_with(RESERVED_PREFIX) {
        return wrong(format!(
            "the header `{name}` must not be set: the WebSocket handshake owns it"
        ));
    }
    // RFC 9110, section 5.5.
    if value.expose().chars().any(|c| c.is_ascii_control() && c != '\t') {
        return wrong(format!(
            "the value of the header `{name}` must not have line breaks or other control characters"
        ));
    }
    Ok(())
}

/// RFC 9110, section 5.6.2.
fn is_name(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !name.is_empty() && name.chars().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, value: &str) -> Headers {
        let mut headers = Headers::default();
        headers.push(name, value);
        headers
    }

    fn refused(headers: &Headers) -> String {
        let error = headers.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let collected = headers.collect().unwrap_err();
        assert_eq!(collected.to_string(), error.to_string());
        let shown = format!("{error} {error:?} {headers:?}");
        assert!(!shown.contains("canary"), "{shown}");
        error.to_string()
    }

    #[test]
    fn ordinary_headers_are_accepted() {
        for (name, value) in [
            ("Origin", "https://app.test"),
            ("Cookie", "a=b; c=d"),
            ("CF-Access-Client-Id", ""),
            ("x!#$%&'*+-.^_`|~1", "tab\tand grüße"),
            ("Host", "other.test:81"),
            ("Authorization", "Bearer canary"),
        ] {
            let headers = of(name, value);
            headers.check().unwrap();
            assert_eq!(headers.collect().unwrap()[0].1.expose(), value);
            assert!(!format!("{headers:?}").contains("canary"));
        }
    }

    #[test]
    fn headers_of_the_handshake_are_refused() {
        for name in [
            "Connection",
            "UPGRADE",
            "Sec-WebSocket-Key",
            "sec-websocket-version",
            "Sec-WebSocket-Extensions",
            "Sec-WebSocket-Protocol",
            "Sec-WebSocket-Anything",
            "Content-Length",
            "transfer-encoding",
        ] {
            let message = refused(&of(name, "canary"));
            assert!(message.contains(&format!("`{name}` must not be set")), "{message}");
        }
    }

    #[test]
    fn names_and_values_that_would_break_the_request_are_refused() {
        for name in
            ["", "a b", "a:", "a\r\nb", "ä", "a\0", "Authorization: Bearer canary", "canary\n"]
        {
            let message = refused(&of(name, "canary"));
            assert!(message.starts_with("the name of a header must consist of"), "{message}");
        }
        for value in ["canary\r\nX: y", "canary\n", "\rcanary", "canary\0", "canary\u{7f}\u{1b}"] {
            let message = refused(&of("X", value));
            assert!(message.starts_with("the value of the header `X` must not have"), "{message}");
        }
    }

    #[test]
    fn fresh_headers_come_last_and_are_checked() {
        let mut headers = of("A", "1");
        headers.set_function(Box::new(|| vec![("a".to_owned(), "2".to_owned())]));
        let collected = headers.collect().unwrap();
        let pairs: Vec<_> =
            collected.iter().map(|(name, value)| (&**name, value.expose())).collect();
        assert_eq!(pairs, [("A", "1"), ("a", "2")]);
        headers.set_function(Box::new(|| vec![("Upgrade".to_owned(), "canary".to_owned())]));
        headers.check().unwrap();
        let error = headers.collect().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!format!("{error:?}").contains("canary"));
    }

    #[test]
    fn panic_of_the_function_is_an_error() {
        let mut headers = Headers::default();
        headers.set_function(Box::new(|| panic!("canary")));
        let error = headers.collect().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("`headers_with` panicked"), "{error}");
        assert!(!format!("{error:?}").contains("canary"));
    }
}
