//! Tests of the machine, in simulated time: nothing here sleeps, dials or reads a clock.

mod alarms;
mod attribution;
mod authorization;
mod channels;
mod client_events;
mod clocks;
mod data;
#[cfg(feature = "encrypted")]
mod encrypted;
mod frames;
mod gaps;
mod harness;
mod interleaving;
mod journal;
mod keepalive;
mod left_to_user;
mod lifecycle;
mod outage;
mod outbox;
mod outputs;
mod overdue;
mod presence;
mod property;
mod reasons;
mod refusals;
mod replay;
mod subscribing;
mod turns;
mod user;
mod window;
