//! Notifications that never arrive: each is on record, with the reason.

use std::time::Instant;

use jiff::SignedDuration;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use simulator::State;

use crate::notifications::{
    WORKFORCE, becomes, is_sync_failure, name_sinks, start, sync_failures, told, until_lines, until_outbox,
};
use crate::receiver::Answer;
use crate::stage::{ORG, Stage, id_of, says};
use crate::waiting::until_object;

/// Waits until that many losses are on record, and gives their audit lines.
async fn until_lost(stage: &Stage, count: usize) -> Vec<Value> {
    until_lines(stage, count, |line| is_sync_failure(line, true)).await
}

/// Waits for the Event of this name.
pub async fn until_event(stage: &Stage, name: &str) -> Event {
    let api: Api<Event> = Api::namespaced(stage.client.clone(), &stage.namespace);
    until_object(&api, name, |event| event.is_some()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_out_of_a_full_outbox_is_on_record() {
    let (stage, receiver) = told().await;
    receiver.always(Answer::Status(500));
    let mut words = ["Running", "Paused"].into_iter().cycle();
    for _ in 0..17 {
        becomes(&stage, words.next().unwrap()).await;
    }
    let lost = until_lost(&stage, 1).await;
    let first = id_of(&stage.sim.puts("c-1")[0]);
    assert_eq!((&lost[0]["transactionId"], &lost[0]["reason"]), (&json!(first), &json!("Superseded")));
    let object = stage.until("c-1", "SyncFailed", |s| s.condition("SyncFailed").is_some()).await;
    assert_eq!(object.status.as_ref().unwrap().notifications.len(), 16);
    assert_eq!(says(&object, "Ready").unwrap().0, "True", "it says nothing of the campaign");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_is_told_once_in_every_place_and_the_next_delivery_clears_it() {
    let (mut stage, receiver) = told().await;
    receiver.always(Answer::Status(500));
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    becomes(&stage, "Paused").await;
    let waiting = until_outbox(&stage, 1).await.notifications[0].clone();
    assert!(stage.operator.stop(), "nothing waits for a courier");
    stage.operator.shift_clock(SignedDuration::from_hours(25));
    start(&mut stage, &receiver);
    let object = stage.until("c-1", "SyncFailed", |s| s.condition("SyncFailed").is_some()).await;
    let (_, reason, message) = says(&object, "SyncFailed").unwrap();
    assert_eq!(reason, "GivenUp");
    let id = waiting.transition.to_string();
    assert!(
        message.contains("workforce") && message.contains(&id) && message.contains("in time"),
        "{message}"
    );
    assert!(object.status.as_ref().unwrap().notifications.is_empty());
    let lost = until_lost(&stage, 1).await;
    assert_eq!((&lost[0]["webhookId"], &lost[0]["reason"]), (&json!(waiting.webhook_id), &json!("GivenUp")));
    let event = until_event(&stage, &format!("c-1.{}", waiting.webhook_id)).await;
    assert_eq!((event.type_.as_deref(), event.reason.as_deref()), (Some("Warning"), Some("SyncFailed")));
    stage.until_metric(r#"dialer_notifications_total{sink="workforce",outcome="lost"} 1"#).await;

    receiver.always(Answer::Status(204));
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    stage.look("c-1").await;
    receiver.until_taken(WORKFORCE, 1).await;
    stage.until("c-1", "no SyncFailed", |s| s.condition("SyncFailed").is_none()).await;
    assert_eq!(sync_failures(&stage, true).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_the_tenant_names_no_longer_loses_what_waits_and_that_is_on_record() {
    let (stage, receiver) = told().await;
    receiver.always(Answer::Status(500));
    becomes(&stage, "Running").await;
    until_outbox(&stage, 1).await;
    name_sinks(&stage, json!({})).await;
    assert_eq!(until_lost(&stage, 1).await[0]["reason"], "SinkRemoved");
    until_outbox(&stage, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_waits_a_little_for_the_last_notification() {
    let (stage, receiver) = told().await;
    becomes(&stage, "Running").await;
    receiver.until_taken(WORKFORCE, 1).await;
    receiver.answers([500, 500].map(Answer::Status));
    stage.delete("c-1").await;
    stage.until_gone("c-1").await;
    assert_eq!(receiver.until_taken(WORKFORCE, 2).await[1].json()["status"], "paused");
    assert!(sync_failures(&stage, true).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_when_a_declaration_goes_is_on_record_with_and_without_our_finalizer() {
    let (stage, receiver) = told().await;
    receiver.always(Answer::Status(500));
    becomes(&stage, "Running").await;
    stage.delete("c-1").await;
    let deleted = Instant::now();
    stage.until_gone("c-1").await;
    let took = deleted.elapsed();
    assert!((9.0..20.0).contains(&took.as_secs_f64()), "{took:?}");
    let lost = until_lost(&stage, 2).await;
    assert!(lost.iter().all(|l| l["reason"] == "Deleted"), "{lost:#?}");

    // A new object of that name, whose finalizers somebody takes away.
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    becomes(&stage, "Paused").await;
    until_outbox(&stage, 1).await;
    stage.delete("c-1").await;
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    stage.campaigns().patch("c-1", &PatchParams::default(), &free).await.unwrap();
    stage.until_gone("c-1").await;
    let lost = until_lost(&stage, 3).await;
    assert_eq!(lost[2]["reason"], "Deleted");
    let event = until_event(&stage, &format!("c-1.{}", lost[2]["webhookId"].as_str().unwrap())).await;
    assert_eq!(event.reason.as_deref(), Some("SyncFailed"));
    until_lines(&stage, 2, |line| line["event"] == "SUPERVISION_ENDED").await;
    assert_eq!(stage.audit("c-1").last().unwrap()["event"], "SUPERVISION_ENDED");
}
