//! The chart, installed by Helm on a real API server, and the operator as its Deployment tells, by the account that it makes.

mod adopt;
mod helm;
mod lacking;
mod pod;
mod rights;
mod uninstall;
mod upgrade;
mod works;

use devcluster::{Cluster, Options};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::cluster::{new_namespace, start_bare_cluster_with, start_cluster_with};
use crate::operator::Operator;
use crate::stage::{ORG, Stage};
use helm::{CHART, Helm};
use pod::{Account, Pod};

/// For installs that keep to one namespace: they live side by side. The kinds are there already.
static SHARED: OnceCell<Cluster> = OnceCell::const_new();

/// The chart, installed.
pub struct Install {
    /// Where the campaigns are; its operator is the one of the Deployment.
    pub stage: Stage,
    pub helm: Helm,
    /// Its name, and the namespace it is in.
    pub release: String,
    pub system: String,
}

impl Install {
    /// Installs this chart on a cluster of its own, which gets the kinds by it.
    async fn alone(chart: &str, values: Value) -> Self {
        let options = Options { apiserver_args: rights::recording(), ..Options::default() };
        let cluster = start_bare_cluster_with(options).await;
        let kubeconfig = cluster.kubeconfig().to_owned();
        let stage = Stage::bare(&kubeconfig, Some(cluster)).await;
        Self::on(stage, "dialer-operator".to_owned(), chart, values).await
    }

    /// Installs the chart of the tree for one namespace, beside others.
    async fn for_one_namespace(values: Value) -> Self {
        let options = Options { apiserver_args: rights::recording(), ..Options::default() };
        let cluster = SHARED.get_or_init(|| start_cluster_with(options)).await;
        let stage = Stage::bare(cluster.kubeconfig(), None).await;
        let mut full = json!({"watchNamespace": stage.namespace, "crds": {"install": false}});
        merge(&mut full, &values);
        let release = format!("op-{}", &stage.namespace[2..12]);
        Self::on(stage, release, CHART, full).await
    }

    async fn on(stage: Stage, release: String, chart: &str, values: Value) -> Self {
        let system = new_namespace(&stage.client).await;
        let helm = Helm::new(&stage.kubeconfig, &system, stage.folder.path());
        let mut install = Self { stage, helm, release, system };
        install.helm.install(&install.release, chart, &install.values(values)).await;
        install.stage.add_tenant("default", ORG).await;
        install.become_the_pod().await;
        install
    }

    /// What every install here needs, and these values besides.
    pub fn values(&self, values: Value) -> Value {
        let mut full = json!({
            "image": {"repository": "registry.example.com/dialer-operator"},
            "allowEndpoints": [self.stage.sim.url()],
            "audit": {"persistence": {"enabled": true}},
            "log": {"level": "info,dialer_operator=debug"},
        });
        merge(&mut full, &values);
        full
    }

    /// The pod of the live Deployment.
    pub async fn pod(&self) -> Pod {
        Pod::of(&self.stage.client, &self.system, &self.release).await
    }

    /// The API server of this install.
    pub fn cluster(&self) -> &Cluster {
        cluster_of(&self.stage)
    }

    /// From now on the operator of the stage is the pod's: by its account's token.
    async fn become_the_pod(&mut self) {
        let account = self.pod().await.account;
        be(&mut self.stage, &account).await;
    }

    /// Starts the operator as a kubelet would start the pod of the live Deployment.
    pub async fn start(&mut self) {
        let pod = self.pod().await;
        self.stage.operator.start_with_just(&pod.args(self.stage.folder.path()));
    }
}

fn cluster_of(stage: &Stage) -> &Cluster {
    stage.own_cluster.as_ref().or_else(|| SHARED.get()).expect("an install stands on a cluster")
}

/// From now on the operator of this stage is that account.
async fn be(stage: &mut Stage, account: &Account) {
    let cluster = cluster_of(stage);
    let kubeconfig = account.kubeconfig(stage, cluster.server_url(), cluster.ca_pem()).await;
    stage.operator = Operator::new(&kubeconfig, &stage.namespace, &stage.sim.url(), stage.folder.path());
}

fn merge(into: &mut Value, from: &Value) {
    let (Value::Object(into), Value::Object(from)) = (into, from) else { return };
    for (key, value) in from {
        into.insert(key.clone(), value.clone());
    }
}
