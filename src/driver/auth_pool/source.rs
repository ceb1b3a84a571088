//! Authorizers and authenticators as one type. They run the user's code, so no lock may be held.

use std::sync::Arc;
use std::time::Duration;

use super::shares::{EndpointId, endpoint_id};
use crate::model::event::ChannelName;
use crate::util::guard::{Owned, guarded};
use crate::{
    Auth, AuthRequest, Authorizer, ClientSettings, Error, ErrorKind, UserAuth, UserAuthRequest,
    UserAuthenticator,
};

/// An authorizer or authenticator of a client, and its properties. Clones are the same source.
#[derive(Clone)]
pub(crate) struct AuthSource(Arc<Source>);

struct Source {
    authorizer: Arc<dyn Authorizer>,
    /// The user's authorizer or authenticator. It is kept, since its address may identify the endpoint, and dropped
    /// under its own guard.
    _given: Owned<Arc<dyn Authorizer>>,
    window: Option<Duration>,
    endpoint: EndpointId,
}

impl AuthSource {
    pub(crate) fn new(given: Arc<dyn Authorizer>, client: &ClientSettings) -> Self {
        let endpoint = endpoint_id(given.endpoint(), Arc::as_ptr(&given).cast());
        let authorizer = given.attach(client).unwrap_or_else(|| Arc::clone(&given));
        let window = authorizer.batch_window();
        Self(Arc::new(Source { authorizer, _given: Owned::new(given), window, endpoint }))
    }

    pub(crate) fn of_user(given: Arc<dyn UserAuthenticator>, client: &ClientSettings) -> Self {
        Self::new(Arc::new(OfUser(given)), client)
    }

    pub(in crate::driver) fn interrupt(&self) {
        self.0.authorizer.interrupt();
    }

    pub(super) fn endpoint(&self) -> EndpointId {
        self.0.endpoint
    }

    /// For how long its requests are collected.
    pub(super) fn window(&self) -> Option<Duration> {
        self.0.window
    }

    pub(super) fn address(&self) -> *const () {
        Arc::as_ptr(&self.0).cast()
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Calls the user's code, which blocks. Returns one response for each request.
    pub(super) fn authorize(&self, requests: &[Request]) -> Vec<Result<Auth, Error>> {
        let failed = |what| Err(Error::message(ErrorKind::Auth, what));
        let responses = guarded(|| {
            let requests: Vec<_> = requests.iter().map(Request::to_authorizer).collect();
            match (self.0.window, requests.as_slice()) {
                (None, [request]) => vec![self.0.authorizer.authorize(request)],
                (_, requests) => self.0.authorizer.authorize_many(requests),
            }
        });
        let missing = match responses {
            Some(_) => "the authorizer's authorize_many returned too few responses",
            None if requests.iter().any(Request::is_of_user) => "the user authenticator panicked",
            None => "the authorizer panicked",
        };
        let mut responses = responses.unwrap_or_default();
        responses.resize_with(requests.len(), || failed(missing));
        responses
    }
}

/// Adapts an authenticator: `channel_data` carries the user data.
struct OfUser(Arc<dyn UserAuthenticator>);

impl Authorizer for OfUser {
    fn authorize(&self, request: &AuthRequest) -> Result<Auth, Error> {
        let request = UserAuthRequest::attempt_number(request.socket_id(), request.attempt());
        let user = self.0.authenticate(&request)?;
        Ok(Auth::new(user.auth).channel_data(user.user_data))
    }

    fn endpoint(&self) -> Option<String> {
        self.0.endpoint()
    }

    fn attach(&self, client: &ClientSettings) -> Option<Arc<dyn Authorizer>> {
        Some(Arc::new(Self(self.0.attach(client)?)))
    }

    fn interrupt(&self) {
        self.0.interrupt();
    }
}

/// Reverses what [`OfUser`] does.
pub(super) fn user_auth(auth: Auth) -> UserAuth {
    UserAuth::new(auth.auth, auth.channel_data.unwrap_or_default())
}

/// One request for authorization.
pub(in crate::driver) struct Request {
    /// Increases with each request.
    pub(in crate::driver) id: u64,
    pub(in crate::driver) subject: Subject,
    pub(in crate::driver) socket_id: String,
    pub(in crate::driver) attempt: u32,
}

/// What a request is about.
pub(in crate::driver) enum Subject {
    Channel(ChannelName),
    User,
}

impl Request {
    fn is_of_user(&self) -> bool {
        matches!(self.subject, Subject::User)
    }

    fn to_authorizer(&self) -> AuthRequest {
        let channel = match &self.subject {
            Subject::Channel(name) => name,
            Subject::User => "",
        };
        AuthRequest::attempt_number(&self.socket_id, channel, self.attempt)
    }
}
