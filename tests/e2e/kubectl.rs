//! As a person uses it: with kubectl.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use kube::ResourceExt;
use serde_json::json;
use simulator::State;

use crate::hours::around_the_clock;
use crate::stage::{ORG, Stage};

/// The one that people have; a machine without one builds it.
pub static KUBECTL: LazyLock<PathBuf> = LazyLock::new(|| {
    let found = Command::new("kubectl").args(["version", "--client"]).output();
    match found {
        Ok(output) if output.status.success() => "kubectl".into(),
        _ => devcluster::assets::KUBECTL.path().expect("a kubectl"),
    }
});

/// Runs kubectl in the stage's namespace; gives whether it ended well and what it said.
async fn try_kubectl(stage: &Stage, args: &[&str], input: &str) -> (bool, String) {
    let mut command = Command::new(KUBECTL.as_path());
    command.arg("--kubeconfig").arg(&stage.kubeconfig).args(["--namespace", &stage.namespace]).args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let input = input.to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    });
    let output = output.await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

async fn kubectl(stage: &Stage, args: &[&str], input: &str) -> String {
    let (well, text) = try_kubectl(stage, args, input).await;
    assert!(well, "kubectl {args:?}: {text}\n{}", stage.story("c-1").await);
    text
}

/// A tenant and a campaign, in one file as it stands in git.
fn manifest(stage: &Stage, state: &str) -> String {
    let window = around_the_clock();
    format!(
        "apiVersion: dialer.cxone-operator.io/v1alpha1
kind: CXoneTenant
metadata:
  name: default
spec:
  baseUrl: {}
  credentialsSecretRef: {{name: default-credentials}}
---
apiVersion: dialer.cxone-operator.io/v1alpha1
kind: DialerCampaignState
metadata:
  name: c-1
  labels: {{team: renewals}}
spec:
  campaignId: c-1
  state: {state}
  complianceWindow: {window}
",
        stage.sim.url()
    )
}

/// A stage on which a person has just applied the file, and nobody anything else.
async fn applied(state: &str) -> Stage {
    let stage = Stage::new().await;
    stage.tenants().delete("default", &Default::default()).await.unwrap();
    stage.sim.campaign(ORG, "c-1");
    kubectl(&stage, &["apply", "-f", "-"], &manifest(&stage, state)).await;
    kubectl(&stage, &["wait", "--for=condition=Ready", "dcs/c-1", "cxt/default", "--timeout=60s"], "").await;
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_and_wait_and_get_tell_what_runs() {
    let stage = applied("Running").await;
    assert_eq!(stage.put_words("c-1"), ["running"]);
    let table = kubectl(&stage, &["get", "dcs"], "").await;
    let mut lines = table.lines();
    let columns: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(
        columns,
        ["NAME", "CAMPAIGN", "DECLARED", "EFFECTIVE", "OBSERVED", "READY", "REASON", "NEXT", "AGE"]
    );
    let row: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(row[..7], ["c-1", "c-1", "Running", "Running", "Running", "True", "Running"]);
    let wide = kubectl(&stage, &["get", "dcs", "-o", "wide"], "").await;
    assert!(wide.contains("TENANT") && wide.contains("running as declared"), "{wide}");
    let all = kubectl(&stage, &["get", "dialer"], "").await;
    assert!(all.contains("dialercampaignstate.dialer.cxone-operator.io/c-1"), "{all}");
    assert!(all.contains("cxonetenant.dialer.cxone-operator.io/default"), "{all}");
    let chosen =
        kubectl(&stage, &["get", "dcs", "--field-selector", "spec.state=Paused", "-o", "name"], "").await;
    assert!(!chosen.contains("c-1"), "{chosen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn describe_shows_the_conditions_and_the_events() {
    let stage = applied("Running").await;
    kubectl(&stage, &["annotate", "dcs", "c-1", "dialer.cxone-operator.io/hold=bad list"], "").await;
    kubectl(&stage, &["wait", "--for=condition=Held", "dcs/c-1", "--timeout=60s"], "").await;
    stage.until_ready("c-1", "True", "Manual").await;
    let text = kubectl(&stage, &["describe", "dcs", "c-1"], "").await;
    for words in
        ["bad list", "Window Open", "Last Transition:", "Running -> Paused (Manual): Applied", "Events:"]
    {
        assert!(
            text.contains(words) || text.contains(&words.replace(' ', "")),
            "{words:?} is missing: {text}"
        );
    }
    let events = text.split("Events:").nth(1).unwrap();
    assert!(events.contains("Normal") && events.contains("Paused") && events.contains("Running"), "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_tells_each_field_with_its_unit_and_default() {
    let stage = Stage::new().await;
    let text = kubectl(&stage, &["explain", "dcs.spec"], "").await;
    for words in [
        "pauseDurationSeconds",
        "checkIntervalSeconds",
        "-required-",
        "Default: 60",
        "in seconds",
        "Immutable",
    ] {
        assert!(text.contains(words), "{words:?} is missing: {text}");
    }
    let text = kubectl(&stage, &["explain", "dcs.spec.complianceWindow.closeLeadSeconds"], "").await;
    assert!(text.contains("Default: 30"), "{text}");
    let text = kubectl(&stage, &["explain", "cxt.spec"], "").await;
    assert!(text.contains("baseUrl"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn applying_the_same_file_again_changes_nothing() {
    let stage = applied("Running").await;
    // Until the operator's own writes have come to rest: its finalizer, its status.
    stage.look("c-1").await;
    let version = stage.get("c-1").await.resource_version();
    let tenant = stage.tenants().get("default").await.unwrap().resource_version();
    let said = kubectl(&stage, &["apply", "-f", "-"], &manifest(&stage, "Running")).await;
    assert_eq!(said.matches("unchanged").count(), 2, "{said}");
    assert_eq!(stage.get("c-1").await.resource_version(), version);
    assert_eq!(stage.tenants().get("default").await.unwrap().resource_version(), tenant);
    assert_eq!(stage.put_words("c-1"), ["running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_applies_beside_the_operators_own_fields_and_server_side_without_a_conflict() {
    let stage = applied("Running").await;
    kubectl(&stage, &["apply", "-f", "-"], &manifest(&stage, "Paused")).await;
    stage.until_ready("c-1", "True", "Paused").await;
    let args = ["apply", "--server-side", "--field-manager", "argocd-controller", "-f", "-"];
    // What client-side apply has left is taken over; nothing of the operator's stands in the way.
    let said = kubectl(&stage, &args, &manifest(&stage, "Paused")).await;
    assert!(said.contains("serverside-applied"), "{said}");
    let object = stage.get("c-1").await;
    assert_eq!(object.labels().get("team").map(String::as_str), Some("renewals"));

    // In a namespace of its own from the start: applied, driven, applied again with a change.
    let other = Stage::new().await;
    other.tenants().delete("default", &Default::default()).await.unwrap();
    other.sim.campaign(ORG, "c-1").set(State::Running);
    kubectl(&other, &args, &manifest(&other, "Running")).await;
    other.until_ready("c-1", "True", "Running").await;
    kubectl(&other, &args, &manifest(&other, "Stopped")).await;
    other.until_ready("c-1", "True", "Stopped").await;
    assert_eq!(other.put_words("c-1"), ["stopped"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_file_is_refused_with_the_field_that_is_wrong() {
    let stage = Stage::new().await;
    let (well, said) = try_kubectl(&stage, &["apply", "-f", "-"], &manifest(&stage, "Dialing")).await;
    assert!(!well && said.contains("spec.state") && said.contains("\"Running\""), "{said}");
    let typo = manifest(&stage, "Running").replace("campaignId", "campaingId");
    let (well, said) = try_kubectl(&stage, &["apply", "-f", "-"], &typo).await;
    assert!(!well && said.contains("campaingId"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_returns_when_the_campaign_is_paused() {
    let stage = applied("Running").await;
    let object = stage.get("c-1").await;
    assert!(!object.finalizers().is_empty(), "it runs");
    let said = kubectl(&stage, &["delete", "dcs", "c-1", "--timeout=60s"], "").await;
    assert!(said.contains("deleted"), "{said}");
    assert_eq!(stage.put_words("c-1"), ["running", "paused"]);
    assert_eq!(stage.sim.campaign(ORG, "c-1").state(), State::Paused);
    assert_eq!(json!(stage.campaigns().get_opt("c-1").await.unwrap()), json!(null));
}
