//! Tests of the machine, in simulated time: nothing here sleeps, dials or reads a clock.

mod alarms;
mod attribution;
mod authorization;
mod channels;
mod client_events;
mod clocks;
mod data;
mod desk;
#[cfg(feature = "encrypted")]
mod encrypted;
mod frames;
mod interleaving;
mod journal;
mod keepalive;
mod lifecycle;
mod outage;
mod presence;
mod property;
mod reasons;
mod refusals;
mod replay;
mod sim;
mod subscribing;
mod turns;
mod user;
mod window;
