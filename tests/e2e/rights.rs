//! What the operator must be allowed to do: in its own namespace or in all, and to read policies; each right is used.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use devcluster::{Options, User};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::api::PostParams;
use kube::{Api, ResourceExt};
use rules::kinds::{DialerCampaignState, DialingPolicy, FINALIZER, RECONCILE};
use serde_json::{Value, json};
use simulator::{Effect, Fault, FaultRoute, Route, State};

use crate::cluster::start_cluster_with;
use crate::hours::around_the_clock;
use crate::operator::Operator;
use crate::stage::{ORG, PATIENCE, Stage, id_of, says};
use crate::waiting::until_object;

const USER: &str = "operator";
const OURS: &str = "dialer.cxone-operator.io";
/// What is asked of one namespace, or of all: group, resource, verbs.
const OF_NAMESPACES: [Rule; 6] = [
    (OURS, "dialercampaignstates", &["get", "list", "watch", "patch"]),
    (OURS, "dialercampaignstates/status", &["patch"]),
    (OURS, "cxonetenants", &["list", "watch"]),
    (OURS, "cxonetenants/status", &["patch"]),
    ("", "secrets", &["get"]),
    ("events.k8s.io", "events", &["create"]),
];
/// What is asked of the cluster besides, for policies.
const OF_THE_CLUSTER: [Rule; 2] =
    [(OURS, "dialingpolicies", &["list", "watch"]), ("", "namespaces", &["list", "watch"])];
/// What only an operator of all namespaces asks of it.
const OF_ALL: [Rule; 1] = [(OURS, "dialingpolicies/status", &["patch"])];

type Rule = (&'static str, &'static str, &'static [&'static str]);
/// Group, resource and verb.
type Right = (String, String, String);

fn rights<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> BTreeSet<Right> {
    let each = |(group, resource, verbs): &Rule| -> Vec<Right> {
        verbs.iter().map(|verb| (group.to_string(), resource.to_string(), verb.to_string())).collect()
    };
    rules.into_iter().flat_map(each).collect()
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

fn subject() -> Value {
    json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}])
}

fn role_ref(kind: &str) -> Value {
    json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": USER})
}

async fn create<K>(api: &Api<K>, body: Value)
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + serde::Serialize,
{
    api.create(&PostParams::default(), &serde_json::from_value(body).unwrap()).await.unwrap();
}

/// Gives the operator these rights in the stage's namespace alone, and waits until they count.
async fn grant(stage: &Stage, rules: &[Rule]) {
    let (roles, bindings): (Api<Role>, Api<RoleBinding>) = (
        Api::namespaced(stage.client.clone(), &stage.namespace),
        Api::namespaced(stage.client.clone(), &stage.namespace),
    );
    let rule = |(group, resource, verbs): &Rule| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
    let all: Vec<Value> = rules.iter().map(rule).collect();
    create(&roles, json!({"metadata": {"name": USER}, "rules": all})).await;
    create(
        &bindings,
        json!({"metadata": {"name": USER}, "roleRef": role_ref("Role"), "subjects": subject()}),
    )
    .await;
    until_allowed(stage, &stage.namespace, None, &rights(rules)).await;
    for right in rights(rules) {
        assert!(!allowed(stage, "default", None, &right).await, "{right:?} in another namespace");
    }
}

/// Gives the operator these rights in the cluster, to the one namespace of that name if it is told, and waits until they count.
async fn grant_in_cluster(stage: &Stage, rules: &[Rule], namespace: Option<&str>) {
    let (roles, bindings): (Api<ClusterRole>, Api<ClusterRoleBinding>) =
        (Api::all(stage.client.clone()), Api::all(stage.client.clone()));
    let name = |resource: &str| namespace.filter(|_| resource == "namespaces");
    let rule = |(group, resource, verbs): &Rule| {
        let names: Vec<&str> = name(resource).into_iter().collect();
        json!({"apiGroups": [group], "resources": [resource], "verbs": verbs, "resourceNames": names})
    };
    let all: Vec<Value> = rules.iter().map(rule).collect();
    create(&roles, json!({"metadata": {"name": USER}, "rules": all})).await;
    create(
        &bindings,
        json!({"metadata": {"name": USER}, "roleRef": role_ref("ClusterRole"), "subjects": subject()}),
    )
    .await;
    for rule in rules {
        until_allowed(stage, "", name(rule.1), &rights([rule])).await;
    }
}

async fn until_allowed(stage: &Stage, namespace: &str, name: Option<&str>, rights: &BTreeSet<Right>) {
    let count = async {
        for right in rights {
            while !allowed(stage, namespace, name, right).await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    };
    tokio::time::timeout(PATIENCE, count).await.expect("the rights count");
}

/// Whether the API server lets the operator do this in that namespace, to the object of that name.
async fn allowed(
    stage: &Stage,
    namespace: &str,
    name: Option<&str>,
    (group, resource, verb): &Right,
) -> bool {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let asked = json!({"namespace": namespace, "name": name, "group": group, "resource": resource,
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

/// A stage on such a cluster, whose operator, not running yet, is that user.
async fn stage_of_the_user(folder: &Path) -> Stage {
    let mut stage = Stage::on_cluster_without_operator(watched_cluster(folder).await).await;
    let kubeconfig = stage.cluster().kubeconfig_of(USER).unwrap();
    stage.operator = Operator::new(&kubeconfig, &stage.namespace, &stage.sim.url(), stage.folder.path());
    stage
}

/// Lets the operator do everything it ever asks the API server for.
async fn let_it_do_everything(stage: &Stage) {
    stage.until_tenant("default", "True", "TenantReady").await;
    // With hours of a policy alone: it has been read, and so have the labels of the namespace.
    stage.apply_policy("hours", around_the_clock()).await;
    let campaign = stage.sim.campaign(ORG, "c-1");
    campaign.set(State::Running);
    stage.declare("c-1", "Paused", json!({"complianceWindow": {"timeZones": ["UTC"]}})).await;
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
}

/// Proves that these rights and no others were asked for, and none refused.
fn assert_asked(folder: &Path, stage: &Stage, expected: &BTreeSet<Right>) {
    let (refused, used) = asked(folder);
    assert!(refused.is_empty(), "{refused:#?}\n{}", stage.operator.log());
    assert_eq!(&used, expected, "{}", stage.operator.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_in_one_namespace_and_to_read_policies_are_enough_and_each_of_them_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = stage_of_the_user(folder.path()).await;
    grant(&stage, &OF_NAMESPACES).await;
    // Of namespaces it may read none but its own.
    grant_in_cluster(&stage, &OF_THE_CLUSTER, Some(&stage.namespace)).await;
    stage.start_operator(&[]);
    let_it_do_everything(&stage).await;
    assert_asked(folder.path(), &stage, &rights(OF_NAMESPACES.iter().chain(&OF_THE_CLUSTER)));
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_in_the_cluster_are_enough_for_all_namespaces_and_each_of_them_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = stage_of_the_user(folder.path()).await;
    let rules: Vec<Rule> = OF_NAMESPACES.into_iter().chain(OF_THE_CLUSTER).chain(OF_ALL).collect();
    grant_in_cluster(&stage, &rules, None).await;
    stage.start_operator(&["--all-namespaces"]);
    let_it_do_everything(&stage).await;
    let counted = |policy: Option<&DialingPolicy>| {
        policy.and_then(|p| p.status.as_ref()).is_some_and(|status| status.campaigns == Some(0))
    };
    until_object(&stage.policies(), &stage.policy("hours"), counted).await.expect("the policy's status");
    assert_asked(folder.path(), &stage, &rights(&rules));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_rights_in_one_namespace_alone_starts_wait_until_more_are_given_or_no_policies_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = stage_of_the_user(folder.path()).await;
    grant(&stage, &OF_NAMESPACES).await;
    for name in ["c-1", "c-2"] {
        stage.sim.campaign(ORG, name);
    }
    stage.declare("c-1", "Running", json!({})).await;
    stage.start_operator(&["--no-policies"]);
    stage.until_ready("c-1", "True", "Running").await;
    stage.operator.kill();
    let (refused, used) = asked(folder.path());
    assert!(refused.is_empty() && used.is_subset(&rights(&OF_NAMESPACES)), "{used:#?}");

    stage.declare("c-2", "Running", json!({})).await;
    stage.start_operator(&[]);
    let object = stage.until_ready("c-2", "True", "PolicyUnreadable").await;
    let (_, _, message) = says(&object, "Held").unwrap();
    assert!(message.contains("can't be listed: the API server refuses (403 Forbidden)"), "{message}");
    assert!(stage.put_words("c-2").is_empty());
    grant_in_cluster(&stage, &OF_THE_CLUSTER, Some(&stage.namespace)).await;
    stage.until_ready("c-2", "True", "Running").await;
    assert_eq!(stage.put_words("c-2"), ["running"]);
    assert_eq!(stage.put_words("c-1"), ["running"], "given in time it runs on");
}
