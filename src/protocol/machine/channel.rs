//! One channel: what the user wants, apart from what the server has confirmed.

use std::time::Duration;

#[cfg(feature = "encrypted")]
use super::decrypt_queue::DecryptQueue;
use super::window::Request;
use crate::model::members::Members;
use crate::protocol::Now;
use crate::wire::ChannelKind;
use crate::{Auth, Error};

#[derive(Debug, Default)]
pub(super) struct Channel {
    /// What the user wants, whatever the status is.
    pub(super) wanted: bool,
    pub(super) kind: ChannelKind,
    pub(super) status: Status,
    /// `true` if a subscribe frame was sent for it on the present connection.
    pub(super) was_sent: bool,
    /// The place in the order in which subscriptions are repeated: that of the calls of `subscribe`.
    pub(super) order: u64,
    pub(super) count: Option<u64>,
    /// The last failure on the present connection.
    pub(super) last_failure: Option<Error>,
    /// When the last connection on which it was subscribed received its last frame.
    pub(super) lost_at: Option<Now>,
    /// On presence channels, the members, and the id of the client's own user.
    pub(super) members: Members,
    pub(super) me: Option<String>,
    #[cfg(feature = "encrypted")]
    pub(super) decrypt_queue: DecryptQueue,
    /// The request for a new key of the encrypted channel.
    #[cfg(feature = "encrypted")]
    pub(super) refresh: Option<PendingRequest>,
}

/// A request to an authorizer or the authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PendingRequest {
    pub(super) request_id: u64,
    pub(super) attempt: u32,
    /// When the response is due: much later before the call begins.
    pub(super) deadline: Duration,
}

/// The status of the subscription on the present connection.
#[derive(Debug, Default)]
pub(super) enum Status {
    /// Nothing has been done.
    #[default]
    Idle,
    Authorizing(PendingRequest),
    /// The authorizer is called again at that time, as this attempt.
    Postponed {
        until: Duration,
        attempt: u32,
    },
    /// The authorizer leaves it to the signed-in user, who is waited for until then.
    AwaitingUser {
        until: Duration,
        auth: Box<Auth>,
    },
    /// The subscribe frame waits, under this number, until the server has responded to others.
    Waiting(u64),
    /// The subscribe frame is sent.
    Sent(Sent),
    Subscribed,
    Failed(Error),
}

/// A subscribe frame without a response.
#[derive(Debug)]
pub(super) struct Sent {
    /// When the response is due; earlier if there may have been one.
    pub(super) deadline: Duration,
    /// The error that may have been the response.
    pub(super) suspect: Option<Error>,
    pub(super) bytes: usize,
    pub(super) keyless: bool,
    /// On presence channels the frame, since it may have to be sent a second time.
    pub(super) again: Option<Request>,
}

impl Sent {
    pub(super) fn new(request: &Request, deadline: Duration) -> Self {
        let (bytes, keyless) = (request.frame.len(), request.keyless);
        Self { deadline, suspect: None, bytes, keyless, again: None }
    }

    /// The same, with the frame.
    pub(super) fn keeping(self, request: Request) -> Self {
        Self { again: Some(request), ..self }
    }
}

impl Channel {
    pub(super) fn new(name: &str) -> Self {
        Self { kind: ChannelKind::of(name), ..Self::default() }
    }

    /// Nothing of the present connection counts any more.
    pub(super) fn reset(&mut self) -> Status {
        self.was_sent = false;
        self.count = None;
        self.last_failure = None;
        self.members = Members::default();
        #[cfg(feature = "encrypted")]
        {
            self.decrypt_queue.reset();
            self.refresh = None;
        }
        std::mem::take(&mut self.status)
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let status = match &self.status {
            Status::Authorizing(request) => Some(request.deadline),
            Status::Postponed { until: at, .. } | Status::AwaitingUser { until: at, .. } => {
                Some(*at)
            }
            Status::Sent(sent) => Some(sent.deadline),
            Status::Idle | Status::Waiting(_) | Status::Subscribed | Status::Failed(_) => None,
        };
        #[cfg(feature = "encrypted")]
        let status = {
            let refresh = self.refresh.map(|request| request.deadline);
            [status, refresh, self.decrypt_queue.deadline()].into_iter().flatten().min()
        };
        status
    }
}
