//! A weekly pattern of local time: what of a civil week is open.

use jiff::SignedDuration;
use jiff::civil::DateTime;

use crate::kinds::{Day, Hours, MINUTES_PER_DAY};

const WEEK_MINUTES: u32 = 7 * MINUTES_PER_DAY as u32;
/// A week of local time that does not jump.
pub(super) const WEEK: SignedDuration = SignedDuration::from_mins(WEEK_MINUTES as i64);

/// The minutes of a week, from Monday 00:00 local time on, at which it opens or closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Week {
    /// Ascending, each one a change.
    changes: Vec<u32>,
    /// Whether the week ends open, and so begins open unless minute 0 is a change.
    ends_open: bool,
}

impl Week {
    /// The union of these hours, or the first text that is no time of day.
    pub(super) fn new(hours: &[Hours]) -> Result<Self, String> {
        let mut spans = Vec::new();
        for entry in hours {
            let from = entry.from.minute().ok_or_else(|| entry.from.0.clone())?;
            let to = entry.to.minute().ok_or_else(|| entry.to.0.clone())?;
            for day in &entry.days {
                spans.extend(spans_of(*day, from, to));
            }
        }
        let mut changes: Vec<_> = merged(spans).into_iter().flat_map(|(from, to)| [from, to]).collect();
        let ends_open = changes.pop_if(|last| *last == WEEK_MINUTES).is_some();
        if ends_open {
            // The end of the week is its beginning: open on both sides, it is no change.
            match changes.first() {
                Some(0) => drop(changes.remove(0)),
                _ => changes.insert(0, 0),
            }
        }
        Ok(Self { changes, ends_open })
    }

    /// Whether this local time is open.
    pub(super) fn open_at(&self, local: DateTime) -> bool {
        self.open_after(self.changes_until(since_monday(local)))
    }

    /// How long it stays closed from this local time on, were local time never to jump: nothing where it is open.
    pub(super) fn closed_for(&self, local: DateTime) -> SignedDuration {
        self.lasts(false, local)
    }

    /// How long it stays open from this local time on, were local time never to jump: nothing where it is closed.
    pub(super) fn open_for(&self, local: DateTime) -> SignedDuration {
        self.lasts(true, local)
    }

    fn lasts(&self, open: bool, local: DateTime) -> SignedDuration {
        let position = since_monday(local);
        let passed = self.changes_until(position);
        if self.open_after(passed) != open {
            return SignedDuration::ZERO;
        }
        let minutes = |minute: &u32| SignedDuration::from_mins(i64::from(*minute));
        match (self.changes.get(passed), self.changes.first()) {
            (Some(next), _) => minutes(next) - position,
            (None, Some(first)) => minutes(first) + WEEK - position,
            (None, None) => SignedDuration::MAX,
        }
    }

    fn changes_until(&self, position: SignedDuration) -> usize {
        self.changes.partition_point(|minute| i64::from(*minute) <= position.as_mins())
    }

    fn open_after(&self, changes: usize) -> bool {
        self.ends_open ^ (changes % 2 == 1)
    }
}

fn since_monday(local: DateTime) -> SignedDuration {
    let days = i64::from(local.weekday().to_monday_zero_offset());
    SignedDuration::from_hours(days * 24) + local.time().duration_since(jiff::civil::Time::midnight())
}

fn spans_of(day: Day, from: u16, to: u16) -> Vec<(u32, u32)> {
    let start = u32::from(day.index() * MINUTES_PER_DAY);
    let begin = start + u32::from(from);
    let end = start + u32::from(to) + if to <= from { u32::from(MINUTES_PER_DAY) } else { 0 };
    if end <= WEEK_MINUTES {
        vec![(begin, end)]
    } else {
        vec![(begin, WEEK_MINUTES), (0, end - WEEK_MINUTES)]
    }
}

fn merged(mut spans: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    spans.sort_unstable();
    let mut out: Vec<(u32, u32)> = Vec::with_capacity(spans.len());
    for (from, to) in spans {
        match out.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ if from < to => out.push((from, to)),
            _ => {}
        }
    }
    out
}
