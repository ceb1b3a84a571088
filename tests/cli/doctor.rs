//! `doctor`, with each failure that it explains.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use pusher_channels::testing::Server;

use crate::support::{Ended, run};

fn doctor(port: u16, arguments: &[&str]) -> Ended {
    let port = port.to_string();
    run(&[&["doctor", "--host", "127.0.0.1", "--port", &port, "--timeout", "5s"], arguments]
        .concat())
}

/// Checks the last check, its exit code, and what is advised.
#[track_caller]
fn assert_failed(ended: &Ended, code: i32, check: &str, what: &str, advice: &str) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    let lines: Vec<&str> = ended.out.lines().collect();
    let [passed @ .., failed, advised] = lines.as_slice() else {
        panic!("{ended:?}");
    };
    assert!(passed.iter().all(|line| !line.starts_with("FAILED")), "{ended:?}");
    assert!(failed.starts_with(&format!("FAILED   {check} ")), "{ended:?}");
    assert!(failed.contains(what), "{ended:?}");
    assert!(advised.starts_with("         ") && advised.contains(advice), "{ended:?}");
}

/// Accepts connections, and passes each to `serve` until the program ends.
fn listener(serve: impl Fn(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.unwrap());
        }
    });
    port
}

/// Responds to each request with this text.
fn responder(response: &'static str) -> u16 {
    listener(move |mut stream| {
        let mut request: Vec<u8> = Vec::new();
        let mut buffer = [0; 1024];
        while !request.windows(4).any(|end: &[u8]| end == b"\r\n\r\n") {
            match stream.read(&mut buffer) {
                Ok(length) if length > 0 => request.extend(&buffer[..length]),
                _ => return,
            }
        }
        // The program may not want to read it.
        let _ = stream.write_all(response.as_bytes());
    })
}

#[test]
fn healthy_server_passes_every_check() {
    let server = Server::start().unwrap();
    let ended = doctor(
        server.port(),
        &["--plain", "--key", server.key(), "--auth-endpoint", &server.auth_url()],
    );
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    let checks =
        ["options", "name", "tcp", "tls", "upgrade", "establishment", "ping", "auth endpoint"];
    for check in checks.into_iter().chain(["subscription"]) {
        assert!(ended.out.contains(&format!("ok       {check} ")), "{check}: {}", ended.out);
    }
    assert!(
        ended.out.contains("private-pusher-channels-doctor: the server accepts"),
        "{}",
        ended.out
    );
}

#[test]
fn wrong_host_name_is_explained() {
    let ended = run(&["doctor", "--host", "no-such-host.invalid", "--key", "k", "--timeout", "5s"]);
    assert!(matches!(ended.code, Some(3 | 5)), "{ended:?}");
    let code = ended.code.unwrap();
    assert_failed(&ended, code, "name", "`no-such-host.invalid`", "check the spelling");
}

#[test]
fn closed_port_is_explained() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ended = doctor(port, &["--plain", "--key", "k"]);
    assert_failed(&ended, 5, "tcp", "refused", "nothing listens on this port");
}

#[test]
fn plain_server_where_tls_is_expected_is_recognized() {
    let server = Server::start().unwrap();
    let ended = doctor(server.port(), &["--key", server.key()]);
    assert_failed(&ended, 5, "tls", "", "add --plain");
}

#[test]
fn another_http_server_is_recognized() {
    let port =
        responder("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let ended = doctor(port, &["--plain", "--key", "k"]);
    assert_failed(&ended, 5, "upgrade", "404", "there is no app at this path");
    let port = responder("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let ended = doctor(port, &["--plain", "--key", "k"]);
    assert_failed(&ended, 5, "upgrade", "200", "another server listens");
}

#[test]
fn wrong_key_is_explained() {
    let server = Server::start().unwrap();
    let ended = doctor(server.port(), &["--plain", "--key", "wrong"]);
    assert_failed(&ended, 4, "establishment", "4001", "no app has this key");
}

#[test]
fn wrong_clock_is_explained() {
    let old = "HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: close\r\n\r\n";
    let server = Server::start().unwrap();
    let port = gateway(server.port(), old);
    let ended = doctor(port, &["--plain", "--key", server.key()]);
    assert_failed(&ended, 1, "clock", "s ahead of the server", "set the clock");
    assert!(ended.out.contains("ok       subscription "), "{ended:?}");
}

/// Passes WebSockets to the server, and responds to any other request with this text.
fn gateway(server: u16, response: &'static str) -> u16 {
    listener(move |mut stream| {
        let mut request = [0; 4096];
        let Ok(length) = stream.read(&mut request) else {
            return;
        };
        if !request.starts_with(b"GET /app/") {
            // The program may not want to read it.
            let _ = stream.write_all(response.as_bytes());
            return;
        }
        let mut upstream = TcpStream::connect(("127.0.0.1", server)).unwrap();
        upstream.write_all(&request[..length]).unwrap();
        let copies = [(&stream, &upstream), (&upstream, &stream)]
            .map(|(from, to)| (from.try_clone().unwrap(), to.try_clone().unwrap()));
        for (mut from, mut to) in copies {
            thread::spawn(move || {
                // The end of one side ends the other.
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
    })
}

#[cfg(tls)]
mod tls {
    use std::fs;
    use std::path::PathBuf;

    use pusher_channels::testing::{Server, Settings};

    use super::{assert_failed, doctor};
    use crate::support::{Running, command};

    /// A certificate of an authority of its own, in files.
    struct Files(PathBuf);

    impl Files {
        /// `name` is that of the test.
        fn new(name: &str) -> Self {
            let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
            fs::create_dir_all(&folder).unwrap();
            let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
            fs::write(folder.join("certificate.pem"), own.cert.pem()).unwrap();
            fs::write(folder.join("key.pem"), own.signing_key.serialize_pem()).unwrap();
            Self(folder)
        }

        fn path(&self, file: &str) -> String {
            self.0.join(file).to_str().unwrap().to_owned()
        }

        fn server(&self) -> Server {
            let read = |file| fs::read(self.path(file)).unwrap();
            let settings = Settings::default().tls(&read("certificate.pem"), &read("key.pem"));
            Server::start_with(settings).unwrap()
        }
    }

    #[test]
    fn unknown_authority_is_explained() {
        let files = Files::new("unknown_authority");
        let server = files.server();
        let ended = doctor(server.port(), &["--key", server.key()]);
        assert_failed(&ended, 5, "tls", "certificate", "name it with --ca");
        let certificate = files.path("certificate.pem");
        let ended = doctor(server.port(), &["--key", server.key(), "--ca", &certificate]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.out.contains("ok       tls "), "{ended:?}");
        let ended = doctor(server.port(), &["--key", server.key(), "--insecure"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.err.starts_with("warning: certificates are not checked"), "{ended:?}");
        assert!(!ended.out.contains("is trusted"), "{ended:?}");
    }

    #[test]
    fn tls_server_where_none_is_expected_is_recognized() {
        let server = Files::new("tls_server").server();
        let ended = doctor(server.port(), &["--plain", "--key", server.key()]);
        assert_failed(&ended, 5, "upgrade", "", "remove --plain");
    }

    #[test]
    fn development_server_serves_tls() {
        let files = Files::new("serves_tls");
        let (certificate, key) = (files.path("certificate.pem"), files.path("key.pem"));
        let serve = ["serve", "--port", "0", "--tls", &certificate, &key];
        let mut served = Running::start(command(&serve));
        served.wait_out("# listening on wss://127.0.0.1:");
        let port = served.wait_out("PUSHER_PORT=");
        served.wait_out("PUSHER_SCHEME=https");
        let port = port.trim_start_matches("PUSHER_PORT=").parse().unwrap();
        let ended = doctor(port, &["--key", "app-key", "--ca", &certificate]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

#[test]
fn faults_of_the_auth_endpoint_are_told_apart() {
    let server = Server::start().unwrap();
    let check = || {
        let url = server.auth_url();
        doctor(server.port(), &["--plain", "--key", server.key(), "--auth-endpoint", &url])
    };
    server.fail_auth(404);
    assert_failed(&check(), 4, "auth endpoint", "404", "check the URL of the endpoint");
    server.fail_auth(401);
    assert_failed(&check(), 4, "auth endpoint", "401", "--auth-header");
    server.fail_auth(200);
    server.auth_body(Some("<!doctype html><title>Log in</title>"));
    assert_failed(&check(), 4, "auth endpoint", "HTML page", "login page");
    server.auth_body(Some(r#"{"token":"x"}"#));
    assert_failed(&check(), 4, "auth endpoint", "auth", "KEY:SIGNATURE");
    let signature = "0".repeat(64);
    server.auth_body(Some(&format!(r#"{{"auth":"{}:{signature}"}}"#, server.key())));
    let ended = check();
    assert_failed(&ended, 4, "subscription", "", "does not accept the signature");
    assert!(!ended.out.contains(&signature), "{ended:?}");
}

#[test]
fn wrong_secret_is_explained_and_not_shown() {
    let server = Server::start().unwrap();
    let ended = doctor(server.port(), &["--plain", "--key", server.key(), "--secret", "canary"]);
    assert_failed(&ended, 4, "subscription", "", "the secret must be that of this app key");
    assert!(!format!("{ended:?}").contains("canary"), "{ended:?}");
}
