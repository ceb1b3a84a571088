//! WebSocket connections: handshake, then one message after the other.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, create_response, write_response};

use super::exchange::Exchange;
use super::http;
use super::listener::Service;
use super::peer::Peer;
use super::state::{Shared, State};
use crate::transport::WebSocket;
use crate::util::guard::write_log;
use crate::{Interrupt, Message};

pub(super) const SERVICE: Service =
    Service { accepting: "testing-accept", serving: "testing-conn", serve };

const MAX_HEAD: usize = 64 * 1024;

/// Serves a connection from its handshake to its end.
fn serve(shared: &Shared, id: u64, stream: TcpStream, interrupt: &Interrupt) {
    let (socket, right_key) = match accept(shared, stream, interrupt) {
        Ok(Some(accepted)) => accepted,
        Ok(None) => return,
        Err(error) => {
            return write_log!(Debug, "the test server: WebSocket handshake failed: {error}");
        }
    };
    let peer = Arc::new(Peer::new(socket));
    if !shared.act(|state| state.open(id, Arc::clone(&peer), right_key)) {
        return;
    }
    let mut messages = Vec::new();
    while peer.receive(&mut messages).is_ok() {
        // Nothing comes after a close.
        let closed = shared.act(|state| {
            messages.drain(..).any(|message| match message {
                Message::Text(text) => {
                    state.receive(id, &text);
                    false
                }
                Message::Close(..) => true,
            })
        });
        if closed {
            return;
        }
    }
}

/// Does the handshake. Returns the connection, and `true` if its URL has the app's key; `None` if it was refused.
pub(super) fn accept(
    shared: &Shared,
    stream: TcpStream,
    interrupt: &Interrupt,
) -> io::Result<Option<(WebSocket, bool)>> {
    let mut exchange = Exchange::new(stream, interrupt)?;
    let (request, received) = exchange.receive(parse)?;
    match request.and_then(|request| inspect(shared, &request)) {
        Err(status) => exchange.reply(&http::response(status, None, "")).map(|()| None),
        Ok((response, right_key)) => {
            exchange.send(&response)?;
            let socket = WebSocket::accepted(exchange.into_stream(), &received);
            Ok(Some((socket.map_err(io::Error::other)?, right_key)))
        }
    }
}

/// The request or the status that refuses it, and what came after it.
fn parse(bytes: &[u8]) -> Option<(Result<Request, u16>, Vec<u8>)> {
    match Request::try_parse(bytes) {
        Ok(Some((length, request))) => {
            Some((Ok(request), bytes.get(length..).unwrap_or_default().to_vec()))
        }
        Ok(None) if bytes.len() < MAX_HEAD => None,
        _ => Some((Err(400), Vec::new())),
    }
}

/// The response, and `true` if the URL has the app's key; or the status that refuses the request.
fn inspect(shared: &Shared, request: &Request) -> Result<(Vec<u8>, bool), u16> {
    if !shared.act(State::dialled) {
        return Err(503);
    }
    let key = app_key(request.uri().path()).ok_or(404_u16)?;
    let response = create_response(request).map_err(|_| 400_u16)?;
    let mut bytes = Vec::new();
    write_response(&mut bytes, &response).map_err(|_| 500_u16)?;
    Ok((bytes, key == shared.settings.key.as_bytes()))
}

/// The key in a path such as `/app/KEY`.
fn app_key(path: &str) -> Option<Vec<u8>> {
    let key = path.strip_prefix("/app/")?;
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
