//! The pure core: kinds, calendars, gates and the one decision. No client, no clock, no randomness.

pub mod calendar;
pub mod kinds;
pub mod zones;
