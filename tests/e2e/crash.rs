//! Answers that get lost, and processes that end in the middle: every transition happens once and ends in one outcome.

use std::time::{Duration, Instant};

use rules::kinds::Outcome as Ending;
use serde_json::{Value, json};
use simulator::{Actor, Effect, Fault, FaultRoute, LogEntry, Loss, Outcome, Route, State};

use crate::hours::{around_the_clock, closed_now};
use crate::stage::{ORG, Stage, id_of, ms_after};
use crate::windows::closing_in;

/// A stage whose requests time out after two seconds, with a campaign in that state. The operator is not running yet.
async fn impatient(state: State) -> Stage {
    let stage = Stage::without_operator().await;
    stage.set_timeout(2).await;
    stage.sim.campaign(ORG, "c-1").set(state);
    stage
}

/// The changes that PUTs have made, at once or late.
fn changes_by_us(stage: &Stage) -> Vec<LogEntry> {
    let ours =
        |e: &LogEntry| e.change.as_ref().is_some_and(|c| matches!(c.actor, Actor::Client | Actor::Late));
    stage.sim.changes("c-1").into_iter().filter(ours).collect()
}

fn on_put(effect: Effect) -> Fault {
    Fault::new(FaultRoute::StatePut, effect)
}

/// Loses the answer to the one PUT that leads from one state to the other.
async fn loses_an_answer(from: State, to: &str, how: Loss) {
    let mut stage = impatient(from).await;
    stage.sim.fault(on_put(Effect::LostAnswer { how }).times(1));
    stage.start_operator(&[]);
    stage.declare("c-1", to, json!({})).await;
    stage.until_ready("c-1", "True", to).await;
    assert_eq!(stage.put_words("c-1"), [to.to_lowercase()], "{}", stage.story("c-1").await);
    assert_eq!(changes_by_us(&stage).len(), 1);
    stage.assert_one_outcome("c-1", &id_of(&stage.sim.puts("c-1")[0]), "Applied").await;
    assert_eq!(stage.get("c-1").await.status.unwrap().history.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_whose_answer_is_lost_by_a_reset_is_one_change_and_one_outcome() {
    loses_an_answer(State::Running, "Paused", Loss::Reset).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_whose_answer_never_comes_is_one_change_and_one_outcome() {
    loses_an_answer(State::Running, "Paused", Loss::Hang).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_whose_answer_is_lost_by_a_reset_is_one_change_and_one_outcome() {
    loses_an_answer(State::Paused, "Running", Loss::Reset).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_whose_answer_never_comes_is_one_change_and_one_outcome() {
    loses_an_answer(State::Paused, "Running", Loss::Hang).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_that_was_accepted_and_did_nothing_is_sent_again_with_the_same_id_until_it_holds() {
    let mut stage = impatient(State::Running).await;
    stage.sim.fault(on_put(Effect::Lie).times(2));
    stage.start_operator(&[]);
    stage.declare("c-1", "Stopped", json!({})).await;
    stage.until_ready("c-1", "True", "Stopped").await;
    let ids: Vec<_> = stage.sim.puts("c-1").iter().map(id_of).collect();
    assert_eq!(ids, vec![ids[0].clone(); 3], "{}", stage.story("c-1").await);
    stage.assert_one_outcome("c-1", &ids[0], "Applied").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_was_accepted_and_did_nothing_ends_not_applied_and_is_decided_anew() {
    let mut stage = impatient(State::Paused).await;
    stage.sim.fault(on_put(Effect::Lie).times(1));
    stage.start_operator(&[]);
    stage.declare("c-1", "Running", json!({})).await;
    let puts = stage.until_puts("c-1", 2).await;
    let log = stage.sim.log();
    let counted = |e: &&LogEntry| e.is_request(Route::Stats) && puts[0].seq < e.seq && e.seq < puts[1].seq;
    assert!(log.iter().any(|e| counted(&e)), "the gates are asked again: {}", stage.story("c-1").await);
    stage.until_ready("c-1", "True", "Running").await;
    let ids: Vec<_> = stage.sim.puts("c-1").iter().map(id_of).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");
    stage.assert_one_outcome("c-1", &ids[0], "NotApplied").await;
    stage.assert_one_outcome("c-1", &ids[1], "Applied").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_takes_effect_late_after_the_declaration_has_changed_is_found_and_undone() {
    // The default timeout of 15 s: a start may take effect for twice as long.
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1");
    stage.sim.fault(on_put(Effect::Late { ms: 21_000, lost: Some(Loss::Reset) }).times(1));
    stage.declare("c-1", "Running", json!({})).await;
    stage.until_puts("c-1", 1).await;
    stage.change("c-1", json!({"state": "Paused"})).await;

    // Between the looks at 20 and at 30 s.
    let undone = |log: &[LogEntry]| log.iter().filter(|e| e.is_change("c-1")).count() == 2;
    let log = stage.until_log("the late start undone", undone).await;
    let changes: Vec<_> = log.iter().filter(|e| e.is_change("c-1")).collect();
    eprintln!("FIGURE late start undone after {} ms", ms_after(changes[0].at, changes[1]));
    assert!(ms_after(changes[0].at, changes[1]) <= 15_000);
    stage.until_ready("c-1", "True", "Paused").await;
    assert_eq!(stage.put_words("c-1"), ["running", "paused"]);
    let ids: Vec<_> = stage.sim.puts("c-1").iter().map(id_of).collect();
    stage.assert_one_outcome("c-1", &ids[0], "Applied").await;
    stage.assert_one_outcome("c-1", &ids[1], "Applied").await;
}

/// Kills the operator while it waits for the answer to its first PUT, and starts another.
async fn killed_during_a_put(from: State, to: &str, effect: Effect) -> Stage {
    let mut stage = impatient(from).await;
    stage.sim.fault(on_put(effect).times(1));
    stage.start_operator(&[]);
    stage.declare("c-1", to, json!({})).await;
    let put = |e: &LogEntry| e.is_put("c-1");
    stage.until_log("the first PUT", |log| log.iter().any(put)).await;
    stage.operator.kill();
    // The intent is on file before the PUT goes out, whatever becomes of the process.
    let first = id_of(&stage.sim.puts("c-1")[0]);
    let intent = |line: &Value| line["phase"] == "intent" && line["transactionId"] == first;
    assert_eq!(stage.audit("c-1").into_iter().filter(intent).count(), 1, "{:#?}", stage.audit("c-1"));
    stage.sim.clear_faults();
    stage.start_operator(&[]);
    stage.until_ready("c-1", "True", to).await;
    assert_eq!(changes_by_us(&stage).len(), 1, "{}", stage.story("c-1").await);
    let status = stage.get("c-1").await.status.unwrap();
    assert!(status.external_pause.is_none() && status.pending_transition.is_none());
    let reasons: Vec<_> = stage.events("c-1").await.into_iter().filter_map(|e| e.reason).collect();
    assert!(!reasons.iter().any(|reason| reason.starts_with("External")), "{reasons:?}");
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_a_close_took_effect_the_next_process_finds_it_done() {
    let stage = killed_during_a_put(State::Running, "Paused", Effect::LostAnswer { how: Loss::Hang }).await;
    assert_eq!(stage.put_words("c-1"), ["paused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_a_close_took_effect_the_next_process_closes() {
    let stage = killed_during_a_put(State::Running, "Paused", Effect::Hang).await;
    assert_eq!(stage.put_words("c-1"), ["paused", "paused"]);
    stage.assert_one_outcome("c-1", &id_of(&stage.sim.puts("c-1")[1]), "Applied").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_a_start_took_effect_the_next_process_ends_it_as_applied() {
    let stage = killed_during_a_put(State::Paused, "Running", Effect::LostAnswer { how: Loss::Hang }).await;
    assert_eq!(stage.put_words("c-1"), ["running"]);
    stage.assert_one_outcome("c-1", &id_of(&stage.sim.puts("c-1")[0]), "Applied").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_a_start_took_effect_the_next_process_ends_it_as_not_applied_and_decides_anew() {
    let stage = killed_during_a_put(State::Paused, "Running", Effect::Hang).await;
    let ids: Vec<_> = stage.sim.puts("c-1").iter().map(id_of).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");
    stage.assert_one_outcome("c-1", &ids[0], "NotApplied").await;
    stage.assert_one_outcome("c-1", &ids[1], "Applied").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_right_after_a_window_close_the_next_process_does_not_take_the_pause_for_somebody_elses() {
    let mut stage = Stage::new().await;
    closing_in(&stage, &["c-1"], 8).await;
    // It takes effect, and nothing more of it gets into status.
    stage.sim.fault(on_put(Effect::LostAnswer { how: Loss::Hang }).times(1));
    stage.until_log("the close", |log| log.iter().any(|e| e.is_put("c-1"))).await;
    stage.operator.kill();
    stage.start_operator(&[]);
    let status = stage.until_ready("c-1", "True", "OutsideWindow").await.status.unwrap();
    assert!(status.external_pause.is_none(), "{}", stage.story("c-1").await);
    assert_eq!(stage.put_words("c-1"), ["paused"]);

    stage.change("c-1", json!({"complianceWindow": around_the_clock()})).await;
    stage.until_ready("c-1", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["paused", "running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_right_after_a_window_close_a_window_that_is_open_again_by_then_lets_it_start() {
    let mut stage = Stage::new().await;
    closing_in(&stage, &["c-1"], 8).await;
    stage.sim.fault(on_put(Effect::LostAnswer { how: Loss::Hang }).times(1));
    stage.until_log("the close", |log| log.iter().any(|e| e.is_put("c-1"))).await;
    stage.operator.kill();
    stage.change("c-1", json!({"complianceWindow": around_the_clock()})).await;
    stage.start_operator(&[]);
    let status = stage.until_ready("c-1", "True", "Running").await.status.unwrap();
    assert!(status.external_pause.is_none(), "{}", stage.story("c-1").await);
    assert_eq!(stage.put_words("c-1"), ["paused", "running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_with_everything_in_place_writes_nothing_at_all() {
    let mut stage = Stage::new().await;
    let often = |mut spec: Value| {
        spec["checkIntervalSeconds"] = json!(10);
        spec
    };
    for name in ["runs", "rests", "held"] {
        stage.sim.campaign(ORG, name).set(State::Running);
    }
    stage.declare("runs", "Running", often(json!({}))).await;
    stage.declare("rests", "Paused", often(json!({"pauseDurationSeconds": 3600}))).await;
    stage.declare("held", "Running", often(json!({"complianceWindow": closed_now()}))).await;
    for (name, reason) in [("runs", "Running"), ("rests", "Paused"), ("held", "OutsideWindow")] {
        stage.until_ready(name, "True", reason).await;
    }
    for (name, reason) in [("rests", "Paused"), ("held", "Paused"), ("held", "OutsideWindow")] {
        stage.until_event(name, reason, |event| event.reason.as_deref() == Some(reason)).await;
    }
    for stop in [true, false] {
        let before = state_of_everything(&stage).await;
        if stop {
            assert!(stage.operator.stop())
        } else {
            stage.operator.kill()
        }
        let seq = stage.sim.last_seq();
        stage.start_operator(&[]);
        // The first read of the new process and two by the interval.
        for name in ["runs", "rests", "held"] {
            stage
                .until_log("three reads", |log| {
                    let reads = log.iter().filter(|e| e.seq > seq && e.is_request(Route::StateGet));
                    reads.filter(|e| e.campaign.as_deref() == Some(name)).count() >= 3
                })
                .await;
        }
        assert_eq!(state_of_everything(&stage).await, before, "{}", stage.operator.log());
        // An identical write would leave the versions as they are: they are counted where they are made.
        let text = stage.operator.metrics().await;
        assert!(text.lines().any(|line| line == "dialer_status_writes_total 0"), "{text}");
    }
}

/// Versions of all objects, and how many events and PUTs there are.
async fn state_of_everything(stage: &Stage) -> (Vec<(String, Option<String>)>, Option<String>, usize, usize) {
    let mut versions = Vec::new();
    let mut events = 0;
    for name in ["runs", "rests", "held"] {
        versions.push((name.to_owned(), stage.get(name).await.metadata.resource_version));
        events += stage.events(name).await.len();
    }
    let tenant = stage.tenants().get("default").await.unwrap().metadata.resource_version;
    let puts = stage.sim.log().iter().filter(|e| e.is_request(Route::StatePut)).count();
    (versions, tenant, events, puts)
}

/// Ends the operator by SIGTERM; gives how long that took.
fn stopped_in(stage: &mut Stage) -> Duration {
    let asked = Instant::now();
    assert!(tokio::task::block_in_place(|| stage.operator.stop()), "it ends well\n{}", stage.operator.log());
    asked.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_the_process_well_and_quickly() {
    let mut stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    stage.declare("c-1", "Running", json!({})).await;
    stage.until_ready("c-1", "True", "Running").await;
    let idle = stopped_in(&mut stage);

    // While a read hangs, too: nothing is lost with it.
    stage.start_operator(&[]);
    stage.sim.fault(Fault::new(FaultRoute::StateGet, Effect::Hang));
    let hangs = |e: &LogEntry| e.is_request(Route::StateGet) && e.outcome() == Some(Outcome::Hung);
    stage.until_log("a read that hangs", |log| log.iter().any(hangs)).await;
    let reading = stopped_in(&mut stage);
    eprintln!("FIGURE SIGTERM to exit: {idle:?} idle, {reading:?} while a read hangs");
    assert!(idle < Duration::from_secs(2) && reading < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_under_way_at_sigterm_is_seen_through() {
    let mut stage = impatient(State::Running).await;
    stage.sim.fault(on_put(Effect::Delay { ms: 1000 }));
    stage.start_operator(&[]);
    stage.declare("c-1", "Paused", json!({})).await;
    stage.until_log("the close", |log| log.iter().any(|e| e.is_put("c-1"))).await;
    stopped_in(&mut stage);
    let status = stage.get("c-1").await.status.unwrap();
    let last = status.last_transition;
    assert!(last.is_some(), "the close is on record: {}", stage.story("c-1").await);
    let last = last.unwrap();
    assert_eq!((last.id.to_string(), last.outcome), (id_of(&stage.sim.puts("c-1")[0]), Ending::Applied));
    assert_eq!(changes_by_us(&stage).len(), 1);
}
