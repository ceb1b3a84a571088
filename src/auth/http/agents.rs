//! Who carries the requests: ureq, told everything that it would otherwise look up or refuse loudly.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ureq::config::{AutoHeaderValue, ConfigBuilder};
use ureq::http::{Request, Response, Uri, header};
#[cfg(any(feature = "native-tls", feature = "rustls"))]
use ureq::tls::{Certificate, RootCerts};
use ureq::typestate::AgentScope;
use ureq::{Agent, AsSendBody, Body};

use super::answer::{Answer, coding, is_good};
use super::carrier;
use super::failure::failed;
use super::request::address_of;
use super::secure;
use crate::config::proxy::ProxyServer;
use crate::config::tls::Asked;
use crate::transport::Resolver;
use crate::util::clock;
use crate::util::retry_after::retry_after;
use crate::{ClientSettings, Error, ErrorKind, Proxy, Tls};

/// What is read of a refusal, in bytes.
const REFUSAL: u64 = 16 * 1024;
/// Longer timeouts count as this, so that adding them to a time cannot fail.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Servers often close idle connections after 5 s; to meet one just then would fail a request.
const IDLE: Duration = Duration::from_secs(3);

type Builder = ConfigBuilder<AgentScope>;

/// Makes agents when they are needed, and others after an interruption. A clone shares them.
#[derive(Clone)]
pub(super) struct Agents {
    /// The authorizer's own settings, which win over the client's.
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
    /// One for each way that was needed so far: none and two proxies at the most.
    current: Vec<Pair>,
    /// Those of the clients that share the authorizer.
    attached: Vec<(ClientSettings, Weak<Mutex<Self>>)>,
}

/// ureq trusts either the platform's roots or those given, but not both, so two agents take turns.
#[derive(Clone)]
struct Pair {
    proxy: Option<Arc<ProxyServer>>,
    platform: Agent,
    given: Option<Agent>,
    /// The platform's roots were the right ones last time.
    platform_first: Arc<AtomicBool>,
    asked: Asked,
    /// Why `https` is not to be had with these settings.
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
    /// Those of one client: an interruption of them ends no other's requests.
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
        // The agents that are there stay if they can, since only they can be interrupted.
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

    /// Ends the requests that are under way, for all clients that share these agents.
    pub(super) fn interrupt(&self) {
        let (mut current, attached) = {
            let mut state = lock(&self.state);
            let attached = state.attached.iter().filter_map(|(_, attached)| attached.upgrade());
            let attached: Vec<_> = attached.collect();
            (state.interrupt(), attached)
        };
        for state in attached {
            current.append(&mut lock(&state).interrupt());
        }
        for pair in current {
            pair.platform.shutdown();
            if let Some(given) = pair.given {
                given.shutdown();
            }
        }
    }

    /// Whether the settings of TLS and of the proxy can be used: for `https` if it is `secure`.
    pub(super) fn check(&self, secure: bool) -> Result<(), Error> {
        self.pair(|_| None)?.check(secure)
    }

    /// Fails if there have been more interruptions than these. `place` names the endpoint in messages.
    pub(super) fn send(
        &self,
        request: &Request<Option<String>>,
        place: &str,
        interruptions: u64,
    ) -> Result<Answer, Error> {
        // It may be asked again at once.
        let interrupted = || Error::message(ErrorKind::Io, format!("{place}: interrupted"));
        let is_interrupted = || self.interruptions() != interruptions;
        let secure = check_scheme(request.uri())?;
        let (host, port) = address_of(request.uri());
        let pair = self.pair(|proxy| proxy.server_for(secure, host, port).cloned())?;
        // Looked at only now, since an interruption from here on ends what this pair does.
        if is_interrupted() {
            return Err(interrupted());
        }
        pair.check(secure)?;
        self.send_by(&pair, request, place, secure).map_err(|error| {
            if is_interrupted() {
                // Whatever the TLS library made of it.
                return interrupted().caused_by(error).explained();
            }
            pair.asked.explain(error, host)
        })
    }

    fn send_by(
        &self,
        pair: &Pair,
        request: &Request<Option<String>>,
        place: &str,
        secure: bool,
    ) -> Result<Answer, Error> {
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

    /// `left` is what is left of the timeout, if not all of it.
    fn exchange(
        &self,
        pair: &Pair,
        agent: &Agent,
        request: &Request<Option<String>>,
        place: &str,
        left: Option<Duration>,
    ) -> Result<Answer, Error> {
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
    ) -> Result<Answer, Error> {
        let status = response.status().as_u16();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let mut answer = Answer {
            status,
            retry_after: retry_after(status, header(header::RETRY_AFTER), clock::wall()),
            encoding: header(header::CONTENT_ENCODING).and_then(coding),
            location: header(header::LOCATION).map(str::to_owned),
            body: Vec::new(),
        };
        let reader = response.into_body().into_reader();
        if is_good(status) {
            let limit = u64::try_from(self.max_body).unwrap_or(u64::MAX);
            let read = reader.take(limit.saturating_add(1)).read_to_end(&mut answer.body);
            read.map_err(|error| failed(error.into()))?;
            if answer.body.len() > self.max_body {
                let message = format!("{place}: the answer is longer than {limit} bytes");
                return Err(Error::message(ErrorKind::TooLarge, message));
            }
        } else {
            // The status says enough if the rest does not come.
            let _ = reader.take(REFUSAL).read_to_end(&mut answer.body);
        }
        Ok(answer)
    }

    fn pair(&self, choose: impl FnOnce(&Proxy) -> Option<Arc<ProxyServer>>) -> Result<Pair, Error> {
        let mut state = lock(&self.state);
        let proxy = self.proxy.as_ref().unwrap_or(state.client.proxy());
        proxy.check()?;
        let server = choose(proxy);
        if let Some(pair) = state.current.iter().find(|pair| pair.proxy == server) {
            return Ok(pair.clone());
        }
        let tls = self.tls.as_ref().unwrap_or(state.client.tls());
        let pair = self.build(tls, server)?;
        state.current.push(pair.clone());
        // The client warns of its own.
        let own = self.tls.as_ref().filter(|_| !self.warned.swap(true, Ordering::Relaxed));
        // The logger is the user's, and may interrupt.
        drop(state);
        if let Some(tls) = own {
            tls.warn_of_dangers("an authorizer");
        }
        Ok(pair)
    }

    #[cfg(any(feature = "native-tls", feature = "rustls"))]
    fn build(&self, tls: &Tls, server: Option<Arc<ProxyServer>>) -> Result<Pair, Error> {
        crate::transport::check_tls(tls)?;
        let roots = crate::transport::tls_roots(tls)?;
        let client = secure::client_certificate(tls)?;
        let danger = tls.accepts_invalid_certs();
        let agent = |roots| {
            let config = secure::config(tls, roots, client.clone());
            self.agent(server.clone(), |builder| builder.tls_config(config))
        };
        let given = (!roots.is_empty() && !danger).then(|| {
            let roots = roots.iter().map(|der| Certificate::from_der(der).to_owned());
            agent(RootCerts::from(roots))
        });
        Ok(Pair {
            platform: agent(RootCerts::PlatformVerifier),
            given,
            proxy: server,
            platform_first: Arc::default(),
            asked: tls.asked(),
            refusal: secure::refusal(tls),
        })
    }

    #[cfg(not(any(feature = "native-tls", feature = "rustls")))]
    fn build(&self, tls: &Tls, server: Option<Arc<ProxyServer>>) -> Result<Pair, Error> {
        let platform = self.agent(server.clone(), |builder| builder);
        Ok(Pair {
            proxy: server,
            platform,
            given: None,
            platform_first: Arc::default(),
            asked: tls.asked(),
            refusal: None,
        })
    }

    fn agent(
        &self,
        proxy: Option<Arc<ProxyServer>>,
        with_tls: impl FnOnce(Builder) -> Builder,
    ) -> Agent {
        let builder = Agent::config_builder()
            .timeout_global(Some(self.timeout()))
            .http_status_as_error(false)
            // Redirects are given back as they are.
            .max_redirects(0)
            .max_redirects_will_error(false)
            // Else it is taken from the environment. The one that counts is asked below ureq.
            .proxy(None)
            .user_agent(concat!("pusher-channels/", env!("CARGO_PKG_VERSION")))
            .accept_encoding(AutoHeaderValue::None)
            .max_idle_age(IDLE);
        carrier::agent(with_tls(builder).build(), Arc::clone(&self.resolver), proxy)
    }

    fn timeout(&self) -> Duration {
        self.timeout.min(LONGEST)
    }
}

impl State {
    /// Returns what is to be shut down.
    fn interrupt(&mut self) -> Vec<Pair> {
        self.interruptions += 1;
        std::mem::take(&mut self.current)
    }
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

/// Whether it is `https`; fails if that cannot be had.
pub(super) fn check_scheme(uri: &Uri) -> Result<bool, Error> {
    let secure = uri.scheme_str() == Some("https");
    if secure && !cfg!(any(feature = "native-tls", feature = "rustls")) {
        let message = "this build has no TLS for https://: turn on the feature `native-tls` or \
                       `rustls` of pusher-channels";
        return Err(Error::message(ErrorKind::Config, message));
    }
    Ok(secure)
}

/// Not for every request: ureq sets TLS up anew for one that has a setting of its own.
fn limit<B: AsSendBody>(agent: &Agent, request: Request<B>, left: Option<Duration>) -> Request<B> {
    match left {
        Some(_) => agent.configure_request(request).timeout_global(left).build(),
        None => request,
    }
}
