//! Kinds that came by kubectl, taken over by Helm.

use std::path::{Path, PathBuf};
use std::process::Command;

use devcluster::{Options, assets};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client, CustomResourceExt};
use rules::kinds::DialerCampaignState;
use serde_json::json;

use super::helm::{CHART, Helm};
use super::upgrade::{FIRST, description};
use crate::cluster::{client, new_namespace, start_bare_cluster_with};

async fn installed(client: &Client) -> Option<String> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    description(&api.get(DialerCampaignState::crd_name()).await.unwrap())
}

/// Installs or upgrades, as one who does not know which it is.
async fn upgrade(helm: &Helm, values: &str, chart: &str, flags: &[&str]) -> (bool, String) {
    helm.attempt(&[&["upgrade", "--install", "op", chart, "--values", values], flags].concat()).await
}

/// The kinds of the first chart, which are older.
fn older(folder: &Path) -> PathBuf {
    let unpacked = Command::new("tar").args(["-xzf", FIRST, "-C"]).arg(folder).status().unwrap();
    assert!(unpacked.success());
    folder.join("dialer-operator/files/crds")
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_that_came_by_kubectl_are_taken_over_by_two_flags_whatever_their_age() {
    for way in [&["apply"][..], &["apply", "--server-side"]] {
        let cluster = start_bare_cluster_with(Options::default()).await;
        let client = client(cluster.kubeconfig()).await;
        let system = new_namespace(&client).await;
        let folder = tempfile::tempdir().unwrap();
        let helm = Helm::new(cluster.kubeconfig(), &system, folder.path());
        let values = helm.write(&json!({"image": {"repository": "registry.example.com/dialer-operator"}}));
        let mut kubectl = Command::new(assets::KUBECTL.path().unwrap());
        kubectl.env("KUBECONFIG", cluster.kubeconfig()).args(way).arg("-f").arg(older(folder.path()));
        assert!(kubectl.status().unwrap().success());
        let first = installed(&client).await;

        let (well, said) = upgrade(&helm, &values, CHART, &[]).await;
        assert!(!well && said.contains("invalid ownership metadata"), "{said}");
        let (well, said) = upgrade(&helm, &values, CHART, &["--take-ownership"]).await;
        assert!(!well && said.contains("conflict with \"kubectl"), "{way:?}: {said}");
        assert_eq!(installed(&client).await, first);

        // Also after the one that failed.
        for (chart, is_first) in [(CHART, false), (FIRST, true), (CHART, false)] {
            let (well, said) =
                upgrade(&helm, &values, chart, &["--take-ownership", "--force-conflicts"]).await;
            assert!(well, "{way:?}: {said}");
            assert_eq!(installed(&client).await == first, is_first, "{chart}");
        }
    }
}
