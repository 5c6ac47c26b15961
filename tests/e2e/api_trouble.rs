//! The API server answers the operator's writes with trouble: what is declared comes about once, is told once, and no close waits.

use std::time::Duration;

use axum::http::StatusCode;
use jiff::Timestamp;
use rules::kinds::{CampaignStatus, Outcome, RECONCILE};
use serde_json::json;
use simulator::{Actor, LogEntry, State};

use crate::asked::{Asked, Write};
use crate::hours::{closes_at, in_seconds};
use crate::proxy::{Deed, Proxy};
use crate::stage::{ORG, Stage, id_of, ms_after};
use crate::unlisted::behind_a_proxy;

/// So much later than without the trouble a close may be.
const LATER_MS: i64 = 1000;

/// What becomes of a write, how often in a row, and a name for it.
const TROUBLES: [(&str, u32, Deed); 7] = [
    ("conflict", 2, CONFLICT),
    ("throttled", 2, Deed::Throttle(None)),
    ("throttled-for-2", 2, Deed::Throttle(Some(2))),
    ("fails", 2, FAILS),
    ("hangs", 1, Deed::Hang),
    ("answer-lost", 1, Deed::LoseAnswer),
    ("answer-cut", 1, Deed::CutAnswer),
];

/// Also what a quota says when two use it up at once.
const CONFLICT: Deed = Deed::Answer(
    StatusCode::CONFLICT,
    r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"try again","reason":"Conflict","code":409}"#,
);
const FAILS: Deed = Deed::Answer(
    StatusCode::INTERNAL_SERVER_ERROR,
    r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"etcd","reason":"InternalError","code":500}"#,
);

/// A declared change that meets a trouble, or none.
struct Case {
    name: String,
    to: State,
    trouble: Option<(u32, Deed)>,
}

impl Case {
    fn from(&self) -> State {
        if self.to == State::Running { State::Paused } else { State::Running }
    }
}

/// Every trouble for each of these changes, and one of each without any.
fn cases(changes: &[State]) -> Vec<Case> {
    let of = |&to: &State| {
        let name = move |trouble: &str| format!("{}-{trouble}", to.as_str());
        let calm = Case { name: name("calm"), to, trouble: None };
        let troubled =
            TROUBLES.map(|(it, times, deed)| Case { name: name(it), to, trouble: Some((times, deed)) });
        [calm].into_iter().chain(troubled)
    };
    changes.iter().flat_map(of).collect()
}

/// A state as declarations write it.
fn word(state: State) -> String {
    format!("{state:?}")
}

/// Lets the tenant be asked as often as the test likes.
pub async fn allow_many_requests(stage: &Stage) {
    let spec = json!({"baseUrl": stage.sim.url(), "credentialsSecretRef": {"name": "default-credentials"},
                      "requestsPerSecond": 100, "burst": 200});
    stage.apply_tenant("default", spec).await;
}

/// A stage before a proxy, with such a tenant, the operator running.
pub async fn wide_stage() -> (Stage, Proxy) {
    let (mut stage, proxy) = behind_a_proxy().await;
    allow_many_requests(&stage).await;
    stage.start_operator(&[]);
    (stage, proxy)
}

/// The changes that PUTs have made to a campaign, at once or late.
pub fn changes_by_us(stage: &Stage, name: &str) -> Vec<LogEntry> {
    let ours =
        |e: &LogEntry| e.change.as_ref().is_some_and(|c| matches!(c.actor, Actor::Client | Actor::Late));
    stage.sim.changes(name).into_iter().filter(ours).collect()
}

/// No start has gone out whose intent the API server did not have by then.
pub fn assert_intents_first(stage: &Stage, asked: &[Asked], name: &str) {
    for put in stage.sim.puts(name).iter().filter(|put| put.body().unwrap()["status"] == "running") {
        let id = id_of(put);
        let persisted = asked.iter().any(|asked| {
            asked.writes(Write::Intent, name)
                && asked.at("/status/pendingTransition/id") == id.as_str()
                && asked.is_done()
                && asked.answered.is_some_and(|(_, at)| at <= put.at)
        });
        assert!(persisted, "the intent of {id} was not persisted before its PUT");
    }
}

/// Every transition on record has its one outcome, told alike everywhere; gives those that were applied.
pub async fn assert_told_once(stage: &Stage, name: &str) -> Vec<String> {
    let history = stage.get(name).await.status.unwrap().history;
    for record in &history {
        stage.assert_one_outcome(name, &record.id.to_string(), &record.outcome.to_string()).await;
    }
    let applied = history.iter().filter(|record| record.outcome == Outcome::Applied);
    applied.map(|record| record.id.to_string()).collect()
}

/// Changes campaigns while the writes of one kind meet troubles, and proves that each change comes about as if they had not.
async fn withstands(write: Write, changes: &[State]) {
    let (stage, proxy) = wide_stage().await;
    let cases = cases(changes);
    for case in &cases {
        stage.sim.campaign(ORG, &case.name).set(case.from());
        stage.declare(&case.name, &word(case.from()), json!({})).await;
    }
    for case in &cases {
        stage.until_ready(&case.name, "True", &word(case.from())).await;
    }
    for (case, (times, deed)) in cases.iter().filter_map(|case| Some((case, case.trouble?))) {
        let name = case.name.clone();
        proxy.next(times, move |asked| asked.writes(write, &name), deed);
        if write == Write::Status {
            // What is to be told has nothing to do with the change: the change must not wait for it.
            stage.annotate(&case.name, RECONCILE, Some("a look")).await;
            proxy.until("the trouble", |asked| asked.iter().any(|a| met(a, write, &case.name))).await;
        }
    }
    let mut delays = Vec::new();
    for case in &cases {
        let changed = Timestamp::now();
        stage.change(&case.name, json!({"state": word(case.to)})).await;
        delays.push((case, changed));
    }
    for case in &cases {
        stage.until_ready(&case.name, "True", &word(case.to)).await;
        let applied = assert_told_once(&stage, &case.name).await;
        let story = async || format!("{}\n{}", case.name, stage.story(&case.name).await);
        assert_eq!(stage.put_words(&case.name), [case.to.as_str()], "{}", story().await);
        assert_eq!(applied, [id_of(&stage.sim.puts(&case.name)[0])], "{}", story().await);
        assert_eq!(changes_by_us(&stage, &case.name).len(), 1, "{}", story().await);
        assert!(stage.get(&case.name).await.status.unwrap().external_pause.is_none(), "{}", story().await);
        let asked = proxy.asked();
        assert_intents_first(&stage, &asked, &case.name);
        let hits = asked.iter().filter(|asked| met(asked, write, &case.name)).count();
        let times = case.trouble.map_or(0, |(times, _)| usize::try_from(times).unwrap());
        // Another status is not tried again where the change gives something else to tell.
        let fewest = if write == Write::Status { times.min(1) } else { times };
        assert!((fewest..=times).contains(&hits), "{write:?} met trouble {hits} times: {}", story().await);
    }
    let delay = |(case, changed): &(&Case, Timestamp)| ms_after(*changed, &stage.sim.puts(&case.name)[0]);
    let closes: Vec<_> = delays.iter().filter(|(case, _)| case.to != State::Running).collect();
    let calm = closes.iter().find(|(case, _)| case.trouble.is_none()).map(|it| delay(it));
    for close in &closes {
        let (late, name) = (delay(close), &close.0.name);
        eprintln!("FIGURE {write:?} {name}: declared to PUT {late} ms");
        assert!(late <= calm.unwrap() + LATER_MS, "{late} ms\n{}", stage.story(name).await);
    }
}

/// Whether it is a write of that kind about this declaration, and met its trouble.
fn met(asked: &Asked, write: Write, name: &str) -> bool {
    asked.met && asked.writes(write, name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_whose_intent_meets_trouble_comes_about_once_and_never_without_it() {
    withstands(Write::Intent, &[State::Running]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_outcome_meets_trouble_comes_about_once_and_is_told_once() {
    withstands(Write::Outcome, &[State::Running, State::Paused]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_declared_while_another_status_meets_trouble_does_not_wait_for_it() {
    withstands(Write::Status, &[State::Running, State::Paused]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_finalizer_meets_trouble_comes_about_once_and_is_told_once() {
    withstands(Write::Finalizer, &[State::Running, State::Paused]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_event_meets_trouble_is_told_by_one_event_all_the_same() {
    withstands(Write::Event, &[State::Running, State::Paused]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_an_edge_no_trouble_with_any_write_makes_a_close_later() {
    let (stage, proxy) = wide_stage().await;
    let cases = cases(&[State::Paused]);
    for case in &cases {
        stage.sim.campaign(ORG, &case.name).set(State::Running);
        stage.declare(&case.name, "Running", json!({})).await;
    }
    for case in &cases {
        stage.until_ready(&case.name, "True", "Running").await;
    }
    let edge = in_seconds(15);
    for case in &cases {
        stage.change(&case.name, json!({"complianceWindow": closes_at(edge)})).await;
    }
    for case in &cases {
        let foreseen = |s: &CampaignStatus| {
            s.window.as_ref().is_some_and(|w| w.next_close.as_ref().is_some_and(|at| at.0 == edge))
        };
        stage.until(&case.name, "the new edge", foreseen).await;
    }
    for (case, (_, deed)) in cases.iter().filter_map(|case| Some((case, case.trouble?))) {
        let name = case.name.clone();
        let any = [Write::Outcome, Write::Status, Write::Finalizer, Write::Event];
        proxy.next(u32::MAX, move |asked| any.iter().any(|&write| asked.writes(write, &name)), deed);
        // From now on a write of it is in trouble, through the edge and beyond.
        stage.annotate(&case.name, RECONCILE, Some("a look")).await;
        proxy.until("the trouble", |asked| asked.iter().any(|a| met(a, Write::Status, &case.name))).await;
    }
    assert!(Timestamp::now() < edge, "the machine is too slow for an edge 15 s away");
    for case in &cases {
        let put = stage.until_puts(&case.name, 1).await.remove(0);
        let late = ms_after(edge, &put);
        eprintln!("FIGURE {}: edge to PUT {late} ms", case.name);
        assert!((0..=LATER_MS).contains(&late), "{}\n{}", case.name, stage.story(&case.name).await);
    }
    proxy.clear();
    for case in &cases {
        stage.until_ready(&case.name, "True", "OutsideWindow").await;
        assert_eq!(assert_told_once(&stage, &case.name).await.len(), 1);
        assert_eq!(stage.put_words(&case.name), ["paused"], "{}", stage.story(&case.name).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_every_watch_is_ten_seconds_late_edges_close_in_time_and_nothing_is_done_twice_or_taken_for_anothers()
 {
    let (stage, proxy) = wide_stage().await;
    let edge = in_seconds(25);
    let names = ["closes", "pauses", "starts"];
    stage.sim.campaign(ORG, "closes").set(State::Running);
    stage.declare("closes", "Running", json!({"complianceWindow": closes_at(edge)})).await;
    stage.sim.campaign(ORG, "pauses").set(State::Running);
    stage.declare("pauses", "Running", json!({"checkIntervalSeconds": 10})).await;
    stage.sim.campaign(ORG, "starts");
    stage.declare("starts", "Paused", json!({"checkIntervalSeconds": 10})).await;
    for (name, state) in names.into_iter().zip(["Running", "Running", "Paused"]) {
        stage.until_ready(name, "True", state).await;
    }
    let late = Duration::from_secs(10);
    proxy.rule(|asked| asked.query.contains("watch=true"), Deed::Delay(late));
    proxy.until_asked("the watch anew", |asked| asked.is_watch_of("dialercampaignstates")).await;
    stage.change("pauses", json!({"state": "Paused"})).await;
    stage.change("starts", json!({"state": "Running"})).await;

    let put = stage.until_puts("closes", 1).await.remove(0);
    eprintln!("FIGURE edge to PUT, watches late: {} ms", ms_after(edge, &put));
    assert!((0..=LATER_MS).contains(&ms_after(edge, &put)), "{}", stage.story("closes").await);
    for (name, reason) in [("closes", "OutsideWindow"), ("pauses", "Paused"), ("starts", "Running")] {
        stage.until_ready(name, "True", reason).await;
    }
    // The echo of the last write comes ten seconds later; then a look has come and gone.
    let echoed = Timestamp::now() + late;
    let looks = |log: &[LogEntry]| {
        let looked = |e: &LogEntry| e.is_request(simulator::Route::StateGet) && e.at > echoed;
        ["pauses", "starts"]
            .iter()
            .all(|name| log.iter().any(|e| looked(e) && e.campaign.as_deref() == Some(*name)))
    };
    stage.until_log("a look after the echo", looks).await;
    for name in names {
        assert_eq!(changes_by_us(&stage, name).len(), 1, "{}", stage.story(name).await);
        assert_eq!(stage.sim.puts(name).len(), 1, "{}", stage.story(name).await);
        assert_eq!(assert_told_once(&stage, name).await.len(), 1, "{}", stage.story(name).await);
        assert_nobody_else(&stage, name).await;
    }
    assert!(proxy.asked().iter().any(|asked| asked.met && asked.is_watch_of("dialercampaignstates")));
}

/// Nothing was taken for the doing of somebody else.
pub async fn assert_nobody_else(stage: &Stage, name: &str) {
    let status = stage.get(name).await.status.unwrap();
    assert!(status.external_pause.is_none(), "{}", stage.story(name).await);
    let reasons: Vec<_> = stage.events(name).await.into_iter().filter_map(|event| event.reason).collect();
    assert!(!reasons.iter().any(|reason| reason.starts_with("External")), "{reasons:?}");
    let lines = stage.audit(name);
    assert!(!lines.iter().any(|line| line["event"] == "EXTERNAL_CHANGE"), "{lines:#?}");
}
