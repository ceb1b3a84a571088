//! A Laravel app: events with and without `broadcastAs`, a presence channel, whispers, and a Sanctum token.
//!
//! Run it with `cargo run --example laravel`, which starts an in-process server. It connects to your app if the
//! environment has what the app's `.env` has: APP_URL and PUSHER_… or REVERB_…, and in TOKEN a token of the user, as
//! `$user->createToken('device')->plainTextToken` returns it. A copy needs `serde_json`
//! and the feature `testing`. In the app:
//!
//! ```php
//! // bootstrap/app.php, instead of `channels:` of `withRouting`: a token authorizes, not the session of a browser
//! ->withBroadcasting(__DIR__.'/../routes/channels.php', ['middleware' => ['auth:sanctum']])
//!
//! // routes/channels.php: without the prefixes `private-` and `presence-`
//! Broadcast::channel('orders', fn ($user) => $user->isCook());
//! Broadcast::channel('kitchen', fn ($user) => ['id' => $user->id, 'name' => $user->name]);
//! ```

use std::error::Error;
use std::time::Duration;

use pusher_channels::crossbeam_channel::{Receiver, bounded, never, select, tick};
use pusher_channels::{Client, Event, HttpAuthorizer, Member, Options, testing::Server};
use serde_json::{Value, json};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

const LIMIT: Duration = Duration::from_secs(10);

/// Returns the name of the event that Echo's `listen(name)` receives.
///
/// Laravel sends the full name of the event's class, unless the class has `broadcastAs()`. Echo prepends its `namespace`,
/// by default `App.Events`, and replaces dots by backslashes. A dot (or backslash) at the beginning means: the name that
/// follows, as it is.
fn listen(name: &str) -> String {
    match name.strip_prefix(['.', '\\']) {
        Some(name) => name.to_owned(),
        None => format!("App.Events.{name}").replace('.', r"\"),
    }
}

/// Prints what Echo would give to the callbacks, until the sender of `end` is dropped.
fn cook(options: Options, authorizer: HttpAuthorizer, end: &Receiver<()>) -> Outcome {
    let client = Client::builder(options).authorizer(authorizer).build()?;

    // Echo.private('orders').listen('OrderShipped', …).listen('.order.canceled', …)
    let orders = client.private_channel("private-orders")?;
    let shipped = orders.bind(&listen("OrderShipped"));
    let canceled = orders.bind(&listen(".order.canceled"));

    // Echo.join('kitchen').here(…).joining(…).leaving(…).listenForWhisper('typing', …)
    let kitchen = client.presence_channel("presence-kitchen")?;
    let here = kitchen.bind_subscription_succeeded();
    let (joining, leaving) = (kitchen.bind_member_added(), kitchen.bind_member_removed());
    let typing = kitchen.bind("client-typing");

    orders.subscribe();
    kitchen.subscribe();
    client.connect();
    orders.wait_subscribed(LIMIT)?; // reports what the app responded, such as 403
    kitchen.wait_subscribed(LIMIT)?;
    // The header `X-Socket-ID` of your own requests to the app, which `broadcast(…)->toOthers()` reads.
    println!("X-Socket-ID: {}", client.socket_id().unwrap_or_default());
    loop {
        select! {
            recv(*shipped) -> event => println!("shipped: order {}", order(&event?)?),
            recv(*canceled) -> event => println!("canceled: order {}", order(&event?)?),
            recv(*here) -> event => {
                event?;
                println!("here: {}", kitchen.members().iter().map(name).collect::<Vec<_>>().join(", "));
            }
            recv(*joining) -> member => println!("joining: {}", name(&member?)),
            recv(*typing) -> event => {
                let event = event?;
                // Added by the server; Reverb may omit it.
                println!("typing: user {}, {}", event.user_id().unwrap_or("unknown"), event.data());
            }
            recv(*leaving) -> member => println!("leaving: {}", name(&member?)),
            recv(end) -> _ => return Ok(client.close(LIMIT)?),
        }
    }
}

/// The public properties of the event's class are the data: here `public Order $order`.
fn order(event: &Event) -> Result<Value, pusher_channels::Error> {
    let data: Value = event.json()?;
    Ok(data.pointer("/order/id").cloned().unwrap_or_default())
}

/// What the callback in `routes/channels.php` returns is the member's info.
fn name(member: &Member) -> String {
    let info: Value = member.json().unwrap_or_default();
    info.get("name").and_then(Value::as_str).unwrap_or_else(|| member.id()).to_owned()
}

fn with_token(app_url: &str, token: String) -> HttpAuthorizer {
    let auth_url = format!("{}/broadcasting/auth", app_url.trim_end_matches('/'));
    // Called before every request, so it may return a token that was refreshed.
    let bearer = move || vec![("Authorization".to_owned(), format!("Bearer {token}"))];
    HttpAuthorizer::new(&auth_url).headers_with(bearer)
}

/// The server has Laravel's endpoint, too.
fn app_url(server: &Server) -> String {
    format!("http://127.0.0.1:{}", server.port())
}

/// Takes the place of the app, and of a second user.
fn app_and_bob(server: &Server) -> Outcome {
    let joined = |count| server.wait_for(LIMIT, |s| s.subscribers("presence-kitchen") == count);
    joined(1);
    let authorizer = with_token(&app_url(server), "bobs-token".to_owned())
        .param("user_id", "2")
        .param("user_info", r#"{"name":"Bob"}"#);
    let bob = Client::builder(server.options()).authorizer(authorizer).build()?;
    let kitchen = bob.presence_channel("presence-kitchen")?;
    let pause = tick(Duration::from_millis(150));
    kitchen.subscribe();
    bob.connect();
    kitchen.wait_subscribed(LIMIT)?;

    pause.recv()?;
    // Echo.join('kitchen').whisper('typing', { on: true }). Reverb changes an object without fields to a list.
    kitchen.trigger("client-typing", &json!({"on": true}))?;
    pause.recv()?;
    let order = json!({"order": {"id": 7, "dish": "soup"}});
    server.publish("private-orders", r"App\Events\OrderShipped", &order);
    server.publish("private-orders", "order.canceled", &order);
    pause.recv()?;
    bob.close(LIMIT)?;
    pause.recv()?;
    Ok(())
}

fn main() -> Outcome {
    if let Ok(app_url) = std::env::var("APP_URL") {
        let token = std::env::var("TOKEN").map_err(|_| "`TOKEN` must be set")?;
        return cook(Options::from_env()?, with_token(&app_url, token), &never());
    }
    let server = Server::start()?;
    let authorizer = with_token(&app_url(&server), "anns-token".to_owned())
        // The app knows the user by the token; this server does not.
        .param("user_id", "1")
        .param("user_info", r#"{"name":"Ann"}"#);
    let (options, (running, end)) = (server.options(), bounded(0));
    std::thread::scope(|scope| {
        let others = scope.spawn(move || {
            let _running = running; // dropped at the end, also after an error
            app_and_bob(&server)
        });
        cook(options, authorizer, &end)?;
        others.join().map_err(|_| "the thread of the other user panicked")?
    })
}
