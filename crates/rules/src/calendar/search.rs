//! The search for the next instant at which every rule is open in each of its zones, or one is not.
//!
//! A stretch is the time between two shifts of any zone's offset, and between two dates on which a rule turns. Within it every
//! local time runs evenly and the same rules apply, so what they allow together repeats weekly: a week without an
//! opening means none before the next stretch. That bounds the search by the number of stretches.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::rule::Rule;
use super::week::{WEEK, Week};
use super::{Calendar, Cap};

/// A search that moves forward in time, and knows the stretch it is in.
pub(super) struct Search<'a> {
    calendar: &'a Calendar,
    clocks: Vec<Clock<'a>>,
    stretch: Stretch<'a>,
}

/// The close of a span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Close {
    /// The first instant at which something is closed.
    pub(super) at: Timestamp,
    /// The largest lead of the rules that applied until then.
    pub(super) lead: SignedDuration,
}

/// A zone's clock until its next shift.
struct Clock<'a> {
    zone: &'a TimeZone,
    offset: Offset,
    shift: Timestamp,
}

/// From `from` until `until` no zone shifts and no rule turns.
struct Stretch<'a> {
    from: Timestamp,
    until: Timestamp,
    /// Something is closed all through it.
    shut: bool,
    /// What must be open: the week of a rule (by its place), in an offset.
    strands: Vec<(usize, &'a Week, Offset)>,
    lead: SignedDuration,
    cap: Option<Cap>,
}

impl<'a> Search<'a> {
    /// A search that starts at this instant.
    pub(super) fn new(calendar: &'a Calendar, at: Timestamp) -> Self {
        let clocks: Vec<_> = calendar.zones.iter().map(|zone| Clock::at(zone, at)).collect();
        let stretch = Stretch::new(calendar, &clocks, at);
        Self { calendar, clocks, stretch }
    }

    /// Until when no zone shifts and no rule turns.
    pub(super) fn stretch_ends(&self) -> Timestamp {
        self.stretch.until
    }

    /// The next instant at which some rule may open or close in some zone, each for itself.
    pub(super) fn next_change(&self, at: Timestamp) -> Timestamp {
        let lasts = |week: &Week, local| week.open_for(local).max(week.closed_for(local));
        let calendar = self.calendar;
        let weeks = calendar.rules.iter().filter_map(|rule| Some((rule.week.as_ref()?, &rule.zones)));
        let each = weeks.flat_map(|(week, zones)| {
            zones.iter().map(move |zone| later(at, lasts(week, local(self.clocks[*zone].offset, at))))
        });
        each.fold(self.stretch.until, Timestamp::min)
    }

    /// The lowest cap of the rules that apply.
    pub(super) fn cap(&self) -> Option<Cap> {
        self.stretch.cap.clone()
    }

    /// The largest lead of the rules that apply.
    pub(super) fn lead(&self) -> SignedDuration {
        self.stretch.lead
    }

    /// The first instant from `at` on, before `end`, at which everything is open.
    pub(super) fn next_open(&mut self, at: Timestamp, end: Timestamp) -> Option<Timestamp> {
        let mut from = at;
        while from < end {
            self.enter(from);
            let open = self.stretch.open_within(from, later(from, WEEK).min(self.stretch.until).min(end));
            if open.is_some() {
                return open;
            }
            from = self.stretch.until;
        }
        None
    }

    /// From `at` on, where everything is open: the first instant before `end` at which something is closed.
    pub(super) fn next_close(&mut self, at: Timestamp, end: Timestamp) -> Option<Close> {
        let mut from = at;
        let mut lead = SignedDuration::ZERO;
        while from < end {
            self.enter(from);
            let close = self.stretch.closes(from);
            if close > from {
                lead = self.stretch.lead;
            }
            if close < self.stretch.until {
                return Some(Close { at: close, lead }).filter(|close| close.at < end);
            }
            from = self.stretch.until;
        }
        None
    }

    /// From a close at `at`, where no span since `since` was of use: past the weeks that only repeat those spans. More than
    /// a week before the stretch or the search ends stays, since what is cut off there need not be a repetition.
    pub(super) fn past_repeats(&self, since: Timestamp, at: Timestamp, end: Timestamp) -> Timestamp {
        if at.duration_since(since.max(self.stretch.from)) < WEEK {
            return at;
        }
        let left = self.stretch.until.min(end).duration_since(at);
        let weeks = left.as_secs() / WEEK.as_secs() - 1;
        later(at, SignedDuration::from_secs(WEEK.as_secs() * weeks.max(0)))
    }

    /// Makes the stretch the one this instant lies in.
    fn enter(&mut self, at: Timestamp) {
        if at >= self.stretch.until {
            for clock in self.clocks.iter_mut().filter(|clock| at >= clock.shift) {
                *clock = Clock::at(clock.zone, at);
            }
            self.stretch = Stretch::new(self.calendar, &self.clocks, at);
        }
    }
}

impl<'a> Clock<'a> {
    fn at(zone: &'a TimeZone, at: Timestamp) -> Self {
        #[cfg(test)]
        work::count(1);
        let shift = zone.following(at).next().map_or(Timestamp::MAX, |shift| shift.timestamp());
        Self { zone, offset: zone.to_offset(at), shift }
    }
}

impl<'a> Stretch<'a> {
    fn new(calendar: &'a Calendar, clocks: &[Clock<'a>], at: Timestamp) -> Self {
        let local: Vec<DateTime> = clocks.iter().map(|clock| local(clock.offset, at)).collect();
        let mut until = clocks.iter().map(|clock| clock.shift).min().unwrap_or(Timestamp::MAX);
        let mut strands = Vec::new();
        let mut shut = calendar.lacks_hours(|rule| rule.zones.iter().all(|z| rule.applies(local[*z].date())));
        for (place, rule) in calendar.rules.iter().enumerate() {
            let turns = rule.zones.iter().filter_map(|z| rule.until_turn(local[*z]));
            until = turns.map(|turn| later(at, turn)).fold(until, Timestamp::min);
            shut |= rule.zones.iter().any(|z| rule.shuts(local[*z].date()));
            // Where something is shut, nobody asks what else is.
            let Some(week) = rule.week.as_ref().filter(|_| !shut) else { continue };
            let applying = rule.zones.iter().filter(|z| rule.applies(local[**z].date()));
            strands.extend(applying.map(|z| (place, week, clocks[*z].offset)));
        }
        let key = |(place, _, offset): &(usize, &Week, Offset)| (*place, *offset);
        strands.sort_unstable_by_key(key);
        strands.dedup_by_key(|strand| key(strand));
        let binding: Vec<&Rule> = calendar.rules.iter().filter(|rule| rule.binds(&local)).collect();
        let lead = binding.iter().map(|rule| rule.lead).max().unwrap_or(SignedDuration::ZERO);
        let cap = binding.iter().filter_map(|rule| Cap::of(rule)).min_by_key(|cap| cap.calls);
        Self { from: at, until, shut, strands, lead, cap }
    }

    /// From `from` on: when something is closed, were the stretch never to end.
    fn closes(&self, from: Timestamp) -> Timestamp {
        if self.shut {
            return from;
        }
        let left = self.strands.iter().map(|(_, week, offset)| week.open_for(local(*offset, from))).min();
        left.map_or(Timestamp::MAX, |left| later(from, left))
    }

    /// The first instant in this part of the stretch at which everything is open. Nothing is before the opening of a strand
    /// that is closed, so the search leaps there; that strand is asked first from then on, so that those that never meet soon
    /// stand next to each other.
    fn open_within(&mut self, from: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let mut cursor = from;
        while cursor < until && !self.shut {
            let waits = self.strands.iter().map(|(_, week, offset)| week.closed_for(local(*offset, cursor)));
            let Some((closed, wait)) = waits.enumerate().find(|(_, wait)| !wait.is_zero()) else {
                return Some(cursor);
            };
            self.strands[..=closed].rotate_right(1);
            cursor = later(cursor, wait);
        }
        None
    }
}

fn local(offset: Offset, at: Timestamp) -> DateTime {
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
pub(crate) mod work {
    use std::cell::Cell;

    thread_local!(static ASKED: Cell<usize> = const { Cell::new(0) });

    pub(super) fn count(zones: usize) {
        ASKED.set(ASKED.get() + zones);
    }

    /// What was counted since the last call.
    pub(crate) fn take() -> usize {
        ASKED.take()
    }
}
