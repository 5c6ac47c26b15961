//! A close goes out in time and until it is confirmed, whatever the platform does.

// Helpers of tests may fail as tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::Sim;
use common::world::{Read, What, Write};
use rules::kinds::{DeclaredState, Observed, Outcome, Target};
use rules::trouble::Trouble;

use DeclaredState as D;
use Observed as O;

/// The edge less the lead, in seconds after [`BEFORE`].
const EDGE: f64 = 570.0;
const BEFORE: &str = "2026-11-23T19:50:00Z";

fn running() -> Sim {
    Sim::new(BEFORE, D::Running, O::Running)
}

fn gaps(sim: &Sim, from: f64) -> Vec<f64> {
    let times: Vec<f64> = sim.world.puts(from).iter().map(|p| p.0).collect();
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn at_the_edge_a_reachable_campaign_is_read_closed_and_confirmed_within_a_second() {
    let mut sim = running();
    sim.run(1200);
    let puts = sim.world.puts(0.0);
    assert_eq!(puts.len(), 1);
    assert!((EDGE..EDGE + 1.0).contains(&puts[0].0), "{puts:?}");
    assert!(!puts[0].3, "not blind");
    assert_eq!(sim.outcomes(), [(Target::Paused, Outcome::Applied)]);
}

#[test]
fn at_the_edge_a_close_is_asked_for_within_a_second_also_when_reads_hang_or_fail() {
    let faults = [
        Read::Hangs,
        Read::Fails(Trouble::Unavailable),
        Read::Fails(Trouble::Unreachable),
        Read::Fails(Trouble::Unreadable),
        Read::Fails(Trouble::Unauthorized),
        Read::Fails(Trouble::Forbidden),
        Read::Fails(Trouble::Throttled(Some(common::secs(300)))),
    ];
    // From when on reads are in trouble: long before the edge, shortly, or with the very look that precedes it.
    for fault in faults {
        for from in [100, 500, 540, 560, 566] {
            for timeout in [1, 4, 15, 60] {
                let mut sim = running();
                sim.site.timeout = common::secs(timeout);
                sim.world.timeout = sim.site.timeout;
                sim.world.reads = vec![(from, 1200, fault)];
                sim.run(600);
                let first = sim.world.puts(0.0).first().copied();
                let (at, to, _, blind) = first.unwrap_or_else(|| panic!("{fault:?} {from} {timeout}"));
                assert!((EDGE..EDGE + 1.0).contains(&at), "{fault:?} {from} {timeout}: {at}");
                assert_eq!((to, blind, sim.world.state), (Target::Paused, true, O::Paused));
            }
        }
    }
}

#[test]
fn reads_that_hang_only_from_the_edge_on_cost_three_seconds_and_two_failures_less() {
    for (fault, within) in [(Read::Hangs, 3.1), (Read::Fails(Trouble::Unavailable), 2.6)] {
        let mut sim = running();
        sim.world.reads = vec![(570, 1200, fault)];
        sim.run(600);
        let at = sim.world.puts(0.0)[0].0;
        assert!((EDGE..EDGE + within).contains(&at), "{fault:?} {at}");
    }
}

#[test]
fn a_declared_pause_and_a_hold_go_out_blind_within_three_seconds() {
    for hold in [true, false] {
        let mut sim = running();
        sim.run(70);
        sim.world.reads = vec![(0, 1200, Read::Hangs)];
        if hold {
            sim.meta.hold = Some("stop".into());
        } else {
            sim.edit(|s| s.state = D::Stopped);
        }
        sim.run(10);
        let puts = sim.world.puts(0.0);
        assert!(puts[0].0 <= 73.1 && puts[0].3, "{puts:?}");
        assert_eq!(puts[0].1, if hold { Target::Paused } else { Target::Stopped });
    }
}

#[test]
fn reads_known_to_fail_are_not_waited_for_again_because_the_declaration_changes() {
    let mut sim = running();
    sim.run(5);
    sim.world.reads = vec![(0, 1200, Read::Hangs)];
    sim.run(100);
    sim.edit(|s| s.state = D::Paused);
    sim.run(1);
    let puts = sim.world.puts(0.0);
    assert!(puts.first().is_some_and(|p| p.0 < 106.0 && p.3), "{puts:?}");
}

#[test]
fn a_declaration_that_keeps_changing_does_not_put_the_close_off() {
    let mut sim = running();
    sim.run(5);
    sim.world.reads = vec![(0, 1200, Read::Hangs)];
    sim.edit(|s| s.state = D::Paused);
    for n in 0..10 {
        sim.run(2);
        sim.edit(|s| s.max_active_calls = n);
    }
    let puts = sim.world.puts(0.0);
    assert!(puts.first().is_some_and(|p| p.0 < 9.5), "{puts:?}");
}

#[test]
fn blind_pauses_come_at_most_ten_seconds_apart_for_five_minutes_then_sixty_until_a_read_confirms() {
    let troubles = [Write::Lies, Write::Fails(Trouble::Unavailable), Write::Fails(Trouble::Forbidden)];
    for fault in troubles {
        for read in [Read::Hangs, Read::Fails(Trouble::Unavailable)] {
            let mut sim = running();
            sim.world.reads = vec![(500, 2000, read)];
            sim.world.writes = vec![(0, 2000, fault)];
            sim.run(1990);
            let puts = sim.world.puts(0.0);
            for (gap, put) in gaps(&sim, 0.0).into_iter().zip(&puts) {
                let longest = if put.0 < EDGE + 300.0 { 10.0 } else { 60.0 };
                assert!(gap <= longest + 0.1, "{fault:?} {read:?}: {gap} at {}", put.0);
            }
            assert!(puts.len() < 120, "{} tries", puts.len());
            assert!(puts.last().unwrap().0 > 1920.0);
            let ids: std::collections::HashSet<_> = puts.iter().map(|p| p.2).collect();
            assert_eq!(ids.len(), 1, "one transition, one id");
            // The platform comes back.
            sim.run(200);
            assert_eq!(sim.world.state, O::Paused);
            assert_eq!(sim.outcomes(), [(Target::Paused, Outcome::Applied)]);
            let after = sim.world.puts(0.0).len();
            sim.run(3600);
            assert_eq!(sim.world.puts(0.0).len(), after, "closed and known: nothing more is sent");
            assert!(!sim.blamed());
        }
    }
}

#[test]
fn every_close_has_its_own_five_minutes_of_haste() {
    let mut sim = running();
    sim.run(1200);
    assert_eq!(sim.world.state, O::Paused);
    sim.hand(O::Running);
    sim.world.writes = vec![(0, 9000, Write::Fails(Trouble::Unavailable))];
    sim.run(200);
    assert!(gaps(&sim, 1200.0).len() > 15, "{:?}", gaps(&sim, 1200.0));
    assert!(gaps(&sim, 1200.0).iter().all(|gap| *gap <= 10.1));
}

#[test]
fn a_write_that_hangs_is_tried_again_as_soon_as_it_is_given_up() {
    let mut sim = running();
    sim.world.reads = vec![(500, 2000, Read::Hangs)];
    sim.world.writes = vec![(0, 2000, Write::Hangs)];
    sim.run(850);
    assert!(gaps(&sim, 0.0).iter().all(|gap| *gap <= 18.1), "{:?}", gaps(&sim, 0.0));
}

#[test]
fn a_close_that_is_refused_is_repeated_though_reads_succeed() {
    let troubles = [
        Trouble::Conflict,
        Trouble::Forbidden,
        Trouble::Throttled(Some(common::secs(300))),
        Trouble::Throttled(None),
        Trouble::Unavailable,
        Trouble::Rejected,
        Trouble::Unauthorized,
        Trouble::Unreachable,
    ];
    for trouble in troubles {
        let mut sim = running();
        sim.world.writes = vec![(0, 2000, Write::Fails(trouble))];
        sim.run(1990);
        let puts = sim.world.puts(0.0);
        for (gap, put) in gaps(&sim, 0.0).into_iter().zip(&puts) {
            let longest = if put.0 < EDGE + 300.0 { 10.0 } else { 60.0 };
            assert!(gap <= longest + 0.2, "{trouble:?}: {gap} at {}", put.0);
        }
        assert!(puts.len() > 40, "{trouble:?}");
        assert!(!puts.iter().any(|p| p.3), "{trouble:?}: reads succeed, so none is blind");
        sim.run(100);
        assert_eq!(sim.outcomes(), [(Target::Paused, Outcome::Applied)], "{trouble:?}");
    }
}

#[test]
fn an_accepted_close_without_effect_is_sent_again_with_the_same_id_after_five_seconds() {
    let mut sim = running();
    sim.world.writes = vec![(0, 572, Write::Lies)];
    sim.run(700);
    let puts = sim.world.puts(0.0);
    assert_eq!(puts.len(), 2, "{puts:?}");
    assert_eq!(puts[0].2, puts[1].2);
    assert!((3.9..5.2).contains(&(puts[1].0 - puts[0].0)), "{puts:?}");
    assert_eq!(sim.outcomes(), [(Target::Paused, Outcome::Applied)]);
}

#[test]
fn a_close_goes_on_with_its_id_after_a_restart_and_with_another_after_an_edit() {
    let mut sim = running();
    sim.world.writes = vec![(0, 620, Write::Lies)];
    sim.run(580);
    let first = sim.world.puts(0.0)[0].2;
    sim.restart();
    sim.run(20);
    assert!(sim.world.puts(0.0).iter().all(|p| p.2 == first));
    let before = sim.world.puts(0.0).len();
    sim.edit(|s| s.max_active_calls = 7);
    sim.run(100);
    let later = sim.world.puts(0.0)[before..].to_vec();
    assert!(!later.is_empty() && later.iter().all(|p| p.2 != first && p.2 == later[0].2));
    let outcomes = [(Target::Paused, Outcome::Superseded), (Target::Paused, Outcome::Applied)];
    assert_eq!(sim.outcomes(), outcomes);
}

#[test]
fn a_conflict_on_a_close_that_is_there_already_is_done() {
    let mut sim = running();
    // Somebody else pauses it between our read and our write.
    sim.world.writes = vec![(0, 2000, Write::Fails(Trouble::Conflict))];
    sim.world.coming = vec![(common::secs(570) + std::time::Duration::from_millis(25), O::Paused)];
    sim.run(700);
    assert_eq!(sim.world.puts(0.0).len(), 1);
    assert_eq!(sim.outcomes(), [(Target::Paused, Outcome::Applied)]);
}

#[test]
fn a_stop_that_nobody_wants_any_more_does_not_stay_open_for_ever() {
    let changes: [fn(&mut Sim); 3] = [
        |s| s.edit(|s| s.state = D::Paused),
        |s| {
            s.edit(|s| s.state = D::Running);
            s.meta.hold = Some("wait".into());
        },
        |s| (s.meta.deleting, s.meta.finalizer) = (true, true),
    ];
    for change in changes {
        let mut sim = Sim::new(common::NOON, D::Stopped, O::Paused);
        sim.world.writes = vec![(0, 1000, Write::Lies)];
        sim.run(12);
        assert!(sim.campaign.status.pending_transition.is_some());
        change(&mut sim);
        sim.run(60);
        assert_eq!(sim.campaign.status.pending_transition, None);
        assert_eq!(sim.outcomes(), [(Target::Stopped, Outcome::Superseded)]);
        assert!(sim.ready().starts_with("True"), "{}", sim.ready());
    }
}

#[test]
fn what_is_known_to_be_closed_is_never_closed_blindly_however_long_reads_fail() {
    for read in [Read::Hangs, Read::Fails(Trouble::Unavailable), Read::Fails(Trouble::NotFound)] {
        let mut sim = Sim::new(BEFORE, D::Running, O::Paused);
        sim.meta.hold = Some("wait".into());
        sim.run(60);
        sim.world.reads = vec![(60, 8000, read)];
        sim.run(7000);
        assert_eq!(sim.world.puts(0.0), [], "{read:?}");
    }
}

#[test]
fn what_does_not_exist_is_not_closed() {
    let mut sim = Sim::new("2026-11-22T12:00:00Z", D::Running, O::Running);
    sim.world.reads = vec![(0, 8000, Read::Fails(Trouble::NotFound))];
    sim.run(300);
    sim.edit(|s| s.state = D::Stopped);
    sim.run(300);
    assert_eq!(sim.world.puts(0.0), []);
    assert_eq!(sim.ready(), "False CampaignNotFound");
    assert!(sim.world.log.iter().all(|r| matches!(r.what, What::State { .. })));
    assert!(sim.world.log.len() < 20, "{}", sim.world.log.len());
}

#[test]
fn while_closed_a_platform_that_comes_back_is_looked_at_again_within_half_a_minute() {
    let mut sim = Sim::new("2026-11-22T12:00:00Z", D::Running, O::Paused);
    sim.run(10);
    sim.world.reads = vec![(10, 3600, Read::Fails(Trouble::Unavailable))];
    sim.run(3600);
    sim.hand(O::Running);
    sim.run(40);
    let puts = sim.world.puts(3600.0);
    assert!(puts.first().is_some_and(|p| p.0 <= 3641.0), "{puts:?}");
}
