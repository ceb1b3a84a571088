//! Measures this client beside others, on the same machine and against the same server; see `run`.
//!
//! `peers round INTO` runs every program that is there once and appends the figures to `INTO/figures.tsv`;
//! `peers report INTO` makes the tables and the plot of them.

mod measure;
mod report;
mod server;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The sizes of data, in bytes, and their names.
const SIZES: [(usize, &str); 3] = [(64, "64 B"), (1024, "1 KiB"), (16 * 1024, "16 KiB")];

/// What a program counts of an event.
#[derive(Clone, Copy, PartialEq)]
enum Takes {
    /// Whole frames, not looked into.
    Frames,
    /// The data as text.
    Text,
    /// The data, parsed.
    Parsed,
}

impl Takes {
    fn name(self) -> &'static str {
        match self {
            Self::Frames => "nothing: whole frames",
            Self::Text => "the data as text",
            Self::Parsed => "the data, parsed",
        }
    }
}

struct Peer {
    name: &'static str,
    takes: Takes,
    /// A program and its first arguments; `{into}` is the folder of all that is built and installed.
    command: &'static [&'static str],
    /// Whether it is this client.
    own: bool,
}

/// The first one is what the others are compared with.
const PEERS: &[Peer] = &[
    Peer {
        name: "bare tungstenite loop",
        takes: Takes::Frames,
        command: &["{into}/cargo/release/bare"],
        own: false,
    },
    Peer {
        name: "pusher-channels, `data()`",
        takes: Takes::Text,
        command: &["{into}/cargo/release/client"],
        own: true,
    },
    Peer {
        name: "pusher-channels, `json()`",
        takes: Takes::Parsed,
        command: &["{into}/cargo/release/client"],
        own: true,
    },
    Peer {
        name: "pusher-rs 0.1.2 (tokio)",
        takes: Takes::Parsed,
        command: &["{into}/cargo/release/peer-pusher-rs"],
        own: false,
    },
    Peer {
        name: "pusher-js 8.6.0 (node)",
        takes: Takes::Parsed,
        command: &["node", "other/pusher_js_client.cjs"],
        own: false,
    },
    Peer {
        name: "Pysher 1.0.8 (Python)",
        takes: Takes::Text,
        command: &["{into}/python/bin/python", "other/pysher_client.py"],
        own: false,
    },
];

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let (what, into) = match args.as_slice() {
        [what, into] => (what.as_str(), PathBuf::from(into)),
        _ => panic!("usage: peers round|report INTO"),
    };
    let file = into.join("figures.tsv");
    match what {
        "round" => round(&into, &file),
        "report" => report::write(&fs::read_to_string(file).expect("figures")),
        _ => panic!("usage: peers round|report INTO"),
    }
}

fn round(into: &Path, file: &Path) {
    let mut file = File::options().create(true).append(true).open(file).expect("a file");
    measure::round(PEERS, into, |peer, figure, value| {
        println!("{:<30}{figure:<12}{value:>14.2}", peer.name);
        writeln!(file, "{}\t{figure}\t{value}", peer.name).expect("the file grows");
    });
}
