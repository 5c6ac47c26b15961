//! The example repository of `deploy/example`: every folder builds, and an API server and `plan` take what comes of it.

use std::process::Command;

use serde_json::{Value, json};

use crate::stage::Stage;
use crate::zero_diff::repository::{built, read_folder};
use crate::zero_diff::ways::{CLIENT_SIDE, Cluster};

const FOLDERS: [&str; 7] = [
    "policies",
    "tenants/production",
    "tenants/staging",
    "campaigns/production",
    "campaigns/staging",
    "clusters/production",
    "clusters/staging",
];

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_folder_builds_alone_and_an_api_server_admits_it() {
    let stage = Stage::without_operator().await;
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "sales"}});
    let cluster = Cluster::new(&stage.kubeconfig, stage.folder.path());
    // A dry run makes no namespace that the next object could be in.
    cluster.apply(CLIENT_SIDE, &[body]);
    for folder in FOLDERS {
        for how in [&["--server-side=false"][..], &["--server-side", "--field-manager=argocd-controller"]] {
            let args = [&["apply", "--dry-run=server", "--validate=strict"], how].concat();
            let said = cluster.apply(&args, &built(folder));
            assert!(!said.contains("Warning"), "{folder}: {said}");
        }
    }
}

#[test]
fn a_cluster_gets_the_law_a_tenant_and_campaigns_and_no_secret() {
    for environment in ["production", "staging"] {
        let all = built(&format!("clusters/{environment}"));
        let count = |kind| of_kind(&all, kind).len();
        assert_eq!(
            ["Namespace", "CXoneTenant", "DialingPolicy", "DialerCampaignState", "Secret"].map(count),
            [1, 1, 2, 2, 0]
        );
        assert_eq!(all.len(), 6, "and nothing else");
        let labels = of_kind(&all, "Namespace")[0]["metadata"]["labels"].as_object().unwrap();
        for policy in of_kind(&all, "DialingPolicy") {
            let label = &policy["spec"]["namespaceSelector"]["matchExpressions"][0]["key"];
            assert!(labels.contains_key(label.as_str().unwrap()), "the namespace is bound by {label}");
        }
    }
}

#[test]
fn staging_only_watches_on_another_tenant_and_production_enforces() {
    let modes = |environment: &str| -> Vec<Value> {
        let all = built(&format!("campaigns/{environment}"));
        all.iter().map(|object| object["spec"]["mode"].clone()).collect()
    };
    assert_eq!(modes("staging"), ["Observe", "Observe"]);
    assert_eq!(modes("production"), [Value::Null, Value::Null], "Enforce is the default");
    let organization = |environment: &str| {
        let all = built(&format!("tenants/{environment}"));
        of_kind(&all, "CXoneTenant")[0]["spec"]["organization"].clone()
    };
    assert_ne!(organization("staging"), organization("production"));
}

#[test]
fn its_policies_are_the_ready_made_ones_and_the_brake_is_not_among_them() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/example/policies");
    let mut copies = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name == "kustomization.yaml" {
            continue;
        }
        let read = |folder: &str| std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
        let original = read(concat!(env!("CARGO_MANIFEST_DIR"), "/policies"));
        assert_eq!(read(folder), original, "{name} is no copy any more: copy it again");
        copies += 1;
    }
    assert!(copies > 0);
    let brake = |object: &Value| object["metadata"]["name"] == "emergency";
    assert!(!built("policies").iter().any(brake) && read_folder("policies").iter().any(brake));
}

#[test]
fn plan_rehearses_each_environment_without_a_complaint() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/example");
    for environment in ["production", "staging"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("built.yaml");
        let documents: Vec<String> =
            built(&format!("clusters/{environment}")).iter().map(Value::to_string).collect();
        std::fs::write(&file, documents.join("\n---\n")).unwrap();
        let mut plan = Command::new(env!("CARGO_BIN_EXE_dialer-operator"));
        plan.args(["plan", "--output=json", "--from=2026-11-23T00:00:00-05:00", "--file"]).arg(&file);
        let output = plan.arg("--policies").arg(format!("{root}/tenants/{environment}")).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
        println!("{plan:#}\n{told}");
        let campaigns = plan["campaigns"].as_array().unwrap();
        assert_eq!(campaigns.len(), 2);
        assert_eq!(plan["warnings"].as_array().map_or(0, Vec::len), 0, "{plan:#}");
        let starts = |campaign: &Value| {
            let coming = campaign["transitions"].as_array().unwrap();
            coming.iter().any(|transition| transition["to"] == "Running")
        };
        assert!(campaigns.iter().any(starts), "something dials within the week: {plan:#}");
    }
}
