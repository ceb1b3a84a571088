//! Against soketi, a server that is not of this repository.

use std::process::Command;

#[path = "../it/soketi/support.rs"]
#[expect(dead_code, reason = "the integration tests use all of it")]
mod support;

use crate::support::{Running, command};
use support::Soketi;

fn connected(soketi: &Soketi, arguments: &[&str]) -> Command {
    let mut command = command(arguments);
    for (name, value) in [
        ("PUSHER_APP_ID", soketi.app_id()),
        ("PUSHER_APP_KEY", soketi.key()),
        ("PUSHER_APP_SECRET", soketi.secret()),
        ("PUSHER_HOST", "127.0.0.1"),
        ("PUSHER_PORT", &soketi.port().to_string()),
        ("PUSHER_SCHEME", "http"),
    ] {
        command.env(name, value);
    }
    command
}

#[test]
fn what_one_sends_another_hears() {
    let Some(soketi) = Soketi::start(false) else {
        return;
    };
    let listen = ["listen", "-v", "private-chat", "--count", "2"];
    let mut listener = Running::start(connected(&soketi, &listen));
    listener.wait_err("pusher:subscription_succeeded");
    let trigger = ["trigger", "private-chat", "client-x", "[1]"];
    let sent = Running::start(connected(&soketi, &trigger)).end();
    assert_eq!((sent.code, sent.err.as_str()), (Some(0), ""), "{sent:?}");
    listener.wait_out("private-chat client-x [1]");
    let publish = ["publish", "private-chat", "published", "text"];
    let sent = Running::start(connected(&soketi, &publish)).end();
    assert_eq!((sent.code, sent.err.as_str()), (Some(0), ""), "{sent:?}");
    listener.wait_out("private-chat published text");
    assert_eq!(listener.end().code, Some(0));
}

#[test]
fn doctor_passes_and_tells_keys_and_secrets_apart() {
    let Some(soketi) = Soketi::start(false) else {
        return;
    };
    let healthy = Running::start(connected(&soketi, &["doctor"])).end();
    assert_eq!(healthy.code, Some(0), "{healthy:?}");
    assert!(healthy.out.contains("the server accepts the signature"), "{healthy:?}");
    let wrong_key = Running::start(connected(&soketi, &["doctor", "--key", "wrong"])).end();
    assert_eq!(wrong_key.code, Some(4), "{wrong_key:?}");
    assert!(wrong_key.out.contains("FAILED   establishment "), "{wrong_key:?}");
    let wrong_secret = Running::start(connected(&soketi, &["doctor", "--secret", "canary"])).end();
    assert_eq!(wrong_secret.code, Some(4), "{wrong_secret:?}");
    assert!(wrong_secret.out.contains("does not accept the signature"), "{wrong_secret:?}");
}

#[cfg(tls)]
#[test]
fn doctor_explains_an_unknown_authority() {
    let Some(soketi) = Soketi::start(true) else {
        return;
    };
    let doctor = |arguments: &[&str]| {
        let mut command = connected(&soketi, &[&["doctor"], arguments].concat());
        command.env("PUSHER_SCHEME", "https");
        Running::start(command).end()
    };
    let unknown = doctor(&[]);
    assert_eq!(unknown.code, Some(5), "{unknown:?}");
    assert!(unknown.out.contains("FAILED   tls "), "{unknown:?}");
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("soketi-ca.pem");
    std::fs::write(&file, soketi.ca_pem()).unwrap();
    let known = doctor(&["--ca", file.to_str().unwrap()]);
    assert_eq!(known.code, Some(0), "{known:?}");
}
