//! Pause, resume, stop, and what is there already.

use serde_json::json;
use simulator::{Route, State};

use crate::stage::{ORG, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_pause_is_one_put_with_the_exact_body() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    stage.declare("c-1", "Paused", json!({})).await;
    let object = stage.until_ready("c-1", "True", "Paused").await;

    let puts = stage.sim.puts("c-1");
    assert_eq!(puts.len(), 1, "{}", stage.story("c-1").await);
    let last = object.status.unwrap().last_transition.unwrap();
    let body = puts[0].body().unwrap().clone();
    let requested_at: jiff::Timestamp = body["metadata"]["requestedAt"].as_str().unwrap().parse().unwrap();
    assert!(requested_at.duration_since(last.requested_at.0).as_secs().abs() <= 1);
    assert_eq!(
        body,
        json!({"campaignId": "c-1", "status": "paused", "pauseDurationSeconds": 0, "resumeMode": "immediate",
               "notifyAgentPool": true,
               "metadata": {"transitionId": last.id, "requestedAt": body["metadata"]["requestedAt"]}})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_resume_reads_every_page_of_the_statistics_before_its_put() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").stats_rows(250);
    stage.declare("c-1", "Running", json!({"resumeMode": "Gradual", "notifyAgentPool": false})).await;
    stage.until_ready("c-1", "True", "Running").await;

    let log = stage.sim.log();
    let requests: Vec<Route> = log.iter().filter_map(|e| e.request.as_ref().map(|r| r.route)).collect();
    let put = requests.iter().position(|r| *r == Route::StatePut).unwrap();
    assert_eq!(requests[..put].iter().filter(|r| **r == Route::Stats).count(), 3, "{requests:?}");
    let puts = stage.sim.puts("c-1");
    assert_eq!(puts.len(), 1);
    assert_eq!(puts[0].body().unwrap()["resumeMode"], "gradual");
    assert_eq!(puts[0].body().unwrap()["notifyAgentPool"], false);
}
