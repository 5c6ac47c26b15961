//! What only the operator knows, and what lives beside what is planned, is told as it is.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use simulator::State;

use super::{create, kubeconfig_of, manifest, policy, run, run_as, told};
use crate::cluster::new_namespace;
use crate::hours::closed_now;
use crate::operator::Operator;
use crate::stage::{ORG, PATIENCE, Stage};

fn gate<'a>(why: &'a Value, name: &str) -> &'a Value {
    why["gates"].as_array().unwrap().iter().find(|gate| gate["gate"] == name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_is_told_with_the_declaration_that_has_the_campaign() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1");
    let first = stage.declare("first", "Running", json!({"campaignId": "c-1"})).await;
    stage.until_ready("first", "True", "Running").await;
    // Creation is told in whole seconds: what is created in a later one is younger.
    let created = first.metadata.creation_timestamp.unwrap().0.as_second();
    while Timestamp::now().as_second() <= created {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stage.declare("second", "Running", json!({"campaignId": "c-1"})).await;
    stage.until_ready("second", "False", "DuplicateClaim").await;

    let why = told(&stage, &["why", "second"]).await;
    assert_eq!(gate(&why, "claim")["detail"], "first declares this campaign already", "{why}");
    let answer = why["answer"].as_str().unwrap();
    assert!(answer.contains("first declares this campaign already"), "{answer}");
    assert!(!why.to_string().contains("another namespace"), "{why}");
}

/// Gives a user these rights (group, resources, verbs) in the stage's namespace, or in the whole cluster.
async fn grant(stage: &Stage, user: &str, everywhere: bool, rights: &[(&str, &[&str], &[&str])]) {
    let rule = |(group, resources, verbs): &(&str, &[&str], &[&str])| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    let rules: Vec<Value> = rights.iter().map(rule).collect();
    let role = json!({"metadata": {"name": user}, "rules": rules});
    let binding = |kind: &str| {
        json!({"metadata": {"name": user},
               "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
               "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": user}})
    };
    let client = || stage.client.clone();
    if everywhere {
        create::<ClusterRole>(Api::all(client()), role).await;
        create::<ClusterRoleBinding>(Api::all(client()), binding("ClusterRole")).await;
    } else {
        create::<Role>(Api::namespaced(client(), &stage.namespace), role).await;
        create::<RoleBinding>(Api::namespaced(client(), &stage.namespace), binding("Role")).await;
    }
}

const OURS: &str = "dialer.cxone-operator.io";

#[tokio::test(flavor = "multi_thread")]
async fn policies_that_the_operator_can_not_read_are_not_told_to_be_readable_by_who_can() {
    let mut stage = Stage::without_operator().await;
    let user = format!("operator-of-{}", stage.namespace);
    let rights: [(&str, &[&str], &[&str]); 4] = [
        (OURS, &["dialercampaignstates", "cxonetenants"], &["get", "list", "watch", "patch"]),
        (OURS, &["dialercampaignstates/status", "cxonetenants/status"], &["patch"]),
        ("", &["secrets"], &["get"]),
        ("events.k8s.io", &["events"], &["create"]),
    ];
    grant(&stage, &user, false, &rights).await;
    let config = kubeconfig_of(&stage, &user);
    stage.operator = Operator::new(&config, &stage.namespace, &stage.sim.url(), stage.folder.path());
    stage.sim.campaign(ORG, "c-1");
    stage.start_operator(&[]);
    stage.declare("c-1", "Running", json!({})).await;
    let object = stage.until_ready("c-1", "True", "PolicyUnreadable").await;
    let message = object.status.unwrap().condition("Held").unwrap().message.clone();

    let why = told(&stage, &["why", "c-1"]).await;
    let held = gate(&why, "policies readable");
    assert_eq!((&held["verdict"], &held["reason"]), (&json!("closed"), &json!("PolicyUnreadable")), "{why}");
    assert_eq!(held["detail"], json!(message), "{why}");
    let answer = why["answer"].as_str().unwrap();
    assert!(
        answer.starts_with(&format!("c-1 is not dialing: {message}; nothing that is known starts it")),
        "{why}"
    );
    assert_eq!((&why["next"], &why["effective"]), (&json!([]), &json!("Held")), "{why}");
    assert!(why["advice"][0].as_str().unwrap().contains("the operator's rights"), "{why}");
    let notes = why["notes"].to_string();
    assert!(notes.contains("the operator last said that it can't read them"), "{notes}");
    assert!(!notes.contains("a moment behind"), "{notes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_in_a_file_is_warned_of_for_whatever_it_closes_wherever_that_lives() {
    let mut stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    stage.sim.campaign(ORG, "c-2");
    stage.declare("c-1", "Running", json!({})).await;
    stage.until_ready("c-1", "True", "Running").await;
    stage.look("c-1").await;
    let freeze = policy(&stage, "a-freeze", json!({"freeze": {"reason": "storm"}}));
    let harmless = manifest("c-2", json!({"state": "Paused"}));
    let file = format!("{harmless}\n---\n{freeze}");
    let args = ["plan", "-f", "-", "--output", "json"];
    let warned = format!("applying this closes {}/c-1 at once, which runs now: ", stage.namespace);

    let plan = run(&stage, &args, &file).await;
    let names: Vec<_> =
        plan.json()["campaigns"].as_array().unwrap().iter().map(|c| c["name"].clone()).collect();
    assert_eq!(names, ["c-2"], "only what was asked for is planned");
    assert!(plan.json()["warnings"].to_string().contains(&warned), "{}\n{}", plan.out, plan.err);
    assert!(plan.err.contains(&warned), "{}", plan.err);
    let text = run(&stage, &args[..3], &file).await.out;
    assert!(text.contains("WARNING: applying this closes"), "{text}");

    // Asked for another namespace, in which nothing lives.
    let ours = stage.namespace.clone();
    let theirs = new_namespace(&stage.client).await;
    stage.namespace.clone_from(&theirs);
    let alone = freeze.to_string();
    let plan = run(&stage, &args, &alone).await;
    assert!(plan.well && plan.json()["warnings"].to_string().contains(&warned), "{}\n{}", plan.out, plan.err);
    assert_eq!(plan.json()["campaigns"], json!([]));
    assert!(plan.json()["notes"].to_string().contains("there is none to plan"), "{}", plan.out);
    let nights = policy(&stage, "nights", closed_now()).to_string();
    let plan = run(&stage, &args, &nights).await;
    assert!(!plan.json()["warnings"].to_string().contains(&ours), "it selects the other: {}", plan.out);

    // Who may not look elsewhere is told so.
    let user = format!("user-of-{theirs}");
    let config = kubeconfig_of(&stage, &user);
    grant(&stage, &user, false, &[(OURS, &["dialercampaignstates"], &["get", "list"])]).await;
    grant(&stage, &user, true, &[(OURS, &["dialingpolicies"], &["list"]), ("", &["namespaces"], &["get"])])
        .await;
    let waiting = async {
        loop {
            let plan = run_as(&stage, &config, &args, &alone).await;
            if plan.well {
                return plan;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let plan = tokio::time::timeout(PATIENCE, waiting).await.expect("a plan");
    let notes = plan.json()["notes"].to_string();
    assert!(notes.contains("campaigns of other namespaces were not looked at"), "{notes}");
    assert!(
        notes
            .contains("the right to list dialercampaignstates.dialer.cxone-operator.io in the whole cluster"),
        "{notes}"
    );
    stage.namespace = ours;
    let version = stage.get("c-1").await.resource_version();
    assert_eq!(stage.put_words("c-1"), Vec::<String>::new(), "{version:?}");
}
