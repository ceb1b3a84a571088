//! The arguments that say where and how to connect, and the clients made of them.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use pusher_channels::{
    Client, ClientBuilder, HttpAuthorizer, Options, Proxy, Publisher, SecretAuthorizer, Tls,
};

use crate::data;
use crate::exit::Failure;
use crate::output::note;
use crate::time::duration;

/// Which server, and how to reach it.
#[derive(Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct Server {
    /// Host name or address of the server
    #[arg(long, value_name = "HOST", conflicts_with_all = ["cluster", "url"])]
    host: Option<String>,
    /// Cluster of Pusher's own service, such as `eu`
    #[arg(long, value_name = "NAME", conflicts_with = "url")]
    cluster: Option<String>,
    /// Whole URL of the WebSocket, such as `wss://HOST:443/app/KEY?protocol=7`
    #[arg(long, value_name = "URL", conflicts_with_all = ["key", "port", "path_prefix", "plain"])]
    url: Option<String>,
    /// App key [env: PUSHER_APP_KEY]
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Port of the server [default: 443, or 80 with --plain]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Path before `/app`
    #[arg(long, value_name = "PATH")]
    path_prefix: Option<String>,
    /// Connect without TLS (`ws` instead of `wss`)
    #[arg(long)]
    plain: bool,
    /// Trust the certificates in this PEM file too
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Accept every certificate. Anybody on the way can then read and change everything
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Proxy: `http://…` or `socks5://…` [default: that of the environment, as curl reads it]
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Do not use the proxy of the environment
    #[arg(long, conflicts_with = "proxy")]
    no_proxy: bool,
    /// How long to wait for the server
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = duration)]
    pub(crate) timeout: Duration,
}

/// How to be authorized.
#[derive(Args)]
#[command(next_help_heading = "Authorization")]
pub(crate) struct Access {
    /// App secret, to authorize without an endpoint [env: PUSHER_APP_SECRET]. Visible to other users of the machine
    #[arg(long, value_name = "SECRET")]
    secret: Option<String>,
    /// URL that authorizes subscriptions, such as `https://HOST/broadcasting/auth`
    #[arg(long, value_name = "URL", conflicts_with = "secret")]
    pub(crate) auth_endpoint: Option<String>,
    /// Header for the auth endpoint, `Name: value`, or `@FILE` with one on each line
    #[arg(long, value_name = "HEADER", requires = "auth_endpoint")]
    auth_header: Vec<String>,
    /// Header for the WebSocket handshake, `Name: value`, or `@FILE` with one on each line
    #[arg(short = 'H', long, value_name = "HEADER")]
    header: Vec<String>,
    /// Who to be on presence channels, with --secret
    #[arg(long, value_name = "ID", default_value = "pusher-channels")]
    user: String,
    /// What others see of the user: JSON, or text
    #[arg(long, value_name = "INFO", default_value = "{}")]
    user_info: String,
}

/// The variables of one thing, for Pusher and for Reverb.
const KEYS: [&str; 2] = ["PUSHER_APP_KEY", "REVERB_APP_KEY"];
const APP_IDS: [&str; 2] = ["PUSHER_APP_ID", "REVERB_APP_ID"];
const SECRETS: [&str; 2] = ["PUSHER_APP_SECRET", "REVERB_APP_SECRET"];

/// Encrypted channels are read and written with it. It is in no argument, since it is a secret.
pub(crate) const MASTER_KEY: &str = "PUSHER_ENCRYPTION_MASTER_KEY";

impl Server {
    pub(crate) fn options(&self) -> Result<Options, Failure> {
        if let Some(url) = &self.url {
            return Ok(Options::url(url));
        }
        let mut options = match (&self.host, &self.cluster) {
            (Some(host), _) => Options::host(host, &self.key()?),
            (None, Some(cluster)) => Options::cluster(cluster, &self.key()?),
            (None, None) => Options::from_vars(self.variables())?,
        };
        if let Some(port) = self.port {
            options = options.port(port);
        }
        if let Some(prefix) = &self.path_prefix {
            options = options.path_prefix(prefix);
        }
        Ok(if self.plain { options.tls(false) } else { options })
    }

    /// Returns the key of the argument, or of the environment.
    fn key(&self) -> Result<String, Failure> {
        let key = self.key.clone().or_else(|| KEYS.into_iter().find_map(variable));
        key.ok_or_else(|| Failure::usage("the app key is missing; set it with --key"))
    }

    /// Returns the variables of the environment, with the key of the argument.
    fn variables(&self) -> HashMap<String, String> {
        let unicode =
            |(name, value): (_, std::ffi::OsString)| Some((name, value.into_string().ok()?));
        let mut variables: HashMap<String, String> = env::vars_os()
            .filter_map(|(name, value)| unicode((name.into_string().ok()?, value)))
            .collect();
        if let Some(key) = &self.key {
            let reverb = !variables.contains_key("PUSHER_HOST")
                && !variables.contains_key("PUSHER_APP_CLUSTER");
            let [pusher_key, reverb_key] = KEYS;
            let name = if reverb { reverb_key } else { pusher_key };
            variables.insert(name.to_owned(), key.clone());
        }
        variables
    }

    pub(crate) fn tls(&self) -> Result<Tls, Failure> {
        let mut tls = Tls::default();
        if let Some(path) = &self.ca {
            let pem = fs::read(path).map_err(|error| unreadable(path, &error))?;
            tls = tls.root_certificate_pem(&pem);
        }
        if self.insecure {
            tls = tls.danger_accept_invalid_certs(true);
        }
        Ok(tls)
    }

    fn warn_if_insecure(&self) {
        if self.insecure {
            note(
                "warning: certificates are not checked (--insecure): anybody on the way can read and change everything",
            );
        }
    }

    pub(crate) fn proxy(&self) -> Result<Proxy, Failure> {
        match &self.proxy {
            Some(url) => Ok(Proxy::new(url)?),
            None if self.no_proxy => Ok(Proxy::none()),
            None => Ok(Proxy::from_env()),
        }
    }

    /// Returns `true` if a proxy may be used for some connections.
    pub(crate) fn may_use_proxy(&self) -> bool {
        let names = ["http_proxy", "https_proxy", "all_proxy"];
        let is_set = |name: &str| variable(name).or_else(|| variable(&name.to_uppercase()));
        self.proxy.is_some()
            || (!self.no_proxy && names.into_iter().any(|name| is_set(name).is_some()))
    }

    /// Returns `true` if subscriptions are authorized with the app's secret.
    pub(crate) fn has_secret(&self, access: &Access) -> Result<bool, Failure> {
        let key = key_of(&self.options()?)?;
        Ok(or_variable(access.secret.as_deref(), SECRETS, &key).is_some())
    }

    /// Returns a builder with these settings, which authorizes as `access` says.
    pub(crate) fn client(&self, access: &Access) -> Result<ClientBuilder, Failure> {
        self.warn_if_insecure();
        let options = self.options()?;
        let key = key_of(&options)?;
        let mut builder = Client::builder(options)
            .tls(self.tls()?)
            .proxy(self.proxy()?)
            .connect_timeout(self.timeout);
        for (name, value) in headers(&access.header)? {
            builder = builder.header(&name, &value);
        }
        if let Some(endpoint) = access.http_authorizer()? {
            builder = builder.authorizer(endpoint.timeout(self.timeout));
        } else if let Some(secret) = or_variable(access.secret.as_deref(), SECRETS, &key) {
            builder = builder.authorizer(access.signer(&key, &secret));
        }
        Ok(builder)
    }

    /// Returns a publisher for the app of the options.
    pub(crate) fn publisher(
        &self,
        app_id: Option<&str>,
        secret: Option<&str>,
    ) -> Result<Publisher, Failure> {
        self.warn_if_insecure();
        let options = self.options()?;
        let key = key_of(&options)?;
        let app_id = or_variable(app_id, APP_IDS, &key)
            .ok_or_else(|| Failure::usage("the app id is missing; set `PUSHER_APP_ID`"))?;
        let secret = or_variable(secret, SECRETS, &key)
            .ok_or_else(|| Failure::usage("the app secret is missing; set `PUSHER_APP_SECRET`"))?;
        let mut builder = Publisher::builder(options, &app_id, &secret)
            .tls(self.tls()?)
            .proxy(self.proxy()?)
            .timeout(self.timeout);
        if let Some(master) = variable(MASTER_KEY) {
            builder = builder.encryption_master_key(&master);
        }
        Ok(builder.build()?)
    }
}

impl Access {
    pub(crate) fn http_authorizer(&self) -> Result<Option<HttpAuthorizer>, Failure> {
        let Some(url) = &self.auth_endpoint else {
            return Ok(None);
        };
        let endpoint = HttpAuthorizer::new(url);
        let headers = headers(&self.auth_header)?;
        Ok(Some(headers.iter().fold(endpoint, |to, (name, value)| to.header(name, value))))
    }

    fn signer(&self, key: &str, secret: &str) -> SecretAuthorizer {
        let signer =
            SecretAuthorizer::new(key, secret).member(&self.user, &data::json(&self.user_info));
        match variable(MASTER_KEY) {
            Some(master) => signer.encryption_master_key(&master),
            None => signer,
        }
    }
}

/// Returns the argument, otherwise the variable: the one of the kind of server whose key is in use, otherwise the first
/// that is set.
fn or_variable(argument: Option<&str>, names: [&str; 2], key: &str) -> Option<String> {
    let mut families = KEYS.into_iter().zip(names);
    let mut of_key = || {
        let (_, name) = families.find(|(name, _)| variable(name).as_deref() == Some(key))?;
        variable(name)
    };
    let first = || names.into_iter().find_map(variable);
    argument.map(str::to_owned).or_else(&mut of_key).or_else(first)
}

/// Returns the app key of the options, which is in the path of their URL.
fn key_of(options: &Options) -> Result<String, Failure> {
    let url = options.to_url()?;
    let path = url.split('?').next().unwrap_or_default();
    let key = path.rsplit_once("/app/").map(|(_, key)| key).unwrap_or_default();
    Ok(percent_encoding::percent_decode_str(key).decode_utf8_lossy().into_owned())
}

/// Returns the variable unless it is empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn headers(arguments: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let mut lines = Vec::new();
    for argument in arguments {
        match argument.strip_prefix('@') {
            Some(path) => {
                let text =
                    fs::read_to_string(path).map_err(|error| unreadable(path.as_ref(), &error))?;
                lines
                    .extend(text.lines().map(str::to_owned).filter(|line| !line.trim().is_empty()));
            }
            None => lines.push(argument.clone()),
        }
    }
    let split = |line: &String| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    };
    let headers: Option<Vec<_>> = lines.iter().map(split).collect();
    // The value may be a token, so it is not shown.
    headers.ok_or_else(|| Failure::usage("a header must have the form `Name: value`"))
}

fn unreadable(path: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("reading `{}` failed: {error}", path.display()))
}
