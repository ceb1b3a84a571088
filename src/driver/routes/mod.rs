//! Routes notifications to the bindings. It knows no thread, lock or machine.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use crate::binding::{Counter, Measured, Pushed, Sink};
use crate::model::event::ChannelName;
use crate::protocol::{ChannelNotification, Notification, USER_CHANNEL_PREFIX, UserNotification};
use crate::util::give_back::GiveBack;
use crate::{Error, Event, Gap, Member, StateChange, UserData, WatchlistEvent};

/// The sinks of one kind of binding.
#[derive(Debug)]
pub(crate) struct List<T>(Vec<Sink<T>>);

/// The bindings to events, of one channel, of the user or of the client.
#[derive(Debug, Default)]
pub(crate) struct Events {
    by_name: HashMap<Box<str>, List<Event>>,
    pub(crate) all: List<Event>,
}

/// The bindings of the client.
#[derive(Debug, Default)]
pub(crate) struct ClientRoutes {
    pub(crate) events: Events,
    pub(crate) states: List<StateChange>,
    pub(crate) connected: List<String>,
    pub(crate) errors: List<Error>,
}

/// The bindings of one channel.
#[derive(Debug, Default)]
pub(crate) struct ChannelRoutes {
    pub(crate) events: Events,
    pub(crate) errors: List<Error>,
    pub(crate) counts: List<u64>,
    pub(crate) gaps: List<Gap>,
    pub(crate) added: List<Member>,
    pub(crate) removed: List<Member>,
    pub(crate) undecryptable: List<Error>,
    /// How many handles the user holds.
    handles: usize,
}

/// The bindings of the signed-in user.
#[derive(Debug, Default)]
pub(crate) struct UserRoutes {
    pub(crate) events: Events,
    pub(crate) watchlist: List<WatchlistEvent>,
    pub(crate) signed_in: List<UserData>,
    pub(crate) errors: List<Error>,
}

#[derive(Debug, Default)]
pub(super) struct Routes {
    client: ClientRoutes,
    channels: HashMap<ChannelName, ChannelRoutes>,
    user: UserRoutes,
    closed: bool,
    /// Events of one name on one channel, to be queued together.
    run: Vec<Event>,
}

/// Finds a list of a channel, see [`Selector`].
pub(crate) type ChannelList<T> = Find<ChannelRoutes, T>;

/// Finds a list of its owner: the one for this event name, or one that ignores names.
type Find<O, T> = for<'a> fn(&'a mut O, &str) -> &'a mut List<T>;

/// Selects a list: its owner, and which of the owner's lists.
#[derive(Clone)]
pub(crate) enum Selector<T> {
    Client(Find<ClientRoutes, T>),
    Channel(ChannelName, Find<ChannelRoutes, T>),
    User(Find<UserRoutes, T>),
}

/// What one input delivered, to be counted and logged.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    /// How many events were queued, and how many dropped.
    pub(super) queued: u64,
    pub(super) dropped: u64,
    /// What has begun to overflow.
    pub(super) overflowing: Vec<String>,
}

/// What a value of each type takes in a queue.
macro_rules! measured {
    ($($type:ty, $plural:literal: |$value:pat_param| $bytes:expr),+ $(,)?) => {$(
        impl Measured for $type {
            const PLURAL: &str = $plural;

            fn bytes(&self) -> usize {
                let $value = self;
                $bytes
            }
        }
    )+};
}
measured! {
    Event, "events": |event| event.size(),
    String, "connections": |text| size_of::<String>() + text.len(),
    Member, "members": |member| member.size(),
    UserData, "sign-ins": |user| size_of::<UserData>() + user.id().len() + user.as_str().len(),
    WatchlistEvent, "watchlist events": |event| event.size(),
    u64, "subscription counts": |_| size_of::<u64>(),
    Gap, "gaps": |_| size_of::<Gap>(),
    Error, "errors": |error| error.size(),
    StateChange, "state changes": |change| {
        size_of::<StateChange>() + change.cause.as_ref().map_or(0, Error::size)
    },
}

impl Routes {
    fn channel(&mut self, name: &ChannelName) -> &mut ChannelRoutes {
        self.channels.entry(name.clone()).or_default()
    }

    fn list<T>(&mut self, selector: &Selector<T>, event: &str) -> &mut List<T> {
        match selector {
            Selector::Client(find) => find(&mut self.client, event),
            Selector::Channel(name, find) => find(self.channel(name), event),
            Selector::User(find) => find(&mut self.user, event),
        }
    }

    /// Adds a binding. On a closed client it is disconnected from the start.
    pub(super) fn bind<T>(&mut self, selector: &Selector<T>, event: &str, sink: Sink<T>) {
        if !self.closed {
            self.list(selector, event).0.push(sink);
        }
    }

    /// Removes a binding. Returns the channel that has become unused, if any.
    pub(super) fn unbind<T>(
        &mut self,
        selector: &Selector<T>,
        event: &str,
        counter: &Arc<Counter>,
    ) -> Option<ChannelName> {
        if self.closed {
            return None;
        }
        self.list(selector, event).0.retain(|sink| !sink.belongs_to(counter));
        match selector {
            Selector::Client(_) => self.client.events.prune(event),
            Selector::User(_) => self.user.events.prune(event),
            Selector::Channel(name, _) => {
                self.channel(name).events.prune(event);
                return self.prune(name);
            }
        }
        None
    }

    pub(super) fn add_handle(&mut self, channel: &ChannelName) {
        self.channel(channel).handles += 1;
    }

    /// Counts a dropped handle. Returns the channel that has become unused, if any.
    pub(super) fn remove_handle(&mut self, channel: &ChannelName) -> Option<ChannelName> {
        let routes = self.channels.get_mut(channel)?;
        routes.handles = routes.handles.saturating_sub(1);
        self.prune(channel)
    }

    fn prune(&mut self, channel: &ChannelName) -> Option<ChannelName> {
        if self.channels.get_mut(channel)?.is_unused() {
            self.channels.remove_entry(channel).map(|(name, _)| name)
        } else {
            None
        }
    }

    /// Disconnects every binding, and every later one.
    pub(super) fn close(&mut self) {
        *self = Self { closed: true, ..Self::default() };
    }

    /// Queues a notification for its bindings, without waiting. Events are held until an event with another name or
    /// channel, another notification or [`Self::flush`].
    pub(super) fn deliver(&mut self, notification: Notification, delivered: &mut Delivered) {
        if let Notification::Event(event) = notification {
            if self.run.last().is_some_and(|last| !is_same(last, &event)) {
                self.flush(delivered);
            }
            return self.run.push(event);
        }
        // All bindings get all notifications in one order.
        self.flush(delivered);
        match notification {
            Notification::Event(_) => {}
            Notification::State(change) => delivered.hand(change, &mut self.client.states),
            Notification::Connected(socket_id) => {
                delivered.hand(socket_id, &mut self.client.connected)
            }
            Notification::Error(error) => delivered.hand(error, &mut self.client.errors),
            Notification::User(notification) => match notification {
                UserNotification::SignedIn(user) => delivered.hand(user, &mut self.user.signed_in),
                UserNotification::Failed(error) => delivered.hand(error, &mut self.user.errors),
                UserNotification::Watchlist(event) => {
                    delivered.hand(event, &mut self.user.watchlist)
                }
            },
            Notification::Channel(name, notification) => {
                self.deliver_on(&name, notification, delivered)
            }
        }
    }

    fn deliver_on(
        &mut self,
        name: &str,
        notification: ChannelNotification,
        delivered: &mut Delivered,
    ) {
        let Some(routes) = self.channels.get_mut(name) else {
            return;
        };
        match notification {
            ChannelNotification::Failed(error) => delivered.hand(error, &mut routes.errors),
            ChannelNotification::Count(count) => delivered.hand(count, &mut routes.counts),
            ChannelNotification::Resumed(gap) => delivered.hand(gap, &mut routes.gaps),
            ChannelNotification::MemberAdded(member) => delivered.hand(member, &mut routes.added),
            ChannelNotification::MemberRemoved(member) => {
                delivered.hand(member, &mut routes.removed)
            }
            #[cfg(feature = "encrypted")]
            ChannelNotification::Undecryptable(error) => {
                delivered.hand(error, &mut routes.undecryptable);
            }
        }
    }

    /// Queues the events that are held.
    pub(super) fn flush(&mut self, delivered: &mut Delivered) {
        let Self { client, channels, user, run, .. } = self;
        let Some(first) = run.first().cloned() else {
            return;
        };
        // Servers send a user's events on a channel.
        let channel = first.channel().and_then(|name| match channels.get_mut(name) {
            None if name.starts_with(USER_CHANNEL_PREFIX) => Some(&mut user.events),
            routes => routes.map(|routes| &mut routes.events),
        });
        let events = channel.into_iter().chain([&mut client.events]);
        let mut sinks = events.flat_map(|events| events.matching(first.name())).peekable();
        let mut excerpts = None;
        while let Some(sink) = sinks.next() {
            // The last one gets the events themselves: counting one copy more and one less is not free.
            let pushed = match sinks.peek() {
                Some(_) => sink.push_by_pace(|is_slow| {
                    by_pace(is_slow, run, &mut excerpts).iter().cloned().map(sized)
                }),
                None => sink.push_by_pace(|is_slow| {
                    by_pace(is_slow, run, &mut excerpts).drain(..).map(sized)
                }),
            };
            delivered.add(&first, &pushed);
        }
        run.clear();
    }
}

/// Returns the events to queue for a consumer. Slow consumers get excerpts, made once for all of them.
fn by_pace<'a>(
    is_slow: bool,
    run: &'a mut Vec<Event>,
    excerpts: &'a mut Option<Option<Vec<Event>>>,
) -> &'a mut Vec<Event> {
    if !is_slow {
        return run;
    }
    excerpts.get_or_insert_with(|| Event::excerpts(run)).as_mut().unwrap_or(run)
}

fn sized(event: Event) -> (Event, usize) {
    let size = event.size();
    (event, size)
}

/// Returns `true` if the same bindings get both events.
fn is_same(one: &Event, other: &Event) -> bool {
    one.name() == other.name() && one.channel() == other.channel()
}

impl Routes {
    /// Releases the memory that a flood has left.
    pub(super) fn give_back(&mut self) {
        let Self { client, channels, user, run, closed: _ } = self;
        run.give_back();
        let ClientRoutes { events, states, connected, errors } = client;
        give_back([events, states, connected, errors]);
        let UserRoutes { events, watchlist, signed_in, errors } = user;
        give_back([events, watchlist, signed_in, errors]);
        channels.values_mut().for_each(|routes| give_back(routes.lists()));
        channels.give_back();
    }
}

/// A list of bindings of any type, or several.
trait AnyList {
    fn is_empty(&self) -> bool;
    fn give_back(&mut self);
}

fn give_back<const N: usize>(lists: [&mut dyn AnyList; N]) {
    lists.into_iter().for_each(AnyList::give_back);
}

impl Delivered {
    fn hand<T: Clone + Measured>(&mut self, value: T, list: &mut List<T>) {
        let size = value.bytes();
        let mut began = false;
        for sink in &mut list.0 {
            began |= sink.push([(value.clone(), size)]).began_to_overflow;
        }
        if began {
            self.overflowing.push(T::PLURAL.to_owned());
        }
    }

    /// Counts events like `first` that were pushed to one binding.
    fn add(&mut self, first: &Event, pushed: &Pushed) {
        self.queued += pushed.queued;
        self.dropped += pushed.dropped;
        if pushed.began_to_overflow {
            self.overflowing.push(format!("{:.100}", first.name()));
        }
    }
}

impl Events {
    /// The bindings to the events of this name.
    pub(crate) fn named(&mut self, name: &str) -> &mut List<Event> {
        self.by_name.entry(name.into()).or_default()
    }

    /// The bindings that get an event of this name.
    fn matching(&mut self, name: &str) -> impl Iterator<Item = &mut Sink<Event>> {
        let named = self.by_name.get_mut(name).into_iter().flat_map(|list| &mut list.0);
        named.chain(&mut self.all.0)
    }

    /// Removes the name if it has no bindings.
    fn prune(&mut self, name: &str) {
        if self.by_name.get(name).is_some_and(List::is_empty) {
            self.by_name.remove(name);
        }
    }
}

impl AnyList for Events {
    fn is_empty(&self) -> bool {
        self.by_name.is_empty() && self.all.is_empty()
    }

    fn give_back(&mut self) {
        self.by_name.values_mut().for_each(List::give_back);
        self.by_name.give_back();
        self.all.give_back();
    }
}

impl ChannelRoutes {
    fn lists(&mut self) -> [&mut dyn AnyList; 7] {
        let Self { events, errors, counts, gaps, added, removed, undecryptable, handles: _ } = self;
        [events, errors, counts, gaps, added, removed, undecryptable]
    }

    fn is_unused(&mut self) -> bool {
        self.handles == 0 && self.lists().iter().all(|list| list.is_empty())
    }
}

impl<T> AnyList for List<T> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn give_back(&mut self) {
        self.0.iter_mut().for_each(Sink::give_back);
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}
