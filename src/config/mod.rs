//! The settings that a program passes to a client.

mod env;
pub(crate) mod headers;
pub(crate) mod options;
pub(crate) mod outbox;
pub(crate) mod proxy;
pub(crate) mod reconnect;
pub(crate) mod tls;

pub use options::{Metadata, Options};
pub use outbox::Outbox;
pub use proxy::Proxy;
pub use reconnect::{Attempt, Reconnect};
pub use tls::{Tls, TlsVersion};
