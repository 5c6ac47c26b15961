//! What a view says of its rule: whose it is, in words that a person reads.

use super::policies::{closed, daily, date, policy, with};
use super::*;
use crate::kinds::DialingPolicySpec;

fn rule(c: &Calendar, text: &str) -> (String, Option<String>) {
    let rule = c.view(at(text)).rule;
    (rule.text, rule.policy.map(|policy| policy.to_string()))
}

fn office() -> ComplianceWindow {
    window(&["UTC"], vec![hours(&Day::WEEK[..5], "08:00", "20:00")], 30)
}

#[test]
fn the_rule_is_the_one_behind_the_next_change() {
    let c = with(Some(&office()), &[("noon", &daily(&[], "07:00", "12:00"))]).unwrap();
    let noon = "policy noon: Mon-Sun 07:00-12:00 in UTC, closed 30 s early".to_owned();
    let own = "Mon-Fri 08:00-20:00 in UTC, closed 30 s early".to_owned();
    // Open: the policy will close it.
    assert_eq!(rule(&c, "2026-11-23T09:00:00Z"), (noon.clone(), Some("policy noon generation 3".into())));
    // Both are closed at night, and the own hours open last.
    assert_eq!(rule(&c, "2026-11-24T01:00:00Z"), (own.clone(), None));
    // In the afternoon the policy alone is closed; what opens last is said all the same.
    assert_eq!(rule(&c, "2026-11-23T15:00:00Z"), (own, None));
}

#[test]
fn of_two_rules_that_close_at_the_same_instant_the_campaigns_own_is_named() {
    let c = with(Some(&office()), &[("same", &daily(&[], "08:00", "20:00"))]).unwrap();
    assert_eq!(rule(&c, "2026-11-23T12:00:00Z").1, None);
}

#[test]
fn of_two_policies_that_open_at_the_same_instant_the_first_by_name_is_named() {
    let spec = daily(&["UTC"], "08:00", "20:00");
    let c = with(None, &[("a", &spec), ("b", &spec)]).unwrap();
    assert_eq!(rule(&c, "2026-11-23T01:00:00Z").1.unwrap(), "policy a generation 3");
}

#[test]
fn a_closed_date_gives_its_reason_and_a_policy_its_citation() {
    let spec = DialingPolicySpec {
        closed_dates: vec![closed("2026-12-25", "Christmas")],
        citation: Some("47 CFR 64.1200(c)(1)".into()),
        close_lead_seconds: Some(60),
        ..daily(&["America/New_York"], "08:00", "21:00")
    };
    let c = with(None, &[("tcpa", &spec)]).unwrap();
    assert_eq!(
        rule(&c, "2026-12-24T14:00:00Z").0,
        "policy tcpa: Mon-Sun 08:00-21:00 in America/New_York, closed 60 s early [47 CFR 64.1200(c)(1)]"
    );
    // A day that is closed around the clock is named when it is what closes, or what opens again.
    let always = DialingPolicySpec { hours: Some(vec![hours(&ALL, "00:00", "24:00")]), ..spec };
    let c = with(None, &[("tcpa", &always)]).unwrap();
    let christmas = "policy tcpa: closed on 2026-12-25 (Christmas), closed 60 s early [47 CFR 64.1200(c)(1)]";
    assert_eq!(rule(&c, "2026-12-24T14:00:00Z").0, christmas);
    assert_eq!(rule(&c, "2026-12-25T14:00:00Z").0, christmas.replace(", closed 60 s early", ""));
}

#[test]
fn a_policy_of_dates_alone_says_so_and_one_that_is_over_is_not_blamed() {
    let spec = DialingPolicySpec { effective_until: date("2026-12-01"), ..daily(&["UTC"], "00:00", "24:00") };
    let c = with(None, &[("law", &spec)]).unwrap();
    let over = ("no policy that gives hours applies then".to_owned(), None);
    assert_eq!(rule(&c, "2026-11-30T12:00:00Z"), over);
    assert_eq!(rule(&c, "2026-12-05T12:00:00Z"), over);
}

#[test]
fn a_rule_never_takes_more_than_512_characters_and_what_is_cut_is_marked() {
    let zones: Vec<_> = zones::names().filter(|z| zones::zone(z).is_some()).take(32).collect();
    let zones: Vec<_> = zones.iter().map(String::as_str).collect();
    let mut spec = daily(&zones, "00:00", "24:00");
    spec.citation = Some("§".repeat(512));
    spec.closed_dates = vec![closed("2026-12-25", &"é".repeat(128))];
    let name = "p".repeat(63);
    let c = with(None, &[(&name, &spec)]).unwrap();
    for text in ["2026-11-23T12:00:00Z", "2026-12-25T12:00:00Z"] {
        let text = rule(&c, text).0;
        assert_eq!(text.chars().count(), 512);
        assert!(text.ends_with("..."), "{text}");
    }
    let long = window(&zones, vec![hours(&ALL, "08:00", "20:00")], 0);
    assert_eq!(text(&alone(&long)).chars().count(), 512);
    // One that just fits is left alone.
    let fits = "policy p: any time []".chars().count();
    let exact = DialingPolicySpec { citation: Some("c".repeat(512 - fits)), ..policy() };
    let mut never = daily(&["UTC"], "00:00", "24:00");
    never.effective_from = None;
    let c = with(None, &[("p", &exact), ("q", &never)]).unwrap_or_else(|why| panic!("{why}"));
    let text = rule(&c, "2026-11-23T12:00:00Z").0;
    assert_eq!((text.chars().count(), text.ends_with("c]")), (512, true));
}

#[test]
fn rules_that_never_meet_are_named_together_in_the_same_words_at_every_hour() {
    let own = window(&["UTC"], vec![hours(&ALL, "08:00", "09:00")], 0);
    let c = with(Some(&own), &[("noon", &daily(&[], "12:00", "13:00")), ("cap", &policy())]).unwrap();
    let words = "Mon-Sun 08:00-09:00 in UTC with policy noon: Mon-Sun 12:00-13:00 in UTC";
    for hour in 0..24 {
        let rule = c.view(at("2026-11-23T00:30:00Z") + SignedDuration::from_hours(hour)).rule;
        assert_eq!((rule.text.as_str(), rule.policy), (words, None));
    }
    let morning = daily(&["UTC"], "08:00", "09:00");
    let c = with(None, &[("a", &morning), ("b", &daily(&["UTC"], "12:00", "13:00"))]).unwrap();
    let (text, policy) = rule(&c, "2026-11-23T08:30:00Z");
    assert_eq!(text, "policy a: Mon-Sun 08:00-09:00 in UTC with policy b: Mon-Sun 12:00-13:00 in UTC");
    assert_eq!(policy.unwrap(), "policy a generation 3");
}
