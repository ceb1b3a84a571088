//! How the program ends: exit codes, and the messages that go with them.

use std::error::Error as _;
use std::io;
use std::process::ExitCode;

use pusher_channels::{Error, ErrorKind};

use crate::output::note;

pub(crate) const DONE: u8 = 0;
pub(crate) const FAILED: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const TIMED_OUT: u8 = 3;
pub(crate) const REFUSED: u8 = 4;
pub(crate) const UNREACHABLE: u8 = 5;
pub(crate) const INTERRUPTED: u8 = 130;

/// Why a command ends early.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    /// Empty if there is nothing to say.
    message: String,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, message)
    }

    /// Ends the program without a message.
    pub(crate) fn quiet(code: u8) -> Self {
        Self::new(code, "")
    }

    pub(crate) fn report(self) -> ExitCode {
        if !self.message.is_empty() {
            note(&format!("error: {}", self.message));
        }
        ExitCode::from(self.code)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(code_of(&error), error.to_string())
    }
}

impl From<io::Error> for Failure {
    /// An error of standard input or output.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // Whoever read the output has seen enough, as in `… | head -1`.
            io::ErrorKind::BrokenPipe => Self::quiet(DONE),
            _ => Self::new(FAILED, error.to_string()),
        }
    }
}

/// Returns the exit code for an error of the library.
pub(crate) fn code_of(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::Timeout => {
            // A wait that timed out since something failed ends as that would.
            let cause = error.source().and_then(|source| source.downcast_ref::<Error>());
            cause.map_or(TIMED_OUT, code_of)
        }
        ErrorKind::Config | ErrorKind::InvalidName | ErrorKind::TooLarge | ErrorKind::Json => USAGE,
        ErrorKind::Auth | ErrorKind::RateLimited => REFUSED,
        ErrorKind::Server => REFUSED,
        ErrorKind::Handshake if matches!(error.http_status(), Some(401 | 403)) => REFUSED,
        ErrorKind::Dns
        | ErrorKind::Handshake
        | ErrorKind::Io
        | ErrorKind::Protocol
        | ErrorKind::Proxy
        | ErrorKind::Tls => UNREACHABLE,
        _ => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_code_that_tells_what_to_mend() {
        for (kind, code) in [
            (ErrorKind::Config, USAGE),
            (ErrorKind::Timeout, TIMED_OUT),
            (ErrorKind::Auth, REFUSED),
            (ErrorKind::Server, REFUSED),
            (ErrorKind::Dns, UNREACHABLE),
            (ErrorKind::Tls, UNREACHABLE),
            (ErrorKind::Internal, FAILED),
        ] {
            assert_eq!(code_of(&Error::new(kind, "text")), code, "{kind:?}");
        }
        let refused = Error::new(ErrorKind::Dns, "text");
        assert_eq!(code_of(&Error::new(ErrorKind::Timeout, refused)), UNREACHABLE);
    }

    #[test]
    fn closed_output_ends_quietly() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((failure.code, failure.message.as_str()), (DONE, ""));
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::StorageFull)).code, FAILED);
    }
}
