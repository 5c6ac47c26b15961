//! What deleting a declaration does to its campaign.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::wait::await_condition;
use kube::{Api, Resource, ResourceExt};
use rules::kinds::{DialerCampaignState, FINALIZER, HOLD};
use serde_json::{Value, json};
use simulator::{Campaign, Effect, Fault, FaultRoute, State};

use crate::hours::closed_now;
use crate::stage::{ORG, PATIENCE, Stage};

/// A person who deletes does not notice less than that.
const INSTANT: Duration = Duration::from_secs(2);

/// A campaign that runs already, and is declared so.
async fn running(stage: &Stage, spec: Value) -> Campaign {
    let campaign = stage.sim.campaign(ORG, "c-1");
    campaign.set(State::Running);
    stage.declare("c-1", "Running", spec).await;
    stage.until_ready("c-1", "True", "Running").await;
    campaign
}

async fn until_object(
    stage: &Stage,
    what: &str,
    holds: impl Fn(&DialerCampaignState) -> bool,
) -> DialerCampaignState {
    let condition = |object: Option<&DialerCampaignState>| object.is_some_and(&holds);
    match tokio::time::timeout(PATIENCE, await_condition(stage.campaigns(), "c-1", condition)).await {
        Ok(object) => object.unwrap().unwrap(),
        Err(_) => panic!("c-1 never came to: {what}\n{}", stage.story("c-1").await),
    }
}

fn has_ours(object: &DialerCampaignState) -> bool {
    object.finalizers().iter().any(|name| name == FINALIZER)
}

async fn until_ours(stage: &Stage, present: bool) {
    until_object(stage, &format!("our finalizer present: {present}"), |o| has_ours(o) == present).await;
}

/// Deletes it and gives how long it took to go.
async fn delete(stage: &Stage) -> Duration {
    stage.delete("c-1").await;
    let deleted = Instant::now();
    stage.until_gone("c-1").await;
    deleted.elapsed()
}

/// The one line that ends the supervision, once it is there, and the last one about that object.
async fn ending(stage: &Stage) -> String {
    let ended = |lines: &[Value]| lines.iter().filter(|l| l["event"] == "SUPERVISION_ENDED").count();
    let begun = Instant::now();
    // Where no finalizer of ours held it the line follows the deletion.
    while ended(&stage.audit("c-1")) == 0 && begun.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let lines = stage.audit("c-1");
    assert_eq!(ended(&lines), 1, "{lines:#?}");
    lines.last().unwrap()["outcome"].as_str().expect("the last line ends it").to_owned()
}

fn everything_hangs(stage: &Stage) {
    stage.sim.fault(Fault::new(FaultRoute::Any, Effect::Hang));
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_running_campaign_pauses_it_first_and_then_lets_go() {
    let stage = Stage::new().await;
    let campaign = running(&stage, json!({})).await;
    until_ours(&stage, true).await;
    let took = delete(&stage).await;
    println!("running, deleted to gone: {} ms", took.as_millis());
    assert!(took < INSTANT, "{took:?}");
    assert_eq!(stage.put_words("c-1"), ["paused"]);
    assert_eq!(campaign.state(), State::Paused);
    assert_eq!(ending(&stage).await, "Paused");
    let lines = stage.audit("c-1");
    let outcome = lines.iter().find(|l| l["phase"] == "outcome").unwrap();
    assert_eq!((&outcome["cause"], &outcome["outcome"]), (&json!("Deleted"), &json!("Applied")));
    let events = stage.events("c-1").await;
    let ended = events.iter().find(|e| e.reason.as_deref() == Some("SupervisionEnded")).expect("an event");
    assert_eq!(ended.type_.as_deref(), Some("Normal"));
}

#[tokio::test(flavor = "multi_thread")]
async fn our_finalizer_stands_only_while_the_campaign_runs_or_may_run() {
    let stage = Stage::new().await;
    running(&stage, json!({})).await;
    until_ours(&stage, true).await;
    stage.change("c-1", json!({"state": "Paused"})).await;
    until_ours(&stage, false).await;
    stage.change("c-1", json!({"state": "Running"})).await;
    stage.until_ready("c-1", "True", "Running").await;
    until_ours(&stage, true).await;
    stage.annotate("c-1", HOLD, Some("")).await;
    let object = stage.until_ready("c-1", "True", "Manual").await;
    assert!(has_ours(&object), "held it may run again");
    stage.change("c-1", json!({"state": "Stopped"})).await;
    until_ours(&stage, false).await;
    stage.change("c-1", json!({"state": "Running", "deletionPolicy": "Retain"})).await;
    let object = stage.until_ready("c-1", "True", "Manual").await;
    assert!(!has_ours(&object));
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_paused_declaration_is_instant_and_asks_cxone_nothing() {
    let stage = Stage::new().await;
    running(&stage, json!({})).await;
    stage.change("c-1", json!({"state": "Paused"})).await;
    stage.until_ready("c-1", "True", "Paused").await;
    until_ours(&stage, false).await;
    everything_hangs(&stage);
    let before = stage.sim.last_seq();
    let took = delete(&stage).await;
    println!("paused, deleted to gone: {} ms", took.as_millis());
    assert!(took < INSTANT, "{took:?}");
    assert_eq!(ending(&stage).await, "Paused");
    assert!(stage.sim.requests_since(before).is_empty(), "{}", stage.story("c-1").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_retain_a_running_campaign_is_left_running_whether_cxone_is_up_or_down() {
    for down in [false, true] {
        let stage = Stage::new().await;
        let campaign = running(&stage, json!({"deletionPolicy": "Retain"})).await;
        assert!(!has_ours(&stage.get("c-1").await));
        if down {
            everything_hangs(&stage);
        }
        let took = delete(&stage).await;
        assert!(took < INSTANT, "down: {down}, {took:?}");
        assert_eq!(ending(&stage).await, "Retained");
        assert!(stage.sim.puts("c-1").is_empty());
        assert_eq!(campaign.state(), State::Running);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_retain_a_start_in_doubt_ends_in_one_outcome_when_its_declaration_goes() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1");
    stage.sim.fault(Fault::new(FaultRoute::StatePut, Effect::Lie));
    stage.declare("c-1", "Running", json!({"deletionPolicy": "Retain"})).await;
    let object = stage.until_ready("c-1", "Unknown", "Confirming").await;
    let id = object.status.unwrap().pending_transition.unwrap().id.to_string();
    delete(&stage).await;
    assert_eq!(ending(&stage).await, "Retained");
    let lines = stage.audit("c-1");
    let of_it: Vec<_> = lines.iter().filter(|l| l["transactionId"] == id.as_str()).collect();
    let phases: Vec<_> = of_it.iter().map(|l| l["phase"].as_str().unwrap()).collect();
    assert_eq!(phases, ["intent", "outcome"], "{lines:#?}");
    assert_eq!(of_it[1]["outcome"], "Unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_while_cxone_answers_errors_waits_for_the_pause_and_then_lets_go() {
    let stage = Stage::new().await;
    let campaign = running(&stage, json!({})).await;
    until_ours(&stage, true).await;
    let down = stage.sim.fault(Fault::status(FaultRoute::Any, 500));
    stage.delete("c-1").await;
    stage.until_puts("c-1", 2).await;
    assert!(has_ours(&stage.get("c-1").await), "no pause is confirmed yet");
    stage.sim.clear_fault(down);
    stage.until_gone("c-1").await;
    assert_eq!(campaign.state(), State::Paused);
    assert_eq!(ending(&stage).await, "Paused");
}

#[tokio::test(flavor = "multi_thread")]
async fn changing_to_retain_lets_a_deletion_go_that_waits_for_cxone() {
    let stage = Stage::new().await;
    let campaign = running(&stage, json!({})).await;
    until_ours(&stage, true).await;
    stage.sim.fault(Fault::status(FaultRoute::Any, 500));
    stage.delete("c-1").await;
    stage.until_puts("c-1", 1).await;
    stage.change("c-1", json!({"deletionPolicy": "Retain"})).await;
    let changed = Instant::now();
    stage.until_gone("c-1").await;
    assert!(changed.elapsed() < INSTANT * 2, "{:?}", changed.elapsed());
    assert_eq!(campaign.state(), State::Running);
    assert_eq!(ending(&stage).await, "Retained");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_came_while_the_operator_was_down_is_served_when_it_starts() {
    let mut stage = Stage::new().await;
    let campaign = running(&stage, json!({})).await;
    until_ours(&stage, true).await;
    stage.operator.kill();
    stage.delete("c-1").await;
    assert!(has_ours(&stage.get("c-1").await));
    stage.start_operator(&[]);
    stage.until_gone("c-1").await;
    assert_eq!(campaign.state(), State::Paused);
    assert_eq!(ending(&stage).await, "Paused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_that_is_not_found_lets_go_at_once() {
    let stage = Stage::new().await;
    running(&stage, json!({})).await;
    until_ours(&stage, true).await;
    // It vanishes in CXone while our finalizer stands.
    stage.sim.fault(Fault::status(FaultRoute::StateGet, 404));
    stage.sim.fault(Fault::status(FaultRoute::StatePut, 404));
    let took = delete(&stage).await;
    assert!(took < INSTANT, "{took:?}");
    assert_eq!(ending(&stage).await, "Paused");
    assert!(stage.sim.puts("c-1").is_empty(), "what does not exist can't dial");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_that_was_never_found_has_no_finalizer() {
    let stage = Stage::new().await;
    stage.declare("c-1", "Running", json!({})).await;
    let object = stage.until_ready("c-1", "False", "CampaignNotFound").await;
    assert!(!has_ours(&object));
    assert!(delete(&stage).await < INSTANT);
    assert_eq!(ending(&stage).await, "Paused");
}

#[tokio::test(flavor = "multi_thread")]
async fn finalizers_of_others_stay_and_ours_goes() {
    let stage = Stage::new().await;
    running(&stage, json!({})).await;
    until_ours(&stage, true).await;
    let theirs = ["example.com/backup", "example.com/cmdb"];
    let all: Vec<&str> = [theirs[0], FINALIZER, theirs[1]].into();
    let patch = Patch::Merge(json!({"metadata": {"finalizers": all}}));
    stage.campaigns().patch("c-1", &PatchParams::default(), &patch).await.unwrap();
    stage.change("c-1", json!({"state": "Paused"})).await;
    let object = until_object(&stage, "ours is gone", |o| !has_ours(o)).await;
    assert_eq!(object.finalizers(), theirs);
    stage.change("c-1", json!({"state": "Running"})).await;
    let object = until_object(&stage, "ours is back", has_ours).await;
    assert_eq!(object.finalizers()[..2], theirs);

    stage.until_ready("c-1", "True", "Running").await;
    stage.delete("c-1").await;
    let object = until_object(&stage, "ours is gone", |o| !has_ours(o)).await;
    assert_eq!(object.finalizers(), theirs);
    assert!(object.meta().deletion_timestamp.is_some());
    assert_eq!(stage.put_words("c-1"), ["paused", "running", "paused"]);
    let patch = Patch::Merge(json!({"metadata": {"finalizers": []}}));
    stage.campaigns().patch("c-1", &PatchParams::default(), &patch).await.unwrap();
    stage.until_gone("c-1").await;
    assert_eq!(ending(&stage).await, "Paused");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_what_is_held_outside_its_hours_and_paused_is_quick_and_needs_no_put() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1");
    stage.declare("c-1", "Running", json!({"complianceWindow": closed_now()})).await;
    stage.until_ready("c-1", "True", "OutsideWindow").await;
    assert!(delete(&stage).await < INSTANT);
    assert!(stage.sim.puts("c-1").is_empty());
    assert_eq!(ending(&stage).await, "Paused");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_the_whole_namespace_with_tenant_and_secret_still_pauses_and_lets_go() {
    let stage = Stage::new().await;
    let campaign = running(&stage, json!({})).await;
    until_ours(&stage, true).await;
    let (now, all) = (DeleteParams::default(), ListParams::default());
    // The namespace takes nothing new from here on, Events included; its controller then deletes all that is in it, in no order.
    Api::<Namespace>::all(stage.client.clone()).delete(&stage.namespace, &now).await.unwrap();
    let secrets = Api::<Secret>::namespaced(stage.client.clone(), &stage.namespace);
    secrets.delete_collection(&now, &all).await.unwrap();
    stage.tenants().delete_collection(&now, &all).await.unwrap();
    stage.sim.revoke_tokens();
    let took = delete(&stage).await;
    println!("the namespace deleted, to gone: {} ms", took.as_millis());
    assert!(took < INSTANT, "{took:?}\n{}", stage.story("c-1").await);
    assert_eq!(stage.put_words("c-1"), ["paused"]);
    assert_eq!(campaign.state(), State::Paused);
    assert_eq!(ending(&stage).await, "Paused");
}

/// The one test that waits for the whole two minutes.
#[tokio::test(flavor = "multi_thread")]
async fn while_cxone_hangs_a_deletion_is_tried_for_two_minutes_and_then_let_go_with_a_warning() {
    let stage = Stage::new().await;
    let campaign = running(&stage, json!({})).await;
    until_ours(&stage, true).await;
    everything_hangs(&stage);
    let took = delete(&stage).await;
    println!("CXone hangs, deleted to gone: {:.1} s", took.as_secs_f64());
    // One try may be out when the time is over.
    assert!((120..145).contains(&took.as_secs()), "{took:?}\n{}", stage.story("c-1").await);
    assert_eq!(campaign.state(), State::Running);
    assert!(stage.sim.puts("c-1").len() >= 6, "{}", stage.story("c-1").await);
    assert_eq!(ending(&stage).await, "LeftRunning");
    let events = stage.events("c-1").await;
    let ended = events.iter().find(|e| e.reason.as_deref() == Some("SupervisionEnded")).expect("an event");
    assert_eq!(ended.type_.as_deref(), Some("Warning"));
    let lines = stage.audit("c-1");
    let ids: std::collections::BTreeSet<&str> =
        lines.iter().filter_map(|l| l["transactionId"].as_str()).collect();
    for id in ids {
        let outcomes = lines.iter().filter(|l| l["transactionId"] == id && l["phase"] == "outcome");
        assert_eq!(outcomes.count(), 1, "{id}: {lines:#?}");
    }
    assert!(lines.iter().any(|l| l["phase"] == "intent" && l["blind"] == true), "{lines:#?}");
}
