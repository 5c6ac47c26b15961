//! The search for the next instant at which all zones are open, or one is not.
//!
//! Between two shifts of any zone's offset every local time runs evenly, so what the zones allow together repeats weekly: a
//! week without an opening means none before the next shift. That bounds the search by the number of shifts.

use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::week::{WEEK, Week};

/// A search that moves forward in time, and knows the stretch it is in: from `from` until `until` no zone shifts.
pub(super) struct Search<'a> {
    week: &'a Week,
    zones: &'a [TimeZone],
    /// The offsets of the zones in this stretch, each once.
    offsets: Vec<Offset>,
    from: Timestamp,
    until: Timestamp,
}

impl<'a> Search<'a> {
    /// A search that starts at this instant.
    pub(super) fn new(week: &'a Week, zones: &'a [TimeZone], at: Timestamp) -> Self {
        let mut offsets: Vec<_> = zones.iter().map(|zone| zone.to_offset(at)).collect();
        offsets.sort_unstable();
        offsets.dedup();
        let shifts = zones.iter().filter_map(|zone| zone.following(at).next());
        let until = shifts.map(|shift| shift.timestamp()).min().unwrap_or(Timestamp::MAX);
        #[cfg(test)]
        work::count(zones.len());
        Self { week, zones, offsets, from: at, until }
    }

    /// The first instant from `at` on, before `end`, at which every zone is open.
    pub(super) fn next_open(&mut self, at: Timestamp, end: Timestamp) -> Option<Timestamp> {
        let mut from = at;
        while from < end {
            self.enter(from);
            let open = self.open_within(from, later(from, WEEK).min(self.until).min(end));
            if open.is_some() {
                return open;
            }
            from = self.until;
        }
        None
    }

    /// The first instant from `at` on, before `end`, at which some zone is closed.
    pub(super) fn next_close(&mut self, at: Timestamp, end: Timestamp) -> Option<Timestamp> {
        let mut from = at;
        while from < end {
            self.enter(from);
            let left = self.offsets.iter().map(|offset| self.week.open_for(local(*offset, from))).min();
            let close = later(from, left?);
            if close < self.until {
                return Some(close).filter(|close| *close < end);
            }
            from = self.until;
        }
        None
    }

    /// From a close at `at`, where no span since `since` was of use: past the weeks that only repeat those spans. More than
    /// a week before the stretch or the search ends stays, since what is cut off there need not be a repetition.
    pub(super) fn past_repeats(&self, since: Timestamp, at: Timestamp, end: Timestamp) -> Timestamp {
        if at.duration_since(since.max(self.from)) < WEEK {
            return at;
        }
        let left = self.until.min(end).duration_since(at);
        let weeks = left.as_secs() / WEEK.as_secs() - 1;
        later(at, SignedDuration::from_secs(WEEK.as_secs() * weeks.max(0)))
    }

    /// Makes the stretch the one this instant lies in.
    fn enter(&mut self, at: Timestamp) {
        if at >= self.until {
            *self = Self::new(self.week, self.zones, at);
        }
    }

    /// The first instant in this part of the stretch at which every zone is open. Nothing is before the opening of a zone that
    /// is closed, so the search leaps there; that zone is asked first from then on, so that those that never meet soon
    /// stand next to each other.
    fn open_within(&mut self, from: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let mut cursor = from;
        while cursor < until {
            let waits = self.offsets.iter().map(|offset| self.week.closed_for(local(*offset, cursor)));
            let Some((closed, wait)) = waits.enumerate().find(|(_, wait)| !wait.is_zero()) else {
                return Some(cursor);
            };
            self.offsets[..=closed].rotate_right(1);
            cursor = later(cursor, wait);
        }
        None
    }
}

fn local(offset: Offset, at: Timestamp) -> jiff::civil::DateTime {
    #[cfg(test)]
    work::count(1);
    offset.to_datetime(at)
}

/// This much later, or the end of time.
pub(super) fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// How often this thread asked a zone something.
#[cfg(test)]
pub(super) mod work {
    use std::cell::Cell;

    thread_local!(static ASKED: Cell<usize> = const { Cell::new(0) });

    pub(super) fn count(zones: usize) {
        ASKED.set(ASKED.get() + zones);
    }

    /// What was counted since the last call.
    pub(in crate::calendar) fn take() -> usize {
        ASKED.take()
    }
}
