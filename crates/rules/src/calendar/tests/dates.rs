//! Closed dates and effective dates: local calendar days, in every zone that a policy is read in.

use super::policies::{closed, daily, date, policy, with};
use super::*;
use crate::kinds::DialingPolicySpec;

fn around_the_clock(zones: &[&str]) -> ComplianceWindow {
    window(zones, vec![hours(&ALL, "00:00", "24:00")], 0)
}

#[test]
fn a_closed_date_is_the_local_calendar_day_of_every_zone() {
    let own = around_the_clock(&["America/New_York", "Asia/Tokyo"]);
    let holiday = DialingPolicySpec { closed_dates: vec![closed("2026-12-25", "Christmas")], ..policy() };
    let c = with(Some(&own), &[("holidays", &holiday)]).unwrap();
    // From midnight in Tokyo until midnight in New York, a day and fourteen hours later.
    assert_eq!(
        edges(&c, "2026-12-20T00:00:00Z", 9),
        ["2026-12-24T15:00:00Z closes", "2026-12-26T05:00:00Z opens"]
    );
}

#[test]
fn a_closed_date_cuts_the_night_begun_the_day_before_and_the_first_part_of_its_own() {
    let night = DialingPolicySpec {
        closed_dates: vec![closed("2026-12-25", "Christmas")],
        ..daily(&["America/New_York"], "20:00", "04:00")
    };
    let c = with(None, &[("night", &night)]).unwrap();
    assert_eq!(
        edges(&c, "2026-12-24T12:00:00Z", 4),
        [
            "2026-12-25T01:00:00Z opens",
            // Midnight: the night of the 24th ends here, and that of the 25th goes on from the next midnight.
            "2026-12-25T05:00:00Z closes",
            "2026-12-26T05:00:00Z opens",
            "2026-12-26T09:00:00Z closes",
        ]
    );
}

#[test]
fn a_closed_date_on_which_the_clocks_change_is_as_long_as_that_day() {
    let own = around_the_clock(&["Europe/London"]);
    let spring = vec![closed("2026-03-29", "spring"), closed("2026-10-25", "autumn")];
    let c = with(Some(&own), &[("law", &DialingPolicySpec { closed_dates: spring, ..policy() })]).unwrap();
    assert_eq!(
        edges(&c, "2026-01-01T00:00:00Z", 9),
        [
            "2026-03-29T00:00:00Z closes",
            "2026-03-29T23:00:00Z opens",
            "2026-10-24T23:00:00Z closes",
            "2026-10-26T00:00:00Z opens",
        ]
    );
}

#[test]
fn a_closed_date_of_which_an_hour_comes_again_after_midnight_closes_that_hour_again() {
    // St John's, 2010-11-07: at 00:01 it became 23:01 of the day before.
    let own = around_the_clock(&["America/St_Johns"]);
    let dates = |date: &str| DialingPolicySpec { closed_dates: vec![closed(date, "closed")], ..policy() };
    let c = with(Some(&own), &[("sixth", &dates("2010-11-06"))]).unwrap();
    assert_eq!(
        edges(&c, "2010-11-05T12:00:00Z", 9),
        [
            "2010-11-06T02:30:00Z closes",
            "2010-11-07T02:30:00Z opens",
            "2010-11-07T02:31:00Z closes",
            "2010-11-07T03:30:00Z opens",
        ]
    );
    let c = with(Some(&own), &[("seventh", &dates("2010-11-07"))]).unwrap();
    assert_eq!(
        edges(&c, "2010-11-06T12:00:00Z", 9),
        [
            "2010-11-07T02:30:00Z closes",
            "2010-11-07T02:31:00Z opens",
            "2010-11-07T03:30:00Z closes",
            "2010-11-08T03:30:00Z opens",
        ]
    );
}

#[test]
fn a_closed_date_that_a_zone_skipped_closes_nothing_there() {
    let own = around_the_clock(&["Pacific/Apia"]);
    let skipped = DialingPolicySpec { closed_dates: vec![closed("2011-12-30", "never was")], ..policy() };
    let c = with(Some(&own), &[("law", &skipped)]).unwrap();
    assert_eq!(edges(&c, "2011-12-28T00:00:00Z", 9), [""; 0]);
}

#[test]
fn a_closed_date_counts_only_while_its_policy_applies() {
    let own = around_the_clock(&["UTC"]);
    let spec = DialingPolicySpec {
        closed_dates: vec![closed("2026-12-25", "Christmas"), closed("2026-12-27", "Sunday")],
        effective_from: date("2026-12-26"),
        ..policy()
    };
    let c = with(Some(&own), &[("law", &spec)]).unwrap();
    assert_eq!(
        edges(&c, "2026-12-20T00:00:00Z", 9),
        ["2026-12-27T00:00:00Z closes", "2026-12-28T00:00:00Z opens"]
    );
}

#[test]
fn effective_dates_are_edges_at_the_midnight_of_each_zone() {
    let own = around_the_clock(&["America/New_York", "America/Los_Angeles"]);
    // Closed all day while it applies: nothing but its dates makes an edge.
    let spec = DialingPolicySpec {
        hours: Some(vec![hours(&[Day::Sun], "00:00", "00:01")]),
        effective_from: date("2026-12-01"),
        effective_until: date("2026-12-02"),
        ..policy()
    };
    let c = with(Some(&own), &[("freeze", &spec)]).unwrap();
    // It begins where the day begins first and ends where it ends last.
    assert_eq!(
        edges(&c, "2026-11-22T12:00:00Z", 9),
        ["2026-12-01T05:00:00Z closes", "2026-12-03T08:00:00Z opens"]
    );
}

#[test]
fn a_policy_begins_to_apply_in_the_middle_of_a_night() {
    let own = around_the_clock(&["UTC"]);
    let spec = DialingPolicySpec { effective_from: date("2026-12-01"), ..daily(&[], "22:00", "06:00") };
    let c = with(Some(&own), &[("night", &spec)]).unwrap();
    assert_eq!(
        edges(&c, "2026-11-30T12:00:00Z", 3),
        // Open before and after midnight: that is no edge, and the night is not begun by the policy's first day.
        ["2026-12-01T06:00:00Z closes", "2026-12-01T22:00:00Z opens", "2026-12-02T06:00:00Z closes"]
    );
}

#[test]
fn a_law_is_amended_without_a_gap_by_one_policy_until_a_date_and_another_from_the_next() {
    let old = DialingPolicySpec { effective_until: date("2026-12-31"), ..daily(&[], "08:00", "21:00") };
    let new = DialingPolicySpec { effective_from: date("2027-01-01"), ..daily(&[], "09:00", "20:00") };
    let mut own = around_the_clock(&["America/Chicago"]);
    own.hours = None;
    let c = with(Some(&own), &[("new", &new), ("old", &old)]).unwrap();
    assert_eq!(
        edges(&c, "2026-12-31T12:00:00Z", 4),
        [
            "2026-12-31T14:00:00Z opens",
            "2027-01-01T03:00:00Z closes",
            "2027-01-01T15:00:00Z opens",
            "2027-01-02T02:00:00Z closes",
        ]
    );
    // Around the clock on both sides of the midnight there is nothing to see of it.
    let old = DialingPolicySpec { effective_until: date("2026-12-31"), ..daily(&[], "00:00", "24:00") };
    let new = DialingPolicySpec { effective_from: date("2027-01-01"), ..daily(&[], "00:00", "24:00") };
    let c = with(Some(&own), &[("new", &new), ("old", &old)]).unwrap();
    assert_eq!(edges(&c, "2026-12-31T12:00:00Z", 9), [""; 0]);
}

#[test]
fn amending_in_several_zones_closes_while_neither_law_applies_in_all_of_them() {
    // Midnight is at five in New York and at eight in Los Angeles. Between them the old one is over in the east and the new one
    // has not begun in the west: each holds where it applies, and no policy gives hours for all.
    let old = DialingPolicySpec { effective_until: date("2026-12-31"), ..daily(&[], "00:00", "24:00") };
    let new = DialingPolicySpec { effective_from: date("2027-01-01"), ..daily(&[], "00:00", "24:00") };
    let mut own = around_the_clock(&["America/New_York", "America/Los_Angeles"]);
    own.hours = None;
    let c = with(Some(&own), &[("new", &new), ("old", &old)]).unwrap();
    assert_eq!(
        edges(&c, "2026-12-31T12:00:00Z", 9),
        ["2027-01-01T05:00:00Z closes", "2027-01-01T08:00:00Z opens"]
    );
}

#[test]
fn where_only_a_policy_gives_hours_it_is_closed_before_and_after_its_effective_dates() {
    let spec = DialingPolicySpec {
        effective_from: date("2026-12-01"),
        effective_until: date("2026-12-02"),
        ..daily(&["UTC"], "00:00", "24:00")
    };
    let c = with(None, &[("law", &spec)]).unwrap();
    assert_eq!(
        edges(&c, "2026-11-22T12:00:00Z", 9),
        ["2026-12-01T00:00:00Z opens", "2026-12-03T00:00:00Z closes"]
    );
    assert_eq!(times(&c.view(at("2026-12-03T00:00:00Z"))), (false, None, None));
}
