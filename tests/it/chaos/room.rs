//! The channels of a storm: what each has received, and what must hold of it.

use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError};
use pusher_channels::{Binding, Channel, Client, Event, Gap};

use super::trail::Trail;

pub(super) const EVENT: &str = "number";
/// What the client itself sends.
pub(super) const SIGNAL: &str = "client-number";

/// A channel, and what the user knows of it.
pub(super) struct Room {
    pub(super) channel: Box<dyn Channel>,
    /// The user never gives it up.
    pub(super) pinned: bool,
    pub(super) wanted: bool,
    pub(super) events: Binding<Event>,
    pub(super) gaps: Binding<Gap>,
    pub(super) trail: Trail,
    pub(super) published: u64,
}

impl Room {
    fn new(channel: Box<dyn Channel>, pinned: bool) -> Self {
        let trail = Trail::new(channel.name());
        let (events, gaps) = (channel.bind_all(), channel.bind_resumed());
        Self { channel, pinned, wanted: false, events, gaps, trail, published: 0 }
    }

    pub(super) fn collect(&mut self) {
        let mut faults = Vec::new();
        // Gaps are read first, so that the confirmations counted here include all of theirs.
        for gap in taken(&self.gaps, "gaps", &mut faults) {
            self.trail.resumed();
            if gap.length() > Duration::from_secs(3600) {
                self.trail.fault(format_args!("{gap:?}"));
            }
        }
        for event in taken(&self.events, "events", &mut faults) {
            match event.name() {
                "pusher:subscription_succeeded" => self.trail.confirmed(),
                EVENT => match number(&event) {
                    Some(number) => self.trail.number(number),
                    None => {
                        self.trail.fault(format_args!("not as published: {:.100}", event.data()))
                    }
                },
                name if name.starts_with("pusher:") => {}
                // What an old connection sent may get there so late that this one counts as another.
                SIGNAL => {}
                name => self.trail.fault(format_args!("nobody published {name}")),
            }
        }
        for fault in faults {
            self.trail.fault(fault);
        }
    }
}

fn number(event: &Event) -> Option<u64> {
    let data: serde_json::Value = event.json().ok()?;
    let whole = data.get("pad")?.as_str()?.bytes().all(|byte| byte == b'"');
    data.get("n")?.as_u64().filter(|_| whole)
}

/// What waits in a receiver, which must be alive.
pub(super) fn taken<T>(receiver: &Receiver<T>, what: &str, faults: &mut Vec<String>) -> Vec<T> {
    let mut values = Vec::new();
    loop {
        match receiver.try_recv() {
            Ok(value) => values.push(value),
            Err(TryRecvError::Empty) => return values,
            Err(TryRecvError::Disconnected) => {
                faults.push(format!("the receiver of {what} is disconnected"));
                return values;
            }
        }
    }
}

/// Of every kind a channel that is always wanted and some that come and go.
pub(super) fn rooms(client: &Client) -> Vec<Room> {
    let mut rooms = Vec::new();
    for name in ["pinned", "cache-pinned", "roaming-1", "roaming-2", "cache-roaming"] {
        let pinned = name.contains("pinned");
        rooms.push(Room::new(Box::new(client.public_channel(name).unwrap()), pinned));
        let private = client.private_channel(&format!("private-{name}")).unwrap();
        rooms.push(Room::new(Box::new(private), pinned));
        let presence = client.presence_channel(&format!("presence-{name}")).unwrap();
        rooms.push(Room::new(Box::new(presence), pinned));
        #[cfg(feature = "encrypted")]
        {
            let name = format!("private-encrypted-{name}");
            let encrypted = client.private_encrypted_channel(&name).unwrap();
            rooms.push(Room::new(Box::new(encrypted), pinned));
        }
    }
    rooms
}
