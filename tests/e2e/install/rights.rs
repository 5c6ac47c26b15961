//! What an account may do, as the installed objects say, and what it has asked for, as the API server's record says.

use std::collections::BTreeSet;
use std::fmt;

use devcluster::Cluster;
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

use super::pod::Account;

/// One verb on one resource: what a role is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    pub verb: String,
    pub group: String,
    /// With the subresource, such as `cxonetenants/status`.
    pub resource: String,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)
    }
}

/// A rule that a binding gives: in one namespace, or in the cluster.
#[derive(Clone, Debug)]
pub struct Grant {
    pub namespace: Option<String>,
    pub rule: PolicyRule,
}

impl Grant {
    /// Every single right in it.
    pub fn rights(&self) -> impl Iterator<Item = Right> + '_ {
        let groups = self.rule.api_groups.iter().flatten();
        groups.flat_map(move |group| {
            self.rule.resources.iter().flatten().flat_map(move |resource| {
                self.rule.verbs.iter().map(move |verb| Right {
                    verb: verb.clone(),
                    group: group.clone(),
                    resource: resource.clone(),
                })
            })
        })
    }

    /// The same without one right; in rules of a single right each.
    pub fn without(&self, missing: &Right) -> Vec<PolicyRule> {
        let rest = self.rights().filter(|right| right != missing);
        let rule = |right: Right| PolicyRule {
            api_groups: Some(vec![right.group]),
            resources: Some(vec![right.resource]),
            verbs: vec![right.verb],
            ..self.rule.clone()
        };
        rest.map(rule).collect()
    }
}

/// Everything that the bindings in the cluster give to this account.
pub async fn granted(client: &Client, account: &Account) -> Vec<Grant> {
    let all = ListParams::default();
    let (cluster_roles, roles): (Api<ClusterRole>, Api<Role>) =
        (Api::all(client.clone()), Api::all(client.clone()));
    let (cluster_roles, roles) =
        (cluster_roles.list(&all).await.unwrap().items, roles.list(&all).await.unwrap().items);
    let of_cluster = |name: &str| {
        let found = cluster_roles.iter().find(|role| role.name_any() == name);
        found.expect("the role of a binding").rules.clone().unwrap_or_default()
    };
    let mut grants = Vec::new();
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    for binding in bindings.list(&all).await.unwrap() {
        if is_for(account, binding.subjects.as_deref()) {
            let rules = of_cluster(&binding.role_ref.name).into_iter();
            grants.extend(rules.map(|rule| Grant { namespace: None, rule }));
        }
    }
    let bindings: Api<RoleBinding> = Api::all(client.clone());
    for binding in bindings.list(&all).await.unwrap() {
        if is_for(account, binding.subjects.as_deref()) {
            let namespace = binding.namespace();
            let RoleRef { kind, name, .. } = &binding.role_ref;
            let is_it = |role: &&Role| role.namespace() == namespace && role.name_any() == *name;
            let rules = match kind.as_str() {
                "Role" => roles.iter().find(is_it).expect("the role of a binding").rules.clone(),
                _ => Some(of_cluster(name)),
            };
            let rules = rules.into_iter().flatten();
            grants.extend(rules.map(|rule| Grant { namespace: namespace.clone(), rule }));
        }
    }
    grants
}

fn is_for(account: &Account, subjects: Option<&[Subject]>) -> bool {
    subjects.into_iter().flatten().any(|subject| {
        subject.kind == "ServiceAccount"
            && subject.name == account.name
            && subject.namespace.as_deref() == Some(&account.namespace)
    })
}

/// The single rights of these grants.
pub fn rights(grants: &[Grant]) -> BTreeSet<Right> {
    grants.iter().flat_map(Grant::rights).collect()
}

/// What one account has asked the API server for.
#[derive(Debug, Default)]
pub struct Asked {
    pub used: BTreeSet<Right>,
    /// In their order, with repeats.
    pub refused: Vec<Right>,
}

/// The flag that lets the API server write its record, and of whom. The record stands among the lines of its log: that
/// file goes with the cluster.
pub fn recording() -> Vec<String> {
    let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/install/recorded.json");
    vec![format!("--audit-policy-file={policy}"), "--audit-log-path=-".to_owned()]
}

/// What the record of a cluster says of this account.
pub fn asked(cluster: &Cluster, account: &Account) -> Asked {
    let text = std::fs::read_to_string(cluster.folder().join("kube-apiserver.log")).unwrap();
    // The last line may be on its way.
    let lines =
        text.lines().filter(|line| line.starts_with('{')).filter_map(|l| serde_json::from_str(l).ok());
    let mut asked = Asked::default();
    for line in lines.filter(|line: &Value| line["user"]["username"] == account.user()) {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let of = &line["objectRef"];
        let resource = [word(&of["resource"]), word(&of["subresource"])].join("/");
        let right = Right {
            verb: word(&line["verb"]),
            group: word(&of["apiGroup"]),
            resource: resource.trim_end_matches('/').to_owned(),
        };
        if line["responseStatus"]["code"] == 403 {
            asked.refused.push(right.clone());
        }
        asked.used.insert(right);
    }
    asked
}
