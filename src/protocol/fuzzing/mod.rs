//! Fuzz targets of the protocol, see [`crate::fuzzing`].
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a target panics when something does not hold"
)]

mod frame;
mod frames;
mod machine;
mod presence;
#[cfg(feature = "encrypted")]
mod sealed;

pub(crate) use frames::frames;
pub(crate) use machine::machine;
pub(crate) use presence::presence;
#[cfg(feature = "encrypted")]
pub(crate) use sealed::sealed;
