//! Credentials that are deleted, misnamed or wrong while campaigns run: nothing starts, and every close goes through.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use rules::kinds::{CampaignStatus, DeclaredState, Observed, Target};
use serde_json::json;
use simulator::{LogEntry, Route, State};

use crate::stage::{ORG, Stage, says};

/// A campaign that runs, one that is paused, and both known to be.
async fn a_running_and_a_paused_campaign() -> Stage {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "busy").set(State::Running);
    stage.sim.campaign(ORG, "idle").set(State::Paused);
    stage.declare("busy", "Running", json!({})).await;
    stage.declare("idle", "Paused", json!({})).await;
    stage.until_ready("busy", "True", "Running").await;
    stage.until_ready("idle", "True", "Paused").await;
    stage
}

/// A touched tenant is checked at once.
async fn touch_tenant(stage: &Stage) {
    let patch = json!({"metadata": {"labels": {"touched": "yes"}}});
    stage.tenants().patch("default", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

async fn delete_secret(stage: &Stage) {
    let secrets: Api<Secret> = Api::namespaced(stage.client.clone(), &stage.namespace);
    secrets.delete("default-credentials", &DeleteParams::default()).await.unwrap();
    touch_tenant(stage).await;
}

async fn assert_closes_and_starts_nothing(stage: &Stage, reason: &str) {
    stage.until_tenant("default", "False", reason).await;
    // The last token is of no use any more either.
    stage.sim.revoke_tokens();
    stage.change("idle", json!({"state": "Running"})).await;
    stage.change("busy", json!({"state": "Paused"})).await;
    let closed = |s: &CampaignStatus| {
        s.observed == Some(Observed::Paused)
            && s.last_transition.as_ref().is_some_and(|last| last.to == Target::Paused)
    };
    stage.until("busy", "the pause that was confirmed", closed).await;
    assert_eq!(accepted(&stage.sim.log()), 1);
    let object = stage.until_ready("idle", "False", reason).await;
    assert_eq!(says(&object, "Stalled").unwrap().1, reason);
    assert!(stage.requests("idle", Route::StatePut).is_empty());
    assert!(stage.operator.log().contains("closing with credentials that were honoured before"));
    assert_what_somebody_else_starts_is_stopped(stage, reason).await;
}

/// What is known to be paused is looked at as ever.
async fn assert_what_somebody_else_starts_is_stopped(stage: &Stage, reason: &str) {
    stage.sim.campaign(ORG, "busy").set(State::Running);
    stage.until_log("the end of what somebody else started", |log| accepted(log) == 2).await;
    stage.until_ready("busy", "False", reason).await;
}

/// How many pauses CXone has accepted.
fn accepted(log: &[LogEntry]) -> usize {
    log.iter().filter(|entry| entry.is_put("busy") && entry.status() == Some(200)).count()
}

async fn assert_all_goes_on(stage: &Stage) {
    stage.until_ready("idle", "True", "Running").await;
    stage.until_ready("busy", "True", "Paused").await;
    stage.until_tenant("default", "True", "TenantReady").await;
    assert_eq!(stage.put_words("idle"), ["running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_deleted_holds_starts_and_no_close_until_it_is_back() {
    let stage = a_running_and_a_paused_campaign().await;
    delete_secret(&stage).await;
    assert_closes_and_starts_nothing(&stage, "CredentialsMissing").await;
    let tenant = stage.sim.tenant(ORG);
    stage.set_secret("default-credentials", &tenant.client_id(), &tenant.client_secret()).await;
    assert_all_goes_on(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_pointed_at_a_secret_that_does_not_exist_holds_starts_and_no_close() {
    let stage = a_running_and_a_paused_campaign().await;
    let refer_to = async |secret: &str| {
        let patch = json!({"spec": {"credentialsSecretRef": {"name": secret}}});
        stage.tenants().patch("default", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    };
    refer_to("a-typo").await;
    assert_closes_and_starts_nothing(&stage, "CredentialsMissing").await;
    refer_to("default-credentials").await;
    assert_all_goes_on(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_changed_for_the_worse_holds_starts_and_no_close() {
    let stage = a_running_and_a_paused_campaign().await;
    let tenant = stage.sim.tenant(ORG);
    stage.set_secret("default-credentials", &tenant.client_id(), "wr0ng-secret").await;
    touch_tenant(&stage).await;
    assert_closes_and_starts_nothing(&stage, "Unauthorized").await;
    stage.set_secret("default-credentials", &tenant.client_id(), &tenant.client_secret()).await;
    assert_all_goes_on(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_made_anew_without_its_secret_holds_starts_and_no_close() {
    let stage = a_running_and_a_paused_campaign().await;
    let secrets: Api<Secret> = Api::namespaced(stage.client.clone(), &stage.namespace);
    secrets.delete("default-credentials", &DeleteParams::default()).await.unwrap();
    stage.tenants().delete("default", &DeleteParams::default()).await.unwrap();
    stage.until_ready("busy", "False", "TenantNotFound").await;
    let spec = json!({"baseUrl": stage.sim.url(), "credentialsSecretRef": {"name": "default-credentials"}});
    stage.apply_tenant("default", spec).await;
    assert_closes_and_starts_nothing(&stage, "CredentialsMissing").await;
}

/// The token of the account before is not his who writes the new Secret.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_comes_back_wrong_starts_nothing_by_the_token_of_the_one_before() {
    let stage = a_running_and_a_paused_campaign().await;
    delete_secret(&stage).await;
    stage.until_tenant("default", "False", "CredentialsMissing").await;
    let tenant = stage.sim.tenant(ORG);
    stage.set_secret("default-credentials", &tenant.client_id(), "wr0ng-secret").await;
    stage.until_tenant("default", "False", "Unauthorized").await;
    stage.change("idle", json!({"state": "Running"})).await;
    stage.until("idle", "the declaration", |s| s.declared == Some(DeclaredState::Running)).await;
    stage.look("idle").await;
    stage.until_ready("idle", "False", "Unauthorized").await;
    assert!(stage.requests("idle", Route::StatePut).is_empty());
}

/// Who takes the Secret away wants nothing to start, whatever token is left.
#[tokio::test(flavor = "multi_thread")]
async fn without_its_secret_a_token_that_still_lives_starts_nothing() {
    let stage = a_running_and_a_paused_campaign().await;
    delete_secret(&stage).await;
    stage.until_tenant("default", "False", "CredentialsMissing").await;
    stage.until_ready("idle", "False", "CredentialsMissing").await;
    stage.change("idle", json!({"state": "Running"})).await;
    let declared = |s: &CampaignStatus| s.declared == Some(DeclaredState::Running);
    stage.until("idle", "the declaration that was taken in", declared).await;
    let seq = stage.sim.last_seq();
    stage.look("idle").await;
    let read = stage.sim.requests_since(seq).into_iter().any(|e| e.is_request(Route::StateGet));
    assert!(read, "the token still serves reads");
    assert!(stage.requests("idle", Route::StatePut).is_empty());
}
