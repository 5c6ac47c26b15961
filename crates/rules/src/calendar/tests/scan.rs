//! The edges against a minute-by-minute reading of the rules.

use jiff::civil::date;

use super::naive::allows;
use super::*;

/// Checks the next edge from `start` against a minute-by-minute reading of the rules over `minutes`.
pub(super) fn agrees_with_a_scan(
    window: &ComplianceWindow,
    start: Timestamp,
    minutes: i64,
) -> Result<(), String> {
    let calendar = alone(window);
    let minute = |n: i64| start + SignedDuration::from_mins(n);
    let first = allows(window, start);
    if calendar.allowed(start) != first {
        return Err(format!("allowed({start}) is not {first}"));
    }
    let scanned = (1..=minutes).map(minute).find(|t| allows(window, *t) != first);
    let found = calendar.next_edge(start).filter(|t| *t <= minute(minutes));
    // Offsets of old times have seconds: an edge then lies within the minute before the scan sees it.
    match (scanned, found) {
        (None, None) => Ok(()),
        (Some(s), Some(f)) if f <= s && s.duration_since(f) < SignedDuration::from_mins(1) => Ok(()),
        other => Err(format!("from {start} in {:?}: scan and search say {other:?}", window.time_zones)),
    }
}

#[test]
fn the_next_edge_agrees_with_a_scan_around_every_clock_change_of_every_zone_in_ten_years() {
    let from = date(2020, 1, 1).to_zoned(TimeZone::UTC).unwrap().timestamp();
    let to = date(2030, 1, 1).to_zoned(TimeZone::UTC).unwrap().timestamp();
    let patterns =
        [("01:30", "02:30"), ("00:00", "03:00"), ("23:30", "01:15"), ("02:15", "02:45"), ("08:00", "20:00")];
    let mut checked = 0;
    for (index, name) in zones::names().enumerate() {
        let Some(zone) = zones::zone(&name) else { continue };
        let shifts: Vec<_> =
            zone.following(from).map(|t| t.timestamp()).take_while(|t| *t < to).take(40).collect();
        // A seeded sample: each zone meets two of its shifts (or two plain days), each with another pattern.
        for n in 0..2_usize {
            let seed = index * 7 + n * 13;
            let centre = match shifts.len() {
                0 => from + SignedDuration::from_hours((seed as i64 * 97) % 80_000),
                count => shifts[seed % count],
            };
            let (open, close) = patterns[seed % patterns.len()];
            let window = window(&[&name], vec![hours(&ALL, open, close)], 0);
            let mut start =
                centre - SignedDuration::from_hours(5) - SignedDuration::from_mins(seed as i64 % 60);
            for _ in 0..5 {
                agrees_with_a_scan(&window, start, 36 * 60).unwrap();
                checked += 1;
                let calendar = alone(&window);
                match calendar.next_edge(start) {
                    Some(edge) if edge < centre + SignedDuration::from_hours(8) => start = edge,
                    _ => break,
                }
            }
        }
    }
    assert!(checked > 2000, "only {checked} checks");
}
