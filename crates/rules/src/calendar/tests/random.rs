//! Random rules against a naive reading, a scan and a plain search.

use proptest::test_runner::RngSeed;

use super::bounds::{plain_edge, plain_times};
use super::naive::Rules;
use super::policies::{closed, policy};
use super::*;
use crate::kinds::{DialingPolicySpec, LocalDate};

/// Zones whose clocks do odd things: at both sides of the date line, shifts at midnight or just after it, by half an hour, of a
/// whole day, or by the moon.
const ODD: [&str; 14] = [
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "America/Havana",
    "Asia/Beirut",
    "America/Asuncion",
    "America/Santiago",
    "Africa/Cairo",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "America/Sao_Paulo",
    "America/New_York",
    "UTC",
];

/// Half of the instants lie within a day and a half of a shift of an odd zone's clock, which is handed back with them.
fn any_instant() -> impl Strategy<Value = (Option<&'static str>, Timestamp)> {
    let (from, to) = (536_457_600_i64, 1_900_000_000_i64); // 1987 to 2030
    let plain = (from..to).prop_map(|second| (None, Timestamp::from_second(second).unwrap()));
    let near = (0..ODD.len(), from..to, -36 * 3600..36 * 3600_i64).prop_map(|(zone, second, away)| {
        let second = Timestamp::from_second(second).unwrap();
        let shift = zones::zone(ODD[zone]).unwrap().following(second).next().map(|shift| shift.timestamp());
        (Some(ODD[zone]), shift.unwrap_or(second) + SignedDuration::from_secs(away))
    });
    prop_oneof![1 => plain, 2 => near]
}

fn any_zones(near: Option<&'static str>) -> impl Strategy<Value = Vec<Zone>> {
    let all: Vec<String> = zones::names().filter(|name| zones::zone(name).is_some()).collect();
    let any = proptest::sample::subsequence(all, 1..3);
    let odd = proptest::sample::subsequence(ODD.to_vec(), 0..2);
    prop_oneof![
        1 => any.prop_map(|names| names.into_iter().map(Zone).collect()),
        3 => odd.prop_map(move |names| {
            let mut names: Vec<_> = near.into_iter().chain(names).collect();
            names.dedup();
            if names.is_empty() { vec![Zone("Asia/Kolkata".into())] } else { names.iter().map(|n| Zone((*n).into())).collect() }
        }),
    ]
}

/// Hours; some around the clock, so that dates and clocks are what makes edges.
fn some_hours() -> impl Strategy<Value = Vec<Hours>> {
    let any = proptest::collection::vec(any_hours(), 1..4);
    let any = any.prop_map(|list| list.into_iter().flatten().collect::<Vec<_>>());
    let any = any.prop_filter("no hours", |list| !list.is_empty());
    prop_oneof![2 => any, 1 => Just(vec![hours(&ALL, "00:00", "24:00")])]
}

prop_compose! {
    /// A policy whose dates lie around this instant, in any zone.
    fn any_policy(near: Option<&'static str>, now: Timestamp)
        (zones in proptest::option::of(any_zones(near)), hours in proptest::option::weighted(0.7, some_hours()),
         shut in proptest::collection::btree_set(-2i64..4, 0..3), from in proptest::option::weighted(0.4, -2i64..4),
         until in proptest::option::weighted(0.4, -2i64..4), lead in proptest::option::of(0i32..3600),
         cap in proptest::option::of(0i32..5)) -> DialingPolicySpec
    {
        let today = now.to_zoned(TimeZone::UTC).date();
        let day = |days: i64| (today + SignedDuration::from_hours(24 * days)).to_string();
        DialingPolicySpec {
            hours, time_zones: zones, close_lead_seconds: lead, max_active_calls: cap,
            closed_dates: shut.into_iter().map(|days| closed(&day(days), "closed")).collect(),
            effective_from: from.map(|days| LocalDate(day(days))),
            effective_until: until.map(|days| LocalDate(day(days.max(from.unwrap_or(days))))),
            ..policy()
        }
    }
}

/// A window with hours, one of zones alone, or none.
fn any_own(near: Option<&'static str>) -> impl Strategy<Value = Option<ComplianceWindow>> {
    let hours = proptest::option::weighted(0.8, some_hours());
    let own = (any_zones(near), hours, 0..3600_i32).prop_map(|(time_zones, hours, close_lead_seconds)| {
        ComplianceWindow { time_zones, hours, close_lead_seconds }
    });
    proptest::option::weighted(0.9, own)
}

fn any_rules() -> impl Strategy<Value = (Rules, Timestamp)> {
    any_instant().prop_flat_map(|(near, now)| {
        let policies = proptest::collection::vec(any_policy(near, now), 0..4);
        (any_own(near), policies, proptest::bool::weighted(0.2), Just(now))
            .prop_map(|(own, policies, required, now)| (Rules { own, policies, required }, now))
    })
}

/// The same cases each time, unless `PROPTEST_RNG_SEED` or `PROPTEST_CASES` ask for others.
fn config(cases: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    let asked = |name: &str| std::env::var(name).is_ok();
    ProptestConfig {
        cases: if asked("PROPTEST_CASES") { default.cases } else { cases },
        rng_seed: if asked("PROPTEST_RNG_SEED") { default.rng_seed } else { RngSeed::Fixed(20_261_225) },
        failure_persistence: None,
        ..default
    }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn any_rules_at_any_instant_agree_with_a_naive_reading_and_a_scan((rules, start) in any_rules()) {
        let calendar = rules.calendar();
        prop_assert_eq!(calendar.is_ok(), rules.make_sense(), "{:?}", calendar);
        let Ok(calendar) = calendar else { return Ok(()) };
        let now = rules.allow(start);
        prop_assert_eq!(calendar.allowed(start), now);

        let minute = |n: i64| start + SignedDuration::from_mins(n);
        let minutes = 30 * 60;
        let scanned = (1..=minutes).map(minute).find(|t| rules.allow(*t) != now);
        let found = calendar.next_edge(start).filter(|t| *t <= minute(minutes));
        // The scan sees an edge within a minute after it.
        let apart = scanned.zip(found).map(|(s, f)| s.duration_since(f));
        let same = scanned.is_some() == found.is_some()
            && apart.is_none_or(|apart| !apart.is_negative() && apart < SignedDuration::from_mins(1));
        prop_assert!(same, "from {} the scan finds {:?}, the search {:?}", start, scanned, found);
    }

    #[test]
    fn one_more_policy_never_allows_more_nor_raises_the_cap((rules, start) in any_rules(), hours in 0..48_i64) {
        let mut fewer = rules.clone();
        fewer.policies.pop();
        let Ok(tighter) = rules.calendar() else { return Ok(()) };
        let t = start + SignedDuration::from_mins(hours * 61);
        let tight = tighter.view(t);
        // Without the policy there may be no hours at all: that allows nothing, so there is nothing to compare.
        if let Ok(fewer) = fewer.calendar() && rules.own.as_ref().is_some_and(|own| own.hours.is_some() && !rules.required) {
            let loose = fewer.view(t);
            prop_assert!(!tight.open || loose.open, "opened by one more");
            if tight.open && let Some(close) = loose.next_close {
                prop_assert!(tight.next_close.is_some_and(|sooner| sooner <= close), "closed later by one more");
            }
            let calls = |view: &WindowView| view.cap.as_ref().map_or(i32::MAX, |cap| cap.calls);
            prop_assert!(calls(&tight) <= calls(&loose));
        }
    }
}

proptest! {
    #![proptest_config(config(120))]

    #[test]
    fn the_view_is_what_a_plain_search_finds((rules, start) in any_rules()) {
        let Ok(calendar) = rules.calendar() else { return Ok(()) };
        prop_assert_eq!(calendar.next_edge(start), plain_edge(&calendar, start, later(start, HORIZON)));
        let lead = |close: Timestamp| rules.lead(close - SignedDuration::from_nanos(1));
        prop_assert_eq!(times(&calendar.view(start)), plain_times(&calendar, lead, start));
    }

    #[test]
    fn nothing_in_a_view_changes_before_its_edge_or_the_instant_until_which_it_holds(
        (rules, start) in any_rules(), parts in proptest::collection::vec(0.0..1.0, 6)
    ) {
        let Ok(calendar) = rules.calendar() else { return Ok(()) };
        let view = calendar.view(start);
        let end = view.next_edge().map_or(view.holds_until, |edge| edge.min(view.holds_until));
        prop_assert!(end > start);
        prop_assert_eq!(view.cap.as_ref().map(|cap| cap.calls), rules.cap(start));
        let length = end.duration_since(start).min(SignedDuration::from_hours(60 * 24));
        let last = end - SignedDuration::from_nanos(1);
        let within = parts.iter().map(|part| start + length.mul_f64(*part)).filter(|t| *t < end);
        for t in within.chain([last]) {
            let then = calendar.view(t);
            prop_assert_eq!((then.open, &then.cap), (view.open, &view.cap), "at {}", t);
            prop_assert_eq!(rules.lead(t), rules.lead(start), "the lead at {}", t);
            prop_assert_eq!(then.holds_until, view.holds_until, "at {}", t);
            // What was beyond the horizon may come into it as time passes.
            for (now, then) in [(view.next_open, then.next_open), (view.next_close, then.next_close)] {
                prop_assert!(now == then || now.is_none(), "{:?} became {:?} at {}", now, then, t);
            }
            prop_assert_eq!(&then.rule, &view.rule, "the rule at {}", t);
            prop_assert_eq!(&then.closed_by, &view.closed_by, "what closes at {}", t);
        }
    }

    #[test]
    fn the_instant_until_which_a_view_holds_is_never_later_than_a_change_of_the_lead_or_the_cap(
        (rules, start) in any_rules()
    ) {
        let Ok(calendar) = rules.calendar() else { return Ok(()) };
        let minute = |n: i64| start + SignedDuration::from_mins(n);
        let bounds = |t: Timestamp| (rules.lead(t), rules.cap(t));
        let now = bounds(start);
        if let Some(changed) = (1..36 * 6).map(|n| minute(10 * n)).find(|t| bounds(*t) != now) {
            let until = calendar.view(start).holds_until;
            prop_assert!(until <= changed, "{} after {}", until, changed);
        }
    }
}
