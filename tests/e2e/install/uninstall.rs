//! What is left when the operator goes: in the order of the documentation, and in any other.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Resource, ResourceExt};
use rules::kinds::FINALIZER;
use serde::de::DeserializeOwned;
use serde_json::json;
use simulator::State;

use super::Install;
use super::helm::CHART;
use crate::stage::{ORG, Stage};
use crate::waiting::until_object;

/// A campaign that runs, and is declared so with this deletion policy.
async fn running(stage: &Stage, name: &str, policy: &str) {
    stage.sim.campaign(ORG, name).set(State::Running);
    stage.declare(name, "Running", json!({"deletionPolicy": policy})).await;
    stage.until_ready(name, "True", "Running").await;
    let ours = |o: &rules::kinds::DialerCampaignState| o.finalizers().iter().any(|f| f == FINALIZER);
    let stands =
        |o: Option<&rules::kinds::DialerCampaignState>| o.is_some_and(|o| ours(o) == (policy == "Pause"));
    until_object(&stage.campaigns(), name, stands).await.expect("a finalizer where one is needed");
}

/// The operator's pod goes with its Deployment.
async fn uninstall(install: &mut Install) {
    install.helm.run(&["uninstall", &install.release, "--wait"]).await;
    assert!(install.stage.operator.stop(), "{}", install.stage.operator.log());
}

async fn install_again(install: &mut Install) {
    install.helm.install(&install.release, CHART, &install.values(json!({}))).await;
    install.become_the_pod().await;
    install.start().await;
}

/// What is left of the release, of one kind.
async fn left_of<K>(install: &Install) -> Vec<String>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let api: Api<PartialObjectMeta<K>> = Api::all(install.stage.client.clone());
    let ours = ListParams::default().labels(&format!("app.kubernetes.io/instance={}", install.release));
    api.list_metadata(&ours).await.unwrap().iter().map(ResourceExt::name_any).collect()
}

fn definitions(install: &Install) -> Api<CustomResourceDefinition> {
    Api::all(install.stage.client.clone())
}

async fn assert_only_the_kinds_are_left(install: &Install) {
    let left = [
        left_of::<Deployment>(install).await,
        left_of::<ServiceAccount>(install).await,
        left_of::<Role>(install).await,
        left_of::<RoleBinding>(install).await,
        left_of::<ClusterRole>(install).await,
        left_of::<ClusterRoleBinding>(install).await,
    ];
    assert!(left.iter().all(Vec::is_empty), "{left:?}");
    assert_eq!(left_of::<PersistentVolumeClaim>(install).await.len(), 1, "the audit record");
    assert_eq!(definitions(install).list(&ListParams::default()).await.unwrap().items.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uninstall_in_any_order_leaves_no_declaration_hanging_and_starts_nothing() {
    let mut install = Install::alone(CHART, json!({})).await;
    install.start().await;

    // As documented: the declarations first.
    running(&install.stage, "paused", "Pause").await;
    running(&install.stage, "retained", "Retain").await;
    for name in ["paused", "retained"] {
        install.stage.delete(name).await;
        install.stage.until_gone(name).await;
    }
    assert_eq!(install.stage.put_words("paused"), ["paused"]);
    assert!(install.stage.sim.puts("retained").is_empty());
    uninstall(&mut install).await;
    assert_only_the_kinds_are_left(&install).await;

    // The operator first: declarations and kinds stay, and their deletion waits for an operator.
    install_again(&mut install).await;
    running(&install.stage, "forgotten", "Pause").await;
    running(&install.stage, "kept", "Retain").await;
    uninstall(&mut install).await;
    assert_only_the_kinds_are_left(&install).await;
    install.stage.delete("forgotten").await;
    assert!(install.stage.get("forgotten").await.metadata.deletion_timestamp.is_some(), "it waits");
    assert_eq!(install.stage.sim.campaign(ORG, "forgotten").state(), State::Running);

    // The next install takes up what the one before left.
    install_again(&mut install).await;
    install.stage.until_gone("forgotten").await;
    assert_eq!(install.stage.put_words("forgotten"), ["paused"]);
    assert_eq!(install.stage.sim.campaign(ORG, "forgotten").state(), State::Paused);

    // The kinds last, by hand: the declarations that are left go with them.
    uninstall(&mut install).await;
    for definition in definitions(&install).list(&ListParams::default()).await.unwrap() {
        let name = definition.name_any();
        definitions(&install).delete(&name, &DeleteParams::default()).await.unwrap();
        until_object(&definitions(&install), &name, |found| found.is_none()).await.expect("it goes");
    }
    assert!(install.stage.sim.puts("kept").is_empty(), "it was to be retained");
    assert_eq!(install.stage.sim.campaign(ORG, "kept").state(), State::Running);
}
