//! A weekly pattern of local time: what of a civil week is open.

use jiff::SignedDuration;
use jiff::civil::DateTime;

use crate::kinds::{Day, Hours, MINUTES_PER_DAY};

const WEEK_MINUTES: u32 = 7 * MINUTES_PER_DAY as u32;
const WEEK: SignedDuration = SignedDuration::from_mins(WEEK_MINUTES as i64);

/// The open minutes of a week that starts on Monday 00:00 local time: sorted, disjoint, half-open, never touching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Week(Vec<(u32, u32)>);

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
        Ok(Self(merged(spans)))
    }

    /// Whether this local time is open.
    pub(super) fn open_at(&self, local: DateTime) -> bool {
        let minute = (since_monday(local).as_secs() / 60) as u32;
        self.0.iter().any(|(from, to)| (*from..*to).contains(&minute))
    }

    /// How far this local time is from the next boundary of the pattern, were local time never to jump. `None`: there is none.
    pub(super) fn until_boundary(&self, local: DateTime) -> Option<SignedDuration> {
        let position = since_monday(local);
        let boundaries = self.0.iter().flat_map(|(from, to)| [*from, *to]);
        boundaries
            .map(|minute| SignedDuration::from_mins(i64::from(minute)))
            .map(|at| if at > position { at - position } else { at + WEEK - position })
            .min()
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
