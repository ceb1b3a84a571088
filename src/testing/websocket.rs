//! WebSocket connections: handshake, then one message after the other.

use std::io;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use tungstenite::Message;
use tungstenite::handshake::derive_accept_key;

use super::exchange::Exchange;
use super::http::{Request, Response};
use super::peer::Peer;
use super::state::{Shared, State};
use crate::transport::Poller;

const PREFIX: &str = "/app/";

/// Returns `true` if the client wants a WebSocket, or seems to.
pub(super) fn is_handshake(request: &Request) -> bool {
    request.has_token("upgrade", "websocket") || request.path().starts_with(PREFIX)
}

/// Serves a connection from its handshake to its end.
pub(super) fn serve(
    shared: &Shared,
    id: u64,
    exchange: Exchange,
    request: &Request,
) -> io::Result<()> {
    let Some((peer, mut poller, right_key)) = accept(shared, exchange, request)? else {
        return Ok(());
    };
    let peer = Arc::new(peer);
    if !shared.act(|state| state.open(id, Arc::clone(&peer), right_key)) {
        return Ok(());
    }
    let mut messages = Vec::new();
    loop {
        peer.receive(&mut poller, &mut messages)?;
        // Nothing comes after a close.
        let closed = shared.act(|state| {
            messages.drain(..).any(|message| match message {
                Message::Text(text) => {
                    state.receive(id, &text);
                    false
                }
                Message::Close(_) => true,
                _ => false,
            })
        });
        if closed {
            return Ok(());
        }
    }
}

/// Does the handshake. Returns the connection, and `true` if its URL has the app's key; `None` if it was refused.
pub(super) fn accept(
    shared: &Shared,
    mut exchange: Exchange,
    request: &Request,
) -> io::Result<Option<(Peer, Poller, bool)>> {
    let (response, right_key) = match inspect(shared, request) {
        Ok(accepted) => accepted,
        Err((status, why)) => {
            let response = Response::text(status, format!("{why}\n"));
            return exchange.finish(&response.encode(&request.method, true)).map(|()| None);
        }
    };
    exchange.respond(response.as_bytes())?;
    let (mut stream, received) = exchange.into_parts();
    let poller = stream.link().stop_waiting();
    let poller = poller.ok_or_else(|| io::Error::other("the connection has no poller"))?;
    let waker = Arc::clone(poller.waker());
    Ok(Some((Peer::new(stream, received, waker), poller, right_key)))
}

/// The response, and `true` if the URL has the app's key; or the status that refuses the request, and why.
fn inspect(shared: &Shared, request: &Request) -> Result<(String, bool), (u16, &'static str)> {
    if !shared.act(State::dialled) {
        return Err((503, "The test server was told to refuse this handshake"));
    }
    let key = app_key(request.path()).ok_or((404, "The WebSocket is at /app/KEY"))?;
    if request.method != "GET" || !request.has_token("connection", "upgrade") {
        return Err((400, "A WebSocket needs GET with the headers Connection and Upgrade"));
    }
    if !request.has_token("sec-websocket-version", "13") {
        return Err((400, "Sec-WebSocket-Version must be 13"));
    }
    let nonce = request.header("sec-websocket-key").filter(|key| !key.is_empty());
    let accept = derive_accept_key(nonce.ok_or((400, "Sec-WebSocket-Key is missing"))?.as_bytes());
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    Ok((response, key == shared.settings.key.as_bytes()))
}

/// The key in a path such as `/app/KEY`.
fn app_key(path: &str) -> Option<Vec<u8>> {
    let key = path.strip_prefix(PREFIX)?;
    (!key.contains('/')).then(|| percent_decode_str(key).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_app_key_is_the_second_segment_of_the_path() {
        let key = |path| app_key(path).map(|key| String::from_utf8(key).unwrap());
        assert_eq!(key("/app/k").as_deref(), Some("k"));
        assert_eq!(key("/app/k%2Fe%3fy%").as_deref(), Some("k/e?y%"));
        assert_eq!(key("/app/%zz").as_deref(), Some("%zz"));
        assert_eq!(key("/app/k/x"), None);
        assert_eq!(key("/apps/k"), None);
    }
}
