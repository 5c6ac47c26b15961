//! The flags about policies: to live without them, and to demand them.

use std::process::Command;

use serde_json::json;
use simulator::State;

use crate::hours::{around_the_clock, closed_now, without_zones};
use crate::policies::{held, only_in, running};
use crate::stage::{ORG, Stage};
use crate::unlisted::{FORBIDDEN, behind_a_proxy};

#[tokio::test(flavor = "multi_thread")]
async fn with_no_policies_they_are_neither_asked_for_nor_heeded_and_own_hours_suffice() {
    let (mut stage, proxy) = behind_a_proxy().await;
    stage.apply_policy("closed", closed_now()).await;
    stage.apply_policy("brake", json!({"freeze": {"reason": "not for those"}})).await;
    let cluster_scoped = |path: &str| path.ends_with("/dialingpolicies") || path.ends_with("/namespaces");
    proxy.rule(move |asked| cluster_scoped(&asked.path), FORBIDDEN);
    stage.sim.campaign(ORG, "starts");
    stage.start_operator(&["--no-policies"]);
    stage.declare("starts", "Running", json!({})).await;
    let status = stage.until_ready("starts", "True", "Running").await.status.unwrap();
    assert!(status.policies.is_empty() && status.window.unwrap().policy.is_none());
    stage.sim.campaign(ORG, "bare").set(State::Running);
    stage.declare("bare", "Running", only_in("UTC")).await;
    stage.until_ready("bare", "True", "NoWindow").await;
    assert_eq!(
        (stage.put_words("starts"), stage.put_words("bare")),
        (vec!["running".into()], vec!["paused".into()])
    );
    let ready = reqwest::get(format!("{}/readyz", stage.operator.admin().unwrap())).await.unwrap();
    assert!(ready.status().is_success(), "{}", ready.text().await.unwrap());
    let asked = proxy.asked();
    assert!(!asked.is_empty() && !asked.iter().any(|a| cluster_scoped(&a.path)), "{asked:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_require_policy_own_hours_never_suffice_and_that_is_said() {
    let stage = Stage::with_args(&["--require-policy"]).await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    // Neither hours of its own nor a policy without hours will do.
    stage.apply_policy("cap", json!({"maxActiveCalls": 100})).await;
    stage.declare("c-1", "Running", json!({})).await;
    let status = stage.until_ready("c-1", "True", "NoWindow").await.status.unwrap();
    let (_, message) = held(&status);
    assert!(message.contains("no DialingPolicy gives hours for this campaign"), "{message}");
    assert!(message.contains("--require-policy"), "{message}");
    assert_eq!(stage.put_words("c-1"), ["paused"]);

    stage.apply_policy("hours", without_zones(around_the_clock())).await;
    stage.until_ready("c-1", "True", "Running").await;
    stage.delete_policy("hours").await;
    stage.until_ready("c-1", "True", "NoWindow").await;
    assert_eq!(stage.put_words("c-1"), ["paused", "running", "paused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_require_policy_a_campaign_within_the_hours_of_a_policy_runs() {
    let stage = Stage::with_args(&["--require-policy"]).await;
    stage.apply_policy("hours", around_the_clock()).await;
    running(&stage, &["c-1"], &only_in("UTC")).await;
}

#[test]
fn both_flags_together_are_refused_with_a_clear_message() {
    let given = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dialer-operator"));
        command.arg("run").args(args).env("KUBECONFIG", "/nonexistent");
        command
    };
    let flags = given(&["--no-policies", "--require-policy"]).output().unwrap();
    let mut by_environment = given(&["--no-policies"]);
    let by_environment = by_environment.env("DIALER_REQUIRE_POLICY", "true").output().unwrap();
    for output in [flags, by_environment] {
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{text}");
        let line = text.lines().next().unwrap();
        assert!(line.contains("--no-policies") && line.contains("--require-policy"), "{text}");
        assert!(line.contains("exclude each other"), "{text}");
    }
}
