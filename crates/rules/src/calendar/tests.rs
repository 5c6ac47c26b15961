mod bounds;
mod dates;
mod naive;
mod policies;
mod random;
mod scan;
mod texts;

use proptest::prelude::*;
use scan::agrees_with_a_scan;

use super::*;
use crate::kinds::{ClosesAt, Day, Hours, OpensAt, Zone};

const ALL: [Day; 7] = Day::WEEK;

fn hours(days: &[Day], from: &str, to: &str) -> Hours {
    Hours { days: days.to_vec(), from: OpensAt(from.into()), to: ClosesAt(to.into()) }
}

fn window(zones: &[&str], hours: Vec<Hours>, lead: i32) -> ComplianceWindow {
    ComplianceWindow {
        time_zones: zones.iter().map(|z| Zone((*z).into())).collect(),
        hours: Some(hours),
        close_lead_seconds: lead,
    }
}

fn calendar(zones: &[&str], hours: Vec<Hours>, lead: i32) -> Calendar {
    alone(&window(zones, hours, lead))
}

/// What a campaign's own window comes to without a policy.
fn alone(window: &ComplianceWindow) -> Calendar {
    Calendar::new(Some(window), &[], false).unwrap()
}

/// Whether it is open, when it opens next, and when it closes next.
fn times(view: &WindowView) -> (bool, Option<Timestamp>, Option<Timestamp>) {
    (view.open, view.next_open, view.next_close)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The rule in words, of a calendar of one rule.
fn text(calendar: &Calendar) -> String {
    calendar.view(at("2026-11-22T00:00:00Z")).rule.text
}

/// Every edge from `from` on, as UTC texts.
fn edges(calendar: &Calendar, from: &str, count: usize) -> Vec<String> {
    let mut cursor = at(from);
    (0..count)
        .map_while(|_| {
            cursor = calendar.next_edge(cursor)?;
            Some(format!("{} {}", cursor, if calendar.allowed(cursor) { "opens" } else { "closes" }))
        })
        .collect()
}

#[test]
fn the_lead_closes_early_and_a_span_shorter_than_it_never_opens() {
    let c = calendar(&["UTC"], vec![hours(&[Day::Mon], "08:00", "20:00")], 30);
    let monday = c.view(at("2026-11-23T19:59:29Z"));
    assert!(monday.open);
    assert_eq!(monday.next_close, Some(at("2026-11-23T19:59:30Z")));
    assert_eq!(monday.next_open, Some(at("2026-11-30T08:00:00Z")));
    assert!(!c.view(at("2026-11-23T19:59:30Z")).open);
    assert!(c.allowed(at("2026-11-23T19:59:30Z")));

    let short = calendar(&["UTC"], vec![hours(&[Day::Mon], "08:00", "08:10")], 600);
    assert_eq!(times(&short.view(at("2026-11-23T08:05:00Z"))), (false, None, None));
}

#[test]
fn intervals_that_touch_are_one_and_the_lead_counts_once() {
    let c = calendar(&["UTC"], vec![hours(&ALL, "08:00", "12:00"), hours(&[Day::Mon], "12:00", "13:00")], 60);
    assert_eq!(c.view(at("2026-11-23T11:59:30Z")).next_close, Some(at("2026-11-23T12:59:00Z")));
}

#[test]
fn a_night_belongs_to_the_day_it_starts_on_and_crosses_the_end_of_the_week() {
    let c = calendar(&["UTC"], vec![hours(&[Day::Sun], "22:00", "06:00")], 0);
    assert_eq!(
        edges(&c, "2026-11-22T00:00:00Z", 2),
        ["2026-11-22T22:00:00Z opens", "2026-11-23T06:00:00Z closes"]
    );
}

#[test]
fn around_the_clock_has_no_edge_and_two_zones_that_never_meet_never_open() {
    let always = calendar(&["Europe/London"], vec![hours(&ALL, "00:00", "24:00")], 30);
    assert_eq!(times(&always.view(at("2026-11-22T00:00:00Z"))), (true, None, None));
    let never = calendar(&["UTC", "Asia/Kathmandu"], vec![hours(&ALL, "08:00", "09:00")], 0);
    assert_eq!(times(&never.view(at("2026-11-22T00:00:00Z"))), (false, None, None));
}

#[test]
fn several_zones_are_open_only_together() {
    let c = calendar(
        &["America/New_York", "America/Los_Angeles"],
        vec![hours(&Day::WEEK[..5], "08:00", "21:00")],
        0,
    );
    // Los Angeles opens last, New York closes first.
    assert_eq!(
        edges(&c, "2026-11-23T00:00:00Z", 2),
        ["2026-11-23T16:00:00Z opens", "2026-11-24T02:00:00Z closes"]
    );
}

#[test]
fn no_hours_no_zone_and_an_unknown_zone_are_refused_by_name() {
    let read = |w: Option<&ComplianceWindow>| Calendar::new(w, &[], false);
    assert_eq!(read(None), Err(NoCalendar::NoWindow));
    let mut w = window(&["UTC"], vec![], 0);
    assert_eq!(read(Some(&w)), Err(NoCalendar::NoWindow));
    w.hours = None;
    assert_eq!(read(Some(&w)), Err(NoCalendar::NoWindow));
    let w = window(&["UTC", "Mars/Phobos"], vec![hours(&ALL, "08:00", "20:00")], 0);
    assert_eq!(read(Some(&w)), Err(NoCalendar::UnknownZone("Mars/Phobos".into())));
    let w = window(&["UTC"], vec![hours(&ALL, "8am", "20:00")], 0);
    assert_eq!(read(Some(&w)), Err(NoCalendar::NotATime("8am".into())));
}

#[test]
fn the_rule_reads_as_people_write_it() {
    let c = calendar(
        &["America/New_York", "UTC"],
        vec![hours(&Day::WEEK[..5], "08:00", "20:00"), hours(&[Day::Sat, Day::Sun], "10:00", "18:00")],
        30,
    );
    assert_eq!(
        text(&c),
        "Mon-Fri 08:00-20:00, Sat+Sun 10:00-18:00 in America/New_York, UTC, closed 30 s early"
    );
}

/// The edges of the days on which clocks change, by zone: hours that lie around the change.
#[test]
fn golden_tables_of_the_days_on_which_clocks_change() {
    let night = || vec![hours(&ALL, "01:30", "02:30")];
    let cases: Vec<(&str, &str, &str, Vec<Hours>)> = vec![
        ("New York, 02:00 becomes 03:00", "America/New_York", "2026-03-08T05:00:00Z", night()),
        ("New York, 02:00 becomes 01:00", "America/New_York", "2026-11-01T04:00:00Z", night()),
        ("London, 01:00 becomes 02:00", "Europe/London", "2026-03-29T00:00:00Z", night()),
        ("London, 02:00 becomes 01:00", "Europe/London", "2026-10-24T23:00:00Z", night()),
        ("Sydney, 02:00 becomes 03:00", "Australia/Sydney", "2026-10-03T14:00:00Z", night()),
        ("Sydney, 03:00 becomes 02:00", "Australia/Sydney", "2026-04-04T13:00:00Z", night()),
        ("Lord Howe, 02:00 becomes 02:30", "Australia/Lord_Howe", "2026-10-03T13:30:00Z", night()),
        ("Lord Howe, 02:00 becomes 01:30", "Australia/Lord_Howe", "2026-04-04T13:00:00Z", night()),
        (
            "Sao Paulo 2018, 00:00 becomes 01:00",
            "America/Sao_Paulo",
            "2018-11-03T12:00:00Z",
            vec![hours(&ALL, "00:30", "02:00")],
        ),
        (
            "Sao Paulo 2019, 00:00 becomes 23:00",
            "America/Sao_Paulo",
            "2019-02-16T12:00:00Z",
            vec![hours(&ALL, "22:00", "23:30")],
        ),
        (
            "Casablanca 2026, Ramadan begins: 03:00 becomes 02:00",
            "Africa/Casablanca",
            "2026-02-14T12:00:00Z",
            vec![hours(&ALL, "01:30", "02:30")],
        ),
        (
            "Casablanca 2026, Ramadan ends: 02:00 becomes 03:00",
            "Africa/Casablanca",
            "2026-03-21T12:00:00Z",
            vec![hours(&ALL, "01:30", "02:30")],
        ),
        (
            "Kathmandu, never changes, 5 h 45 min ahead",
            "Asia/Kathmandu",
            "2026-11-22T00:00:00Z",
            vec![hours(&ALL, "08:00", "20:00")],
        ),
        (
            "Apia 2011, Friday 30 December did not exist",
            "Pacific/Apia",
            "2011-12-29T12:00:00Z",
            vec![hours(&[Day::Thu, Day::Fri, Day::Sat], "08:00", "20:00")],
        ),
    ];
    let mut table = String::new();
    for (name, zone, from, hours) in cases {
        let c = calendar(&[zone], hours, 0);
        table.push_str(&format!("{name}: {}\n", text(&c)));
        for edge in edges(&c, from, 4) {
            let (instant, what) = edge.split_once(' ').unwrap();
            let local = zones::zone(zone).unwrap().to_datetime(at(instant));
            table.push_str(&format!("  {instant} {what:6} local {local}\n"));
        }
    }
    insta::assert_snapshot!(table);
}

prop_compose! {
    fn any_hours()(days in proptest::sample::subsequence(ALL.to_vec(), 1..=7), from in 0u16..1440, to in 0u16..=1440)
        -> Option<Hours> {
        let text = |m: u16| format!("{:02}:{:02}", m / 60, m % 60);
        (from != to).then(|| Hours { days, from: OpensAt(text(from)), to: ClosesAt(text(to)) })
    }
}

prop_compose! {
    fn any_window()(zones in proptest::sample::subsequence(zones::names().collect::<Vec<_>>(), 1..4),
                    hours in proptest::collection::vec(any_hours(), 1..5), lead in 0i32..4000) -> ComplianceWindow {
        ComplianceWindow { time_zones: zones.into_iter().filter(|z| zones::zone(z).is_some()).map(Zone).collect(),
                           hours: Some(hours.into_iter().flatten().collect()), close_lead_seconds: lead }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_window_at_any_instant_agrees_with_a_scan(w in any_window(), second in 946_684_800i64..4_102_444_800) {
        prop_assume!(!w.time_zones.is_empty() && w.hours.as_ref().is_some_and(|h| !h.is_empty()));
        agrees_with_a_scan(&w, Timestamp::from_second(second).unwrap(), 2 * 24 * 60).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn the_view_is_open_exactly_while_the_next_close_is_further_away_than_the_lead(w in any_window(), second in 946_684_800i64..4_102_444_800) {
        prop_assume!(!w.time_zones.is_empty() && w.hours.as_ref().is_some_and(|h| !h.is_empty()));
        let (t, c) = (Timestamp::from_second(second).unwrap(), alone(&w));
        let lead = SignedDuration::from_secs(w.close_lead_seconds.into());
        let expected = c.allowed(t) && c.next_edge(t).is_none_or(|e| e.duration_since(t) > lead);
        let view = c.view(t);
        prop_assert_eq!(view.open, expected);
        if let Some(edge) = view.next_edge() {
            prop_assert!(edge > t);
            prop_assert_eq!(c.view(edge).open, !view.open);
            prop_assert_eq!(c.view(edge - SignedDuration::from_nanos(1)).open, view.open);
        }
    }

    #[test]
    fn no_instant_makes_a_calendar_panic(w in any_window(), second in -377_705_023_201i64..=253_402_207_200) {
        if let Ok(c) = Calendar::new(Some(&w), &[], false) {
            let _ = c.view(Timestamp::from_second(second).unwrap());
        }
    }
}
