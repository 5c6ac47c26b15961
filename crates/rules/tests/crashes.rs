//! A process that is killed at any point: what the next one makes of what was left.

// Helpers of tests may fail as tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::world::Write;
use common::{NOON, Sim, secs};
use rules::kinds::{DeclaredState, Observed, Outcome, Target};

/// Plays a declared change with the process killed at each point in turn, once with the declaration reversed meanwhile.
fn killed_everywhere(from: Observed, to: DeclaredState, fault: Option<Write>) {
    let opposite =
        |state| if state == DeclaredState::Running { DeclaredState::Paused } else { DeclaredState::Running };
    let before = opposite(to);
    for reversed in [false, true] {
        let mut point = 0;
        loop {
            let mut sim = Sim::new(NOON, before, from);
            sim.run(30);
            if let Some(fault) = fault {
                let now = sim.world.mono.as_secs();
                sim.world.writes = vec![(now, now + 3, fault)];
            }
            let (quiet, sent) = (sim.files.points, sim.world.log.len());
            sim.edit(|spec| spec.state = to);
            point += 1;
            sim.files.kills = vec![quiet + point];
            let end = sim.world.mono + secs(90);
            // Whoever reverses it does so while the process is down.
            while sim.world.mono < end {
                let points = sim.files.points;
                let decision = sim.pass();
                let died = (points..sim.files.points).contains(&(quiet + point - 1));
                if died && reversed {
                    sim.edit(|spec| spec.state = before);
                }
                sim.world.advance(decision.wake_in.min(secs(15)).max(secs(1)));
            }
            let all = sim.files.points;
            let wanted = if reversed && quiet + point <= all { before } else { to };
            let story = format!(
                "killed at {point}, reversed {reversed}: {:?}\n{:?}",
                &sim.world.log[sent..],
                sim.files.told
            );
            let state = if wanted == DeclaredState::Running { Observed::Running } else { Observed::Paused };
            assert_eq!(sim.world.state, state, "{story}");
            assert!(!sim.blamed(), "nobody else has paused it: {story}");
            sim.assert_outcomes();
            let changes = sim.world.past.len() - 1;
            let direct = if reversed { 2 } else { 1 };
            assert!(changes <= direct, "{changes} changes: {story}");
            if quiet + point > all {
                break;
            }
        }
        assert!(point > 5, "{point} points");
    }
}

#[test]
fn a_close_killed_at_any_point_has_one_outcome_and_is_nobody_elses() {
    killed_everywhere(Observed::Running, DeclaredState::Paused, None);
}

#[test]
fn a_start_killed_at_any_point_has_one_outcome_and_is_made_once() {
    killed_everywhere(Observed::Paused, DeclaredState::Running, None);
}

#[test]
fn a_close_whose_answer_is_lost_killed_at_any_point_has_one_outcome() {
    killed_everywhere(Observed::Running, DeclaredState::Paused, Some(Write::AnswerLost));
    killed_everywhere(Observed::Running, DeclaredState::Paused, Some(Write::Hangs));
}

#[test]
fn a_start_whose_answer_is_lost_killed_at_any_point_has_one_outcome() {
    killed_everywhere(Observed::Paused, DeclaredState::Running, Some(Write::AnswerLost));
    killed_everywhere(Observed::Paused, DeclaredState::Running, Some(Write::Hangs));
}

#[test]
fn an_intent_that_others_have_overtaken_ends_unknown_and_opens_nothing() {
    let mut sim = Sim::new(NOON, DeclaredState::Paused, Observed::Running);
    sim.run(10);
    let newest = sim.campaign.status.last_transition.clone().unwrap();
    let mut old = sim.files.announced[0].clone();
    old.id = uuid::Uuid::from_u128(1);
    old.requested_at.0 -= secs(60);
    let now = sim.now();
    let ended = sim.campaign.recover(old, now);
    assert_eq!(
        ended.iter().map(|r| (r.to, r.outcome)).collect::<Vec<_>>(),
        [(Target::Paused, Outcome::Unknown)]
    );
    assert_eq!(sim.campaign.status.pending_transition, None);
    assert_eq!(sim.campaign.status.last_transition, Some(newest), "what came after it stays the newest");
    assert_eq!(sim.campaign.status.history.len(), 2);
}
