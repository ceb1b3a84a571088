//! Helpers that several folders use.

pub(crate) mod clock;
pub(crate) mod count;
pub(crate) mod give_back;
pub(crate) mod guard;
pub(crate) mod redact;
pub(crate) mod retry_after;
pub(crate) mod secret;
pub(crate) mod sync;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
pub(crate) mod time_scale;
pub(crate) mod units;
pub(crate) mod url;
