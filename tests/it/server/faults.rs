//! The faults of the in-process server, seen by the client.

use super::*;

#[test]
fn dropped_client_reconnects_and_resubscribes() {
    let server = Server::start().unwrap();
    let client = connected(&server);
    let first = client.socket_id().unwrap();
    let chat = subscribed(&client, "chat");
    let (states, resumed, messages) =
        (client.bind_states(), chat.bind_resumed(), chat.bind("message"));
    server.drop_connections();
    let cause = until(&states, State::Reconnecting).cause.unwrap();
    assert_eq!(cause.close_code(), None);
    assert!(next(&resumed).length() < SOON);
    assert_ne!(client.wait_connected(SOON).unwrap(), first);
    assert_eq!((server.subscribers("chat"), server.dials()), (1, 2));
    server.publish("chat", "message", "back");
    assert_eq!(next(&messages).data(), "back");
}

#[test]
fn faults_change_the_counts_immediately() {
    let server = Server::start().unwrap();
    for fault in [Server::drop_connections, |server: &Server| server.close_all(4200, "")] {
        let mut raw = Raw::established(&server);
        raw.subscribe("c");
        assert!(server.wait_for(SOON, |server| server.subscribers("c") == 1));
        fault(&server);
        assert_eq!((server.connections(), server.subscribers("c")), (0, 0));
        assert_eq!(server.publish("c", "e", "nobody"), 0);
    }
}

#[test]
fn close_code_decides_the_next_state() {
    let server = Server::start().unwrap();
    let client = connected(&server);
    let states = client.bind_states();
    server.close_all(4200, "come back");
    assert_eq!(until(&states, State::Reconnecting).cause.unwrap().close_code(), Some(4200));
    until(&states, State::Connected);

    server.close_all(4001, "no such app");
    let cause = until(&states, State::Failed).cause.unwrap();
    assert_eq!(cause.close_code(), Some(4001));
    assert!(cause.to_string().contains("no such app"));
    assert_eq!(client.wait_connected(SOON).unwrap_err().close_code(), Some(4001));
    assert_eq!(server.connections(), 0);
}

#[test]
fn refused_client_retries() {
    let server = Server::start().unwrap();
    server.refuse(2);
    let client = quick(&server).build().unwrap();
    let states = client.bind_states();
    client.connect();
    client.wait_connected(SOON).unwrap();
    let statuses: Vec<_> = states
        .try_iter()
        .filter_map(|change| change.cause.map(|cause| (cause.kind(), cause.http_status())))
        .collect();
    assert_eq!(statuses, [(ErrorKind::Handshake, Some(503)); 2]);
    assert_eq!(server.dials(), 3);
}

#[test]
fn silent_server_is_detected() {
    let server = Server::start().unwrap();
    let client = quick(&server).pong_timeout(SHORT).connect_timeout(SHORT).build().unwrap();
    client.connect();
    client.wait_connected(SOON).unwrap();
    let messages = subscribed(&client, "chat").bind("message");
    let states = client.bind_states();
    server.silence(true);
    assert_eq!(server.publish("chat", "message", "lost"), 0);
    let error = client.ping(SHORT / 10).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let cause = until(&states, State::Reconnecting).cause.unwrap();
    assert!(cause.is_timeout(), "{cause}");
    // The next dials are not established.
    let cause = until(&states, State::Reconnecting).cause.unwrap();
    assert!(cause.is_timeout(), "{cause}");
    assert_eq!(server.connections(), 0);

    server.silence(false);
    assert!(server.wait_for(SOON, |server| server.subscribers("chat") == 1));
    server.publish("chat", "message", "heard");
    assert_eq!(next(&messages).data(), "heard");
}

#[test]
fn silent_server_still_sends_raw_frames() {
    let server = Server::start().unwrap();
    server.silence(true);
    let mut raw = Raw::connect(&server);
    let establishment = r#"{"event":"pusher:connection_established","data":{"socket_id":"1.1"}}"#;
    assert!(server.wait_for(SOON, |server| server.dials() == 1));
    // The server's side of the handshake may still be under way.
    raw.send("{}");
    assert!(server.wait_for(SOON, |server| server.recorded() == ["{}"]));
    server.send_raw(establishment);
    assert_eq!(raw.read_text(), establishment);
}

#[test]
fn garbage_is_an_error_and_the_next_event_arrives() {
    let server = Server::start().unwrap();
    let client = connected(&server);
    let chat = subscribed(&client, "chat");
    let (messages, errors) = (chat.bind("message"), client.bind_errors());
    for garbage in ["", "garbage", "null", "[1]", "{}", r#"{"event":7}"#, r#"{"event":"e""#] {
        server.send_raw(garbage);
        assert_eq!(next(&errors).kind(), ErrorKind::Protocol, "{garbage:?}");
        server.publish("chat", "message", garbage);
        assert_eq!(next(&messages).data(), garbage);
    }
    assert_eq!(server.dials(), 1);
}

#[test]
fn wrong_key_fails_in_every_close_style() {
    for style in [CloseStyle::Code, CloseStyle::Empty, CloseStyle::Drop, CloseStyle::Open] {
        let settings = Settings::default().key("right").close_style(style);
        let server = Server::start_with(settings).unwrap();
        let wrong = server.url().replace("/right", "/wrong");
        let client = Client::new(pusher_channels::Options::url(&wrong)).unwrap();
        client.connect();
        let error = client.wait_connected(SOON).unwrap_err();
        assert_eq!(error.close_code(), Some(4001), "{style:?}");
        assert_eq!((client.state(), server.connections()), (State::Failed, 0));
    }
}

#[test]
fn close_code_is_reported_in_every_close_style() {
    for style in [CloseStyle::Code, CloseStyle::Empty, CloseStyle::Drop] {
        let server = Server::start_with(Settings::default().close_style(style)).unwrap();
        let client = connected(&server);
        let states = client.bind_states();
        server.close_all(4200, "restart");
        let cause = until(&states, State::Reconnecting).cause.unwrap();
        assert_eq!(cause.close_code(), Some(4200), "{style:?}");
        until(&states, State::Connected);
    }
    let server = Server::start_with(Settings::default().close_style(CloseStyle::Open)).unwrap();
    let client = connected(&server);
    let errors = client.bind_errors();
    server.close_all(4200, "restart");
    assert_eq!(next(&errors).close_code(), Some(4200));
    client.ping(SOON).unwrap();
    assert_eq!((client.state(), server.dials()), (State::Connected, 1));
}

#[test]
fn close_frame_without_a_code_has_no_close_code() {
    let server = Server::start().unwrap();
    let mut raw = Raw::established(&server);
    server.close_all(1005, "");
    assert!(matches!(raw.0.read(), Ok(Message::Close(None))));
}

#[test]
fn subscription_refusals_are_reported_in_every_style() {
    let server = Server::start().unwrap();
    let client = quick(&server).subscribe_timeout(SHORT).build().unwrap();
    client.connect();
    let errors = client.bind_errors();
    type Expected = fn(&Error) -> bool;
    let timeout: Expected = |error| error.is_timeout();
    let styles: [(ChannelRefusal, Expected); 5] = [
        (ChannelRefusal::ErrorFrame(None), timeout),
        (ChannelRefusal::ErrorFrame(Some(4009)), timeout),
        (ChannelRefusal::SubscriptionError(401), |error| error.http_status() == Some(401)),
        (ChannelRefusal::InternalSubscriptionError, |error| error.kind() == ErrorKind::Server),
        (ChannelRefusal::Silence, timeout),
    ];
    for (number, (refusal, expected)) in styles.into_iter().enumerate() {
        let name = format!("channel-{number}");
        server.refuse_channel(&name, refusal);
        let channel = client.public_channel(&name).unwrap();
        channel.subscribe();
        let error = channel.wait_subscribed(SOON).unwrap_err();
        assert!(expected(&error), "{refusal:?}: {error:?}");
        assert_eq!((error.channel(), channel.status()), (Some(&*name), ChannelStatus::Failed));
        if let ChannelRefusal::ErrorFrame(code) = refusal {
            let error = next(&errors);
            assert_eq!((error.close_code(), error.channel()), (code, None));
        }
        assert_eq!(next(&errors).channel(), Some(&*name));
        assert_eq!(server.subscribers(&name), 0);

        server.allow_channel(&name);
        channel.subscribe();
        channel.wait_subscribed(SOON).unwrap();
    }
    assert_eq!(server.dials(), 1);
}

#[test]
fn client_that_does_not_read_is_dropped_without_delaying_others() {
    let server = Server::start().unwrap();
    let mut lazy = Raw::established(&server);
    lazy.subscribe("flood");
    assert!(server.wait_for(SOON, |server| server.subscribers("flood") == 1));
    let block = "x".repeat(256 * 1024);
    let sent = (0..400).take_while(|_| {
        server.publish("flood", "block", &block);
        server.connections() == 1
    });
    assert!(sent.count() > 10, "some of it is kept");
    assert!(server.wait_for(SOON, |server| server.connections() == 0));
    assert_eq!(server.subscribers("flood"), 0);
}
