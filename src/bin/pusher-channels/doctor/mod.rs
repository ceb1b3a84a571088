//! `doctor`: checks one thing after another, and says what to do at the first that fails.
//!
//! `network` checks what comes before the connection, with sockets of its own; `connection` what the library's client
//! does; `advice` knows what to do about each error.

mod advice;
mod connection;
mod network;

use std::time::Duration;

use clap::Args;
use pusher_channels::Error;

use crate::exit::{Failure, code_of};
use crate::options::{Access, Server};
use crate::output::{Output, printable};

/// Find out why a connection fails
///
/// Checks one thing after another: name resolution, TCP, TLS and the WebSocket upgrade, the establishment, a ping, a
/// subscription, the auth endpoint and the clock. At the first that fails it says what to do, and ends.
#[derive(Args)]
#[command(after_help = crate::EXIT_CODES)]
pub(crate) struct Doctor {
    /// Channels to subscribe to [default: a public one, and with --auth-endpoint or --secret a private one]
    #[arg(value_name = "CHANNEL")]
    channels: Vec<String>,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    access: Access,
}

/// Prints the results of the checks.
struct Report(Output);

/// What failed, and what to do about it.
struct Fault {
    code: u8,
    what: String,
    advice: String,
}

impl Fault {
    fn of(error: &Error) -> Self {
        Self { code: code_of(error), what: format!("{error:#}"), advice: advice::on(error) }
    }
}

impl Report {
    fn passed(&self, check: &str, detail: &str) -> Result<(), Failure> {
        self.write("ok", "32", check, detail)
    }

    fn skipped(&self, check: &str, why: &str) -> Result<(), Failure> {
        self.write("skipped", "2", check, why)
    }

    /// Prints the result of a check, and ends the command if it has failed.
    fn check<T>(
        &self,
        check: &str,
        result: Result<T, Fault>,
        detail: impl FnOnce(&T) -> String,
    ) -> Result<T, Failure> {
        match result {
            Ok(value) => {
                self.passed(check, &detail(&value))?;
                Ok(value)
            }
            Err(fault) => {
                self.write("FAILED", "31", check, &fault.what)?;
                self.0.line(&format!("{:9}{}", "", printable(&fault.advice)))?;
                Err(Failure::quiet(fault.code))
            }
        }
    }

    fn write(&self, result: &str, color: &str, check: &str, detail: &str) -> Result<(), Failure> {
        let result = self.0.painted(color, &format!("{result:8}"));
        self.0.line(&format!("{result} {check:13} {}", printable(detail)))
    }
}

impl Doctor {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let report = Report(Output::new(false));
        let options = self.server.options()?;
        let url = options.to_url()?;
        report.passed("options", url.split('?').next().unwrap_or_default())?;
        let place =
            network::Place::of(&url).ok_or_else(|| Failure::usage("the URL has no host"))?;
        let timeout = self.server.timeout;
        if self.server.may_use_proxy() {
            report.skipped("name, tcp", "a proxy is configured, which connects instead")?;
        } else {
            let addresses = report.check("name", place.resolve(timeout), |addresses| {
                let addresses: Vec<_> = addresses.iter().map(|to| to.ip().to_string()).collect();
                format!("{} is {}", place.host, addresses.join(", "))
            })?;
            self.check_tcp(&report, &addresses)?;
        }
        connection::check(&self, &report, &place)?;
        self.check_clock(&report, &place)
    }

    fn check_tcp(
        &self,
        report: &Report,
        addresses: &[std::net::SocketAddr],
    ) -> Result<(), Failure> {
        let mut first_fault = None;
        let mut reached = false;
        for address in addresses {
            match network::reach(address, self.server.timeout) {
                Ok(took) => {
                    reached = true;
                    report.passed(
                        "tcp",
                        &format!("{address} accepts connections ({})", millis(took)),
                    )?;
                }
                Err(error) => {
                    let text = format!("{address}: {error}");
                    if addresses.len() > 1 {
                        report.skipped("tcp", &text)?;
                    }
                    first_fault.get_or_insert((text, error));
                }
            }
        }
        match first_fault {
            Some((what, error)) if !reached => {
                let fault =
                    Fault { code: crate::exit::UNREACHABLE, what, advice: advice::on_tcp(&error) };
                report.check("tcp", Err::<(), _>(fault), |()| String::new())
            }
            _ => Ok(()),
        }
    }

    /// A clock that is wrong breaks the signatures of the HTTP API, and certificates.
    fn check_clock(&self, report: &Report, place: &network::Place) -> Result<(), Failure> {
        if self.server.may_use_proxy() {
            return report.skipped("clock", "a proxy is configured");
        }
        let Some(ahead) = network::clock_ahead(place, self.server.timeout) else {
            let why = match place.tls && !cfg!(tls = "native") {
                true => "over TLS only a build with native-tls asks for the server's",
                false => "the server does not send its time",
            };
            return report.skipped("clock", why);
        };
        let result = advice::on_clock(ahead).map_or(Ok(()), Err);
        report.check("clock", result, |()| {
            format!("differs by {} s from the server's", ahead.unsigned_abs())
        })
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
