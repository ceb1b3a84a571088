//! Sends requests by ureq, which gets every setting from here and none from the environment.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ureq::config::{AutoHeaderValue, Config};
use ureq::http::{Request, Response, Uri, header};
use ureq::{Agent, Body};

use super::connector::{self, MAX_TIMEOUT, Network};
use super::failure::failed;
use super::request::is_secure;
use super::response::{HttpResponse, coding, is_success};
use crate::config::tls::ENABLE_TLS;
use crate::transport::{Resolver, SharedTls};
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
    pub(super) tls: Option<Arc<SharedTls>>,
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
    /// Made when it is needed.
    current: Option<Sender>,
    /// The states of the clients that share the authorizer.
    attached: Vec<(ClientSettings, Weak<Mutex<Self>>)>,
}

/// What sends requests over a certain network.
#[derive(Clone)]
struct Sender {
    network: Arc<Network>,
    agent: Agent,
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
            state.current = None;
        }
    }

    pub(super) fn use_proxy(&self, proxy: &Proxy) {
        let mut state = lock(&self.state);
        if self.proxy.is_none() && state.client.proxy() != proxy {
            let tls = Arc::clone(state.client.shared_tls());
            state.client = ClientSettings::sharing(tls, proxy.clone());
            state.current = None;
        }
    }

    /// Returns what TLS connections are made with.
    #[cfg(all(test, tls))]
    pub(super) fn shared_tls(&self) -> Result<Arc<SharedTls>, Error> {
        self.sender().map(|sender| Arc::clone(&sender.network.tls))
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

    /// Fails if the settings of TLS or the proxy cannot be used.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.sender().map(drop)
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
        check_scheme(request.uri())?;
        let sender = self.sender()?;
        // Only now, since a later interruption shuts this agent down.
        if is_interrupted() {
            return Err(interrupted());
        }
        match self.exchange(&sender, request, place) {
            // Perhaps without its text.
            Ok(refusal) if !is_success(refusal.status) && is_interrupted() => Err(interrupted()),
            Ok(response) => Ok(response),
            // Whatever the TLS library made of it.
            Err(error) if is_interrupted() => Err(interrupted().caused_by(error).explained()),
            Err(error) => {
                let network = &sender.network;
                Err(network.tls.explain(error, network.name_for(request.uri())))
            }
        }
    }

    fn exchange(
        &self,
        sender: &Sender,
        request: &Request<Option<String>>,
        place: &str,
    ) -> Result<HttpResponse, Error> {
        let (parts, body) = request.clone().into_parts();
        let response = match body {
            Some(body) => sender.agent.run(Request::from_parts(parts, body)),
            None => sender.agent.run(Request::from_parts(parts, ())),
        };
        let failed = |error| failed(place, sender.network.proxy_for(request.uri()), error);
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

    /// Fails if the settings of TLS or the proxy cannot be used.
    fn sender(&self) -> Result<Sender, Error> {
        let mut state = lock(&self.state);
        if let Some(sender) = &state.current {
            return Ok(sender.clone());
        }
        let network = Arc::new(self.network(&state.client));
        network.proxy.check()?;
        network.tls.check()?;
        let agent = connector::agent(self.config(), Arc::clone(&network));
        let sender = Sender { network, agent };
        state.current = Some(sender.clone());
        // The client logs its own warning.
        let own = self.tls.as_ref().filter(|_| !self.warned.swap(true, Ordering::Relaxed));
        // The logger is the user's, and may interrupt.
        drop(state);
        if let Some(tls) = own {
            tls.settings().warn_of_dangers("an authorizer");
        }
        Ok(sender)
    }

    fn network(&self, client: &ClientSettings) -> Network {
        Network {
            tls: Arc::clone(self.tls.as_ref().unwrap_or(client.shared_tls())),
            // The client's is that of its server, which is another host.
            server_name: self.tls.as_ref().and_then(|tls| tls.settings().name().map(str::to_owned)),
            proxy: self.proxy.as_ref().unwrap_or(client.proxy()).clone(),
            resolver: Arc::clone(&self.resolver),
        }
    }

    fn config(&self) -> Config {
        Agent::config_builder()
            .timeout_global(Some(self.timeout.min(MAX_TIMEOUT)))
            .http_status_as_error(false)
            // Redirects are returned as they are.
            .max_redirects(0)
            .max_redirects_will_error(false)
            // By default the environment's is used. The connector has the right one.
            .proxy(None)
            .user_agent(concat!("pusher-channels/", env!("CARGO_PKG_VERSION")))
            .accept_encoding(AutoHeaderValue::None)
            .max_idle_age(MAX_IDLE)
            .build()
    }
}

/// Interrupts these agents and those that are attached to them, one lock at a time.
fn interrupt(state: &Mutex<State>) {
    let (current, attached) = {
        let mut state = lock(state);
        state.interruptions += 1;
        let attached = state.attached.iter().filter_map(|(_, attached)| attached.upgrade());
        let attached: Vec<_> = attached.collect();
        (state.current.take(), attached)
    };
    if let Some(Sender { agent, .. }) = current {
        agent.shutdown();
    }
    attached.iter().for_each(|state| interrupt(state));
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fails for `https` if this build has no TLS.
pub(super) fn check_scheme(uri: &Uri) -> Result<(), Error> {
    if is_secure(uri) && !cfg!(tls) {
        let message = format!("this build has no TLS for `https://`; {ENABLE_TLS}");
        return Err(Error::message(ErrorKind::Config, message));
    }
    Ok(())
}
