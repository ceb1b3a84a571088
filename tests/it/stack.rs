//! Clients whose threads have the smallest stack that is allowed. Each test runs in a process of its own, since
//! a stack that overflows ends it.

use log::LevelFilter;
use pusher_channels::{Auth, AuthRequest, Client, ErrorKind, Options, UserAuth, UserAuthRequest};
#[cfg(tls)]
use pusher_channels::{HttpAuthorizer, HttpUserAuthenticator};
use serde_json::Value;

use crate::support::{SOON, accept, alone, listen, log_to, quick, send, wait_for};

/// As `ClientBuilder::stack_size` documents it.
const SMALLEST: usize = 256 * 1024;

/// Formats every record, as loggers do on the thread that logs.
fn log_everything() {
    log_to(LevelFilter::Trace, |record| {
        let line = format!("{:5} {} {}", record.level(), record.target(), record.args());
        assert!(!line.is_empty());
    });
}

/// JSON that is nested: less than serde_json's own limit, and much deeper.
fn nested() -> Vec<String> {
    let levels = [120, 10_000];
    levels
        .iter()
        .flat_map(|&levels| {
            let array = "[".repeat(levels) + &"]".repeat(levels);
            let object = r#"{"a":"#.repeat(levels) + "1" + &"}".repeat(levels);
            [array, object]
        })
        .collect()
}

/// Protocol events with their data; nested JSON replaces each `$`.
const POSITIONS: [(&str, &str); 20] = [
    ("pusher:error", "$"),
    ("pusher:error", r#"{"code":$,"message":$,"error":$,"x":$}"#),
    ("pusher:error", r#"{"code":4200,"message":"m","x":$}"#),
    ("pusher:subscription_error", r#"{"status":$,"channel":$,"error":$}"#),
    ("pusher_internal:subscription_count", r#"{"subscription_count":$}"#),
    ("pusher_internal:subscription_succeeded", "$"),
    ("pusher_internal:subscription_succeeded", r#"{"presence":$}"#),
    ("pusher_internal:subscription_succeeded", r#"{"presence":{"ids":$,"hash":$}}"#),
    ("pusher_internal:subscription_succeeded", r#"{"presence":{"ids":[$],"hash":{"7":$}}}"#),
    ("pusher_internal:member_added", r#"{"user_id":$}"#),
    ("pusher_internal:member_added", r#"{"user_id":"8","user_info":$}"#),
    ("pusher_internal:member_removed", r#"{"user_id":"8","user_info":$}"#),
    ("pusher:signin_success", r#"{"user_data":$}"#),
    ("pusher_internal:watchlist_events", r#"{"events":$}"#),
    ("pusher_internal:watchlist_events", r#"{"events":[{"name":$,"user_ids":$}]}"#),
    ("pusher_internal:watchlist_events", r#"{"events":[{"name":"online","user_ids":[$]}]}"#),
    ("online", r#"{"user_ids":[$]}"#),
    ("pusher:cache_miss", "$"),
    ("e", "$"),
    ("client-e", r#"{"auth":$}"#),
];

/// Whole frames; nested JSON replaces each `$`.
const FRAMES: [&str; 5] = [
    "$",
    r#"{"event":$}"#,
    r#"{"event":"e","channel":$,"user_id":$,"x":$}"#,
    r#"{"event":"e","data":$"#,
    r#"{"event":"e","channel":"presence-room","auth":$,"data":{"auth":$,"x":$}}"#,
];

/// Every frame with that in it, on the channel; its data as it is, and in a string.
fn attacks(nested: &str) -> Vec<String> {
    let positions = POSITIONS.iter().flat_map(|(event, data)| {
        let data = data.replace('$', nested);
        let quoted = Value::from(&*data).to_string();
        let frame = move |data: &str| {
            format!(r#"{{"event":"{event}","channel":"presence-room","data":{data}}}"#)
        };
        let bare = |data: &str| format!(r#"{{"event":"{event}","data":{data}}}"#);
        [frame(&data), frame(&quoted), bare(&data), bare(&quoted)]
    });
    let encrypted = [format!(
        r#"{{"event":"e","channel":"private-encrypted-room","data":{{"nonce":{nested},"ciphertext":{nested}}}}}"#
    )];
    let frames = FRAMES.iter().map(|frame| frame.replace('$', nested));
    positions.chain(encrypted).chain(frames).collect()
}

fn authorize(request: &AuthRequest) -> Result<Auth, pusher_channels::Error> {
    let secret = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert!(!request.socket_id().is_empty());
    Ok(Auth::new("key:s").channel_data(r#"{"user_id":"7"}"#).shared_secret(secret))
}

#[test]
fn nested_frames_fit_the_smallest_stack() {
    alone(|| {
        log_everything();
        let (listener, options) = listen();
        let client = quick(options)
            .stack_size(SMALLEST)
            .authorizer(authorize)
            .user_authenticator(|_: &UserAuthRequest| Ok(UserAuth::new("k:s", r#"{"id":"7"}"#)))
            .build()
            .unwrap();
        let room = client.presence_channel("presence-room").unwrap();
        let (marks, states) = (room.bind("mark"), client.bind_states());
        room.subscribe();
        #[cfg(feature = "encrypted")]
        client.private_encrypted_channel("private-encrypted-room").unwrap().subscribe();
        client.signin();
        client.connect();
        let mut socket = accept(&listener);
        let nested = nested();
        send(
            &mut socket,
            &format!(
                r#"{{"event":"pusher:connection_established","data":{{"socket_id":"1.2","activity_timeout":{0},"x":{0}}}}}"#,
                nested[0]
            ),
        );
        wait_for(&mut socket, "pusher:signin");
        for nested in &nested {
            for attack in attacks(nested) {
                send(&mut socket, &attack);
            }
        }
        send(
            &mut socket,
            r#"{"event":"pusher_internal:subscription_succeeded","channel":"presence-room","data":{}}"#,
        );
        send(&mut socket, r#"{"event":"mark","channel":"presence-room","data":"1"}"#);
        assert_eq!(marks.recv_timeout(SOON * 3).unwrap().data(), "1");
        let changes: Vec<_> = states.try_iter().map(|change| change.current).collect();
        assert_eq!(changes.len(), 2, "connecting and connected: {changes:?}");
        client.close(SOON).unwrap();
    });
}

/// The dial to a name, TLS, and endpoints that return nested JSON.
#[cfg(tls)]
#[test]
fn tls_and_endpoints_fit_the_smallest_stack() {
    alone(|| {
        log_everything();
        let shop = crate::tls::Shop::open();
        let (auth, user) = (shop.server.auth_url(), shop.server.user_auth_url());
        let user = HttpUserAuthenticator::new(&shop.behind_tls(&user)).param("user_id", "7");
        let client = quick(shop.options_for("localhost"))
            .stack_size(SMALLEST)
            .tls(shop.trusting_device())
            .authorizer(HttpAuthorizer::new(&shop.behind_tls(&auth)))
            .user_authenticator(user)
            .build()
            .unwrap();
        let room = client.private_channel("private-room").unwrap();
        room.subscribe();
        client.connect();
        room.wait_subscribed(SOON).unwrap();
        client.signin();
        assert_eq!(client.wait_signed_in(SOON).unwrap().id(), "7");
        for nested in nested() {
            for body in ["$", r#"{"auth":$}"#, r#"{"auth":"k","channel_data":$,"x":$}"#] {
                shop.server.auth_body(Some(&body.replace('$', &nested)));
                let errors = room.bind_subscription_error();
                room.unsubscribe();
                room.subscribe();
                let error = errors.recv_timeout(SOON).unwrap();
                assert_eq!(error.kind(), ErrorKind::Auth, "{error:?}");
            }
        }
        client.close(SOON).unwrap();
    });
}

#[test]
fn smaller_stack_is_refused() {
    let build = |size| Client::builder(Options::cluster("eu", "key")).stack_size(size).build();
    assert!(build(SMALLEST).is_ok());
    for size in [0, 16 * 1024, SMALLEST - 1] {
        let error = build(size).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("`stack_size` must be at least 262144 bytes"));
    }
}
