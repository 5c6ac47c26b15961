//! Helm itself, with a home of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use devcluster::assets;
use serde_json::Value;

/// Where the chart of the tree is.
pub const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/dialer-operator");

/// Helm, as the administrator of a cluster runs it in one namespace.
pub struct Helm {
    kubeconfig: PathBuf,
    namespace: String,
    folder: PathBuf,
}

impl Helm {
    /// Everything that it writes goes to this folder.
    pub fn new(kubeconfig: &Path, namespace: &str, folder: &Path) -> Self {
        Self { kubeconfig: kubeconfig.to_owned(), namespace: namespace.to_owned(), folder: folder.to_owned() }
    }

    /// `helm install`, without waiting for pods: no kubelet starts one here.
    pub async fn install(&self, release: &str, chart: &str, values: &Value) -> String {
        let values = self.write(values);
        self.run(&["install", release, chart, "--values", &values]).await
    }

    /// `helm upgrade`.
    pub async fn upgrade(&self, release: &str, chart: &str, values: &Value) -> String {
        let values = self.write(values);
        self.run(&["upgrade", release, chart, "--values", &values]).await
    }

    /// A file of values.
    pub fn write(&self, values: &Value) -> String {
        let file = self.folder.join(format!("values-{}.json", uuid::Uuid::new_v4().simple()));
        std::fs::write(&file, values.to_string()).unwrap();
        file.display().to_string()
    }

    /// Runs it; gives what it printed.
    pub async fn run(&self, args: &[&str]) -> String {
        let (well, said) = self.attempt(args).await;
        assert!(well, "helm {args:?}: {said}");
        said
    }

    /// Runs it; gives whether it ended well, and what it said.
    pub async fn attempt(&self, args: &[&str]) -> (bool, String) {
        let mut args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let kubeconfig = self.kubeconfig.display().to_string();
        args.extend([
            "--kubeconfig".to_owned(),
            kubeconfig,
            "--namespace".to_owned(),
            self.namespace.clone(),
        ]);
        let home = self.folder.join("helm");
        let run = tokio::task::spawn_blocking(move || {
            let mut helm = Command::new(assets::HELM.path().expect("helm"));
            for (variable, name) in
                [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data")]
            {
                helm.env(variable, home.join(name));
            }
            helm.args(args).output().expect("helm runs")
        });
        let output = run.await.unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    }
}
