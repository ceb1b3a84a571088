//! The cause of a failure in the error of a wait, and in the log.

use std::io::Write;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use log::{Level, LevelFilter};
use pusher_channels::testing::Server;
use pusher_channels::{
    AuthRequest, Client, Error, ErrorKind, Options, State, Timeout, UserAuthRequest,
};

use crate::support::{SOON, alone, confirm_room, establish, listen, log_to, now, quick, spawn};

/// For waits that must time out.
const SHORT: Duration = Duration::from_millis(250);

fn source(error: &Error) -> &Error {
    let source = std::error::Error::source(error).expect("a source");
    source.downcast_ref().expect("an error of this library")
}

#[test]
fn wait_connected_says_why_the_dials_failed() {
    let (listener, options) = listen();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = quick(options).build().unwrap();
    let error = client.wait_connected(Duration::from_millis(1)).unwrap_err();
    let text = "timed out after 1 ms waiting for the connection; call connect() first";
    assert_eq!(error.to_string(), text);
    client.connect();
    let error = client.wait_connected(SHORT).unwrap_err();
    assert_eq!((error.kind(), error.timeout()), (ErrorKind::Timeout, Some(Timeout::Wait)));
    assert_eq!(source(&error).kind(), ErrorKind::Io);
    let start =
        format!("timed out after 250 ms waiting for the connection: connecting to {address}");
    let text = error.to_string();
    assert!(text.starts_with(&format!("{start} failed: ")), "{text}");
    assert!(!text.contains("os error"), "{text}");
    #[cfg(unix)]
    assert!(text.ends_with(": connection refused"), "{text}");
    assert_eq!(format!("{error:#}"), text, "nothing twice");
    let error = client.wait_signed_in(SHORT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotSignedIn);
    client.close(SOON).unwrap();
}

#[test]
fn wait_shorter_than_the_dial_says_that_there_is_no_result_yet() {
    // Never accepted.
    let (listener, options) = listen();
    let address = listener.local_addr().unwrap();
    let client = Client::new(options).unwrap();
    let chat = client.public_channel("chat").unwrap();
    chat.subscribe();
    let error = chat.wait_subscribed(Duration::from_millis(1)).unwrap_err();
    assert!(error.to_string().ends_with("; call connect() first"), "{error}");
    client.connect();
    let error = chat.wait_subscribed(SHORT).unwrap_err();
    let text = format!(
        "timed out after 250 ms waiting for the subscription (channel chat): connecting to `{address}` has no \
         result yet (connect_timeout is 15 s)"
    );
    assert_eq!(error.to_string(), text);
    assert_eq!(source(&error).timeout(), Some(Timeout::Connect));
    client.close(SOON).unwrap();
}

#[test]
fn wait_signed_in_says_why_the_sign_in_or_the_connection_failed() {
    let (listener, options) = listen();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = quick(options).build().unwrap();
    client.signin();
    client.connect();
    let error = client.wait_signed_in(SHORT).unwrap_err();
    let start = format!("timed out after 250 ms waiting for the sign-in: connecting to {address}");
    assert!(error.to_string().starts_with(&start), "{error}");
    client.close(SOON).unwrap();

    let server = Server::start().unwrap();
    let busy = |_: &UserAuthRequest| {
        Err::<pusher_channels::UserAuth, _>(Error::new(ErrorKind::RateLimited, "busy"))
    };
    let client = quick(server.options()).user_authenticator(busy).build().unwrap();
    let errors = client.user().bind_signin_error();
    client.signin();
    client.connect();
    errors.recv_timeout(SOON).unwrap();
    let error = client.wait_signed_in(SHORT).unwrap_err();
    assert_eq!(source(&error).to_string(), "busy");
    assert_eq!(error.to_string(), "timed out after 250 ms waiting for the sign-in: busy");
    client.close(SOON).unwrap();
}

/// Why the client lost the connection that ends so.
fn end(end: impl FnOnce(tungstenite::WebSocket<std::net::TcpStream>) + Send + 'static) -> Error {
    let (listener, options) = listen();
    let client = quick(options).build().unwrap();
    let states = client.bind_states();
    let _ended = spawn(move || {
        let socket = establish(&listener);
        end(socket);
    });
    client.connect();
    loop {
        let change = states.recv_timeout(SOON).unwrap();
        if change.current == State::Reconnecting {
            client.close(SOON).unwrap();
            return change.cause.unwrap();
        }
    }
}

#[test]
fn close_without_a_code_differs_from_an_end_without_a_close_frame() {
    let error = end(|mut socket| {
        socket.get_mut().write_all(&[0x88, 0]).unwrap();
        // Until the client has responded.
        while socket.read().is_ok() {}
    });
    assert_eq!(error.to_string(), "the server closed the connection without a code");
    let cut = end(drop);
    assert_eq!(cut.to_string(), "the connection ended without a close frame");
    assert!(error.is_retryable() && cut.is_retryable());
    assert_eq!((error.close_code(), cut.close_code()), (None, None));
}

/// The first program of the documentation, up to where it would receive.
fn first_program(options: Options) -> Result<(), Error> {
    let client = Client::new(options)?;
    let chat = client.public_channel("chat")?;
    let messages = chat.bind("message");
    chat.subscribe();
    client.connect();
    chat.wait_subscribed(SOON)?;
    drop(messages);
    Ok(())
}

#[test]
fn first_program_of_the_documentation_explains_a_wrong_key() {
    let server = Server::start().unwrap();
    first_program(server.options()).unwrap();
    let wrong = server.url().replace(server.key(), "wrong-key");
    let begin = now();
    let error = first_program(Options::url(&wrong)).unwrap_err();
    assert!(now() - begin < SOON, "it does not wait for its limit");
    assert_eq!(error.close_code(), Some(4001));
    assert!(error.to_string().contains("check the app key"), "{error}");
}

static LINES: Mutex<Vec<(Level, String)>> = Mutex::new(Vec::new());

fn lines_of(level: Level) -> Vec<String> {
    let lines = LINES.lock().unwrap();
    lines.iter().filter(|(at, _)| *at == level).map(|(_, text)| text.clone()).collect()
}

static CLIENT: OnceLock<Client> = OnceLock::new();

/// A cause whose text needs the client's lock, and then panics.
#[derive(Debug)]
struct Nasty;

impl std::fmt::Display for Nasty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let client = CLIENT.get().unwrap();
        write!(f, "state {:?}", client.state())?;
        panic!("a cause that panics, state {:?}", client.state())
    }
}

impl std::error::Error for Nasty {}

#[test]
fn log_lines_name_the_target_without_the_key_and_survive_panicking_causes() {
    alone(|| {
        log_to(LevelFilter::Info, |record| {
            if record.target() == "pusher_channels::protocol" {
                // Formatted without the lock: it may call the client, or panic.
                let text = record.args().to_string();
                LINES.lock().unwrap().push((record.level(), text));
            }
        });
        let (listener, options) = listen();
        let address = listener.local_addr().unwrap();
        let nasty = |request: &AuthRequest| {
            assert_eq!(request.attempt(), 1);
            Err::<pusher_channels::Auth, _>(Error::new(ErrorKind::Auth, Nasty))
        };
        let client = quick(options.path_prefix("/canary")).authorizer(nasty).build().unwrap();
        let client = CLIENT.get_or_init(|| client);
        let room = client.public_channel("room").unwrap();
        let private = client.private_channel("private-room").unwrap();
        let failures = private.bind_subscription_error();
        private.subscribe();
        client.connect();
        let mut socket = establish(&listener);
        failures.recv_timeout(SOON).unwrap();
        // The client goes on.
        room.subscribe();
        confirm_room(&mut socket);
        room.wait_subscribed(SOON).unwrap();
        drop((socket, listener));
        let limit = now() + SOON;
        while lines_of(Level::Warn).is_empty() {
            assert!(now() < limit, "{LINES:?}");
            std::thread::yield_now();
        }
        client.close(SOON).unwrap();
        let infos = lines_of(Level::Info);
        let begins = [
            format!("connected to `{address}` (attempt 1)"),
            format!("subscribed to `room` at `{address}`"),
            format!("lost the connection to `{address}` after "),
        ];
        assert_eq!(infos.len(), begins.len(), "{infos:?}");
        for (line, begin) in infos.iter().zip(begins) {
            assert!(line.starts_with(&begin), "{line}");
        }
        let warnings = lines_of(Level::Warn);
        let begin =
            format!("the connection to `{address}` failed: connecting to {address} failed: ");
        assert!(warnings[0].starts_with(&begin), "{warnings:?}");
        assert!(!format!("{infos:?}{warnings:?}").contains("canary"));
    });
}
