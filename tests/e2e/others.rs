//! Somebody else changes the campaign in CXone.

use k8s_openapi::api::events::v1::Event;
use rules::kinds::{CampaignStatus, Effective, Observed, RELEASE};
use serde_json::{Value, json};
use simulator::{Actor, Campaign, Effect, Fault, FaultRoute, State};

use crate::hours::closed_now;
use crate::stage::{ORG, PATIENCE, Stage};

/// The shortest interval: what a test must wait for comes sooner.
fn quick() -> Value {
    json!({"checkIntervalSeconds": 10})
}

/// A campaign that is declared Running and runs, by one PUT.
async fn running(stage: &Stage, spec: Value) -> Campaign {
    let campaign = stage.sim.campaign(ORG, "c-1");
    stage.declare("c-1", "Running", spec).await;
    stage.until_ready("c-1", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["running"]);
    campaign
}

/// Such a campaign, paused by somebody else and left so.
async fn left_paused(stage: &Stage) -> Campaign {
    let campaign = running(stage, quick()).await;
    campaign.set(State::Paused);
    stage.look("c-1").await;
    stage.until_ready("c-1", "True", "ExternalPause").await;
    campaign
}

async fn until_told(stage: &Stage, type_: &str, reason: &str) {
    stage.until_event("c-1", reason, |event| is(event, type_, reason)).await;
}

fn has(events: &[Event], type_: &str, reason: &str) -> bool {
    events.iter().any(|event| is(event, type_, reason))
}

fn is(event: &Event, type_: &str, reason: &str) -> bool {
    event.type_.as_deref() == Some(type_) && event.reason.as_deref() == Some(reason)
}

fn held_by(status: &CampaignStatus, reason: &str) -> bool {
    status.condition("Held").is_some_and(|c| c.status == "True" && c.reason == reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_starts_outside_the_hours_is_paused_again_and_is_no_violation_when_that_is_quick() {
    let stage = Stage::new().await;
    let campaign = stage.sim.campaign(ORG, "c-1");
    stage.declare("c-1", "Running", json!({"complianceWindow": closed_now()})).await;
    stage.until_ready("c-1", "True", "OutsideWindow").await;
    assert!(stage.sim.puts("c-1").is_empty());

    campaign.set(State::Running);
    stage.look("c-1").await;
    let object = stage
        .until("c-1", "paused again", |s| s.last_transition.is_some() && s.observed == Some(Observed::Paused))
        .await;
    assert_eq!(stage.put_words("c-1"), ["paused"]);
    let last = object.status.unwrap().last_transition.unwrap();
    assert_eq!(
        (last.cause.to_string(), last.outcome.to_string()),
        ("OutsideWindow".into(), "Applied".into())
    );
    let object = stage.until_ready("c-1", "True", "OutsideWindow").await;
    assert!(object.status.unwrap().condition("Violation").is_none());

    let id = last.id.to_string();
    stage.assert_one_outcome("c-1", &id, "Applied").await;
    until_told(&stage, "Warning", "ExternalStart").await;
    let events = stage.events("c-1").await;
    let told = |e: &Event| {
        e.note.as_deref().is_some_and(|note| note.contains(&id) && note.contains("OutsideWindow"))
    };
    assert_eq!(events.iter().filter(|e| told(e)).count(), 1, "{events:#?}");
    assert!(!has(&events, "Warning", "Violation"), "{events:#?}");
    let lines = stage.audit("c-1");
    let phases: Vec<_> =
        lines.iter().filter(|l| l["transactionId"] == id.as_str()).map(|l| &l["phase"]).collect();
    assert_eq!(phases, ["intent", "outcome"]);
    assert!(lines.iter().any(|l| l["phase"] == "intent" && l["seen"] == "Running"), "{lines:#?}");
    assert_eq!(lines.iter().filter(|l| l["event"] == "EXTERNAL_CHANGE").count(), 1, "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_starts_outside_the_hours_is_a_violation_when_no_close_takes_effect() {
    let stage = Stage::new().await;
    let campaign = stage.sim.campaign(ORG, "c-1");
    stage.declare("c-1", "Running", json!({"complianceWindow": closed_now()})).await;
    stage.until_ready("c-1", "True", "OutsideWindow").await;
    let lie = stage.sim.fault(Fault::new(FaultRoute::StatePut, Effect::Lie));
    campaign.set(State::Running);
    stage.look("c-1").await;

    stage.until_ready("c-1", "False", "OutsideWindow").await;
    let object = stage.get("c-1").await;
    let status = object.status.unwrap();
    assert_eq!(status.condition("Violation").unwrap().status, "True");
    assert!(stage.sim.puts("c-1").len() >= 2, "{}", stage.story("c-1").await);
    stage.sim.clear_fault(lie);
    let object = stage.until_ready("c-1", "True", "OutsideWindow").await;
    assert!(object.status.unwrap().condition("Violation").is_none());
    assert_eq!(campaign.state(), State::Paused);
    until_told(&stage, "Warning", "Violation").await;
    let ids: std::collections::HashSet<_> =
        stage.sim.puts("c-1").iter().map(|p| p.body().unwrap()["metadata"]["transitionId"].clone()).collect();
    assert_eq!(ids.len(), 1, "an unconfirmed close is sent again with the same id");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_starts_outside_the_hours_is_paused_again_also_while_suspended() {
    let stage = Stage::new().await;
    let campaign = stage.sim.campaign(ORG, "c-1");
    stage.declare("c-1", "Running", json!({"complianceWindow": closed_now(), "suspend": true})).await;
    stage.until_ready("c-1", "True", "Suspended").await;
    campaign.set(State::Running);
    stage.look("c-1").await;
    stage.until_ready("c-1", "True", "Suspended").await;
    assert_eq!(stage.put_words("c-1"), ["paused"]);
    assert_eq!(campaign.state(), State::Paused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_by_another_is_respected_and_said() {
    let stage = Stage::new().await;
    let before = running(&stage, quick()).await;
    before.set(State::Paused);
    stage.look("c-1").await;
    let object = stage.until_ready("c-1", "True", "ExternalPause").await;

    let status = object.status.unwrap();
    assert!(held_by(&status, "ExternalPause"), "{status:#?}");
    assert_eq!(status.effective, Some(Effective::Held));
    let pause = status.external_pause.unwrap();
    assert_eq!((pause.observed, pause.contested), (Observed::Paused, false));
    // Three more looks change nothing.
    for _ in 0..3 {
        stage.look("c-1").await;
    }
    assert_eq!(stage.put_words("c-1"), ["running"], "{}", stage.story("c-1").await);
    until_told(&stage, "Normal", "ExternalPause").await;
    let lines = stage.audit("c-1");
    assert_eq!(lines.iter().filter(|l| l["event"] == "EXTERNAL_CHANGE").count(), 1, "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_by_another_counts_as_a_pause_by_another() {
    let stage = Stage::new().await;
    running(&stage, quick()).await.set(State::Stopped);
    stage.look("c-1").await;
    let object = stage.until_ready("c-1", "True", "ExternalPause").await;
    assert_eq!(object.status.unwrap().external_pause.unwrap().observed, Observed::Stopped);
    assert_eq!(stage.put_words("c-1"), ["running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_by_another_is_kept_across_a_restart_of_the_operator() {
    let mut stage = Stage::new().await;
    left_paused(&stage).await;
    let before = stage.get("c-1").await.status.unwrap().external_pause;
    stage.operator.kill();
    stage.start_operator(&[]);
    stage.look("c-1").await;
    let object = stage.until_ready("c-1", "True", "ExternalPause").await;
    assert_eq!(object.status.unwrap().external_pause, before);
    assert_eq!(stage.put_words("c-1"), ["running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_by_another_while_the_operator_is_down_is_respected_too() {
    let mut stage = Stage::new().await;
    let campaign = running(&stage, quick()).await;
    assert!(stage.operator.stop(), "SIGTERM ends it well");
    campaign.set(State::Paused);
    stage.start_operator(&[]);
    stage.until_ready("c-1", "True", "ExternalPause").await;
    assert_eq!(stage.put_words("c-1"), ["running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_release_ends_a_pause_by_another_and_the_same_one_does_not_end_the_next() {
    let mut stage = Stage::new().await;
    let campaign = left_paused(&stage).await;
    stage.annotate("c-1", RELEASE, Some("2026-11-22 by ada")).await;
    let object = stage.until_ready("c-1", "True", "Running").await;
    let status = object.status.unwrap();
    assert_eq!(status.release.as_deref(), Some("2026-11-22 by ada"));
    assert_eq!(status.external_pause, None);
    assert_eq!(stage.put_words("c-1"), ["running", "running"]);

    campaign.set(State::Paused);
    stage.look("c-1").await;
    stage.until_ready("c-1", "True", "ExternalPause").await;
    stage.annotate("c-1", RELEASE, Some("2026-11-22 by ada")).await;
    stage.look("c-1").await;
    // A restarted operator knows by the echo that it has acted on it.
    stage.operator.kill();
    stage.start_operator(&[]);
    stage.look("c-1").await;
    stage.until_ready("c-1", "True", "ExternalPause").await;
    assert_eq!(stage.put_words("c-1").len(), 2);

    stage.annotate("c-1", RELEASE, Some("2026-11-23 by ada")).await;
    stage.until_ready("c-1", "True", "Running").await;
    assert_eq!(stage.put_words("c-1").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_declared_state_and_back_ends_a_pause_by_another() {
    let stage = Stage::new().await;
    left_paused(&stage).await;
    stage.change("c-1", json!({"state": "Paused"})).await;
    let object = stage.until_ready("c-1", "True", "Paused").await;
    assert_eq!(object.status.unwrap().external_pause, None);
    stage.change("c-1", json!({"state": "Running"})).await;
    stage.until_ready("c-1", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["running", "running"], "paused already: no PUT for that");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_change_of_the_declaration_does_not_end_a_pause_by_another() {
    let stage = Stage::new().await;
    left_paused(&stage).await;
    stage.change("c-1", json!({"maxActiveCalls": 151})).await;
    stage.look("c-1").await;
    stage.until_ready("c-1", "True", "ExternalPause").await;
    assert_eq!(stage.put_words("c-1"), ["running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_in_cxone_ends_a_pause_by_another() {
    let stage = Stage::new().await;
    let campaign = left_paused(&stage).await;
    campaign.set(State::Running);
    stage.look("c-1").await;
    let object = stage.until_ready("c-1", "True", "Running").await;
    let status = object.status.unwrap();
    assert_eq!(status.external_pause, None);
    assert_eq!(status.condition("Held").unwrap().status, "False");
    assert_eq!(stage.put_words("c-1"), ["running"]);
    until_told(&stage, "Normal", "ExternalStart").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revert_starts_it_again_until_the_fourth_pause_is_contested_and_a_release_ends_that() {
    let mut stage = Stage::new().await;
    let spec = json!({"checkIntervalSeconds": 10, "onExternalPause": "Revert"});
    let campaign = running(&stage, spec).await;
    // Someone stopping it counts alike.
    for (n, theirs) in [State::Paused, State::Stopped, State::Paused].into_iter().enumerate() {
        campaign.set(theirs);
        stage.look("c-1").await;
        stage.until_puts("c-1", n + 2).await;
        let object = stage
            .until("c-1", "started again", |s| {
                s.reverts.len() == n + 1 && s.condition("Ready").is_some_and(|c| c.reason == "Running")
            })
            .await;
        let last = object.status.unwrap().last_transition.unwrap();
        assert_eq!((last.cause.to_string(), last.outcome.to_string()), ("Revert".into(), "Applied".into()));
    }
    campaign.set(State::Paused);
    stage.look("c-1").await;
    let object = stage.until_ready("c-1", "True", "Contested").await;
    assert!(held_by(object.status.as_ref().unwrap(), "Contested"));
    // The event follows the status: not before it is told is the operator ended.
    let told = async { while !has(&stage.events("c-1").await, "Warning", "Contested") {} };
    tokio::time::timeout(PATIENCE, told).await.expect("the event");
    stage.operator.kill();
    stage.start_operator(&[]);
    stage.look("c-1").await;
    stage.until_ready("c-1", "True", "Contested").await;
    assert_eq!(stage.put_words("c-1").len(), 4, "{}", stage.story("c-1").await);
    until_told(&stage, "Warning", "Contested").await;

    stage.annotate("c-1", RELEASE, Some("found out who")).await;
    let object = stage.until_ready("c-1", "True", "Running").await;
    assert!(object.status.unwrap().reverts.is_empty());
    let theirs = stage
        .sim
        .changes("c-1")
        .iter()
        .filter(|e| e.change.as_ref().unwrap().actor == Actor::Outside)
        .count();
    assert_eq!((theirs, stage.put_words("c-1").len()), (4, 5));
}
