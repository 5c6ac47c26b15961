//! Timed pauses and scheduled resumes.

// Helpers of tests may fail as tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::world::Write;
use common::{NOON, Sim};
use rules::kinds::{Cause, DeclaredState, Effective, Instant, Observed, PauseExpiry, ResumeMode, Target};

use DeclaredState as D;
use Observed as O;

fn timed(seconds: i32, expiry: PauseExpiry) -> Sim {
    let mut sim = Sim::new(NOON, D::Paused, O::Running);
    sim.spec.pause_duration_seconds = seconds;
    sim.spec.pause_expiry = expiry;
    sim
}

#[test]
fn a_timed_pause_resumes_when_its_time_is_over_counted_from_the_confirmation() {
    let mut sim = timed(600, PauseExpiry::Resume);
    // Accepted at once, in effect after 40 s: that is when the clock starts.
    sim.world.writes = vec![(0, 1, Write::Late(40)), (1, 60, Write::Lies)];
    sim.run(700);
    let confirmed = sim.ended()[0].ended_at.0;
    let pause = sim.campaign.status.pause.clone().unwrap();
    assert_eq!(pause.since.0, confirmed);
    let puts = sim.world.puts(60.0);
    assert_eq!(puts.len(), 1, "{puts:?}");
    assert_eq!(puts[0].1, Target::Running);
    assert!((640.0..652.0).contains(&puts[0].0), "{puts:?}");
    assert_eq!(sim.ended().last().unwrap().cause, Cause::PauseOver);
    sim.run(3600);
    assert_eq!((sim.world.state, sim.ready()), (O::Running, "True Running".into()));
}

#[test]
fn a_timed_pause_with_hold_stays_paused_until_the_declaration_changes() {
    let mut sim = timed(600, PauseExpiry::Hold);
    sim.run(7200);
    assert_eq!(sim.world.targets(0.0), [Target::Paused]);
    assert_eq!(sim.ready(), "True PauseExpired");
    assert_eq!(sim.campaign.status.effective, Some(Effective::Held));
    sim.edit(|s| s.state = D::Running);
    sim.run(10);
    assert_eq!(sim.world.targets(0.0), [Target::Paused, Target::Running]);
}

#[test]
fn a_timed_pause_survives_restarts_and_a_change_that_is_not_its_own() {
    let mut sim = timed(600, PauseExpiry::Resume);
    sim.run(300);
    let before = sim.campaign.status.pause.clone();
    assert!(before.is_some());
    sim.restart();
    sim.edit(|s| s.max_active_calls = 7);
    sim.run(200);
    assert_eq!(sim.campaign.status.pause, before);
    sim.restart();
    sim.run(150);
    let puts = sim.world.puts(0.0);
    assert_eq!(puts.iter().map(|p| p.1).collect::<Vec<_>>(), [Target::Paused, Target::Running]);
    assert!((600.0..602.0).contains(&puts[1].0), "{puts:?}");
}

#[test]
fn another_duration_starts_another_clock_and_none_at_all_lasts() {
    let mut sim = timed(600, PauseExpiry::Resume);
    sim.run(300);
    sim.edit(|s| s.pause_duration_seconds = 900);
    sim.run(60);
    let pause = sim.campaign.status.pause.clone().unwrap();
    assert_eq!(pause.duration_seconds, 900);
    assert!(pause.since.0 >= common::at("2026-11-23T12:05:00Z"));
    sim.edit(|s| s.pause_duration_seconds = 0);
    sim.run(7200);
    assert_eq!(sim.campaign.status.pause, None);
    assert_eq!(sim.world.targets(0.0), [Target::Paused]);
}

#[test]
fn a_timed_pause_that_ends_outside_the_hours_waits_for_them() {
    let mut sim = timed(600, PauseExpiry::Resume);
    sim.began = common::at("2026-11-23T19:55:00Z");
    sim.run(13 * 3600);
    let puts = sim.world.puts(0.0);
    assert_eq!(puts.iter().map(|p| p.1).collect::<Vec<_>>(), [Target::Paused, Target::Running]);
    let opens = (12 * 3600 + 300) as f64;
    assert!((opens..opens + 1.0).contains(&puts[1].0), "{puts:?}");
}

#[test]
fn what_another_had_paused_already_is_never_resumed_by_the_clock() {
    let mut sim = timed(600, PauseExpiry::Resume);
    sim.hand(O::Paused);
    sim.run(7200);
    assert_eq!(sim.world.puts(0.0), []);
    assert_eq!(sim.campaign.status.pause, None);

    // Also where what was ours is long past: we closed it at night, another one started it, and paused it again.
    for restarted in [false, true] {
        let mut sim = Sim::new("2026-11-23T07:00:00Z", D::Running, O::Running);
        sim.run(3500);
        assert_eq!(sim.world.targets(0.0), [Target::Paused]);
        sim.site.audit_writable = false;
        sim.run(200);
        sim.hand(O::Running);
        sim.run(100);
        sim.hand(O::Paused);
        sim.run(100);
        assert!(sim.campaign.status.external_pause.is_some());
        sim.site.audit_writable = true;
        sim.edit(|s| (s.state, s.pause_duration_seconds) = (D::Paused, 600));
        sim.run(10);
        if restarted {
            sim.restart();
        }
        sim.run(7200);
        assert_eq!(sim.world.targets(0.0), [Target::Paused], "{restarted}");
    }
}

#[test]
fn what_another_starts_during_a_timed_pause_is_paused_again_and_the_clock_goes_on() {
    let mut sim = timed(600, PauseExpiry::Resume);
    sim.run(100);
    let clock = sim.campaign.status.pause.clone();
    sim.hand(O::Running);
    sim.run(100);
    assert_eq!(sim.world.targets(0.0), [Target::Paused, Target::Paused]);
    assert_eq!(sim.campaign.status.pause, clock);
}

#[test]
fn a_scheduled_resume_starts_within_a_second_of_its_instant_and_not_before() {
    let mut sim = Sim::new(NOON, D::Running, O::Running);
    let instant: Instant = serde_json::from_str("\"2026-11-23T08:00:07-05:00\"").unwrap();
    sim.edit(|s| (s.resume_mode, s.resume_at) = (ResumeMode::Scheduled, Some(instant)));
    sim.run(4000);
    let puts = sim.world.puts(0.0);
    assert_eq!(puts.iter().map(|p| p.1).collect::<Vec<_>>(), [Target::Paused, Target::Running]);
    assert!((3607.0..3608.0).contains(&puts[1].0), "{puts:?}");
}
