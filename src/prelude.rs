//! What a program usually needs: `use pusher_channels::prelude::*;`

pub use crate::{
    Binding, Channel, ChannelStatus, Client, Error, ErrorKind, Event, Options, PublicChannel,
    Queue, Reconnect, State, StateChange,
};
