//! The chart grants what the operator uses, and no more. That each right is needed is proved on a real API server.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::helm::{chart, helm, objects, of_kind, set, the, way, ways};

const OURS: &str = "dialer.cxone-operator.io";
const IN_NAMESPACES: [&str; 5] = [
    "dialer.cxone-operator.io dialercampaignstates get,list,watch,patch",
    "dialer.cxone-operator.io cxonetenants list,watch",
    "dialer.cxone-operator.io dialercampaignstates/status,cxonetenants/status patch",
    " secrets get",
    "events.k8s.io events create",
];
const POLICIES: &str = "dialer.cxone-operator.io dialingpolicies list,watch";

/// The rules of a role, a line each.
fn lines(role: &Value) -> BTreeSet<String> {
    let words = |value: &Value| {
        let all: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        all.join(",")
    };
    let line = |rule: &Value| {
        assert!(
            rule.as_object()
                .unwrap()
                .keys()
                .all(|key| { ["apiGroups", "resources", "resourceNames", "verbs"].contains(&key.as_str()) })
        );
        let names = rule.get("resourceNames").map(|names| format!(" of {}", words(names)));
        let parts = [&rule["apiGroups"], &rule["resources"], &rule["verbs"]].map(words);
        parts.join(" ") + &names.unwrap_or_default()
    };
    role["rules"].as_array().unwrap().iter().map(line).collect()
}

fn expected(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn for_every_namespace_there_is_one_cluster_role_with_what_the_readme_lists() {
    let objects = way("default");
    let mut all = IN_NAMESPACES.to_vec();
    all.extend([POLICIES, " namespaces list,watch", "dialer.cxone-operator.io dialingpolicies/status patch"]);
    assert_eq!(lines(the(&objects, "ClusterRole")), expected(&all));
    assert!(of_kind(&objects, "Role").is_empty());
}

#[test]
fn for_one_namespace_there_is_a_role_in_it_and_of_the_cluster_policies_and_its_own_labels_alone() {
    let objects = way("namespaced");
    let role = the(&objects, "Role");
    assert_eq!(role["metadata"]["namespace"], "sales");
    assert_eq!(lines(role), expected(&IN_NAMESPACES));
    let cluster = lines(the(&objects, "ClusterRole"));
    assert_eq!(cluster, expected(&[POLICIES, " namespaces list,watch of sales"]));
}

#[test]
fn for_one_namespace_without_policies_nothing_of_the_cluster_is_asked_for() {
    let objects = way("alone");
    assert_eq!(lines(the(&objects, "Role")), expected(&IN_NAMESPACES));
    for object in &objects {
        let kind = object["kind"].as_str().unwrap();
        assert!(!kind.starts_with("Cluster"), "{kind}");
        assert!(object["metadata"]["namespace"].is_string(), "{kind} is of the cluster");
    }
}

#[test]
fn without_policies_the_cluster_role_names_neither_policies_nor_namespaces() {
    let objects = set(&["policies.enabled=false"]);
    assert_eq!(lines(the(&objects, "ClusterRole")), expected(&IN_NAMESPACES));
}

#[test]
fn each_role_is_bound_to_the_account_of_the_pod_and_to_nobody_else() {
    for name in ways() {
        let objects = way(&name);
        let account = &the(&objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"];
        let bindings = [of_kind(&objects, "RoleBinding"), of_kind(&objects, "ClusterRoleBinding")].concat();
        assert_eq!(bindings.is_empty(), name == "bare", "{name}");
        for binding in bindings {
            let subjects = serde_json::json!([{"kind": "ServiceAccount", "name": account, "namespace": "dialer-system"}]);
            assert_eq!(binding["subjects"], subjects, "{name}");
            let (kind, role) = (&binding["roleRef"]["kind"], &binding["roleRef"]["name"]);
            let named = |object: &&Value| object["kind"] == *kind && object["metadata"]["name"] == *role;
            let role = objects.iter().find(named).unwrap();
            assert_eq!(role["metadata"]["namespace"], binding["metadata"]["namespace"], "{name}");
        }
    }
}

#[test]
fn secrets_are_read_by_get_alone_and_nothing_is_granted_by_a_wildcard() {
    for name in ways() {
        let objects = way(&name);
        for role in [of_kind(&objects, "Role"), of_kind(&objects, "ClusterRole")].concat() {
            for line in lines(role) {
                assert!(!line.contains('*'), "{name}: {line}");
                assert!(!line.contains(" secrets") || line == " secrets get", "{name}: {line}");
            }
        }
    }
}

#[test]
fn people_get_no_right_unless_it_is_chosen_and_never_one_to_policies() {
    let aggregated = |objects: &[Value]| -> Vec<Value> {
        let is_for_people = |role: &&Value| {
            role["metadata"]["labels"].to_string().contains("rbac.authorization.k8s.io/aggregate-to")
        };
        of_kind(objects, "ClusterRole").into_iter().filter(is_for_people).cloned().collect()
    };
    assert!(aggregated(&way("default")).is_empty());
    let chosen = aggregated(&way("all-on"));
    let rules: Vec<String> = chosen.iter().flat_map(lines).collect();
    let both = "dialercampaignstates,cxonetenants";
    assert_eq!(
        rules,
        [
            format!("{OURS} {both} get,list,watch"),
            format!("{OURS} {both} get,list,watch,create,update,patch,delete,deletecollection"),
        ]
    );
    let edit = &chosen[1]["metadata"]["labels"];
    assert!(
        edit["rbac.authorization.k8s.io/aggregate-to-view"].is_null(),
        "who may only view writes nothing"
    );
}

#[test]
fn no_two_releases_share_an_object_of_the_cluster() {
    let chart = chart();
    let names = |release: &str, namespace: &str| -> BTreeSet<String> {
        let args =
            ["template", release, chart.to_str().unwrap(), "-n", namespace, "--set", "watchNamespace=sales"];
        let output =
            helm(&[&args[..], &["--set", "image.repository=r.example.com/op,crds.install=false"]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let objects = objects(&String::from_utf8(output.stdout).unwrap());
        let of_cluster = objects.iter().filter(|object| object["metadata"]["namespace"].is_null());
        of_cluster.map(|object| format!("{} {}", object["kind"], object["metadata"]["name"])).collect()
    };
    // One name in two namespaces; and names that come to the same where they are joined by a dash.
    let all = [
        names("dialer-operator", "a"),
        names("dialer-operator", "b"),
        names("dialer-operator", "a-b"),
        names("dialer-operator-a", "b"),
    ];
    let distinct: BTreeSet<&String> = all.iter().flatten().collect();
    assert_eq!((all[0].len(), distinct.len()), (2, 8), "{all:?}");
}
