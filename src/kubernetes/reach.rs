//! How the API server is reached: as the kubeconfig or the pod's account says, and directly.

use anyhow::{Result, anyhow, ensure};
use kube::Config;

/// The cluster of the current kubeconfig, or of the pod. Nothing is retried behind the caller's back.
///
/// # Errors
/// Where neither is to be had, or the kubeconfig names a proxy.
pub async fn cluster() -> Result<Config> {
    // The causes are left out: a kubeconfig that can't be parsed is quoted in them, its token included.
    let mut config = Config::infer().await.map_err(|_| {
        anyhow!("no cluster: neither a kubeconfig (KUBECONFIG, ~/.kube/config) that can be read nor a pod's service account")
    })?;
    // The queue retries; a hidden retry of minutes inside a call would hold a pass.
    config.default_retry = false;
    if let Some(proxy) = config.proxy_url.take() {
        // kube takes one from the environment too, which never decides here where a token goes.
        let mut ambient =
            ["HTTPS_PROXY", "https_proxy"].into_iter().filter_map(|name| std::env::var(name).ok());
        ensure!(
            ambient.any(|text| proxy == *text.as_str()),
            "the kubeconfig's proxy-url is not supported: the API server is reached directly"
        );
    }
    Ok(config)
}
