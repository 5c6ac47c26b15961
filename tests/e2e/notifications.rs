//! Notifications: each confirmed transition reaches the sinks or is put on record as lost, and none is in anybody's way.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::Patch;
use rules::kinds::{CampaignStatus, DialerCampaignState};
use serde_json::{Value, json};
use simulator::{Effect, Fault, FaultRoute};

use crate::receiver::{Answer, Receiver, SECRET};
use crate::stage::{ORG, PATIENCE, Stage, hand, id_of};

pub const WORKFORCE: &str = "/workforce";
const AGENTS: &str = "/agents";

/// A stage whose operator may tell this receiver; it is not running yet, and the tenant names no sink.
async fn stage() -> (Stage, Receiver) {
    (Stage::without_operator().await, Receiver::start().await)
}

pub fn start(stage: &mut Stage, receiver: &Receiver) {
    stage.start_operator(&["--allow-sink", &receiver.url]);
}

/// Lets the tenant name these sinks.
pub async fn name_sinks(stage: &Stage, sinks: Value) {
    let mut spec =
        json!({"baseUrl": stage.sim.url(), "credentialsSecretRef": {"name": "default-credentials"}});
    spec.as_object_mut().unwrap().extend(sinks.as_object().unwrap().clone());
    stage.apply_tenant("default", spec).await;
}

pub fn sink(receiver: &Receiver, path: &str) -> Value {
    json!({"url": format!("{}{path}", receiver.url)})
}

fn signed(receiver: &Receiver, path: &str) -> Value {
    json!({"url": format!("{}{path}", receiver.url), "signingSecretRef": {"name": "hooks", "key": "signing"}})
}

async fn write_signing_secret(stage: &Stage, secret: &str) {
    let secrets: Api<Secret> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hooks"},
                      "stringData": {"signing": secret}});
    secrets.patch("hooks", &hand(), &Patch::Apply(body)).await.unwrap();
}

/// A running operator, and a campaign that waits to be started; the workforce scheduler is told.
pub async fn told() -> (Stage, Receiver) {
    let (mut stage, receiver) = stage().await;
    name_sinks(&stage, json!({"workforce": sink(&receiver, WORKFORCE)})).await;
    stage.sim.campaign(ORG, "c-1");
    start(&mut stage, &receiver);
    stage.until_tenant("default", "True", "TenantReady").await;
    (stage, receiver)
}

pub async fn becomes(stage: &Stage, state: &str) -> DialerCampaignState {
    stage.declare("c-1", state, json!({})).await;
    stage.until_ready("c-1", "True", state).await
}

pub async fn until_outbox(stage: &Stage, count: usize) -> CampaignStatus {
    let what = format!("{count} notifications waiting");
    stage.until("c-1", &what, |s| s.notifications.len() == count).await.status.unwrap()
}

/// Whether an audit line tells of a notification that was not taken, for the first time or for good.
pub fn is_sync_failure(line: &Value, last: bool) -> bool {
    line["event"] == "WORKFORCE_SYNC_FAILED" && line["final"] == last
}

pub fn sync_failures(stage: &Stage, last: bool) -> Vec<Value> {
    stage.audit("c-1").into_iter().filter(|line| is_sync_failure(line, last)).collect()
}

/// Waits until that many audit lines are as told, and gives them.
pub async fn until_lines(stage: &Stage, count: usize, told: impl Fn(&Value) -> bool) -> Vec<Value> {
    let lines = || stage.audit("c-1").into_iter().filter(|line| told(line)).collect::<Vec<_>>();
    let begun = Instant::now();
    while lines().len() < count && begun.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(lines().len(), count, "{:#?}\n{}", lines(), stage.story("c-1").await);
    lines()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_confirmed_transition_is_delivered_once_to_both_sinks_signed_and_in_the_agreed_words() {
    let (mut stage, receiver) = stage().await;
    write_signing_secret(&stage, SECRET).await;
    name_sinks(
        &stage,
        json!({"workforce": signed(&receiver, WORKFORCE), "agentPool": signed(&receiver, AGENTS)}),
    )
    .await;
    stage.sim.campaign(ORG, "c-1");
    start(&mut stage, &receiver);
    stage.declare("c-1", "Running", json!({"resumeMode": "Gradual"})).await;
    stage.until_ready("c-1", "True", "Running").await;
    becomes(&stage, "Stopped").await;
    let workforce = receiver.until_taken(WORKFORCE, 2).await;
    let agents = receiver.until_taken(AGENTS, 2).await;
    let status = until_outbox(&stage, 0).await;

    let puts: Vec<String> = stage.sim.puts("c-1").iter().map(id_of).collect();
    for (nth, word) in ["running", "stopped"].into_iter().enumerate() {
        let record = status.history.iter().find(|r| r.id.to_string() == puts[nth]).unwrap();
        let (told, pool) = (workforce[nth].json(), agents[nth].json());
        assert_eq!(workforce[nth].id(), format!("{}-workforce", record.id));
        assert_eq!(agents[nth].id(), format!("{}-agentpool", record.id));
        assert_eq!((&told["event"], &told["campaignId"]), (&json!("DIALER_STATE_CHANGE"), &json!("c-1")));
        assert_eq!((&told["status"], &pool["newStatus"]), (&json!(word), &json!(word)));
        assert_eq!((&pool["campaignId"], &pool["latencyMs"]), (&json!("c-1"), &json!(record.latency_ms)));
    }
    assert_eq!(
        (&workforce[0].json()["pacingDirective"], &agents[0].json()["resumeMode"]),
        (&json!("ramp_up"), &json!("gradual"))
    );
    workforce.iter().chain(&agents).for_each(|delivery| delivery.assert_signed());
    assert_eq!((receiver.log(WORKFORCE).len(), receiver.log(AGENTS).len()), (2, 2), "once each");
    assert!(sync_failures(&stage, false).is_empty() && sync_failures(&stage, true).is_empty());
    stage.until_metric(r#"dialer_notifications_total{sink="workforce",outcome="delivered"} 2"#).await;
    stage.until_metric("dialer_notifications_pending 0").await;
    stage.until_metric(r#"dialer_transition_seconds_count{to="Stopped",outcome="Applied"} 1"#).await;
    let tenant = stage.until_tenant("default", "True", "TenantReady").await;
    for (condition, reason) in [("SinksAllowed", "AllAllowed"), ("SigningSecretsFound", "AllFound")] {
        let told = tenant.conditions.iter().find(|c| c.type_ == condition).expect(condition);
        assert_eq!((told.status.as_str(), told.reason.as_str()), ("True", reason));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transition_that_did_not_come_about_is_told_to_nobody() {
    let (stage, receiver) = told().await;
    name_sinks(&stage, json!({"workforce": sink(&receiver, WORKFORCE), "timeoutSeconds": 2})).await;
    stage.sim.fault(Fault::new(FaultRoute::StatePut, Effect::Lie).times(1));
    stage.declare("c-1", "Running", json!({})).await;
    stage.until_ready("c-1", "True", "Running").await;
    receiver.until_taken(WORKFORCE, 1).await;
    until_outbox(&stage, 0).await;
    let ids: Vec<_> = stage.sim.puts("c-1").iter().map(id_of).collect();
    stage.assert_one_outcome("c-1", &ids[0], "NotApplied").await;
    let told: Vec<_> = receiver.log(WORKFORCE).iter().map(|d| d.id()).collect();
    assert_eq!(told, [format!("{}-workforce", ids[1])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_notify_agent_pool_off_the_agent_pool_hears_nothing() {
    let (stage, receiver) = told().await;
    name_sinks(
        &stage,
        json!({"workforce": sink(&receiver, WORKFORCE), "agentPool": sink(&receiver, AGENTS)}),
    )
    .await;
    stage.declare("c-1", "Running", json!({"notifyAgentPool": false})).await;
    stage.until_ready("c-1", "True", "Running").await;
    receiver.until_taken(WORKFORCE, 1).await;
    until_outbox(&stage, 0).await;
    assert!(receiver.log(AGENTS).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn they_arrive_in_order_though_the_receiver_refuses_the_first_for_a_while() {
    let (stage, receiver) = told().await;
    receiver.answers([500, 500, 404].map(Answer::Status));
    for state in ["Running", "Paused", "Stopped"] {
        becomes(&stage, state).await;
    }
    receiver.until_taken(WORKFORCE, 3).await;
    let log = receiver.log(WORKFORCE);
    let words: Vec<_> = log.iter().map(|d| d.json()["status"].as_str().unwrap().to_owned()).collect();
    assert_eq!(words, ["running", "running", "running", "running", "paused", "stopped"]);
    assert!(
        log[..4].iter().all(|d| d.id() == log[0].id() && d.body == log[0].body),
        "the same over all tries"
    );
    let gaps: Vec<_> = log[..4].windows(2).map(|two| two[1].at - two[0].at).collect();
    for (gap, least) in gaps.iter().zip([1, 2, 4]) {
        assert!(*gap >= Duration::from_secs(least), "{gaps:?}");
    }
    let told = sync_failures(&stage, false);
    let why: Vec<_> = told.iter().map(|line| line["message"].as_str().unwrap()).collect();
    let expected = ["it answered with status 500", "it answered with status 404"];
    assert_eq!(why, expected, "one line for each reason, not for each try: {told:#?}");
    assert_eq!((&told[0]["webhookId"], &told[0]["sink"]), (&json!(log[0].id()), &json!("workforce")));
    stage.until_metric(r#"dialer_notifications_total{sink="workforce",outcome="failed"} 3"#).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_heeded() {
    let (stage, receiver) = told().await;
    receiver.answers([Answer::Later(6)]);
    becomes(&stage, "Running").await;
    receiver.until_taken(WORKFORCE, 1).await;
    let log = receiver.log(WORKFORCE);
    assert_eq!(log.len(), 2);
    let gap = log[1].at - log[0].at;
    assert!((6.0..9.0).contains(&gap.as_secs_f64()), "{gap:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_receiver_is_down_transitions_are_as_quick_and_nothing_is_lost_over_kill_9() {
    let (mut stage, receiver) = (Stage::without_operator().await, Receiver::down().await);
    name_sinks(&stage, json!({"workforce": sink(&receiver, WORKFORCE)})).await;
    stage.sim.campaign(ORG, "c-1");
    start(&mut stage, &receiver);
    for state in ["Running", "Paused"] {
        becomes(&stage, state).await;
    }
    let status = until_outbox(&stage, 2).await;
    assert!(status.history.iter().all(|r| r.latency_ms < 2_000), "{:#?}", status.history);
    stage.operator.kill();
    let before = stage.get("c-1").await.status.unwrap().notifications;
    receiver.open().await;
    start(&mut stage, &receiver);
    let taken = receiver.until_taken(WORKFORCE, 2).await;
    let ids: Vec<_> = taken.iter().map(|d| d.id()).collect();
    assert_eq!(ids, before.iter().map(|n| n.webhook_id.clone()).collect::<Vec<_>>());
    for (delivery, waiting) in taken.iter().zip(&before) {
        assert_eq!(delivery.body, waiting.body("c-1"));
    }
    until_outbox(&stage, 0).await;
    assert!(sync_failures(&stage, true).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_a_try_bears_the_same_id_and_the_same_bytes() {
    let (mut stage, receiver) = told().await;
    receiver.answers([Answer::Hang]);
    becomes(&stage, "Running").await;
    receiver.until(WORKFORCE, "the first try", |log| !log.is_empty()).await;
    stage.operator.kill();
    start(&mut stage, &receiver);
    receiver.until_taken(WORKFORCE, 1).await;
    let log = receiver.log(WORKFORCE);
    assert_eq!((log[0].id(), &log[0].body), (log[1].id(), &log[1].body));
    until_outbox(&stage, 0).await;
    assert_eq!(receiver.log(WORKFORCE).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_is_not_allowed_gets_nothing_is_said_and_stops_nobody() {
    let (mut stage, receiver) = stage().await;
    let allowed = Receiver::start().await;
    name_sinks(&stage, json!({"workforce": sink(&receiver, WORKFORCE), "agentPool": sink(&allowed, AGENTS)}))
        .await;
    stage.sim.campaign(ORG, "c-1");
    start(&mut stage, &allowed);
    becomes(&stage, "Running").await;
    allowed.until_taken(AGENTS, 1).await;
    let status = until_outbox(&stage, 0).await;
    assert!(receiver.log(WORKFORCE).is_empty());
    assert!(status.lost_notifications.is_empty(), "there was nothing to lose");
    let tenant = stage.until_tenant("default", "True", "TenantReady").await;
    let told = tenant.conditions.iter().find(|c| c.type_ == "SinksAllowed").unwrap();
    assert_eq!((told.status.as_str(), told.reason.as_str()), ("False", "SinkNotAllowed"));
    assert!(told.message.starts_with("workforce: 127.0.0.1:"), "{}", told.message);
    assert!(told.message.contains(&format!("--allow-sink {}", receiver.url)), "{}", told.message);
    assert!(!told.message.contains("agentPool"));
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_endless_answers_and_silence_do_no_harm() {
    let (stage, receiver) = told().await;
    let other = Receiver::start().await;
    receiver.answers([Answer::Elsewhere(format!("{}/there", other.url)), Answer::Hang, Answer::Endless]);
    let quick = Instant::now();
    becomes(&stage, "Running").await;
    becomes(&stage, "Paused").await;
    assert!(quick.elapsed() < Duration::from_secs(10), "{:?}", quick.elapsed());
    receiver.until_taken(WORKFORCE, 2).await;
    let log = receiver.log(WORKFORCE);
    // The first is redirected, then not answered for 5 s, then taken.
    assert_eq!(log.len(), 4, "{log:#?}");
    assert!(log[2].at - log[1].at >= Duration::from_secs(5));
    assert!(other.log("/there").is_empty(), "a redirect is not followed");
    until_outbox(&stage, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_signing_secret_nothing_is_sent_and_that_is_said_until_it_is_there() {
    let (mut stage, receiver) = stage().await;
    name_sinks(&stage, json!({"workforce": signed(&receiver, WORKFORCE)})).await;
    stage.sim.campaign(ORG, "c-1");
    start(&mut stage, &receiver);
    becomes(&stage, "Running").await;
    let tenant = stage.until_tenant("default", "True", "TenantReady").await;
    let told = tenant.conditions.iter().find(|c| c.type_ == "SigningSecretsFound").unwrap();
    assert_eq!((told.status.as_str(), told.reason.as_str()), ("False", "SigningSecretMissing"));
    assert!(told.message.contains("the signing secret hooks: it does not exist"), "{}", told.message);
    let failed = until_lines(&stage, 1, |line| is_sync_failure(line, false)).await;
    assert_eq!(failed[0]["message"], "the signing secret hooks: it does not exist");
    write_signing_secret(&stage, "hunter2-is-none").await;
    write_signing_secret(&stage, SECRET).await;
    receiver.until_taken(WORKFORCE, 1).await[0].assert_signed();
    assert_eq!(receiver.log(WORKFORCE).len(), 1, "never unsigned");
    let told = format!("{}{}", stage.operator.log(), stage.operator.printed());
    assert!(!told.contains(&SECRET[6..]) && !told.contains("hunter2"), "{told}");
}
