//! The hours of each day as a bar of half-hour cells, by the clock on the wall.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use rules::kinds::{DialingPolicySpec, LocalDate};
use rules::plan::Span;
use rules::policies::Policies;

use super::views::Day;
use super::when::Zone;

/// Half hours of a day on the clock.
pub const CELLS: usize = 48;
const MINUTE: SignedDuration = SignedDuration::from_secs(60);

/// What a half hour is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cell {
    /// Over before the plan begins, or skipped by the clock.
    #[default]
    Blank,
    /// It does not run.
    Rests,
    /// It runs for a part of it.
    Partly,
    /// It runs.
    Runs,
}

/// What was counted of a half hour on the clock, in seconds: a repeated hour counts twice.
#[derive(Clone, Copy, Default)]
struct Count {
    told: i64,
    runs: i64,
}

/// The first instant of the day this many days after that of `from`.
pub fn midnight(zone: &Zone, from: Timestamp, days: i64) -> Option<Timestamp> {
    let date = date_after(zone, from, days)?;
    Some(date.to_zoned(zone.zone.clone()).ok()?.timestamp())
}

fn date_after(zone: &Zone, from: Timestamp, days: i64) -> Option<Date> {
    zone.zone.to_datetime(from).date().checked_add(jiff::Span::new().try_days(days).ok()?).ok()
}

/// That many days from that of `from` on.
pub fn days(zone: &Zone, from: Timestamp, count: u16, running: &[Span]) -> Vec<Day> {
    (0..i64::from(count)).filter_map(|n| day(zone, from, n, running)).collect()
}

fn day(zone: &Zone, from: Timestamp, n: i64, running: &[Span]) -> Option<Day> {
    let (begin, end) = (midnight(zone, from, n)?, midnight(zone, from, n + 1)?);
    let spans: Vec<_> = running.iter().filter(|span| span.until > begin && span.from < end).collect();
    let mut counts = [Count::default(); CELLS];
    let mut minute = begin;
    while minute < end {
        let next = minute.checked_add(MINUTE).ok()?;
        let time = zone.zone.to_datetime(minute).time();
        let cell = usize::try_from(i32::from(time.hour()) * 2 + i32::from(time.minute()) / 30).ok()?;
        if let Some(count) = counts.get_mut(cell).filter(|_| next > from) {
            count.told += 60;
            count.runs += spans.iter().map(|span| overlap(span, minute, next)).sum::<i64>();
        }
        minute = next;
    }
    let length = end.duration_since(begin);
    Some(Day {
        date: date_after(zone, from, n)?,
        weekday: zone.zone.to_datetime(begin).strftime("%a").to_string(),
        length_minutes: length.as_mins(),
        clock_change: length != SignedDuration::from_hours(24),
        running_seconds: spans.iter().map(|span| overlap(span, begin, end)).sum(),
        closed: Vec::new(),
        cells: counts.map(cell),
    })
}

/// Tells on each day which policies close it, and why: no edge stands on such a day.
pub fn name_closed_dates(days: &mut [Day], policies: &Policies) {
    for day in days {
        let rules = policies.matching.iter().filter(|policy| applies(&policy.spec, day.date));
        let closed = rules.flat_map(|policy| {
            let entries = policy.spec.closed_dates.iter().filter(|entry| entry.date.date() == Some(day.date));
            entries.map(|entry| format!("{} (policy {})", entry.reason, policy.name))
        });
        day.closed = closed.collect();
    }
}

fn applies(spec: &DialingPolicySpec, date: Date) -> bool {
    let from = spec.effective_from.as_ref().and_then(LocalDate::date);
    let until = spec.effective_until.as_ref().and_then(LocalDate::date);
    from.is_none_or(|from| from <= date) && until.is_none_or(|until| date <= until)
}

fn overlap(span: &Span, from: Timestamp, until: Timestamp) -> i64 {
    span.until.min(until).duration_since(span.from.max(from)).as_secs().max(0)
}

/// The lead before a close does not make a half hour look broken.
fn cell(count: Count) -> Cell {
    match count {
        Count { told: 0, .. } => Cell::Blank,
        Count { runs: 0, .. } => Cell::Rests,
        Count { told, runs } if runs * 10 >= told * 9 => Cell::Runs,
        Count { .. } => Cell::Partly,
    }
}

#[cfg(test)]
mod tests {
    use super::super::views::mark;
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn told(day: &Day) -> String {
        day.cells.iter().map(|cell| mark(*cell, ['#', '+', '.'])).collect()
    }

    #[test]
    fn the_hours_before_a_plan_begins_are_blank_and_a_short_lead_is_not_seen() {
        let utc = Zone::named("UTC").unwrap();
        let running = [Span { from: at("2026-11-23T08:00:00Z"), until: at("2026-11-23T19:59:30Z") }];
        let days = days(&utc, at("2026-11-23T06:00:00Z"), 2, &running);
        let bar = format!("{}{}{}{}", " ".repeat(12), ".".repeat(4), "#".repeat(24), ".".repeat(8));
        assert_eq!((told(&days[0]), days[0].running_seconds), (bar, 43_170));
        assert_eq!((told(&days[1]), days[1].clock_change), (".".repeat(48), false));
    }

    #[test]
    fn the_days_on_which_clocks_change_are_as_long_as_they_are() {
        let zone = Zone::named("America/New_York").unwrap();
        let always = [Span { from: at("2026-01-01T00:00:00Z"), until: at("2027-01-01T00:00:00Z") }];
        for (from, minutes, bar) in [
            ("2026-11-01T04:00:00Z", 1500, "#".repeat(48)),
            ("2026-03-08T05:00:00Z", 1380, format!("{}  {}", "#".repeat(4), "#".repeat(42))),
        ] {
            let day = days(&zone, at(from), 1, &always).remove(0);
            let seconds = minutes * 60;
            assert_eq!((day.length_minutes, day.running_seconds, told(&day)), (minutes, seconds, bar));
            assert!(day.clock_change);
        }
        // Half of a repeated half hour.
        let half = [Span { from: at("2026-11-01T05:30:00Z"), until: at("2026-11-01T06:00:00Z") }];
        let day = days(&zone, at("2026-11-01T04:00:00Z"), 1, &half).remove(0);
        assert_eq!(told(&day), format!("...+{}", ".".repeat(44)));
    }
}
