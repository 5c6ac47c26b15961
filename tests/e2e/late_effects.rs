//! A start that takes effect long after its answer was lost, with a freeze in between.

use jiff::Timestamp;
use rules::kinds::Cause;
use serde_json::json;
use simulator::{Actor, Effect, Fault, FaultRoute, LogEntry, Loss, Route, State};

use crate::api_trouble::{assert_nobody_else, assert_told_once, changes_by_us};
use crate::stage::{ORG, Stage, id_of, ms_after};

/// Longer than any test needs to freeze, less than twice the default timeout.
const LATE_MS: u64 = 20_000;
/// A start in doubt that must not come about is looked for that often, and closed at once.
const FOUND_WITHIN_MS: i64 = 7000;

/// A stage whose first start has gone out, its answer lost, its effect to come.
async fn started_late() -> Stage {
    let stage = Stage::new().await;
    stage.apply_policy("brake", json!({})).await;
    stage.sim.campaign(ORG, "c-1");
    let late = Effect::Late { ms: LATE_MS, lost: Some(Loss::Reset) };
    stage.sim.fault(Fault::new(FaultRoute::StatePut, late).times(1));
    stage.declare("c-1", "Running", json!({})).await;
    stage.until_puts("c-1", 1).await;
    stage
}

async fn freeze(stage: &Stage) {
    stage.change_policy("brake", json!({"freeze": {"reason": "regulator on the phone"}})).await;
    stage.until_ready("c-1", "True", "Frozen").await;
}

/// Waits until it runs, late; gives when.
async fn until_effect(stage: &Stage) -> Timestamp {
    let late = |e: &LogEntry| e.is_change("c-1") && e.change.as_ref().is_some_and(|c| c.actor == Actor::Late);
    let log = stage.until_log("the late effect", |log| log.iter().any(late)).await;
    log.iter().find(|e| late(e)).unwrap().at
}

/// Proves that the late start was found and closed for the freeze, in time, and that all of it is told as it was.
async fn assert_found_and_closed(stage: &Stage) {
    let effect = until_effect(stage).await;
    let put = stage.until_puts("c-1", 2).await.remove(1);
    eprintln!("FIGURE late start to the PUT that closes it: {} ms", ms_after(effect, &put));
    assert!((0..=FOUND_WITHIN_MS).contains(&ms_after(effect, &put)), "{}", stage.story("c-1").await);
    // As soon as it is seen.
    let reads = stage.requests("c-1", Route::StateGet);
    let seen = reads.iter().find(|e| e.at > effect).unwrap();
    assert!(ms_after(seen.at, &put) <= 1000, "{}", stage.story("c-1").await);

    let closed = |s: &rules::kinds::CampaignStatus| {
        s.history.iter().any(|r| r.cause == Cause::Frozen && r.to.is_close())
            && s.pending_transition.is_none()
    };
    let status = stage.until("c-1", "the close on record", closed).await.status.unwrap();
    stage.until_ready("c-1", "True", "Frozen").await;
    assert_eq!(stage.put_words("c-1"), ["running", "paused"], "{}", stage.story("c-1").await);
    assert_eq!(changes_by_us(stage, "c-1").len(), 2);
    let ids: Vec<_> = stage.sim.puts("c-1").iter().rev().map(id_of).collect();
    assert_eq!(assert_told_once(stage, "c-1").await, ids, "{}", stage.story("c-1").await);
    assert_eq!(status.history.len(), 2, "{}", stage.story("c-1").await);
    assert_nobody_else(stage, "c-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_takes_effect_late_into_a_freeze_is_closed_as_soon_as_it_is_seen_and_told_as_ours() {
    let stage = started_late().await;
    freeze(&stage).await;
    assert_found_and_closed(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_takes_effect_late_into_a_freeze_is_found_by_the_next_process_too_and_told_as_ours() {
    let mut stage = started_late().await;
    stage.operator.kill();
    stage.start_operator(&[]);
    freeze(&stage).await;
    assert_found_and_closed(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_takes_effect_late_after_a_freeze_has_come_and_gone_is_the_only_one() {
    let stage = started_late().await;
    freeze(&stage).await;
    stage.change_policy("brake", json!({"freeze": null})).await;
    stage.until_ready("c-1", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["running"], "{}", stage.story("c-1").await);
    assert_eq!(changes_by_us(&stage, "c-1").len(), 1);
    assert_eq!(assert_told_once(&stage, "c-1").await, [id_of(&stage.sim.puts("c-1")[0])]);
    assert_nobody_else(&stage, "c-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_takes_effect_late_and_after_it_was_pressed_closed_unseen_is_not_taken_for_anothers() {
    let stage = started_late().await;
    // No read succeeds: the freeze is pressed on blindly.
    let unreadable = stage.sim.fault(Fault::status(FaultRoute::StateGet, 500));
    stage.change_policy("brake", json!({"freeze": {"reason": "regulator on the phone"}})).await;
    stage.until_puts("c-1", 2).await;
    stage.sim.clear_fault(unreadable);
    stage.until_ready("c-1", "True", "Frozen").await;

    let effect = until_effect(&stage).await;
    let closed = |log: &[LogEntry]| log.iter().any(|e| e.is_put("c-1") && e.at > effect);
    let log = stage.until_log("the close after the effect", closed).await;
    let put = log.iter().find(|e| e.is_put("c-1") && e.at > effect).unwrap();
    eprintln!("FIGURE late start, given up, to the PUT that closes it: {} ms", ms_after(effect, put));
    assert!((0..=FOUND_WITHIN_MS).contains(&ms_after(effect, put)), "{}", stage.story("c-1").await);
    let last = id_of(put);
    let told = |s: &rules::kinds::CampaignStatus| s.history.iter().any(|r| r.id.to_string() == last);
    stage.until("c-1", "the close on record", told).await;
    assert_eq!(stage.sim.campaign(ORG, "c-1").state(), State::Paused);
    assert_told_once(&stage, "c-1").await;
    assert_nobody_else(&stage, "c-1").await;
}
