//! Installed as one can, the operator does all its work with the rights that the chart gives: each is used, none is missing.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{DeleteParams, ListParams, PostParams, WatchParams};
use kube::{Api, ResourceExt};
use rules::kinds::{DialerCampaignState, DialingPolicy, FINALIZER, RECONCILE};
use serde_json::{Value, json};
use simulator::{Effect, Fault, FaultRoute, Route, State};

use super::Install;
use super::helm::CHART;
use super::rights::{asked, granted, rights};
use crate::cluster::client;
use crate::hours::around_the_clock;
use crate::stage::{ORG, Stage, id_of, says};
use crate::waiting::until_object;

/// Lets the operator do everything it ever asks the API server for.
async fn let_it_do_everything(stage: &Stage, with_policies: bool) {
    stage.until_tenant("default", "True", "TenantReady").await;
    let mut spec = json!({});
    if with_policies {
        // With hours of a policy alone: it has been read, and so have the labels of the namespace.
        stage.apply_policy("hours", around_the_clock()).await;
        spec = json!({"complianceWindow": {"timeZones": ["UTC"]}});
    }
    let campaign = stage.sim.campaign(ORG, "c-1");
    campaign.set(State::Running);
    stage.declare("c-1", "Paused", spec).await;
    stage.until_ready("c-1", "True", "Paused").await;
    stage.change("c-1", json!({"state": "Running"})).await;
    stage.until_ready("c-1", "True", "Running").await;
    let has_ours = |object: Option<&DialerCampaignState>| {
        object.is_some_and(|o| o.finalizers().iter().any(|name| name == FINALIZER))
    };
    until_object(&stage.campaigns(), "c-1", has_ours).await.expect("our finalizer");
    for put in stage.sim.puts("c-1") {
        stage.assert_one_outcome("c-1", &id_of(&put), "Applied").await;
    }
    change_it_meanwhile(stage).await;

    stage.delete("c-1").await;
    stage.until_gone("c-1").await;
    assert_eq!(stage.put_words("c-1"), ["paused", "running", "paused"]);
    assert_eq!(campaign.state(), State::Paused);
    let events = stage.events("c-1").await;
    assert!(events.iter().any(|e| e.reason.as_deref() == Some("SupervisionEnded")), "{events:#?}");
}

/// The object changes while CXone is asked: the status that comes of it meets a newer version, and the object is read.
pub async fn change_it_meanwhile(stage: &Stage) {
    stage.sim.fault(Fault::new(FaultRoute::StateGet, Effect::Delay { ms: 1500 }).times(1));
    let reads = stage.requests("c-1", Route::StateGet).len();
    stage.annotate("c-1", RECONCILE, Some("a look")).await;
    stage.until_requests("c-1", Route::StateGet, reads + 1).await;
    stage.annotate("c-1", "a-person/note", Some("changed meanwhile")).await;
    let handled = |s: &rules::kinds::CampaignStatus| s.last_handled_reconcile_at.as_deref() == Some("a look");
    stage.until("c-1", "the look that was asked for", handled).await;
}

/// Proves that exactly the rights that the installed roles give were asked for, and none refused.
async fn assert_each_right_is_used(install: &Install) {
    let account = install.pod().await.account;
    let given = rights(&granted(&install.stage.client, &account).await);
    let asked = asked(install.cluster(), &account);
    assert!(asked.refused.is_empty(), "{:#?}\n{}", asked.refused, install.stage.operator.log());
    assert_eq!(asked.used, given, "used, and given\n{}", install.stage.operator.log());
}

/// Secrets are read by name alone: who has the account's token can't look for others.
async fn assert_secrets_are_not_listed(install: &Install) {
    let account = install.pod().await.account;
    let cluster = install.cluster();
    let kubeconfig = account.kubeconfig(&install.stage, cluster.server_url(), cluster.ca_pem()).await;
    let secrets: Api<Secret> = Api::namespaced(client(&kubeconfig).await, &install.stage.namespace);
    secrets.get("default-credentials").await.expect("get is given");
    let code = |error: kube::Error| match error {
        kube::Error::Api(status) => status.code,
        other => panic!("{other}"),
    };
    assert_eq!(secrets.list(&ListParams::default()).await.map_err(code).unwrap_err(), 403);
    let watch = secrets.watch(&WatchParams::default(), "0").await;
    assert_eq!(watch.map(|_| ()).map_err(code).unwrap_err(), 403);
}

/// Proves that what the kubelet would ask is answered well.
async fn assert_probes_are_answered(install: &Install) {
    let admin = install.stage.operator.admin().expect("it has said where it listens");
    let probes = install.pod().await.probes();
    let names: BTreeSet<&str> = probes.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.is_superset(&["liveness", "readiness"].into()), "{names:?}");
    for (name, path) in &probes {
        let answer = reqwest::get(format!("{admin}{path}")).await.unwrap();
        assert_eq!(answer.status(), 200, "{name} {path}: {}", answer.text().await.unwrap());
    }
}

/// The log has one line that tells that all lists are had.
fn assert_ready_was_said(stage: &Stage) {
    let log = stage.operator.log();
    let said: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let lines = said.iter().filter(|line| line["fields"]["message"] == "ready" || line["message"] == "ready");
    assert_eq!(lines.count(), 1, "{log}");
}

async fn assert_it_works(install: &mut Install, with_policies: bool) {
    install.start().await;
    let_it_do_everything(&install.stage, with_policies).await;
    // assert_ready_was_said(&install.stage);
    assert_probes_are_answered(install).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn installed_for_all_namespaces_it_does_its_work_and_uses_each_right_that_the_chart_gives() {
    let mut install = Install::alone(CHART, json!({})).await;
    assert_it_works(&mut install, true).await;
    let stage = &install.stage;
    let counted = |policy: Option<&DialingPolicy>| {
        policy.and_then(|p| p.status.as_ref()).is_some_and(|status| status.campaigns == Some(0))
    };
    until_object(&stage.policies(), &stage.policy("hours"), counted).await.expect("the policy's status");
    assert_each_right_is_used(&install).await;
    assert_secrets_are_not_listed(&install).await;
    super::lacking::assert_policies_have_no_status_without_the_right(&mut install).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn installed_for_one_namespace_it_does_its_work_there_with_rights_in_no_other() {
    let mut install = Install::for_one_namespace(json!({})).await;
    assert_it_works(&mut install, true).await;
    assert_each_right_is_used(&install).await;
    assert_secrets_are_not_listed(&install).await;
    let namespace = &install.stage.namespace;
    for grant in granted(&install.stage.client, &install.pod().await.account).await {
        if let Some(granted) = &grant.namespace {
            assert_eq!(granted, namespace, "{grant:?}");
            continue;
        }
        for right in grant.rights() {
            let names = grant.rule.resource_names.iter().flatten().collect::<Vec<_>>();
            match right.resource.as_str() {
                "dialingpolicies" => assert!(["list", "watch"].contains(&right.verb.as_str()), "{right}"),
                "namespaces" => assert_eq!(names, [namespace], "of namespaces none but its own: {right}"),
                other => panic!("{other} in the whole cluster"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn installed_without_policies_it_does_its_work_with_no_right_in_the_cluster() {
    let mut install = Install::for_one_namespace(json!({"policies": {"enabled": false}})).await;
    assert_it_works(&mut install, false).await;
    assert_each_right_is_used(&install).await;
    assert_secrets_are_not_listed(&install).await;
    let grants = granted(&install.stage.client, &install.pod().await.account).await;
    assert!(
        grants.iter().all(|grant| grant.namespace.as_ref() == Some(&install.stage.namespace)),
        "{grants:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_rights_in_the_cluster_starts_wait_until_they_are_given() {
    let mut install = Install::for_one_namespace(json!({})).await;
    for name in ["c-1", "c-2"] {
        install.stage.sim.campaign(ORG, name);
    }
    install.start().await;
    install.stage.declare("c-1", "Running", json!({})).await;
    install.stage.until_ready("c-1", "True", "Running").await;
    install.stage.operator.kill();

    let bindings: Api<ClusterRoleBinding> = Api::all(install.stage.client.clone());
    let ours = ListParams::default().labels(&format!("app.kubernetes.io/instance={}", install.release));
    let mut taken = bindings.list(&ours).await.unwrap().items;
    assert_eq!(taken.len(), 1, "{taken:#?}");
    let mut binding = taken.remove(0);
    bindings.delete(&binding.name_any(), &DeleteParams::default()).await.unwrap();
    let stage = &install.stage;
    stage.declare("c-2", "Running", json!({})).await;
    install.start().await;
    let stage = &install.stage;
    let object = stage.until_ready("c-2", "True", "PolicyUnreadable").await;
    let (_, _, message) = says(&object, "Held").unwrap();
    assert!(message.contains("can't be listed: the API server refuses (403 Forbidden)"), "{message}");
    assert!(stage.put_words("c-2").is_empty());
    binding.metadata.resource_version = None;
    bindings.create(&PostParams::default(), &binding).await.unwrap();
    stage.until_ready("c-2", "True", "Running").await;
    assert_eq!(stage.put_words("c-2"), ["running"]);
    assert_eq!(stage.put_words("c-1"), ["running"], "given in time it runs on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_value_is_refused_before_anything_reaches_the_cluster() {
    let install = Install::for_one_namespace(json!({})).await;
    let wrong = install.helm.write(&install.values(json!({"allowEndpoints": ["https://acme.example/path"]})));
    let (well, said) = install.helm.attempt(&["install", "second", CHART, "--values", &wrong]).await;
    assert!(!well && said.contains("allowEndpoints"), "{said}");
    let (_, releases) = install.helm.attempt(&["list", "--short"]).await;
    assert_eq!(releases.trim(), install.release, "nothing of it is there");
}
