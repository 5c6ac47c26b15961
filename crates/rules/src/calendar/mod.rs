//! When dialing is allowed: hours of local time, in every listed zone at once.
//!
//! `allowed(t)` depends only on t's local date and time in each zone. Everything else here (edges, lead, view) follows from
//! it: an edge is an instant at which `allowed` changes, be it because a clock reaches a boundary or because it jumps.

mod search;
mod week;

use std::fmt;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::kinds::{ComplianceWindow, Day, Hours};
use crate::zones;
use search::{Search, later};
use week::Week;

/// How far ahead an edge is searched; a window that does not open within it is never open.
pub const HORIZON: SignedDuration = SignedDuration::from_hours(400 * 24);

/// A campaign's dialing window, ready to be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    week: Week,
    zones: Vec<TimeZone>,
    lead: SignedDuration,
    rule: String,
}

/// Why a window can't be asked. Each one means closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCalendar {
    /// There are no hours at all.
    #[error("the campaign has no hours: set spec.complianceWindow.hours")]
    NoWindow,
    /// The compiled-in database lacks a zone.
    #[error("time zone {0} is not in the operator's zone database ({version})", version = zones::version())]
    UnknownZone(String),
    /// A text is no time of day; admission refuses it, older objects may hold it.
    #[error("{0:?} is not a time of day")]
    NotATime(String),
}

/// The window as it is at one instant, the close lead taken off.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowView {
    /// Whether dialing is allowed.
    pub open: bool,
    /// When it opens next (after the next close, where it is open). `None`: not within [`HORIZON`].
    pub next_open: Option<Timestamp>,
    /// When it closes next. `None`: not within [`HORIZON`].
    pub next_close: Option<Timestamp>,
}

impl WindowView {
    /// The next change.
    pub fn next_edge(&self) -> Option<Timestamp> {
        if self.open { self.next_close } else { self.next_open }
    }
}

impl Calendar {
    /// Reads a campaign's own window.
    ///
    /// # Errors
    /// Where there are no hours, or something in them is not known: see [`NoCalendar`].
    pub fn new(window: Option<&ComplianceWindow>) -> Result<Self, NoCalendar> {
        let window = window.ok_or(NoCalendar::NoWindow)?;
        let hours = window.hours.as_deref().filter(|h| !h.is_empty()).ok_or(NoCalendar::NoWindow)?;
        if window.time_zones.is_empty() {
            return Err(NoCalendar::NoWindow);
        }
        let known = |zone: &crate::kinds::Zone| {
            zones::zone(&zone.0).ok_or_else(|| NoCalendar::UnknownZone(zone.0.clone()))
        };
        Ok(Self {
            week: Week::new(hours).map_err(NoCalendar::NotATime)?,
            zones: window.time_zones.iter().map(known).collect::<Result<_, _>>()?,
            lead: SignedDuration::from_secs(i64::from(window.close_lead_seconds)),
            rule: describe(hours, window),
        })
    }

    /// The rule in words, for people: at most 512 characters.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// Whether the hours allow dialing at this instant, the close lead not taken off.
    pub fn allowed(&self, at: Timestamp) -> bool {
        self.zones.iter().all(|zone| self.week.open_at(zone.to_datetime(at)))
    }

    /// The next instant at which [`Self::allowed`] changes, within [`HORIZON`].
    pub fn next_edge(&self, at: Timestamp) -> Option<Timestamp> {
        let (mut search, end) = (Search::new(&self.week, &self.zones, at), later(at, HORIZON));
        if self.allowed(at) { search.next_close(at, end) } else { search.next_open(at, end) }
    }

    /// The window at this instant, the close lead taken off.
    pub fn view(&self, at: Timestamp) -> WindowView {
        let mut spans = self.spans(at);
        match spans.next() {
            None => WindowView { open: false, next_open: None, next_close: None },
            Some((from, until)) if from <= at => {
                WindowView { open: true, next_open: spans.next().map(|s| s.0), next_close: until }
            }
            Some((from, until)) => WindowView { open: false, next_open: Some(from), next_close: until },
        }
    }

    /// The open spans from `at` on, lead taken off; those that the lead uses up are left out.
    fn spans(&self, at: Timestamp) -> impl Iterator<Item = (Timestamp, Option<Timestamp>)> {
        let end = later(at, HORIZON);
        let mut search = Search::new(&self.week, &self.zones, at);
        // No span since `found` was left over.
        let (mut cursor, mut found) = (at, at);
        std::iter::from_fn(move || {
            loop {
                let opens = search.next_open(cursor, end)?;
                let Some(close) = search.next_close(opens, later(end, self.lead)) else {
                    cursor = end;
                    return Some((opens, None));
                };
                let until = close.checked_sub(self.lead).unwrap_or(Timestamp::MIN);
                if until > opens {
                    (cursor, found) = (close, close);
                    return Some((opens, Some(until)));
                }
                cursor = search.past_repeats(found, close, end);
            }
        })
    }
}

fn describe(hours: &[Hours], window: &ComplianceWindow) -> String {
    let intervals = hours.iter().map(|h| format!("{} {}-{}", Days(&h.days), h.from.0, h.to.0));
    let zones = window.time_zones.iter().map(|z| z.0.clone());
    let lead = match window.close_lead_seconds {
        0 => String::new(),
        seconds => format!(", closed {seconds} s early"),
    };
    let text = format!("{} in {}{lead}", listed(intervals), listed(zones));
    match text.char_indices().nth(509) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text,
    }
}

fn listed(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

/// Days as people write them: `Mon-Fri`, `Sat+Sun`.
struct Days<'a>(&'a [Day]);

impl fmt::Display for Days<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed: Vec<_> = Day::WEEK.into_iter().filter(|day| self.0.contains(day)).collect();
        match listed.as_slice() {
            [first, .., last]
                if listed.len() > 2 && usize::from(last.index() - first.index()) + 1 == listed.len() =>
            {
                write!(f, "{first}-{last}")
            }
            days => {
                let names: Vec<_> = days.iter().map(ToString::to_string).collect();
                f.write_str(&names.join("+"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
