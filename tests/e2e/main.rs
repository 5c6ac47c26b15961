//! End to end: the real binary, a real API server, and the simulator's request log. Each test is named by what holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod asked;
mod cluster;
mod hours;
mod law;
mod operator;
mod proxy;
mod receiver;
mod stage;
mod waiting;

mod answers;
mod api_trouble;
mod audit_trouble;
mod brakes;
mod claims;
mod crash;
mod crash_points;
mod dates;
mod deletion;
mod explain;
mod flags;
mod freeze;
mod gitops;
mod kubectl;
mod late_effects;
mod left_behind;
mod lost_notifications;
mod many;
mod notifications;
mod others;
mod outage;
mod policies;
mod policy_status;
mod record;

mod rights;
mod stale;
mod stalled;
mod tenants;
mod timers;
mod transitions;
mod two_operators;
mod unlisted;
mod unreadable;
mod volume;
mod windows;
