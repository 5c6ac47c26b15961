//! What a kubelet would start of the installed Deployment, started here: the same arguments, the account's own token.

use std::path::{Path, PathBuf};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{Container, PodSpec, Probe, ServiceAccount};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use crate::stage::Stage;

/// The one account of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub namespace: String,
    pub name: String,
}

impl Account {
    /// How the API server calls it.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    /// A kubeconfig that reads a token of this account from a file, as a pod's configuration does.
    pub async fn kubeconfig(&self, stage: &Stage, server: &str, ca_pem: &str) -> PathBuf {
        let api: Api<ServiceAccount> = Api::namespaced(stage.client.clone(), &self.namespace);
        let request: TokenRequest =
            serde_json::from_value(json!({"spec": {"audiences": [], "expirationSeconds": 3600}})).unwrap();
        let given = api.create_token_request(&self.name, &PostParams::default(), &request).await.unwrap();
        let file = |name: &str, text: &str| {
            let path = stage.folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let token = file("token", &given.status.expect("a token").token);
        let ca = file("ca.crt", ca_pem);
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "pod",
            "contexts": [{"name": "pod", "context": {"cluster": "pod", "user": "pod"}}],
            "clusters": [{"name": "pod", "cluster": {"server": server, "certificate-authority": ca}}],
            "users": [{"name": "pod", "user": {"tokenFile": token}}],
        });
        file("kubeconfig-of-the-account", &config.to_string())
    }
}

/// The pod of a release.
#[derive(Clone)]
pub struct Pod {
    pub account: Account,
    pub spec: PodSpec,
}

impl Pod {
    /// As the live Deployment of the release has it.
    pub async fn of(client: &Client, namespace: &str, release: &str) -> Self {
        let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
        let ours = ListParams::default().labels(&format!("app.kubernetes.io/instance={release}"));
        let mut found = api.list(&ours).await.unwrap().items;
        let names: Vec<_> = found.iter().map(ResourceExt::name_any).collect();
        assert_eq!(names.len(), 1, "one Deployment: {names:?}");
        let spec = found.remove(0).spec.unwrap().template.spec.unwrap();
        let name = spec.service_account_name.clone().expect("an account of its own");
        Self { account: Account { namespace: namespace.to_owned(), name }, spec }
    }

    /// Its one container.
    pub fn container(&self) -> &Container {
        let [container] = &self.spec.containers[..] else {
            panic!("one container: {:?}", self.spec.containers)
        };
        // The image's own entrypoint is the binary, and nothing comes from elsewhere than the arguments.
        assert!(container.command.is_none() && container.env.iter().flatten().next().is_none());
        container
    }

    /// Its arguments. Two things can't be as in a pod, for want of its own network and files: it listens on a free port of
    /// this machine, and what lies in a mounted volume lies in `folder`.
    pub fn args(&self, folder: &Path) -> Vec<String> {
        let container = self.container();
        let mounts: Vec<_> =
            container.volume_mounts.iter().flatten().map(|m| m.mount_path.as_str()).collect();
        let args = container.args.iter().flatten().map(|arg| match arg.split_once('=') {
            Some(("--admin-addr", _)) => "--admin-addr=127.0.0.1:0".to_owned(),
            Some((flag, path)) => match mounts.iter().find_map(|mount| path.strip_prefix(mount)) {
                Some(inside) => format!("{flag}={}{inside}", folder.display()),
                None => arg.clone(),
            },
            None => arg.clone(),
        });
        args.collect()
    }

    /// What an argument says.
    pub fn told(&self, flag: &str) -> Option<&str> {
        let args = self.container().args.iter().flatten();
        args.filter_map(|arg| arg.split_once('=')).find(|(name, _)| *name == flag).map(|(_, value)| value)
    }

    /// The paths that its probes ask for, on the port where it listens.
    pub fn probes(&self) -> Vec<(String, String)> {
        let container = self.container();
        let probes = [
            ("startup", &container.startup_probe),
            ("liveness", &container.liveness_probe),
            ("readiness", &container.readiness_probe),
        ];
        let asks = probes
            .into_iter()
            .filter_map(|(name, probe)| Some((name.to_owned(), self.path(probe.as_ref()?))));
        asks.collect()
    }

    fn path(&self, probe: &Probe) -> String {
        let get = probe.http_get.as_ref().expect("an HTTP probe");
        let port = match &get.port {
            IntOrString::Int(port) => *port,
            IntOrString::String(name) => {
                let ports = self.container().ports.iter().flatten();
                ports
                    .clone()
                    .find(|p| p.name.as_ref() == Some(name))
                    .expect("the port has a name")
                    .container_port
            }
        };
        let listens = self.told("--admin-addr").expect("it is told where to listen");
        assert_eq!(listens, format!("0.0.0.0:{port}"));
        get.path.clone().expect("a path")
    }
}
