//! Users: who is signed in, what they are sent, and who watches them.

use std::sync::Arc;

use super::{Link, State};
use crate::testing::frames;
use crate::testing::peer::Step;
use crate::testing::settings::WatchlistStyle;
use crate::testing::signin::{User, channel_of};

impl State {
    /// Who has signed in on this connection.
    pub(in crate::testing) fn user(&self, id: u64) -> Option<&User> {
        self.links.get(&id)?.user.as_ref()
    }

    /// The connections that are signed in as this user.
    fn connections_of<'a>(&'a self, user: &'a str) -> impl Iterator<Item = u64> + 'a {
        let is_user = move |link: &Link| link.user.as_ref().is_some_and(|it| it.id == user);
        self.links.iter().filter(move |(_, link)| is_user(link)).map(|(id, _)| *id)
    }

    pub(in crate::testing) fn signed_in(&self, user: &str) -> usize {
        self.connections_of(user).count()
    }

    /// Takes the user for whoever was signed in before, and tells everybody who has to know.
    pub(in crate::testing) fn sign_in(&mut self, id: u64, user: User, user_data: &str) {
        self.sign_out(id, &user.id);
        let is_new = self.signed_in(&user.id) == 0;
        let name = user.id.clone();
        if let Some(link) = self.links.get_mut(&id) {
            link.user = Some(user);
        }
        let mut answers = self.whom_it_watches(id);
        let success = self.settings.signin_success(user_data);
        let place = match self.settings.watchlist {
            WatchlistStyle::Documented => 0,
            WatchlistStyle::Bare => answers.len(),
        };
        answers.insert(place, success);
        for answer in answers {
            self.send(id, answer);
        }
        if is_new {
            let frames = self.settings.watchlist(&[&name], &[]);
            self.tell_watchers(&name, frames, Some(id));
        }
    }

    /// Forgets who was signed in, unless it is the same who comes now.
    fn sign_out(&mut self, id: u64, comes: &str) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if let Some(user) = link.user.take_if(|user| user.id != comes) {
            self.unsubscribe(id, &channel_of(&user.id));
            self.tell_if_gone(&user);
        }
    }

    /// A connection of this user has ended; tells those who watch if it was the last.
    pub(super) fn tell_if_gone(&mut self, user: &User) {
        if self.signed_in(&user.id) == 0 {
            let frames = self.settings.watchlist(&[], &[&user.id]);
            self.tell_watchers(&user.id, frames, None);
        }
    }

    /// The frames that tell who is there and who is not.
    fn whom_it_watches(&self, id: u64) -> Vec<String> {
        let Some(user) = self.user(id) else {
            return Vec::new();
        };
        let watched = user.watchlist.iter().map(String::as_str);
        let (online, offline): (Vec<_>, Vec<_>) =
            watched.partition(|watched| self.signed_in(watched) > 0);
        self.settings.watchlist(&online, &offline)
    }

    fn tell_watchers(&mut self, user: &str, frames: Vec<String>, except: Option<u64>) {
        if self.silent {
            return;
        }
        let watches =
            |link: &Link| link.user.as_ref().is_some_and(|it| it.watchlist.contains(user));
        let others = self.links.iter().filter(|(id, _)| Some(**id) != except);
        let watching: Vec<u64> =
            others.filter(|(_, link)| watches(link)).map(|(id, _)| *id).collect();
        for frame in frames {
            let frame: Arc<str> = frame.into();
            for id in &watching {
                self.step(*id, Step::Send(Arc::clone(&frame)));
            }
        }
    }

    /// Tells how many connections it goes to.
    pub(in crate::testing) fn send_to_user(
        &mut self,
        user: &str,
        event: &str,
        text: &str,
    ) -> usize {
        let channel = channel_of(user);
        if !self.settings.user_events_without_subscription {
            return self.publish_plain(&channel, event, text);
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

    /// Ends all the user's connections, and tells how many they were.
    pub(in crate::testing) fn terminate(&mut self, user: &str) -> usize {
        let connections: Vec<u64> = self.connections_of(user).collect();
        for id in &connections {
            self.close(*id, TERMINATED, "The app has ended the user's connections");
        }
        connections.len()
    }
}

/// Pusher's code for a connection that may not go on.
const TERMINATED: u16 = 4009;
