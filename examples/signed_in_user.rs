//! Signs in as a user through an HTTP endpoint, receives events for this user and watchlist events, and is
//! terminated by the server.
//!
//! Run it with `cargo run --example signed_in_user`.

use std::time::Duration;

use pusher_channels::{Client, HttpUserAuthenticator, SecretAuthorizer, State, testing::Server};

const LIMIT: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start()?;

    // Ann's app sends its session; the endpoint returns the user.
    let endpoint = HttpUserAuthenticator::new(&server.user_auth_url())
        .headers_with(|| vec![("authorization".to_owned(), "Bearer anns-session".to_owned())])
        .param("user_id", "ann")
        .param("user_info", r#"{"name":"Ann"}"#)
        .param("watchlist", "bob,carol");
    let ann = Client::builder(server.options()).user_authenticator(endpoint).build()?;
    let (notes, watchlist) = (ann.user().bind("note"), ann.user().bind_watchlist());
    ann.signin(); // stays signed in across reconnects
    ann.connect();
    let user = ann.wait_signed_in(LIMIT)?;
    println!("signed in as {}: {}", user.id(), user.as_str());
    let offline = watchlist.recv_timeout(LIMIT)?;
    println!("{} are {}", offline.user_ids().join(" and "), offline.name());

    // Bob's device holds the app secret.
    let bob = SecretAuthorizer::new(server.key(), server.secret()).member("bob", &["Bob"]);
    let bob = Client::builder(server.options()).user_authenticator(bob).build()?;
    bob.signin();
    bob.connect();
    bob.wait_signed_in(LIMIT)?;
    let online = watchlist.recv_timeout(LIMIT)?;
    println!("{} is {}", online.user_ids().join(" and "), online.name());

    // An app's server does this through the HTTP API. Pusher sends user events on the user's own channel, to
    // which the client subscribes after the sign-in.
    server.wait_for(LIMIT, |server| server.subscribers("#server-to-user-ann") == 1);
    server.send_to_user("ann", "note", "your parcel has come");
    println!("ann received: {}", notes.recv_timeout(LIMIT)?.data());

    let states = ann.bind_states();
    server.terminate_user("ann");
    for change in &states {
        println!(
            "{:?}: {}",
            change.current,
            change.cause.map(|e| e.to_string()).unwrap_or_default()
        );
        if change.current == State::Failed {
            break; // ann.connect() would sign in again
        }
    }
    Ok(())
}
