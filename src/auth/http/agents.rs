//! Sends requests by ureq, which gets every setting from here and none from the environment.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ureq::config::AutoHeaderValue;
use ureq::http::{Request, Response, Uri, header};
use ureq::{Agent, AsSendBody, Body};

use super::connector::{self, MAX_TIMEOUT};
use super::failure::failed;
use super::request::address_of;
use super::response::{HttpResponse, coding, is_success};
use super::secure;
use crate::config::proxy::ProxyServer;
use crate::config::tls::HandshakeSettings;
use crate::transport::Resolver;
use crate::util::clock;
use crate::util::retry_after::retry_after;
use crate::{ClientSettings, Error, ErrorKind, Proxy, Tls};

/// How many bytes of a refusal are read.
const MAX_REFUSAL: u64 = 16 * 1024;
/// Servers often close idle connections after 5 s, and a request on a connection that is being closed fails.
const MAX_IDLE: Duration = Duration::from_secs(3);

/// Makes agents when they are needed, and new ones after an interruption. A clone shares them.
#[derive(Clone)]
pub(super) struct Agents {
    /// The authorizer's own settings take precedence over the client's.
    pub(super) tls: Option<Tls>,
    pub(super) proxy: Option<Proxy>,
    pub(super) timeout: Duration,
    pub(super) max_body: usize,
    pub(super) resolver: Arc<Resolver>,
    warned: Arc<AtomicBool>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    client: ClientSettings,
    interruptions: u64,
    /// One for each route that was needed so far: at most no proxy and two proxies.
    current: Vec<Pair>,
    /// The states of the clients that share the authorizer.
    attached: Vec<(ClientSettings, Weak<Mutex<Self>>)>,
}

/// ureq trusts either the platform's roots or the given ones, so a request is sent again by the other agent if the
/// roots may have been the wrong ones.
#[derive(Clone)]
struct Pair {
    proxy: Option<Arc<ProxyServer>>,
    platform: Agent,
    given: Option<Agent>,
    /// The platform's roots were the right ones last time.
    platform_first: Arc<AtomicBool>,
    settings: HandshakeSettings,
    /// Why `https` cannot be used with these settings.
    refusal: Option<&'static str>,
}

impl Default for Agents {
    fn default() -> Self {
        Self {
            tls: None,
            proxy: None,
            timeout: Duration::from_secs(10),
            max_body: 256 * 1024,
            resolver: Arc::new(Resolver::queueing()),
            warned: Arc::default(),
            state: Arc::default(),
        }
    }
}

impl Agents {
    /// Returns the agents of one client. Interrupting them ends no other client's requests.
    pub(super) fn attach(&self, client: &ClientSettings) -> Self {
        let mut state = lock(&self.state);
        state.attached.retain(|(_, attached)| attached.strong_count() > 0);
        let known = state.attached.iter().find(|(other, _)| other.is(client));
        let known = known.and_then(|(_, attached)| attached.upgrade());
        let own = known.unwrap_or_else(|| {
            let own = State { client: client.clone(), ..State::default() };
            let own = Arc::new(Mutex::new(own));
            state.attached.push((client.clone(), Arc::downgrade(&own)));
            own
        });
        Self { state: own, ..self.clone() }
    }

    pub(super) fn use_tls(&self, tls: &Tls) {
        let mut state = lock(&self.state);
        // Equal settings keep the agents, since an interruption reaches only agents that are kept.
        if self.tls.is_none() && state.client.tls() != tls {
            state.client = ClientSettings::new(tls.clone(), state.client.proxy().clone());
            state.current.clear();
        }
    }

    pub(super) fn use_proxy(&self, proxy: &Proxy) {
        let mut state = lock(&self.state);
        if self.proxy.is_none() && state.client.proxy() != proxy {
            state.client = ClientSettings::new(state.client.tls().clone(), proxy.clone());
            state.current.clear();
        }
    }

    #[cfg(test)]
    pub(super) fn attached(&self) -> usize {
        lock(&self.state).attached.len()
    }

    /// Returns the number that [`Self::send`] takes.
    pub(super) fn interruptions(&self) -> u64 {
        lock(&self.state).interruptions
    }

    /// Ends the running requests of all clients that share these agents.
    pub(super) fn interrupt(&self) {
        interrupt(&self.state);
    }

    /// Fails if the settings of TLS or the proxy cannot be used, for `https` if `secure`.
    pub(super) fn check(&self, secure: bool) -> Result<(), Error> {
        self.pair(|_| None)?.check(secure)
    }

    /// Fails if there have been more interruptions than these. `place` names the endpoint in messages.
    pub(super) fn send(
        &self,
        request: &Request<Option<String>>,
        place: &str,
        interruptions: u64,
    ) -> Result<HttpResponse, Error> {
        // `Io` is retryable at once.
        let interrupted = || Error::message(ErrorKind::Io, format!("{place}: interrupted"));
        let is_interrupted = || self.interruptions() != interruptions;
        let secure = check_scheme(request.uri())?;
        let (host, port) = address_of(request.uri());
        let pair = self.pair(|proxy| proxy.server_for(secure, host, port).cloned())?;
        // Only now, since a later interruption shuts this pair down.
        if is_interrupted() {
            return Err(interrupted());
        }
        pair.check(secure)?;
        self.send_by(&pair, request, place, secure).map_err(|error| {
            if is_interrupted() {
                // Whatever the TLS library made of it.
                return interrupted().caused_by(error).explained();
            }
            pair.settings.explain(error, host)
        })
    }

    fn send_by(
        &self,
        pair: &Pair,
        request: &Request<Option<String>>,
        place: &str,
        secure: bool,
    ) -> Result<HttpResponse, Error> {
        let Some(given) = pair.given.as_ref().filter(|_| secure) else {
            return self.exchange(pair, &pair.platform, request, place, None);
        };
        let start = clock::now();
        let platform_first = pair.platform_first.load(Ordering::Relaxed);
        let (first, second) =
            if platform_first { (&pair.platform, given) } else { (given, &pair.platform) };
        let failure = match self.exchange(pair, first, request, place, None) {
            // Nothing but the handshake has happened yet.
            Err(error) if secure::may_be_about_roots(&error) => error,
            result => return result,
        };
        let left = self.timeout().saturating_sub(clock::now().saturating_duration_since(start));
        let result = self.exchange(pair, second, request, place, Some(left));
        match result {
            Err(error) if error.kind() == ErrorKind::Tls => {
                let (by_given, by_platform) =
                    if platform_first { (error, failure) } else { (failure, error) };
                Err(secure::trusted_by_neither(place, by_given, by_platform))
            }
            result => {
                pair.platform_first.store(!platform_first, Ordering::Relaxed);
                result
            }
        }
    }

    /// `left` is the rest of the timeout, if a part of it is over.
    fn exchange(
        &self,
        pair: &Pair,
        agent: &Agent,
        request: &Request<Option<String>>,
        place: &str,
        left: Option<Duration>,
    ) -> Result<HttpResponse, Error> {
        let (parts, body) = request.clone().into_parts();
        let response = match body {
            Some(body) => agent.run(limit(agent, Request::from_parts(parts, body), left)),
            None => agent.run(limit(agent, Request::from_parts(parts, ()), left)),
        };
        let failed = |error| failed(place, pair.proxy.as_deref(), error);
        self.read(response.map_err(failed)?, place, failed)
    }

    fn read(
        &self,
        response: Response<Body>,
        place: &str,
        failed: impl FnOnce(ureq::Error) -> Error,
    ) -> Result<HttpResponse, Error> {
        let status = response.status().as_u16();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let mut result = HttpResponse {
            status,
            retry_after: retry_after(status, header(header::RETRY_AFTER), clock::wall()),
            #[cfg(feature = "publisher")]
            date: header(header::DATE).map(str::to_owned),
            encoding: header(header::CONTENT_ENCODING).and_then(coding),
            location: header(header::LOCATION).map(str::to_owned),
            body: Vec::new(),
        };
        let reader = response.into_body().into_reader();
        if is_success(status) {
            let limit = u64::try_from(self.max_body).unwrap_or(u64::MAX);
            let read = reader.take(limit.saturating_add(1)).read_to_end(&mut result.body);
            read.map_err(|error| failed(error.into()))?;
            if result.body.len() > self.max_body {
                let message = format!("{place}: the response is longer than {limit} bytes");
                return Err(Error::message(ErrorKind::TooLarge, message));
            }
        } else {
            // The status is enough if the rest cannot be read.
            let _ = reader.take(MAX_REFUSAL).read_to_end(&mut result.body);
        }
        Ok(result)
    }

    fn pair(&self, choose: impl FnOnce(&Proxy) -> Option<Arc<ProxyServer>>) -> Result<Pair, Error> {
        let mut state = lock(&self.state);
        let proxy = self.proxy.as_ref().unwrap_or(state.client.proxy());
        proxy.check()?;
        let server = choose(proxy);
        if let Some(pair) = state.current.iter().find(|pair| pair.proxy == server) {
            return Ok(pair.clone());
        }
        let pair = self.build(self.tls.as_ref().unwrap_or(state.client.tls()), server)?;
        state.current.push(pair.clone());
        // The client logs its own warning.
        let own = self.tls.as_ref().filter(|_| !self.warned.swap(true, Ordering::Relaxed));
        // The logger is the user's, and may interrupt.
        drop(state);
        if let Some(tls) = own {
            tls.warn_of_dangers("an authorizer");
        }
        Ok(pair)
    }

    fn build(&self, tls: &Tls, proxy: Option<Arc<ProxyServer>>) -> Result<Pair, Error> {
        let (platform, given) = secure::configs(tls)?;
        let agent = |config| self.agent(proxy.clone(), config);
        Ok(Pair {
            platform: agent(platform),
            given: given.map(agent),
            platform_first: Arc::default(),
            settings: tls.handshake_settings(),
            refusal: secure::refusal(tls),
            proxy,
        })
    }

    fn agent(&self, proxy: Option<Arc<ProxyServer>>, tls: secure::Config) -> Agent {
        let builder = Agent::config_builder()
            .timeout_global(Some(self.timeout()))
            .http_status_as_error(false)
            // Redirects are returned as they are.
            .max_redirects(0)
            .max_redirects_will_error(false)
            // By default the environment's is used. The connector has the right one.
            .proxy(None)
            .user_agent(concat!("pusher-channels/", env!("CARGO_PKG_VERSION")))
            .accept_encoding(AutoHeaderValue::None)
            .max_idle_age(MAX_IDLE);
        let config = secure::configure(builder, tls).build();
        connector::agent(config, Arc::clone(&self.resolver), proxy)
    }

    fn timeout(&self) -> Duration {
        self.timeout.min(MAX_TIMEOUT)
    }
}

/// Interrupts these agents and those that are attached to them, one lock at a time.
fn interrupt(state: &Mutex<State>) {
    let (pairs, attached) = {
        let mut state = lock(state);
        state.interruptions += 1;
        let attached = state.attached.iter().filter_map(|(_, attached)| attached.upgrade());
        let attached: Vec<_> = attached.collect();
        (std::mem::take(&mut state.current), attached)
    };
    for pair in pairs {
        pair.platform.shutdown();
        if let Some(given) = pair.given {
            given.shutdown();
        }
    }
    attached.iter().for_each(|state| interrupt(state));
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pair {
    fn check(&self, secure: bool) -> Result<(), Error> {
        match self.refusal.filter(|_| secure) {
            Some(refusal) => Err(Error::message(ErrorKind::Config, refusal)),
            None => Ok(()),
        }
    }
}

/// Returns `true` for `https`. Fails if this build has no TLS.
pub(super) fn check_scheme(uri: &Uri) -> Result<bool, Error> {
    let secure = uri.scheme_str() == Some("https");
    if secure && !cfg!(any(feature = "native-tls", feature = "rustls")) {
        let message = "this build has no TLS for https://: turn on the feature `native-tls` or \
                       `rustls` of pusher-channels";
        return Err(Error::message(ErrorKind::Config, message));
    }
    Ok(secure)
}

/// Sets what is left of the timeout. Not for every request: ureq sets TLS up anew for one with its own settings.
fn limit<B: AsSendBody>(agent: &Agent, request: Request<B>, left: Option<Duration>) -> Request<B> {
    match left {
        Some(_) => agent.configure_request(request).timeout_global(left).build(),
        None => request,
    }
}
