//! The brakes that people have: hold, suspend, Observe. And that nothing is written while nothing changes.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use rules::kinds::{CampaignStatus, DialerCampaignState, HOLD, Observed};
use serde_json::{Value, json};
use simulator::{Campaign, LogEntry, Route, State};

use crate::hours::closed_now;
use crate::stage::{ORG, Stage};

/// The design's word for "at once": an action starts within a second of its cause.
const AT_ONCE: Duration = Duration::from_secs(1);

async fn running(stage: &Stage, spec: Value) -> Campaign {
    let campaign = stage.sim.campaign(ORG, "c-1");
    campaign.set(State::Running);
    stage.declare("c-1", "Running", spec).await;
    stage.until_ready("c-1", "True", "Running").await;
    assert!(stage.sim.puts("c-1").is_empty(), "it runs already: nothing to do");
    campaign
}

fn message<'a>(object: &'a DialerCampaignState, condition: &str) -> &'a str {
    let status: &CampaignStatus = object.status.as_ref().unwrap();
    &status.condition(condition).unwrap().message
}

fn routes(log: &[LogEntry]) -> Vec<Route> {
    log.iter().filter_map(|e| e.request.as_ref().map(|r| r.route)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hold_annotation_pauses_at_once_and_its_removal_resumes_through_the_gates() {
    let stage = Stage::new().await;
    running(&stage, json!({})).await;
    stage.annotate("c-1", HOLD, Some("bad list")).await;
    let annotated = Timestamp::now();
    let put = stage.until_puts("c-1", 1).await.remove(0);
    let took = Duration::try_from(put.at.duration_since(annotated)).unwrap_or_default();
    println!("hold to PUT: {} ms", took.as_millis());
    assert!(took < AT_ONCE, "{took:?}");

    let object = stage.until_ready("c-1", "True", "Manual").await;
    assert!(message(&object, "Ready").contains("bad list"));
    assert!(message(&object, "Held").contains("bad list"));
    assert_eq!(stage.put_words("c-1"), ["paused"]);
    let status = object.status.unwrap();
    assert_eq!(status.last_transition.unwrap().cause.to_string(), "Manual");

    let before = stage.sim.last_seq();
    stage.annotate("c-1", HOLD, None).await;
    let removed = Timestamp::now();
    stage.until_ready("c-1", "True", "Running").await;
    let since = stage.sim.requests_since(before);
    let start = since.iter().find(|e| e.is_put("c-1")).unwrap();
    println!("hold removed to PUT: {} ms", start.at.duration_since(removed).as_millis());
    let sent = routes(&since);
    let put = sent.iter().position(|r| *r == Route::StatePut).unwrap();
    assert!(sent[..put].ends_with(&[Route::StateGet, Route::Stats]), "{sent:?}");
    assert_eq!(stage.put_words("c-1"), ["paused", "running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_without_a_text_holds_too_and_a_text_without_end_is_cut() {
    let stage = Stage::new().await;
    running(&stage, json!({})).await;
    stage.annotate("c-1", HOLD, Some("")).await;
    stage.until_ready("c-1", "True", "Manual").await;
    stage.annotate("c-1", HOLD, Some(&"x".repeat(10_000))).await;
    let object = stage
        .until("c-1", "the new text", |s| s.condition("Held").is_some_and(|c| c.message.contains("xxx")))
        .await;
    assert!(message(&object, "Held").len() < 256);
    assert_eq!(stage.put_words("c-1"), ["paused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_nothing_starts_and_the_declaration_is_not_applied() {
    let stage = Stage::new().await;
    let campaign = stage.sim.campaign(ORG, "c-1");
    let spec = json!({"suspend": true, "checkIntervalSeconds": 10});
    stage.declare("c-1", "Running", spec.clone()).await;
    stage.until_ready("c-1", "True", "Suspended").await;
    stage.look("c-1").await;
    campaign.set(State::Running);
    for state in ["Paused", "Stopped"] {
        stage.change("c-1", json!({"state": state})).await;
        stage.look("c-1").await;
        let object = stage.until_ready("c-1", "True", "Suspended").await;
        assert_eq!(object.status.unwrap().observed, Some(Observed::Running));
    }
    assert!(stage.sim.puts("c-1").is_empty(), "{}", stage.story("c-1").await);

    stage.change("c-1", json!({"suspend": false})).await;
    stage.until_ready("c-1", "True", "Stopped").await;
    assert_eq!(stage.put_words("c-1"), ["stopped"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_the_end_of_the_hours_and_a_hold_still_pause() {
    let stage = Stage::new().await;
    let campaign = running(&stage, json!({})).await;
    stage.change("c-1", json!({"suspend": true})).await;
    stage.until_ready("c-1", "True", "Suspended").await;
    stage.annotate("c-1", HOLD, Some("stop the calls")).await;
    stage.until_puts("c-1", 1).await;
    stage.until_ready("c-1", "True", "Suspended").await;
    stage.annotate("c-1", HOLD, None).await;
    stage.look("c-1").await;
    assert_eq!(stage.put_words("c-1"), ["paused"], "and nothing starts it again");

    campaign.set(State::Running);
    stage.look("c-1").await;
    stage.change("c-1", json!({"complianceWindow": closed_now()})).await;
    stage.until_puts("c-1", 2).await;
    stage.until_ready("c-1", "True", "Suspended").await;
    assert_eq!(stage.put_words("c-1"), ["paused", "paused"]);
    assert_eq!(campaign.state(), State::Paused);
}

#[tokio::test(flavor = "multi_thread")]
async fn observing_nothing_is_written_to_cxone_and_what_would_be_done_is_said() {
    let stage = Stage::new().await;
    let campaign = stage.sim.campaign(ORG, "c-1");
    stage.declare("c-1", "Running", json!({"mode": "Observe"})).await;
    let object = stage.until_ready("c-1", "True", "Observe").await;
    assert!(message(&object, "Ready").contains("a start would be tried"), "{}", message(&object, "Ready"));
    stage.change("c-1", json!({"state": "Stopped"})).await;
    let object = stage.until_ready("c-1", "True", "Observe").await;
    assert!(
        message(&object, "Ready").contains("Stopped would be asked for"),
        "{}",
        message(&object, "Ready")
    );
    campaign.set(State::Stopped);
    stage.look("c-1").await;
    let object = stage.until_ready("c-1", "True", "Observe").await;
    assert!(message(&object, "Ready").contains("nothing would be done"), "{}", message(&object, "Ready"));
    assert!(stage.sim.puts("c-1").is_empty(), "{}", stage.story("c-1").await);
    assert!(object.finalizers().is_empty(), "deleting it must do nothing either");
}

#[tokio::test(flavor = "multi_thread")]
async fn observing_what_runs_where_it_may_not_is_a_violation_that_condition_event_and_metric_tell() {
    let stage = Stage::new().await;
    let campaign = stage.sim.campaign(ORG, "c-1");
    campaign.set(State::Running);
    stage.declare("c-1", "Running", json!({"mode": "Observe", "complianceWindow": closed_now()})).await;
    let object = stage.until_ready("c-1", "False", "OutsideWindow").await;
    let violation = object.status.as_ref().unwrap().condition("Violation").unwrap();
    assert_eq!(violation.status, "True");
    assert!(violation.message.contains("mode Observe"), "{}", violation.message);
    let gauge = format!("dialer_violation{{namespace=\"{}\",name=\"c-1\"}} 1", stage.namespace);
    let text = stage.operator.metrics().await;
    assert!(text.contains(&gauge), "{text}");
    stage.look("c-1").await;
    stage.look("c-1").await;
    let events = stage.events("c-1").await;
    let warnings: Vec<_> = events.iter().filter(|e| e.reason.as_deref() == Some("Violation")).collect();
    assert_eq!(warnings.len(), 1, "once, not with every look: {events:#?}");
    assert_eq!(warnings[0].type_.as_deref(), Some("Warning"));

    campaign.set(State::Paused);
    stage.look("c-1").await;
    let object = stage.until_ready("c-1", "True", "Observe").await;
    assert!(object.status.unwrap().condition("Violation").is_none());
    let text = stage.operator.metrics().await;
    assert!(!text.contains(&gauge), "{text}");
    assert!(stage.sim.puts("c-1").is_empty());
}

/// What a quiet operator leaves as it is.
async fn traces(stage: &Stage) -> Value {
    let version = |object: DialerCampaignState| object.resource_version();
    // An identical write would leave the version as it is: they are counted where they are made.
    let text = stage.operator.metrics().await;
    let writes = text.lines().find(|line| line.starts_with("dialer_status_writes_total")).expect("a counter");
    // Where the audit record ended before is told within a minute.
    let quiet = [" DEBUG ", " TRACE ", "audit head"];
    let above_debug = |line: &&str| !quiet.iter().any(|word| line.contains(word));
    json!({
        "running": version(stage.get("c-1").await),
        "held": version(stage.get("c-2").await),
        "tenant": stage.tenants().get("default").await.unwrap().resource_version(),
        "writes": writes,
        "events": stage.events("c-1").await.len() + stage.events("c-2").await.len(),
        "audit": stage.operator.audit().len(),
        "log": stage.operator.log().lines().filter(above_debug).count(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nothing_changes_nothing_is_written_though_six_looks_are_taken() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1");
    stage.sim.campaign(ORG, "c-2");
    stage.declare("c-1", "Running", json!({"checkIntervalSeconds": 10})).await;
    let held = json!({"checkIntervalSeconds": 10, "complianceWindow": closed_now()});
    stage.declare("c-2", "Running", held).await;
    for (name, reason) in [("c-1", "Running"), ("c-2", "OutsideWindow")] {
        stage.until_ready(name, "True", reason).await;
        stage.look(name).await;
    }
    stage.until_tenant("default", "True", "TenantReady").await;
    let reads = |log: &[LogEntry], id: &str| {
        log.iter().filter(|e| e.is_request(Route::StateGet) && e.campaign.as_deref() == Some(id)).count()
    };
    // The tenant tells the number of its campaigns a moment later.
    let counted = |t: Option<&rules::kinds::CXoneTenant>| {
        t.and_then(|t| t.status.as_ref()).is_some_and(|s| s.campaigns == Some(2))
    };
    kube::runtime::wait::await_condition(stage.tenants(), "default", counted).await.unwrap();

    let before = traces(&stage).await;
    let (from, begun) = (stage.sim.last_seq(), Timestamp::now());
    let six = |log: &[LogEntry]| {
        let new: Vec<LogEntry> = log.iter().filter(|e| e.seq > from).cloned().collect();
        reads(&new, "c-1") >= 6 && reads(&new, "c-2") >= 6
    };
    stage.sim.wait_for(six, Duration::from_secs(120)).await.unwrap();
    let span = Timestamp::now().duration_since(begun);
    assert!(span.as_secs() >= 50, "six looks at an interval of 10 s took {span:#}");
    assert_eq!(traces(&stage).await, before, "{}", stage.story("c-1").await);
    let since = routes(&stage.sim.requests_since(from));
    let looks = since.iter().filter(|r| **r == Route::StateGet).count();
    println!("{looks} reads, {} requests in {span:#}", since.len());
    assert!(since.iter().all(|r| matches!(r, Route::StateGet | Route::Token)), "{since:?}");
}
