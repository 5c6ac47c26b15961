//! A stage for one test: a namespace of its own on a real API server, a simulator, and the real operator.

use std::path::Path;
use std::time::Duration;

use devcluster::Cluster;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client};
use rules::kinds::{CXoneTenant, CampaignStatus, DialerCampaignState, TenantStatus};
use serde_json::{Value, json};
use simulator::{LogEntry, Route, Simulator, SimulatorConfig};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::cluster::{client, new_namespace, start_cluster};
use crate::hours::around_the_clock;
use crate::law::Law;
use crate::operator::Operator;
use crate::waiting::{until_object, until_object_within};

/// Nothing that is waited for takes that long, unless the machine is overloaded: windows open up to 65 s from now.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// The organization of every stage's tenant `default`.
pub const ORG: &str = "acme";

static SHARED: OnceCell<Cluster> = OnceCell::const_new();

/// A stage for one test.
pub struct Stage {
    pub namespace: String,
    pub sim: Simulator,
    pub client: Client,
    pub kubeconfig: std::path::PathBuf,
    pub operator: Operator,
    pub law: Law,
    /// Ends with the test, where it is not the shared one.
    pub own_cluster: Option<Cluster>,
    pub folder: TempDir,
}

impl Stage {
    /// A stage on the shared API server, the operator running, the tenant `default` in place.
    pub async fn new() -> Self {
        Self::with_args(&[]).await
    }

    /// The same, with more arguments for the operator.
    pub async fn with_args(args: &[&str]) -> Self {
        let cluster = SHARED.get_or_init(start_cluster).await;
        let mut stage = Self::set(cluster.kubeconfig(), None).await;
        stage.start_operator(args);
        stage
    }

    /// A stage whose operator is not running yet.
    pub async fn without_operator() -> Self {
        let cluster = SHARED.get_or_init(start_cluster).await;
        Self::set(cluster.kubeconfig(), None).await
    }

    /// A stage with an API server of its own, to be frozen.
    pub async fn with_own_cluster() -> Self {
        let cluster = start_cluster().await;
        let kubeconfig = cluster.kubeconfig().to_owned();
        let mut stage = Self::set(&kubeconfig, Some(cluster)).await;
        stage.start_operator(&[]);
        stage
    }

    /// A stage with an API server of its own, whose operator is not running yet.
    pub async fn on_own_cluster_without_operator() -> Self {
        Self::on_cluster_without_operator(start_cluster().await).await
    }

    /// A stage on this API server, which is its own, whose operator is not running yet.
    pub async fn on_cluster_without_operator(cluster: Cluster) -> Self {
        let kubeconfig = cluster.kubeconfig().to_owned();
        Self::set(&kubeconfig, Some(cluster)).await
    }

    async fn set(kubeconfig: &Path, own_cluster: Option<Cluster>) -> Self {
        let stage = Self::bare(kubeconfig, own_cluster).await;
        stage.add_tenant("default", ORG).await;
        stage
    }

    /// A stage on an API server that need not know the kinds yet: a namespace without a tenant.
    pub async fn bare(kubeconfig: &Path, own_cluster: Option<Cluster>) -> Self {
        let client = client(kubeconfig).await;
        let sim = Simulator::start(SimulatorConfig::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let namespace = new_namespace(&client).await;
        let operator = Operator::new(kubeconfig, &namespace, &sim.url(), folder.path());
        let kubeconfig = kubeconfig.to_owned();
        let law = Law::new(own_cluster.is_none().then(|| kubeconfig.clone()));
        Self { namespace, sim, client, kubeconfig, operator, law, own_cluster, folder }
    }

    /// The API server of this stage.
    pub fn cluster(&self) -> &Cluster {
        self.own_cluster.as_ref().or_else(|| SHARED.get()).expect("a stage stands on a cluster")
    }

    /// Starts the operator; the audit record goes to a file of the stage too.
    pub fn start_operator(&mut self, args: &[&str]) {
        self.operator.start(args);
    }

    /// A tenant of the simulator with its Secret, in this stage's namespace.
    pub async fn add_tenant(&self, name: &str, organization: &str) {
        let tenant = self.sim.tenant(organization);
        self.set_secret(&format!("{name}-credentials"), &tenant.client_id(), &tenant.client_secret()).await;
        let spec = json!({"baseUrl": self.sim.url(), "credentialsSecretRef": {"name": format!("{name}-credentials")}});
        self.apply_tenant(name, spec).await;
    }

    /// Applies a tenant.
    pub async fn apply_tenant(&self, name: &str, spec: Value) {
        let body = json!({"apiVersion": "dialer.cxone-operator.io/v1alpha1", "kind": "CXoneTenant",
                          "metadata": {"name": name}, "spec": spec});
        self.tenants().patch(name, &hand(), &Patch::Apply(body)).await.unwrap();
    }

    /// Writes a Secret with credentials.
    pub async fn set_secret(&self, name: &str, client_id: &str, client_secret: &str) {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
                          "stringData": {"clientId": client_id, "clientSecret": client_secret}});
        secrets.patch(name, &hand(), &Patch::Apply(body)).await.unwrap();
    }

    /// Applies a declaration as a person does: the fields of `spec`, and a window that is open around the clock unless the
    /// spec gives one. The campaign's id is its name.
    pub async fn declare(&self, name: &str, state: &str, spec: Value) -> DialerCampaignState {
        let mut full = json!({"campaignId": name, "state": state, "complianceWindow": around_the_clock()});
        merge(&mut full, &spec);
        let body = json!({"apiVersion": "dialer.cxone-operator.io/v1alpha1", "kind": "DialerCampaignState",
                          "metadata": {"name": name}, "spec": full});
        self.campaigns().patch(name, &hand(), &Patch::Apply(body)).await.unwrap()
    }

    /// Changes some fields of a declaration.
    pub async fn change(&self, name: &str, spec: Value) -> DialerCampaignState {
        let patch = json!({"spec": spec});
        self.campaigns().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap()
    }

    /// Sets an annotation, or takes it away.
    pub async fn annotate(&self, name: &str, key: &str, value: Option<&str>) {
        let patch = json!({"metadata": {"annotations": {key: value}}});
        self.campaigns().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Deletes a declaration, without waiting for it to go.
    pub async fn delete(&self, name: &str) {
        self.campaigns().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Waits until a declaration is gone.
    pub async fn until_gone(&self, name: &str) {
        // A deletion that can't be served takes two minutes by itself.
        let gone =
            until_object_within(PATIENCE * 2, &self.campaigns(), name, |object| object.is_none()).await;
        if let Err(why) = gone {
            panic!("{name} stays: {why}\n{}", self.story(name).await);
        }
    }

    /// Waits until status, of the newest generation, is as told.
    pub async fn until(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&CampaignStatus) -> bool,
    ) -> DialerCampaignState {
        let condition = |object: Option<&DialerCampaignState>| {
            object.is_some_and(|o| {
                o.status.as_ref().is_some_and(|status| {
                    Some(status.observed_generation) == o.metadata.generation && holds(status)
                })
            })
        };
        match until_object(&self.campaigns(), name, condition).await {
            Ok(object) => object.expect("the object is there"),
            Err(why) => panic!("{name} never came to: {what}: {why}\n{}", self.story(name).await),
        }
    }

    /// Asks for a look at once, and waits until status tells what came of it.
    pub async fn look(&self, name: &str) -> DialerCampaignState {
        let asked = uuid::Uuid::new_v4().to_string();
        self.annotate(name, rules::kinds::RECONCILE, Some(&asked)).await;
        self.until(name, "the look that was asked for", |s| {
            s.last_handled_reconcile_at.as_deref() == Some(&asked)
        })
        .await
    }

    /// Waits until `Ready` has this status and reason.
    pub async fn until_ready(&self, name: &str, status: &str, reason: &str) -> DialerCampaignState {
        let what = format!("Ready={status} with reason {reason}");
        self.until(name, &what, |s| {
            s.condition("Ready").is_some_and(|c| c.status == status && c.reason == reason)
        })
        .await
    }

    /// Waits until the tenant's `Ready` has this status and reason.
    pub async fn until_tenant(&self, name: &str, status: &str, reason: &str) -> TenantStatus {
        let holds = |object: Option<&CXoneTenant>| {
            let conditions = object.and_then(|o| o.status.as_ref()).map(|s| &s.conditions);
            conditions.is_some_and(|list| {
                list.iter().any(|c| c.type_ == "Ready" && c.status == status && c.reason == reason)
            })
        };
        match until_object(&self.tenants(), name, holds).await {
            Ok(object) => object.unwrap().status.unwrap(),
            Err(why) => {
                panic!("tenant {name} never came to Ready={status}/{reason}: {why}\n{}", self.operator.log())
            }
        }
    }

    /// Waits for a fact in the simulator's log.
    pub async fn until_log(&self, what: &str, holds: impl FnMut(&[LogEntry]) -> bool) -> Vec<LogEntry> {
        match self.sim.wait_for(holds, PATIENCE).await {
            Ok(log) => log,
            Err(timeout) => panic!("never seen: {what}\n{timeout}\n{}", self.operator.log()),
        }
    }

    /// Waits until that many PUTs for a campaign have been answered or lost.
    pub async fn until_puts(&self, campaign: &str, count: usize) -> Vec<LogEntry> {
        self.until_log(&format!("{count} PUTs for {campaign}"), |log| {
            log.iter()
                .filter(|e| e.is_put(campaign) && e.outcome() != Some(simulator::Outcome::Pending))
                .count()
                >= count
        })
        .await;
        self.sim.puts(campaign)
    }

    /// The requests of a route for a campaign, whatever became of them.
    pub fn requests(&self, campaign: &str, route: Route) -> Vec<LogEntry> {
        let mut log = self.sim.log();
        log.retain(|e| e.is_request(route) && e.campaign.as_deref() == Some(campaign));
        log
    }

    /// Waits until that many requests of a route for a campaign have come.
    pub async fn until_requests(&self, campaign: &str, route: Route, count: usize) {
        self.until_log(&format!("{count} requests {route:?} for {campaign}"), |log| {
            log.iter().filter(|e| e.is_request(route) && e.campaign.as_deref() == Some(campaign)).count()
                >= count
        })
        .await;
    }

    /// The bodies' `status` words of all PUTs for a campaign.
    pub fn put_words(&self, campaign: &str) -> Vec<String> {
        let word = |e: &LogEntry| e.body().and_then(|b| b["status"].as_str()).unwrap_or("?").to_owned();
        self.sim.puts(campaign).iter().map(word).collect()
    }

    /// The events about a declaration.
    pub async fn events(&self, name: &str) -> Vec<Event> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut events = api.list(&ListParams::default()).await.unwrap().items;
        events.retain(|e| e.regarding.as_ref().and_then(|r| r.name.as_deref()) == Some(name));
        events.sort_by_key(|e| e.event_time.as_ref().map(|t| t.0));
        events
    }

    /// The declaration as it is now.
    pub async fn get(&self, name: &str) -> DialerCampaignState {
        self.campaigns().get(name).await.unwrap()
    }

    /// The audit lines about a declaration.
    pub fn audit(&self, name: &str) -> Vec<Value> {
        self.operator.audit().into_iter().filter(|line| line["name"] == name).collect()
    }

    /// Waits for an Event: it follows the status that it tells of.
    pub async fn until_event(&self, name: &str, what: &str, told: impl Fn(&Event) -> bool) {
        let there = async {
            while !self.events(name).await.iter().any(&told) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, there).await.is_err() {
            panic!("no event tells {what}\n{}", self.story(name).await);
        }
    }

    /// Waits until a transition is on record, and proves that audit, status and events tell one and the same outcome, once.
    pub async fn assert_one_outcome(&self, name: &str, id: &str, outcome: &str) {
        let (told_outcome, told_id) = (format!(": {outcome}"), format!(" [{id}]"));
        let told = |event: &Event| event.note.as_ref().is_some_and(|n| n.contains(id));
        self.until_event(name, &format!("the outcome of {id}"), told).await;
        let events: Vec<_> =
            self.events(name).await.into_iter().filter(told).filter_map(|e| e.note).collect();
        let audit = self.audit(name);
        let lines = audit.iter().filter(|l| l["transactionId"] == id && l["phase"] == "outcome");
        let lines: Vec<_> = lines.map(|l| l["outcome"].as_str().unwrap_or("?")).collect();
        let status = self.get(name).await.status.unwrap();
        let history: Vec<_> = status.history.iter().filter(|r| r.id.to_string() == id).collect();
        let as_told = |note: &String| note.contains(&told_outcome) && note.ends_with(&told_id);
        assert!(events.len() == 1 && as_told(&events[0]), "{events:?}\n{}", self.story(name).await);
        assert_eq!(lines, [outcome], "{}", self.story(name).await);
        assert_eq!(history.len(), 1, "{}", self.story(name).await);
        assert_eq!(history[0].outcome.to_string(), outcome, "{}", self.story(name).await);
        assert!(status.pending_transition.is_none_or(|pending| pending.id.to_string() != id));
    }

    /// Lets requests of the tenant `default` time out after that many seconds.
    pub async fn set_timeout(&self, seconds: u32) {
        let spec = json!({"baseUrl": self.sim.url(), "credentialsSecretRef": {"name": "default-credentials"},
                          "timeoutSeconds": seconds});
        self.apply_tenant("default", spec).await;
    }

    /// Waits until the operator's metrics have this line.
    pub async fn until_metric(&self, line: &str) {
        let told = async {
            while self.operator.admin().is_none()
                || !self.operator.metrics().await.lines().any(|told| told == line)
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let told = tokio::time::timeout(PATIENCE, told).await;
        assert!(told.is_ok(), "never told: {line}\n{}", self.operator.log());
    }

    /// The declarations of this stage.
    pub fn campaigns(&self) -> Api<DialerCampaignState> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The tenants of this stage.
    pub fn tenants(&self) -> Api<CXoneTenant> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Everything that helps to understand a failure.
    pub async fn story(&self, name: &str) -> String {
        let object = self.campaigns().get_opt(name).await.ok().flatten();
        let status = object.map(|o| {
            serde_json::to_string_pretty(&json!({"generation": o.metadata.generation, "status": o.status}))
                .unwrap()
        });
        let log: Vec<String> = self.sim.log().iter().map(ToString::to_string).collect();
        format!(
            "status: {}\n\nrequests:\n{}\n\noperator:\n{}",
            status.unwrap_or_default(),
            log.join("\n"),
            self.operator.log()
        )
    }
}

/// What a condition says: status, reason, message.
pub fn says(object: &DialerCampaignState, condition: &str) -> Option<(String, String, String)> {
    let condition = object.status.as_ref()?.condition(condition)?.clone();
    Some((condition.status, condition.reason, condition.message))
}

/// The field manager of a person.
pub fn hand() -> PatchParams {
    PatchParams::apply("a-person").force()
}

/// The transition id that a PUT carried.
pub fn id_of(put: &LogEntry) -> String {
    put.body().and_then(|b| b["metadata"]["transitionId"].as_str()).expect("a PUT has an id").to_owned()
}

/// How many milliseconds after `at` a request came in.
pub fn ms_after(at: Timestamp, entry: &LogEntry) -> i64 {
    i64::try_from(entry.at.duration_since(at).as_millis()).unwrap()
}

fn merge(into: &mut Value, from: &Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        for (key, value) in from {
            into.insert(key.clone(), value.clone());
        }
    }
}
