//! Hours, as seen from now: tests must not depend on the time of day.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// Every day of the week.
pub const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// A window without an edge.
pub fn around_the_clock() -> Value {
    window("00:00", "24:00", 0)
}

/// A window that is open now and closes at `edge`, to the second: the lead fills up to the minute.
pub fn closes_at(edge: Timestamp) -> Value {
    let minute = next_minute(edge);
    let lead = minute.duration_since(edge).as_secs();
    window(&utc_time(edge - SignedDuration::from_hours(2)), &utc_time(minute), lead)
}

/// A window that is closed now and opens at the next full minute that is at least `after` away, and when that is.
pub fn opens_in(after: Duration) -> (Value, Timestamp) {
    let opens = next_minute(Timestamp::now() + after);
    (window(&utc_time(opens), &utc_time(opens + SignedDuration::from_hours(2)), 0), opens)
}

/// A window that is closed now and for hours to come.
pub fn closed_now() -> Value {
    let now = Timestamp::now();
    let (from, to) = (now + SignedDuration::from_hours(6), now + SignedDuration::from_hours(8));
    let mut window = window(&utc_time(from), &utc_time(to), 0);
    window.as_object_mut().unwrap().remove("closeLeadSeconds");
    window
}

/// A window that is open now, since that many hours and for as many to come.
pub fn open_around_now(hours: i64) -> Value {
    let (now, hours) = (Timestamp::now(), SignedDuration::from_hours(hours));
    window(&utc_time(now - hours), &utc_time(now + hours), 0)
}

/// The same hours without zones, as a policy leaves them to the campaigns.
pub fn without_zones(mut window: Value) -> Value {
    window.as_object_mut().unwrap().remove("timeZones");
    window
}

/// A zone in which the local time is now between this full hour and the next one.
pub fn zone_where_it_is(hour: i8) -> (String, TimeZone) {
    let east = hour - TimeZone::UTC.to_datetime(Timestamp::now()).hour();
    let east = if east < -12 { east + 24 } else { east };
    // In these names the sign tells how far UTC is to the east of the zone.
    let name = if east == 0 { "Etc/GMT".to_owned() } else { format!("Etc/GMT{:+}", -east) };
    (name, TimeZone::fixed(Offset::constant(east)))
}

/// When that day begins there.
pub fn midnight(date: Date, zone: &TimeZone) -> Timestamp {
    date.to_zoned(zone.clone()).unwrap().timestamp()
}

/// `seconds` from now.
pub fn in_seconds(seconds: i64) -> Timestamp {
    // Whole seconds: windows and leads know no smaller ones.
    Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap()
}

fn window(from: &str, to: &str, lead: i64) -> Value {
    json!({"timeZones": ["UTC"], "hours": [{"days": DAYS, "from": from, "to": to}], "closeLeadSeconds": lead})
}

fn next_minute(at: Timestamp) -> Timestamp {
    let second = at.as_second();
    Timestamp::from_second(second + (60 - second.rem_euclid(60)) % 60).unwrap()
}

fn utc_time(at: Timestamp) -> String {
    at.strftime("%H:%M").to_string()
}
