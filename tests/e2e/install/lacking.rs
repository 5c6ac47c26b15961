//! Each right of the chart's roles is needed: an operator that lacks one is refused, and it shows.

use std::time::Duration;

use futures::{StreamExt, stream};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding};
use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt};
use rules::kinds::FINALIZER;
use serde_json::{Value, json};
use simulator::State;

use super::rights::{Grant, Right, asked, granted, rights};
use super::works::change_it_meanwhile;
use super::{Account, Install, be};
use crate::hours::around_the_clock;
use crate::stage::{ORG, PATIENCE, Stage};

/// So many operators at a time.
const SIDE_BY_SIDE: usize = 7;

/// What shows that a right is missing.
#[derive(Clone, Copy, Debug)]
enum Sign {
    /// `/readyz` says which list is missing, and no declaration has a status.
    NotReady,
    /// The log says so, again and again. What it lists counts for a moment only, so most starts wait, but not all.
    Logged,
    /// The log says so, again and again; what changes is seen all the same, by lists: a stop goes through.
    ListedInstead,
    /// No start: policies are not known.
    StartsWait,
    /// The log says that an object which has changed meanwhile can't be read; the next look finds it.
    NotReadAnew,
    /// No status of a declaration, and no start, which needs its intent written.
    NoStatus,
    /// No finalizer, and no start either.
    NoFinalizer,
    /// The tenant has no status.
    NoTenantStatus,
    /// The tenant says that it may not read the Secret.
    CredentialsMissing,
    /// Nobody is told of what happened.
    NoEvents,
}

/// Every right of an install for one namespace, and what shows that it is missing.
const SIGNS: [(&str, &str, Sign); 14] = [
    ("get", "dialercampaignstates", Sign::NotReadAnew),
    ("list", "dialercampaignstates", Sign::NotReady),
    ("watch", "dialercampaignstates", Sign::ListedInstead),
    ("patch", "dialercampaignstates", Sign::NoFinalizer),
    ("patch", "dialercampaignstates/status", Sign::NoStatus),
    ("list", "cxonetenants", Sign::NotReady),
    ("watch", "cxonetenants", Sign::ListedInstead),
    ("patch", "cxonetenants/status", Sign::NoTenantStatus),
    ("get", "secrets", Sign::CredentialsMissing),
    ("create", "events", Sign::NoEvents),
    ("list", "dialingpolicies", Sign::StartsWait),
    ("watch", "dialingpolicies", Sign::Logged),
    ("list", "namespaces", Sign::StartsWait),
    ("watch", "namespaces", Sign::Logged),
];

fn sign_of(right: &Right) -> Sign {
    let found = SIGNS.iter().find(|(verb, resource, _)| *verb == right.verb && *resource == right.resource);
    found.unwrap_or_else(|| panic!("nobody says what shows that {right} is missing")).2
}

#[tokio::test(flavor = "multi_thread")]
async fn each_right_that_is_taken_away_is_missed() {
    let install = Install::for_one_namespace(json!({})).await;
    let grants = granted(&install.stage.client, &install.pod().await.account).await;
    let each = rights(&grants);
    assert_eq!(each.len(), SIGNS.len(), "{each:#?}");
    let missed = stream::iter(&each).map(|right| is_missed(&install, &grants, right));
    missed.buffer_unordered(SIDE_BY_SIDE).collect::<Vec<()>>().await;
}

/// The right that only an operator of all namespaces has besides; its install is there, and works.
pub async fn assert_policies_have_no_status_without_the_right(install: &mut Install) {
    let account = install.pod().await.account;
    let all = rights(&granted(&install.stage.client, &account).await);
    let known = |right: &&Right| SIGNS.iter().any(|(v, r, _)| *v == right.verb && *r == right.resource);
    let more: Vec<&Right> = all.iter().filter(|right| !known(right)).collect();
    let [right] = more[..] else { panic!("{more:?}") };
    assert_eq!(right.to_string(), "patch dialingpolicies/status");

    install.stage.operator.kill();
    take_away(install, right).await;
    install.start().await;
    let stage = &install.stage;
    stage.apply_policy("more", around_the_clock()).await;
    stage.sim.campaign(ORG, "c-2");
    stage.declare("c-2", "Running", json!({})).await;
    stage.until_ready("c-2", "True", "Running").await;
    until_refused(install, &account, right, 1, stage).await;
    assert!(
        stage.operator.log().contains("the policy's status can't be written"),
        "{}",
        stage.operator.log()
    );
    assert_eq!(stage.get_policy("more").await.status.and_then(|status| status.campaigns), None);
}

/// Takes a right out of the cluster role of an install.
async fn take_away(install: &Install, right: &Right) {
    let roles: Api<ClusterRole> = Api::all(install.stage.client.clone());
    let ours = ListParams::default().labels(&format!("app.kubernetes.io/instance={}", install.release));
    for mut role in roles.list(&ours).await.unwrap() {
        let grants = role.rules.take().into_iter().flatten().map(|rule| Grant { namespace: None, rule });
        role.rules = Some(grants.flat_map(|grant| grant.without(right)).collect());
        roles.replace(&role.name_any(), &PostParams::default(), &role).await.unwrap();
    }
}

async fn is_missed(install: &Install, grants: &[Grant], right: &Right) {
    let mut stage = Stage::bare(&install.stage.kubeconfig, None).await;
    stage.add_tenant("default", ORG).await;
    let account = account_without(install, grants, &stage.namespace, right).await;
    be(&mut stage, &account).await;
    let here = |text: String| {
        let text = text.replace(&install.stage.namespace, &stage.namespace);
        text.replace(&install.stage.sim.url(), &stage.sim.url())
    };
    let args: Vec<String> = install.pod().await.args(stage.folder.path()).into_iter().map(here).collect();
    stage.sim.campaign(ORG, "c-1").set(State::Paused);
    stage.declare("c-1", "Running", json!({})).await;
    stage.operator.start_with_just(&args);
    assert_shows(install, &stage, &account, right).await;
    let refused = asked(install.cluster(), &account).refused;
    assert!(refused.iter().all(|other| other == right), "without {right}: {refused:#?}");
}

/// An account in this namespace with the same rights there, but for one.
async fn account_without(install: &Install, grants: &[Grant], namespace: &str, missing: &Right) -> Account {
    let client = &install.stage.client;
    let account = Account { namespace: namespace.to_owned(), name: "lacking".to_owned() };
    let meta = json!({"metadata": {"name": account.name}});
    create(&Api::<ServiceAccount>::namespaced(client.clone(), namespace), &meta).await;
    let (of_cluster, of_namespace): (Vec<&Grant>, Vec<&Grant>) =
        grants.iter().partition(|grant| grant.namespace.is_none());
    let rules = |grants: Vec<&Grant>| -> Vec<PolicyRule> {
        let mut rules: Vec<PolicyRule> =
            grants.into_iter().flat_map(|grant| grant.without(missing)).collect();
        for name in rules.iter_mut().flat_map(|rule| rule.resource_names.iter_mut().flatten()) {
            *name = name.replace(&install.stage.namespace, namespace);
        }
        rules
    };
    let name = format!("lacking-{namespace}");
    let role = |rules: Vec<PolicyRule>| json!({"metadata": {"name": name}, "rules": rules});
    let binding = |kind: &str| {
        json!({"metadata": {"name": name},
               "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
               "subjects": [{"kind": "ServiceAccount", "name": account.name, "namespace": namespace}]})
    };
    let client = || client.clone();
    create(&Api::<Role>::namespaced(client(), namespace), &role(rules(of_namespace))).await;
    create(&Api::<RoleBinding>::namespaced(client(), namespace), &binding("Role")).await;
    create(&Api::<ClusterRole>::all(client()), &role(rules(of_cluster))).await;
    create(&Api::<ClusterRoleBinding>::all(client()), &binding("ClusterRole")).await;
    for grant in grants {
        for right in grant.rights().filter(|right| right != missing) {
            let names = grant.rule.resource_names.iter().flatten();
            let name = names.map(|name| name.replace(&install.stage.namespace, namespace)).next();
            until_given(client(), &account, &right, grant.namespace.as_ref().map(|_| namespace), name).await;
        }
    }
    account
}

/// The API server takes roles up a moment after they were written: until then it refuses more than what is missing.
async fn until_given(
    client: kube::Client,
    account: &Account,
    right: &Right,
    namespace: Option<&str>,
    name: Option<String>,
) {
    let (resource, subresource) = right.resource.split_once('/').unwrap_or((&right.resource, ""));
    let asked = json!({"spec": {
        "user": format!("system:serviceaccount:{}:{}", account.namespace, account.name),
        "resourceAttributes": {"verb": right.verb, "group": right.group, "resource": resource,
            "subresource": subresource, "namespace": namespace, "name": name}}});
    let asked: SubjectAccessReview = serde_json::from_value(asked).unwrap();
    let reviews = Api::<SubjectAccessReview>::all(client);
    let given = async {
        while !reviews.create(&PostParams::default(), &asked).await.unwrap().status.unwrap().allowed {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, given).await.is_ok(), "{right} is never given");
}

async fn create<K>(api: &Api<K>, body: &Value)
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + serde::Serialize,
{
    api.create(&PostParams::default(), &serde_json::from_value(body.clone()).unwrap()).await.unwrap();
}

/// Waits until the API server has refused that right so many times.
async fn until_refused(install: &Install, account: &Account, right: &Right, times: usize, stage: &Stage) {
    let refused = async {
        while count(install, account, right) < times {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let refused = tokio::time::timeout(PATIENCE, refused).await;
    assert!(refused.is_ok(), "{right} is never refused\n{}", stage.operator.log());
}

fn count(install: &Install, account: &Account, right: &Right) -> usize {
    asked(install.cluster(), account).refused.iter().filter(|refused| *refused == right).count()
}

async fn assert_shows(install: &Install, stage: &Stage, account: &Account, right: &Right) {
    let started = |stage: &Stage| stage.put_words("c-1") == ["running"];
    let refused = |times| until_refused(install, account, right, times, stage);
    let status = async |name: &str| stage.get(name).await.status.filter(|s| s.observed_generation >= 0);
    let log = || stage.operator.log();
    let failed = format!("watching {} failed", right.resource);
    match sign_of(right) {
        Sign::NotReady => {
            refused(2).await;
            let readyz = reqwest::get(format!("{}/readyz", stage.operator.admin().unwrap())).await.unwrap();
            assert_eq!(readyz.status(), 503);
            let said = readyz.text().await.unwrap();
            assert!(said.contains(&right.resource), "{said}");
            assert!(!started(stage));
        }
        Sign::Logged => {
            refused(2).await;
            assert!(log().contains(&failed), "{}", log());
        }
        Sign::ListedInstead => {
            stage.until_ready("c-1", "True", "Running").await;
            refused(2).await;
            assert!(log().contains(&failed), "{}", log());
            stage.change("c-1", json!({"state": "Paused"})).await;
            stage.until_ready("c-1", "True", "Paused").await;
            stage.add_tenant("later", "later").await;
            stage.until_tenant("later", "True", "TenantReady").await;
        }
        Sign::StartsWait => {
            stage.until_ready("c-1", "True", "PolicyUnreadable").await;
            refused(1).await;
            assert!(!started(stage));
        }
        Sign::NotReadAnew => {
            stage.until_ready("c-1", "True", "Running").await;
            change_it_meanwhile(stage).await;
            refused(1).await;
            assert!(log().contains("the object can't be read anew"), "{}", log());
        }
        Sign::NoStatus => {
            refused(2).await;
            assert!(status("c-1").await.is_none() && !started(stage), "{}", log());
        }
        Sign::NoFinalizer => {
            refused(2).await;
            let object = stage.get("c-1").await;
            assert!(
                !object.finalizers().iter().any(|name| name == FINALIZER) && !started(stage),
                "{}",
                log()
            );
        }
        Sign::NoTenantStatus => {
            refused(1).await;
            let tenant = stage.tenants().get("default").await.unwrap();
            assert!(tenant.status.unwrap().conditions.is_empty());
        }
        Sign::CredentialsMissing => {
            stage.until_tenant("default", "False", "CredentialsMissing").await;
            assert!(!started(stage));
        }
        Sign::NoEvents => {
            stage.until_ready("c-1", "True", "Running").await;
            refused(1).await;
            assert!(stage.events("c-1").await.is_empty());
            assert!(log().contains("an event can't be created"), "{}", log());
        }
    }
}
