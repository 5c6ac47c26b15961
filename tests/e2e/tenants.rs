//! Tenants that are missing, appear, may not be asked, mislead, or go.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use kube::api::DeleteParams;
use rules::kinds::{CXoneTenant, CampaignStatus, HOLD, Observed, RECONCILE};
use serde_json::json;
use simulator::{Effect, Fault, FaultRoute, Route, Simulator, SimulatorConfig, State};

use crate::stage::{ORG, Stage, says};
use crate::waiting::until_object;

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_tenant_is_said_and_its_campaign_is_driven_as_soon_as_it_appears() {
    let stage = Stage::new().await;
    stage.sim.campaign("globex", "c-1");
    stage.declare("c-1", "Running", json!({"tenantRef": {"name": "late"}})).await;
    let object = stage.until_ready("c-1", "False", "TenantNotFound").await;
    let (_, reason, message) = says(&object, "Stalled").unwrap();
    assert_eq!(reason, "TenantNotFound");
    assert!(message.contains("late"), "{message}");
    assert!(stage.sim.log().iter().all(|e| e.tenant.as_deref() != Some("globex")));

    let appeared_at = Timestamp::now();
    stage.add_tenant("late", "globex").await;
    stage.until_ready("c-1", "True", "Running").await;
    let took = stage.sim.puts("c-1")[0].at.duration_since(appeared_at);
    assert!(took < SignedDuration::from_secs(10), "it took {took}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_is_said_and_everything_is_driven_soon_after_it_appears() {
    let stage = Stage::new().await;
    let spec = json!({"baseUrl": stage.sim.url(), "credentialsSecretRef": {"name": "late-credentials"}});
    stage.apply_tenant("late", spec).await;
    let names = ["c-1", "c-2"];
    for name in names {
        stage.sim.campaign("globex", name);
        stage.declare(name, "Running", json!({"tenantRef": {"name": "late"}})).await;
    }
    stage.until_tenant("late", "False", "CredentialsMissing").await;
    for name in names {
        let object = stage.until_ready(name, "False", "CredentialsMissing").await;
        assert_eq!(says(&object, "Stalled").unwrap().1, "CredentialsMissing");
    }
    let appeared_at = Timestamp::now();
    let tenant = stage.sim.tenant("globex");
    stage.set_secret("late-credentials", &tenant.client_id(), &tenant.client_secret()).await;
    for name in names {
        stage.until_ready(name, "True", "Running").await;
        let took = stage.sim.puts(name)[0].at.duration_since(appeared_at);
        // It is looked for every quarter of a minute.
        assert!(took < SignedDuration::from_secs(30), "{name} took {took}");
        eprintln!("a Secret that appears: {name} was started after {took}");
    }
    stage.until_tenant("late", "True", "TenantReady").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_allowed_gets_no_request_and_both_objects_say_so() {
    let stage = Stage::with_args(&["--no-endpoint", "--allow-endpoint", "http://127.0.0.1:1"]).await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    stage.declare("c-1", "Running", json!({})).await;
    let tenant = stage.until_tenant("default", "False", "EndpointNotAllowed").await;
    let host = stage.sim.addr().to_string();
    assert_eq!(tenant.host.as_deref(), Some(host.as_str()));
    assert!(tenant.conditions[0].message.contains(&host), "{}", tenant.conditions[0].message);
    let object = stage.until_ready("c-1", "False", "EndpointNotAllowed").await;
    assert_eq!(says(&object, "Stalled").unwrap().1, "EndpointNotAllowed");

    // Not for a close either, whoever asks.
    stage.annotate("c-1", RECONCILE, Some("now")).await;
    stage.annotate("c-1", HOLD, Some("now")).await;
    stage.change("c-1", json!({"state": "Paused"})).await;
    stage.until_ready("c-1", "False", "EndpointNotAllowed").await;
    let requests: Vec<_> = stage.sim.log().into_iter().filter(|e| e.request.is_some()).collect();
    assert!(requests.is_empty(), "{requests:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_route_that_redirects_gets_no_credentials_sent_on_and_nothing_follows() {
    let stage = Stage::without_operator().await;
    let trap = Simulator::start(SimulatorConfig::default()).await.unwrap();
    let location = format!("{}/api/v2/oauth/token", trap.url());
    // 302 makes clients ask again without a body, 307 with all of it.
    let kept = BTreeMap::from([("location".to_owned(), location.clone())]);
    let keeps = Effect::Answer { status: 307, retry_after: None, body: None, headers: kept };
    stage.sim.fault(Fault::new(FaultRoute::Token, keeps).times(2));
    let fault = stage.sim.fault(Fault::new(FaultRoute::Token, Effect::Redirect { location }));
    stage.sim.campaign(ORG, "c-1");
    stage.declare("c-1", "Running", json!({})).await;
    let mut stage = stage;
    stage.start_operator(&[]);
    stage.until_tenant("default", "False", "Unreachable").await;
    stage.until_ready("c-1", "Unknown", "Unavailable").await;
    let answered =
        |status| stage.until_log("both redirects", move |log| log.iter().any(|e| e.status() == Some(status)));
    answered(307).await;
    answered(302).await;
    assert!(trap.log().is_empty(), "{:#?}", trap.log());
    let requests: Vec<_> = stage.sim.log().into_iter().filter(|e| e.request.is_some()).collect();
    assert!(requests.iter().all(|e| e.is_request(Route::Token)), "{requests:#?}");

    stage.sim.clear_fault(fault);
    stage.until_ready("c-1", "True", "Running").await;
    stage.until_tenant("default", "True", "TenantReady").await;
    assert!(trap.log().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_prove_who_it_is_gets_no_credentials() {
    let mut stage = Stage::on_own_cluster_without_operator().await;
    let broken = broken_handshakes(&stage).await;
    // The API server's certificate is good, but of an authority that only this cluster's kubeconfig names.
    let url = stage.cluster().server_url().to_owned();
    let address = url.strip_prefix("https://").unwrap().to_owned();
    let spec = json!({"baseUrl": url, "credentialsSecretRef": {"name": "default-credentials"}});
    stage.apply_tenant("stranger", spec).await;
    stage.sim.campaign(ORG, "c-1");
    stage.declare("c-1", "Running", json!({"tenantRef": {"name": "stranger"}})).await;
    stage.start_operator(&["--no-endpoint", "--allow-endpoint", &address]);

    let tenant = stage.until_tenant("stranger", "False", "Unreachable").await;
    assert_eq!(tenant.host.as_deref(), Some(address.as_str()));
    stage.until_ready("c-1", "Unknown", "Unavailable").await;
    // It was reached, and the talk ended before a word of HTTP was said.
    assert!(broken_handshakes(&stage).await > broken, "{}", stage.operator.log());
    let status = stage.get("c-1").await.status.unwrap();
    assert!(status.pending_transition.is_none() && status.history.is_empty(), "{status:#?}");
    assert!(stage.audit("c-1").iter().all(|line| line["phase"] != "intent"), "{:#?}", stage.audit("c-1"));
    let requests: Vec<_> = stage.sim.log().into_iter().filter(|e| e.request.is_some()).collect();
    assert!(requests.is_empty(), "{requests:#?}");
}

/// How many clients have broken off a TLS handshake with the stage's API server.
async fn broken_handshakes(stage: &Stage) -> u64 {
    let request = axum::http::Request::get("/metrics").body(Vec::new()).unwrap();
    let text = stage.client.request_text(request).await.unwrap();
    let count = |line: &str| line.strip_prefix("apiserver_tls_handshake_errors_total ")?.parse().ok();
    text.lines().find_map(count).expect("the API server counts them")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_tells_its_host_and_how_many_campaigns_it_has() {
    let stage = Stage::new().await;
    let ready = stage.until_tenant("default", "True", "TenantReady").await;
    assert_eq!(ready.host, Some(stage.sim.addr().to_string()));
    for name in ["c-1", "c-2"] {
        stage.sim.campaign(ORG, name).set(State::Paused);
        stage.declare(name, "Paused", json!({})).await;
    }
    until_campaigns(&stage, 2).await;
    stage.delete("c-1").await;
    stage.until_gone("c-1").await;
    until_campaigns(&stage, 1).await;
}

async fn until_campaigns(stage: &Stage, count: i32) {
    let told = |object: Option<&CXoneTenant>| {
        object.and_then(|o| o.status.as_ref()).and_then(|s| s.campaigns) == Some(count)
    };
    let found = until_object(&stage.tenants(), "default", told).await;
    assert!(
        found.is_ok(),
        "the tenant never told of {count} campaigns: {:#?}",
        stage.tenants().get("default").await
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_still_goes_through_when_its_tenant_is_deleted_and_a_start_does_not() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "busy").set(State::Running);
    stage.sim.campaign(ORG, "idle").set(State::Paused);
    stage.declare("busy", "Running", json!({})).await;
    stage.declare("idle", "Paused", json!({})).await;
    stage.until_ready("busy", "True", "Running").await;
    stage.until_ready("idle", "True", "Paused").await;
    stage.tenants().delete("default", &DeleteParams::default()).await.unwrap();
    for name in ["busy", "idle"] {
        let object = stage.until_ready(name, "False", "TenantNotFound").await;
        assert_eq!(says(&object, "Stalled").unwrap().1, "TenantNotFound");
    }
    let declared_at = Timestamp::now();
    stage.change("idle", json!({"state": "Running"})).await;
    stage.change("busy", json!({"state": "Paused"})).await;
    let puts = stage.until_puts("busy", 1).await;
    let took = puts[0].at.duration_since(declared_at);
    assert!(took < SignedDuration::from_secs(3), "{took}");
    let closed = |s: &CampaignStatus| s.observed == Some(Observed::Paused);
    stage.until("busy", "the pause that was confirmed", closed).await;
    assert_eq!(stage.put_words("busy"), ["paused"]);
    stage.until_ready("idle", "False", "TenantNotFound").await;
    assert!(stage.sim.puts("idle").is_empty());

    // And all goes on when it comes back.
    stage.add_tenant("default", ORG).await;
    stage.until_ready("idle", "True", "Running").await;
    stage.until_ready("busy", "True", "Paused").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_that_can_not_be_closed_is_a_violation_also_when_its_tenant_is_deleted() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    stage.declare("c-1", "Running", json!({})).await;
    stage.until_ready("c-1", "True", "Running").await;
    stage.tenants().delete("default", &DeleteParams::default()).await.unwrap();
    stage.until_ready("c-1", "False", "TenantNotFound").await;
    let fault = stage.sim.fault(Fault::status(FaultRoute::StatePut, 500));
    stage.change("c-1", json!({"state": "Paused"})).await;
    stage.until("c-1", "a violation", |s| s.condition("Violation").is_some()).await;
    stage.sim.clear_fault(fault);
    let closed =
        |s: &CampaignStatus| s.observed == Some(Observed::Paused) && s.condition("Violation").is_none();
    stage.until("c-1", "the end of the violation", closed).await;
}
