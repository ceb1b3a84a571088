//! Secrets appear neither in the log nor in `Debug` and `Display`.
//!
//! A text with `canary` in it is a secret: no record of any level and no `Debug` or `Display` may have it.
//! One with `parcel` in it is what events carry: records of the level `trace` may.

use std::error::Error as _;
use std::fmt::{Debug, Write as _};
use std::io::{Read, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use log::{Level, LevelFilter, Record};
use pusher_channels::testing::{ChannelRefusal, Server, Settings, SigninRefusal};
use pusher_channels::{
    Auth, AuthRequest, Authorizer, Channel, Client, Error, ErrorKind, HttpAuthorizer,
    HttpUserAuthenticator, Options, PrivateChannel, PrivateEncryptedChannel, Proxy,
    SecretAuthorizer, State, Tls, UserAuth, UserAuthRequest, UserAuthenticator,
};
use serde_json::{Value, json};

use super::{as_member, connected, fails, http, join, receives, secret};
use crate::support::{SOON, alone_as, listen, log_to, next, quick, spawn};

/// Every record, with its level.
static LOGGED: Mutex<Vec<(Level, String)>> = Mutex::new(Vec::new());
/// What was formatted.
static SHOWN: Mutex<String> = Mutex::new(String::new());

/// The libraries for HTTP and WebSocket log what they send and receive, which cannot be switched off; the
/// crate's documentation says so. Everything else is kept.
fn keep(record: &Record<'_>) {
    if ["ureq", "tungstenite"].iter().any(|library| record.target().starts_with(library)) {
        return;
    }
    let line = format!("{} {}: {}", record.level(), record.target(), record.args());
    LOGGED.lock().unwrap_or_else(PoisonError::into_inner).push((record.level(), line));
}

fn show(value: &dyn Debug) {
    writeln!(SHOWN.lock().unwrap(), "{value:?}\n{value:#?}").unwrap();
}

/// Shows an error with its chain of sources.
fn show_error(error: &Error) {
    show(error);
    let mut shown = SHOWN.lock().unwrap();
    write!(shown, "{error}").unwrap();
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(shown, " <- {error} {error:?}").unwrap();
        cause = error.source();
    }
    shown.push('\n');
}

/// Sets everything up, runs `body`, and looks at all that was logged and shown for these and for canaries.
fn watched<F: FnOnce() -> Vec<String>>(body: F) {
    alone_as::<F>(|| {
        log_to(LevelFilter::Trace, keep);
        // The tests' own panics carry canaries; those of the library must not.
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let own = panic.location().is_some_and(|at| at.file().starts_with("tests"));
            if !own {
                writeln!(SHOWN.lock().unwrap_or_else(PoisonError::into_inner), "{panic}").unwrap();
            }
            default(panic);
        }));
        let mut canaries = body();
        canaries.push("canary".to_owned());
        let logged = LOGGED.lock().unwrap();
        let shown = SHOWN.lock().unwrap();
        for canary in canaries {
            let mut lines = logged.iter().map(|(_, line)| line.as_str()).chain(shown.lines());
            assert!(canary.len() > 5, "{canary} is anywhere");
            assert_eq!(lines.find(|line| line.contains(&canary)), None, "{canary}");
        }
        let above = logged.iter().filter(|(level, _)| *level < Level::Trace);
        let mut lines = above.map(|(_, line)| line.as_str()).chain(shown.lines());
        assert_eq!(lines.find(|line| line.contains("parcel")), None, "what an event carries");
        assert!(shown.len() > 500 && logged.len() > 20, "hardly anything was logged");
    });
}

/// Shows all errors and states of the client at the end.
fn watch(client: &Client) -> impl FnOnce() + use<> {
    let (states, errors) = (client.bind_states(), client.bind_errors());
    let signin_errors = client.user().bind_signin_error();
    move || {
        for change in states.try_iter() {
            show(&change);
            change.cause.iter().for_each(show_error);
        }
        errors.try_iter().chain(signin_errors.try_iter()).for_each(|error| show_error(&error));
    }
}

/// An authorizer with a secret in every setting. It keeps the responses.
fn secretive(server: &Server, kept: &Arc<Mutex<Vec<Value>>>) -> HttpAuthorizer {
    let kept = Arc::clone(kept);
    http(server)
        .header("x-token", "canary-fixed")
        .headers_with(|| vec![("authorization".to_owned(), "canary-bearer".to_owned())])
        .param("session", "canary-param")
        .params_with(|| vec![("fresh".to_owned(), "canary-fresh".to_owned())])
        .parser(move |text| {
            kept.lock().unwrap().extend(serde_json::from_str::<Value>(text).ok());
            Auth::from_json(text)
        })
}

#[test]
fn no_secret_of_channels_is_logged_or_shown() {
    watched(|| {
        let refusal = ChannelRefusal::SubscriptionError(401);
        let settings = Settings::default().secret("canary-app").auth_refusal(refusal);
        let server = Server::start_with(settings).unwrap();
        let responses: Arc<Mutex<Vec<Value>>> = Arc::default();
        let over_http = || secretive(&server, &responses);
        let authorizer = Arc::new(over_http());
        show(&(&authorizer, secret(&server)));
        let client = connected(&server, authorizer);
        let show_all = watch(&client);
        // The server does not send this to members.
        let data = json!({"user_id": "me", "private": "canary-data", "user_info": "parcel-info"});
        let private = client.private_channel("private-room").unwrap();
        let json = client.private_channel_with("private-json", over_http().json()).unwrap();
        let get = client.private_channel_with("private-get", over_http().get()).unwrap();
        let lobby =
            client.presence_channel_with("presence-room", as_member(&server, &data)).unwrap();
        let ward = client.private_encrypted_channel("private-encrypted-room").unwrap();
        for channel in [&private as &dyn Channel, &json, &get, &lobby, &ward] {
            join(channel);
        }
        receives(&server, &ward);
        private.trigger("client-a", "parcel-out").unwrap();
        show_payloads(&server, &client, &private, &ward);
        show_auth_failures(&server, &client, &ward);
        quote_what_was_signed(&server, &client);

        let auth = secret(&server).authorize(&AuthRequest::new("1.2", "private-a")).unwrap();
        show(&(auth, &client, &private, &lobby, &ward, client.stats()));
        lobby.wait_subscribed(SOON).unwrap();
        let members = lobby.members();
        assert_eq!(members.me().unwrap().info(), r#""parcel-info""#);
        show_error(&members.me().unwrap().json::<u8>().unwrap_err());
        show(&(&members, members.me(), &server));
        server.drop_connections();
        client.close(SOON).unwrap();
        show_all();
        secrets_in(&responses.lock().unwrap(), server.encryption_master_key())
    });
}

/// Payloads of events, also where something else was expected.
fn show_payloads(
    server: &Server,
    client: &Client,
    private: &PrivateChannel,
    ward: &PrivateEncryptedChannel,
) {
    let (events, decrypted) = (client.bind("event"), ward.bind("event"));
    let full = client.bind_with("event", pusher_channels::Queue::drop_oldest(1));
    for channel in [private.name(), private.name(), ward.name()] {
        server.publish(channel, "event", "parcel-in");
    }
    for event in [next(&events), next(&events), next(&decrypted)] {
        assert_eq!(event.data(), "parcel-in");
        show(&event);
        show_error(&event.json::<u8>().unwrap_err());
    }
    show(&(events, decrypted, full));
    for invalid in ["parcel", r#"{"event":7,"data":"parcel"}"#, r#"{"event":"e","data":parcel}"#] {
        server.send_raw(invalid);
    }
    show_error(&private.trigger("client-a", &"parcel".repeat(10_000)).unwrap_err());
}

/// Responses that refuse, that are invalid, and an authorizer that panics.
fn show_auth_failures(server: &Server, client: &Client, ward: &PrivateEncryptedChannel) {
    let errors = ward.bind_decryption_error();
    server.rotate_encryption_key("private-encrypted-room");
    server.fail_auth(403);
    server.auth_body(Some(r#"{"error":"canary-param and canary-fresh are no session"}"#));
    server.publish("private-encrypted-room", "event", "parcel");
    show_error(&next(&errors));
    let refused = client.private_channel("private-refused").unwrap();
    refused.subscribe();
    show_error(&fails(&refused));
    server.fail_auth(200);
    for body in [
        "canary",
        r#"{"auth":["canary"]}"#,
        r#"{"auth":"k:canary","shared_secret":"canary"}"#,
        r#"{"auth":"k:s","channel_data":"canary"#,
    ] {
        server.auth_body(Some(body));
        for name in ["private-odd", "private-encrypted-odd"] {
            let odd = client.private_channel(name);
            let Ok(odd) = odd else { continue };
            odd.subscribe();
            show_error(&odd.wait_subscribed(SOON).unwrap_err());
        }
    }
    server.auth_body(None);
    let panicking = |_: &AuthRequest| -> Result<Auth, Error> { panic!("canary-panic") };
    let panicking = client.private_channel_with("private-panic", panicking).unwrap();
    panicking.subscribe();
    show_error(&fails(&panicking));
}

/// Servers quote what was signed.
fn quote_what_was_signed(server: &Server, client: &Client) {
    for message in [
        "Invalid signature: Expected HMAC SHA256 hex digest of 1.2:presence-room:{canary}",
        "Invalid signature: Expected HMAC SHA256 hex digest of 1.2::user::{canary}",
    ] {
        let data = json!({"message": message, "code": 4009});
        server.send_raw(&json!({"event": "pusher:error", "data": data}).to_string());
        let data = json!({"type": "AuthError", "error": message, "status": 401}).to_string();
        let refusal = "pusher:subscription_error";
        let frame = json!({"event": refusal, "channel": "private-room", "data": data});
        server.send_raw(&frame.to_string());
        client.ping(SOON).unwrap();
        let (gone, back) = (client.bind_states(), client.bind_connected());
        server.close_all(4200, &format!("{message}, but got canary"));
        let cause = gone.iter().find_map(|change| change.cause).unwrap();
        assert!(cause.to_string().contains("Invalid signature"), "{cause}");
        next(&back);
    }
}

/// Returns the secrets of the endpoint's responses.
fn secrets_in(responses: &[Value], master_key: String) -> Vec<String> {
    let logged = LOGGED.lock().unwrap();
    let traced = |text: &str| logged.iter().any(|(_, line)| line.contains(text));
    assert!(traced("pusher_channels::frames"), "frames are logged at trace");
    assert!(traced("[redacted]") && traced("parcel-out"));
    let mut canaries = vec![master_key];
    for response in responses {
        for field in ["auth", "shared_secret"] {
            let value = response[field].as_str();
            canaries.extend(value.map(|value| value.trim_start_matches("app-key:").to_owned()));
        }
    }
    assert!(canaries.len() > 4);
    canaries
}

#[test]
fn no_secret_of_users_is_logged_or_shown() {
    watched(|| {
        let server = Server::start_with(Settings::default().secret("canary-app")).unwrap();
        let signs = || as_user(&server);
        let response = signs().authenticate(&UserAuthRequest::new("1.2")).unwrap();
        show(&(signs(), response, UserAuthRequest::new("1.2")));
        let client = quick(server.options()).user_authenticator(signs()).build().unwrap();
        let (show_all, user) = (watch(&client), client.user());
        let (signed_in, watched) = (user.bind_signed_in(), user.bind_watchlist());
        client.connect();
        client.signin();
        let data = client.wait_signed_in(SOON).unwrap();
        assert!(data.as_str().contains("canary-info"));
        show_error(&data.json::<u8>().unwrap_err());
        show(&(data, &user, next(&signed_in), next(&watched), signed_in, watched));
        let notes = user.bind("note");
        assert!(server.wait_for(SOON, |server| server.subscribers("#server-to-user-7") == 1));
        server.send_to_user("7", "note", "parcel");
        show(&next(&notes));

        fail_signins(&server, &client);
        let states = client.bind_states();
        server.refuse_signin(Some(SigninRefusal::Close(4009)));
        fail_signin(&client, signs());
        // The error frame precedes the close.
        while client.state() != State::Failed {
            states.recv_timeout(SOON).unwrap();
        }
        show(&(&client, &user, client.stats()));
        client.close(SOON).unwrap();
        show_all();
        Vec::new()
    });
}

fn as_user(server: &Server) -> SecretAuthorizer {
    let info = json!({"name": "canary-info"});
    SecretAuthorizer::new(server.key(), server.secret()).member("7", &info).watchlist(["8"])
}

fn fail_signin(client: &Client, authenticator: impl UserAuthenticator + 'static) {
    client.signin_with(authenticator);
    show_error(&client.wait_signed_in(SOON).unwrap_err());
}

/// Signs in with responses that refuse or are invalid, with an authenticator that panics, and against a server that
/// refuses.
fn fail_signins(server: &Server, client: &Client) {
    let over_http = || {
        let token = format!("{}?token=canary-query", server.user_auth_url());
        HttpUserAuthenticator::new(&token)
            .header("x-token", "canary-fixed")
            .param("user_id", "canary-id")
            .param("user_info", "canary-param")
    };
    show(&over_http());
    server.fail_auth(403);
    server.auth_body(Some("canary-param of canary-query with canary-fixed is not allowed"));
    fail_signin(client, over_http());
    server.fail_auth(200);
    for body in ["canary", r#"{"auth":["canary"]}"#, r#"{"auth":"k:canary","user_data":7}"#] {
        server.auth_body(Some(body));
        fail_signin(client, over_http().json());
    }
    server.auth_body(None);
    fail_signin(client, |_: &UserAuthRequest| panic!("canary-panic"));
    // The server quotes what it cannot confirm.
    let wrong = |_: &UserAuthRequest| {
        Ok(UserAuth::new("app-key:canary-auth", r#"{"id":"7","name":"canary-data"}"#))
    };
    fail_signin(client, wrong);
    for refusal in [SigninRefusal::ErrorFrame(Some(4009)), SigninRefusal::Unknown] {
        server.refuse_signin(Some(refusal));
        fail_signin(client, as_user(server));
    }
}

/// Sends this response to every connection.
fn responding(response: &'static str) -> u16 {
    let (listener, _) = listen();
    let port = listener.local_addr().unwrap().port();
    spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(response.as_bytes());
        }
    });
    port
}

#[test]
fn no_secret_in_a_url_or_a_setting_is_logged_or_shown() {
    watched(|| {
        let url = Options::url;
        // Every new type that holds a secret is shown here.
        let key = || Tls::default().client_certificate_pem(b"canary", b"canary");
        let proxies = ["http", "socks5"].map(|scheme| {
            move |port| Proxy::new(&format!("{scheme}://user:canary@127.0.0.1:{port}")).unwrap()
        });
        let settings: [&dyn Debug; 8] = [
            &Options::url("ws://host/app/key?token=canary"),
            &Options::custom(|_| "ws://host/?token=canary".to_owned()),
            &Tls::default().root_certificate_pem(b"canary"),
            &key(),
            &proxies[0](1),
            &proxies[1](1),
            &HttpAuthorizer::new("http://host/?token=canary").header("a", "canary"),
            &Client::builder(url("ws://host")).header("a", "canary").header("canary\n", "canary"),
        ];
        settings.into_iter().for_each(show);
        wrong_settings(key());

        let refusing =
            responding("HTTP/1.1 403 no\r\ncontent-length: 17\r\n\r\ncanary is no token");
        let moving = responding("HTTP/1.1 302 no\r\nlocation: http://host/?token=canary\r\n\r\n");
        let babbling = responding("canary\r\n\r\n");
        let closed = listen().0.local_addr().unwrap().port();
        let ports = [refusing, moving, babbling, closed];
        fail_dials(ports);
        for wrong in ["canary", "ftp://user:canary@host/", "http://user:canary@", "http://canary@h"]
        {
            if let Err(error) = Proxy::new(wrong) {
                show_error(&error);
            }
        }
        for proxy in &proxies {
            for port in ports {
                fail_through(&|| proxy(port));
            }
        }
        fail_requests(ports);
        Vec::new()
    });
}

/// Shows the errors of wrong settings of a client.
fn wrong_settings(key: Tls) {
    let url = Options::url;
    // Every setting that can be wrong belongs here.
    let wrong: [Result<Client, Error>; 10] = [
        Client::new(url("canary")),
        Client::new(url("http://host/?token=canary")),
        Client::new(url("ws://user:canary@host/")),
        Client::new(url("ws://host/a b?token=canary")),
        Client::new(url("ws://host/?token=canary#x")),
        Client::builder(url("ws://host/"))
            .tls(Tls::default().root_certificate_pem(b"canary"))
            .build(),
        Client::builder(url("ws://host/")).tls(key).build(),
        Client::builder(url("ws://host/")).header("a", "canary\r\nb: c").build(),
        Client::builder(url("ws://host/")).header("Authorization: canary", "").build(),
        Client::builder(url("ws://host/")).header("Upgrade", "canary").build(),
    ];
    wrong.into_iter().for_each(|client| show_error(&client.unwrap_err()));
}

/// Dials with secrets in URL and headers.
fn fail_dials(ports: [u16; 4]) {
    let url = Options::url;
    // Good ones, and in the last two dials wrong ones and none at all.
    let turn = AtomicUsize::new(0);
    let headers = move || match turn.fetch_add(1, Ordering::Relaxed) {
        9 => vec![("Cookie".to_owned(), "canary\n".to_owned())],
        10.. => panic!("canary-panic"),
        _ => vec![("Cookie".to_owned(), "session=canary".to_owned())],
    };
    let client = Client::builder(url("ws://127.0.0.1:1/?token=canary"))
        .reconnect(pusher_channels::Reconnect::never())
        .header("Authorization", "Bearer canary")
        .headers_with(headers)
        .build()
        .unwrap();
    let show_all = watch(&client);
    let mut kinds = Vec::new();
    let mut dial = |options: Options| {
        client.switch(options).unwrap();
        client.connect();
        let error = client.wait_connected(SOON).unwrap_err();
        show_error(&error);
        kinds.push(error.kind());
        error
    };
    for port in ports {
        for scheme in ["ws", "wss"] {
            dial(url(&format!("{scheme}://127.0.0.1:{port}/app/key?token=canary")));
        }
    }
    dial(url("ws://name.invalid/?token=canary"));
    for wrong in ["canary", "ws://user:canary@host/", "ws://host/a b?token=canary"] {
        dial(Options::custom(move |_| wrong.to_owned()));
    }
    dial(Options::custom(|_| panic!("canary-panic")));
    for end in ["must not have line breaks", "`headers_with` panicked"] {
        let error = dial(url("ws://127.0.0.1:1/"));
        assert!(error.to_string().contains(end), "{error}");
    }
    use ErrorKind::{Config, Dns, Handshake, Io};
    for kind in [Config, Dns, Handshake, Io] {
        assert!(kinds.contains(&kind), "{kind:?} is not among {kinds:?}");
    }
    show_error(&client.switch(url("ws://user:canary@host/")).unwrap_err());
    client.close(SOON).unwrap();
    show_all();
}

/// Fails a dial and a request to an endpoint through this proxy.
fn fail_through(proxy: &dyn Fn() -> Proxy) {
    let client = Client::builder(Options::url("ws://host/?token=canary"))
        .proxy(proxy())
        .reconnect(pusher_channels::Reconnect::never())
        .build()
        .unwrap();
    let show_all = watch(&client);
    client.connect();
    show_error(&client.wait_connected(SOON).unwrap_err());
    let endpoint = HttpAuthorizer::new("http://host/?token=canary").proxy(proxy());
    show(&endpoint);
    show_error(&endpoint.authorize(&AuthRequest::new("1.2", "private-a")).unwrap_err());
    client.close(SOON).unwrap();
    show_all();
}

/// Sends requests to endpoints with secrets in the settings.
fn fail_requests(ports: [u16; 4]) {
    let request = AuthRequest::new("1.2", "private-a");
    for port in ports {
        let token = format!("http://127.0.0.1:{port}/?token=canary");
        let bearer = |http: HttpAuthorizer| http.header("authorization", "Bearer canary");
        for endpoint in [
            bearer(HttpAuthorizer::new(&token)),
            bearer(HttpAuthorizer::new(&token)).get().param("a", "canary"),
            HttpAuthorizer::new("").url_with(move |_| token.clone()),
        ] {
            show_error(&endpoint.authorize(&request).unwrap_err());
        }
    }
    for endpoint in [
        HttpAuthorizer::new("canary"),
        HttpAuthorizer::new("ftp://host/?token=canary"),
        HttpAuthorizer::new("http://user:canary@host /"),
        HttpAuthorizer::new("http://host/").header("a", "canary\n"),
        HttpAuthorizer::new("http://host/").header("canary\n", "a"),
    ] {
        show(&endpoint);
        show_error(&endpoint.check().unwrap_err());
    }
}
