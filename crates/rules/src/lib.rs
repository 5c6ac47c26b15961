//! The pure core: kinds, calendars, gates and the one decision.
