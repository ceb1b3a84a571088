//! Options from the environment, in the variables of a Laravel app.

use std::collections::HashMap;
use std::ffi::OsString;

use super::options::{cluster_fault, host_fault};
use crate::{Error, ErrorKind, Options};

/// The variables of one kind of server.
struct Family {
    /// The value of the variables in [`CHOICE`] that chooses it.
    name: &'static str,
    key: &'static str,
    host: &'static str,
    cluster: Option<&'static str>,
    port: &'static str,
    scheme: &'static str,
}

const PUSHER: Family = Family {
    name: "pusher",
    key: "PUSHER_APP_KEY",
    host: "PUSHER_HOST",
    cluster: Some("PUSHER_APP_CLUSTER"),
    port: "PUSHER_PORT",
    scheme: "PUSHER_SCHEME",
};

const REVERB: Family = Family {
    name: "reverb",
    key: "REVERB_APP_KEY",
    host: "REVERB_HOST",
    cluster: None,
    port: "REVERB_PORT",
    scheme: "REVERB_SCHEME",
};

/// Where Laravel chooses the family: since version 11, and before.
const CHOICE: [&str; 2] = ["BROADCAST_CONNECTION", "BROADCAST_DRIVER"];

impl Options {
    /// Reads the options from the environment now, from the variables of a Laravel app.
    ///
    /// | variable | value | if it is unset |
    /// |---|---|---|
    /// | `PUSHER_APP_KEY` or `REVERB_APP_KEY` | the app key | an error |
    /// | `PUSHER_HOST` or `REVERB_HOST` | the server's host name or address, without a port | `PUSHER_APP_CLUSTER`; without that an error |
    /// | `PUSHER_APP_CLUSTER` | the cluster of Pusher's own service, such as `eu`; not read if `PUSHER_HOST` is set | see `PUSHER_HOST` |
    /// | `PUSHER_PORT` or `REVERB_PORT` | the port | 443 with TLS, 80 without |
    /// | `PUSHER_SCHEME` or `REVERB_SCHEME` | `https` for TLS (`wss`), `http` for none (`ws`) | `https` |
    /// | `BROADCAST_CONNECTION`, else `BROADCAST_DRIVER` | `pusher` or `reverb`: which variables to read; others are ignored | those with a key, `PUSHER_…` if both have one |
    ///
    /// Values count as with Laravel's `env()`: one that is empty, `null` or `empty` counts as unset, and a pair of quotes
    /// around one is removed. Laravel calls the server's HTTP API with the same variables, so the host
    /// `api-eu.pusher.com` stands for the cluster `eu`. Unlike Laravel, no cluster is assumed, and
    /// with `http` the default port is 80, not 443.
    ///
    /// The variables that begin with `VITE_` are copies for browsers and are not read, nor are `REVERB_SERVER_…`, which
    /// say where the server listens. A file `.env` is not read; load it into the environment before, or pass its pairs
    /// to [`from_vars`](Self::from_vars).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`]. It names every variable that is missing or malformed (invalid Unicode is), and shows no
    /// value.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use pusher_channels::{Client, Options};
    ///
    /// # fn main() -> Result<(), pusher_channels::Error> {
    /// let client = Client::new(Options::from_env()?)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_env() -> Result<Self, Error> {
        Variables::new(&|name| std::env::var_os(name)).options()
    }

    /// Reads the options from these variables as [`from_env`](Self::from_env) does from the environment. Of several with
    /// one name, the last counts.
    ///
    /// # Errors
    ///
    /// Those of [`from_env`](Self::from_env).
    ///
    /// # Example
    ///
    /// ```
    /// use pusher_channels::Options;
    ///
    /// # fn main() -> Result<(), pusher_channels::Error> {
    /// let file = "REVERB_APP_KEY=app-key\nREVERB_HOST=localhost\nREVERB_PORT=8080\nREVERB_SCHEME=http";
    /// let pairs = file.lines().filter_map(|line| line.split_once('='));
    /// let options = Options::from_vars(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())))?;
    /// assert_eq!(options.without_metadata().to_url()?, "ws://localhost:8080/app/app-key");
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_vars(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, Error> {
        let variables: HashMap<_, _> = variables.into_iter().collect();
        Variables::new(&|name| variables.get(name).map(OsString::from)).options()
    }
}

/// Where the client connects.
enum Target {
    Host(String),
    Cluster(String),
}

/// Reads variables, and collects what is wrong with them.
struct Variables<'a> {
    variable: &'a dyn Fn(&str) -> Option<OsString>,
    faults: Vec<String>,
}

impl<'a> Variables<'a> {
    fn new(variable: &'a dyn Fn(&str) -> Option<OsString>) -> Self {
        Self { variable, faults: Vec::new() }
    }

    fn options(mut self) -> Result<Options, Error> {
        let Some((family, because)) = self.family() else {
            return Err(failed(
                "neither `PUSHER_APP_KEY` and `PUSHER_APP_CLUSTER` (or `PUSHER_HOST`) nor `REVERB_APP_KEY` and \
                 `REVERB_HOST` are set",
            ));
        };
        if !self.is_set(family.key) {
            self.faults.push(format!("`{}` must be set{because}", family.key));
        }
        let key = self.read(family.key, read_key);
        let target = self.target(family);
        let port = self.read(family.port, read_port);
        let tls = self.read(family.scheme, read_scheme).unwrap_or(true);
        let options = match (key, target) {
            (Some(key), Some(Target::Host(host))) => Options::host(&host, &key),
            (Some(key), Some(Target::Cluster(cluster))) => Options::cluster(&cluster, &key),
            // With a fault.
            _ => return Err(failed(&self.faults.join(", "))),
        };
        if !self.faults.is_empty() {
            return Err(failed(&self.faults.join(", ")));
        }
        let options = options.tls(tls);
        Ok(port.into_iter().fold(options, Options::port))
    }

    /// Returns the family that is chosen, otherwise the first that has a key, otherwise the first that has anything;
    /// and what to say of a missing key.
    fn family(&self) -> Option<(&'static Family, String)> {
        let families = [&PUSHER, &REVERB];
        let chosen = CHOICE.iter().find(|name| self.is_set(name)).and_then(|name| {
            let value = (self.variable)(name)?;
            let value = meaning(value.to_str()?);
            let family = families.into_iter().find(|family| family.name == value)?;
            Some((family, format!(", since `{name}` is `{value}`")))
        });
        let first = |has: &dyn Fn(&Family) -> bool| families.into_iter().find(|family| has(family));
        chosen.or_else(|| {
            let family = first(&|family| self.is_set(family.key)).or_else(|| {
                first(&|family| {
                    let Family { host, cluster, port, scheme, .. } = *family;
                    [Some(host), cluster, Some(port), Some(scheme)]
                        .into_iter()
                        .flatten()
                        .any(|name| self.is_set(name))
                })
            });
            Some((family?, String::new()))
        })
    }

    fn target(&mut self, family: &Family) -> Option<Target> {
        if self.is_set(family.host) {
            return self.read(family.host, read_host);
        }
        match family.cluster {
            Some(cluster) if self.is_set(cluster) => self.read(cluster, read_cluster),
            Some(cluster) => {
                self.faults.push(format!("`{cluster}` or `{}` must be set", family.host));
                None
            }
            None => {
                self.faults.push(format!("`{}` must be set", family.host));
                None
            }
        }
    }

    fn is_set(&self, name: &str) -> bool {
        let value = (self.variable)(name);
        value.is_some_and(|value| value.to_str().is_none_or(|text| !meaning(text).is_empty()))
    }

    /// Returns what `read` makes of a variable's value, which may say what the value must do; `None` if it is unset.
    fn read<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        let value = (self.variable)(name)?;
        let value = match value.to_str().map(meaning) {
            Some("") => return None,
            Some(text) => read(text),
            None => Err("be valid Unicode"),
        };
        value.map_err(|must| self.faults.push(format!("`{name}` must {must}"))).ok()
    }
}

fn failed(why: &str) -> Error {
    Error::message(ErrorKind::Config, format!("reading the options failed: {why}"))
}

/// Returns the value as Laravel's `env()` reads it; empty if it counts as unset.
fn meaning(value: &str) -> &str {
    let unset = ["null", "(null)", "empty", "(empty)"];
    if unset.iter().any(|unset| value.eq_ignore_ascii_case(unset)) {
        return "";
    }
    // A program that loads `.env` removes quotes, but Docker's `--env-file` does not.
    let unquoted = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    unquoted('"').or_else(|| unquoted('\'')).unwrap_or(value)
}

fn read_key(text: &str) -> Result<String, &'static str> {
    match text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        true => Err("not contain spaces or control characters"),
        false => Ok(text.to_owned()),
    }
}

fn read_host(text: &str) -> Result<Target, &'static str> {
    let api = text.strip_prefix("api-").and_then(|rest| rest.strip_suffix(".pusher.com"));
    match (api, host_fault(text)) {
        (Some(cluster), _) => read_cluster(cluster),
        (None, Some(fault)) => Err(fault.must),
        (None, None) => Ok(Target::Host(text.to_owned())),
    }
}

fn read_cluster(text: &str) -> Result<Target, &'static str> {
    match cluster_fault(text) {
        Some(must) => Err(must),
        None => Ok(Target::Cluster(text.to_owned())),
    }
}

fn read_port(text: &str) -> Result<u16, &'static str> {
    let port = text.parse().ok().filter(|&port| port > 0);
    port.ok_or("be a number from 1 to 65535")
}

/// Returns `true` for TLS.
fn read_scheme(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "https" => Ok(true),
        "http" => Ok(false),
        _ => Err("be `https` or `http`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the URL of the options in these variables, without its query.
    fn url(variables: &[(&str, &str)]) -> String {
        let variables = variables.iter().map(|&(name, value)| (name.into(), value.into()));
        Options::from_vars(variables).unwrap().without_metadata().to_url().unwrap()
    }

    fn fault(variables: &[(&str, &str)]) -> String {
        let variables = variables.iter().map(|&(name, value)| (name.into(), value.into()));
        let error = Options::from_vars(variables).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let message = error.to_string();
        message.strip_prefix("reading the options failed: ").unwrap().to_owned()
    }

    #[test]
    fn environments_as_laravel_writes_them() {
        let fresh = [
            ("BROADCAST_DRIVER", "log"),
            ("PUSHER_APP_ID", "1"),
            ("PUSHER_APP_KEY", "key"),
            ("PUSHER_APP_SECRET", "secret"),
            ("PUSHER_HOST", ""),
            ("PUSHER_PORT", "443"),
            ("PUSHER_SCHEME", "https"),
            ("PUSHER_APP_CLUSTER", "mt1"),
            ("VITE_PUSHER_APP_KEY", "${PUSHER_APP_KEY}"),
        ];
        assert_eq!(url(&fresh), "wss://ws-mt1.pusher.com:443/app/key");
        let soketi = [
            ("BROADCAST_CONNECTION", "pusher"),
            ("PUSHER_APP_KEY", "app-key"),
            ("PUSHER_HOST", "127.0.0.1"),
            ("PUSHER_PORT", "6001"),
            ("PUSHER_SCHEME", "http"),
            ("PUSHER_APP_CLUSTER", "mt1"),
        ];
        assert_eq!(url(&soketi), "ws://127.0.0.1:6001/app/app-key");
        // As Docker's `--env-file` passes it.
        let reverb = [
            ("BROADCAST_CONNECTION", "reverb"),
            ("REVERB_APP_KEY", "key"),
            ("REVERB_HOST", "\"localhost\""),
            ("REVERB_PORT", "'8080'"),
            ("REVERB_SCHEME", "http"),
            ("REVERB_SERVER_HOST", "0.0.0.0"),
            ("REVERB_SERVER_PORT", "9"),
        ];
        assert_eq!(url(&reverb), "ws://localhost:8080/app/key");
    }

    #[test]
    fn what_is_unset_has_its_default() {
        let (key, host) = (("PUSHER_APP_KEY", "k"), ("PUSHER_HOST", "h"));
        assert_eq!(url(&[key, host]), "wss://h:443/app/k");
        assert_eq!(url(&[key, host, ("PUSHER_SCHEME", "HTTP")]), "ws://h:80/app/k");
        assert_eq!(url(&[key, ("PUSHER_HOST", "::1")]), "wss://[::1]:443/app/k");
        let eu = ("PUSHER_APP_CLUSTER", "eu");
        for unset in ["", "null", "(NULL)", "Empty", "(empty)", "\"\"", "''"] {
            let (host, port) = (("PUSHER_HOST", unset), ("PUSHER_PORT", unset));
            let (scheme, choice) = (("PUSHER_SCHEME", unset), ("BROADCAST_CONNECTION", unset));
            assert_eq!(
                url(&[key, eu, host, port, scheme, choice]),
                "wss://ws-eu.pusher.com:443/app/k"
            );
        }
        for host in ["api-eu.pusher.com", "\"api-eu.pusher.com\""] {
            assert_eq!(
                url(&[key, ("PUSHER_HOST", host), ("PUSHER_PORT", "444")]),
                "wss://ws-eu.pusher.com:444/app/k"
            );
        }
        assert_eq!(
            url(&[key, ("PUSHER_HOST", "api.example.org")]),
            "wss://api.example.org:443/app/k"
        );
        assert_eq!(url(&[key, ("PUSHER_HOST", "old"), host]), "wss://h:443/app/k");
    }

    #[test]
    fn laravels_choice_and_then_the_keys_decide_between_the_families() {
        let pusher = [("PUSHER_APP_KEY", "p"), ("PUSHER_APP_CLUSTER", "eu")];
        let reverb = [("REVERB_APP_KEY", "r"), ("REVERB_HOST", "h")];
        let (to_pusher, to_reverb) = ("wss://ws-eu.pusher.com:443/app/p", "wss://h:443/app/r");
        let both = [pusher, reverb].concat();
        assert_eq!(url(&both), to_pusher);
        assert_eq!(url(&[&both[..], &[("BROADCAST_CONNECTION", "reverb")]].concat()), to_reverb);
        assert_eq!(url(&[&both[..], &[("BROADCAST_DRIVER", "reverb")]].concat()), to_reverb);
        let new_and_old = [("BROADCAST_DRIVER", "reverb"), ("BROADCAST_CONNECTION", "pusher")];
        assert_eq!(url(&[&both[..], &new_and_old].concat()), to_pusher);
        for other in ["log", "null", "ably", "REVERB"] {
            assert_eq!(url(&[&both[..], &[("BROADCAST_CONNECTION", other)]].concat()), to_pusher);
        }
        // A cluster without a key is in every new app.
        assert_eq!(url(&[&pusher[1..], &reverb].concat()), to_reverb);
    }

    #[test]
    fn one_error_lists_everything_that_is_missing_or_malformed() {
        let none = "neither `PUSHER_APP_KEY` and `PUSHER_APP_CLUSTER` (or `PUSHER_HOST`) nor `REVERB_APP_KEY` and \
                    `REVERB_HOST` are set";
        assert_eq!(fault(&[]), none);
        assert_eq!(fault(&[("PUSHER_APP_KEY", ""), ("REVERB_APP_SECRET", "s")]), none);
        assert_eq!(
            fault(&[("PUSHER_APP_KEY", "k")]),
            "`PUSHER_APP_CLUSTER` or `PUSHER_HOST` must be set"
        );
        assert_eq!(fault(&[("REVERB_APP_KEY", "k")]), "`REVERB_HOST` must be set");
        assert_eq!(fault(&[("PUSHER_HOST", "h")]), "`PUSHER_APP_KEY` must be set");
        assert_eq!(
            fault(&[("REVERB_PORT", "x"), ("REVERB_SCHEME", "wss")]),
            "`REVERB_APP_KEY` must be set, `REVERB_HOST` must be set, \
             `REVERB_PORT` must be a number from 1 to 65535, `REVERB_SCHEME` must be `https` or `http`"
        );
        assert_eq!(
            fault(&[
                ("BROADCAST_CONNECTION", "reverb"),
                ("PUSHER_APP_KEY", "k"),
                ("REVERB_HOST", "h")
            ]),
            "`REVERB_APP_KEY` must be set, since `BROADCAST_CONNECTION` is `reverb`"
        );
    }

    #[test]
    fn malformed_values_are_not_quoted() {
        let valid = [("PUSHER_APP_KEY", "k"), ("PUSHER_HOST", "h")];
        for (name, value, must) in [
            ("PUSHER_APP_KEY", "hush hush", "not contain spaces or control characters"),
            ("PUSHER_APP_KEY", "hush\r", "not contain spaces or control characters"),
            ("PUSHER_HOST", "ws://u:hush@h", "not be a URL and not have a path"),
            ("PUSHER_HOST", "h:hush", "not have a port"),
            ("PUSHER_HOST", "hush!", "consist of letters, digits, `-`, `.` and `_`"),
            (
                "PUSHER_HOST",
                "api-hush!.pusher.com",
                "consist of letters, digits and `-`, such as `eu` or `mt1`",
            ),
            ("PUSHER_PORT", "hush", "be a number from 1 to 65535"),
            ("PUSHER_PORT", "0", "be a number from 1 to 65535"),
            ("PUSHER_PORT", "65536", "be a number from 1 to 65535"),
            ("PUSHER_SCHEME", "hush", "be `https` or `http`"),
        ] {
            let fault = fault(&[&valid[..], &[(name, value)]].concat());
            assert_eq!(fault, format!("`{name}` must {must}"), "{value:?}");
        }
        let cluster = [("PUSHER_APP_KEY", "k"), ("PUSHER_APP_CLUSTER", "hush!")];
        assert!(fault(&cluster).starts_with("`PUSHER_APP_CLUSTER` must consist of"));
        // Not read.
        assert_eq!(
            url(&[&valid[..], &[("PUSHER_APP_CLUSTER", "hush!")]].concat()),
            "wss://h:443/app/k"
        );
    }

    #[cfg(unix)]
    #[test]
    fn values_that_are_no_unicode_are_malformed() {
        use std::os::unix::ffi::OsStringExt;

        let read = |names: &'static [&'static str]| {
            let variable = move |name: &str| match name {
                _ if names.contains(&name) => Some(OsString::from_vec(vec![b'h', 0xff])),
                "PUSHER_APP_KEY" | "PUSHER_HOST" => Some("text".into()),
                _ => None,
            };
            Variables::new(&variable).options().map_err(|error| error.to_string())
        };
        for names in [&["PUSHER_APP_KEY"], &["PUSHER_HOST"], &["PUSHER_PORT"], &["PUSHER_SCHEME"]] {
            let message = read(names).unwrap_err();
            let fault = format!("reading the options failed: `{}` must be valid Unicode", names[0]);
            assert_eq!(message, fault);
        }
        let all = read(&["PUSHER_APP_KEY", "PUSHER_HOST", "PUSHER_PORT"]).unwrap_err();
        assert_eq!(all.matches("must be valid Unicode").count(), 3, "{all}");
        // It chooses neither family, and others do not matter.
        read(&["BROADCAST_CONNECTION", "BROADCAST_DRIVER", "PATH"]).unwrap();
    }
}
