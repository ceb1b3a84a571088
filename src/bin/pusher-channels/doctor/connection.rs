//! What the library's client does: TLS, upgrade and establishment, a ping, subscriptions and their authorization.

use std::time::Duration;

use pusher_channels::{AuthRequest, Authorizer, Client, Error, ErrorKind, Reconnect};

use super::network::{self, Place};
use super::{Doctor, Fault, Report, advice, millis};
use crate::exit::{Failure, code_of};
use crate::time::instant;

/// Names that no app uses.
const PUBLIC: &str = "pusher-channels-doctor";
const PRIVATE: &str = "private-pusher-channels-doctor";

pub(super) fn check(doctor: &Doctor, report: &Report, place: &Place) -> Result<(), Failure> {
    let timeout = doctor.server.timeout;
    let builder = doctor.server.client(&doctor.access)?;
    let client = builder.reconnect(Reconnect::never()).subscribe_timeout(timeout).build()?;
    client.connect();
    // Longer than the client's own limit, so that its error is seen.
    let connected = client.wait_connected(timeout + Duration::from_secs(1));
    let socket_id = report_connected(doctor, report, place, connected)?;
    let pong = client.ping(timeout).map_err(|error| Fault::of(&error));
    report.check("ping", pong, |time| format!("answered within {}", millis(*time)))?;
    let names = names(doctor)?;
    check_endpoint(doctor, report, &socket_id, &names)?;
    for name in names {
        let subscribed = subscribe(&client, &name, timeout);
        let fault = |error: &Error| fault_of_subscription(error, &name);
        report.check("subscription", subscribed.map_err(|error| fault(&error)), |()| {
            match needs_authorization(&name) {
                true => format!("{name}: the server accepts the signature"),
                false => format!("{name}: confirmed"),
            }
        })?;
    }
    // The process ends anyway.
    let _ = client.close(Duration::from_secs(2));
    Ok(())
}

/// Asks the endpoint as the client does, for every channel that needs it: the client would retry some failures, and
/// could not tell them from those of the server.
fn check_endpoint(
    doctor: &Doctor,
    report: &Report,
    socket_id: &str,
    names: &[String],
) -> Result<(), Failure> {
    let Some(endpoint) = doctor.access.http_authorizer()? else {
        return Ok(());
    };
    let Doctor { server, .. } = doctor;
    let endpoint = endpoint.timeout(server.timeout).tls(server.tls()?).proxy(server.proxy()?);
    for name in names.iter().filter(|name| needs_authorization(name)) {
        let start = instant();
        let response = endpoint.authorize(&AuthRequest::new(socket_id, name));
        report.check("auth endpoint", response.map_err(|error| Fault::of(&error)), |_| {
            let took = millis(instant().saturating_duration_since(start));
            format!("responds for {name} within {took}, in the right form")
        })?;
    }
    Ok(())
}

/// Tells which step a failed connection has reached: the kind of the error shows it.
fn report_connected(
    doctor: &Doctor,
    report: &Report,
    place: &Place,
    connected: Result<String, Error>,
) -> Result<String, Failure> {
    let certificate = match doctor.server.insecure {
        true => "the certificate was not checked",
        false => "the certificate is trusted, valid, and that of the host",
    };
    let tls = if place.tls { certificate } else { "not used" };
    let failed = connected.as_ref().err().map(cause);
    let step = match failed.as_ref().map(Error::kind) {
        None | Some(ErrorKind::Server) => 2,
        Some(ErrorKind::Tls | ErrorKind::Io | ErrorKind::Dns | ErrorKind::Proxy) if place.tls => 0,
        Some(_) => 1,
    };
    for (check, detail) in
        [("tls", tls), ("upgrade", "the server speaks WebSocket")].iter().take(step)
    {
        report.passed(check, detail)?;
    }
    let check = ["tls", "upgrade", "establishment"].get(step).copied().unwrap_or_default();
    let result = connected.map_err(|error| {
        let mut fault = Fault::of(&error);
        if step < 2 && !doctor.server.may_use_proxy() {
            improve(&mut fault, place, doctor.server.timeout);
        }
        fault
    });
    report.check(check, result, |socket_id| format!("the key is known; socket id {socket_id}"))
}

/// Replaces the advice if something else than the server is the cause.
fn improve(fault: &mut Fault, place: &Place, timeout: Duration) {
    let speaks = place.speaks(timeout);
    if let Some(advice) = advice::on_other_protocol(place.tls, &speaks) {
        advice.clone_into(&mut fault.advice);
    } else if place.tls {
        // Certificates seem not to be valid yet, or not any more.
        let clock = network::clock_ahead(place, timeout).and_then(advice::on_clock);
        if let Some(Fault { what, advice, .. }) = clock {
            fault.advice = format!("{what}: {advice}");
        }
    }
}

/// Returns the failure behind a wait that timed out.
fn cause(error: &Error) -> Error {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<Error>());
    match (error.kind(), source) {
        (ErrorKind::Timeout, Some(source)) => cause(source),
        _ => error.clone(),
    }
}

fn needs_authorization(name: &str) -> bool {
    name.starts_with("private-") || name.starts_with("presence-")
}

fn names(doctor: &Doctor) -> Result<Vec<String>, Failure> {
    if !doctor.channels.is_empty() {
        return Ok(doctor.channels.clone());
    }
    let Doctor { server, access, .. } = doctor;
    let private = access.auth_endpoint.is_some() || server.has_secret(access)?;
    let private = private.then_some(PRIVATE);
    Ok([PUBLIC].into_iter().chain(private).map(str::to_owned).collect())
}

fn subscribe(client: &Client, name: &str, timeout: Duration) -> Result<(), Error> {
    let channel = client.channel(name)?;
    channel.subscribe();
    // As for the connection.
    channel.wait_subscribed(timeout + Duration::from_secs(1))
}

fn fault_of_subscription(error: &Error, name: &str) -> Fault {
    // What the endpoint refuses was seen before.
    let refused = matches!(error.kind(), ErrorKind::Auth | ErrorKind::Server | ErrorKind::Timeout);
    match refused && needs_authorization(name) {
        true => Fault {
            code: code_of(error),
            what: format!("{error:#}"),
            advice: "the server does not accept the signature: the secret must be that of this app key, at the auth \
                     endpoint too"
                .to_owned(),
        },
        false => Fault::of(error),
    }
}
