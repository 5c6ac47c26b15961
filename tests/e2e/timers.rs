//! What the operator's own clock does: timed pauses, scheduled resumes, the progress deadline.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use simulator::{Route, State};

use crate::hours::in_seconds;
use crate::stage::{ORG, Stage, id_of, ms_after};

/// A campaign that runs, and then is paused for that long: gives when the pause ends.
async fn paused_for(stage: &Stage, seconds: i64, spec: serde_json::Value) -> Timestamp {
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    stage.declare("c-1", "Running", spec).await;
    stage.until_ready("c-1", "True", "Running").await;
    stage.change("c-1", json!({"state": "Paused", "pauseDurationSeconds": seconds})).await;
    let status = stage.until("c-1", "a pause under way", |s| s.pause.is_some()).await.status.unwrap();
    let pause = status.pause.unwrap();
    let length = pause.until.0.duration_since(pause.since.0);
    // Told in whole seconds, rounded so that it never ends too early.
    assert!((seconds..=seconds + 1).contains(&length.as_secs()), "{length}");
    assert_eq!(stage.sim.puts("c-1")[0].body().unwrap()["pauseDurationSeconds"], 0);
    pause.until.0
}

/// Waits for that many reads of the campaign, beginning now.
async fn until_reads(stage: &Stage, count: usize) {
    let seq = stage.sim.last_seq();
    stage
        .until_log("reads", |log| {
            log.iter().filter(|e| e.seq > seq && e.is_request(Route::StateGet)).count() >= count
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timed_pause_is_ended_by_the_operator_and_never_by_the_platform() {
    let stage = Stage::new().await;
    let until = paused_for(&stage, 5, json!({})).await;
    let put = stage.until_puts("c-1", 2).await.remove(1);
    eprintln!("FIGURE start after a timed pause: {} ms after its end", ms_after(until, &put));
    assert!((0..=1000).contains(&ms_after(until, &put)), "{}", stage.story("c-1").await);
    stage.until_ready("c-1", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["paused", "running"]);
    stage.assert_one_outcome("c-1", &id_of(&put), "Applied").await;
    let status = stage.get("c-1").await.status.unwrap();
    assert_eq!(status.last_transition.unwrap().cause, rules::kinds::Cause::PauseOver);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timed_pause_ends_through_every_gate() {
    let stage = Stage::new().await;
    let until = paused_for(&stage, 3, json!({"checkIntervalSeconds": 10, "maxActiveCalls": 10})).await;
    stage.sim.campaign(ORG, "c-1").pin_active_calls(11);
    let object = stage.until_ready("c-1", "Unknown", "TooManyCalls").await;
    assert!(Timestamp::now() >= until, "{object:?}");
    assert_eq!(stage.put_words("c-1"), ["paused"]);
    stage.sim.campaign(ORG, "c-1").pin_active_calls(10);
    stage.until_ready("c-1", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["paused", "running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_does_not_change_when_a_timed_pause_ends() {
    let mut stage = Stage::new().await;
    let until = paused_for(&stage, 12, json!({})).await;
    stage.operator.kill();
    let seq = stage.sim.last_seq();
    stage.start_operator(&[]);
    stage.until_log("a read", |log| log.iter().any(|e| e.seq > seq && e.is_request(Route::StateGet))).await;
    assert!(Timestamp::now() < until, "the machine is too slow for this test");
    assert_eq!(stage.get("c-1").await.status.unwrap().pause.unwrap().until.0, until);
    let put = stage.until_puts("c-1", 2).await.remove(1);
    eprintln!("FIGURE start after a timed pause, restarted: {} ms after its end", ms_after(until, &put));
    assert!((0..=1000).contains(&ms_after(until, &put)), "{}", stage.story("c-1").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timed_pause_that_ended_while_no_operator_ran_is_ended_by_the_next_one() {
    let mut stage = Stage::new().await;
    let until = paused_for(&stage, 3, json!({})).await;
    stage.operator.kill();
    let left = std::time::Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
    tokio::time::sleep(left).await;
    stage.start_operator(&[]);
    stage.until_ready("c-1", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["paused", "running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_pause_expiry_hold_the_campaign_stays_paused_until_it_is_declared_running() {
    let stage = Stage::new().await;
    let until = paused_for(&stage, 3, json!({"pauseExpiry": "Hold", "checkIntervalSeconds": 10})).await;
    let status = stage.until_ready("c-1", "True", "PauseExpired").await.status.unwrap();
    assert!(Timestamp::now() >= until);
    let held = status.condition("Held").unwrap();
    assert_eq!((held.status.as_str(), held.reason.as_str()), ("True", "PauseExpired"));
    until_reads(&stage, 1).await;
    assert_eq!(stage.put_words("c-1"), ["paused"]);
    stage.change("c-1", json!({"state": "Running"})).await;
    stage.until_ready("c-1", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["paused", "running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_had_paused_does_not_resume_by_itself() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1");
    let timed = json!({"pauseDurationSeconds": 2, "checkIntervalSeconds": 10});
    stage.declare("c-1", "Paused", timed).await;
    let status = stage.until_ready("c-1", "True", "Paused").await.status.unwrap();
    assert!(status.pause.is_none());
    let ready = status.condition("Ready").unwrap();
    assert!(ready.message.contains("pauseDurationSeconds does not run"), "{}", ready.message);
    // The next look is ten seconds away: the two are long over then.
    until_reads(&stage, 1).await;
    assert!(stage.put_words("c-1").is_empty());
    assert_eq!(stage.get("c-1").await.status.unwrap().pause, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_resume_comes_at_its_instant_and_not_before() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "paused");
    stage.sim.campaign(ORG, "running").set(State::Running);
    let at = in_seconds(12);
    let scheduled = json!({"resumeMode": "Scheduled", "resumeAt": at.to_string()});
    for name in ["paused", "running"] {
        stage.declare(name, "Running", scheduled.clone()).await;
    }
    for name in ["paused", "running"] {
        let status = stage.until_ready(name, "True", "ScheduledResume").await.status.unwrap();
        assert_eq!(status.next_transition.unwrap().at.0, at);
    }
    // What runs before its time is paused until then.
    for (name, words) in [("paused", vec!["running"]), ("running", vec!["paused", "running"])] {
        let put = stage.until_puts(name, words.len()).await.pop().unwrap();
        eprintln!("FIGURE scheduled resume of {name}: {} ms after its instant", ms_after(at, &put));
        assert!((0..=1000).contains(&ms_after(at, &put)), "{}", stage.story(name).await);
        assert_eq!(put.body().unwrap()["resumeMode"], "scheduled");
        stage.until_ready(name, "True", "Running").await;
        assert_eq!(stage.put_words(name), words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_progress_is_told_as_stalled_after_the_deadline_and_goes_on_by_itself() {
    let stage = Stage::new().await;
    let campaign = stage.sim.campaign(ORG, "c-1");
    campaign.pin_active_calls(11);
    let spec = json!({"maxActiveCalls": 10, "checkIntervalSeconds": 10, "progressDeadlineSeconds": 60});
    stage.declare("c-1", "Running", spec).await;
    let object = stage.until_ready("c-1", "Unknown", "TooManyCalls").await;
    let since = object.status.unwrap().condition("Reconciling").unwrap().last_transition_time.0;
    until_reads(&stage, 3).await;
    let status = stage.until_ready("c-1", "False", "ProgressDeadlineExceeded").await.status.unwrap();
    let stalled = status.condition("Stalled").unwrap();
    let after = stalled.last_transition_time.0.duration_since(since);
    eprintln!("FIGURE told as stalled after {} s", after.as_secs());
    // Both are told in whole seconds.
    assert!(after >= SignedDuration::from_secs(59) && after < SignedDuration::from_secs(90), "{after}");
    assert!(status.condition("Reconciling").is_none());
    campaign.unpin_active_calls();
    let status = stage.until_ready("c-1", "True", "Running").await.status.unwrap();
    assert!(status.condition("Stalled").is_none());
    assert_eq!(stage.put_words("c-1"), ["running"]);
}
