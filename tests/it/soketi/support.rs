//! Starts soketi, a Pusher-compatible server, for a test. It is a program of its own (AGPL), no part of this crate:
//! `bash .ci/run --only soketi` installs it into `.ci/cache/soketi`.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Once};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{scaled, skipped};

/// Names the folder that holds soketi's `node_modules`.
const WHERE: &str = "PUSHER_CHANNELS_SOKETI";
/// If set, a missing soketi fails the test instead of skipping it.
const REQUIRE: &str = "PUSHER_CHANNELS_REQUIRE_SOKETI";
const HOW: &str = "`bash .ci/run --only soketi` installs it (node 16, 18 or 20 and npm needed)";

/// The key of an app with a quota of one connection: the second is closed with 4100.
pub(crate) const ONE_CONNECTION_KEY: &str = "key-one";
/// The key of an app that is switched off: connections are closed with 4003.
pub(crate) const DISABLED_KEY: &str = "key-off";

const START_LIMIT: Duration = scaled(Duration::from_secs(30));
const STOP_LIMIT: Duration = scaled(Duration::from_secs(10));
const REQUEST_LIMIT: Duration = scaled(Duration::from_secs(10));
const POLL: Duration = Duration::from_millis(25);

/// A running soketi on loopback. Dropping it kills the process and removes its files.
#[derive(Debug)]
pub(crate) struct Soketi {
    // First, so that it is gone when its files and ports are given up.
    process: Option<Process>,
    program: PathBuf,
    files: TempDir,
    ports: Ports,
    tls: Option<Tls>,
}

#[derive(Debug)]
struct Tls {
    ca_pem: String,
    client: Arc<ClientConfig>,
}

impl Soketi {
    /// Starts a server and waits until it accepts connections. `None` if soketi is not installed.
    pub(crate) fn start(tls: bool) -> Option<Self> {
        let program = installed()?;
        let files = TempDir::new();
        let ports = Ports::reserve();
        let tls = tls.then(|| Tls::write_to(&files.0));
        let config = config(ports.base, tls.is_some().then_some(&files.0));
        fs::write(files.0.join("config.json"), config.to_string()).unwrap();
        fs::write(files.0.join("preload.cjs"), PRELOAD).unwrap();
        let mut soketi = Self { process: None, program, files, ports, tls };
        soketi.launch();
        Some(soketi)
    }

    pub(crate) fn port(&self) -> u16 {
        self.ports.base
    }

    pub(crate) fn key(&self) -> &'static str {
        "app-key"
    }

    pub(crate) fn secret(&self) -> &'static str {
        "app-secret"
    }

    pub(crate) fn app_id(&self) -> &'static str {
        "app-id"
    }

    /// The authority that signed the server's certificate for `localhost` and `127.0.0.1`; empty without TLS.
    pub(crate) fn ca_pem(&self) -> &str {
        self.tls.as_ref().map_or("", |tls| &tls.ca_pem)
    }

    /// Publishes an event to a channel, by the server's HTTP API. Panics unless the server accepts it.
    pub(crate) fn publish(&self, channel: &str, event: &str, data: &str) {
        self.post("/events", &json!({ "name": event, "channel": channel, "data": data }));
    }

    /// Closes all connections of a signed-in user, by the server's HTTP API.
    pub(crate) fn terminate_user(&self, id: &str) {
        self.post(&format!("/users/{id}/terminate_connections"), &json!({}));
    }

    /// Stops the server by SIGTERM and waits for its end: it closes its connections with 4200.
    pub(crate) fn terminate(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        let pid = process.child.id().to_string();
        let kill = Command::new("sh").args(["-c", r#"kill -s TERM "$0""#, &pid]).status().unwrap();
        assert!(kill.success(), "kill -TERM {pid}: {kill}");
        let stopped = wait_until(STOP_LIMIT, || process.child.try_wait().unwrap().is_some());
        assert!(stopped, "soketi ignored SIGTERM for {STOP_LIMIT:?}:\n{}", self.log());
    }

    /// Starts it anew on the same port, after killing it if it still runs.
    pub(crate) fn restart(&mut self) {
        self.process = None;
        self.launch();
    }

    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.request("GET", "/ready", ""), Ok((200, _)))
    }

    /// What the server printed, since its last start.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.files.0.join("log")).unwrap_or_default()
    }

    fn launch(&mut self) {
        let log = File::create(self.files.0.join("log")).unwrap();
        let mut child = Command::new("node")
            .arg("--require=./preload.cjs")
            .arg(&self.program)
            .args(["start", "--config=config.json"])
            // It reads a `.env` file from where it runs.
            .current_dir(&self.files.0)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("node starts");
        let stdin = child.stdin.take();
        self.process = Some(Process { child, _stdin: stdin });
        let mut ended = None;
        let ready = wait_until(START_LIMIT, || {
            ended = self.process.as_mut().and_then(|process| process.child.try_wait().unwrap());
            ended.is_some() || self.is_ready()
        });
        assert!(ready && ended.is_none(), "soketi did not start (exit {ended:?}):\n{}", self.log(),);
    }

    fn post(&self, path: &str, body: &Value) {
        let (status, reply) = self
            .post_signed_with(self.secret(), path, &body.to_string())
            .unwrap_or_else(|e| panic!("POST {path}: {e}\n{}", self.log()));
        assert!(accepted(status, &reply), "POST {path}: {status} {reply}");
    }

    /// A request to the app's part of the HTTP API.
    pub(crate) fn post_signed_with(
        &self,
        secret: &str,
        path: &str,
        body: &str,
    ) -> io::Result<(u16, String)> {
        let path = format!("/apps/{}{path}", self.app_id());
        let query = format!(
            "auth_key={}&auth_timestamp={}&auth_version=1.0&body_md5={}",
            self.key(),
            unix_seconds(),
            hex(&Md5::digest(body)),
        );
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("POST\n{path}\n{query}").as_bytes());
        let signature = hex(&mac.finalize().into_bytes());
        self.request("POST", &format!("{path}?{query}&auth_signature={signature}"), body)
    }

    fn request(&self, method: &str, target: &str, body: &str) -> io::Result<(u16, String)> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port()));
        let tcp = TcpStream::connect_timeout(&address, REQUEST_LIMIT)?;
        tcp.set_read_timeout(Some(REQUEST_LIMIT))?;
        tcp.set_write_timeout(Some(REQUEST_LIMIT))?;
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len(),
        );
        match &self.tls {
            None => exchange(tcp, &request),
            Some(tls) => {
                let name = ServerName::try_from("localhost").unwrap();
                let session = ClientConnection::new(Arc::clone(&tls.client), name)
                    .map_err(io::Error::other)?;
                exchange(StreamOwned::new(session, tcp), &request)
            }
        }
    }
}

/// soketi responds to refused requests with 200 too.
pub(crate) fn accepted(status: u16, reply: &str) -> bool {
    let reply: Value = serde_json::from_str(reply).unwrap_or_default();
    status == 200 && reply["ok"] == true
}

fn exchange(mut stream: impl Read + Write, request: &str) -> io::Result<(u16, String)> {
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut reply = Vec::new();
    let mut part = [0; 4096];
    // By the announced length: not every server ends its TLS session properly.
    let (status, body, length) = loop {
        if let Some(head_and_length) = whole_reply(&reply) {
            break head_and_length;
        }
        match stream.read(&mut part)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => reply.extend_from_slice(&part[..n]),
        }
    };
    Ok((status, String::from_utf8_lossy(&reply[body..body + length]).into_owned()))
}

/// The status, the body's offset and its length, once all of it is there.
fn whole_reply(reply: &[u8]) -> Option<(u16, usize, usize)> {
    let body = reply.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&reply[..body]).to_ascii_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.map_or(0, |length| length.trim().parse().unwrap());
    (reply.len() >= body + length).then_some((status, body, length))
}

fn installed() -> Option<PathBuf> {
    let named = std::env::var_os(WHERE).map(PathBuf::from);
    let folder = named
        .clone()
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/cache/soketi"));
    let program = folder.join("node_modules/@soketi/soketi/bin/server.js");
    if program.is_file() {
        return Some(program);
    }
    assert!(named.is_none(), "{WHERE} names {}, which holds no soketi; {HOW}", folder.display());
    assert!(std::env::var_os(REQUIRE).is_none(), "{REQUIRE} is set, but soketi is missing; {HOW}");
    static ONCE: Once = Once::new();
    let tests = "soketi is not installed: its tests did NOT run";
    skipped(&ONCE, &format!("{tests}; {HOW}, or name its folder in {WHERE}"));
    None
}

/// Ends soketi when its standard input closes, so that it does not outlive tests that were killed.
const PRELOAD: &str = "process.stdin.on('end', () => process.exit(0)).resume();";

#[derive(Debug)]
struct Process {
    child: Child,
    _stdin: Option<ChildStdin>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn config(port: u16, certificates: Option<&PathBuf>) -> Value {
    let app = |id: &str, key: &str, secret: &str, connections: i32, enabled: bool| {
        json!({
            "id": id, "key": key, "secret": secret,
            "enabled": enabled,
            "maxConnections": connections,
            "enableClientMessages": true,
            "enableUserAuthentication": id == "app-id",
            "maxBackendEventsPerSecond": -1,
            "maxClientEventsPerSecond": 100,
            "maxReadRequestsPerSecond": -1,
            "webhooks": [],
        })
    };
    // Dotted keys: an object would replace soketi's defaults instead of adding to them.
    let mut config = json!({
        "host": "127.0.0.1",
        "port": port,
        // These listen whether in use or not, and by default to the whole network.
        "metrics.enabled": false,
        "metrics.host": "127.0.0.1",
        "metrics.port": port + 1,
        "cluster.hostname": "127.0.0.1",
        "cluster.address": "127.0.0.1",
        "cluster.unicast": "127.0.0.1",
        "cluster.port": port + 2,
        "shutdownGracePeriod": 100,
        // Else a connection that does not sign in is closed after 30 s.
        "userAuthenticationTimeout": 3_600_000,
        "adapter.driver": "local",
        "queue.driver": "sync",
        "cache.driver": "memory",
        "rateLimiter.driver": "local",
        "appManager.driver": "array",
        "appManager.array.apps": [
            app("app-id", "app-key", "app-secret", -1, true),
            app("app-one", ONE_CONNECTION_KEY, "secret-one", 1, true),
            app("app-off", DISABLED_KEY, "secret-off", -1, false),
        ],
    });
    if let Some(folder) = certificates {
        config["ssl.certPath"] = json!(folder.join("cert.pem"));
        config["ssl.keyPath"] = json!(folder.join("key.pem"));
    }
    config
}

impl Tls {
    /// A new authority and a certificate of its making, written to `cert.pem` and `key.pem`.
    fn write_to(folder: &Path) -> Self {
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "pusher-channels test authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();

        let key = KeyPair::generate().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut server = CertificateParams::new(names).unwrap();
        server.distinguished_name.push(DnType::CommonName, "localhost");
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        let server = server.signed_by(&key, &authority).unwrap();
        fs::write(folder.join("cert.pem"), server.pem()).unwrap();
        fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();

        let ca_pem = authority.pem();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
        // Named, for when a feature adds a second provider and rustls cannot choose.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { ca_pem, client: Arc::new(client) }
    }
}

/// Three ports in a row for soketi, and a fourth that is held to keep other tests, in this process or another, off
/// them: soketi shares its port with whoever asks, so that a clash would go unnoticed.
#[derive(Debug)]
struct Ports {
    base: u16,
    _held: UdpSocket,
}

impl Ports {
    fn reserve() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Below what systems hand out for port 0 and for outgoing connections.
        const FIRST: u32 = 20_000;
        const COUNT: u32 = 3_000;
        for _ in 0..COUNT {
            let turn = NEXT.fetch_add(1, Ordering::Relaxed);
            let slot = std::process::id().wrapping_mul(37).wrapping_add(turn) % COUNT;
            let base = u16::try_from(FIRST + slot * 4).unwrap();
            let local = |offset| (Ipv4Addr::LOCALHOST, base + offset);
            let Ok(held) = UdpSocket::bind(local(3)) else {
                continue;
            };
            if TcpListener::bind(local(0)).is_ok()
                && TcpListener::bind(local(1)).is_ok()
                && UdpSocket::bind(local(2)).is_ok()
            {
                return Self { base, _held: held };
            }
        }
        panic!("no free ports for soketi");
    }
}

#[derive(Debug)]
struct TempDir(PathBuf);

impl TempDir {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pusher-channels-soketi-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // Left by a killed run with the same process id.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether `done` came true in time. A process says nothing when it is ready or gone, so this has to ask.
#[expect(clippy::disallowed_methods, reason = "a real process keeps real time")]
fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if done() {
            return true;
        }
        if start.elapsed() > limit {
            return false;
        }
        thread::park_timeout(POLL);
    }
}

#[expect(clippy::disallowed_methods, reason = "the server checks against the real time")]
fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
