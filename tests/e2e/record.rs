//! What is put on record: the audit lines, history, events; and what must never be.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, CustomResourceExt, Resource, ResourceExt};
use rules::kinds::{DialerCampaignState, HOLD};
use serde_json::{Value, json};
use simulator::{Effect, Fault, FaultRoute, Route, State};

use crate::hours::{around_the_clock, closed_now};
use crate::operator::told as told_by;
use crate::stage::{ORG, PATIENCE, Stage, hand, id_of};

async fn hold(stage: &Stage) {
    stage.annotate("c-1", HOLD, Some("for a moment")).await;
    stage.until_ready("c-1", "True", "Manual").await;
}

async fn let_run(stage: &Stage) {
    stage.annotate("c-1", HOLD, None).await;
    stage.until_ready("c-1", "True", "Running").await;
}

/// A campaign that was started and runs.
async fn started(stage: &Stage) {
    stage.sim.campaign(ORG, "c-1");
    stage.declare("c-1", "Running", json!({"checkIntervalSeconds": 10})).await;
    stage.until_ready("c-1", "True", "Running").await;
}

fn of_event<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_put_is_announced_before_it_goes_out_and_has_one_outcome_under_one_id() {
    let stage = Stage::new().await;
    started(&stage).await;
    hold(&stage).await;
    let_run(&stage).await;
    stage.change("c-1", json!({"state": "Stopped"})).await;
    let object = stage.until_ready("c-1", "True", "Stopped").await;

    let puts = stage.sim.puts("c-1");
    assert_eq!(stage.put_words("c-1"), ["running", "paused", "running", "stopped"]);
    // The Event follows the status, and is waited for here.
    stage.assert_one_outcome("c-1", &id_of(&puts[3]), "Applied").await;
    let lines = stage.audit("c-1");
    let notes: Vec<String> = stage.events("c-1").await.into_iter().filter_map(|e| e.note).collect();
    let history = object.status.as_ref().unwrap().history.clone();
    for (put, record) in puts.iter().zip(history.iter().rev()) {
        let id = put.body().unwrap()["metadata"]["transitionId"].as_str().unwrap();
        assert_eq!(record.id.to_string(), id);
        let of_it: Vec<&Value> = lines.iter().filter(|l| l["transactionId"] == id).collect();
        let phases: Vec<_> = of_it.iter().map(|l| l["phase"].as_str().unwrap()).collect();
        assert_eq!(phases, ["intent", "outcome"], "{of_it:#?}");
        let announced: jiff::Timestamp = of_it[0]["timestamp"].as_str().unwrap().parse().unwrap();
        assert!(announced <= put.at, "announced {announced}, came in {}", put.at);
        assert_eq!(of_it[1]["outcome"], "Applied");
        assert_eq!(of_it[1]["latencyMs"], record.latency_ms);
        for line in of_it {
            assert_eq!((&line["campaignId"], &line["tenant"]), (&json!("c-1"), &json!("default")));
            assert!(line["complianceCheck"]["compliance window"].is_string(), "{line}");
        }
        assert_eq!(notes.iter().filter(|note| note.contains(id)).count(), 1, "{notes:#?}");
    }
    assert_eq!(object.status.unwrap().last_transition.as_ref(), history.first());
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_output_and_the_audit_file_hold_the_same_lines() {
    let mut stage = Stage::new().await;
    started(&stage).await;
    hold(&stage).await;
    assert!(stage.operator.stop());
    let printed = told_by(&stage.operator.printed());
    assert!(printed.len() >= 4);
    assert_eq!(printed, stage.operator.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_start_is_one_line_for_each_change_of_the_verdicts_and_none_for_a_look() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1");
    stage.declare("c-1", "Running", json!({"complianceWindow": closed_now()})).await;
    stage.until_ready("c-1", "True", "OutsideWindow").await;
    let reasons = || -> Vec<String> {
        let lines = stage.audit("c-1");
        of_event(&lines, "TRANSITION_BLOCKED")
            .iter()
            .map(|l| l["reason"].as_str().unwrap().to_owned())
            .collect()
    };
    for _ in 0..3 {
        stage.look("c-1").await;
    }
    assert_eq!(reasons(), ["OutsideWindow"]);
    hold(&stage).await;
    stage.look("c-1").await;
    assert_eq!(reasons(), ["OutsideWindow", "Manual"]);
    stage.annotate("c-1", HOLD, None).await;
    stage.until_ready("c-1", "True", "OutsideWindow").await;
    stage.look("c-1").await;
    assert_eq!(reasons(), ["OutsideWindow", "Manual", "OutsideWindow"]);
    let events = stage.events("c-1").await;
    assert_eq!(events.len(), 3, "an event for each refusal: {events:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_audit_log_starts_are_held_and_closes_go_on_until_it_can_be_written_again() {
    let mut stage = Stage::without_operator().await;
    let path = stage.folder.path().join("audit.jsonl");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    stage.sim.campaign(ORG, "c-1");
    stage.sim.campaign(ORG, "c-2").set(State::Running);
    stage.start_operator(&[]);
    stage.declare("c-2", "Paused", json!({})).await;
    stage.until_ready("c-2", "True", "Paused").await;
    assert_eq!(stage.put_words("c-2"), ["paused"]);
    assert!(stage.operator.printed().contains("\"intent\""), "the line of a close stands on standard output");

    stage.declare("c-1", "Running", json!({"checkIntervalSeconds": 10})).await;
    stage.until_ready("c-1", "True", "AuditUnavailable").await;
    // An Event follows its status; the look is another pass's, after it.
    let object = stage.look("c-1").await;
    // Held is held: it is not tried again and again, and nothing is told anew, for longer than the log is left alone.
    let (version, events) = (object.resource_version(), stage.events("c-1").await.len());
    let from = stage.sim.last_seq();
    let reads = |log: &[simulator::LogEntry]| {
        let new = log.iter().filter(|e| e.seq > from && e.campaign.as_deref() == Some("c-1"));
        new.filter(|e| e.is_request(Route::StateGet)).count() >= 3
    };
    stage.until_log("three looks at what is held", reads).await;
    assert_eq!(stage.get("c-1").await.resource_version(), version, "{}", stage.story("c-1").await);
    assert_eq!(stage.events("c-1").await.len(), events);
    assert!(stage.sim.puts("c-1").is_empty());

    std::fs::remove_file(&path).unwrap();
    stage.until_ready("c-1", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["running"]);
    let lines = stage.operator.audit();
    let told: BTreeSet<_> = lines.iter().map(|l| (l["name"].to_string(), l["phase"].to_string())).collect();
    for name in ["\"c-1\"", "\"c-2\""] {
        assert!(
            told.contains(&(name.into(), "\"intent\"".into())),
            "what could not be written follows: {lines:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn history_keeps_the_last_ten_transitions_newest_first() {
    let stage = Stage::new().await;
    started(&stage).await;
    for _ in 0..6 {
        hold(&stage).await;
        let_run(&stage).await;
    }
    let status = stage.get("c-1").await.status.unwrap();
    stage.assert_one_outcome("c-1", &status.history[0].id.to_string(), "Applied").await;
    let lines = stage.audit("c-1");
    let outcomes = lines.iter().filter(|l| l["phase"] == "outcome");
    let mut all: Vec<String> = outcomes.map(|l| l["transactionId"].as_str().unwrap().to_owned()).collect();
    assert_eq!(all.len(), 13);
    all.reverse();
    let kept: Vec<String> = status.history.iter().map(|r| r.id.to_string()).collect();
    assert_eq!(kept, all[..10]);
}

/// Lets `spec.state` be any word, as another version of the CRD might.
async fn loosen_the_schema(stage: &Stage) {
    let api: Api<CustomResourceDefinition> = Api::all(stage.client.clone());
    let name = DialerCampaignState::crd_name();
    let mut crd = serde_json::to_value(api.get(name).await.unwrap()).unwrap();
    let spec =
        &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    spec["state"].as_object_mut().unwrap().remove("enum").expect("an enum");
    api.replace(name, &PostParams::default(), &serde_json::from_value(crd).unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_undecodable_object_says_so_and_harms_no_other() {
    let mut stage = Stage::on_own_cluster_without_operator().await;
    loosen_the_schema(&stage).await;
    let kind = ApiResource::erase::<DialerCampaignState>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(stage.client.clone(), &stage.namespace, &kind);
    let body = json!({"apiVersion": "dialer.cxone-operator.io/v1alpha1", "kind": "DialerCampaignState",
                      "metadata": {"name": "odd"},
                      "spec": {"campaignId": "odd", "state": "Dancing", "complianceWindow": around_the_clock()}});
    // The API server takes the new schema up a moment later.
    let taken = async { while api.patch("odd", &hand(), &Patch::Apply(&body)).await.is_err() {} };
    tokio::time::timeout(PATIENCE, taken).await.unwrap();
    stage.start_operator(&[]);
    let says = |object: Option<&DynamicObject>| {
        let conditions = object.and_then(|o| o.data["status"]["conditions"].as_array());
        conditions.is_some_and(|list| {
            list.iter()
                .any(|c| c["type"] == "Stalled" && c["status"] == "True" && c["reason"] == "Undecodable")
        })
    };
    let told = kube::runtime::wait::await_condition(api.clone(), "odd", says);
    let odd = tokio::time::timeout(PATIENCE, told).await.unwrap().unwrap().unwrap();
    assert_eq!(odd.data["status"]["observedGeneration"], 1);
    started(&stage).await;
    hold(&stage).await;
    stage.operator.kill();
    stage.start_operator(&[]);
    let_run(&stage).await;
    assert_eq!(stage.put_words("c-1"), ["running", "paused", "running"]);
    let after = api.get("odd").await.unwrap();
    assert_eq!(after.resource_version(), odd.resource_version(), "said once, also after a restart");
    assert!(stage.sim.log().iter().all(|e| e.campaign.as_deref() != Some("odd")));

    // What had our finalizer before it became so can still be deleted.
    let dance = Patch::Merge(json!({"spec": {"state": "Dancing"}}));
    api.patch("c-1", &PatchParams::default(), &dance).await.unwrap();
    let told = kube::runtime::wait::await_condition(api.clone(), "c-1", says);
    let object = tokio::time::timeout(PATIENCE, told).await.unwrap().unwrap().unwrap();
    assert!(!object.finalizers().is_empty(), "it ran");
    api.delete("c-1", &DeleteParams::default()).await.unwrap();
    let gone =
        kube::runtime::wait::await_condition(api.clone(), "c-1", |o: Option<&DynamicObject>| o.is_none());
    tokio::time::timeout(PATIENCE, gone).await.expect("it can be deleted").unwrap();
    let events = stage.events("c-1").await;
    let warned =
        |e: &Event| e.reason.as_deref() == Some("SupervisionEnded") && e.type_.as_deref() == Some("Warning");
    assert!(events.iter().any(warned), "{events:#?}");

    stage.sim.campaign(ORG, "odd");
    let patch = Patch::Merge(json!({"spec": {"state": "Paused"}}));
    api.patch("odd", &PatchParams::default(), &patch).await.unwrap();
    let object = stage.until_ready("odd", "True", "Paused").await;
    assert!(object.status.unwrap().condition("Stalled").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_users_objects_only_the_status_and_our_finalizer_are_ever_written() {
    let stage = Stage::new().await;
    started(&stage).await;
    let before = stage.get("c-1").await;
    hold(&stage).await;
    let_run(&stage).await;
    let after = stage.get("c-1").await;
    assert_eq!((&before.spec, &before.metadata.labels), (&after.spec, &after.metadata.labels));
    assert_eq!(after.annotations(), &BTreeMap::new());
    assert_eq!(before.metadata.generation, after.metadata.generation);

    let check = |meta: &kube::api::ObjectMeta| {
        let ours =
            meta.managed_fields.iter().flatten().filter(|f| f.manager.as_deref() == Some("dialer-operator"));
        let mut seen = 0;
        for entry in ours {
            let fields = json!(entry.fields_v1);
            let mut keys: Vec<&str> = fields.as_object().unwrap().keys().map(String::as_str).collect();
            keys.retain(|key| *key != "f:status");
            if entry.subresource.as_deref() != Some("status") && keys == ["f:metadata"] {
                let meta = fields["f:metadata"].as_object().unwrap();
                assert_eq!(meta.keys().collect::<Vec<_>>(), ["f:finalizers"], "{fields:#}");
            } else {
                assert!(keys.is_empty(), "{fields:#}");
            }
            seen += 1;
        }
        assert!(seen > 0, "it has written status");
    };
    check(after.meta());
    check(stage.tenants().get("default").await.unwrap().meta());
}

/// Everything that the operator tells anybody, by place.
async fn told(stage: &Stage) -> Vec<(&'static str, String)> {
    let admin = stage.operator.admin().unwrap();
    let list = ListParams::default();
    vec![
        ("log", stage.operator.log()),
        ("standard output", stage.operator.printed()),
        ("audit", json!(stage.operator.audit()).to_string()),
        ("declarations", json!(stage.campaigns().list(&list).await.unwrap()).to_string()),
        ("tenants", json!(stage.tenants().list(&list).await.unwrap()).to_string()),
        ("events", json!(stage.events("c-1").await).to_string()),
        ("metrics", reqwest::get(format!("{admin}/metrics")).await.unwrap().text().await.unwrap()),
    ]
}

async fn assert_never_told(stage: &Stage, never: &[&str]) {
    for (place, text) in told(stage).await {
        assert!(!text.is_empty(), "nothing stands in {place}");
        for word in never {
            let line = text
                .lines()
                .find(|line| line.contains(word))
                .map(|line| line.chars().take(600).collect::<String>());
            assert_eq!(line, None, "{word} stands in {place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_no_token_is_told_anywhere_even_at_the_finest_log_level() {
    let mut stage = Stage::without_operator().await;
    stage.start_operator(&["--log-level", "trace"]);
    started(&stage).await;
    stage.sim.revoke_tokens();
    hold(&stage).await;
    // Another secret than the platform's: refused where the token is fetched.
    stage.set_secret("default-credentials", "acme-client", "an-outdated-word").await;
    stage.sim.revoke_tokens();
    stage.look("c-1").await;
    stage.until_ready("c-1", "False", "Unauthorized").await;
    let secret = stage.sim.tenant(ORG).client_secret();
    // Every token of the simulator begins like the first; the secrets also as a Secret holds them.
    let never = ["sim-token-", &secret, "an-outdated-word", "YWNtZS1zZWNyZXQ", "YW4tb3V0ZGF0ZWQtd29yZ"];
    assert_never_told(&stage, &never).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_of_an_answer_is_told_anywhere_even_at_the_finest_log_level() {
    let mut stage = Stage::without_operator().await;
    stage.start_operator(&["--log-level", "trace"]);
    started(&stage).await;
    hold(&stage).await;
    let body = json!({"message": "the-text-of-an-answer"});
    let effect =
        Effect::Answer { status: 400, retry_after: None, body: Some(body), headers: BTreeMap::new() };
    let fault = stage.sim.fault(Fault::new(FaultRoute::StatePut, effect.clone()));
    stage.annotate("c-1", HOLD, None).await;
    stage.until_ready("c-1", "False", "Rejected").await;
    stage.sim.clear_fault(fault);
    stage.sim.fault(Fault::new(FaultRoute::StateGet, effect));
    stage.look("c-1").await;
    assert_never_told(&stage, &["the-text-of-an-answer"]).await;
}
