//! Networks that go away, come back and change: the client and the server each in a network namespace
//! of its own, joined by a virtual cable.
//!
//! Making them takes root and `ip` (Debian's package iproute2). Where that is not to be had, the tests
//! say so and pass, but fail if `CI` is set, unless `PUSHER_CHANNELS_NO_NAMESPACES` is set too.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, Once};
use std::thread;
use std::time::Duration;

use pusher_channels::testing::Server;
use pusher_channels::{Options, State};

use crate::chaos::relay::Relay;
use crate::support::{SOON, now, only, quick, scaled, skipped, spawn};

const ROLE: &str = "PUSHER_CHANNELS_NETWORK_ROLE";
const ALLOW: &str = "PUSHER_CHANNELS_NO_NAMESPACES";
/// The prefix of a child's messages to its parent, among what the test harness prints.
const SAYS: &str = "@ ";
const ACTIVITY: Duration = Duration::from_millis(500);
const PONG: Duration = Duration::from_millis(500);
/// What a busy machine may add to the time-outs.
const SLACK: Duration = scaled(Duration::from_secs(5));

const SERVER: [&str; 2] = ["10.83.0.2/24", "fd83::2/64"];
const SERVER_MOVED: &str = "10.83.0.3/24";
const CLIENT: [&str; 2] = ["10.83.0.1/24", "fd83::1/64"];
const CLIENT_MOVED: &str = "10.83.0.4/24";
/// Resolves to both of the server's addresses.
const NAME: &str = "pusher-channels-test";

fn bare(address: &str) -> &str {
    address.split('/').next().unwrap()
}

// ---- the namespaces

/// Two namespaces and what runs in them. Dropping it removes both.
struct Net {
    client: String,
    server: String,
    /// Has a command run only this test.
    only: fn(Command) -> Command,
}

fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    match output {
        Err(error) => Err(format!("`ip` does not start ({error}); it is in Debian's iproute2")),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

#[track_caller]
fn must(arguments: &str) {
    ip(arguments).unwrap();
}

impl Net {
    /// Sets up the network of the test in which `T` is written. `None` where there can be none, and in a child
    /// process after it has played its role.
    fn of_parent<T>(_: T) -> Option<Self> {
        if plays_a_role() {
            return None;
        }
        sweep();
        // Namespaces are of the whole machine; several tests may run, and several checkouts.
        let thread = fastrand::u16(..);
        let name = |side| format!("pctest-{}-{thread}-{side}", std::process::id());
        let net = Self { client: name("c"), server: name("s"), only: only::<T> };
        if let Err(why) = net.set_up() {
            assert!(
                std::env::var_os("CI").is_none() || std::env::var_os(ALLOW).is_some(),
                "no network namespaces ({why}); set {ALLOW} to do without these tests"
            );
            static ONCE: Once = Once::new();
            skipped(&ONCE, &format!("no network namespaces: their tests did NOT run; {why}"));
            return None;
        }
        Some(net)
    }

    fn set_up(&self) -> Result<(), String> {
        let Self { client, server, .. } = self;
        ip(&format!("netns add {client}"))?;
        ip(&format!("netns add {server}"))?;
        ip(&format!("link add cable netns {client} type veth peer name cable netns {server}"))?;
        for (side, addresses) in [(client, CLIENT), (server, SERVER)] {
            ip(&format!("-n {side} link set lo up"))?;
            ip(&format!("-n {side} link set cable up"))?;
            for address in addresses {
                self.add(side, address)?;
            }
            // What every process in the namespace sees as /etc/hosts.
            let folder = format!("/etc/netns/{side}");
            let hosts = SERVER.map(|address| format!("{} {NAME}\n", bare(address))).concat();
            fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
            fs::write(format!("{folder}/hosts"), hosts).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn add(&self, side: &str, address: &str) -> Result<(), String> {
        // An IPv6 address is otherwise first looked for elsewhere, which takes a second.
        let nodad = if address.contains(':') { " nodad" } else { "" };
        ip(&format!("-n {side} addr add {address} dev cable{nodad}"))
    }

    fn remove(&self, side: &str, address: &str) {
        must(&format!("-n {side} addr del {address} dev cable"));
    }

    fn cable(&self, state: &str) {
        must(&format!("-n {} link set cable {state}", self.client));
    }

    /// Runs this test once more in a namespace, as `role`.
    fn run(&self, side: &str, role: &str) -> Process {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", side]).arg(std::env::current_exe().unwrap());
        let mut child = (self.only)(command)
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (said, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // The rest is the test harness's own; panics are printed on standard error.
                if let Some((_, line)) = line.split_once(SAYS) {
                    // The test may be over.
                    let _ = said.send(line.to_owned());
                }
            }
        });
        let stdin = child.stdin.take();
        Process { role: role.to_owned(), child, stdin, lines }
    }

    fn start_server(&self) -> (Process, u16) {
        let server = self.run(&self.server, "server");
        let port = server.hears("listens on ").parse().unwrap();
        (server, port)
    }

    /// A client that has received something; it dials `host`.
    fn start_client(&self, host: &str, port: u16) -> Process {
        let client = self.run(&self.client, &format!("client {host} {port}"));
        client.hears("receives");
        client
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for side in [&self.client, &self.server] {
            discard(side);
        }
    }
}

fn discard(namespace: &str) {
    // It may never have come into being.
    let _ = ip(&format!("netns del {namespace}"));
    let _ = fs::remove_dir_all(format!("/etc/netns/{namespace}"));
}

/// Removes what tests that were killed have left.
fn sweep() {
    for folder in ["/run/netns", "/etc/netns"] {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let pid = name.strip_prefix("pctest-").and_then(|rest| rest.split('-').next());
            if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                discard(&name);
            }
        }
    }
}

/// A process in a namespace. Dropping it ends it.
struct Process {
    role: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Process {
    /// Waits until it says this, and returns the rest of the line.
    #[track_caller]
    fn hears(&self, what: &str) -> String {
        let line = self.lines.recv_timeout(SOON * 2);
        let line = line.unwrap_or_else(|_| panic!("{} does not say {what:?}", self.role));
        let rest = line.strip_prefix(what);
        rest.unwrap_or_else(|| panic!("{} says {line:?}, not {what:?}", self.role)).to_owned()
    }

    fn send(&self, line: &str) {
        writeln!(self.stdin.as_ref().unwrap(), "{line}").unwrap();
    }

    /// Lets it end by itself, which it must without a failure.
    fn finish(mut self) {
        self.stdin = None;
        let deadline = now() + SOON;
        while self.child.try_wait().unwrap().is_none() {
            assert!(now() < deadline, "{} does not end", self.role);
            thread::park_timeout(Duration::from_millis(5));
        }
        assert!(self.child.wait().unwrap().success(), "{} has failed", self.role);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// ---- what runs in them

/// Plays a role and returns `true`, if this process has one.
fn plays_a_role() -> bool {
    let Ok(role) = std::env::var(ROLE) else {
        return false;
    };
    match role.split(' ').collect::<Vec<_>>()[..] {
        ["server"] => serve(),
        ["client", host, port] => consume(host, port.parse().unwrap()),
        _ => panic!("{ROLE}={role}"),
    }
    true
}

fn say(what: &str) {
    println!("{SAYS}{what}");
}

/// What the parent sends; it is disconnected when that wants no more.
fn orders() -> Receiver<String> {
    let (order, orders) = mpsc::channel();
    spawn(move || io::stdin().lines().map_while(Result::ok).all(|line| order.send(line).is_ok()));
    orders
}

/// Publishes a number every so often, on every address of the namespace.
fn serve() {
    let server = Server::start().unwrap();
    let anywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let relay = Relay::start_on(anywhere, ([127, 0, 0, 1], server.port()).into(), 0, 16);
    say(&format!("listens on {}", relay.address().port()));
    let orders = orders();
    let mut number = 0;
    while let Err(RecvTimeoutError::Timeout) = orders.recv_timeout(Duration::from_millis(20)) {
        number += 1;
        server.publish("room", "number", &number);
    }
    // The relay's own way of ending dials it at this address.
    drop(relay);
}

fn consume(host: &str, port: u16) {
    let host = Arc::new(Mutex::new(host.to_owned()));
    let options = Options::custom({
        let host = Arc::clone(&host);
        move |_| format!("ws://{}:{port}/app/app-key", host.lock().unwrap())
    });
    let client = quick(options)
        .activity_timeout(ACTIVITY)
        .pong_timeout(PONG)
        .connect_timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    let states = client.bind_states();
    let room = client.public_channel("room").unwrap();
    let (numbers, gaps) = (room.bind("number"), room.bind_resumed());
    room.subscribe();
    client.connect();
    room.wait_subscribed(SOON).unwrap();
    let receives = || -> u64 { numbers.recv_timeout(SOON).unwrap().json().unwrap() };
    let mut last = receives();
    say("receives");
    let orders = orders();
    loop {
        // What comes while nothing is wrong.
        while let Ok(event) = numbers.try_recv() {
            let number: u64 = event.json().unwrap();
            assert_eq!(number, last + 1, "on a connection that lasts");
            last = number;
        }
        match orders.recv_timeout(Duration::from_millis(5)) {
            Ok(new_host) => *host.lock().unwrap() = new_host,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let lost = states.try_iter().find(|change| change.current == State::Reconnecting);
        let Some(lost) = lost else {
            continue;
        };
        let cause = lost.cause.unwrap();
        say(&format!("lost, timeout {}: {cause}", cause.is_timeout()));
        let gap = gaps.recv_timeout(SOON * 2).unwrap_or_else(|_| {
            panic!("not back: {:?}, {:?}", client.state(), states.try_iter().last())
        });
        assert!(gap.length() >= PONG, "{gap:?}");
        room.wait_subscribed(SOON).unwrap();
        // What the old connection had delivered comes first.
        last = std::iter::repeat_with(receives).find(|&number| number > last + 1).unwrap();
        states.try_iter().for_each(drop);
        say("receives");
    }
    client.close(SOON).unwrap();
}

// ---- the tests

#[test]
fn unplugged_cable_is_detected_and_the_client_reconnects() {
    let Some(net) = Net::of_parent(|| {}) else {
        return;
    };
    let (server, port) = net.start_server();
    let client = net.start_client(bare(SERVER[0]), port);
    for _ in 0..2 {
        let pulled = now();
        net.cable("down");
        client.hears("lost, timeout true");
        let noticed = pulled.elapsed();
        println!("noticed after {noticed:?}");
        assert!(noticed < ACTIVITY + PONG + SLACK, "{noticed:?}");
        net.cable("up");
        client.hears("receives");
        println!("back {:?} after it was pulled", pulled.elapsed());
    }
    client.finish();
    server.finish();
}

#[test]
fn server_with_a_new_address_is_found() {
    let Some(net) = Net::of_parent(|| {}) else {
        return;
    };
    let (server, port) = net.start_server();
    let client = net.start_client(bare(SERVER[0]), port);
    // As a name server would respond from now on. The connection stays where it is.
    client.send(bare(SERVER_MOVED));
    net.remove(&net.server, SERVER[0]);
    net.add(&net.server, SERVER_MOVED).unwrap();
    client.hears("lost, timeout true");
    client.hears("receives");
    client.finish();
    server.finish();
}

#[test]
fn client_with_a_new_address_reconnects() {
    let Some(net) = Net::of_parent(|| {}) else {
        return;
    };
    let (server, port) = net.start_server();
    let client = net.start_client(bare(SERVER[0]), port);
    net.remove(&net.client, CLIENT[0]);
    net.add(&net.client, CLIENT_MOVED).unwrap();
    client.hears("lost, timeout true");
    client.hears("receives");
    client.finish();
    server.finish();
}

#[test]
fn either_address_family_alone_connects() {
    let Some(net) = Net::of_parent(|| {}) else {
        return;
    };
    let (server, port) = net.start_server();
    let (host, peer) = (&net.client, &net.server);
    net.start_client(NAME, port).finish();
    // Taken from the server, the address leads nowhere; taken from the client, the family is gone.
    for (side, addresses) in [(peer, SERVER), (host, CLIENT)] {
        for address in addresses {
            net.remove(side, address);
            println!("without {address}");
            net.start_client(NAME, port).finish();
            net.add(side, address).unwrap();
        }
    }
    server.finish();
}
