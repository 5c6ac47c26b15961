//! A start is made once, confirmed by a read, and undone when it comes too late. Our own closes are never blamed on anyone.

// Helpers of tests may fail as tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::world::{Read, Write};
use common::{NOON, Sim, secs};
use rules::kinds::{DeclaredState, Observed, Outcome, Target};
use rules::trouble::Trouble;

use DeclaredState as D;
use Observed as O;

fn paused() -> Sim {
    Sim::new(NOON, D::Running, O::Paused)
}

#[test]
fn a_start_whose_answer_is_lost_is_confirmed_by_a_read_and_not_repeated() {
    let mut sim = paused();
    sim.world.writes = vec![(0, 1, Write::AnswerLost)];
    sim.run(600);
    assert_eq!(sim.world.targets(0.0), [Target::Running]);
    assert_eq!(sim.outcomes(), [(Target::Running, Outcome::Applied)]);
}

#[test]
fn a_start_without_effect_is_given_up_after_twice_the_timeout_and_decided_anew_under_a_new_id() {
    for timeout in [15, 60] {
        let mut sim = paused();
        sim.site.timeout = secs(timeout);
        sim.world.timeout = secs(timeout);
        sim.edit(|s| s.check_interval_seconds = 600);
        sim.world.writes = vec![(0, 1, Write::Lies)];
        sim.run(3 * timeout + 40);
        let puts = sim.world.puts(0.0);
        assert_eq!(puts.len(), 2, "{timeout} {puts:?}");
        assert_ne!(puts[0].2, puts[1].2);
        assert!(puts[1].0 >= 2.0 * timeout as f64, "{puts:?}");
        let outcomes = [(Target::Running, Outcome::NotApplied), (Target::Running, Outcome::Applied)];
        assert_eq!(sim.outcomes(), outcomes);
    }
}

#[test]
fn a_start_in_doubt_is_looked_at_after_1_2_5_10_20_and_30_seconds() {
    let mut sim = paused();
    sim.edit(|s| s.check_interval_seconds = 600);
    sim.world.writes = vec![(0, 1, Write::Lies)];
    sim.run(31);
    let sent = sim.world.puts(0.0)[0].0;
    let looks: Vec<u64> = sim
        .world
        .since(sent + 0.001)
        .filter(|r| r.state.is_some())
        .map(|r| (r.at.as_secs_f64() - sent).round() as u64)
        .collect();
    assert_eq!(looks[..7], [0, 1, 2, 5, 10, 20, 30]);
}

#[test]
fn a_refused_start_backs_off_and_every_refusal_is_an_outcome_of_its_own() {
    let mut sim = paused();
    sim.world.writes = vec![(0, 60, Write::Fails(Trouble::Throttled(None)))];
    sim.run(200);
    let puts = sim.world.puts(0.0);
    assert!((5..=7).contains(&puts.len()), "{puts:?}");
    assert_eq!(sim.ended().len(), puts.len());
    assert_eq!(sim.outcomes().last(), Some(&(Target::Running, Outcome::Applied)));
    let ids: std::collections::HashSet<_> = puts.iter().map(|p| p.2).collect();
    assert_eq!(ids.len(), puts.len());

    let mut sim = paused();
    sim.world.writes = vec![(0, 3000, Write::Fails(Trouble::Forbidden))];
    sim.run(610);
    assert_eq!(sim.ready(), "False Forbidden");
    assert!((9..=12).contains(&sim.world.puts(0.0).len()), "{}", sim.world.puts(0.0).len());
}

#[test]
fn two_conflicts_with_an_unchanged_read_are_an_invalid_transition_tried_slowly() {
    let mut sim = paused();
    sim.world.writes = vec![(0, 3000, Write::Fails(Trouble::Conflict))];
    sim.run(250);
    assert_eq!(sim.world.puts(0.0).len(), 2);
    assert_eq!(sim.ready(), "False InvalidTransition");
    sim.run(100);
    assert_eq!(sim.world.puts(0.0).len(), 3);
}

#[test]
fn one_conflict_after_other_trouble_is_not_yet_an_invalid_transition() {
    let mut sim = paused();
    sim.world.writes =
        vec![(0, 3, Write::Fails(Trouble::Unreachable)), (3, 4, Write::Fails(Trouble::Conflict))];
    sim.run(60);
    assert_eq!(sim.world.state, O::Running, "{:?}", sim.world.puts(0.0));
}

#[test]
fn a_conflict_on_a_start_that_is_there_already_is_done() {
    let mut sim = paused();
    sim.world.writes = vec![(0, 3000, Write::Fails(Trouble::Conflict))];
    sim.world.coming = vec![(std::time::Duration::from_millis(50), O::Running)];
    sim.run(100);
    assert_eq!(sim.world.puts(0.0).len(), 1);
    assert_eq!(sim.outcomes(), [(Target::Running, Outcome::Applied)]);
    assert_eq!(sim.ready(), "True Running");
}

#[test]
fn a_start_that_comes_late_is_discovered_and_undone_when_it_may_not_run_any_more() {
    for late in [5, 12, 25, 50] {
        let mut sim = paused();
        sim.world.writes = vec![(0, 1, Write::Late(late))];
        sim.run(2);
        sim.meta.hold = Some("stop".into());
        sim.run(late + 40);
        let puts = sim.world.puts(0.0);
        assert_eq!(puts.last().unwrap().1, Target::Paused, "{late}");
        assert!(puts.last().unwrap().0 <= late as f64 + 31.0, "{puts:?}");
        assert_eq!(sim.world.state, O::Paused);
        assert!(!sim.blamed());
    }
}

#[test]
fn after_a_start_went_out_it_is_not_known_to_be_closed_until_it_was_read() {
    // The start takes effect, its answer is lost, and no read succeeds: the hold must go out blindly.
    for write in [Write::AnswerLost, Write::Late(2)] {
        let mut sim = paused();
        sim.world.writes = vec![(0, 1, write)];
        sim.world.reads = vec![(1, 3600, Read::Hangs)];
        sim.run(0);
        sim.pass();
        sim.world.reads = vec![(0, 3600, Read::Hangs)];
        sim.meta.hold = Some("stop".into());
        let held = sim.world.mono.as_secs_f64();
        sim.run(60);
        let puts = sim.world.puts(held);
        assert!(puts.first().is_some_and(|p| p.1 == Target::Paused && p.3 && p.0 < held + 4.0), "{puts:?}");
        assert_eq!(sim.world.state, O::Paused);
    }
}

#[test]
fn a_start_survives_a_restart_without_being_sent_twice() {
    let mut sim = paused();
    sim.world.writes = vec![(0, 1, Write::Late(20))];
    sim.run(3);
    sim.restart();
    sim.run(100);
    assert_eq!(sim.world.targets(0.0), [Target::Running]);
    assert_eq!(sim.outcomes(), [(Target::Running, Outcome::Applied)]);
}

/// Holds and releases a running campaign whose close meets this fault, and restarts in between where asked to.
fn held_and_released(write: Write, read: Option<Read>, restarts: bool) -> Sim {
    let mut sim = Sim::new(NOON, D::Running, O::Running);
    sim.run(100);
    sim.world.writes = vec![(100, 101, write), (101, 112, Write::Lies)];
    sim.world.reads = read.map(|fault| (100, 112, fault)).into_iter().collect();
    sim.meta.hold = Some("stop".into());
    sim.run(10);
    if restarts {
        sim.restart();
    }
    sim.meta.hold = None;
    sim.run(300);
    sim
}

#[test]
fn no_external_pause_is_made_out_of_our_own_close() {
    let writes =
        [Write::AnswerLost, Write::Late(1), Write::Late(6), Write::Late(15), Write::Late(25), Write::Lies];
    for write in writes {
        for read in [None, Some(Read::Hangs), Some(Read::Fails(Trouble::Unavailable))] {
            for restarts in [false, true] {
                let sim = held_and_released(write, read, restarts);
                assert!(!sim.blamed(), "{write:?} {read:?} {restarts}: {:?}", sim.notes);
                assert_eq!(sim.world.state, O::Running, "{write:?} {read:?} {restarts}");
            }
        }
    }
}

#[test]
fn no_external_pause_is_made_out_of_a_close_that_an_earlier_process_could_not_write_down() {
    // The edge passes, the old process closes and dies before its status is written.
    let mut sim = Sim::new("2026-11-23T19:50:00Z", D::Running, O::Running);
    sim.run(500);
    let written = sim.campaign.status.clone();
    sim.run(100);
    assert_eq!(sim.world.state, O::Paused);
    sim.campaign.status = written;
    sim.restart();
    sim.run(13 * 3600);
    assert!(!sim.blamed());
    assert_eq!(sim.world.state, O::Running);
}
