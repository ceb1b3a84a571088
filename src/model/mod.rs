//! The values that the user receives: events, members, users, states.

pub(crate) mod event;
pub(crate) mod members;
mod state;
mod stats;
mod user;

pub use event::Event;
pub use members::{Member, Members};
pub use state::{ChannelStatus, Gap, State, StateChange};
pub use stats::Stats;
pub use user::{UserData, WatchlistEvent};
