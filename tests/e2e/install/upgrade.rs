//! Another chart, the same campaigns: nothing is sent, nothing is lost, and the CRDs come along.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::{Api, CustomResourceExt};
use rules::kinds::{CXoneTenant, DialerCampaignState, DialingPolicy, HOLD};
use serde_json::{Value, json};
use simulator::{Route, State};

use super::Install;
use super::helm::CHART;
use crate::hours::around_the_clock;
use crate::stage::{ORG, Stage};
use crate::waiting::until_object;

/// The chart as it was when it was first complete; see the README beside it.
pub const FIRST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/install/first-chart.tgz");

/// Campaigns in the states that are easily lost.
const CAMPAIGNS: [&str; 4] = ["running", "paused-for-a-while", "held", "paused-by-another"];

async fn put_campaigns_in_place(stage: &Stage) {
    stage.apply_policy("hours", around_the_clock()).await;
    for name in ["running", "paused-for-a-while", "paused-by-another"] {
        stage.sim.campaign(ORG, name).set(State::Running);
    }
    stage.sim.campaign(ORG, "held");
    // Looked at as often as can be: the test waits for looks.
    let often = json!({"checkIntervalSeconds": 10});
    let for_a_while = json!({"pauseDurationSeconds": 7200, "checkIntervalSeconds": 10});
    stage.declare("running", "Running", often.clone()).await;
    stage.declare("paused-for-a-while", "Paused", for_a_while).await;
    stage.declare("held", "Running", often.clone()).await;
    stage.annotate("held", HOLD, Some("bad list")).await;
    stage.declare("paused-by-another", "Running", often).await;
    stage.until_ready("paused-by-another", "True", "Running").await;
    stage.sim.campaign(ORG, "paused-by-another").set(State::Paused);
    stage.look("paused-by-another").await;
    stage.until_ready("running", "True", "Running").await;
    stage.until("paused-for-a-while", "a pause that ends", |s| s.pause.is_some()).await;
    stage.until_ready("held", "True", "Manual").await;
    stage.until("paused-by-another", "a pause by another", |s| s.external_pause.is_some()).await;
    let all = i32::try_from(CAMPAIGNS.len()).ok();
    let counts = |tenant: Option<&CXoneTenant>| {
        tenant.and_then(|t| t.status.as_ref()).is_some_and(|status| status.campaigns == all)
    };
    until_object(&stage.tenants(), "default", counts).await.expect("the tenant counts them");
    let counts = |policy: Option<&DialingPolicy>| {
        policy.and_then(|p| p.status.as_ref()).is_some_and(|status| status.campaigns == all)
    };
    until_object(&stage.policies(), &stage.policy("hours"), counts).await.expect("the policy counts them");
    let before = reads(stage);
    until_looked_at(stage, &before).await;
}

/// How often each campaign has been read.
fn reads(stage: &Stage) -> Vec<usize> {
    CAMPAIGNS.iter().map(|name| stage.requests(name, Route::StateGet).len()).collect()
}

/// Waits until each has been looked at: what the first look brings is written before the second one.
async fn until_looked_at(stage: &Stage, before: &[usize]) {
    for (name, before) in CAMPAIGNS.iter().zip(before) {
        stage.until_requests(name, Route::StateGet, before + 2).await;
    }
}

/// Every object of our kinds, with all that the API server has of it.
async fn everything(stage: &Stage) -> Vec<Value> {
    let mut all = Vec::new();
    for kind in [
        ApiResource::erase::<DialerCampaignState>(&()),
        ApiResource::erase::<CXoneTenant>(&()),
        ApiResource::erase::<DialingPolicy>(&()),
    ] {
        let api: Api<DynamicObject> = Api::all_with(stage.client.clone(), &kind);
        all.extend(api.list(&ListParams::default()).await.unwrap().items.iter().map(|object| json!(object)));
    }
    all
}

fn puts(stage: &Stage) -> usize {
    CAMPAIGNS.iter().map(|name| stage.sim.puts(name).len()).sum()
}

/// What people read of a kind: the sentence that the first chart has otherwise.
pub fn description(definition: &CustomResourceDefinition) -> Option<String> {
    definition.spec.versions[0].schema.as_ref()?.open_api_v3_schema.as_ref()?.description.clone()
}

async fn installed_description(stage: &Stage) -> Option<String> {
    let api: Api<CustomResourceDefinition> = Api::all(stage.client.clone());
    description(&api.get(DialerCampaignState::crd_name()).await.unwrap())
}

/// The operator of the Deployment as it is now takes the place of the one before, and has looked at every campaign.
async fn replace_the_pod(install: &mut Install) {
    assert!(install.stage.operator.stop(), "it ends well: {}", install.stage.operator.log());
    let before = reads(&install.stage);
    install.start().await;
    until_looked_at(&install.stage, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_and_a_rollback_of_the_chart_send_nothing_and_lose_nothing() {
    let mut install = Install::alone(FIRST, json!({})).await;
    install.start().await;
    put_campaigns_in_place(&install.stage).await;
    let (objects, sent) = (everything(&install.stage).await, puts(&install.stage));
    assert_eq!(objects.len(), CAMPAIGNS.len() + 2, "with a tenant and a policy");
    let first = installed_description(&install.stage).await;
    let newest = description(&DialerCampaignState::crd());
    assert_ne!(first, newest, "the first chart has another CRD");

    install.helm.upgrade(&install.release, CHART, &install.values(json!({}))).await;
    assert_eq!(installed_description(&install.stage).await, newest, "an upgrade brings the CRDs");
    replace_the_pod(&mut install).await;
    assert_eq!(everything(&install.stage).await, objects);
    assert_eq!(puts(&install.stage), sent, "{}", install.stage.operator.log());

    install.helm.run(&["rollback", &install.release, "1"]).await;
    assert_eq!(installed_description(&install.stage).await, first, "and so does a rollback");
    replace_the_pod(&mut install).await;
    assert_eq!(everything(&install.stage).await, objects);
    assert_eq!(puts(&install.stage), sent, "{}", install.stage.operator.log());
}
