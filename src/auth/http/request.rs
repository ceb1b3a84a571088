//! What an endpoint is asked: a form, JSON or a query.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use ureq::http::{self, HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use crate::config::options::percent_encode;
use crate::config::proxy::authority;
use crate::{Error, ErrorKind};

pub(super) type Pairs = Vec<(String, String)>;

/// What a request tells beside what its user adds.
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

/// One request of an endpoint.
pub(super) struct Question<'a> {
    /// What it is about, for messages.
    pub(super) what: &'a str,
    pub(super) url: &'a str,
    pub(super) style: Style,
    pub(super) headers: Pairs,
    pub(super) fields: Vec<(&'a str, Field<'a>)>,
    pub(super) params: Pairs,
}

impl Question<'_> {
    /// An absent body is a GET.
    pub(super) fn request(&self) -> Result<http::Request<Option<String>>, Error> {
        let uri = check_url(self.what, self.url)?;
        let mut request = http::Request::new(None);
        let content_type = match self.style {
            Style::Form => {
                *request.body_mut() = Some(self.form(false));
                Some("application/x-www-form-urlencoded")
            }
            Style::Json => {
                *request.body_mut() = Some(self.json());
                Some("application/json")
            }
            Style::Query => None,
        };
        if request.body().is_some() {
            *request.method_mut() = Method::POST;
            *request.uri_mut() = uri;
        } else {
            *request.uri_mut() = self.with_query()?;
        }
        // Some frameworks redirect to a page for people unless JSON is asked for.
        let headers = request.headers_mut();
        set(self.what, headers, header::ACCEPT.as_str(), "application/json")?;
        if let Some(content_type) = content_type {
            set(self.what, headers, header::CONTENT_TYPE.as_str(), content_type)?;
        }
        for (name, value) in &self.headers {
            set(self.what, headers, name, value)?;
        }
        Ok(request)
    }

    /// What an answer must not be shown with, should it repeat it.
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

    /// A list's names are `name[0]`, `name[1]` and so on; their brackets are no part of a URL.
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

/// Of two of the same name the later one counts.
fn set(what: &str, headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Error> {
    let wrong = || {
        let message = format!("a header of the {what} has characters that HTTP does not allow");
        Error::message(ErrorKind::Config, message)
    };
    let name = HeaderName::try_from(name).map_err(|error| wrong().caused_by(error))?;
    let value = HeaderValue::try_from(value).map_err(|error| wrong().caused_by(error))?;
    headers.insert(name, value);
    Ok(())
}

pub(super) fn check_header(what: &str, name: &str, value: &str) -> Result<(), Error> {
    set(what, &mut HeaderMap::new(), name, value)
}

/// The text is not shown, since a query may hold a secret.
pub(super) fn check_url(what: &str, url: &str) -> Result<Uri, Error> {
    let wrong = |how: &str| {
        Error::message(ErrorKind::Config, format!("the URL of the {what} endpoint {how}"))
    };
    let uri: Uri = url
        .parse()
        .map_err(|error: http::uri::InvalidUri| wrong("is not a URL").caused_by(error))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("does not start with http:// or https://"));
    }
    if uri.host().unwrap_or_default().is_empty() {
        return Err(wrong("has no host"));
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(wrong("has a user name, which is not sent: set a header `authorization`"));
    }
    // A port that is no number from 0 to 65535 counts as absent there, and the scheme's would be used.
    let rest = uri.authority().and_then(|authority| authority.as_str().strip_prefix(host_of(&uri)));
    if rest != Some("") && uri.port_u16().is_none_or(|port| port == 0) {
        return Err(wrong("has a port that is not one from 1 to 65535"));
    }
    Ok(uri)
}

pub(super) fn host_of(uri: &Uri) -> &str {
    uri.host().unwrap_or_default()
}

/// The host, without the brackets of an IPv6 address, and the port.
pub(super) fn address_of(uri: &Uri) -> (&str, u16) {
    let host = host_of(uri);
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let of_scheme = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    (host, uri.port_u16().unwrap_or(of_scheme))
}

/// What to name an endpoint by: its path and its query may hold a secret.
pub(super) fn name_of(uri: &Uri) -> String {
    let (host, port) = address_of(uri);
    authority(host, port)
}
