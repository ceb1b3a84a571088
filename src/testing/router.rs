//! One connection: what its requests ask for.

use std::io;
use std::net::TcpStream;

use super::exchange::Exchange;
use super::http::{Request, Response};
use super::state::Shared;
use super::{cors, endpoint, websocket};
use crate::Interrupt;
use crate::util::guard::write_log;

/// Serves a connection from its first request to its end.
pub(super) fn serve(shared: &Shared, id: u64, socket: TcpStream, interrupt: &Interrupt) {
    if let Err(error) = exchange(shared, id, socket, interrupt) {
        write_log!(Debug, "the test server: a connection ended: {error}");
    }
}

fn exchange(shared: &Shared, id: u64, socket: TcpStream, interrupt: &Interrupt) -> io::Result<()> {
    let mut exchange = Exchange::accept(socket, shared.tls.as_ref(), interrupt)?;
    while let Some(request) = exchange.receive()? {
        let request = match request {
            Ok(request) if websocket::is_handshake(&request) => {
                return websocket::serve(shared, id, exchange, &request);
            }
            Ok(request) => request,
            Err(status) => {
                return exchange.finish(&Response::text(status, String::new()).encode(true));
            }
        };
        let response = respond(shared, &request);
        if !request.keeps_alive {
            return exchange.finish(&response.encode(true));
        }
        exchange.respond(&response.encode(false))?;
    }
    Ok(())
}

fn respond(shared: &Shared, request: &Request) -> Response {
    let origin = request.header("origin").filter(|_| shared.settings.cors);
    if let Some(preflight) = origin.and_then(|_| cors::preflight(request)) {
        return preflight;
    }
    let mut response = if endpoint::is_path(request.path()) {
        endpoint::respond(shared, request)
    } else {
        nothing_here(&shared.settings.key, request.path())
    };
    if let Some(origin) = origin {
        cors::allow(&mut response, origin);
    }
    response
}

fn nothing_here(key: &str, path: &str) -> Response {
    let text = format!(
        "There is nothing at {path:.200}. This server has the WebSocket at /app/{key}; {} and {} for \
         channels; {} and {} for users.\n",
        endpoint::PATHS[0],
        endpoint::PATHS[1],
        endpoint::USER_PATHS[0],
        endpoint::USER_PATHS[1],
    );
    Response::text(404, text)
}
