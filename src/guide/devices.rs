//! Devices: small machines that nobody watches, such as a Raspberry Pi in a cupboard.
//!
//! # A program that stays up
//!
//! A client reconnects by itself, without a limit, also if the first dial fails. So a device can start before its
//! network does. Three things are left to the program: to exit when retrying cannot help, to notice that nothing arrives
//! any more, and to keep what it could not send.
//!
//! ```no_run
//! use pusher_channels::crossbeam_channel::{select, tick};
//! use pusher_channels::{Client, HttpAuthorizer, Options, State};
//! use std::time::Duration;
//!
//! fn main() -> Result<(), pusher_channels::Error> {
//!     let client = Client::builder(Options::cluster("eu", "app-key"))
//!         .authorizer(HttpAuthorizer::new("https://app.example.org/pusher/auth"))
//!         .build()?;
//!     let valve = client.private_channel("private-valve-7")?;
//!     let (commands, failed, states) =
//!         (valve.bind("command"), valve.bind_subscription_error(), client.bind_states());
//!     valve.subscribe();
//!     client.connect();
//!     let minute = tick(Duration::from_secs(60));
//!     loop {
//!         select! {
//!             recv(*commands) -> command => match command {
//!                 Ok(command) => println!("{}", command.data()),
//!                 Err(_) => return Ok(()), // the client was closed
//!             },
//!             recv(*states) -> change => match change {
//!                 // A wrong key, an app that was deleted: exit, and let the service manager report it.
//!                 Ok(change) if change.current == State::Failed => match change.cause {
//!                     Some(cause) => return Err(cause),
//!                     None => return Ok(()),
//!                 },
//!                 _ => {}
//!             },
//!             // Refused, for example with 403: the client tries again on the next connection only.
//!             recv(*failed) -> error => match error {
//!                 Ok(error) if !error.is_retryable() => return Err(error),
//!                 _ => {}
//!             },
//!             recv(minute) -> _ => println!("{:?}", client.stats()),
//!         }
//!     }
//! }
//! ```
//!
//! The example `edge_sensor` keeps readings while there is no connection, in an [`Outbox`](crate::Outbox). They are
//! client events, which go to the other subscribers of the channel and not to your backend. To reach the backend, send it
//! an HTTP request, or let the server report client events by a webhook (Pusher and soketi; Reverb has none).
//!
//! An outbox is in memory, and is as large as you make it: readings per second × the longest outage, with a `max_age`
//! longer than that and the time to send them. One reading a second for an hour fits into
//! `Outbox::new(4_000).max_age(Duration::from_secs(2 * 3600))`, and is sent in about 7 minutes at the default limit of 10
//! client events a second. What is sent before a dead connection is noticed is lost, up to `activity_timeout` and
//! `pong_timeout` (150 s by default, 60 s on Reverb): lower both, or number the readings and have them acknowledged.
//!
//! A service for systemd needs no ordering after the network. The example `daemon` is one that also ends cleanly on
//! SIGTERM, feeds systemd's watchdog while its client is healthy, and writes levels to the journal. A
//! minimal unit, for a program that does none of this:
//!
//! ```ini
//! [Service]
//! ExecStart=/usr/local/bin/valve
//! Restart=always
//! RestartSec=10
//!
//! [Install]
//! WantedBy=multi-user.target
//! ```
//!
//! # Cross-compiling
//!
//! On Debian 12 (x86-64) with rustup's Rust and `build-essential`, since build scripts run on this machine; as root or
//! with `sudo` before `apt-get`. On Windows, in WSL with Debian 12. First copy the profile `embedded`:
//!
//! <!-- profile -->
//! ```toml
//! [profile.embedded]
//! inherits = "release"
//! opt-level = "s"
//! lto = "fat"
//! codegen-units = 1
//! panic = "abort"
//! strip = "symbols"
//! ```
//!
//! It is that of this crate's
//! [Cargo.toml](https://docs.rs/crate/pusher-channels/latest/source/Cargo.toml), but Cargo does not apply the profiles of
//! a library to programs that use it. With `panic = "abort"` a panic of your code ends the program, also on a thread of
//! the client (an authorizer, a logger), where it would otherwise affect that call only. Omit the feature `encrypted` if
//! no channel is encrypted, and set `max_level_info` or less as a feature of the crate `log`, which removes the other log
//! lines.
//!
//! And choose a TLS library. The default, `native-tls`, needs an OpenSSL of the target, so start with `rustls`:
//!
//! ```toml
//! pusher-channels = { version = "0.2", default-features = false, features = ["rustls"] }
//! ```
//!
//! For a Raspberry Pi with a 64-bit system (Pi 3 and later, Zero 2 W). On every change CI runs these commands, as they
//! are here, and then the program in qemu:
//!
//! <!-- recipe: aarch64-unknown-linux-gnu -->
//! ```sh
//! rustup target add aarch64-unknown-linux-gnu
//! apt-get install -y gcc-aarch64-linux-gnu
//! export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
//! cargo build --profile embedded --target aarch64-unknown-linux-gnu
//! ```
//!
//! The program is in `target/aarch64-unknown-linux-gnu/embedded`: copy it to the device with `scp`. The device's C
//! library must not be older than that of the machine that builds: Raspberry Pi OS 12 or later. A program with musl
//! runs with any, and takes half the memory, measured on x86-64:
//!
//! <!-- recipe: aarch64-unknown-linux-musl -->
//! ```sh
//! rustup target add aarch64-unknown-linux-musl
//! apt-get install -y gcc-aarch64-linux-gnu
//! export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld
//! export CC_aarch64_unknown_linux_musl=aarch64-linux-gnu-gcc
//! cargo build --profile embedded --target aarch64-unknown-linux-musl
//! ```
//!
//! For a 32-bit system (Pi 2 and later):
//!
//! ```sh
//! rustup target add armv7-unknown-linux-gnueabihf
//! apt-get install -y gcc-arm-linux-gnueabihf
//! export CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_LINKER=arm-linux-gnueabihf-gcc
//! cargo build --profile embedded --target armv7-unknown-linux-gnueabihf
//! ```
//!
//! For ARMv6 (Pi 1 and Zero) the start-up code of Debian's compiler does not run, so link with musl, which comes with the
//! target. This is without TLS (`default-features = false` alone), and was not tried; the C code of `rustls` needs a
//! compiler for ARMv6, which `cross` has (below):
//!
//! ```sh
//! rustup target add arm-unknown-linux-musleabihf
//! export CARGO_TARGET_ARM_UNKNOWN_LINUX_MUSLEABIHF_LINKER=rust-lld
//! cargo build --profile embedded --target arm-unknown-linux-musleabihf
//! ```
//!
//! For MIPS (many routers) the standard library is compiled too, since rustup does not have it; not tried:
//!
//! ```sh
//! rustup toolchain install nightly --component rust-src
//! apt-get install -y gcc-mipsel-linux-gnu
//! export CARGO_TARGET_MIPSEL_UNKNOWN_LINUX_GNU_LINKER=mipsel-linux-gnu-gcc
//! cargo +nightly build -Z build-std=std,panic_abort --profile embedded --target mipsel-unknown-linux-gnu
//! ```
//!
//! Alternatives, which were not tried with this crate: [`cross`](https://github.com/cross-rs/cross) builds in a container,
//! and also has older C libraries and compilers for ARMv6 and MIPS.
//! [`cargo-zigbuild`](https://github.com/rust-cross/cargo-zigbuild) has its own C compiler, and takes the version of the C
//! library (`--target aarch64-unknown-linux-gnu.2.31`).
//!
//! | feature | the build also needs | the device needs |
//! |---|---|---|
//! | none | nothing | no TLS: `ws://` and `http://` only, for a server in the same network or a [`Connector`](crate::Connector) |
//! | `rustls` | nothing: the C compiler above | root certificates (`ca-certificates`) |
//! | `native-tls` | OpenSSL for the device, see below | OpenSSL 3 (`libssl3`) and root certificates |
//! | `native-tls-vendored` | `perl` and `make`; minutes to compile OpenSSL | root certificates |
//!
//! For `native-tls` the headers and libraries of the device's Debian release are enough, unpacked anywhere:
//!
//! ```sh
//! dpkg --add-architecture arm64 && apt-get update
//! apt-get download libssl-dev:arm64 libssl3:arm64
//! for package in *.deb; do dpkg-deb -x "$package" sys-arm64; done
//! cp -r sys-arm64/usr/include/aarch64-linux-gnu/openssl/. sys-arm64/usr/include/openssl/
//! export AARCH64_UNKNOWN_LINUX_GNU_OPENSSL_LIB_DIR=$PWD/sys-arm64/usr/lib/aarch64-linux-gnu
//! export AARCH64_UNKNOWN_LINUX_GNU_OPENSSL_INCLUDE_DIR=$PWD/sys-arm64/usr/include
//! ```
//!
//! # Where it was run
//!
#![doc = include_str!("devices/platforms.md")]
//!
//! # What it takes
//!
#![doc = include_str!("devices/sizes.md")]
//!
//! OpenSSL is why `native-tls` takes most: its own pages and its copy of the platform's root certificates. rustls keeps
//! little of each certificate, and has with musl the smallest program in memory.
//! [`only_given_roots`](crate::Tls::only_given_roots) saves more.
//!
//! This is the program. It is for measuring: it logs nothing, and waits for ever after a wrong key. For a service,
//! start from the program at the top of this page or from the example `daemon`. It has no code for authorization, HTTP
//! and encryption, which the linker leaves out:
//!
//! ```no_run
#![doc = include_str!("devices/subscriber.rs")]
//! ```
//!
//! # Memory, threads and stacks
//!
//! | what | default | for a small device |
//! |---|---|---|
//! | an idle client over `ws` | less than 40 KiB, and the stacks; over `wss` also the TLS library and its roots, see the table above | |
//! | threads | 2 while connected; up to 4 more while channels are authorized, and one for each lookup of a host name | [`max_authorizations(1)`](crate::ClientBuilder::max_authorizations) |
//! | stack of a thread | 2 MiB of address space, committed as it is touched | [`stack_size`](crate::ClientBuilder::stack_size), at least 256 KiB; less address space where there is no virtual memory to spare |
//! | queue of a binding | 4,096 values and 64 MiB | [`queue`](crate::ClientBuilder::queue) |
//! | message of the server | 1 MiB | [`max_message_size`](crate::ClientBuilder::max_message_size) |
//! | members of a channel | 16 MiB | [`max_members_bytes`](crate::ClientBuilder::max_members_bytes) |
//! | buffers that a flood uses again and again | 8 MiB, and what was decoded of it; all but a quarter goes with the first message after a pause | |
//!
//! All of these are limits: memory is taken only as it is needed, and given back at the next heartbeat.
//!
//! ```
//! use pusher_channels::{Client, Options, Queue};
//!
//! # fn main() -> Result<(), pusher_channels::Error> {
//! let client = Client::builder(Options::host("push.example.org", "app-key").tls(false))
//!     .queue(Queue::drop_oldest(64).max_bytes(256 * 1024))
//!     .max_message_size(64 * 1024)
//!     .max_members_bytes(64 * 1024)
//!     .max_authorizations(1)
//!     .stack_size(512 * 1024)
//!     .build()?;
//! # Ok(())
//! # }
//! ```
//!
//! An idle client wakes up for its heartbeat only: every 120 s, or as often as the server requires (soketi and Reverb:
//! 30 s). [`override_activity_timeout`](crate::ClientBuilder::override_activity_timeout) says when more is safe.
//!
//! # Suspend and changing networks
//!
//! A connection that is dead looks like one that is silent. The client finds out when the server does not respond to a
//! ping: within [`activity_timeout`](crate::ClientBuilder::activity_timeout) and
//! [`pong_timeout`](crate::ClientBuilder::pong_timeout) together, 150 s by default. For a device that must know sooner,
//! lower both.
//!
//! After a suspend the client checks the connection within 5 s of the moment at which something wakes it: its next
//! heartbeat, a message, or a call. A program that is notified of a resume or of another network (by NetworkManager or
//! logind, for example) calls [`network_changed`](crate::Client::network_changed), which checks or dials at once.
//! [`bind_resumed`](crate::PublicChannel::bind_resumed) then receives how long events may have been missed, suspended
//! time included.
//!
//! # Clocks
//!
//! Many devices have no clock that runs without power; a Pi starts in the past until it has reached a time server.
//!
//! - TLS fails with "not yet valid" until then. The client dials again until it succeeds, so nothing needs to be done.
//!   If only the endpoint of an authorizer uses TLS, the subscription fails: call `subscribe()` again later,
//!   or end and be restarted.
//! - Deadlines, waits and [`Gap::length`](crate::Gap::length) use a clock that is never set, so setting the time
//!   neither ends a connection nor changes them. At most it causes one ping.
//! - Authorization needs no clock: signatures of channels have no time in them. Tokens that your endpoint expects may.
//!
//! # Secrets
//!
//! A device in other hands should not hold the app's secret: use an [`HttpAuthorizer`](crate::HttpAuthorizer) with a
//! token of the device, and [`headers_with`](crate::HttpAuthorizer::headers_with) if it expires.
//! [`SecretAuthorizer`](crate::SecretAuthorizer) is for devices that you trust like your server. Private keys of client
//! certificates: [`Tls::client_certificate_pem`](crate::Tls::client_certificate_pem).
