//! What the operator is shown is older than what it has done: nothing is done twice, nothing is taken for somebody else's doing.

use axum::http::StatusCode;
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::json;
use simulator::{LogEntry, Route, State};

use crate::api_trouble::{assert_nobody_else, assert_told_once, changes_by_us, wide_stage};
use crate::proxy::{Deed, Proxy};
use crate::stage::{ORG, Stage, id_of};

const CAMPAIGNS: &str = "dialercampaignstates";

/// What a watch says whose version is too old: everything is listed anew.
const EXPIRED: Deed = Deed::Answer(
    StatusCode::OK,
    concat!(
        r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","#,
        r#""message":"too old resource version","reason":"Expired","code":410}}"#,
        "\n"
    ),
);

/// From now on the operator hears of no campaign, not even of its own writes, until the proxy is cleared.
async fn hold_back(proxy: &Proxy) {
    proxy.rule(|asked| asked.is_watch_of(CAMPAIGNS), Deed::HoldAnswer);
    proxy.until_asked("the watch anew", |asked| asked.is_watch_of(CAMPAIGNS)).await;
}

/// Waits for so many looks at a campaign from now on.
async fn until_looks(stage: &Stage, name: &str, count: usize) {
    let now = Timestamp::now();
    let look =
        |e: &&LogEntry| e.is_request(Route::StateGet) && e.campaign.as_deref() == Some(name) && e.at > now;
    stage.until_log("looks", |log| log.iter().filter(look).count() >= count).await;
}

/// A campaign that runs as declared.
async fn running(stage: &Stage) {
    stage.apply_policy("brake", json!({})).await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    stage.declare("c-1", "Running", json!({"checkIntervalSeconds": 10})).await;
    stage.until_ready("c-1", "True", "Running").await;
}

/// Proves that so many transitions were made, each once, and that another look finds nothing left to do or to tell.
async fn assert_settled(stage: &Stage, words: &[&str]) {
    let before = stage.get("c-1").await.resource_version();
    until_looks(stage, "c-1", 1).await;
    assert_eq!(stage.get("c-1").await.resource_version(), before, "{}", stage.story("c-1").await);
    assert_eq!(stage.put_words("c-1"), words, "{}", stage.story("c-1").await);
    assert_eq!(changes_by_us(stage, "c-1").len(), words.len());
    let ids: Vec<_> = stage.sim.puts("c-1").iter().rev().map(id_of).collect();
    assert_eq!(assert_told_once(stage, "c-1").await, ids);
    assert_nobody_else(stage, "c-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_hears_late_of_its_own_writes_does_nothing_twice_and_takes_nothing_for_anothers() {
    let (stage, proxy) = wide_stage().await;
    running(&stage).await;
    hold_back(&proxy).await;
    stage.change_policy("brake", json!({"freeze": {"reason": "drill"}})).await;
    stage.until_ready("c-1", "True", "Frozen").await;
    until_looks(&stage, "c-1", 1).await;
    stage.change_policy("brake", json!({"freeze": null})).await;
    stage.until_ready("c-1", "True", "Running").await;
    until_looks(&stage, "c-1", 1).await;
    assert_settled(&stage, &["paused", "running"]).await;
    // Now it sees, one after the other, what it has long left behind.
    proxy.clear();
    assert_settled(&stage, &["paused", "running"]).await;
}

/// Lets the operator list everything anew and shows it what was there at `old`.
async fn show(proxy: &Proxy, old: &str) {
    let old: &'static str = Box::leak(old.to_owned().into_boxed_str());
    proxy.next(1, |asked| asked.is_watch_of(CAMPAIGNS), EXPIRED);
    let list =
        |asked: &crate::asked::Asked| asked.is_list_of(CAMPAIGNS) && !asked.query.contains("watch=true");
    proxy.next(1, list, Deed::Answer(StatusCode::OK, old));
    // It goes on from there without hearing what has happened since.
    proxy.rule(|asked| asked.is_watch_of(CAMPAIGNS), Deed::HoldAnswer);
    proxy.until("the old list", |all| all.iter().any(|asked| asked.met && list(asked))).await;
}

/// The list of all campaigns as it is now.
async fn list(stage: &Stage) -> String {
    let path = format!("/apis/dialer.cxone-operator.io/v1alpha1/namespaces/{}/{CAMPAIGNS}", stage.namespace);
    let request = axum::http::Request::get(path).body(Vec::new()).unwrap();
    stage.client.request_text(request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_listed_what_was_there_before_its_own_pause_starts_nothing_by_it() {
    let (stage, proxy) = wide_stage().await;
    running(&stage).await;
    let old = list(&stage).await;
    stage.change("c-1", json!({"state": "Paused"})).await;
    stage.until_ready("c-1", "True", "Paused").await;
    show(&proxy, &old).await;
    until_looks(&stage, "c-1", 2).await;
    assert_settled(&stage, &["paused"]).await;
    proxy.clear();
    assert_settled(&stage, &["paused"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_listed_what_was_there_before_its_own_start_does_not_pause_by_it() {
    let (stage, proxy) = wide_stage().await;
    stage.sim.campaign(ORG, "c-1");
    stage.declare("c-1", "Paused", json!({"checkIntervalSeconds": 10})).await;
    stage.until_ready("c-1", "True", "Paused").await;
    let old = list(&stage).await;
    stage.change("c-1", json!({"state": "Running"})).await;
    stage.until_ready("c-1", "True", "Running").await;
    show(&proxy, &old).await;
    until_looks(&stage, "c-1", 2).await;
    assert_settled(&stage, &["running"]).await;
    proxy.clear();
    assert_settled(&stage, &["running"]).await;
}
