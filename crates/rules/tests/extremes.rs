//! No input makes the core panic or keeps a pass from its end: instants at the ends of time, durations without measure.

// Helpers of tests may fail as tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{Sim, at, green, secs, spec, window_at};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, RngSeed};
use rules::campaign::{Campaign, Judge, transition};
use rules::decide::{Decision, Step, decide};
use rules::inputs::{Inputs, Meta, Site};
use rules::kinds::{
    CampaignStatus, Cause, DeclaredState, DialerCampaignStateSpec, Observed, Outcome, PauseStatus, Target,
    stamp,
};
use rules::policies::Policies;
use rules::report::report;
use rules::trouble::{Now, Trouble};
use rules::wants::Wants;
use std::time::Duration;
use uuid::Uuid;

fn wall() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        Just(Timestamp::MIN),
        Just(Timestamp::MAX),
        Just(Timestamp::UNIX_EPOCH),
        Just(at("2026-11-23T19:59:30Z")),
        any::<i64>().prop_map(|n| Timestamp::from_second(n % 377_705_000_000).unwrap_or(Timestamp::MIN)),
    ]
}

/// A process that has run for a thousand years has other troubles.
fn mono() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(Duration::ZERO), Just(secs(31_557_600_000)), any::<u32>().prop_map(|n| secs(n.into()))]
}

fn span() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        Just(secs(15)),
        any::<u64>().prop_map(Duration::from_nanos)
    ]
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        span().prop_map(Trouble::NotNow),
        proptest::option::of(span()).prop_map(Trouble::Throttled),
        Just(Trouble::NotFound),
        Just(Trouble::Conflict),
        Just(Trouble::Unauthorized),
        Just(Trouble::Interrupted),
    ]
}

fn observed() -> impl Strategy<Value = Observed> {
    prop_oneof![
        Just(Observed::Running),
        Just(Observed::Paused),
        Just(Observed::Stopped),
        Just(Observed::Unknown)
    ]
}

#[derive(Clone, Debug)]
enum Act {
    Saw(Observed),
    CouldNot(Trouble),
    Look,
    Count(u32, i32, Duration),
    Write(Target, bool),
    CloseSent(Option<Trouble>),
    StartSent,
    Refused(Trouble),
    Cut,
    End,
    Declare(i64, Option<String>),
    Forgive,
    Pass,
    Resume,
}

fn act() -> impl Strategy<Value = Act> {
    let target = prop_oneof![Just(Target::Running), Just(Target::Paused), Just(Target::Stopped)];
    prop_oneof![
        observed().prop_map(Act::Saw),
        trouble().prop_map(Act::CouldNot),
        Just(Act::Look),
        (any::<u32>(), any::<i32>(), Just(secs(10))).prop_map(|(n, cap, d)| Act::Count(n, cap, d)),
        (target, any::<bool>()).prop_map(|(to, blind)| Act::Write(to, blind)),
        proptest::option::of(trouble()).prop_map(Act::CloseSent),
        Just(Act::StartSent),
        trouble().prop_map(Act::Refused),
        Just(Act::Cut),
        Just(Act::End),
        (any::<i64>(), proptest::option::of(".{0,300}")).prop_map(|(g, r)| Act::Declare(g, r)),
        Just(Act::Forgive),
        Just(Act::Pass),
        Just(Act::Resume),
    ]
}

fn declaration() -> impl Strategy<Value = DialerCampaignStateSpec> {
    let numbers = (any::<i32>(), any::<i32>(), any::<i32>(), any::<i32>());
    (0..3_usize, numbers, any::<bool>(), any::<bool>()).prop_map(|(state, (a, b, c, d), suspend, hours)| {
        let mut spec = spec([DeclaredState::Running, DeclaredState::Paused, DeclaredState::Stopped][state]);
        (spec.pause_duration_seconds, spec.max_active_calls, spec.suspend) = (a, b, suspend);
        (spec.check_interval_seconds, spec.progress_deadline_seconds) = (c, d);
        if !hours {
            spec.compliance_window = None;
        }
        spec
    })
}

fn step(
    c: &mut Campaign,
    spec: &DialerCampaignStateSpec,
    act: Act,
    now: Now,
    d: &Decision,
    timeout: Duration,
) {
    match act {
        Act::Saw(observed) => {
            let judge = Judge {
                spec,
                wanted: matches!(d.wants, Wants::Running(_)),
                may_run: d.may_run(),
                closing: d.closing.is_some(),
                timeout,
            };
            c.saw(observed, now, judge, 0.5);
        }
        Act::CouldNot(trouble) => drop(c.could_not_see(trouble, now.mono, now, 0.5)),
        Act::Look => c.looking(now, Some("now")),
        Act::Count(calls, cap, again) => c.counted(calls, cap, now, again),
        Act::Write(to, blind) => {
            let new = transition(Uuid::from_u128(7), c.known(), to, Cause::Declared, 1, blind, now);
            c.open(new, now);
            c.sending(now);
        }
        Act::CloseSent(trouble) => c.close_sent(trouble, now, 0.99),
        Act::StartSent => c.start_sent(now, Duration::MAX),
        Act::Refused(trouble) => drop(c.start_refused(trouble, now, 0.5)),
        Act::Cut => c.look_was_cut(now.mono),
        Act::End => drop(c.end(Outcome::Unknown, now)),
        Act::Declare(generation, release) => c.declared(spec, generation, release.as_deref()),
        Act::Forgive => c.forgive(),
        Act::Pass => c.begin_pass(),
        Act::Resume => *c = Campaign::resume(c.status.clone(), 1, now),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_instant_no_duration_and_no_order_of_facts_makes_the_core_panic(
        spec in declaration(),
        acts in prop::collection::vec((act(), wall(), mono()), 1..40),
        timeout in span(),
        hold in proptest::option::of(span()),
        until in wall(),
    ) {
        let site = Site { timeout, hold, ..green() };
        let (meta, policies) = (Meta { generation: 1, ..Meta::default() }, Policies::default());
        let mut c = Campaign::default();
        let pause = PauseStatus { since: stamp(until), until: stamp(until), duration_seconds: spec.pause_duration_seconds };
        c.status = CampaignStatus { pause: Some(pause), ..CampaignStatus::default() };
        for (act, wall, mono) in acts {
            let now = Now { wall, mono };
            let window = window_at(&spec, &policies, wall);
            let inputs = Inputs { spec: &spec, meta: &meta, site: &site, policies: &policies, window: &window, campaign: &c, now };
            let d = decide(&inputs);
            let (status, since) = report(&inputs, &d);
            prop_assert!(d.wake_in <= secs(15));
            prop_assert!(d.step == Step::Rest || d.wake_in == Duration::ZERO);
            prop_assert!(status.history.len() <= 10 && status.reverts.len() <= 3);
            c.decided(&d, now, 0.5);
            (c.status, c.working_since) = (status, since);
            step(&mut c, &spec, act, now, &d, timeout);
        }
    }
}

#[test]
fn a_step_of_the_wall_clock_over_an_edge_closes_at_the_next_decision_and_back_again_opens_nothing_unread() {
    let mut sim = Sim::new("2026-11-23T19:00:00Z", DeclaredState::Running, Observed::Running);
    sim.run(100);
    sim.began = sim.began.checked_add(SignedDuration::from_hours(1)).unwrap();
    sim.run(16);
    assert_eq!(sim.world.targets(0.0), [Target::Paused]);
    // The platform's clock did not step: nothing starts while ours goes wrong the other way.
    sim.began = sim.began.checked_add(SignedDuration::from_hours(-3)).unwrap();
    sim.ahead = Some(SignedDuration::from_hours(2));
    sim.run(600);
    assert_eq!(sim.world.targets(0.0), [Target::Paused]);
}
