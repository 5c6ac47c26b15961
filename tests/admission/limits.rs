//! `docs/examples/limit-observe-and-retain.yaml`: who may put a campaign beyond the operator's reach.

use std::path::Path;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::corpus::{self, Corpus, read_documents};
use crate::server::{Answer, Server};

const POLICIES: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
const BINDINGS: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings";

const OBSERVE: &str = "spec.mode: Observe is not yours to set, since the campaign would never be closed: use Enforce, \
                       or ask a member of dialer-admins to set it";
const RETAIN: &str = "spec.deletionPolicy: Retain is not yours to set, since the campaign would run on when the object \
                      is deleted: use Pause, or ask a member of dialer-admins to set it";

/// A namespace where the example is in force, and two users to whom RBAC gives the same rights.
struct Limited {
    campaigns: Corpus,
    owner: Server,
    admin: Server,
}

impl Limited {
    async fn namespace(name: &str) -> Self {
        let server = Server::with_namespace(name).await;
        grant(&server, name).await;
        let [policy, binding] = example(name);
        server.set_up(POLICIES, &policy).await.granted("the policy");
        server.set_up(BINDINGS, &binding).await.granted("the binding");
        let [campaigns, ..] = corpus::all();
        let owner = server.acting_as("olga", "campaign-owners");
        let limited = Self { campaigns, owner, admin: server.acting_as("ada", "dialer-admins") };
        limited.until_in_force().await;
        limited
    }

    /// Rights and policies count a moment after they are stored.
    async fn until_in_force(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let campaign = self.campaign(json!({"mode": "Observe"}));
        loop {
            let answer = self.owner.try_create(&self.campaigns, &campaign).await;
            if answer.complaints().iter().any(|line| line.contains("ValidatingAdmissionPolicy")) {
                return;
            }
            assert!(Instant::now() < deadline, "the example is not in force: {:#}", answer.body);
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn campaign(&self, fields: Value) -> Value {
        let mut spec = json!({"campaignId": "c-1", "state": "Running"});
        spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.campaigns.manifest(spec)
    }

    async fn stored(&self, by: &Server, fields: Value) -> Value {
        let campaign = self.campaign(fields);
        by.create(&self.campaigns, &campaign).await.granted("a campaign");
        campaign
    }

    async fn try_patch(&self, by: &Server, campaign: &Value, patch: Value) -> Answer {
        by.try_change(&self.campaigns, campaign, &patch).await
    }
}

/// The example, under a name of its own and in force in one namespace only: other tests share the API server.
fn example(namespace: &str) -> [Value; 2] {
    let file = Path::new("docs/examples/limit-observe-and-retain.yaml");
    let [mut policy, mut binding]: [Value; 2] = read_documents(file).try_into().unwrap();
    assert_eq!(binding["spec"]["policyName"], policy["metadata"]["name"]);
    policy["metadata"]["name"] = namespace.into();
    binding["metadata"]["name"] = namespace.into();
    binding["spec"]["policyName"] = namespace.into();
    let labels = json!({"kubernetes.io/metadata.name": namespace});
    binding["spec"]["matchResources"] = json!({"namespaceSelector": {"matchLabels": labels}});
    [policy, binding]
}

async fn grant(server: &Server, namespace: &str) {
    const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
    let metadata = json!({"name": "campaigns"});
    let rule = json!({"apiGroups": ["dialer.cxone-operator.io"], "resources": ["dialercampaignstates"], "verbs": ["*"]});
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": [rule]});
    let group = |name| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name});
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "campaigns"},
        "subjects": [group("campaign-owners"), group("dialer-admins")],
    });
    for (plural, object) in [("roles", role), ("rolebindings", binding)] {
        let path = format!("{RBAC}/namespaces/{namespace}/{plural}");
        server.set_up(&path, &object).await.granted(plural);
    }
}

fn assert_refused(answer: &Answer, words: &str) {
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{:#}", answer.body);
    let [complaint] = &answer.complaints()[..] else { panic!("{:#}", answer.body) };
    assert!(complaint.ends_with(&format!(" denied request: {words}")), "{complaint}");
}

/// What is limited, and what is said of it.
fn patches() -> [(Value, &'static str); 3] {
    [
        (json!({"mode": "Observe"}), OBSERVE),
        (json!({"deletionPolicy": "Retain"}), RETAIN),
        // Only the first of several is told.
        (json!({"mode": "Observe", "deletionPolicy": "Retain"}), OBSERVE),
    ]
}

#[tokio::test]
async fn an_owner_is_refused_observe_and_retain_at_creation_and_afterwards_and_told_what_to_do() {
    let limited = Limited::namespace("limits-owner").await;
    let Limited { campaigns, owner, .. } = &limited;
    for (fields, words) in patches() {
        let campaign = limited.campaign(fields.clone());
        assert_refused(&owner.try_create(campaigns, &campaign).await, words);
        assert_refused(&owner.try_apply(campaigns, &campaign).await, words);
    }
    let campaign = limited.stored(owner, json!({})).await;
    for (fields, words) in patches() {
        assert_refused(&limited.try_patch(owner, &campaign, json!({"spec": fields})).await, words);
    }
}

#[tokio::test]
async fn a_member_of_the_group_may_set_observe_and_retain() {
    let limited = Limited::namespace("limits-admin").await;
    let Limited { campaigns, admin, owner } = &limited;
    for (fields, _) in patches() {
        admin.try_create(campaigns, &limited.campaign(fields)).await.granted("creating");
    }
    let campaign = limited.stored(owner, json!({})).await;
    for (fields, _) in patches() {
        limited.try_patch(admin, &campaign, json!({"spec": fields})).await.granted("changing");
    }
}

#[tokio::test]
async fn a_campaign_with_observe_and_retain_can_be_stopped_and_taken_back_by_its_owner() {
    let limited = Limited::namespace("limits-stop").await;
    let Limited { campaigns, admin, owner } = &limited;
    let campaign = limited.stored(admin, json!({"mode": "Observe", "deletionPolicy": "Retain"})).await;
    for patch in [
        json!({"spec": {"state": "Stopped"}}),
        json!({"spec": {"state": "Paused"}}),
        json!({"spec": {"mode": "Enforce"}}),
        json!({"spec": {"deletionPolicy": "Pause"}}),
        json!({"spec": {"state": "Stopped", "mode": "Enforce", "deletionPolicy": null}}),
        json!({"metadata": {"annotations": {"dialer.cxone-operator.io/hold": "bad list"}}}),
        json!({"metadata": {"finalizers": ["dialer.cxone-operator.io/pause"]}}),
    ] {
        limited.try_patch(owner, &campaign, patch.clone()).await.granted(&patch.to_string());
    }
    let mut stopped = campaign.clone();
    stopped["spec"]["state"] = "Stopped".into();
    limited.try_patch(owner, &campaign, stopped).await.granted("applying all of it again, stopped");
    owner.delete(campaigns, &campaign).await;
}

#[tokio::test]
async fn an_owner_who_was_given_one_of_the_two_does_not_get_the_other() {
    let limited = Limited::namespace("limits-one").await;
    let Limited { campaigns, admin, owner } = &limited;
    let (observe, retain) = (json!({"mode": "Observe"}), json!({"deletionPolicy": "Retain"}));
    for (there, new, words) in [(&observe, &retain, RETAIN), (&retain, &observe, OBSERVE)] {
        let campaign = limited.stored(admin, there.clone()).await;
        let patch = json!({"spec": new});
        assert_refused(&limited.try_patch(owner, &campaign, patch).await, words);
        owner.delete(campaigns, &campaign).await;
    }
}

#[tokio::test]
async fn every_other_campaign_is_admitted_from_its_owner() {
    let limited = Limited::namespace("limits-others").await;
    let Limited { campaigns, owner, .. } = &limited;
    for mut object in campaigns.accepted() {
        let spec = object.manifest["spec"].as_object_mut().unwrap();
        spec.retain(|field, _| field != "mode" && field != "deletionPolicy");
        owner.try_create(campaigns, &object.manifest).await.granted(&object.case);
    }
}
