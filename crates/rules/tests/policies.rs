//! Policies beside the declaration: whose hours decide, whose cap, and what is not known of them.

// Helpers of tests may fail as tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::world::Write;
use common::{NOON, Sim, at, daily, freeze, policy};
use rules::kinds::{Cause, DeclaredState, Effective, Observed, Outcome, PolicyRef, Target};
use rules::policies::{Knowledge, Policy};
use rules::reasons::Reason;
use rules::trouble::Trouble;
use serde_json::json;

use DeclaredState as D;
use Observed as O;

fn sim(observed: Observed, policies: Vec<Arc<Policy>>) -> Sim {
    let mut sim = Sim::new(NOON, D::Running, observed);
    sim.policies.matching = policies;
    sim
}

fn reference(name: &str) -> Option<PolicyRef> {
    Some(PolicyRef { name: name.into(), generation: 1 })
}

#[test]
fn the_hours_of_a_policy_close_in_time_and_the_record_and_status_name_it() {
    let mut sim = sim(O::Running, vec![daily("siesta", "08:00", "12:10")]);
    sim.run(300);
    let end = (at("2026-11-23T12:09:30Z"), Effective::Held, "the hours of policy siesta end".to_owned());
    assert_eq!(sim.next(), Some(end));
    let window = sim.campaign.status.window.clone().unwrap();
    assert_eq!((window.open, window.policy), (true, reference("siesta")));
    assert_eq!(window.rule, "policy siesta: Mon-Sun 08:00-12:10 in UTC, closed 30 s early");

    sim.run(400);
    let puts = sim.world.puts(0.0);
    assert!((570.0..571.0).contains(&puts[0].0), "{puts:?}");
    let record = sim.ended()[0].clone();
    assert_eq!((record.cause, record.decided_by), (Cause::OutsideWindow, reference("siesta")));
}

#[test]
fn the_begin_of_a_policys_hours_starts_in_time_and_is_told_beforehand() {
    let mut sim = sim(O::Paused, vec![daily("late", "12:05", "19:00")]);
    sim.run(60);
    let begin = (at("2026-11-23T12:05:00Z"), Effective::Running, "the hours of policy late begin".to_owned());
    assert_eq!(sim.next(), Some(begin));
    sim.run(600);
    let puts = sim.world.puts(0.0);
    assert!(puts.len() == 1 && (300.0..301.0).contains(&puts[0].0), "{puts:?}");
    assert_eq!(sim.ended()[0].decided_by, None);
}

#[test]
fn what_has_closed_and_what_opens_last_are_told_apart() {
    let mut sim = sim(O::Paused, vec![daily("late", "10:00", "23:00")]);
    sim.began = at("2026-11-23T21:00:00Z");
    sim.run(5);
    let own = "outside Mon-Fri 08:00-20:00 in UTC, closed 30 s early; opens 2026-11-24T10:00:00Z with ";
    let opens = "policy late: Mon-Sun 10:00-23:00 in UTC, closed 30 s early";
    assert_eq!(sim.message("Held"), format!("{own}{opens}"));
    sim.began = at("2026-11-24T09:00:00Z");
    sim.run(5);
    assert_eq!(sim.message("Held"), format!("outside {opens}; opens 2026-11-24T10:00:00Z"));
}

#[test]
fn a_lead_that_only_applies_from_a_date_on_closes_that_much_earlier_on_it() {
    let lead = policy("lead", json!({"closeLeadSeconds": 300, "effectiveFrom": "2026-11-24"}));
    for (began, second) in [("2026-11-23T19:50:00Z", 570.0), ("2026-11-24T19:50:00Z", 300.0)] {
        let mut sim = sim(O::Running, vec![lead.clone()]);
        sim.began = at(began);
        sim.run(900);
        let puts = sim.world.puts(0.0);
        assert!((second..second + 1.0).contains(&puts[0].0), "{began} {puts:?}");
    }
}

#[test]
fn a_suspended_campaign_is_closed_by_the_hours_of_a_policy() {
    let mut sim = sim(O::Running, vec![daily("morning", "08:00", "12:00")]);
    sim.spec.suspend = true;
    sim.run(5);
    assert_eq!(sim.world.targets(0.0), [Target::Paused]);
    assert_eq!(sim.ended()[0].decided_by, reference("morning"));
}

#[test]
fn where_a_policy_is_required_the_own_hours_close_what_runs_and_say_why() {
    let mut sim = sim(O::Running, vec![]);
    sim.policies.required = true;
    sim.run(5);
    assert_eq!((sim.ready(), sim.ended()[0].cause), ("True NoWindow".into(), Cause::NoWindow));
    assert!(sim.message("Held").contains("--require-policy"), "{}", sim.message("Held"));
    sim.policies.matching = vec![daily("law", "08:00", "21:00")];
    sim.run(5);
    assert_eq!(sim.world.targets(0.0), [Target::Paused, Target::Running]);
}

#[test]
fn a_policy_of_an_unknown_zone_closes_and_is_named() {
    let lost = policy("lost", json!({"timeZones": ["Mars/Phobos"], "closedDates": []}));
    let mut sim = sim(O::Running, vec![lost]);
    sim.run(5);
    let record = sim.ended()[0].clone();
    assert_eq!((record.cause, record.decided_by), (Cause::UnknownZone, reference("lost")));
    assert_eq!(sim.ready(), "True UnknownZone");
    assert_eq!(sim.campaign.status.window.clone().unwrap().policy, reference("lost"));
}

#[test]
fn policies_in_doubt_hold_starts_and_leave_what_runs() {
    let mut running = sim(O::Running, vec![]);
    running.policies.knowledge = Knowledge::InDoubt("the policies have not been listed yet".into());
    running.run(300);
    assert_eq!((running.world.puts(0.0), running.ready()), (vec![], "True Running".into()));

    let mut paused = sim(O::Paused, vec![]);
    paused.policies.knowledge = running.policies.knowledge.clone();
    paused.run(300);
    assert_eq!((paused.world.puts(0.0), paused.ready()), (vec![], "True PolicyUnreadable".into()));
    assert_eq!(paused.message("Held"), "the policies have not been listed yet");
    paused.policies.knowledge = Knowledge::Full;
    paused.run(5);
    assert_eq!(paused.world.targets(0.0), [Target::Running]);
}

#[test]
fn before_policies_were_first_had_what_runs_without_hours_of_its_own_is_left_and_nothing_starts() {
    for (observed, required) in
        [(O::Running, false), (O::Running, true), (O::Paused, false), (O::Paused, true)]
    {
        let mut sim = sim(observed, vec![]);
        if !required {
            sim.spec.compliance_window.as_mut().unwrap().hours = None;
        }
        (sim.policies.required, sim.policies.unheard) = (required, true);
        sim.policies.knowledge = Knowledge::Awaited;
        sim.run(60);
        assert_eq!(sim.world.puts(0.0), [], "{observed} {required}");
        // Once they have been had, that there is none is a fact.
        (sim.policies.unheard, sim.policies.knowledge) = (false, Knowledge::Full);
        sim.run(20);
        assert!(sim.world.state.is_closed(), "{observed} {required}");
        assert_eq!(sim.ready(), "True NoWindow", "{observed} {required}");
    }
}

#[test]
fn a_policy_that_cannot_be_read_closes_what_runs_and_keeps_it_closed() {
    let mut sim = sim(O::Running, vec![]);
    sim.run(60);
    sim.policies.knowledge = Knowledge::Missing("policy law can't be decoded".into());
    sim.run(300);
    assert_eq!(sim.world.targets(0.0), [Target::Paused]);
    assert!(sim.world.puts(0.0)[0].0 < 61.0);
    let record = sim.ended()[0].clone();
    assert_eq!((record.cause, record.decided_by), (Cause::PolicyUnreadable, None));
    assert_eq!(sim.message("Ready"), "policy law can't be decoded");
}

#[test]
fn the_lowest_cap_holds_a_start_and_the_message_names_whose_it_is() {
    let cap = |calls: i32| policy("cap", json!({ "maxActiveCalls": calls }));
    for (calls, policies, message) in [
        (11, vec![cap(10)], "more than 10 calls (policy cap) are active"),
        (1, vec![cap(0)], "more than 0 calls (policy cap) are active"),
        (151, vec![cap(1000)], "more than 150 calls are active"),
        (151, vec![cap(150)], "more than 150 calls are active"),
    ] {
        let mut sim = sim(O::Paused, policies);
        sim.world.calls = calls;
        sim.run(60);
        assert_eq!((sim.world.puts(0.0), sim.ready()), (vec![], "Unknown TooManyCalls".into()));
        assert_eq!(sim.message("CallVolumeOK"), message);
        sim.world.calls -= 1;
        sim.run(15);
        assert_eq!(sim.world.targets(0.0), [Target::Running], "{message}");
    }
}

#[test]
fn a_cap_never_closes_what_runs() {
    let mut sim = sim(O::Running, vec![policy("cap", json!({"maxActiveCalls": 0}))]);
    sim.world.calls = 90;
    sim.run(300);
    assert_eq!((sim.world.puts(0.0), sim.ready()), (vec![], "True Running".into()));
}

#[test]
fn a_cap_that_ceases_to_apply_at_midnight_lets_the_start_go_soon_after() {
    // The next edge of the hours comes long after it.
    let night = daily("night", "12:00", "06:00");
    let cap = policy("cap", json!({"maxActiveCalls": 5, "effectiveUntil": "2026-11-23"}));
    let mut sim = sim(O::Paused, vec![cap, night]);
    sim.spec.compliance_window =
        Some(common::window(&["UTC"], &rules::kinds::Day::WEEK, "00:00", "24:00", 0));
    sim.began = at("2026-11-23T23:59:00Z");
    sim.world.calls = 50;
    sim.run(120);
    let puts = sim.world.puts(0.0);
    assert!(puts.len() == 1 && (60.0..71.0).contains(&puts[0].0), "{puts:?}");
}

#[test]
fn status_lists_the_policies_that_concern_it_and_forgets_those_that_do_not() {
    let mut sim = sim(O::Running, vec![daily("a", "00:00", "24:00"), freeze("b", Some(NOON), true)]);
    sim.run(5);
    let names = |sim: &Sim| -> Vec<String> {
        sim.campaign.status.policies.iter().map(|policy| policy.to_string()).collect()
    };
    assert_eq!(names(&sim), ["policy a generation 1", "policy b generation 1"]);
    let mut edited = Policy::clone(&sim.policies.matching[0]);
    edited.generation = 2;
    sim.policies.matching = vec![Arc::new(edited)];
    sim.run(16);
    assert_eq!(names(&sim), ["policy a generation 2"]);
    sim.policies.matching.clear();
    sim.run(16);
    assert_eq!((names(&sim).len(), sim.world.puts(0.0)), (0, vec![]));
    // More than a status may hold.
    sim.policies.matching = (0..200).map(|n| daily(&format!("p{n:03}"), "00:00", "24:00")).collect();
    sim.run(16);
    assert_eq!((names(&sim).len(), sim.ready()), (128, "True Running".into()));
}

#[test]
fn a_policy_that_changes_while_its_close_is_pressed_gives_another_id_and_the_close_goes_on() {
    let mut sim = sim(O::Running, vec![freeze("brake", None, true)]);
    sim.world.writes = vec![(0, 60, Write::Fails(Trouble::Unavailable))];
    sim.run(30);
    let mut edited = Policy::clone(&sim.policies.matching[0]);
    edited.generation = 2;
    sim.policies.matching = vec![Arc::new(edited)];
    sim.run(120);
    let puts = sim.world.puts(0.0);
    let gaps: Vec<f64> = puts.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(gaps.iter().all(|gap| *gap <= 10.0), "{puts:?}");
    for (at, to, id, _) in &puts {
        assert_eq!((*to, *id == puts[0].2), (Target::Paused, *at < 30.0), "{at}");
    }
    assert_eq!(sim.outcomes(), [(Target::Paused, Outcome::Superseded), (Target::Paused, Outcome::Applied)]);
    let decided: Vec<_> = sim.ended().iter().map(|r| r.decided_by.clone().unwrap().generation).collect();
    assert_eq!((decided, sim.world.state), (vec![1, 2], O::Paused));
    assert!(!sim.blamed());
}

#[test]
fn every_obstacle_of_policies_stands_in_the_row_that_it_belongs_to() {
    let gates = |change: fn(&mut Sim)| {
        let mut sim = sim(O::Paused, vec![]);
        change(&mut sim);
        sim.run(5);
        sim.obstacles()
    };
    use Reason::{Frozen, OutsideWindow, PolicyUnreadable};
    assert_eq!(gates(|s| s.policies.matching = vec![freeze("f", None, true)]).0, [Frozen]);
    assert_eq!(gates(|s| s.policies.matching = vec![freeze("f", None, false)]), (vec![], vec![Frozen]));
    assert_eq!(gates(|s| s.policies.matching = vec![daily("h", "13:00", "14:00")]).0, [OutsideWindow]);
    assert_eq!(gates(|s| s.policies.knowledge = Knowledge::Missing("no".into())).0, [PolicyUnreadable]);
    let awaited = gates(|s| s.policies.knowledge = Knowledge::Awaited);
    assert_eq!(awaited, (vec![], vec![Reason::NotListed]));
    let doubt = gates(|s| s.policies.knowledge = Knowledge::InDoubt("no".into()));
    assert_eq!(doubt, (vec![], vec![PolicyUnreadable]));
}
