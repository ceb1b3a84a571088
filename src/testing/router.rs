//! One connection: where its requests go.

use std::io;
use std::net::TcpStream;

use super::exchange::Exchange;
use super::http::{Request, Response};
use super::settings::Settings;
use super::state::Shared;
use super::{api, cors, endpoint, websocket};
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
                return exchange.finish(&Response::text(status, String::new()).encode("", true));
            }
        };
        let response = respond(shared, &request);
        if !request.keeps_alive {
            return exchange.finish(&response.encode(&request.method, true));
        }
        exchange.respond(&response.encode(&request.method, false))?;
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
        api::respond(shared, request)
            .unwrap_or_else(|| nothing_here(&shared.settings, request.path()))
    };
    if let Some(origin) = origin {
        cors::allow(&mut response, origin);
    }
    response
}

fn nothing_here(settings: &Settings, path: &str) -> Response {
    let Settings { key, app_id, .. } = settings;
    let ([auth, laravel], [user, laravel_user]) = (endpoint::PATHS, endpoint::USER_PATHS);
    let text = format!(
        "There is nothing at {path:.200}. This server has the WebSocket at /app/{key}, the HTTP API at \
         /apps/{app_id}, and endpoints for authorization at {auth} and {laravel} (channels), {user} and \
         {laravel_user} (users).\n"
    );
    Response::text(404, text)
}
