//! Kinds that came by kubectl, taken over by Helm.

use std::process::Command;

use devcluster::{Options, assets};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client, CustomResourceExt};
use rules::kinds::DialerCampaignState;
use serde_json::json;

use super::helm::{CHART, Helm};
use super::upgrade::{FIRST, description};
use crate::cluster::{client, new_namespace, start_bare_cluster_with};

const CRDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");

async fn installed(client: &Client) -> Option<String> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    description(&api.get(DialerCampaignState::crd_name()).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_that_came_by_kubectl_are_taken_over_and_a_change_of_them_is_forced_once() {
    for way in [&["apply"][..], &["apply", "--server-side"]] {
        let cluster = start_bare_cluster_with(Options::default()).await;
        let client = client(cluster.kubeconfig()).await;
        let system = new_namespace(&client).await;
        let folder = tempfile::tempdir().unwrap();
        let helm = Helm::new(cluster.kubeconfig(), &system, folder.path());
        let values = helm.write(&json!({"image": {"repository": "registry.example.com/dialer-operator"}}));
        let mut kubectl = Command::new(assets::KUBECTL.path().unwrap());
        kubectl.env("KUBECONFIG", cluster.kubeconfig()).args(way).args(["-f", CRDS]);
        assert!(kubectl.status().unwrap().success());

        let install = ["install", "op", CHART, "--values", &values];
        let (well, said) = helm.attempt(&install).await;
        assert!(!well && said.contains("invalid ownership metadata"), "{said}");
        helm.run(&[&install[..], &["--take-ownership"]].concat()).await;
        let ours = installed(&client).await;

        let another = ["upgrade", "op", FIRST, "--values", &values];
        let (well, said) = helm.attempt(&another).await;
        assert!(!well && said.contains("conflict with \"kubectl"), "{way:?}: {said}");
        assert_eq!(installed(&client).await, ours, "a conflict changes nothing");
        helm.run(&[&another[..], &["--force-conflicts"]].concat()).await;
        assert_ne!(installed(&client).await, ours);
        helm.run(&["upgrade", "op", CHART, "--values", &values]).await;
        assert_eq!(installed(&client).await, ours, "once is enough");
    }
}
