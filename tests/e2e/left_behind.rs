//! What is left behind: by a process that ends just then, by one that writes beside this one, by an object of the same name.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use simulator::{Fault, FaultRoute, Route, State};

use crate::asked::Asked;
use crate::lost_notifications::until_event;
use crate::notifications::{
    WORKFORCE, becomes, is_sync_failure, name_sinks, sink, start, told, until_outbox,
};
use crate::proxy::Deed;
use crate::receiver::{Answer, Receiver};
use crate::stage::{ORG, PATIENCE, Stage, ms_after};
use crate::unlisted::behind_a_proxy;

/// Writes the status as another process would.
async fn write_status(stage: &Stage, status: Value) {
    let patch = Patch::Merge(json!({"status": status}));
    stage.campaigns().patch_status("c-1", &PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_leaves_the_outbox_though_another_process_writes_status_meanwhile() {
    let (mut stage, proxy) = behind_a_proxy().await;
    let receiver = Receiver::start().await;
    name_sinks(&stage, json!({"workforce": sink(&receiver, WORKFORCE)})).await;
    stage.sim.campaign(ORG, "c-1");
    receiver.always(Answer::Status(500));
    stage.start_operator(&["--allow-sink", &receiver.url]);
    becomes(&stage, "Running").await;
    until_outbox(&stage, 1).await;
    // The write that takes the delivered one out waits on its way.
    let write = |asked: &Asked| asked.method == "PATCH" && asked.path.ends_with("/c-1/status");
    let emptied = move |all: &[Asked]| {
        all.iter().filter(|a| write(a) && a.at("/status/notifications").is_null()).count()
    };
    let before = emptied(&proxy.asked());
    proxy.rule(write, Deed::Hold);
    receiver.always(Answer::Status(204));
    receiver.until_taken(WORKFORCE, 1).await;
    proxy.until("the write", |all| emptied(all) > before).await;
    let mut status = json!(stage.get("c-1").await.status.unwrap());
    status["release"] = json!("other");
    write_status(&stage, status).await;
    proxy.clear();
    until_outbox(&stage, 0).await;
    assert_eq!(receiver.log(WORKFORCE).iter().filter(|d| d.answer == Answer::Status(204)).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_is_tried_every_ten_seconds_though_events_are_slow_to_create() {
    let (mut stage, proxy) = behind_a_proxy().await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    stage.sim.fault(Fault::status(FaultRoute::StatePut, 500));
    stage.declare("c-1", "Paused", json!({})).await;
    // What an earlier process has done in the last minutes: its Events are created once more.
    let now = jiff::Timestamp::now();
    let record = |n: i64| {
        let at = now - jiff::SignedDuration::from_secs(60 + n);
        let second = jiff::Timestamp::from_second(at.as_second()).unwrap();
        json!({"id": format!("00000000-0000-4000-8000-00000000000{n}"), "from": "Running", "to": "Paused", "cause": "Declared",
               "generation": 1, "requestedAt": format!("{at:.6}"), "endedAt": second, "outcome": "Applied", "latencyMs": 5})
    };
    let history: Vec<_> = (0..10).map(record).collect();
    let status = json!({"observedGeneration": 1, "declared": "Paused", "observed": "Running", "history": history, "lastTransition": history[0]});
    write_status(&stage, status).await;
    let event = |asked: &Asked| asked.method == "POST" && asked.path.ends_with("/events");
    proxy.rule(event, Deed::Delay(Duration::from_millis(1800)));
    stage.start_operator(&[]);
    let puts = stage.until_puts("c-1", 6).await;
    let gaps: Vec<_> = puts.windows(2).map(|pair| ms_after(pair[0].at, &pair[1])).collect();
    assert!(gaps.iter().all(|gap| *gap <= 10_500), "{gaps:?}");
    assert!(proxy.asked().iter().any(event), "Events were on their way");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_when_its_declaration_is_deleted_while_no_operator_runs_is_on_record() {
    let (mut stage, receiver) = told().await;
    receiver.always(Answer::Status(500));
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    becomes(&stage, "Paused").await;
    let id = until_outbox(&stage, 1).await.notifications[0].webhook_id.clone();
    stage.operator.kill();
    stage.delete("c-1").await;
    start(&mut stage, &receiver);
    stage.until_gone("c-1").await;
    until_event(&stage, &format!("c-1.{id}")).await;
    let lost = stage.audit("c-1").into_iter().filter(|line| is_sync_failure(line, true)).count();
    assert_eq!(lost, 1, "{}", stage.operator.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_supervision_is_on_record_though_the_process_ends_just_then() {
    let (mut stage, proxy) = behind_a_proxy().await;
    stage.sim.campaign(ORG, "c-1");
    stage.operator.end_at("finalizer-write.after");
    stage.start_operator(&[]);
    becomes(&stage, "Running").await;
    // That the object is gone is heard after the answer to the write that lets it go.
    let watch = |asked: &Asked| asked.is_watch_of("dialercampaignstates");
    proxy.rule(watch, Deed::Delay(Duration::from_secs(2)));
    proxy.until_asked("the watch anew", watch).await;
    stage.operator.arm();
    stage.delete("c-1").await;
    assert!(stage.operator.ends_within(PATIENCE).await, "{}", stage.story("c-1").await);
    let audit = stage.audit("c-1");
    let ended = audit.iter().find(|line| line["event"] == "SUPERVISION_ENDED");
    assert!(ended.is_some_and(|line| line["outcome"] == "Paused"), "{audit:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_the_same_name_has_nothing_of_the_one_before_it() {
    let (mut stage, proxy) = behind_a_proxy().await;
    let spec = |campaign: &str| json!({"campaignId": campaign, "checkIntervalSeconds": 10, "deletionPolicy": "Retain"});
    stage.sim.campaign(ORG, "c-1");
    stage.sim.campaign(ORG, "c-9");
    stage.start_operator(&[]);
    stage.declare("c-1", "Running", spec("c-1")).await;
    stage.until_ready("c-1", "True", "Running").await;
    // The operator does not hear that it is gone.
    let watch = |asked: &Asked| asked.is_watch_of("dialercampaignstates");
    proxy.rule(watch, Deed::HoldAnswer);
    proxy.until_asked("the watch anew", watch).await;
    stage.delete("c-1").await;
    stage.until_gone("c-1").await;
    let new = stage.declare("c-1", "Paused", spec("c-9")).await;
    // Somebody pauses the old campaign: what is seen of it is to be written.
    stage.sim.campaign(ORG, "c-1").set(State::Paused);
    let before = stage.requests("c-1", Route::StateGet).len();
    stage.until_requests("c-1", Route::StateGet, before + 2).await;
    let now = stage.get("c-1").await;
    assert_eq!(now.metadata.uid, new.metadata.uid);
    let status = now.status.unwrap();
    assert!(status.history.is_empty() && status.external_pause.is_none(), "{status:#?}");
    proxy.clear();
}
