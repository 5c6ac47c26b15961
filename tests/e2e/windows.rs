//! The dialing window: what it holds, and how close to its edges a write goes out.

use jiff::Timestamp;
use rules::kinds::{CampaignStatus, Cause};
use serde_json::json;
use simulator::{Effect, Fault, FaultRoute, Route, State};

use crate::hours::{around_the_clock, closed_now, closes_at, in_seconds, opens_in};
use crate::stage::{ORG, Stage, id_of, ms_after};

/// From an edge to the PUT that it demands.
const AT_ONCE: std::ops::RangeInclusive<i64> = 0..=1000;

/// Campaigns that run, and whose window is about to close: gives when.
pub async fn closing_in(stage: &Stage, names: &[&str], seconds: i64) -> Timestamp {
    for name in names {
        stage.sim.campaign(ORG, name).set(State::Running);
        stage.declare(name, "Running", json!({})).await;
    }
    for name in names {
        stage.until_ready(name, "True", "Running").await;
    }
    let edge = in_seconds(seconds);
    for name in names {
        stage.change(name, json!({"complianceWindow": closes_at(edge)})).await;
    }
    for name in names {
        stage.until(name, "the new edge", |s| next_close(s) == Some(edge)).await;
    }
    assert!(Timestamp::now() < edge, "the machine is too slow for an edge {seconds} s away");
    edge
}

fn next_close(status: &CampaignStatus) -> Option<Timestamp> {
    status.window.as_ref()?.next_close.as_ref().map(|at| at.0)
}

fn held_for(status: &CampaignStatus) -> Option<&str> {
    status.condition("Held").filter(|c| c.status == "True").map(|c| c.reason.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_its_window_a_campaign_is_held_until_the_next_opening_and_paused_if_it_runs() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "runs").set(State::Running);
    stage.sim.campaign(ORG, "rests");
    let window = closed_now();
    for name in ["runs", "rests"] {
        stage.declare(name, "Running", json!({"complianceWindow": window})).await;
    }
    for name in ["runs", "rests"] {
        let status = stage.until_ready(name, "True", "OutsideWindow").await.status.unwrap();
        assert_eq!(held_for(&status), Some("OutsideWindow"));
        assert_eq!(status.condition("WindowOpen").unwrap().status, "False");
        let shown = status.window.unwrap();
        let opens = shown.next_open.unwrap().0;
        assert!(!shown.open && opens > Timestamp::now());
        assert_eq!(opens.strftime("%H:%M").to_string(), window["hours"][0]["from"]);
        assert_eq!(status.next_transition.unwrap().at.0, opens);
    }
    assert_eq!(stage.put_words("runs"), ["paused"]);
    assert_eq!(stage.get("runs").await.status.unwrap().last_transition.unwrap().cause, Cause::OutsideWindow);
    assert!(stage.put_words("rests").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_hours_a_campaign_may_not_run_and_with_hours_it_does() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    stage.declare("c-1", "Running", json!({"complianceWindow": {"timeZones": ["UTC"]}})).await;
    let status = stage.until_ready("c-1", "True", "NoWindow").await.status.unwrap();
    assert_eq!(held_for(&status), Some("NoWindow"));
    assert_eq!(status.last_transition.unwrap().cause, Cause::NoWindow);
    assert_eq!(stage.put_words("c-1"), ["paused"]);

    stage.change("c-1", json!({"complianceWindow": around_the_clock()})).await;
    stage.until_ready("c-1", "True", "Running").await;
    stage.change("c-1", json!({"complianceWindow": null})).await;
    stage.until_ready("c-1", "True", "NoWindow").await;
    assert_eq!(stage.put_words("c-1"), ["paused", "running", "paused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closing_window_pauses_within_a_second_of_its_edge() {
    let stage = Stage::new().await;
    let edge = closing_in(&stage, &["c-1"], 8).await;
    let put = stage.until_puts("c-1", 1).await.remove(0);
    eprintln!("FIGURE close after edge: {} ms", ms_after(edge, &put));
    assert!(AT_ONCE.contains(&ms_after(edge, &put)), "{}", stage.story("c-1").await);

    let status = stage.until_ready("c-1", "True", "OutsideWindow").await.status.unwrap();
    assert_eq!(held_for(&status), Some("OutsideWindow"));
    assert!(!status.last_transition.unwrap().blind);
    stage.assert_one_outcome("c-1", &id_of(&put), "Applied").await;
    assert_eq!(stage.put_words("c-1"), ["paused"]);
}

/// Lets every read fail from now on across the edge, and proves that the pause goes out blindly, in time, and says so.
async fn closes_blindly(what: &str, fault: Fault) {
    let stage = Stage::new().await;
    let edge = closing_in(&stage, &["c-1"], 9).await;
    stage.sim.fault(fault);
    let put = stage.until_puts("c-1", 1).await.remove(0);
    eprintln!("FIGURE close after edge, reads {what}: {} ms", ms_after(edge, &put));
    assert!(AT_ONCE.contains(&ms_after(edge, &put)), "{}", stage.story("c-1").await);
    let audit = stage.audit("c-1");
    let intent = audit.iter().find(|l| l["phase"] == "intent").expect("an intent before the PUT");
    assert_eq!((&intent["blind"], &intent["transactionId"]), (&json!(true), &json!(id_of(&put))));

    stage.sim.clear_faults();
    let status = stage.until_ready("c-1", "True", "OutsideWindow").await.status.unwrap();
    assert!(status.last_transition.unwrap().blind);
    stage.assert_one_outcome("c-1", &id_of(&put), "Applied").await;
    let ids: Vec<_> = stage.sim.puts("c-1").iter().map(id_of).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "repeats carry the same id: {ids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_hangs_across_the_edge_does_not_hold_up_the_pause() {
    closes_blindly("hang", Fault::new(FaultRoute::StateGet, Effect::Hang)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_answer_500_across_the_edge_do_not_hold_up_the_pause() {
    closes_blindly("answer 500", Fault::status(FaultRoute::StateGet, 500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_hangs_only_from_the_last_seconds_on_is_waited_for_three_seconds_at_most() {
    let stage = Stage::new().await;
    let edge = closing_in(&stage, &["c-1"], 9).await;
    // The look before the edge is still answered; the one at the edge is not.
    let before = edge - jiff::SignedDuration::from_secs(5);
    stage
        .until_log("the look before the edge", |log| {
            log.iter().any(|e| e.is_request(Route::StateGet) && e.at >= before && e.status() == Some(200))
        })
        .await;
    stage.sim.fault(Fault::new(FaultRoute::StateGet, Effect::Hang));
    let put = stage.until_puts("c-1", 1).await.remove(0);
    eprintln!(
        "FIGURE close after edge, first read to hang is the one at the edge: {} ms",
        ms_after(edge, &put)
    );
    assert!((0..=4000).contains(&ms_after(edge, &put)), "{}", stage.story("c-1").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_campaigns_with_the_same_edge_are_all_paused_within_a_second_of_it() {
    let stage = Stage::new().await;
    let names: Vec<String> = (1..=20).map(|n| format!("c-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let edge = closing_in(&stage, &names, 15).await;
    let mut delays = Vec::new();
    for name in &names {
        delays.push(ms_after(edge, &stage.until_puts(name, 1).await[0]));
    }
    delays.sort_unstable();
    eprintln!(
        "FIGURE close after edge, 20 at once: {} to {} ms, median {}",
        delays[0], delays[19], delays[10]
    );
    assert!(delays.iter().all(|ms| AT_ONCE.contains(ms)), "{delays:?}");
    for name in &names {
        stage.until_ready(name, "True", "OutsideWindow").await;
        assert_eq!(stage.put_words(name), ["paused"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_window_starts_within_a_second_of_its_edge_and_not_before() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1");
    let (window, opens) = opens_in(std::time::Duration::from_secs(20));
    stage.declare("c-1", "Running", json!({"complianceWindow": window})).await;
    let status = stage.until_ready("c-1", "True", "OutsideWindow").await.status.unwrap();
    assert_eq!(status.window.unwrap().next_open.unwrap().0, opens);

    let put = stage.until_puts("c-1", 1).await.remove(0);
    eprintln!("FIGURE start after edge: {} ms", ms_after(opens, &put));
    assert!(AT_ONCE.contains(&ms_after(opens, &put)), "{}", stage.story("c-1").await);
    stage.until_ready("c-1", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["running"]);
    stage.assert_one_outcome("c-1", &id_of(&put), "Applied").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn close_to_the_edge_nothing_is_started() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1");
    // The default timeout of 15 s and a margin of 5 s.
    stage.declare("c-1", "Running", json!({"complianceWindow": closes_at(in_seconds(15))})).await;
    let status = stage.until_ready("c-1", "True", "ClosingSoon").await.status.unwrap();
    assert_eq!(held_for(&status), Some("ClosingSoon"));
    assert!(status.window.unwrap().open);
    stage.until_ready("c-1", "True", "OutsideWindow").await;
    assert!(stage.put_words("c-1").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_declared_in_open_hours_goes_out_at_once() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    stage.declare("c-1", "Running", json!({})).await;
    stage.until_ready("c-1", "True", "Running").await;
    let applied = Timestamp::now();
    stage.change("c-1", json!({"state": "Paused"})).await;
    let put = stage.until_puts("c-1", 1).await.remove(0);
    eprintln!(
        "FIGURE declared pause, from the request to the API server to the PUT: {} ms",
        ms_after(applied, &put)
    );
    assert!(AT_ONCE.contains(&ms_after(applied, &put)), "{}", stage.story("c-1").await);
}
