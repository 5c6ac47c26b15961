//! What can't be read, or reads oddly, starts nothing, holds up no close, and mends itself.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use simulator::{Effect, Fault, FaultRoute, Route, State};

use crate::stage::{ORG, Stage, says};

/// The tenant again, with a timeout short enough to be waited for.
async fn impatient(stage: &Stage) {
    let secret = json!({"name": "default-credentials"});
    let spec = json!({"baseUrl": stage.sim.url(), "credentialsSecretRef": secret, "timeoutSeconds": 1});
    stage.apply_tenant("default", spec).await;
}

fn answers(body: Value) -> Effect {
    Effect::Answer { status: 200, retry_after: None, body: Some(body), headers: BTreeMap::new() }
}

fn fails(status: u16) -> Effect {
    Effect::Answer { status, retry_after: None, body: None, headers: BTreeMap::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_starts_while_the_state_is_unreadable_and_it_starts_by_itself_afterwards() {
    let stage = Stage::without_operator().await;
    impatient(&stage).await;
    let cases = [
        ("failing", fails(500), "Unavailable"),
        ("hanging", Effect::Hang, "Unavailable"),
        ("resetting", Effect::Reset, "Unavailable"),
        ("truncated", Effect::Truncated, "Unavailable"),
        ("typed", answers(json!({"status": 7})), "StateUnreadable"),
        ("worded", Effect::UnknownStatus { word: "gobbledygook".into() }, "StateUnreadable"),
        ("plain", answers(json!("<html>paused</html>")), "StateUnreadable"),
        ("empty", answers(json!({})), "StateUnreadable"),
        ("torn", answers(json!({"status": "paused", "currentStatus": "running"})), "StateUnreadable"),
        ("huge", Effect::HugeBody { mebibytes: 1, status: 200 }, "StateUnreadable"),
    ];
    for (name, effect, _) in &cases {
        stage.sim.campaign(ORG, name).set(State::Paused);
        stage.sim.fault(Fault::new(FaultRoute::StateGet, effect.clone()).campaign(*name));
        stage.declare(name, "Running", json!({})).await;
    }
    let mut stage = stage;
    stage.start_operator(&[]);
    for (name, _, reason) in &cases {
        stage.until_requests(name, Route::StateGet, 3).await;
        let object = stage.until_ready(name, "Unknown", reason).await;
        assert_eq!(says(&object, "Reconciling").unwrap().0, "True", "{name}");
        assert!(says(&object, "Stalled").is_none(), "{name}");
        assert_eq!(object.status.unwrap().observed, Some(rules::kinds::Observed::Unknown), "{name}");
        assert!(stage.requests(name, Route::Stats).is_empty(), "{name}: without a state no statistics");
        assert!(stage.sim.puts(name).is_empty(), "{}", stage.story(name).await);
    }
    assert!(!stage.operator.log().contains("gobbledygook"), "what CXone says is not passed on");

    stage.sim.clear_faults();
    for (name, ..) in &cases {
        stage.until_ready(name, "True", "Running").await;
        assert_eq!(stage.put_words(name), ["running"], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_starts_on_odd_statistics_while_a_declared_pause_goes_through() {
    let stage = Stage::without_operator().await;
    impatient(&stage).await;
    let row = |calls: Value| answers(json!({"page": [{"activeCalls": calls}], "nextPageToken": null}));
    let cases = [
        ("failing", fails(500)),
        ("hanging", Effect::Hang),
        ("resetting", Effect::Reset),
        ("truncated", Effect::Truncated),
        ("missing", Effect::MissingActiveCalls),
        ("repeating", Effect::RepeatingToken),
        ("garbage", answers(json!("<html>0</html>"))),
        ("rowless", answers(json!({"page": [], "nextPageToken": null}))),
        ("negative", row(json!(-1))),
        ("worded", row(json!("0"))),
        ("nothing", row(json!(null))),
        ("shapeless", answers(json!({"activeCalls": 0}))),
    ];
    for (name, effect) in &cases {
        stage.sim.campaign(ORG, name).set(State::Paused);
        stage.sim.fault(Fault::new(FaultRoute::Stats, effect.clone()).campaign(*name));
        stage.declare(name, "Running", json!({})).await;
    }
    let mut stage = stage;
    stage.start_operator(&[]);
    for (name, _) in &cases {
        stage.until_requests(name, Route::Stats, 2).await;
        let object = stage.until(name, "work under way", |s| s.condition("Reconciling").is_some()).await;
        let (status, reason, message) = says(&object, "Ready").unwrap();
        assert_eq!(status, "Unknown", "{name}");
        assert!(["StatsUnreadable", "Unavailable"].contains(&reason.as_str()), "{name}: {reason}");
        assert!(message.contains("statistics"), "{name}: {message}");
        assert!(stage.sim.puts(name).is_empty(), "{}", stage.story(name).await);
    }
    // Somebody starts all of them by hand: the pauses that are declared now need no statistics.
    for (name, _) in &cases {
        stage.sim.campaign(ORG, name).set(State::Running);
        let declared_at = Timestamp::now();
        stage.change(name, json!({"state": "Paused"})).await;
        let puts = stage.until_puts(name, 1).await;
        let took = puts[0].at.duration_since(declared_at);
        assert!(took < SignedDuration::from_secs(2), "{name}: {took}\n{}", stage.story(name).await);
    }
    for (name, _) in &cases {
        stage.until_ready(name, "True", "Paused").await;
        assert_eq!(stage.put_words(name), ["paused"], "{name}");
    }
    stage.sim.clear_faults();
    for (name, _) in &cases {
        stage.change(name, json!({"state": "Running"})).await;
        stage.until_ready(name, "True", "Running").await;
        assert_eq!(stage.put_words(name), ["paused", "running"], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_statistics_mend_themselves() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1");
    stage.sim.fault(Fault::new(FaultRoute::Stats, Effect::MissingActiveCalls).times(3));
    stage.declare("c-1", "Running", json!({})).await;
    stage.until_ready("c-1", "Unknown", "StatsUnreadable").await;
    stage.until_ready("c-1", "True", "Running").await;

    // Each try reads the state anew, and they move apart.
    let tries = stage.requests("c-1", Route::Stats);
    assert_eq!(tries.len(), 4, "{}", stage.story("c-1").await);
    let gaps: Vec<_> = tries.windows(2).map(|w| w[1].at.duration_since(w[0].at).as_secs()).collect();
    assert!(gaps.iter().zip([1, 2, 4]).all(|(gap, least)| *gap >= least), "{gaps:?}");
    assert!(stage.requests("c-1", Route::StateGet).len() >= 5, "{}", stage.story("c-1").await);
    assert_eq!(stage.put_words("c-1"), ["running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_pages_end_at_a_hundred_and_what_they_cost_is_not_paid_by_a_close() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "endless");
    stage.sim.campaign(ORG, "busy").set(State::Running);
    stage.declare("busy", "Running", json!({})).await;
    stage.until_ready("busy", "True", "Running").await;
    let fault = stage.sim.fault(Fault::new(FaultRoute::Stats, Effect::EndlessPages));
    stage.declare("endless", "Running", json!({})).await;
    stage.until_requests("endless", Route::Stats, 100).await;
    // A hundred requests on account: nothing but a close gets out now.
    let declared_at = Timestamp::now();
    stage.change("busy", json!({"state": "Paused"})).await;
    let puts = stage.until_puts("busy", 1).await;
    let took = puts[0].at.duration_since(declared_at);
    assert!(took < SignedDuration::from_secs(2), "{took}\n{}", stage.story("busy").await);
    stage.until_ready("busy", "True", "Paused").await;

    stage.until_ready("endless", "Unknown", "StatsUnreadable").await;
    assert_eq!(stage.requests("endless", Route::Stats).len(), 100, "one try is a hundred pages at most");
    assert!(stage.sim.puts("endless").is_empty());
    stage.sim.clear_fault(fault);
    stage.until_ready("endless", "True", "Running").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_by_more_than_half_a_minute_holds_starts_and_no_close() {
    let stage = Stage::without_operator().await;
    stage.sim.set_date_offset(40);
    stage.sim.campaign(ORG, "waiting");
    stage.sim.campaign(ORG, "busy").set(State::Running);
    stage.declare("waiting", "Running", json!({})).await;
    stage.declare("busy", "Running", json!({})).await;
    let mut stage = stage;
    stage.start_operator(&[]);

    // Held is healthy: the campaign does not dial, and why is said.
    let object = stage.until_ready("waiting", "True", "ClockSkew").await;
    assert_eq!(says(&object, "Held").unwrap().0, "True");
    assert_eq!(object.status.unwrap().effective, Some(rules::kinds::Effective::Held));
    // What runs already is no start.
    stage.until_ready("busy", "True", "Running").await;
    stage.change("busy", json!({"state": "Paused"})).await;
    stage.until_ready("busy", "True", "Paused").await;
    assert_eq!(stage.put_words("busy"), ["paused"]);

    stage.sim.set_date_offset(-40);
    let object = stage.look("waiting").await;
    assert_eq!(says(&object, "Ready").unwrap().1, "ClockSkew", "behind is as bad as ahead");
    assert!(stage.sim.puts("waiting").is_empty());
    // 25 s are within what networks and second-wide dates account for.
    stage.sim.set_date_offset(25);
    stage.look("waiting").await;
    stage.until_ready("waiting", "True", "Running").await;
    assert_eq!(stage.put_words("waiting"), ["running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_tells_no_time_is_started_on() {
    let stage = Stage::without_operator().await;
    stage.sim.set_date_header(false);
    stage.sim.campaign(ORG, "c-1");
    stage.declare("c-1", "Running", json!({})).await;
    let mut stage = stage;
    stage.start_operator(&[]);
    stage.until_ready("c-1", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["running"]);
}
