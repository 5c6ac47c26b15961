//! Too many active calls make a start wait, and nothing else.

use serde_json::json;
use simulator::Route;

use crate::stage::{ORG, Stage, says};

#[tokio::test(flavor = "multi_thread")]
async fn a_start_waits_in_silence_while_too_many_calls_are_active_and_goes_on_when_they_have_drained() {
    let stage = Stage::new().await;
    let campaign = stage.sim.campaign(ORG, "c-1");
    campaign.pin_active_calls(151);
    stage.declare("c-1", "Running", json!({"checkIntervalSeconds": 10})).await;
    let waiting = stage.until_ready("c-1", "Unknown", "TooManyCalls").await;

    assert_eq!(says(&waiting, "Reconciling").unwrap().0, "True");
    assert_eq!(says(&waiting, "CallVolumeOK").unwrap().0, "False");
    assert_eq!(says(&waiting, "CallVolumeOK").unwrap().2, "more than 150 calls are active");
    assert_eq!(says(&waiting, "Held").unwrap().0, "False", "work under way, not a hold");
    assert!(says(&waiting, "Stalled").is_none() && says(&waiting, "Violation").is_none());

    // The number moves; what is said does not: two more counts change nothing at all.
    let counts = stage.requests("c-1", Route::Stats).len();
    campaign.pin_active_calls(977);
    stage.until_requests("c-1", Route::Stats, counts + 2).await;
    let still = stage.get("c-1").await;
    assert_eq!(still.metadata.resource_version, waiting.metadata.resource_version, "{:#?}", still.status);
    let events = stage.events("c-1").await;
    assert_eq!(events.len(), 1, "{events:#?}");
    // The words alone: names and ids may hold any digits.
    let conditions = still.status.as_ref().unwrap().conditions.iter().map(|c| c.message.clone());
    for text in conditions.chain(events.into_iter().filter_map(|event| event.note)) {
        assert!(!text.contains("151") && !text.contains("977"), "a live number is told: {text}");
    }
    assert!(stage.sim.puts("c-1").is_empty(), "{}", stage.story("c-1").await);

    // Exactly the cap is few enough.
    campaign.pin_active_calls(150);
    let running = stage.until_ready("c-1", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["running"]);
    assert!(says(&running, "CallVolumeOK").is_none(), "no start is wanted any more");
    let counts = stage.requests("c-1", Route::Stats);
    let gaps: Vec<_> = counts.windows(2).map(|w| w[1].at.duration_since(w[0].at).as_secs()).collect();
    assert!(gaps.iter().all(|gap| *gap >= 9), "it is counted at the interval, not hammered: {gaps:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_of_zero_lets_a_start_through_only_when_no_call_is_active() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "calling").pin_active_calls(1);
    stage.sim.campaign(ORG, "silent").pin_active_calls(0);
    for name in ["calling", "silent"] {
        stage.declare(name, "Running", json!({"maxActiveCalls": 0, "checkIntervalSeconds": 10})).await;
    }
    stage.until_ready("silent", "True", "Running").await;
    stage.until_ready("calling", "Unknown", "TooManyCalls").await;
    stage.until_requests("calling", Route::Stats, 2).await;
    assert!(stage.sim.puts("calling").is_empty());

    stage.sim.campaign(ORG, "calling").pin_active_calls(0);
    stage.until_ready("calling", "True", "Running").await;
    assert_eq!(stage.put_words("calling"), ["running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raised_cap_starts_at_once_without_waiting_for_the_next_count() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").pin_active_calls(60);
    stage.declare("c-1", "Running", json!({"maxActiveCalls": 50, "checkIntervalSeconds": 600})).await;
    stage.until_ready("c-1", "Unknown", "TooManyCalls").await;
    let raised_at = jiff::Timestamp::now();
    stage.change("c-1", json!({"maxActiveCalls": 60})).await;
    stage.until_ready("c-1", "True", "Running").await;
    let took = stage.sim.puts("c-1")[0].at.duration_since(raised_at);
    assert!(took.as_secs() < 5, "the next count would be 30 s away, the start took {took}");
}
