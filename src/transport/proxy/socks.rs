//! SOCKS5 (RFC 1928) with user and password (RFC 1929).

use std::net::IpAddr;

use super::{Progress, refused};
use crate::config::proxy::Credentials;
use crate::{Error, ErrorKind};

const VERSION: u8 = 5;
const AUTH_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const SUCCEEDED: u8 = 0;

/// Methods of authentication.
const NONE: u8 = 0;
const PASSWORD: u8 = 2;
const NO_ACCEPTABLE: u8 = 0xff;

/// Types of addresses.
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

const NOT_SOCKS: &str = "does not respond with SOCKS5; is it another kind of proxy?";

pub(super) struct Socks {
    expects: Expects,
    /// Sent if the proxy requires them.
    credentials: Option<Vec<u8>>,
    request: Vec<u8>,
}

/// The next response.
enum Expects {
    Method,
    Authentication,
    Reply,
}

impl Socks {
    pub(super) fn new(
        host: &str,
        port: u16,
        credentials: Option<&Credentials>,
    ) -> Result<(Self, Vec<u8>), Error> {
        let methods = match credentials {
            Some(_) => vec![VERSION, 2, NONE, PASSWORD],
            None => vec![VERSION, 1, NONE],
        };
        let socks = Self {
            expects: Expects::Method,
            credentials: credentials.map(authentication).transpose()?,
            request: request(host, port)?,
        };
        Ok((socks, methods))
    }

    pub(super) fn advance(&mut self, input: &[u8]) -> Result<Progress, Error> {
        match self.expects {
            Expects::Method => self.method(input),
            Expects::Authentication => self.authentication(input),
            Expects::Reply => reply(input),
        }
    }

    fn method(&mut self, input: &[u8]) -> Result<Progress, Error> {
        match (input, &self.credentials) {
            ([] | [VERSION], _) => Ok(Progress::Wait),
            ([VERSION, NONE, ..], _) => Ok(self.send_request()),
            ([VERSION, PASSWORD, ..], Some(credentials)) => {
                self.expects = Expects::Authentication;
                Ok(Progress::Send(2, credentials.clone()))
            }
            ([VERSION, NO_ACCEPTABLE, ..], Some(_)) => Err(permanent(
                "accepts neither these credentials nor none; it requires another kind of authentication",
            )),
            ([VERSION, NO_ACCEPTABLE, ..], None) => Err(permanent("requires credentials")),
            ([VERSION, method, ..], _) => {
                let why = format!("requires authentication method {method}, which was not offered");
                Err(refused(why))
            }
            _ => Err(refused(NOT_SOCKS)),
        }
    }

    fn authentication(&mut self, input: &[u8]) -> Result<Progress, Error> {
        match input {
            [] | [AUTH_VERSION] => Ok(Progress::Wait),
            [AUTH_VERSION, SUCCEEDED, ..] => Ok(self.send_request()),
            // Some proxies send the version of SOCKS.
            [VERSION] => Ok(Progress::Wait),
            [VERSION, SUCCEEDED, ..] => Ok(self.send_request()),
            [AUTH_VERSION | VERSION, ..] => Err(permanent("does not accept these credentials")),
            _ => Err(refused(NOT_SOCKS)),
        }
    }

    fn send_request(&mut self) -> Progress {
        self.expects = Expects::Reply;
        Progress::Send(2, std::mem::take(&mut self.request))
    }
}

fn reply(input: &[u8]) -> Result<Progress, Error> {
    let length = match input {
        [] | [VERSION] | [VERSION, SUCCEEDED] | [VERSION, SUCCEEDED, _] => {
            return Ok(Progress::Wait);
        }
        // Some proxies leave out the address that follows.
        [VERSION, code @ 1..=u8::MAX, ..] => return Err(refused_with(*code)),
        [VERSION, SUCCEEDED, _, IPV4, ..] => 4,
        [VERSION, SUCCEEDED, _, IPV6, ..] => 16,
        [VERSION, SUCCEEDED, _, NAME] => return Ok(Progress::Wait),
        [VERSION, SUCCEEDED, _, NAME, length, ..] => 1 + usize::from(*length),
        [VERSION, SUCCEEDED, _, kind, ..] => {
            return Err(refused(format!("responds with an address of unknown type {kind}")));
        }
        _ => return Err(refused(NOT_SOCKS)),
    };
    // Four bytes before it, and the port behind it.
    let length = 4 + length + 2;
    if input.len() < length { Ok(Progress::Wait) } else { Ok(Progress::Done(length)) }
}

fn permanent(why: &str) -> Error {
    refused(why).permanent()
}

fn refused_with(code: u8) -> Error {
    let (words, permanent) = match code {
        1 => ("reports a general failure", false),
        2 => ("does not allow this connection", true),
        3 => ("cannot reach the server's network", false),
        4 => ("cannot reach the server's host, or does not know its name", false),
        5 => ("reports that the server refused the connection", false),
        6 => ("reports that the packets' time to live expired", false),
        7 => ("does not support CONNECT", true),
        8 => ("does not support this type of address", true),
        _ => ("reports an unknown failure", false),
    };
    let error = refused(format!("{words} (SOCKS5 reply {code})"));
    if permanent { error.permanent() } else { error }
}

fn authentication(credentials: &Credentials) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![AUTH_VERSION];
    for text in [credentials.user.expose(), credentials.password.expose()] {
        bytes.push(length_of(text, "the user name or the password of the proxy")?);
        bytes.extend_from_slice(text.as_bytes());
    }
    Ok(bytes)
}

fn request(host: &str, port: u16) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![VERSION, CONNECT, 0];
    match host.parse() {
        Ok(IpAddr::V4(ip)) => {
            bytes.push(IPV4);
            bytes.extend(ip.octets());
        }
        Ok(IpAddr::V6(ip)) => {
            bytes.push(IPV6);
            bytes.extend(ip.octets());
        }
        Err(_) => {
            bytes.push(NAME);
            bytes.push(length_of(host, "the host name")?);
            bytes.extend(host.as_bytes());
        }
    }
    bytes.extend(port.to_be_bytes());
    Ok(bytes)
}

fn length_of(text: &str, what: &str) -> Result<u8, Error> {
    u8::try_from(text.len()).map_err(|_| {
        let message = format!("{what} has {} bytes; SOCKS5 allows at most 255", text.len());
        Error::message(ErrorKind::Config, message)
    })
}
