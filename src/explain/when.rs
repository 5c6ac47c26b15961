//! Instants, as people read them.

use anyhow::{Result, anyhow};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rules::zones;

/// A time zone of display, by its name.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its IANA name.
    pub name: String,
    /// The zone itself.
    pub zone: TimeZone,
}

impl Zone {
    /// The zone of this name.
    ///
    /// # Errors
    /// Where the database does not know it.
    pub fn named(name: &str) -> Result<Self> {
        let zone = zones::zone(name).ok_or_else(|| {
            anyhow!("--zone {name:?} is no time zone: an IANA name such as America/New_York, or UTC")
        })?;
        Ok(Self { name: name.to_owned(), zone })
    }

    /// The first of these that is known, or UTC.
    pub fn first_of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let known = |name: &str| Some(Self { name: name.to_owned(), zone: zones::zone(name)? });
        let mut known = names.filter_map(known);
        known.next().unwrap_or_else(|| Self { name: "UTC".to_owned(), zone: TimeZone::UTC })
    }

    /// Day, date and time: `Mon 2026-11-23 08:00:00`.
    pub fn local(&self, at: Timestamp) -> String {
        self.zone.to_datetime(at).strftime("%a %Y-%m-%d %H:%M:%S").to_string()
    }

    /// The same, with the zone's abbreviation.
    pub fn named_local(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%a %Y-%m-%d %H:%M:%S %Z").to_string()
    }

    /// The offset from UTC: `-05:00`.
    pub fn offset(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%:z").to_string()
    }

    /// In RFC 3339, with the offset.
    pub fn rfc3339(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }
}

/// A length of time in at most two units: `3 h 12 min`, `45 s`, `2 d 4 h`.
pub fn length(time: SignedDuration) -> String {
    let seconds = time.as_secs().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let units = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds % 60, "s")];
    let first = units.iter().position(|(count, _)| *count > 0).unwrap_or(units.len() - 1);
    let shown = units.iter().skip(first).take(2).filter(|(count, _)| *count > 0);
    let text: Vec<_> = shown.map(|(count, unit)| format!("{count} {unit}")).collect();
    if text.is_empty() { "0 s".to_owned() } else { text.join(" ") }
}

/// A part of a day, in whole minutes: `11 h 59 min`, without days.
pub fn hours(seconds: i64) -> String {
    match (seconds / 3600, seconds / 60 % 60) {
        (hours, 0) => format!("{hours} h"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// When it is, seen from now: `in 3 h 12 min`, `now`.
pub fn from_now(at: Timestamp, now: Timestamp) -> String {
    let left = at.duration_since(now);
    if left < SignedDuration::from_secs(1) { "now".to_owned() } else { format!("in {}", length(left)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_told_in_two_units_at_most() {
        let told = |seconds| length(SignedDuration::from_secs(seconds));
        assert_eq!(
            [0, 45, 60, 11_520, 90_061, 86_400].map(told),
            ["0 s", "45 s", "1 min", "3 h 12 min", "1 d 1 h", "1 d"]
        );
        assert_eq!([0, 43_170, 43_200].map(hours), ["0 h", "11 h 59 min", "12 h"]);
    }

    #[test]
    fn local_time_names_its_zone_and_offset_across_a_clock_change() {
        let zone = Zone::named("America/New_York").unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(zone.named_local(at("2026-11-01T05:30:00Z")), "Sun 2026-11-01 01:30:00 EDT");
        assert_eq!(zone.named_local(at("2026-11-01T06:30:00Z")), "Sun 2026-11-01 01:30:00 EST");
        assert_eq!(zone.offset(at("2026-11-01T06:30:00Z")), "-05:00");
        assert!(Zone::named("Mars/Phobos").is_err());
        assert_eq!(Zone::first_of(["Mars/Phobos", "Asia/Kolkata"].into_iter()).name, "Asia/Kolkata");
    }
}
