//! Policies beside the campaign's own window: hours, zones, leads, caps, and where hours must come from.

use super::*;
use crate::kinds::{ClosedDate, DialingPolicySpec, LocalDate};

/// A policy that says nothing yet.
pub(super) fn policy() -> DialingPolicySpec {
    serde_json::from_value(serde_json::json!({})).unwrap()
}

/// A policy of these hours on all days, in these zones; none: the campaign's.
pub(super) fn daily(zones: &[&str], from: &str, to: &str) -> DialingPolicySpec {
    let zones: Vec<_> = zones.iter().map(|zone| Zone((*zone).into())).collect();
    DialingPolicySpec {
        hours: Some(vec![hours(&ALL, from, to)]),
        time_zones: (!zones.is_empty()).then_some(zones),
        ..policy()
    }
}

pub(super) fn date(text: &str) -> Option<LocalDate> {
    Some(LocalDate(text.into()))
}

pub(super) fn closed(date: &str, reason: &str) -> ClosedDate {
    ClosedDate { date: LocalDate(date.into()), reason: reason.into() }
}

pub(super) fn named(name: &str, spec: DialingPolicySpec) -> Arc<Policy> {
    Arc::new(Policy { name: name.into(), generation: 3, spec })
}

/// The calendar of an own window and of policies by name.
pub(super) fn with(
    own: Option<&ComplianceWindow>,
    policies: &[(&str, &DialingPolicySpec)],
) -> Result<Calendar, NoCalendar> {
    let policies: Vec<_> = policies.iter().map(|(name, spec)| named(name, (*spec).clone())).collect();
    Calendar::new(own, &policies, false)
}

fn always(zones: &[&str]) -> ComplianceWindow {
    window(zones, vec![hours(&ALL, "00:00", "24:00")], 0)
}

#[test]
fn a_policy_without_zones_is_read_in_the_campaigns_and_closes_when_the_first_of_them_does() {
    let own = always(&["America/New_York", "America/Los_Angeles"]);
    let c = with(Some(&own), &[("tcpa", &daily(&[], "08:00", "21:00"))]).unwrap();
    assert_eq!(
        edges(&c, "2026-11-23T12:00:00Z", 2),
        ["2026-11-23T16:00:00Z opens", "2026-11-24T02:00:00Z closes"]
    );
}

#[test]
fn zones_alone_are_window_enough_where_a_policy_gives_the_hours() {
    let mut own = always(&["Europe/Berlin"]);
    own.hours = None;
    let c = with(Some(&own), &[("law", &daily(&[], "09:00", "20:00"))]).unwrap();
    assert_eq!(
        edges(&c, "2026-11-23T00:00:00Z", 2),
        ["2026-11-23T08:00:00Z opens", "2026-11-23T19:00:00Z closes"]
    );
}

#[test]
fn a_policy_of_other_zones_holds_there_and_the_own_window_in_its_own() {
    let own = window(&["Europe/London"], vec![hours(&ALL, "08:00", "20:00")], 0);
    let c = with(Some(&own), &[("staff", &daily(&["Asia/Manila"], "06:00", "22:00"))]).unwrap();
    // Eight in London is four in the afternoon in Manila, whose staff goes home at two in the afternoon of London.
    assert_eq!(
        edges(&c, "2026-11-23T00:00:00Z", 2),
        ["2026-11-23T08:00:00Z opens", "2026-11-23T14:00:00Z closes"]
    );
}

#[test]
fn both_half_hours_of_a_repeated_hour_are_closed_by_a_policy_that_closes_it() {
    let own = always(&["America/New_York"]);
    let mut quiet = daily(&[], "00:00", "01:30");
    quiet.hours.as_mut().unwrap().push(hours(&ALL, "02:00", "24:00"));
    let c = with(Some(&own), &[("quiet", &quiet)]).unwrap();
    // 2026-11-01, 02:00 becomes 01:00: half past one comes twice, an hour apart.
    assert_eq!(
        edges(&c, "2026-11-01T04:00:00Z", 4),
        [
            "2026-11-01T05:30:00Z closes",
            "2026-11-01T06:00:00Z opens",
            "2026-11-01T06:30:00Z closes",
            "2026-11-01T07:00:00Z opens",
        ]
    );
}

#[test]
fn the_largest_lead_of_the_rules_that_apply_at_the_close_is_taken_off() {
    let own = window(&["UTC"], vec![hours(&ALL, "08:00", "20:00")], 30);
    let spec =
        DialingPolicySpec { close_lead_seconds: Some(300), effective_from: date("2026-12-01"), ..policy() };
    let c = with(Some(&own), &[("careful", &spec)]).unwrap();
    let close = |text: &str| c.view(at(text)).next_close.unwrap().to_string();
    assert_eq!(close("2026-11-30T12:00:00Z"), "2026-11-30T19:59:30Z");
    assert_eq!(close("2026-12-01T12:00:00Z"), "2026-12-01T19:55:00Z");
}

#[test]
fn the_lowest_cap_of_the_policies_that_apply_counts_and_is_gone_with_them() {
    let own = always(&["UTC"]);
    let capped = |calls: i32, until: Option<&str>| DialingPolicySpec {
        max_active_calls: Some(calls),
        effective_until: until.and_then(date),
        ..policy()
    };
    let (high, low) = (capped(100, None), capped(10, Some("2026-12-01")));
    let c = with(Some(&own), &[("high", &high), ("low", &low), ("none", &policy())]).unwrap();
    let cap = |text: &str| c.view(at(text)).cap.unwrap().to_string();
    assert_eq!(cap("2026-12-01T23:59:59Z"), "10 calls (policy low)");
    assert_eq!(cap("2026-12-02T00:00:00Z"), "100 calls (policy high)");
    assert_eq!(c.view(at("2026-12-01T12:00:00Z")).holds_until, at("2026-12-02T00:00:00Z"));
}

#[test]
fn without_any_hours_there_is_no_window_and_a_policy_without_hours_gives_none() {
    let spec = DialingPolicySpec { max_active_calls: Some(5), ..policy() };
    assert_eq!(with(None, &[]), Err(NoCalendar::NoWindow));
    assert_eq!(with(None, &[("cap", &spec)]), Err(NoCalendar::NoWindow));
    let only = with(None, &[("cap", &spec), ("law", &daily(&["UTC"], "08:00", "20:00"))]).unwrap();
    assert!(only.allowed(at("2026-11-23T08:00:00Z")));
}

#[test]
fn where_policies_are_required_the_own_hours_still_close_and_never_suffice() {
    let own = window(&["UTC"], vec![hours(&ALL, "08:00", "20:00")], 0);
    let read = |specs: &[DialingPolicySpec]| {
        let policies: Vec<_> = specs.iter().map(|spec| named("law", spec.clone())).collect();
        Calendar::new(Some(&own), &policies, true)
    };
    assert_eq!(read(&[]), Err(NoCalendar::NoPolicy));
    assert_eq!(read(&[policy()]), Err(NoCalendar::NoPolicy));
    let c = read(&[daily(&[], "00:00", "12:00")]).unwrap();
    assert_eq!(
        edges(&c, "2026-11-23T00:00:00Z", 2),
        ["2026-11-23T08:00:00Z opens", "2026-11-23T12:00:00Z closes"]
    );
    // Once the only policy has ceased to apply, the own hours are not enough any more.
    let ends = DialingPolicySpec { effective_until: date("2026-11-23"), ..daily(&[], "00:00", "24:00") };
    let c = read(&[ends]).unwrap();
    assert_eq!(
        edges(&c, "2026-11-23T00:00:00Z", 9),
        ["2026-11-23T08:00:00Z opens", "2026-11-23T20:00:00Z closes"]
    );
}

#[test]
fn what_is_wrong_with_a_policy_names_the_policy() {
    let own = always(&["UTC"]);
    let refused = |own: Option<&ComplianceWindow>, spec: DialingPolicySpec| {
        let why = with(own, &[("law", &spec)]).unwrap_err();
        assert_eq!(why.policy().unwrap().to_string(), "policy law generation 3");
        (why.reason(), why.to_string())
    };
    let (reason, text) = refused(Some(&own), daily(&["Mars/Phobos"], "08:00", "20:00"));
    let version = zones::version();
    assert_eq!(reason, Reason::UnknownZone);
    assert_eq!(
        text,
        format!("policy law: time zone Mars/Phobos is not in the operator's zone database ({version})")
    );

    let nowhere = daily(&[], "08:00", "20:00");
    let (reason, text) = refused(None, nowhere.clone());
    assert_eq!(reason, Reason::NoWindow);
    assert!(
        text.starts_with("policy law: it is read in the campaign's own zones, and there are none"),
        "{text}"
    );
    let dates = DialingPolicySpec { closed_dates: vec![closed("2026-12-25", "Christmas")], ..policy() };
    let law = daily(&["UTC"], "08:00", "20:00");
    let why = with(None, &[("dates", &dates), ("law", &law)]).unwrap_err();
    assert_eq!(why.policy().map(|policy| policy.name.as_str()), Some("dates"));

    let (reason, text) = refused(Some(&own), daily(&[], "8am", "20:00"));
    assert_eq!((reason, &*text), (Reason::PolicyUnreadable, "policy law: \"8am\" is not a time of day"));
    let someday = DialingPolicySpec { effective_from: date("someday"), ..policy() };
    let (reason, text) = refused(Some(&own), someday);
    assert_eq!((reason, &*text), (Reason::PolicyUnreadable, "policy law: \"someday\" is not a date"));
}

#[test]
fn an_unknown_zone_of_the_campaigns_is_not_the_fault_of_the_policy_that_is_read_in_it() {
    let mut own = always(&["Mars/Phobos"]);
    own.hours = None;
    let why = with(Some(&own), &[("law", &daily(&[], "08:00", "20:00"))]);
    assert_eq!(why, Err(NoCalendar::UnknownZone("Mars/Phobos".into())));
}
