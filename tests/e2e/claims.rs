//! Several declarations of one campaign: one owns it, the others do nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use rules::kinds::DialerCampaignState;
use serde_json::{Value, json};
use simulator::{Effect, Fault, FaultRoute, LogEntry, Route, Simulator, SimulatorConfig, State};

use crate::cluster::new_namespace;
use crate::stage::{ORG, Stage};

/// Creation is told in whole seconds: what is created after this is younger, and no tie.
async fn until_younger_than(object: &DialerCampaignState) {
    let created = object.metadata.creation_timestamp.clone().unwrap().0;
    // The API server's clock is ours.
    let next = created.as_second() + 1;
    while Timestamp::now().as_second() < next {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A declaration of the campaign `c-1` by another tenant of the same host.
fn rival() -> Value {
    json!({"campaignId": "c-1", "tenantRef": {"name": "second"}, "checkIntervalSeconds": 10})
}

/// The ids of all PUTs that were sent.
fn ids_on_the_wire(sim: &Simulator) -> BTreeSet<String> {
    let id = |e: &LogEntry| e.body().unwrap()["metadata"]["transitionId"].as_str().unwrap().to_owned();
    sim.puts("c-1").iter().map(id).collect()
}

/// The ids that a declaration has announced.
fn ids_of(stage: &Stage, name: &str) -> BTreeSet<String> {
    let lines = stage.audit(name);
    lines.iter().filter_map(|l| l["transactionId"].as_str()).map(str::to_owned).collect()
}

fn stalled_message(object: &DialerCampaignState) -> String {
    object.status.as_ref().unwrap().condition("Stalled").unwrap().message.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_declarations_of_one_campaign_the_oldest_owns_it_and_the_other_writes_nothing() {
    let stage = Stage::new().await;
    stage.add_tenant("second", ORG).await;
    stage.sim.campaign(ORG, "c-1");
    let first = stage.declare("first", "Running", json!({"campaignId": "c-1"})).await;
    stage.until_ready("first", "True", "Running").await;
    until_younger_than(&first).await;
    // Declared Stopped, it would close it.
    stage.declare("second", "Stopped", rival()).await;
    let object = stage.until_ready("second", "False", "DuplicateClaim").await;
    assert!(stalled_message(&object).contains("first"), "in one namespace the owner is named");
    assert!(object.finalizers().is_empty());

    stage.look("first").await;
    stage.change("second", json!({"state": "Paused"})).await;
    stage.until_ready("second", "False", "DuplicateClaim").await;
    stage.until_ready("first", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["running"], "{}", stage.story("second").await);
    assert_eq!(ids_on_the_wire(&stage.sim), ids_of(&stage, "first"));
    assert!(ids_of(&stage, "second").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loser_is_woken_at_once_when_the_owner_is_deleted() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    let first = stage.declare("first", "Paused", json!({"campaignId": "c-1"})).await;
    stage.until_ready("first", "True", "Paused").await;
    until_younger_than(&first).await;
    // The longest interval: only being woken brings it on in time.
    let spec = json!({"campaignId": "c-1", "checkIntervalSeconds": 600});
    stage.declare("second", "Running", spec).await;
    stage.until_ready("second", "False", "DuplicateClaim").await;

    stage.delete("first").await;
    let deleted = Timestamp::now();
    stage.until_ready("second", "True", "Running").await;
    let start = stage.sim.puts("c-1").pop().unwrap();
    let took = start.at.duration_since(deleted);
    println!("owner deleted to the loser's PUT: {} ms", took.as_millis());
    assert!(took.as_secs() < 3, "{took:#}");
    assert_eq!(stage.put_words("c-1"), ["paused", "running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_the_loser_leaves_the_campaign_alone() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1");
    let first = stage.declare("first", "Running", json!({"campaignId": "c-1"})).await;
    stage.until_ready("first", "True", "Running").await;
    until_younger_than(&first).await;
    stage.declare("second", "Running", json!({"campaignId": "c-1"})).await;
    stage.until_ready("second", "False", "DuplicateClaim").await;
    stage.delete("second").await;
    stage.until_gone("second").await;
    stage.look("first").await;
    stage.until_ready("first", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["running"]);
    let ended: Vec<Value> =
        stage.audit("second").into_iter().filter(|l| l["event"] == "SUPERVISION_ENDED").collect();
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0]["outcome"], "Retained", "it was never its own to leave running: {}", ended[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_the_loser_does_nothing_before_the_owner_has_been_looked_at() {
    let mut stage = Stage::new().await;
    // Two organisations behind one host: what one may do, and what hangs for it, is not the other's.
    stage.add_tenant("second", "beta").await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    let theirs = stage.sim.campaign("beta", "c-1");
    theirs.set(State::Running);
    let first = stage.declare("first", "Running", json!({"campaignId": "c-1"})).await;
    stage.until_ready("first", "True", "Running").await;
    until_younger_than(&first).await;
    stage.declare("second", "Stopped", rival()).await;
    stage.until_ready("second", "False", "DuplicateClaim").await;

    stage.operator.kill();
    stage.sim.fault(Fault::new(FaultRoute::StateGet, Effect::Delay { ms: 8_000 }).tenant(ORG));
    let before = stage.sim.last_seq();
    stage.start_operator(&[]);
    let read_by = |log: &[LogEntry], tenant: &str| {
        let new = log.iter().filter(|e| e.seq > before && e.tenant.as_deref() == Some(tenant));
        new.filter(|e| e.is_request(Route::StateGet) && e.status().is_some()).count()
    };
    // It has read the campaign and knows that it runs; the owner's read is still out.
    let log = stage.until_log("a read of the loser", |log| read_by(log, "beta") >= 1).await;
    assert_eq!(read_by(&log, ORG), 0, "the owner has not been looked at yet");
    stage.until_log("the read of the owner", |log| read_by(log, ORG) >= 1).await;
    stage.until_ready("first", "True", "Running").await;
    stage.until_ready("second", "False", "DuplicateClaim").await;
    assert!(stage.sim.puts("c-1").is_empty(), "{}", stage.story("second").await);
    assert_eq!(theirs.state(), State::Running);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_campaign_id_on_another_host_is_another_campaign() {
    let elsewhere = Simulator::start(SimulatorConfig::default()).await.unwrap();
    let stage = Stage::with_args(&["--allow-endpoint", &elsewhere.url()]).await;
    let tenant = elsewhere.tenant(ORG);
    stage.set_secret("second-credentials", &tenant.client_id(), &tenant.client_secret()).await;
    let spec = json!({"baseUrl": elsewhere.url(), "credentialsSecretRef": {"name": "second-credentials"}});
    stage.apply_tenant("second", spec).await;
    stage.sim.campaign(ORG, "c-1");
    elsewhere.campaign(ORG, "c-1").set(State::Running);
    stage.declare("first", "Running", json!({"campaignId": "c-1"})).await;
    stage.declare("second", "Paused", rival()).await;
    stage.until_ready("first", "True", "Running").await;
    stage.until_ready("second", "True", "Paused").await;
    assert_eq!(stage.put_words("c-1"), ["running"]);
    let words: Vec<_> = elsewhere.puts("c-1").iter().map(|p| p.body().unwrap()["status"].clone()).collect();
    assert_eq!(words, ["paused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_namespaces_the_oldest_owns_it_and_the_loser_learns_no_name() {
    let mut stage = Stage::on_own_cluster_without_operator().await;
    stage.start_operator(&["--all-namespaces"]);
    stage.sim.campaign(ORG, "c-1");
    let spec = json!({"campaignId": "c-1"});
    let first = stage.declare("the-secret-project", "Running", spec.clone()).await;
    stage.until_ready("the-secret-project", "True", "Running").await;
    until_younger_than(&first).await;

    let theirs = new_namespace(&stage.client).await;
    let ours = std::mem::replace(&mut stage.namespace, theirs.clone());
    stage.add_tenant("default", ORG).await;
    stage.declare("second", "Paused", spec).await;
    let object = stage.until_ready("second", "False", "DuplicateClaim").await;
    let told = serde_json::to_string(&json!([object.status, stage.events("second").await])).unwrap();
    let audit = serde_json::to_string(&stage.audit("second")).unwrap();
    for name in ["the-secret-project", ours.as_str()] {
        assert!(!told.contains(name), "{told}");
        assert!(!audit.contains(name), "{audit}");
    }
    assert_eq!(stage.put_words("c-1"), ["running"]);

    // When the owner goes the loser is woken over namespaces too.
    stage.namespace = ours;
    stage.delete("the-secret-project").await;
    stage.until_gone("the-secret-project").await;
    stage.namespace = theirs;
    stage.until_ready("second", "True", "Paused").await;
    assert_eq!(stage.put_words("c-1"), ["running", "paused"], "paused by the owner's own deletion");
}
