//! Tests of the machine, in simulated time: nothing here sleeps, dials or reads a clock.

mod channels;
mod frames;
mod keepalive;
mod lifecycle;
mod outage;
mod property;
mod replay;
mod sim;
