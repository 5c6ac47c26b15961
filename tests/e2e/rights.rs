//! What the operator must be allowed to do: rights in its own namespace, and each of them is used.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use devcluster::{Options, User};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::PostParams;
use kube::{Api, ResourceExt};
use rules::kinds::{DialerCampaignState, FINALIZER, RECONCILE};
use serde_json::{Value, json};
use simulator::{Effect, Fault, FaultRoute, Route, State};

use crate::operator::Operator;
use crate::stage::{ORG, PATIENCE, Stage, id_of, start_cluster_with, until_object};

const USER: &str = "operator";
const OURS: &str = "dialer.cxone-operator.io";
/// The whole Role: group, resource, verbs.
const RIGHTS: [(&str, &str, &[&str]); 6] = [
    (OURS, "dialercampaignstates", &["get", "list", "watch", "patch"]),
    (OURS, "dialercampaignstates/status", &["patch"]),
    (OURS, "cxonetenants", &["list", "watch"]),
    (OURS, "cxonetenants/status", &["patch"]),
    ("", "secrets", &["get"]),
    ("events.k8s.io", "events", &["create"]),
];

/// Group, resource and verb.
type Right = (String, String, String);

fn rights() -> BTreeSet<Right> {
    let each = |(group, resource, verbs): &(&str, &str, &[&str])| -> Vec<Right> {
        verbs.iter().map(|verb| (group.to_string(), resource.to_string(), verb.to_string())).collect()
    };
    RIGHTS.iter().flat_map(each).collect()
}

/// An API server that knows the operator as a user and keeps a record of what it asks for.
async fn watched_cluster(folder: &Path) -> devcluster::Cluster {
    let policy = json!({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
                        "rules": [{"level": "Metadata", "users": [USER]}, {"level": "None"}]});
    std::fs::write(folder.join("policy.json"), policy.to_string()).unwrap();
    let flag = |flag: &str, file: &str| format!("--{flag}={}", folder.join(file).display());
    start_cluster_with(Options {
        users: vec![User { name: USER.to_owned(), groups: vec![] }],
        apiserver_args: vec![flag("audit-policy-file", "policy.json"), flag("audit-log-path", "asked.jsonl")],
        ..Options::default()
    })
    .await
}

/// Gives the operator its rights in the stage's namespace, and waits until they count.
async fn grant(stage: &Stage) {
    let rule = |(group, resource, verbs): &(&str, &str, &[&str])| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
    let rules: Vec<Value> = RIGHTS.iter().map(rule).collect();
    let role: Role = serde_json::from_value(json!({"metadata": {"name": USER}, "rules": rules})).unwrap();
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": USER},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": USER},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}],
    }))
    .unwrap();
    let (roles, bindings): (Api<Role>, Api<RoleBinding>) = (
        Api::namespaced(stage.client.clone(), &stage.namespace),
        Api::namespaced(stage.client.clone(), &stage.namespace),
    );
    roles.create(&PostParams::default(), &role).await.unwrap();
    bindings.create(&PostParams::default(), &binding).await.unwrap();
    let counts = async {
        for right in rights() {
            while !allowed(stage, &stage.namespace, &right).await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    };
    tokio::time::timeout(PATIENCE, counts).await.expect("the rights count");
    for right in rights() {
        assert!(!allowed(stage, "default", &right).await, "{right:?} in another namespace");
    }
}

/// Whether the API server lets the operator do this in that namespace.
async fn allowed(stage: &Stage, namespace: &str, (group, resource, verb): &Right) -> bool {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let asked = json!({"namespace": namespace, "group": group, "resource": resource,
                       "subresource": subresource, "verb": verb});
    let review = json!({"metadata": {}, "spec": {"user": USER, "resourceAttributes": asked}});
    let review: SubjectAccessReview = serde_json::from_value(review).unwrap();
    let api: Api<SubjectAccessReview> = Api::all(stage.client.clone());
    api.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
}

/// What the operator has asked the API server for: the requests that were refused, and the rights it has used.
fn asked(folder: &Path) -> (Vec<Value>, BTreeSet<Right>) {
    let text = std::fs::read_to_string(folder.join("asked.jsonl")).unwrap();
    // The last line may be on its way.
    let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let right = |line: &Value| {
        let of = &line["objectRef"];
        let parts = [word(&of["resource"]), word(&of["subresource"])];
        let resource = parts.join("/").trim_end_matches('/').to_owned();
        (word(&of["apiGroup"]), resource, word(&line["verb"]))
    };
    let used = lines.iter().map(right).collect();
    (lines.into_iter().filter(|line| line["responseStatus"]["code"] == 403).collect(), used)
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_in_one_namespace_are_enough_and_each_of_them_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::on_cluster_without_operator(watched_cluster(folder.path()).await).await;
    grant(&stage).await;
    let kubeconfig = stage.cluster().kubeconfig_of(USER).unwrap();
    stage.operator = Operator::new(&kubeconfig, &stage.namespace, &stage.sim.url(), stage.folder.path());
    stage.start_operator(&[]);
    stage.until_tenant("default", "True", "TenantReady").await;

    let campaign = stage.sim.campaign(ORG, "c-1");
    campaign.set(State::Running);
    stage.declare("c-1", "Paused", json!({})).await;
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

    // The object changes while CXone is asked: the status that comes of it meets a newer version, and the object is read.
    stage.sim.fault(Fault::new(FaultRoute::StateGet, Effect::Delay { ms: 1500 }).times(1));
    let reads = stage.requests("c-1", Route::StateGet).len();
    stage.annotate("c-1", RECONCILE, Some("a look")).await;
    stage.until_requests("c-1", Route::StateGet, reads + 1).await;
    stage.annotate("c-1", "a-person/note", Some("changed meanwhile")).await;
    let handled = |s: &rules::kinds::CampaignStatus| s.last_handled_reconcile_at.as_deref() == Some("a look");
    stage.until("c-1", "the look that was asked for", handled).await;

    stage.delete("c-1").await;
    stage.until_gone("c-1").await;
    assert_eq!(stage.put_words("c-1"), ["paused", "running", "paused"]);
    assert_eq!(campaign.state(), State::Paused);
    let events = stage.events("c-1").await;
    assert!(events.iter().any(|e| e.reason.as_deref() == Some("SupervisionEnded")), "{events:#?}");

    let (refused, used) = asked(folder.path());
    assert!(refused.is_empty(), "{refused:#?}\n{}", stage.operator.log());
    assert_eq!(used, rights(), "{}", stage.operator.log());
}
