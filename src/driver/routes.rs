//! Which bindings get what, and handing it to them.

use std::collections::HashMap;
use std::sync::Arc;

use super::stats::Tally;
use crate::binding::{Binding, Counter, Measured, Queue, Sink};
use crate::event::ChannelName;
use crate::protocol::{ChannelNotice, Notice, USER_CHANNEL_PREFIX, UserNotice};
use crate::{Error, Event, Gap, Member, StateChange, UserData, WatchlistEvent};

/// The sinks of one place. It is copied on change, so that delivery needs no lock.
#[derive(Debug)]
pub(crate) struct List<T>(Option<Snapshot<T>>);

type Snapshot<T> = Arc<[Arc<Sink<T>>]>;

/// The bindings to events, of one channel or of the client.
#[derive(Debug, Default)]
struct Events {
    by_name: HashMap<Box<str>, List<Event>>,
    all: List<Event>,
}

/// The bindings of one channel.
#[derive(Debug, Default)]
struct ChannelRoutes {
    events: Events,
    errors: List<Error>,
    counts: List<u64>,
    gaps: List<Gap>,
    added: List<Member>,
    removed: List<Member>,
    undecryptable: List<Error>,
    /// How many handles of the user's name the channel.
    handles: usize,
}

/// The bindings of the signed-in user.
#[derive(Debug, Default)]
struct UserRoutes {
    events: Events,
    watchlist: List<WatchlistEvent>,
    signed_in: List<UserData>,
    errors: List<Error>,
}

#[derive(Debug, Default)]
pub(crate) struct Routes {
    events: Events,
    states: List<StateChange>,
    connected: List<String>,
    errors: List<Error>,
    channels: HashMap<ChannelName, ChannelRoutes>,
    user: UserRoutes,
    closed: bool,
}

/// Where a binding of `T` hangs.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// Of the client: its one list of that type, or all events.
    Client,
    /// Events of one name, on any channel.
    ClientEvent(Box<str>),
    /// Of a channel: its one list of that type, or all events.
    Channel(ChannelName),
    ChannelEvent(ChannelName, Box<str>),
    /// Of a channel: events that cannot be decrypted.
    #[cfg_attr(
        not(feature = "encrypted"),
        expect(dead_code, reason = "without the feature nothing is decrypted")
    )]
    Undecryptable(ChannelName),
    /// Of a channel: members that have left.
    Removed(ChannelName),
    /// Of the user: their one list of that type, or all events.
    User,
    UserEvent(Box<str>),
}

/// A type that can be bound to.
pub(crate) trait Routed: Measured + Sized + Send + 'static {
    /// The list at `place`, made if it is missing. `None` where there is none for this type.
    fn list<'a>(routes: &'a mut Routes, place: &Place) -> Option<&'a mut List<Self>>;
}

impl Routed for Event {
    fn list<'a>(routes: &'a mut Routes, place: &Place) -> Option<&'a mut List<Self>> {
        Some(match place {
            Place::Client => &mut routes.events.all,
            Place::ClientEvent(name) => routes.events.by_name.entry(name.clone()).or_default(),
            Place::Channel(channel) => &mut routes.channel(channel).events.all,
            Place::ChannelEvent(channel, name) => {
                routes.channel(channel).events.by_name.entry(name.clone()).or_default()
            }
            Place::User => &mut routes.user.events.all,
            Place::UserEvent(name) => routes.user.events.by_name.entry(name.clone()).or_default(),
            Place::Undecryptable(_) | Place::Removed(_) => return None,
        })
    }
}

impl Routed for Error {
    fn list<'a>(routes: &'a mut Routes, place: &Place) -> Option<&'a mut List<Self>> {
        match place {
            Place::Client => Some(&mut routes.errors),
            Place::Channel(channel) => Some(&mut routes.channel(channel).errors),
            Place::Undecryptable(channel) => Some(&mut routes.channel(channel).undecryptable),
            Place::User => Some(&mut routes.user.errors),
            Place::ClientEvent(_)
            | Place::ChannelEvent(..)
            | Place::UserEvent(_)
            | Place::Removed(_) => None,
        }
    }
}

impl Routed for Member {
    fn list<'a>(routes: &'a mut Routes, place: &Place) -> Option<&'a mut List<Self>> {
        match place {
            Place::Channel(channel) => Some(&mut routes.channel(channel).added),
            Place::Removed(channel) => Some(&mut routes.channel(channel).removed),
            _ => None,
        }
    }
}

/// Types that hang in one place of the client only.
macro_rules! routed_on_client {
    ($type:ty, $($field:ident).+) => {
        impl Routed for $type {
            fn list<'a>(routes: &'a mut Routes, _: &Place) -> Option<&'a mut List<Self>> {
                Some(&mut routes.$($field).+)
            }
        }
    };
}
routed_on_client!(StateChange, states);
routed_on_client!(String, connected);
routed_on_client!(WatchlistEvent, user.watchlist);
routed_on_client!(UserData, user.signed_in);

/// Types that hang in one place of a channel only.
macro_rules! routed_on_channel {
    ($type:ty, $field:ident) => {
        impl Routed for $type {
            fn list<'a>(routes: &'a mut Routes, place: &Place) -> Option<&'a mut List<Self>> {
                match place {
                    Place::Channel(channel) => Some(&mut routes.channel(channel).$field),
                    _ => None,
                }
            }
        }
    };
}
routed_on_channel!(u64, counts);
routed_on_channel!(Gap, gaps);

/// What each type takes in a queue.
macro_rules! measured {
    ($($type:ty: |$value:pat_param| $bytes:expr),+ $(,)?) => {$(
        impl Measured for $type {
            fn bytes(&self) -> usize {
                let $value = self;
                $bytes
            }
        }
    )+};
}
measured! {
    Event: |event| event.size(),
    Error: |error| error.size(),
    StateChange: |change| size_of::<StateChange>() + change.cause.as_ref().map_or(0, Error::size),
    String: |text| size_of::<String>() + text.len(),
    Member: |member| member.size(),
    UserData: |user| size_of::<UserData>() + user.id().len() + user.data().len(),
    WatchlistEvent: |event| event.size(),
    u64: |_| size_of::<u64>(),
    Gap: |_| size_of::<Gap>(),
}

impl Routes {
    fn channel(&mut self, name: &ChannelName) -> &mut ChannelRoutes {
        self.channels.entry(name.clone()).or_default()
    }

    /// Adds a binding. On a closed client it is disconnected from the start.
    pub(super) fn bind<T: Routed>(
        &mut self,
        place: &Place,
        queue: Queue,
        unbind: impl FnOnce(&Arc<Counter>) + Send + Sync + 'static,
    ) -> Binding<T> {
        let (binding, sink) = Binding::new(queue, unbind);
        if !self.closed {
            if let Some(list) = T::list(self, place) {
                list.add(sink);
            }
        }
        binding
    }

    /// Removes a binding. Gives the channel that nobody may be using any more.
    pub(super) fn unbind<T: Routed>(
        &mut self,
        place: &Place,
        counter: &Arc<Counter>,
    ) -> Option<ChannelName> {
        if self.closed {
            return None;
        }
        let left = T::list(self, place)?.remove(counter);
        match place {
            Place::Client | Place::User => None,
            Place::ClientEvent(name) => {
                if !left {
                    self.events.by_name.remove(name);
                }
                None
            }
            Place::UserEvent(name) => {
                if !left {
                    self.user.events.by_name.remove(name);
                }
                None
            }
            Place::Channel(channel) | Place::Undecryptable(channel) | Place::Removed(channel) => {
                self.prune(channel)
            }
            Place::ChannelEvent(channel, name) => {
                if !left {
                    self.channel(channel).events.by_name.remove(name);
                }
                self.prune(channel)
            }
        }
    }

    pub(super) fn add_handle(&mut self, channel: &ChannelName) {
        self.channel(channel).handles += 1;
    }

    /// A handle is gone. Gives the channel that nobody may be using any more.
    pub(super) fn remove_handle(&mut self, channel: &ChannelName) -> Option<ChannelName> {
        let routes = self.channels.get_mut(channel)?;
        routes.handles = routes.handles.saturating_sub(1);
        self.prune(channel)
    }

    fn prune(&mut self, channel: &ChannelName) -> Option<ChannelName> {
        if self.channels.get(channel)?.is_unused() {
            self.channels.remove_entry(channel).map(|(name, _)| name)
        } else {
            None
        }
    }

    /// Disconnects every binding, and every later one.
    pub(super) fn close(&mut self) {
        *self = Self { closed: true, ..Self::default() };
    }

    /// The bindings to the events of a channel, or of the user, to whom servers send by a channel.
    fn events_of(&self, channel: &str) -> Option<&Events> {
        match self.channels.get(channel) {
            None if channel.starts_with(USER_CHANNEL_PREFIX) => Some(&self.user.events),
            routes => routes.map(|routes| &routes.events),
        }
    }

    /// Finds who gets a notice.
    pub(super) fn route(&self, notice: Notice) -> Delivery {
        match notice {
            Notice::State(change) => Delivery::State(change, self.states.snapshot()),
            Notice::Connected(socket_id) => {
                Delivery::Connected(socket_id, self.connected.snapshot())
            }
            Notice::Error(error) => Delivery::Error(error, self.errors.snapshot()),
            Notice::Event(event) => {
                let [named, all] = self.events.matching(&event);
                let events = event.channel().and_then(|name| self.events_of(name));
                let [channel_named, channel_all] =
                    events.map(|events| events.matching(&event)).unwrap_or_default();
                Delivery::Event(event, [channel_named, channel_all, named, all])
            }
            Notice::User(notice) => match notice {
                UserNotice::SignedIn(user) => {
                    Delivery::SignedIn(user, self.user.signed_in.snapshot())
                }
                UserNotice::Failed(error) => Delivery::Error(error, self.user.errors.snapshot()),
                UserNotice::Watchlist(event) => {
                    Delivery::Watchlist(event, self.user.watchlist.snapshot())
                }
            },
            Notice::Channel(name, notice) => {
                let routes = self.channels.get(&name);
                match notice {
                    ChannelNotice::MemberAdded(member) => {
                        Delivery::Member(member, routes.and_then(|routes| routes.added.snapshot()))
                    }
                    ChannelNotice::MemberRemoved(member) => {
                        let sinks = routes.and_then(|routes| routes.removed.snapshot());
                        Delivery::Member(member, sinks)
                    }
                    #[cfg(feature = "encrypted")]
                    ChannelNotice::Undecryptable(error) => {
                        let sinks = routes.and_then(|routes| routes.undecryptable.snapshot());
                        Delivery::Error(error, sinks)
                    }
                    ChannelNotice::Failed(error) => {
                        Delivery::Error(error, routes.and_then(|routes| routes.errors.snapshot()))
                    }
                    ChannelNotice::Count(count) => {
                        Delivery::Count(count, routes.and_then(|routes| routes.counts.snapshot()))
                    }
                    ChannelNotice::Resumed(gap) => {
                        Delivery::Gap(gap, routes.and_then(|routes| routes.gaps.snapshot()))
                    }
                }
            }
        }
    }
}

impl Events {
    fn matching(&self, event: &Event) -> [Option<Snapshot<Event>>; 2] {
        let named = match self.by_name.is_empty() {
            true => None,
            false => self.by_name.get(event.name()).and_then(List::snapshot),
        };
        [named, self.all.snapshot()]
    }

    fn is_empty(&self) -> bool {
        self.by_name.is_empty() && self.all.0.is_none()
    }
}

impl ChannelRoutes {
    fn is_unused(&self) -> bool {
        self.handles == 0
            && self.events.is_empty()
            && self.errors.0.is_none()
            && self.counts.0.is_none()
            && self.gaps.0.is_none()
            && self.added.0.is_none()
            && self.removed.0.is_none()
            && self.undecryptable.0.is_none()
    }
}

impl<T> List<T> {
    fn add(&mut self, sink: Sink<T>) {
        let sinks = self.0.iter().flat_map(|sinks| sinks.iter().cloned());
        self.0 = Some(sinks.chain([Arc::new(sink)]).collect());
    }

    /// Tells whether any are left.
    fn remove(&mut self, counter: &Arc<Counter>) -> bool {
        let sinks = self.0.take().into_iter().flat_map(|sinks| sinks.to_vec());
        let left: Vec<_> = sinks.filter(|sink| !sink.belongs_to(counter)).collect();
        self.0 = (!left.is_empty()).then(|| left.into());
        self.0.is_some()
    }

    fn snapshot(&self) -> Option<Snapshot<T>> {
        self.0.clone()
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(None)
    }
}

/// News and the bindings that get it.
pub(super) enum Delivery {
    State(StateChange, Option<Snapshot<StateChange>>),
    Connected(String, Option<Snapshot<String>>),
    Error(Error, Option<Snapshot<Error>>),
    Event(Event, [Option<Snapshot<Event>>; 4]),
    Count(u64, Option<Snapshot<u64>>),
    Gap(Gap, Option<Snapshot<Gap>>),
    Member(Member, Option<Snapshot<Member>>),
    SignedIn(UserData, Option<Snapshot<UserData>>),
    Watchlist(WatchlistEvent, Option<Snapshot<WatchlistEvent>>),
}

impl Delivery {
    /// Queues it everywhere, without waiting. Gives the name of what has begun to overflow, if anything has.
    pub(super) fn deliver(self, tally: &mut Tally) -> Option<String> {
        let mut other = Tally::default();
        let (overflowed, what) = match self {
            Self::State(change, sinks) => (other.hand(&change, sinks), "state changes"),
            Self::Connected(socket_id, sinks) => (other.hand(&socket_id, sinks), "connections"),
            Self::Error(error, sinks) => (other.hand(&error, sinks), "errors"),
            Self::Count(count, sinks) => (other.hand(&count, sinks), "subscription counts"),
            Self::Gap(gap, sinks) => (other.hand(&gap, sinks), "gaps"),
            Self::Member(member, sinks) => (other.hand(&member, sinks), "members"),
            Self::SignedIn(user, sinks) => (other.hand(&user, sinks), "sign-ins"),
            Self::Watchlist(event, sinks) => (other.hand(&event, sinks), "watchlist events"),
            Self::Event(event, lists) => {
                let overflowed = lists
                    .into_iter()
                    .fold(false, |overflowed, sinks| tally.hand(&event, sinks) | overflowed);
                return overflowed.then(|| format!("{:.100}", event.name()));
            }
        };
        overflowed.then(|| what.to_owned())
    }
}

impl Tally {
    /// Tells whether a queue has begun to overflow.
    fn hand<T: Clone + Measured>(&mut self, value: &T, sinks: Option<Snapshot<T>>) -> bool {
        let Some(sinks) = sinks else {
            return false;
        };
        let size = value.bytes();
        let mut overflowed = false;
        for sink in sinks.iter() {
            let pushed = sink.push(value.clone(), size);
            self.queued += u64::from(pushed.queued);
            self.dropped += pushed.dropped;
            overflowed |= pushed.began_to_overflow;
        }
        overflowed
    }
}
