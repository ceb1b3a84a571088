//! The requests of the HTTP API: their paths, their queries and their signatures. The time comes as an argument.
//!
//! See [Pusher's documentation](https://pusher.com/docs/channels/library_auth_reference/rest-api/).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::target::Target;
use crate::auth::signature::{api_text, body_md5, sign};
use crate::util::secret::Secret;
use crate::util::url::percent_encode;

/// What a path may contain (RFC 3986, section 3.3) and Pusher allows in the name of a channel: servers compare the
/// path as it is sent.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'=')
    .remove(b'@')
    .remove(b',')
    .remove(b';');

/// An app and its HTTP API.
pub(super) struct App {
    pub(super) target: Target,
    pub(super) id: String,
    pub(super) secret: Secret,
    /// The signature covers the prefix of the path too.
    pub(super) sign_prefix: bool,
}

/// One request. It is a POST if it has a body, and otherwise a GET.
#[derive(Debug)]
pub(super) struct Call {
    /// The path after that of the app, encoded.
    path: String,
    /// More parameters of the query.
    params: Vec<(&'static str, String)>,
    pub(super) body: Option<String>,
}

impl Call {
    /// `path` has a `{}` where `segment` goes.
    pub(super) fn get(path: &str, segment: &str) -> Self {
        Self { path: fill(path, segment), params: Vec::new(), body: None }
    }

    pub(super) fn post(path: &str, segment: &str, body: String) -> Self {
        Self { body: Some(body), ..Self::get(path, segment) }
    }

    /// Adds a parameter, unless its value is empty.
    pub(super) fn param(mut self, name: &'static str, value: &str) -> Self {
        if !value.is_empty() {
            self.params.push((name, value.to_owned()));
        }
        self
    }
}

fn fill(path: &str, segment: &str) -> String {
    path.replace("{}", &utf8_percent_encode(segment, IN_PATH).to_string())
}

/// A signed request.
pub(super) struct Signed {
    pub(super) url: String,
    pub(super) signature: String,
}

impl App {
    /// Returns the URL of the app.
    pub(super) fn url(&self) -> String {
        self.origin() + &self.target.prefix + &self.path()
    }

    /// `time` is the present time in seconds since 1970.
    pub(super) fn sign(&self, call: &Call, time: u64) -> Signed {
        let path = self.path() + &call.path;
        let full_path = format!("{}{path}", self.target.prefix);
        let time = time.to_string();
        let md5 = call.body.as_ref().map(|body| body_md5(body.as_bytes()));
        let mut params = vec![
            ("auth_key", &*self.target.key),
            ("auth_timestamp", &*time),
            ("auth_version", "1.0"),
        ];
        params.extend(md5.as_deref().map(|md5| ("body_md5", md5)));
        params.extend(call.params.iter().map(|(name, value)| (*name, &**value)));

        let method = if call.body.is_some() { "POST" } else { "GET" };
        let signed_path = if self.sign_prefix { &full_path } else { &path };
        let signature = sign(self.secret.expose(), &api_text(method, signed_path, &params));
        params.push(("auth_signature", &signature));
        let mut url = self.origin() + &full_path;
        for (index, (name, value)) in params.iter().enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            percent_encode(value, &mut url);
        }
        Signed { url, signature }
    }

    fn origin(&self) -> String {
        let scheme = if self.target.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.target.authority)
    }

    fn path(&self) -> String {
        fill("/apps/{}", &self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;

    fn app(options: Options) -> App {
        App {
            target: Target::new(&options).unwrap(),
            id: "3".to_owned(),
            secret: Secret::new("7ad3773142a6692b25b8".to_owned()),
            sign_prefix: true,
        }
    }

    const KEY: &str = "278d425bdf160c739803";
    const TIME: u64 = 1_353_088_179;
    const BODY: &str = r#"{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}"#;

    #[test]
    fn event_is_signed_as_in_pushers_documentation() {
        let signed =
            app(Options::cluster("eu", KEY)).sign(&Call::post("/events", "", BODY.into()), TIME);
        assert_eq!(
            signed.url,
            "https://api-eu.pusher.com:443/apps/3/events?auth_key=278d425bdf160c739803\
             &auth_timestamp=1353088179&auth_version=1.0&body_md5=ec365a775a4cd0599faeb73354201b6f\
             &auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
        );
    }

    #[test]
    fn query_is_signed_sorted_and_decoded_and_the_path_as_it_is_sent() {
        let call = Call::get("/channels/{}/users", "presence-a@b=c,d;e f/ü")
            .param("info", "user_count,cache")
            .param("filter_by_prefix", "presence-@")
            .param("left_out", "");
        let signed = app(Options::host("h", KEY).tls(false)).sign(&call, TIME);
        let path = "/apps/3/channels/presence-a@b=c,d;e%20f%2F%C3%BC/users";
        let text = format!(
            "GET\n{path}\nauth_key={KEY}&auth_timestamp={TIME}&auth_version=1.0\
             &filter_by_prefix=presence-@&info=user_count,cache"
        );
        let signature = sign("7ad3773142a6692b25b8", &text);
        assert_eq!(
            signed.url,
            format!(
                "http://h:80{path}?auth_key={KEY}&auth_timestamp={TIME}&auth_version=1.0\
                 &info=user_count%2Ccache&filter_by_prefix=presence-%40&auth_signature={signature}"
            )
        );
    }

    #[test]
    fn prefix_is_sent_and_signed_unless_a_proxy_removes_it() {
        let mut app = app(Options::host("h", KEY).path_prefix("push/1"));
        let call = || Call::post("/events", "", BODY.into());
        let whole = app.sign(&call(), TIME);
        app.sign_prefix = false;
        let without = app.sign(&call(), TIME);
        assert!(whole.url.starts_with("https://h:443/push/1/apps/3/events?auth_key="));
        assert!(without.url.starts_with("https://h:443/push/1/apps/3/events?auth_key="));
        let documented = "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c";
        assert_eq!(without.signature, documented);
        assert_ne!(whole.signature, documented);
    }
}
