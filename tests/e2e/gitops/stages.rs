//! Objects are led to every stage, many side by side, and taken as they are there.

use jiff::SignedDuration;
use kube::ResourceExt;
use rules::kinds::{CXoneTenant, DialingPolicy, HOLD};
use serde_json::{Value, json};
use simulator::{Effect, Fault, FaultRoute, State};

use super::samples::Samples;
use crate::hours::{closed_now, in_seconds};
use crate::stage::{ORG, PATIENCE, Stage};
use crate::waiting::until_object;

/// How far the second operator's clock is ahead: more than the shortest `progressDeadlineSeconds`.
const AHEAD: SignedDuration = SignedDuration::from_secs(90);

/// Leads objects through their life, and gives what they were like at each stage.
pub async fn pass_through() -> Samples {
    let mut samples = Samples::default();
    let mut stage = Stage::on_own_cluster_without_operator().await;
    before_the_operator(&stage, &mut samples).await;
    stage.start_operator(&["--all-namespaces"]);
    tenants(&stage, &mut samples).await;
    policies(&stage, &mut samples).await;
    campaigns(&stage, &mut samples).await;
    later_in_life(&stage, &mut samples).await;
    under_a_freeze(&stage, &mut samples).await;
    stage.operator.kill();
    behind(&stage, &mut samples).await;
    stage.sim.set_date_offset(AHEAD.as_secs());
    stage.operator.shift_clock(AHEAD);
    stage.start_operator(&["--all-namespaces"]);
    let late = stage.until_ready("draining", "False", "ProgressDeadlineExceeded").await;
    samples.take("deadline-exceeded", &late);
    samples
}

/// A policy that concerns nobody says the same as one that does.
fn for_nobody(mut spec: Value) -> Value {
    spec["namespaceSelector"] = json!({"matchLabels": {"nobody": ""}});
    spec
}

async fn before_the_operator(stage: &Stage, samples: &mut Samples) {
    stage.sim.campaign(ORG, "running");
    samples.take("fresh", &stage.declare("running", "Running", json!({})).await);
    samples.take("fresh", &stage.tenants().get("default").await.unwrap());
    samples.take("fresh", &stage.apply_policy("open", for_nobody(json!({"maxActiveCalls": 50}))).await);
}

async fn tenants(stage: &Stage, samples: &mut Samples) {
    let refers_to = |url: &str| json!({"baseUrl": url, "credentialsSecretRef": {"name": "nowhere"}});
    stage.apply_tenant("no-secret", refers_to(&stage.sim.url())).await;
    stage.apply_tenant("not-allowed", refers_to("https://elsewhere.example.com")).await;
    stage.sim.fault(Fault::status(FaultRoute::Token, 503).tenant("away"));
    stage.add_tenant("away", "away").await;
    for (name, word, reason, at) in [
        ("default", "True", "TenantReady", "ready"),
        ("no-secret", "False", "CredentialsMissing", "credentials-missing"),
        ("not-allowed", "False", "EndpointNotAllowed", "not-allowed"),
        ("away", "False", "Unreachable", "unreachable"),
    ] {
        stage.until_tenant(name, word, reason).await;
        let object: CXoneTenant = stage.tenants().get(name).await.unwrap();
        samples.take(at, &object);
    }
}

async fn policies(stage: &Stage, samples: &mut Samples) {
    stage.apply_policy("closed", for_nobody(closed_now())).await;
    for name in ["open", "closed"] {
        samples.take(name, &told(stage, name).await);
    }
}

/// A policy, once the operator has told of its newest generation.
async fn told(stage: &Stage, name: &str) -> DialingPolicy {
    let newest = |object: Option<&DialingPolicy>| {
        object.is_some_and(|o| {
            o.status.as_ref().map(|status| status.observed_generation) == o.metadata.generation
        })
    };
    until_object(&stage.policies(), &stage.policy(name), newest).await.unwrap().unwrap()
}

/// Each campaign, its state in CXone, the declared one, the spec, and the Ready status and reason that are waited for.
fn cast() -> Vec<(&'static str, State, &'static str, Value, &'static str, &'static str)> {
    let closed = || json!({"complianceWindow": closed_now()});
    let resume_at = in_seconds(7200).to_string();
    let scheduled = json!({"resumeMode": "Scheduled", "resumeAt": resume_at});
    let mut observing = closed();
    observing["mode"] = json!("Observe");
    let draining = json!({"checkIntervalSeconds": 10, "progressDeadlineSeconds": 60});
    let elsewhere = json!({"tenantRef": {"name": "nowhere"}});
    let locked_out = json!({"tenantRef": {"name": "no-secret"}});
    let (paused, running) = (State::Paused, State::Running);
    vec![
        ("draining", paused, "Running", draining, "Unknown", "TooManyCalls"),
        ("confirming", paused, "Running", json!({}), "Unknown", "Confirming"),
        ("unavailable", paused, "Running", json!({}), "Unknown", "Unavailable"),
        ("running", paused, "Running", json!({}), "True", "Running"),
        ("paused", running, "Paused", json!({}), "True", "Paused"),
        ("paused-for-a-while", running, "Paused", json!({"pauseDurationSeconds": 1800}), "True", "Paused"),
        ("stopped", running, "Stopped", json!({}), "True", "Stopped"),
        ("outside-hours", running, "Running", closed(), "True", "OutsideWindow"),
        ("scheduled", paused, "Running", scheduled, "True", "ScheduledResume"),
        ("held", paused, "Running", json!({}), "True", "Manual"),
        ("suspended", paused, "Running", json!({"suspend": true}), "True", "Suspended"),
        ("observed", paused, "Running", json!({"mode": "Observe"}), "True", "Observe"),
        ("violation", running, "Running", closed(), "False", "OutsideWindow"),
        ("observed-violation", running, "Running", observing, "False", "OutsideWindow"),
        ("forbidden", paused, "Running", json!({}), "False", "Forbidden"),
        ("not-found", paused, "Running", json!({}), "False", "CampaignNotFound"),
        ("no-tenant", paused, "Running", elsewhere, "False", "TenantNotFound"),
        ("no-credentials", paused, "Running", locked_out, "False", "CredentialsMissing"),
    ]
}

async fn campaigns(stage: &Stage, samples: &mut Samples) {
    stage.sim.campaign(ORG, "draining").pin_active_calls(151);
    let fault = |name: &str, fault: Fault| stage.sim.fault(fault.campaign(name));
    fault("confirming", Fault::new(FaultRoute::StatePut, Effect::Late { ms: 60_000, lost: None }));
    fault("unavailable", Fault::status(FaultRoute::StateGet, 500));
    fault("violation", Fault::status(FaultRoute::StatePut, 500));
    fault("forbidden", Fault::status(FaultRoute::StateGet, 403));
    fault("not-found", Fault::status(FaultRoute::StateGet, 404));
    for (name, state, declared, spec, ..) in cast() {
        if name != "running" {
            stage.sim.campaign(ORG, name).set(state);
            stage.declare(name, declared, spec).await;
        }
        if name == "held" {
            stage.annotate(name, HOLD, Some("the list is being checked")).await;
        }
    }
    let reached = cast()
        .into_iter()
        .map(async |(name, _, _, _, word, reason)| (name, stage.until_ready(name, word, reason).await));
    for (name, object) in futures::future::join_all(reached).await {
        samples.take(name, &object);
    }
}

async fn later_in_life(stage: &Stage, samples: &mut Samples) {
    stage.declare("duplicate", "Running", json!({"campaignId": "running"})).await;
    for name in ["paused-elsewhere", "deleting"] {
        stage.sim.campaign(ORG, name);
        stage.declare(name, "Running", json!({"checkIntervalSeconds": 10})).await;
    }
    samples.take("duplicate", &stage.until_ready("duplicate", "False", "DuplicateClaim").await);
    stage.until_ready("paused-elsewhere", "True", "Running").await;
    stage.sim.campaign(ORG, "paused-elsewhere").set(State::Paused);
    stage.look("paused-elsewhere").await;
    let paused = stage.until_ready("paused-elsewhere", "True", "ExternalPause").await;
    samples.take("paused-elsewhere", &paused);

    stage.until_ready("deleting", "True", "Running").await;
    stage.sim.fault(Fault::new(FaultRoute::Any, Effect::Hang).campaign("deleting"));
    stage.delete("deleting").await;
    let deleting = stage.get("deleting").await;
    assert!(!deleting.finalizers().is_empty());
    samples.take("deleting", &deleting);
}

async fn under_a_freeze(stage: &Stage, samples: &mut Samples) {
    stage.apply_policy("frozen", json!({"freeze": {"reason": "a complaint is looked into"}})).await;
    samples.take("frozen", &told(stage, "frozen").await);
    let ended = tokio::time::timeout(PATIENCE, stage.until_ready("running", "True", "Frozen")).await;
    samples.take("frozen", &ended.unwrap());
    stage.delete_policy("frozen").await;
}

/// While no operator runs.
async fn behind(stage: &Stage, samples: &mut Samples) {
    samples.take("stale", &stage.change("paused", json!({"state": "Running"})).await);
    samples.take("stale", &stage.change_policy("open", json!({"maxActiveCalls": 40})).await);
}
