//! Re-exports the types that most programs use: `use pusher_channels::prelude::*;`

#[cfg(feature = "encrypted")]
pub use crate::PrivateEncryptedChannel;
pub use crate::{
    AnyChannel, Auth, AuthRequest, Authorizer, Binding, Channel, ChannelStatus, Client, Error,
    ErrorKind, Event, HttpAuthorizer, HttpUserAuthenticator, Member, Members, Options, Outbox,
    PresenceChannel, PrivateChannel, PublicChannel, Queue, Reconnect, SecretAuthorizer, State,
    StateChange, User, UserAuth, UserAuthRequest, UserAuthenticator, UserData, WatchlistEvent,
};
