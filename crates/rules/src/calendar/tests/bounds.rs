//! The search is bounded, and finds what a search without bounds finds.

use super::naive::Rules;
use super::policies::{closed, policy};
use super::*;
use crate::calendar::search::work;
use crate::calendar::view::LONGEST_LEAD;
use crate::kinds::DialingPolicySpec;
use jiff::civil::{Time, date};

/// The next edge, change by change of every rule in every zone through the whole horizon.
pub(super) fn plain_edge(c: &Calendar, at: Timestamp, end: Timestamp) -> Option<Timestamp> {
    let open = c.allowed(at);
    let mut cursor = at;
    while c.allowed(cursor) == open {
        // Together nothing changes before the first zone of the first rule does.
        let zones = |rule: &'_ Rule| rule.zones.iter().map(|zone| &c.zones[*zone]).collect::<Vec<_>>();
        let steps = c
            .rules
            .iter()
            .flat_map(|rule| zones(rule).into_iter().filter_map(move |zone| plain_step(rule, zone, cursor)));
        cursor = steps.min()?;
        if cursor >= end {
            return None;
        }
    }
    Some(cursor)
}

/// The next instant at which one zone reaches a boundary of the week or midnight, or shifts.
fn plain_step(rule: &Rule, zone: &TimeZone, at: Timestamp) -> Option<Timestamp> {
    let here = zone.to_datetime(at);
    let lasts = rule.week.as_ref().map(|week| week.open_for(here).max(week.closed_for(here)));
    let boundary = lasts.and_then(|lasts| at.checked_add(lasts).ok());
    let shift = zone.following(at).next().map(|shift| shift.timestamp());
    // A midnight may come twice, and be skipped: the shift is a step of its own then.
    let days = [Some(here.date()), here.date().tomorrow().ok()];
    let turns = days.into_iter().flatten().filter(|_| rule.policy.is_some()).flat_map(|day| {
        let midnight = zone.to_ambiguous_timestamp(day.to_datetime(Time::midnight()));
        [midnight.earlier(), midnight.later()].into_iter().flatten().filter(|midnight| *midnight > at)
    });
    boundary.into_iter().chain(shift).chain(turns).min()
}

/// What [`times`] gives, span by span through the whole horizon.
///
/// `lead` tells how much is taken off a close.
pub(super) fn plain_times(
    c: &Calendar,
    lead: impl Fn(Timestamp) -> SignedDuration,
    at: Timestamp,
) -> (bool, Option<Timestamp>, Option<Timestamp>) {
    let end = later(at, HORIZON);
    let mut spans = Vec::new();
    let mut cursor = Some(at);
    while spans.len() < 2
        && let Some(from) = cursor
        && let Some(opens) = if c.allowed(from) { Some(from) } else { plain_edge(c, from, end) }
    {
        cursor = plain_edge(c, opens, later(end, LONGEST_LEAD));
        let until = cursor.map(|close| close - lead(close));
        if until.is_none_or(|until| until > opens) {
            spans.push((opens, until));
        }
    }
    let open = spans.first().is_some_and(|span| span.0 == at);
    (open, spans.get(usize::from(open)).map(|span| span.0), spans.first().and_then(|span| span.1))
}

/// Forty-eight intervals a day of so many minutes each, one every half hour.
fn every_half_hour(minutes: u16) -> Vec<Hours> {
    let text = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    (0..48).map(|n| hours(&ALL, &text(n * 30), &text(n * 30 + minutes))).collect()
}

/// As many zones as a campaign may have, each with another offset, some by a quarter of an hour.
fn thirty_two_zones(now: Timestamp) -> Vec<String> {
    let mut offsets = std::collections::BTreeSet::new();
    let mut is_new =
        |name: &String| zones::zone(name).is_some_and(|zone| offsets.insert(zone.to_offset(now)));
    let others = zones::names().filter(|name| is_new(name)).take(31);
    others.chain(["Asia/Kathmandu".to_owned()]).collect()
}

/// Asserts that these hours never open, and that it takes few questions to know.
fn never_opens(zones: &[String], hours: Vec<Hours>, lead: i32, most: usize) {
    let zones: Vec<_> = zones.iter().map(String::as_str).collect();
    let c = calendar(&zones, hours, lead);
    work::take();
    let view = c.view(at("2026-03-01T00:00:00Z"));
    let asked = work::take();
    assert_eq!(times(&view), (false, None, None));
    assert!(asked < most, "asked {asked} times");
}

#[test]
fn many_short_intervals_in_many_zones_that_never_meet_take_few_questions() {
    never_opens(&thirty_two_zones(at("2026-03-01T00:00:00Z")), every_half_hour(1), 0, 20_000);
}

#[test]
fn intervals_that_the_lead_uses_up_take_few_questions() {
    never_opens(&["America/New_York".into(), "Europe/London".into()], every_half_hour(5), 600, 30_000);
}

#[test]
fn the_largest_policies_that_never_meet_take_few_questions() {
    // 32 zones, 64 intervals and 400 closed dates each. Every other policy is two minutes behind the rest.
    let now = at("2026-03-01T00:00:00Z");
    let zones: Vec<_> = thirty_two_zones(now).into_iter().map(Zone).collect();
    let text = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let dates = (0..400).map(|n| date(2026, 3, 1) + SignedDuration::from_hours(24 * 2 * n));
    let closed: Vec<_> = dates.map(|date| closed(&date.to_string(), "closed")).collect();
    let policies = (0..4).map(|n| DialingPolicySpec {
        hours: Some(
            (0..64).map(|h| h * 22 + n % 2 * 2).map(|m| hours(&ALL, &text(m), &text(m + 1))).collect(),
        ),
        time_zones: Some(zones.clone()),
        closed_dates: closed.clone(),
        ..policy()
    });
    let c = Rules { own: None, policies: policies.collect(), required: false }.calendar().unwrap();
    work::take();
    let view = c.view(now);
    let asked = work::take();
    assert_eq!(times(&view), (false, None, None));
    assert!(asked < 400_000, "asked {asked} times");
}

#[test]
fn what_the_lead_leaves_is_found_between_spans_that_it_uses_up() {
    let c =
        calendar(&["UTC"], vec![hours(&ALL, "08:00", "08:10"), hours(&[Day::Mon], "10:00", "11:00")], 600);
    let from = at("2026-11-22T00:00:00Z");
    let found: Vec<_> = c.spans(Search::new(&c, from), from).map(|span| span.from).take(50).collect();
    let monday = |n: i64| at("2026-11-23T10:00:00Z") + SignedDuration::from_hours(n * 7 * 24);
    assert_eq!(found, (0..50).map(monday).collect::<Vec<_>>());
}

#[test]
fn what_only_a_shift_makes_long_enough_is_found_in_its_first_week() {
    // Five minutes on Mondays all year; half an hour on Wednesdays while London is four hours ahead and not five.
    let mondays = [hours(&[Day::Mon], "08:00", "09:30"), hours(&[Day::Mon], "13:00", "13:05")];
    let wednesday = hours(&[Day::Wed], "08:00", "12:30");
    let hours = mondays.into_iter().chain([wednesday]).collect();
    let c = calendar(&["America/New_York", "Europe/London"], hours, 600);
    assert_eq!(c.view(at("2026-02-01T00:00:00Z")).next_open, Some(at("2026-03-11T12:00:00Z")));
}

#[test]
fn a_span_that_the_lead_uses_up_does_not_open_at_the_horizon_either() {
    let short = calendar(&["UTC"], vec![hours(&[Day::Mon], "08:00", "08:10")], 600);
    let cut = at("2026-11-23T08:05:00Z") - HORIZON;
    assert_eq!(times(&short.view(cut)), (false, None, None));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_bounded_search_finds_what_the_plain_one_finds(w in any_window(), second in 946_684_800i64..4_102_444_800) {
        prop_assume!(!w.time_zones.is_empty() && w.hours.as_ref().is_some_and(|h| !h.is_empty()));
        let (t, c) = (Timestamp::from_second(second).unwrap(), alone(&w));
        let lead = SignedDuration::from_secs(w.close_lead_seconds.into());
        prop_assert_eq!(c.next_edge(t), plain_edge(&c, t, later(t, HORIZON)));
        prop_assert_eq!(times(&c.view(t)), plain_times(&c, |_| lead, t));
    }

    #[test]
    fn rarely_or_never_open_windows_are_no_exception(
        zones in proptest::sample::subsequence(zones::names().collect::<Vec<_>>(), 1..4), interval in any_hours(),
        length in 1u16..90, lead in 0i32..6000, second in 1_577_836_800i64..1_893_456_000
    ) {
        let zones: Vec<_> = zones.iter().map(String::as_str).filter(|z| zones::zone(z).is_some()).collect();
        prop_assume!(!zones.is_empty() && interval.is_some());
        let mut interval = interval.unwrap();
        let to = (interval.from.minute().unwrap() + length) % 1440;
        interval.to = ClosesAt(format!("{:02}:{:02}", to / 60, to % 60));
        let (t, c) = (Timestamp::from_second(second).unwrap(), calendar(&zones, vec![interval], lead));
        prop_assert_eq!(c.next_edge(t), plain_edge(&c, t, later(t, HORIZON)));
        prop_assert_eq!(times(&c.view(t)), plain_times(&c, |_| SignedDuration::from_secs(lead.into()), t));
    }
}
