//! A chat on a presence channel.
//!
//! `cargo run --example presence_chat` runs a conversation of two guests. With `-- NAME` it
//! starts a room, sends the lines that you type, and prints the PUSHER_URL and PUSHER_AUTH_URL with which another
//! terminal joins the room.

use std::error::Error;
use std::time::Duration;

use pusher_channels::crossbeam_channel::{Receiver, bounded, select, tick};
use pusher_channels::{Client, HttpAuthorizer, Options, testing::Server};
use serde_json::{Value, json};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

const ROOM: &str = "presence-chat";

/// Sends the lines and prints those of the others, until there are no more lines.
fn chat(options: Options, auth_url: &str, name: &str, lines: &Receiver<String>) -> Outcome {
    // A real endpoint knows the user by a session; this one accepts any `user_id`.
    let authorizer = HttpAuthorizer::new(auth_url).param("user_id", name);
    let client = Client::builder(options).authorizer(authorizer).build()?;
    let room = client.presence_channel(ROOM)?;
    let said = room.bind("client-said");
    let (joined, left) = (room.bind_member_added(), room.bind_member_removed());
    room.subscribe();
    client.connect();
    room.wait_subscribed(Duration::from_secs(10))?;
    let here: Vec<_> = room.members().iter().map(|member| member.id().to_owned()).collect();
    println!("[{name}] members: {}", here.join(", "));
    loop {
        select! {
            recv(lines) -> line => match line {
                Ok(line) => match room.trigger("client-said", &json!({ "text": line })) {
                    Ok(()) => println!("[{name}] sent: {line}"),
                    Err(error) => println!("[{name}] failed to send: {error}"),
                },
                Err(_) => return Ok(client.close(Duration::from_secs(1))?),
            },
            recv(*said) -> event => {
                let event = event?;
                let data: Value = event.json()?;
                let text = data.get("text").and_then(Value::as_str).unwrap_or_default();
                // The server adds the user id, so a sender cannot pretend to be another user.
                println!("[{name}] received from {}: {text}", event.user_id().unwrap_or("unknown"));
            }
            recv(*joined) -> member => println!("[{name}] {} joined", member?.id()),
            recv(*left) -> member => println!("[{name}] {} left", member?.id()),
        }
    }
}

fn main() -> Outcome {
    let server = Server::start()?;
    let url = std::env::var("PUSHER_URL").unwrap_or_else(|_| server.url());
    let auth_url = std::env::var("PUSHER_AUTH_URL").unwrap_or_else(|_| server.auth_url());
    let guest = |name: &str, lines: Receiver<String>| {
        chat(Options::url(&url), &auth_url, name, &lines)
            .inspect_err(|error| println!("[{name}] failed: {error}"))
    };
    std::thread::scope(|scope| {
        if let Some(name) = std::env::args().nth(1) {
            println!("others join with PUSHER_URL='{url}' PUSHER_AUTH_URL='{auth_url}'");
            let (say, lines) = bounded(1);
            scope.spawn(move || guest(&name, lines));
            for line in std::io::stdin().lines() {
                say.send(line?)?;
            }
            return Ok(());
        }
        let ((ann, ann_lines), (bob, bob_lines)) = (bounded(1), bounded(1));
        scope.spawn(|| guest("ann", ann_lines));
        scope.spawn(|| guest("bob", bob_lines));
        server.wait_for(Duration::from_secs(10), |server| server.subscribers(ROOM) == 2);
        let pause = tick(Duration::from_millis(200));
        for (who, line) in
            [(&ann, "Hello!"), (&bob, "Hi. Tea?"), (&ann, "At four."), (&bob, "Bye.")]
        {
            pause.recv()?;
            who.send(line.to_owned())?;
        }
        pause.recv()?;
        drop(bob); // bob leaves, and ann is notified
        pause.recv()?;
        Ok(())
    })
}
