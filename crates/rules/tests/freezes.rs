//! A freeze closes or holds, names its policy, ends by itself or when it is lifted, and lets nobody start all at once.

// Helpers of tests may fail as tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::{NOON, Sim, at, daily, freeze, secs};
use rules::campaign::Note;
use rules::kinds::{
    Cause, DeclaredState, Effective, Mode, Observed, OnExternalPause, PauseExpiry, PolicyRef, Target,
};
use rules::reasons::Reason;

use DeclaredState as D;
use Observed as O;

const IN_100_S: Option<&str> = Some("2026-11-23T12:01:40Z");
const IN_200_S: Option<&str> = Some("2026-11-23T12:03:20Z");

fn frozen(observed: Observed, until: Option<&str>, pauses: bool) -> Sim {
    let mut sim = Sim::new(NOON, D::Running, observed);
    sim.policies.matching = vec![freeze("brake", until, pauses)];
    sim
}

/// When starts went out, in seconds.
fn starts(sim: &Sim) -> Vec<f64> {
    let puts = sim.world.puts(0.0).into_iter();
    puts.filter(|put| put.1 == Target::Running).map(|put| put.0).collect()
}

/// When the only start went out.
fn start(sim: &Sim) -> f64 {
    let all = starts(sim);
    assert_eq!(all.len(), 1, "{all:?}");
    all[0]
}

#[test]
fn a_freeze_closes_what_runs_within_a_second_and_the_record_names_the_policy_and_its_generation() {
    let mut sim = Sim::new(NOON, D::Running, O::Running);
    sim.run(60);
    let mut policy = Arc::unwrap_or_clone(freeze("brake", None, true));
    policy.generation = 4;
    sim.policies.matching = vec![daily("hours", "00:00", "24:00"), Arc::new(policy)];
    sim.run(5);
    let puts = sim.world.puts(0.0);
    assert_eq!((puts.len(), puts[0].1), (1, Target::Paused));
    assert!((60.0..61.0).contains(&puts[0].0) && !puts[0].3, "{puts:?}");
    let brake = PolicyRef { name: "brake".into(), generation: 4 };
    let record = sim.ended()[0].clone();
    assert_eq!((record.cause, record.decided_by), (Cause::Frozen, Some(brake.clone())));
    let hours = PolicyRef { name: "hours".into(), generation: 1 };
    assert_eq!(sim.campaign.status.policies, [hours, brake]);
    assert_eq!(sim.ready(), "True Frozen");
    assert_eq!(sim.message("Held"), "frozen by policy brake until it is lifted: brake said so");
    assert_eq!((sim.campaign.status.effective, sim.next()), (Some(Effective::Held), None));
}

#[test]
fn a_freeze_that_pauses_nothing_leaves_what_runs_and_holds_every_start() {
    let mut sim = frozen(O::Running, None, false);
    sim.run(600);
    assert_eq!((sim.world.puts(0.0), sim.ready()), (vec![], "True Running".into()));

    let mut sim = frozen(O::Paused, None, false);
    sim.run(600);
    assert_eq!((sim.world.puts(0.0), sim.ready()), (vec![], "True Frozen".into()));
    assert_eq!(sim.message("Held"), "starts frozen by policy brake until it is lifted: brake said so");
}

#[test]
fn the_end_of_a_freeze_is_an_edge_that_the_loop_wakes_at() {
    for (observed, pauses) in [(O::Running, true), (O::Paused, true), (O::Paused, false)] {
        let mut sim = frozen(observed, IN_100_S, pauses);
        // Between two looks, so that nothing else wakes it sooner.
        sim.run(96);
        assert!(sim.decision().wake_in <= secs(4), "{observed} {pauses}");
        sim.run(4);
        assert!(starts(&sim).is_empty(), "{observed} {pauses}");
        assert_eq!(sim.obstacles(), (vec![], vec![]));
        sim.run(12);
        assert!((100.0..110.5).contains(&start(&sim)), "{observed} {pauses}");
    }
}

#[test]
fn those_that_one_freeze_held_start_within_ten_seconds_and_not_all_at_once() {
    for until in [IN_100_S, None] {
        for restarts in [false, true] {
            let mut times = Vec::new();
            for seed in 0..60_u64 {
                let mut sim = frozen(O::Running, until, true);
                sim.seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                sim.run(90);
                if restarts {
                    sim.restart();
                }
                sim.run(10);
                if until.is_none() {
                    sim.policies.matching.clear();
                }
                sim.run(30);
                times.push(start(&sim) - 100.0);
            }
            times.sort_by(f64::total_cmp);
            assert!(times[0] >= 0.0 && times[59] < 10.5, "{times:?}");
            assert!(times[59] - times[0] > 6.0 && times[30] - times[10] > 1.0, "{times:?}");
        }
    }
}

#[test]
fn a_freeze_that_ended_while_no_process_ran_lets_them_start_one_after_the_other_too() {
    let mut times = Vec::new();
    for seed in 0..60_u64 {
        let mut sim = frozen(O::Running, IN_100_S, true);
        sim.seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        sim.run(90);
        sim.world.advance(secs(20));
        sim.restart();
        sim.run(30);
        times.push(start(&sim) - 110.0);
    }
    times.sort_by(f64::total_cmp);
    assert!(times[0] >= 0.0 && times[59] < 10.5 && times[59] - times[0] > 6.0, "{times:?}");
}

#[test]
fn the_end_of_a_freeze_opens_no_other_gate_and_delays_no_start_that_comes_later() {
    let mut sim = frozen(O::Paused, IN_100_S, true);
    sim.policies.matching.push(daily("late", "12:05", "24:00"));
    sim.run(290);
    assert!(starts(&sim).is_empty());
    sim.run(30);
    assert!((300.0..301.0).contains(&start(&sim)));

    // A hold that comes between the end of the freeze and the start.
    let mut sim = frozen(O::Paused, IN_100_S, true);
    sim.run(99);
    sim.meta.hold = Some("no".into());
    sim.run(600);
    assert!(starts(&sim).is_empty());
}

#[test]
fn of_several_freezes_the_last_end_counts_and_one_without_end_has_none() {
    let mut sim = frozen(O::Running, IN_100_S, true);
    sim.policies.matching.push(freeze("second", IN_200_S, true));
    sim.run(150);
    assert_eq!(sim.world.targets(0.0), [Target::Paused]);
    sim.run(80);
    assert!((200.0..210.5).contains(&start(&sim)));

    let mut sim = frozen(O::Running, IN_100_S, true);
    sim.policies.matching.push(freeze("second", IN_200_S, true));
    sim.run(10);
    let next = (at(IN_200_S.unwrap()), Effective::Running, "the freeze of policy second ends".to_owned());
    assert_eq!(sim.next(), Some(next));
    sim.policies.matching.push(freeze("third", None, true));
    sim.run(10);
    assert_eq!(sim.next(), None);
}

#[test]
fn a_freeze_that_holds_starts_goes_on_after_the_end_of_one_that_paused() {
    let mut sim = frozen(O::Running, IN_100_S, true);
    sim.policies.matching.push(freeze("second", IN_200_S, false));
    let foretold =
        Some((at(IN_200_S.unwrap()), Effective::Running, "the freeze of policy second ends".into()));
    sim.run(50);
    assert_eq!(sim.next(), foretold);
    sim.run(140);
    assert_eq!(sim.next(), foretold);
    assert_eq!(sim.world.targets(0.0), [Target::Paused]);
    assert_eq!(sim.ready(), "True Frozen");
    sim.run(30);
    assert!((200.0..210.5).contains(&start(&sim)));
}

#[test]
fn a_freeze_in_the_past_is_none() {
    let mut sim = frozen(O::Paused, Some(NOON), true);
    sim.run(5);
    assert!(start(&sim) < 1.0);
}

#[test]
fn a_suspended_campaign_is_closed_by_a_freeze_and_not_started_after_it() {
    let mut sim = frozen(O::Running, IN_100_S, true);
    sim.spec.suspend = true;
    sim.run(300);
    assert_eq!(sim.world.targets(0.0), [Target::Paused]);
    assert_eq!(sim.ended()[0].cause, Cause::Frozen);
    assert_eq!(sim.ready(), "True Suspended");
}

#[test]
fn what_runs_during_a_freeze_in_mode_observe_is_a_violation_and_is_left_alone() {
    let mut sim = frozen(O::Running, None, true);
    sim.spec.mode = Mode::Observe;
    sim.run(30);
    assert_eq!((sim.world.puts(0.0), sim.ready()), (vec![], "False Frozen".into()));
    let (word, reason) = sim.condition("Violation").unwrap();
    assert_eq!((word.as_str(), reason.as_str()), ("True", "Frozen"));
    assert!(sim.message("Violation").contains("frozen by policy brake"), "{}", sim.message("Violation"));
}

#[test]
fn a_timed_pause_that_ends_during_a_freeze_waits_for_its_end() {
    for pauses in [true, false] {
        let mut sim = Sim::new(NOON, D::Paused, O::Running);
        (sim.spec.pause_duration_seconds, sim.spec.pause_expiry) = (60, PauseExpiry::Resume);
        sim.run(10);
        sim.policies.matching = vec![freeze("brake", IN_100_S, pauses)];
        sim.run(85);
        assert_eq!(sim.world.targets(0.0), [Target::Paused]);
        assert_eq!(sim.ready(), "True Frozen");
        sim.run(30);
        assert!((100.0..110.5).contains(&start(&sim)));
        assert_eq!(sim.ended().last().unwrap().cause, Cause::PauseOver);
    }
}

#[test]
fn a_declared_pause_is_no_work_of_the_freeze_and_has_no_policy_on_record() {
    let mut sim = Sim::new(NOON, D::Running, O::Running);
    sim.run(5);
    sim.policies.matching = vec![freeze("brake", None, false)];
    sim.edit(|s| s.state = D::Paused);
    sim.run(5);
    let record = sim.ended()[0].clone();
    assert_eq!((record.cause, record.decided_by), (Cause::Declared, None));
    assert_eq!(sim.ready(), "True Paused");
}

#[test]
fn a_person_who_starts_it_during_a_freeze_is_undone_and_named_as_such() {
    let mut sim = frozen(O::Running, None, true);
    sim.run(60);
    sim.hand(O::Running);
    sim.run(60);
    assert_eq!(sim.world.targets(0.0), [Target::Paused, Target::Paused]);
    assert!(sim.notes.contains(&Note::StartedByAnother { allowed: false }));
}

#[test]
fn the_pause_of_a_freeze_is_ours_also_after_a_restart_and_is_not_blamed_on_anyone() {
    for restart in [0, 5, 50, 99, 101] {
        let mut sim = frozen(O::Running, IN_100_S, true);
        sim.run(restart);
        sim.restart();
        sim.run(300 - restart);
        assert!(!sim.blamed(), "restart after {restart} s");
        assert!((100.0..115.0).contains(&start(&sim)), "restart after {restart} s");
        assert_eq!(sim.world.state, O::Running);
    }
}

#[test]
fn many_freezes_are_counted_where_telling_all_of_them_would_be_too_long() {
    let mut sim = Sim::new(NOON, D::Running, O::Running);
    sim.policies.matching = (0..90).map(|n| freeze(&format!("brake-{n:02}"), None, true)).collect();
    sim.run(5);
    let told = sim.message("Held");
    assert!(told.ends_with("; and by 87 more") && told.matches("policy brake-").count() == 3, "{told}");
}

#[test]
fn somebody_elses_pause_is_kept_through_a_freeze_that_comes_and_goes() {
    for pauses in [true, false] {
        let mut sim = Sim::new(NOON, D::Running, O::Running);
        sim.run(70);
        sim.hand(O::Paused);
        sim.run(70);
        assert_eq!(sim.ready(), "True ExternalPause");
        sim.policies.matching = vec![freeze("brake", None, pauses)];
        sim.run(100);
        assert_eq!(sim.ready(), "True Frozen");
        sim.policies.matching.clear();
        sim.run(300);
        assert_eq!((sim.world.puts(0.0), sim.ready()), (vec![], "True ExternalPause".into()));
    }
}

#[test]
fn a_pause_by_somebody_else_under_a_freeze_that_pauses_nothing_is_theirs() {
    let mut sim = frozen(O::Running, None, false);
    sim.run(70);
    sim.hand(O::Paused);
    sim.run(70);
    assert!(sim.blamed());
    assert_eq!(sim.obstacles(), (vec![], vec![Reason::Frozen, Reason::ExternalPause]));
}

#[test]
fn a_revert_waits_for_the_end_of_a_freeze_too() {
    let mut sim = frozen(O::Running, IN_200_S, false);
    sim.spec.on_external_pause = OnExternalPause::Revert;
    sim.run(70);
    sim.hand(O::Paused);
    sim.run(120);
    assert!(starts(&sim).is_empty());
    sim.run(30);
    assert!((200.0..210.5).contains(&start(&sim)));
}
