//! What a policy says of itself: how many campaigns it concerns, what it says now, and when that changes.

use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, CustomResourceExt, ResourceExt};
use rules::kinds::{DialingPolicy, PolicyState, PolicyStatus};
use serde_json::{Value, json};
use simulator::{LogEntry, Route, State};

use crate::cluster::new_namespace;
use crate::hours::{around_the_clock, closed_now, closes_at, in_seconds, midnight, opens_in, without_zones};
use crate::policies::{held, only_in, running};
use crate::stage::{ORG, PATIENCE, Stage};
use crate::waiting::until_object;

/// An operator of all namespaces: only such a one can count.
async fn of_all_namespaces() -> Stage {
    let mut stage = Stage::on_own_cluster_without_operator().await;
    stage.start_operator(&["--all-namespaces"]);
    stage
}

/// Waits until a policy's status, of its newest generation, is as told.
async fn until_policy(
    stage: &Stage,
    name: &str,
    what: &str,
    holds: impl Fn(&PolicyStatus) -> bool,
) -> PolicyStatus {
    let told = |object: Option<&DialingPolicy>| {
        object.is_some_and(|o| {
            let newest = |s: &&PolicyStatus| Some(s.observed_generation) == o.metadata.generation;
            o.status.as_ref().filter(newest).is_some_and(&holds)
        })
    };
    match until_object(&stage.policies(), &stage.policy(name), told).await {
        Ok(object) => object.unwrap().status.unwrap(),
        Err(why) => {
            let found = json!(stage.get_policy(name).await.status);
            panic!("policy {name} never came to: {what}: {why}\n{found:#}\n{}", stage.operator.log())
        }
    }
}

async fn until_state(stage: &Stage, name: &str, state: PolicyState) -> PolicyStatus {
    until_policy(stage, name, &format!("{state:?}"), |s| s.state == Some(state)).await
}

fn next(status: &PolicyStatus) -> Option<Timestamp> {
    status.next_change.as_ref().map(|at| at.0)
}

/// What `Ready` says: status and reason.
fn ready(status: &PolicyStatus) -> (&str, &str) {
    let condition = status.conditions.iter().find(|c| c.type_ == "Ready").expect("Ready");
    (&condition.status, &condition.reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_tells_its_state_its_next_change_and_that_it_is_ready() {
    let stage = of_all_namespaces().await;
    let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let (from, until) = (today.tomorrow().unwrap().tomorrow().unwrap(), today.yesterday().unwrap());
    let closing = in_seconds(600);
    let (opening, opens) = opens_in(std::time::Duration::from_secs(600));
    let mut future = closed_now();
    future["effectiveFrom"] = json!(from.to_string());
    let mut past = closed_now();
    past["effectiveUntil"] = json!(until.to_string());
    let thaw = in_seconds(700);
    let freeze = json!({"freeze": {"reason": "drill", "until": thaw.to_string()}});
    let first_day = midnight(from, &jiff::tz::TimeZone::UTC);
    let cases = [
        ("open", closes_at(closing), PolicyState::Open, Some(closing)),
        ("closed", opening, PolicyState::Closed, Some(opens)),
        ("frozen", freeze, PolicyState::Frozen, Some(thaw)),
        ("for-good", json!({"freeze": {"reason": "until told"}}), PolicyState::Frozen, None),
        ("local", without_zones(around_the_clock()), PolicyState::PerCampaign, None),
        ("future", future, PolicyState::Inactive, Some(first_day)),
        ("past", past, PolicyState::Inactive, None),
        ("cap", json!({"maxActiveCalls": 5}), PolicyState::Open, None),
    ];
    for (name, spec, state, change) in cases {
        stage.apply_policy(name, spec).await;
        let status = until_state(&stage, name, state).await;
        assert_eq!(next(&status), change, "{name}");
        assert_eq!(ready(&status), ("True", "PolicyReady"), "{name}");
        assert_eq!(status.campaigns, Some(0), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_a_policy_follows_its_edges_its_freeze_and_its_edits() {
    let stage = of_all_namespaces().await;
    let edge = in_seconds(15);
    stage.apply_policy("p", closes_at(edge)).await;
    let status = until_state(&stage, "p", PolicyState::Open).await;
    assert_eq!(next(&status), Some(edge));
    let status = until_state(&stage, "p", PolicyState::Closed).await;
    assert!(Timestamp::now() >= edge && next(&status) > Some(edge), "{status:?}");
    let thaw = in_seconds(8);
    stage.change_policy("p", json!({"freeze": {"reason": "drill", "until": thaw.to_string()}})).await;
    until_state(&stage, "p", PolicyState::Frozen).await;
    until_state(&stage, "p", PolicyState::Closed).await;
    assert!(Timestamp::now() >= thaw);
    stage.change_policy("p", json!({"hours": around_the_clock()["hours"], "closeLeadSeconds": 0})).await;
    let status = until_state(&stage, "p", PolicyState::Open).await;
    assert_eq!((next(&status), ready(&status)), (None, ("True", "PolicyReady")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_campaigns_follows_declarations_labels_and_the_selector() {
    let stage = of_all_namespaces().await;
    let count = async |name: &str, n: i32| {
        until_policy(&stage, name, &format!("{n} campaigns"), |s| s.campaigns == Some(n)).await;
    };
    stage.apply_policy("here", json!({})).await;
    stage.apply_policy("all", json!({"namespaceSelector": {}})).await;
    stage.apply_policy("us", json!({"namespaceSelector": {"matchLabels": {"country": "us"}}})).await;
    for name in ["c-1", "c-2"] {
        stage.sim.campaign(ORG, name);
        stage.declare(name, "Paused", json!({})).await;
    }
    for (name, n) in [("here", 2), ("all", 2), ("us", 0)] {
        count(name, n).await;
    }
    let elsewhere = new_namespace(&stage.client).await;
    let api: Api<rules::kinds::DialerCampaignState> = Api::namespaced(stage.client.clone(), &elsewhere);
    let body = json!({"apiVersion": "dialer.cxone-operator.io/v1alpha1", "kind": "DialerCampaignState",
                      "metadata": {"name": "c-3"}, "spec": {"campaignId": "c-3", "state": "Paused"}});
    api.create(&PostParams::default(), &serde_json::from_value(body).unwrap()).await.unwrap();
    stage.label("country", Some("us")).await;
    for (name, n) in [("here", 2), ("all", 3), ("us", 2)] {
        count(name, n).await;
    }
    stage.delete("c-1").await;
    stage.label("country", None).await;
    for (name, n) in [("here", 1), ("all", 2), ("us", 0)] {
        count(name, n).await;
    }
}

/// Lets a policy name any day, as another version of the CRD might.
async fn loosen_the_schema(stage: &Stage) {
    let api: Api<CustomResourceDefinition> = Api::all(stage.client.clone());
    let name = DialingPolicy::crd_name();
    let mut crd = serde_json::to_value(api.get(name).await.unwrap()).unwrap();
    let spec =
        &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    let days = &mut spec["hours"]["items"]["properties"]["days"]["items"];
    days.as_object_mut().unwrap().remove("enum").expect("an enum");
    api.replace(name, &PostParams::default(), &serde_json::from_value(crd).unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_cannot_be_decoded_closes_all_says_so_and_mended_lets_them_run() {
    let stage = of_all_namespaces().await;
    loosen_the_schema(&stage).await;
    running(&stage, &["c-1"], &json!({})).await;
    let odd = json!({"hours": [{"days": ["Someday"], "from": "08:00", "to": "20:00"}],
                     "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "another"}}});
    let api: Api<kube::api::DynamicObject> =
        Api::all_with(stage.client.clone(), &kube::api::ApiResource::erase::<DialingPolicy>(&()));
    let name = stage.policy("odd");
    let body = json!({"apiVersion": "dialer.cxone-operator.io/v1alpha1", "kind": "DialingPolicy",
                      "metadata": {"name": name}, "spec": odd});
    // The API server takes the new schema up a moment later.
    let taken =
        async { while api.patch(&name, &crate::stage::hand(), &Patch::Apply(&body)).await.is_err() {} };
    tokio::time::timeout(PATIENCE, taken).await.unwrap();

    let status = stage.until_ready("c-1", "True", "PolicyUnreadable").await.status.unwrap();
    let (_, message) = held(&status);
    assert!(message.contains(&format!("policy {name} can't be decoded")), "{message}");
    assert_eq!(stage.put_words("c-1"), ["paused"]);
    let said = |object: Option<&kube::api::DynamicObject>| {
        object.is_some_and(|o| o.data["status"]["state"] == "Unreadable")
    };
    let object =
        tokio::time::timeout(PATIENCE, kube::runtime::wait::await_condition(api.clone(), &name, said));
    let object = object.await.expect("its status tells").unwrap().unwrap();
    let condition = &object.data["status"]["conditions"][0];
    assert_eq!(
        (&condition["type"], &condition["status"], &condition["reason"]),
        (&json!("Ready"), &json!("False"), &json!("PolicyUnreadable"))
    );
    stage.look("c-1").await;
    assert_eq!(api.get(&name).await.unwrap().resource_version(), object.resource_version(), "said once");

    let mended =
        Patch::Merge(json!({"spec": {"hours": [{"days": ["Mon"], "from": "08:00", "to": "20:00"}]}}));
    api.patch(&name, &PatchParams::default(), &mended).await.unwrap();
    stage.until_ready("c-1", "True", "Running").await;
    until_state(&stage, "odd", PolicyState::PerCampaign).await;
    assert_eq!(stage.put_words("c-1"), ["paused", "running"]);
}

/// What a quiet operator leaves as it is.
async fn traces(stage: &Stage, policies: &[&str]) -> Value {
    let mut versions = Vec::new();
    for name in policies {
        versions.push(stage.get_policy(name).await.resource_version());
    }
    for name in ["runs", "held"] {
        versions.push(stage.get(name).await.resource_version());
    }
    let text = stage.operator.metrics().await;
    let writes = text.lines().find(|line| line.starts_with("dialer_status_writes_total")).expect("a counter");
    let above_debug = |line: &&str| !line.contains(" DEBUG ") && !line.contains(" TRACE ");
    json!({
        "versions": versions,
        "writes": writes,
        "audit": stage.operator.audit().len(),
        "log": stage.operator.log().lines().filter(above_debug).count(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nothing_changes_nothing_is_said_of_policies_or_campaigns() {
    let stage = of_all_namespaces().await;
    let later = in_seconds(3600);
    let policies = ["hours", "brake", "local"];
    stage.apply_policy("hours", closes_at(later)).await;
    stage.apply_policy("local", without_zones(around_the_clock())).await;
    let selector = json!({"matchLabels": {"none": "such"}});
    let brake =
        json!({"namespaceSelector": selector, "freeze": {"reason": "elsewhere", "until": later.to_string()}});
    stage.apply_policy("brake", brake).await;
    let quick = json!({"checkIntervalSeconds": 10, "complianceWindow": only_in("UTC")["complianceWindow"]});
    running(&stage, &["runs"], &quick).await;
    stage.sim.campaign(ORG, "held").set(State::Paused);
    let mut shut = quick.clone();
    // In the hours of every policy, and later than this test takes.
    shut["complianceWindow"] = opens_in(std::time::Duration::from_secs(1800)).0;
    stage.declare("held", "Running", shut).await;
    stage.until_ready("held", "True", "OutsideWindow").await;
    stage.until_tenant("default", "True", "TenantReady").await;
    for (name, n) in [("hours", 2), ("brake", 0), ("local", 2)] {
        until_policy(&stage, name, "its number", |s| s.campaigns == Some(n)).await;
    }
    for name in ["runs", "held"] {
        stage.look(name).await;
    }
    let counted = |t: Option<&rules::kinds::CXoneTenant>| {
        t.and_then(|t| t.status.as_ref()).is_some_and(|s| s.campaigns == Some(2))
    };
    until_object(&stage.tenants(), "default", counted).await.unwrap();

    let before = traces(&stage, &policies).await;
    let from = stage.sim.last_seq();
    let looks = |log: &[LogEntry], id: &str| {
        let new = log.iter().filter(|e| e.seq > from && e.is_request(Route::StateGet));
        new.filter(|e| e.campaign.as_deref() == Some(id)).count() >= 3
    };
    // Three intervals, in which policies are looked at twice and objects decided anew at least twice.
    stage.until_log("three looks at each", |log| looks(log, "runs") && looks(log, "held")).await;
    assert_eq!(traces(&stage, &policies).await, before, "{}", stage.story("runs").await);
}
