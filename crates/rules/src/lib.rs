//! The pure core: kinds, calendars, gates and the one decision. No client, no clock, no randomness.

pub mod calendar;
pub mod campaign;
pub mod decide;
pub mod gates;
pub mod inputs;
pub mod kinds;
pub mod reasons;
pub mod report;
mod step;
pub mod trouble;
pub mod wants;
pub mod zones;
