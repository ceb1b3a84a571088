//! What must not be shown is not, whatever is logged.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use log::{LevelFilter, Log, Metadata, Record};
use pusher_channels::testing::{Server, Settings};
use pusher_channels::{Auth, AuthRequest, Authorizer};
use serde_json::{Value, json};

use super::{as_member, connected, fails, http, join, next, receives, secret};
use crate::support::{SOON, alone};

static LOGGED: Mutex<String> = Mutex::new(String::new());

struct Keeper;

impl Log for Keeper {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // The libraries for HTTP and for WebSocket log what they send and receive, and cannot be told
        // not to; the crate's documentation says so. Everything else is looked at here.
        if ["ureq", "tungstenite"].iter().any(|library| record.target().starts_with(library)) {
            return;
        }
        let mut logged = LOGGED.lock().unwrap();
        writeln!(logged, "{} {}: {}", record.level(), record.target(), record.args()).unwrap();
    }

    fn flush(&self) {}
}

#[test]
fn no_secret_is_logged_or_shown() {
    alone("kinds::secrets::no_secret_is_logged_or_shown", || {
        log::set_logger(&Keeper).unwrap();
        log::set_max_level(LevelFilter::Trace);
        let server = Server::start_with(Settings::default().secret("canary-app")).unwrap();
        let answers: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kept = Arc::clone(&answers);
        let over_http = || {
            let kept = Arc::clone(&kept);
            http(&server)
                .header("x-token", "canary-fixed")
                .headers_with(|| vec![("authorization".to_owned(), "canary-bearer".to_owned())])
                .param("session", "canary-param")
                .parser(move |text| {
                    kept.lock().unwrap().push(serde_json::from_str(text).unwrap());
                    Auth::from_json(text)
                })
        };
        let mut shown = String::new();
        let authorizer = Arc::new(over_http());
        write!(shown, "{authorizer:?} {:?}", secret(&server)).unwrap();
        let client = connected(&server, authorizer);
        // The server does not tell this to the members.
        let data = json!({"user_id": "me", "private": "canary-data"});
        let private = client.private_channel("private-room").unwrap();
        let json = client.private_channel_with("private-json", over_http().json()).unwrap();
        let get = client.private_channel_with("private-get", over_http().get()).unwrap();
        let lobby =
            client.presence_channel_with("presence-room", as_member(&server, &data)).unwrap();
        let ward = client.private_encrypted_channel("private-encrypted-room").unwrap();
        join(&private);
        join(&json);
        join(&get);
        join(&lobby);
        join(&ward);
        receives(&server, &ward);
        private.trigger("client-a", "b").unwrap();

        let errors = ward.bind_decryption_error();
        server.rotate_encryption_key("private-encrypted-room");
        server.fail_auth(403);
        server.auth_body(Some(r#"{"error":"canary-param is no session"}"#));
        server.publish("private-encrypted-room", "event", "");
        let lost = next(&errors);
        let refused = client.private_channel("private-refused").unwrap();
        refused.subscribe();
        let refusal = fails(&refused);
        write!(shown, "{lost} {lost:?} {refusal} {refusal:?}").unwrap();
        server.auth_body(None);
        server.fail_auth(200);

        let auth = secret(&server).authorize(&AuthRequest::new("1.2", "private-a")).unwrap();
        write!(shown, "{auth:?} {client:?} {private:?} {lobby:?} {ward:?}").unwrap();
        write!(shown, "{:?} {:?} {server:?}", lobby.members(), lobby.members().me()).unwrap();
        server.drop_connections();
        client.close(SOON).unwrap();

        let logged = LOGGED.lock().unwrap();
        assert!(logged.contains("pusher_channels::frames"), "frames are logged at trace");
        assert!(logged.contains("[redacted]"));
        let mut canaries = vec!["canary".to_owned()];
        for answer in answers.lock().unwrap().iter() {
            for field in ["auth", "shared_secret"] {
                if let Some(value) = answer[field].as_str() {
                    canaries.push(value.trim_start_matches("app-key:").to_owned());
                }
            }
        }
        assert!(canaries.len() > 4);
        canaries.push(server.encryption_master_key());
        for canary in canaries {
            for line in logged.lines().chain(shown.lines()) {
                assert!(!line.contains(&canary), "{canary} in {line}");
            }
        }
    });
}
