//! A request to an endpoint: a form, JSON or a query.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};

use crate::util::url::{self, Url, percent_encode};
use crate::{Error, ErrorKind};

pub(super) type Pairs = Vec<(String, String)>;

/// A parameter that every request has.
pub(super) enum Field<'a> {
    Text(&'a str),
    List(Vec<&'a str>),
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Style {
    #[default]
    Form,
    Json,
    Query,
}

/// What one request is made of.
pub(super) struct RequestParts<'a> {
    /// The endpoint's purpose, for messages.
    pub(super) what: &'a str,
    pub(super) url: &'a str,
    pub(super) style: Style,
    pub(super) headers: Pairs,
    pub(super) fields: Vec<(&'a str, Field<'a>)>,
    pub(super) params: Pairs,
}

impl RequestParts<'_> {
    /// Without a body it is a GET.
    pub(super) fn request(&self) -> Result<Request<Option<String>>, Error> {
        let uri = check_url(self.what, self.url)?;
        let (method, uri, content_type, body) = match self.style {
            Style::Form => {
                let form = "application/x-www-form-urlencoded";
                (Method::POST, uri, Some(form), Some(self.form(false)))
            }
            Style::Json => (Method::POST, uri, Some("application/json"), Some(self.json())),
            Style::Query => (Method::GET, self.with_query()?, None, None),
        };
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        // Without it some frameworks redirect to a page.
        set(self.what, headers, header::ACCEPT.as_str(), "application/json")?;
        if let Some(content_type) = content_type {
            set(self.what, headers, header::CONTENT_TYPE.as_str(), content_type)?;
        }
        for (name, value) in &self.headers {
            set(self.what, headers, name, value)?;
        }
        Ok(request)
    }

    /// Returns what is not shown if a response repeats it.
    pub(super) fn secrets(&self) -> Vec<&str> {
        let mut secrets = Vec::new();
        for (_, value) in self.headers.iter().chain(&self.params) {
            secrets.push(value.as_str());
            secrets.extend(value.split_whitespace());
        }
        if let Some((_, query)) = self.url.split_once('?') {
            let pairs = query.split(['&', '#']);
            secrets.extend(pairs.map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value)));
        }
        secrets
    }

    fn with_query(&self) -> Result<Uri, Error> {
        let url = self.url.split('#').next().unwrap_or_default();
        let joint = if url.contains('?') { '&' } else { '?' };
        check_url(self.what, &format!("{url}{joint}{}", self.form(true)))
    }

    /// The names of a list are `name[0]`, `name[1]` and so on; a URL has no brackets.
    fn form(&self, in_url: bool) -> String {
        let mut form = String::new();
        let mut add = |name: &str, value: &str| {
            if !form.is_empty() {
                form.push('&');
            }
            form.push_str(name);
            form.push('=');
            percent_encode(value, &mut form);
        };
        let (open, close) = if in_url { ("%5B", "%5D") } else { ("[", "]") };
        let mut full_name = String::new();
        for (name, field) in &self.fields {
            match field {
                Field::Text(text) => add(name, text),
                Field::List(texts) => {
                    for (index, text) in texts.iter().enumerate() {
                        full_name.clear();
                        let _ = write!(full_name, "{name}{open}{index}{close}");
                        add(&full_name, text);
                    }
                }
            }
        }
        for (name, value) in &self.params {
            full_name.clear();
            percent_encode(name, &mut full_name);
            add(&full_name, value);
        }
        form
    }

    fn json(&self) -> String {
        let mut object = Map::new();
        for (name, field) in &self.fields {
            let value = match field {
                Field::Text(text) => Value::from(*text),
                Field::List(texts) => Value::from(texts.clone()),
            };
            object.insert((*name).to_owned(), value);
        }
        for (name, value) in &self.params {
            object.insert(name.clone(), Value::from(value.as_str()));
        }
        Value::Object(object).to_string()
    }
}

/// Replaces an earlier header of the same name.
pub(super) fn set(
    what: &str,
    headers: &mut HeaderMap,
    name: &str,
    value: &str,
) -> Result<(), Error> {
    let invalid = || {
        let message = format!("a header of the {what} has characters that HTTP does not allow");
        Error::message(ErrorKind::Config, message)
    };
    let name = HeaderName::try_from(name).map_err(|error| invalid().caused_by(error))?;
    let value = HeaderValue::try_from(value).map_err(|error| invalid().caused_by(error))?;
    headers.insert(name, value);
    Ok(())
}

pub(super) fn check_header(what: &str, name: &str, value: &str) -> Result<(), Error> {
    set(what, &mut HeaderMap::new(), name, value)
}

pub(super) fn check_url(what: &str, url: &str) -> Result<Uri, Error> {
    let what = format!("the URL of the {what} endpoint");
    Url::parse(&what, url, ["http", "https"]).map(|url| url.uri)
}

/// Returns `true` for `https`.
pub(super) fn is_secure(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

/// Returns the host, without the brackets of an IPv6 address, and the port.
pub(super) fn address_of(uri: &Uri) -> (&str, u16) {
    let host = url::without_brackets(uri.host().unwrap_or_default());
    let default_port = url::default_port(is_secure(uri));
    (host, uri.port_u16().unwrap_or(default_port))
}

/// Returns host and port, which name an endpoint in messages: its path and its query may contain a secret.
pub(super) fn name_of(uri: &Uri) -> String {
    let (host, port) = address_of(uri);
    url::authority(host, port)
}
