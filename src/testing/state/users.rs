//! Signed-in users: their events and watchlists.

use std::sync::Arc;

use super::{Connection, State};
use crate::testing::frames;
use crate::testing::peer::Step;
use crate::testing::settings::WatchlistStyle;
use crate::testing::user::{User, channel_of};

impl State {
    /// The user who has signed in on this connection.
    pub(in crate::testing) fn user(&self, id: u64) -> Option<&User> {
        self.connections.get(&id)?.user.as_ref()
    }

    /// The connections that are signed in as this user.
    fn connections_of<'a>(&'a self, user: &'a str) -> impl Iterator<Item = u64> + 'a {
        let is_user =
            move |connection: &Connection| connection.user.as_ref().is_some_and(|it| it.id == user);
        self.connections
            .iter()
            .filter(move |(_, connection)| is_user(connection))
            .map(|(id, _)| *id)
    }

    pub(in crate::testing) fn signed_in(&self, user: &str) -> usize {
        self.connections_of(user).count()
    }

    /// Signs a user in instead of the previous one, and notifies those who watch either.
    pub(in crate::testing) fn sign_in(&mut self, id: u64, user: User, user_data: &str) {
        self.sign_out(id, &user.id);
        let is_new = self.signed_in(&user.id) == 0;
        let name = user.id.clone();
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.user = Some(user);
        }
        let mut frames = self.watchlist_frames(id);
        let success = self.settings.signin_success(user_data);
        let place = match self.settings.watchlist {
            WatchlistStyle::Documented => 0,
            WatchlistStyle::Bare => frames.len(),
        };
        frames.insert(place, success);
        for frame in frames {
            self.send(id, frame);
        }
        if is_new {
            let frames = self.settings.watchlist(&[&name], &[]);
            self.notify_watchers(&name, frames, Some(id));
        }
    }

    /// Signs out the user of this connection unless it is `next`.
    fn sign_out(&mut self, id: u64, next: &str) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if let Some(user) = connection.user.take_if(|user| user.id != next) {
            self.unsubscribe(id, &channel_of(&user.id));
            self.notify_if_offline(&user);
        }
    }

    /// Notifies those who watch this user if the last connection of the user has ended.
    pub(super) fn notify_if_offline(&mut self, user: &User) {
        if self.signed_in(&user.id) == 0 {
            let frames = self.settings.watchlist(&[], &[&user.id]);
            self.notify_watchers(&user.id, frames, None);
        }
    }

    /// The frames that say who of the user's watchlist is online and offline.
    fn watchlist_frames(&self, id: u64) -> Vec<String> {
        let Some(user) = self.user(id) else {
            return Vec::new();
        };
        let watched = user.watchlist.iter().map(String::as_str);
        let (online, offline): (Vec<_>, Vec<_>) =
            watched.partition(|watched| self.signed_in(watched) > 0);
        self.settings.watchlist(&online, &offline)
    }

    fn notify_watchers(&mut self, user: &str, frames: Vec<String>, except: Option<u64>) {
        if self.silent {
            return;
        }
        let watches = |connection: &Connection| {
            connection.user.as_ref().is_some_and(|it| it.watchlist.contains(user))
        };
        let others = self.connections.iter().filter(|(id, _)| Some(**id) != except);
        let watching: Vec<u64> =
            others.filter(|(_, connection)| watches(connection)).map(|(id, _)| *id).collect();
        for frame in frames {
            let frame: Arc<str> = frame.into();
            for id in &watching {
                self.step(*id, Step::Send(Arc::clone(&frame)));
            }
        }
    }

    /// Returns the number of receiving connections.
    pub(in crate::testing) fn send_to_user(
        &mut self,
        user: &str,
        event: &str,
        text: &str,
    ) -> usize {
        let channel = channel_of(user);
        if !self.settings.user_events_without_subscription {
            return self.publish_plain(&channel, event, text, None);
        }
        if self.silent {
            return 0;
        }
        let frame: Arc<str> = frames::published(&channel, event, text).into();
        let connections: Vec<u64> = self.connections_of(user).collect();
        for id in &connections {
            self.step(*id, Step::Send(Arc::clone(&frame)));
        }
        connections.len()
    }

    /// Ends all connections of the user. Returns their number.
    pub(in crate::testing) fn terminate(&mut self, user: &str) -> usize {
        let connections: Vec<u64> = self.connections_of(user).collect();
        for id in &connections {
            self.close(*id, TERMINATED, "The app has ended the user's connections");
        }
        connections.len()
    }
}

/// Pusher's code for a connection that is no longer authorized.
const TERMINATED: u16 = 4009;
