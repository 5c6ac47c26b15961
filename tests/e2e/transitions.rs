//! Pause, resume, stop, and what is there already.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use simulator::{Effect, Fault, FaultRoute, Route, State};

use crate::hours::{closes_at, in_seconds};
use crate::stage::{ORG, Stage, says};

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
    let requested_at: Timestamp = body["metadata"]["requestedAt"].as_str().unwrap().parse().unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_already_gets_no_put() {
    let stage = Stage::new().await;
    let cases = [("Running", State::Running), ("Paused", State::Paused), ("Stopped", State::Stopped)];
    for (word, state) in cases {
        stage.sim.campaign(ORG, &word.to_lowercase()).set(state);
        stage.declare(&word.to_lowercase(), word, json!({})).await;
    }
    for (word, _) in cases {
        let name = word.to_lowercase();
        let object = stage.until_ready(&name, "True", word).await;
        assert_eq!(says(&object, "InSync").unwrap().0, "True");
        // Also not when it is looked at once more.
        let status = stage.look(&name).await.status.unwrap();
        assert_eq!(stage.sim.puts(&name).len(), 0, "{}", stage.story(&name).await);
        assert!(
            status.history.is_empty()
                && stage.audit(&name).is_empty()
                && stage.events(&name).await.is_empty()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_satisfies_a_declared_pause_and_the_ready_message_says_so() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Stopped);
    stage.declare("c-1", "Paused", json!({})).await;
    let object = stage.until_ready("c-1", "True", "Stopped").await;

    assert_eq!(says(&object, "Ready").unwrap().2, "stopped, which satisfies the declared Paused");
    assert_eq!(says(&object, "InSync").unwrap().0, "True");
    stage.look("c-1").await;
    assert_eq!(stage.put_words("c-1"), [""; 0]);
    assert_eq!(stage.sim.campaign(ORG, "c-1").state(), State::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_stop_makes_a_paused_campaign_a_stopped_one_and_a_declared_start_starts_it_again() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Paused);
    stage.declare("c-1", "Stopped", json!({})).await;
    let stopped = stage.until_ready("c-1", "True", "Stopped").await;
    assert_eq!(says(&stopped, "Ready").unwrap().2, "stopped as declared");
    assert_eq!(stage.put_words("c-1"), ["stopped"]);
    // A pause of what is stopped would be a step towards dialing.
    stage.change("c-1", json!({"state": "Paused"})).await;
    stage.until_ready("c-1", "True", "Stopped").await;
    assert_eq!(stage.put_words("c-1"), ["stopped"]);

    stage.change("c-1", json!({"state": "Running"})).await;
    stage.until_ready("c-1", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["stopped", "running"]);
    assert_eq!(stage.sim.campaign(ORG, "c-1").state(), State::Running);
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_do_not_apply_are_named_in_the_ready_message() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    let surplus =
        json!({"pauseDurationSeconds": 3600, "pauseExpiry": "Hold", "resumeAt": "2040-01-01T00:00:00Z"});
    stage.declare("c-1", "Running", surplus).await;
    let message = |object| says(&object, "Ready").unwrap().2;
    assert_eq!(
        message(stage.until_ready("c-1", "True", "Running").await),
        "running as declared; ignored here: pauseDurationSeconds, pauseExpiry, resumeAt"
    );
    // A patch of the state alone is enough to make two of them apply.
    stage.change("c-1", json!({"state": "Paused"})).await;
    let paused = message(stage.until_ready("c-1", "True", "Paused").await);
    assert!(paused.starts_with("paused as declared; the pause ends "), "{paused}");
    assert!(paused.ends_with("; ignored here: resumeAt"), "{paused}");
    // Where it is held, too.
    stage.annotate("c-1", rules::kinds::HOLD, Some("bad list")).await;
    stage.change("c-1", json!({"state": "Running"})).await;
    let held = message(stage.until_ready("c-1", "True", "Manual").await);
    assert!(held.ends_with("; ignored here: pauseDurationSeconds, pauseExpiry, resumeAt"), "{held}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_declared_while_the_statistics_of_a_start_hang_goes_out_at_once() {
    let stage = Stage::new().await;
    let campaign = stage.sim.campaign(ORG, "c-1");
    stage.sim.fault(Fault::new(FaultRoute::Stats, Effect::Hang));
    stage.declare("c-1", "Running", json!({})).await;
    stage.until_requests("c-1", Route::Stats, 1).await;
    // Somebody else starts it meanwhile, so that the pause has something to do.
    campaign.set(State::Running);
    let declared_at = Timestamp::now();
    stage.change("c-1", json!({"state": "Paused"})).await;
    let puts = stage.until_puts("c-1", 1).await;

    let took = puts[0].at.duration_since(declared_at);
    assert!(took < SignedDuration::from_secs(3), "the timeout is 15 s, the pause took {took}");
    eprintln!("declared while the statistics hang: the pause arrived after {took}");
    assert_eq!(stage.put_words("c-1"), ["paused"]);
    let hung = &stage.requests("c-1", Route::Stats)[0];
    assert!(hung.ended_at.is_some_and(|at| at <= puts[0].at), "the read was cut: {hung}");
    stage.until_ready("c-1", "True", "Paused").await;
    assert_eq!(stage.requests("c-1", Route::Stats).len(), 1, "a pause asks for no statistics");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_declared_while_the_state_hangs_goes_out_blindly_within_seconds() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    let fault = stage.sim.fault(Fault::new(FaultRoute::StateGet, Effect::Hang));
    stage.declare("c-1", "Running", json!({})).await;
    stage.until_requests("c-1", Route::StateGet, 1).await;
    let declared_at = Timestamp::now();
    stage.change("c-1", json!({"state": "Paused"})).await;
    let puts = stage.until_puts("c-1", 1).await;

    let took = puts[0].at.duration_since(declared_at);
    assert!(took < SignedDuration::from_secs(6), "3 s without a read are enough, not {took}");
    eprintln!("declared while the state hangs: the blind pause arrived after {took}");
    let intent = stage.audit("c-1").into_iter().find(|line| line["phase"] == "intent").unwrap();
    assert_eq!((&intent["blind"], &intent["seen"]), (&json!(true), &json!("Unknown")));
    stage.sim.clear_fault(fault);
    stage.until_ready("c-1", "True", "Paused").await;
    assert_eq!(stage.sim.campaign(ORG, "c-1").state(), State::Paused);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_starts_by_hand_just_before_the_hours_end_is_closed_when_they_end() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1");
    let edge = in_seconds(18);
    stage.declare("c-1", "Running", json!({"complianceWindow": closes_at(edge)})).await;
    // Too close to the end to be started; the next look for drift is half a minute away.
    stage.until_ready("c-1", "True", "ClosingSoon").await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    let puts = stage.until_puts("c-1", 1).await;
    let late = puts[0].at.duration_since(edge);
    assert!(late < SignedDuration::from_secs(2), "{late} after the edge\n{}", stage.story("c-1").await);
    assert_eq!(stage.put_words("c-1"), ["paused"]);
    eprintln!("started by hand, seen paused before: closed {late} after the edge");
}
