//! How the API server is reached: as the kubeconfig or the pod's account says, and directly.

use anyhow::{Context as _, Result, ensure};
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

/// Stands in a kubeconfig for "no proxy": where it says nothing, kube takes one from the environment, which never decides here where
/// a token goes.
const DIRECT: &str = "http://direct.invalid/";

/// The cluster of the current kubeconfig, or of the pod. Nothing is retried behind the caller's back.
///
/// # Errors
/// Where neither is to be had, or the kubeconfig names a proxy.
pub async fn cluster() -> Result<Config> {
    let found = of_kubeconfig().await.or_else(|| Config::incluster().ok());
    // The causes are left out: a kubeconfig that can't be parsed is quoted in them, its token included.
    let mut config = found.context(
        "no cluster: neither a kubeconfig (KUBECONFIG, ~/.kube/config) that can be read nor a pod's service account",
    )?;
    // The queue retries; a hidden retry of minutes inside a call would hold a pass.
    config.default_retry = false;
    ensure!(
        config.proxy_url.take().is_none_or(|proxy| proxy == DIRECT),
        "the kubeconfig's proxy-url is not supported: the API server is reached directly"
    );
    Ok(config)
}

async fn of_kubeconfig() -> Option<Config> {
    let mut kubeconfig = Kubeconfig::read().ok()?;
    for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        let proxy = cluster.proxy_url.take().filter(|url| !url.is_empty());
        cluster.proxy_url = Some(proxy.unwrap_or_else(|| DIRECT.to_owned()));
    }
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.ok()
}
