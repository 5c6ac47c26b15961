//! End to end: the real binary, a real API server, and the simulator's request log. Each test is named by what holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod operator;
mod stage;

mod answers;
mod brakes;
mod claims;
mod crash;
mod deletion;
mod kubectl;
mod many;
mod others;
mod outage;
mod record;
mod rights;
mod stalled;
mod tenants;
mod timers;
mod transitions;
mod unreadable;
mod volume;
mod windows;
