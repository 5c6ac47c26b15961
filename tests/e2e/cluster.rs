//! API servers that know the kinds, and clients for them.

use std::path::Path;

use devcluster::{Cluster, Options};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, Config, ResourceExt};
use serde_json::json;

/// An API server with the kinds applied.
pub async fn start_cluster() -> Cluster {
    start_cluster_with(Options::default()).await
}

/// The same, of that make.
pub async fn start_cluster_with(options: Options) -> Cluster {
    let cluster = start_bare_cluster_with(options).await;
    let api: Api<CustomResourceDefinition> = Api::all(client(cluster.kubeconfig()).await);
    for (_, definition) in rules::kinds::definitions().unwrap() {
        let crd: CustomResourceDefinition = serde_json::from_value(definition).unwrap();
        api.create(&PostParams::default(), &crd).await.unwrap();
        await_condition(api.clone(), &crd.name_any(), conditions::is_crd_established()).await.unwrap();
    }
    cluster
}

/// An API server of that make, without the kinds.
pub async fn start_bare_cluster_with(options: Options) -> Cluster {
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&options)).await.unwrap();
    cluster.expect("a control plane")
}

/// A client for this kubeconfig.
pub async fn client(kubeconfig: &Path) -> Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let file = Kubeconfig::read_from(kubeconfig).unwrap();
    Client::try_from(Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap())
        .unwrap()
}

/// A namespace of a new name.
pub async fn new_namespace(client: &Client) -> String {
    let name = format!("t-{}", uuid::Uuid::new_v4().simple());
    let body: Namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &body).await.unwrap();
    name
}
