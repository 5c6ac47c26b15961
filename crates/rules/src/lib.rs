//! The pure core: kinds, calendars, gates and the one decision. No client, no clock, no randomness.

pub mod calendar;
pub mod campaign;
pub mod decide;
mod flux;
pub mod gates;
pub mod inputs;
pub mod kinds;
pub mod plan;
pub mod policies;
pub mod policy_standing;
pub mod reasons;
pub mod report;
pub mod step;
pub mod text;
pub mod trouble;
pub mod wants;
pub mod zones;
