//! What a person and a machine read of each standing, by the rules of kstatus.

// Helpers of tests may fail as tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::world::{Read, Write};
use common::{NOON, Sim, at, secs};
use rules::kinds::{DeclaredState, Mode, Observed};
use rules::report::working_since;
use rules::trouble::Trouble;

use DeclaredState as D;
use Observed as O;

/// Every condition as one line.
fn lines(sim: &Sim) -> Vec<String> {
    let all = sim.campaign.status.conditions.iter();
    all.map(|c| format!("{}={} {}: {}", c.type_, c.status, c.reason, c.message)).collect()
}

const WITHIN: &str = "WindowOpen=True WithinWindow: within Mon-Fri 08:00-20:00 in UTC, closed 30 s early; closes 2026-11-23T19:59:30Z";

#[test]
fn running_as_declared_is_ready_and_nothing_else_stands_out() {
    let mut sim = Sim::new(NOON, D::Running, O::Running);
    sim.run(5);
    assert_eq!(
        lines(&sim),
        [
            "Ready=True Running: running as declared",
            "InSync=True Running: declared Running, observed Running",
            "Held=False NotHeld: nothing holds the campaign",
            WITHIN,
        ]
    );
    let next = sim.campaign.status.next_transition.clone().unwrap();
    assert_eq!((next.at.0, next.why.as_str()), (at("2026-11-23T19:59:30Z"), "the hours end"));
}

#[test]
fn held_is_ready_says_what_holds_and_until_when_and_is_not_in_sync() {
    let mut sim = Sim::new("2026-11-22T12:00:00Z", D::Running, O::Running);
    sim.run(5);
    let rule = "outside Mon-Fri 08:00-20:00 in UTC, closed 30 s early; opens 2026-11-23T08:00:00Z";
    assert_eq!(
        lines(&sim),
        [
            format!("Ready=True OutsideWindow: {rule}"),
            "InSync=False Declared: declared Running, observed Paused".into(),
            format!("Held=True OutsideWindow: {rule}"),
            format!("WindowOpen=False OutsideWindow: {rule}"),
        ]
    );
    assert_eq!(sim.campaign.status.next_transition.clone().unwrap().at.0, at("2026-11-23T08:00:00Z"));
}

#[test]
fn work_under_way_is_unknown_and_reconciling_with_the_same_words() {
    let mut sim = Sim::new(NOON, D::Running, O::Paused);
    sim.world.calls = 151;
    sim.run(60);
    let all = lines(&sim);
    assert_eq!(all[0], "Ready=Unknown TooManyCalls: waits until no more than 150 calls are active");
    assert_eq!(all[1], "Reconciling=True TooManyCalls: waits until no more than 150 calls are active");
    assert_eq!(all.last().unwrap(), "CallVolumeOK=False TooManyCalls: more than 150 calls are active");
    sim.world.calls = 0;
    sim.run(60);
    assert_eq!(sim.ready(), "True Running");
    for gone in ["Reconciling", "Stalled", "Violation", "CallVolumeOK"] {
        assert_eq!(sim.condition(gone), None);
    }
}

#[test]
fn a_write_on_its_way_is_confirming() {
    let mut sim = Sim::new(NOON, D::Running, O::Paused);
    sim.world.writes = vec![(0, 10, Write::Lies)];
    sim.run(8);
    assert_eq!(
        lines(&sim)[0],
        "Ready=Unknown Confirming: Running was asked for, no read has confirmed it yet"
    );
    let mut sim = Sim::new(NOON, D::Paused, O::Running);
    sim.world.writes = vec![(0, 100, Write::Fails(Trouble::Unavailable))];
    sim.run(8);
    let message = "Paused is being asked for again: CXone answers with a server error";
    assert_eq!(lines(&sim)[0], format!("Ready=Unknown Unavailable: {message}"));
}

#[test]
fn what_needs_a_hand_is_stalled_and_not_reconciling() {
    let cases = [
        (Trouble::Unauthorized, "Unauthorized"),
        (Trouble::CredentialsMissing, "CredentialsMissing"),
        (Trouble::Forbidden, "Forbidden"),
        (Trouble::NotFound, "CampaignNotFound"),
        (Trouble::Rejected, "Rejected"),
    ];
    for (trouble, reason) in cases {
        let mut sim = Sim::new(NOON, D::Running, O::Running);
        sim.world.reads = vec![(0, 600, Read::Fails(trouble))];
        sim.run(30);
        assert_eq!(sim.ready(), format!("False {reason}"));
        assert_eq!(sim.condition("Stalled"), Some(("True".into(), reason.into())));
        assert_eq!(sim.condition("Reconciling"), None);
        sim.world.reads.clear();
        sim.run(70);
        assert_eq!((sim.ready(), sim.condition("Stalled")), ("True Running".into(), None));
    }
}

#[test]
fn running_where_it_may_not_is_a_violation_after_ten_seconds_and_no_longer_once_closed() {
    let mut sim = Sim::new("2026-11-23T19:50:00Z", D::Running, O::Running);
    sim.world.writes = vec![(0, 700, Write::Fails(Trouble::Unavailable))];
    sim.run(578);
    assert_eq!(sim.condition("Violation"), None);
    sim.run(4);
    assert_eq!(sim.condition("Violation"), Some(("True".into(), "OutsideWindow".into())));
    assert_eq!(sim.ready(), "False OutsideWindow");
    assert_eq!(sim.condition("Stalled"), sim.condition("Violation"), "kstatus knows no Violation");
    assert_eq!(sim.condition("Reconciling"), None);
    sim.run(150);
    assert_eq!((sim.condition("Violation"), sim.ready()), (None, "True OutsideWindow".into()));
}

#[test]
fn suspended_and_observing_are_ready_with_that_reason_and_tell_what_would_be() {
    let mut sim = Sim::new(NOON, D::Running, O::Paused);
    sim.spec.suspend = true;
    sim.run(5);
    assert_eq!(lines(&sim)[0], "Ready=True Suspended: suspended: paused is left as it is");
    let mut sim = Sim::new(NOON, D::Running, O::Paused);
    sim.spec.mode = Mode::Observe;
    sim.run(5);
    assert_eq!(lines(&sim)[0], "Ready=True Observe: observing: a start would be tried");
    let mut sim = Sim::new(NOON, D::Stopped, O::Paused);
    sim.spec.mode = Mode::Observe;
    sim.run(5);
    assert_eq!(lines(&sim)[0], "Ready=True Observe: observing: Stopped would be asked for (Declared)");
}

#[test]
fn no_progress_within_the_deadline_is_stalled_also_across_restarts_until_a_new_generation() {
    for restarts in [false, true] {
        let mut sim = Sim::new(NOON, D::Running, O::Paused);
        sim.world.calls = 151;
        sim.run(300);
        if restarts {
            sim.restart();
        }
        sim.run(299);
        assert_eq!(sim.ready(), "Unknown TooManyCalls", "{restarts}");
        sim.run(20);
        assert_eq!(sim.ready(), "False ProgressDeadlineExceeded", "{restarts}");
        assert_eq!(sim.condition("Reconciling"), None);
        let message = &sim.campaign.status.condition("Stalled").unwrap().message;
        let words = "no progress for 600 s; still trying: waits until no more than 150 calls are active";
        assert_eq!(message, words);
        if restarts {
            sim.restart();
            assert!(working_since(&sim.campaign.status, sim.meta.generation).is_some());
            sim.run(5);
            assert_eq!(sim.ready(), "False ProgressDeadlineExceeded");
        }
        sim.edit(|s| s.max_active_calls = 149);
        sim.run(5);
        assert_eq!(sim.ready(), "Unknown TooManyCalls");
        sim.world.calls = 0;
        sim.run(60);
        assert_eq!(sim.ready(), "True Running", "it keeps trying");
    }
}

#[test]
fn the_transition_time_of_a_condition_is_kept_while_its_word_stays_and_moves_when_it_changes() {
    let mut sim = Sim::new(NOON, D::Running, O::Running);
    let since = |sim: &Sim| sim.campaign.status.condition("Ready").unwrap().last_transition_time.0;
    sim.run(100);
    assert_eq!(since(&sim), at(NOON));
    sim.meta.hold = Some("x".into());
    sim.run(100);
    assert_eq!((sim.ready().as_str(), since(&sim)), ("True Manual", at(NOON)));
    sim.restart();
    sim.run(100);
    assert_eq!(since(&sim), at(NOON));
    sim.meta.hold = None;
    sim.world.calls = 151;
    sim.run(10);
    assert_eq!((sim.ready().as_str(), since(&sim)), ("Unknown TooManyCalls", at("2026-11-23T12:05:00Z")));
}

#[test]
fn every_condition_and_the_status_carry_the_generation_they_speak_of() {
    let mut sim = Sim::new(NOON, D::Running, O::Running);
    sim.run(5);
    sim.edit(|s| s.max_active_calls = 9);
    sim.pass();
    assert_eq!(sim.campaign.status.observed_generation, 2);
    assert!(sim.campaign.status.conditions.iter().all(|c| c.observed_generation == Some(2)));
}

#[test]
fn messages_hold_no_live_numbers_and_a_settled_campaign_says_one_thing_for_hours() {
    type Change = fn(&mut Sim);
    let worlds: [(&str, Change); 7] = [
        ("running", |s| s.hand(O::Running)),
        ("held", |s| s.meta.hold = Some("x".into())),
        ("paused", |s| s.edit(|s| s.state = D::Paused)),
        ("timed and held", |s| {
            s.edit(|s| (s.state, s.pause_duration_seconds) = (D::Paused, 7200));
        }),
        ("suspended", |s| s.edit(|s| s.suspend = true)),
        ("skew", |s| s.ahead = Some(jiff::SignedDuration::from_secs(31))),
        ("missing", |s| s.world.reads = vec![(0, 99_999, Read::Fails(Trouble::NotFound))]),
    ];
    for (name, change) in worlds {
        let mut sim = Sim::new(NOON, D::Running, O::Paused);
        change(&mut sim);
        sim.run(700);
        let before = serde_json::to_string(&sim.campaign.status).unwrap();
        let sent = sim.world.log.len();
        for n in 0..60 {
            // What is active and how far the clocks differ are facts that no message repeats.
            sim.world.calls = n;
            sim.run(60);
            assert_eq!(serde_json::to_string(&sim.campaign.status).unwrap(), before, "{name}");
        }
        let sent = sim.world.log.len() - sent;
        // Every 60 s, or every 30 s while it may not run.
        assert!(sent <= 122, "{name}: {sent} requests in an hour");
        assert!(sim.world.puts(100.0).is_empty(), "{name}");
    }
    let mut sim = Sim::new(NOON, D::Running, O::Paused);
    sim.world.calls = 151;
    sim.run(100);
    let before = lines(&sim);
    sim.world.calls = 4000;
    sim.run(100);
    assert_eq!(lines(&sim), before);
}

#[test]
fn fields_that_do_not_apply_are_named() {
    let mut sim = Sim::new(NOON, D::Running, O::Running);
    sim.edit(|s| s.pause_duration_seconds = 60);
    sim.run(secs(5).as_secs());
    assert_eq!(lines(&sim)[0], "Ready=True Running: running as declared; ignored here: pauseDurationSeconds");
}
