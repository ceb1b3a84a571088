//! What a program under measurement says: its arguments, and the lines that it prints.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

pub const CHANNEL: &str = "bench";
pub const EVENT: &str = "message";
pub const KEY: &str = "key";

/// The clock that all processes share, in nanoseconds.
pub fn nanos() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    u64::try_from(now.as_nanos()).expect("a clock before 2554")
}

/// The arguments of each program: the server's port, what is measured, and of how many events.
pub struct Task {
    pub port: u16,
    paced: bool,
    count: usize,
    seen: usize,
    sum: usize,
    late: String,
}

impl Task {
    pub fn from_args() -> Self {
        let mut args = std::env::args().skip(1);
        let mut next = || args.next().expect("PORT flood|paced COUNT");
        let port = next().parse().expect("a port");
        let paced = next() == "paced";
        let count = next().parse().expect("a number");
        Self { port, paced, count, seen: 0, sum: 0, late: String::new() }
    }

    pub fn is_paced(&self) -> bool {
        self.paced
    }

    /// One more event of a flood, and the size that it has or says that it has. Prints the number and the sum of
    /// the sizes after every `COUNT` events.
    pub fn count(&mut self, size: usize) {
        self.seen += 1;
        self.sum += size;
        if self.seen % self.count == 0 {
            say(&format!("{} {}", self.seen, self.sum));
        }
    }

    /// One more event that was sent at this time. Prints how late all of them were once there are `COUNT`.
    pub fn sent_at(&mut self, sent: u64) {
        let late = nanos().saturating_sub(sent);
        write!(self.late, "{late} ").expect("a string grows");
        self.seen += 1;
        if self.seen == self.count {
            say(&self.late);
        }
    }

    /// The same, of an event whose data is still text, perhaps with escapes.
    pub fn text_sent_at(&mut self, text: &str) {
        let (_, time) = text.rsplit_once(':').expect("a paced event");
        let time = time.split('}').next().and_then(|time| time.parse().ok());
        self.sent_at(time.expect("a time"));
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("the bench reads");
}
