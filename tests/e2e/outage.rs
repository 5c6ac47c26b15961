//! The API server does not answer: what must be closed is closed all the same, and told afterwards.

use std::time::Duration;

use devcluster::Cluster;
use jiff::SignedDuration;
use serde_json::json;
use simulator::{Effect, Fault, FaultRoute, LogEntry, Route, State};

use crate::hours::{closes_at, in_seconds, without_zones};
use crate::policies::{only_in, running};
use crate::stage::{ORG, PATIENCE, Stage, id_of, ms_after};
use crate::windows::closing_in;

/// Stops the API server of this stage until it is told to go on.
async fn freeze(stage: &Stage) -> &Cluster {
    // Not while it is about to answer what it has just shown to others: that would be another test.
    let mut before = stage.operator.metrics().await;
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = stage.operator.metrics().await;
        if writes(&now) == writes(&before) {
            break;
        }
        before = now;
    }
    let cluster = stage.own_cluster.as_ref().expect("an API server of its own");
    cluster.freeze_apiserver().unwrap();
    cluster
}

/// The count of status writes that were answered.
fn writes(metrics: &str) -> Option<&str> {
    metrics.lines().find(|line| line.starts_with("dialer_status_writes_total"))
}

/// Waits until the operator has logged this.
async fn until_logged(stage: &Stage, text: &str) {
    let logged = async {
        while !stage.operator.log().contains(text) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let logged = tokio::time::timeout(PATIENCE, logged).await;
    assert!(logged.is_ok(), "never logged: {text}\n{}", stage.operator.log());
}

/// The longest time from one request to the next, in milliseconds.
fn longest_gap(puts: &[LogEntry]) -> i64 {
    puts.windows(2).map(|pair| ms_after(pair[0].at, &pair[1])).max().expect("two or more")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_api_server_does_not_hold_up_a_close_and_hears_of_it_once_afterwards() {
    let stage = Stage::with_own_cluster().await;
    let edge = closing_in(&stage, &["c-1"], 8).await;
    let cluster = freeze(&stage).await;
    let put = stage.until_puts("c-1", 1).await.remove(0);
    eprintln!("FIGURE close after edge, API server frozen: {} ms", ms_after(edge, &put));
    assert!((0..=1000).contains(&ms_after(edge, &put)), "{}", stage.operator.log());
    // A write that nobody answered may still be done after the thaw: the hardest case for the record.
    until_logged(&stage, "can't be written; trying again").await;

    cluster.thaw_apiserver().unwrap();
    let status = stage.until_ready("c-1", "True", "OutsideWindow").await.status.unwrap();
    assert_eq!(status.last_transition.unwrap().id.to_string(), id_of(&put));
    stage.assert_one_outcome("c-1", &id_of(&put), "Applied").await;
    assert_eq!(stage.put_words("c-1"), ["paused"]);
    assert_eq!(stage.events("c-1").await.iter().filter(|e| e.reason.as_deref() == Some("Paused")).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edge_of_a_policy_closes_while_the_api_server_is_frozen_and_what_is_within_its_hours_runs_on() {
    let stage = Stage::with_own_cluster().await;
    let edge = in_seconds(25);
    // Read in each campaign's zones: an hour to the west it closes an hour later.
    stage.apply_policy("hours", without_zones(closes_at(edge))).await;
    running(&stage, &["closes"], &only_in("UTC")).await;
    running(&stage, &["runs"], &only_in("Etc/GMT+1")).await;
    assert!(jiff::Timestamp::now() < edge, "the machine is too slow for an edge 25 s away");
    let cluster = freeze(&stage).await;
    let put = stage.until_puts("closes", 1).await.remove(0);
    eprintln!("FIGURE close after the edge of a policy, API server frozen: {} ms", ms_after(edge, &put));
    assert!((0..=1000).contains(&ms_after(edge, &put)), "{}", stage.operator.log());
    cluster.thaw_apiserver().unwrap();
    let status = stage.until_ready("closes", "True", "OutsideWindow").await.status.unwrap();
    assert_eq!(status.last_transition.unwrap().decided_by, Some(stage.policy_ref("hours", 1)));
    stage.assert_one_outcome("closes", &id_of(&put), "Applied").await;
    stage.look("runs").await;
    assert_eq!((stage.put_words("closes").len(), stage.put_words("runs").len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_reads_fail_and_the_api_server_is_frozen_closes_are_repeated_at_most_ten_seconds_apart() {
    let stage = Stage::with_own_cluster().await;
    // Declared paused and settled: without a finalizer, which a campaign that runs would need.
    stage.sim.campaign(ORG, "started");
    stage.declare("started", "Paused", json!({"checkIntervalSeconds": 10})).await;
    stage.until_ready("started", "True", "Paused").await;
    let edge = closing_in(&stage, &["unread"], 8).await;
    let cluster = freeze(&stage).await;
    stage.sim.fault(Fault::status(FaultRoute::StateGet, 500).campaign("unread"));
    stage.sim.fault(Fault::new(FaultRoute::StatePut, Effect::Lie));
    stage.sim.campaign(ORG, "started").set(State::Running);

    let unread = stage.until_puts("unread", 5).await;
    let started = stage.until_puts("started", 5).await;
    let (a, b) = (longest_gap(&unread), longest_gap(&started));
    eprintln!("FIGURE longest gap between closes, API server frozen: {a} ms unread, {b} ms read as running");
    assert!((0..=1000).contains(&ms_after(edge, &unread[0])), "{}", stage.operator.log());
    assert!(a <= 10_500 && b <= 10_500, "{}", stage.operator.log());

    // Confirmed before the thaw: a write without an answer that is done after it tells of a close still under way. Until the
    // status that holds the outcome can be written the log alone tells it.
    stage.sim.clear_faults();
    for name in ["unread", "started"] {
        let ended = async {
            while !confirmed(&stage, name) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, ended).await.is_ok(), "{}", stage.operator.log());
        assert!(!stage.audit(name).iter().any(|l| l["phase"] == "outcome"), "{:?}", stage.audit(name));
    }
    cluster.thaw_apiserver().unwrap();
    stage.until_ready("unread", "True", "OutsideWindow").await;
    stage.until_ready("started", "True", "Paused").await;
    for name in ["unread", "started"] {
        let ids: Vec<_> = stage.sim.puts(name).iter().map(id_of).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "one close, one id: {ids:?}");
        stage.assert_one_outcome(name, &ids[0], "Applied").await;
    }
}

/// Whether the log tells that a transition of this campaign has ended.
fn confirmed(stage: &Stage, name: &str) -> bool {
    let log = stage.operator.log();
    log.lines().any(|l| l.contains("a transition has ended") && l.contains(&format!("name=\"{name}\"")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_waits_for_the_api_server_without_asking_cxone_again_and_again() {
    let stage = Stage::with_own_cluster().await;
    // An API server that has just learned of a kind may break its first watches.
    stage.until_metric("dialer_policies_current 1").await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    stage.declare("c-1", "Paused", json!({"pauseDurationSeconds": 4})).await;
    let status = stage.until("c-1", "a pause under way", |s| s.pause.is_some()).await.status.unwrap();
    let until = status.pause.unwrap().until.0;
    let cluster = freeze(&stage).await;
    let reads = |log: &[LogEntry], seq: u64| {
        log.iter().filter(|e| e.seq > seq && e.is_request(Route::StateGet)).count()
    };
    let seq = stage.sim.last_seq();
    // Twenty seconds in which a start is wanted and can't be recorded.
    let end = until + SignedDuration::from_secs(20);
    tokio::time::sleep(Duration::try_from(end.duration_since(jiff::Timestamp::now())).unwrap()).await;
    let asked = reads(&stage.sim.log(), seq);
    eprintln!("FIGURE reads in 20 s while a start waits for a frozen API server: {asked}");
    assert!((1..=10).contains(&asked), "{}", stage.operator.log());
    assert_eq!(stage.put_words("c-1"), ["paused"], "no start without its intent on record");
    cluster.thaw_apiserver().unwrap();
    stage.until_ready("c-1", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["paused", "running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_while_the_api_server_is_frozen_is_renewed_with_the_last_known_secret() {
    let stage = Stage::with_own_cluster().await;
    stage.sim.set_token_lifetime(Duration::from_secs(6));
    let edge = closing_in(&stage, &["c-1"], 14).await;
    stage.sim.revoke_tokens();
    stage.look("c-1").await;
    let cluster = freeze(&stage).await;
    let seq = stage.sim.last_seq();
    // The token of six seconds is over before the edge.
    let put = stage.until_puts("c-1", 1).await.remove(0);
    let renewed = stage.sim.requests_since(seq).into_iter().find(|e| e.is_request(Route::Token)).unwrap();
    let ahead = put.at.duration_since(renewed.at);
    eprintln!("FIGURE close after edge, token ended before, API server frozen: {} ms", ms_after(edge, &put));
    assert!(ahead > SignedDuration::ZERO && renewed.status() == Some(200));
    assert!((0..=1000).contains(&ms_after(edge, &put)), "{}", stage.operator.log());
    cluster.thaw_apiserver().unwrap();
    stage.until_ready("c-1", "True", "OutsideWindow").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_refused_at_the_edge_while_the_api_server_is_frozen_does_not_stop_the_close() {
    let stage = Stage::with_own_cluster().await;
    let edge = closing_in(&stage, &["c-1"], 9).await;
    let cluster = freeze(&stage).await;
    let before = edge - SignedDuration::from_secs(5);
    stage
        .until_log("the look before the edge", |log| {
            log.iter().any(|e| e.is_request(Route::StateGet) && e.at >= before && e.status() == Some(200))
        })
        .await;
    stage.sim.revoke_tokens();
    let done = |log: &[LogEntry]| log.iter().any(|e| e.is_put("c-1") && e.status() == Some(200));
    let log = stage.until_log("a close that is accepted", done).await;
    let put = log.iter().find(|e| e.is_put("c-1") && e.status() == Some(200)).unwrap();
    eprintln!(
        "FIGURE close after edge, token refused at the edge, API server frozen: {} ms",
        ms_after(edge, put)
    );
    // Two seconds are given to the API server for the Secret.
    assert!((0..=3000).contains(&ms_after(edge, put)), "{}", stage.operator.log());
    cluster.thaw_apiserver().unwrap();
    stage.until_ready("c-1", "True", "OutsideWindow").await;
}
