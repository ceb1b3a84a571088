//! pusher-js in a browser, on a page of another origin.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

use pusher_channels::testing::{Server, Settings};
use serde_json::{Value, json};

use super::{LIMIT, Running, missing, packages};
use crate::support::{listen, spawn};

const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><script src="/pusher.js"></script><script>
  const report = (what) => fetch('/report', { method: 'POST', body: JSON.stringify(what) });
  window.onerror = (message) => report({ failed: message });
  const server = SERVER;
  const pusher = new Pusher(server.key, {
    cluster: '', wsHost: '127.0.0.1', wsPort: server.port, forceTLS: false, enabledTransports: ['ws'],
    channelAuthorization: {
      endpoint: server.auth,
      params: { user_id: 'web' },
      headers: { 'X-CSRF-TOKEN': 'token', Authorization: 'Bearer token' },
    },
  });
  for (const name of ['private-room', 'presence-room']) {
    const channel = pusher.subscribe(name);
    channel.bind('pusher:subscription_succeeded', (data) => report({ joined: name, me: data.myID }));
    channel.bind('pusher:subscription_error', (error) => report({ failed: error }));
    channel.bind('message', (data) => report({ received: name, data }));
  }
</script>"#;

fn browser() -> Option<PathBuf> {
    let paths = env::var_os("PATH").unwrap_or_default();
    let mut programs = env::split_paths(&paths)
        .flat_map(|folder| BROWSERS.map(|name| folder.join(name)))
        .filter(|program| program.is_file());
    programs.next().or_else(|| missing("there is no Chromium"))
}

/// Serves the page and the library; what the page reports goes to the receiver.
fn serve(page: String, library: Vec<u8>) -> (u16, Receiver<Value>) {
    let (listener, _) = listen();
    let port = listener.local_addr().unwrap().port();
    let (report, reports) = channel();
    // It ends with the process of the tests.
    let _done = spawn(move || accept(&listener, &page, &library, &report));
    (port, reports)
}

fn accept(listener: &TcpListener, page: &str, library: &[u8], report: &Sender<Value>) {
    for stream in listener.incoming() {
        // A browser opens connections that it may not use.
        let (page, library, report) = (page.to_owned(), library.to_vec(), report.clone());
        let _done = spawn(move || respond(stream.unwrap(), &page, &library, &report));
    }
}

fn respond(stream: TcpStream, page: &str, library: &[u8], report: &Sender<Value>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).ok().filter(|read| *read > 0)?;
    }
    let (kind, content) = if head.starts_with("POST /report ") {
        let lower = head.to_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "))?;
        let mut body = vec![0; length.parse().ok()?];
        reader.read_exact(&mut body).ok()?;
        report.send(serde_json::from_slice(&body).ok()?).ok()?;
        ("text/plain", &b""[..])
    } else if head.starts_with("GET /pusher.js ") {
        ("text/javascript", library)
    } else {
        ("text/html", page.as_bytes())
    };
    let length = content.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    reader.get_mut().write_all(&[head.as_bytes(), content].concat()).ok()
}

/// The folder of the browser's own files.
struct Profile(PathBuf);

impl Profile {
    fn new() -> Self {
        let folder =
            env::temp_dir().join(format!("pusher-channels-browser-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn page_of_another_origin_joins_a_private_and_a_presence_channel() {
    let Some((modules, program)) = packages().zip(browser()) else { return };
    let library = fs::read(modules.join("pusher-js/dist/web/pusher.min.js")).unwrap();
    for allowed in [true, false] {
        let server = Server::start_with(Settings::default().cors(allowed)).unwrap();
        let settings = json!({
            "port": server.port(), "key": server.key(),
            "auth": server.auth_url().replace("/pusher/", "/broadcasting/"),
        });
        let (port, reports) = serve(PAGE.replace("SERVER", &settings.to_string()), library.clone());
        let profile = Profile::new();
        let mut command = Command::new(&program);
        command
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.0.display()))
            .arg(format!("http://localhost:{port}/"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let running = Running(command.spawn().unwrap());
        let next = || reports.recv_timeout(LIMIT).unwrap();
        if !allowed {
            // The browser keeps the response from the page.
            assert!(next()["failed"].is_object() && next()["failed"].is_object());
            assert_eq!(server.subscribers("private-room"), 0);
            continue;
        }
        let mut joined = [next(), next()];
        joined.sort_by_key(Value::to_string);
        let expected =
            [json!({"joined": "presence-room", "me": "web"}), json!({"joined": "private-room"})];
        assert_eq!(joined, expected);
        let sent = server.auth_requests();
        assert!(sent.iter().all(|request| request.header("authorization") == Some("Bearer token")));
        server.publish("private-room", "message", &json!({"text": "ä"}));
        let expected = json!({"received": "private-room", "data": {"text": "ä"}});
        assert_eq!(next(), expected);
        drop(running);
    }
}
