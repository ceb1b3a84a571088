//! Through tinyproxy and microsocks, as Debian packs them. Each test starts its own.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use pusher_channels::testing::Server;
use pusher_channels::{ErrorKind, Proxy};

use super::{failure, passes, to};
use crate::support::{SOON, now, skipped};

/// If set, the programs must be installed; otherwise the tests are skipped.
const REQUIRE: &str = "PUSHER_CHANNELS_PROXIES";
const USER: &str = "user";
const PASSWORD: &str = "canary1";
/// As in a URL.
const CREDENTIALS: &str = "user:%63anary1@";

/// A proxy on a port of this machine. Dropping it kills the process and removes its files.
struct Running {
    child: Child,
    address: SocketAddr,
    folder: PathBuf,
}

impl Running {
    /// `None` if [`REQUIRE`] is not set.
    fn start(program: &str, arguments: impl Fn(u16, &PathBuf) -> Vec<String>) -> Option<Self> {
        if std::env::var_os(REQUIRE).is_none() {
            static ONCE: Once = Once::new();
            let tests = "the tests with tinyproxy and microsocks did NOT run";
            skipped(&ONCE, &format!("{tests}; install both and set {REQUIRE}"));
            return None;
        }
        let folder = folder();
        // A port that was free a moment ago may be taken by now.
        for _ in 0..10 {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            drop(listener);
            let child = Command::new(program)
                .args(arguments(address.port(), &folder))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|error| panic!("{REQUIRE} is set, but {program}: {error}"));
            let mut running = Self { child, address, folder: folder.clone() };
            if running.is_ready() {
                return Some(running);
            }
            drop(running);
            fs::create_dir(&folder).unwrap();
        }
        panic!("{program} does not start");
    }

    fn is_ready(&mut self) -> bool {
        let deadline = now() + SOON;
        while now() < deadline && self.child.try_wait().unwrap().is_none() {
            if TcpStream::connect_timeout(&self.address, SOON).is_ok() {
                return self.child.try_wait().unwrap().is_none();
            }
            // A process does not report that it is ready.
            thread::park_timeout(Duration::from_millis(25));
        }
        false
    }

    fn proxy(&self, scheme: &str, credentials: &str) -> Proxy {
        Proxy::new(&format!("{scheme}://{credentials}{}", self.address)).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("pusher-channels-proxy-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    // Left by a killed run with the same process id.
    let _ = fs::remove_dir_all(&path);
    fs::create_dir(&path).unwrap();
    path
}

fn tinyproxy(more: &str) -> Option<Running> {
    Running::start("tinyproxy", |port, folder| {
        let file = folder.join("tinyproxy.conf");
        let config = format!(
            "Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 60\nMaxClients 20\n{more}\n"
        );
        fs::write(&file, config).unwrap();
        vec!["-d".to_owned(), "-c".to_owned(), file.to_str().unwrap().to_owned()]
    })
}

fn microsocks(credentials: bool) -> Option<Running> {
    Running::start("microsocks", |port, _| {
        let port = port.to_string();
        let mut arguments = vec!["-i", "127.0.0.1", "-p", &port];
        if credentials {
            arguments.extend(["-u", USER, "-P", PASSWORD]);
        }
        arguments.into_iter().map(str::to_owned).collect()
    })
}

#[test]
fn tinyproxy_connects() {
    let server = Server::start().unwrap();
    let Some(open) = tinyproxy("") else { return };
    passes(&server, "localhost", open.proxy("http", ""));
    #[cfg(tls)]
    super::tls::passes("localhost", open.proxy("http", ""));
}

#[test]
fn tinyproxy_checks_credentials() {
    let server = Server::start().unwrap();
    let Some(closed) = tinyproxy(&format!("BasicAuth {USER} {PASSWORD}")) else { return };
    passes(&server, "127.0.0.1", closed.proxy("http", CREDENTIALS));
    for (credentials, part) in [("", "requires credentials"), ("user:canary@", "does not accept")] {
        let error = failure(server.options(), closed.proxy("http", credentials));
        assert_eq!(error.kind(), ErrorKind::Proxy, "{error:?}");
        assert!(matches!(error.http_status(), Some(401 | 407)), "{error:?}");
        assert!(!error.is_retryable());
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn tinyproxy_refusals_and_unreachable_targets_are_reported() {
    let server = Server::start().unwrap();
    let Some(narrow) = tinyproxy("ConnectPort 1") else { return };
    let error = failure(server.options(), narrow.proxy("http", ""));
    assert_eq!((error.kind(), error.http_status()), (ErrorKind::Proxy, Some(403)), "{error:?}");
    let error = failure(to(&server, "127.0.0.1").port(1), narrow.proxy("http", ""));
    assert_eq!(error.kind(), ErrorKind::Proxy, "{error:?}");
    assert!(error.http_status().is_some_and(|status| status >= 500), "{error:?}");
    assert!(error.is_retryable());
}

#[test]
fn microsocks_connects() {
    let server = Server::start().unwrap();
    let Some(open) = microsocks(false) else { return };
    for scheme in ["socks5", "socks5h"] {
        passes(&server, "127.0.0.1", open.proxy(scheme, ""));
        passes(&server, "127.0.0.1", open.proxy(scheme, CREDENTIALS));
    }
    #[cfg(tls)]
    super::tls::passes("127.0.0.1", open.proxy("socks5", ""));
}

#[test]
fn microsocks_checks_credentials() {
    let server = Server::start().unwrap();
    let Some(closed) = microsocks(true) else { return };
    passes(&server, "127.0.0.1", closed.proxy("socks5", CREDENTIALS));
    for (credentials, part) in [("", "requires credentials"), ("user:canary@", "does not accept")] {
        let error = failure(server.options(), closed.proxy("socks5", credentials));
        assert_eq!(error.kind(), ErrorKind::Proxy, "{error:?}");
        assert!(!error.is_retryable());
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn microsocks_unreachable_target_is_reported() {
    let server = Server::start().unwrap();
    let Some(open) = microsocks(false) else { return };
    let error = failure(to(&server, "127.0.0.1").port(1), open.proxy("socks5", ""));
    assert_eq!(error.kind(), ErrorKind::Proxy, "{error:?}");
    assert!(error.is_retryable() && error.to_string().contains("reply 5"), "{error}");
}
