//! The policies of a stage, and the labels of its namespace.

use std::path::PathBuf;
use std::sync::Mutex;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use rules::kinds::{DialingPolicy, PolicyRef};
use serde_json::{Value, json};

use crate::cluster::client;
use crate::stage::{Stage, hand};

/// The policies that a stage has made. Policies belong to no namespace: they are deleted with the stage, however its test ends.
pub struct Law {
    /// None where the cluster goes with the stage.
    kubeconfig: Option<PathBuf>,
    made: Mutex<Vec<String>>,
}

impl Law {
    pub fn new(kubeconfig: Option<PathBuf>) -> Self {
        Self { kubeconfig, made: Mutex::default() }
    }
}

impl Stage {
    /// The name that a policy of this stage has in the cluster, where every stage has some.
    pub fn policy(&self, name: &str) -> String {
        let unique = self.namespace.trim_start_matches("t-");
        format!("{name}-{}", &unique[..12])
    }

    /// How status and records name it.
    pub fn policy_ref(&self, name: &str, generation: i64) -> PolicyRef {
        PolicyRef { name: self.policy(name), generation }
    }

    /// Applies a policy as a person does. It concerns this stage's namespace alone, unless the spec selects others.
    pub async fn apply_policy(&self, name: &str, spec: Value) -> DialingPolicy {
        let mut full =
            json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}}});
        for (key, value) in spec.as_object().unwrap() {
            full[key] = value.clone();
        }
        let name = self.policy(name);
        let body = json!({"apiVersion": "dialer.cxone-operator.io/v1alpha1", "kind": "DialingPolicy",
                          "metadata": {"name": name}, "spec": full});
        self.law.made.lock().unwrap().push(name.clone());
        self.policies().patch(&name, &hand(), &Patch::Apply(body)).await.unwrap()
    }

    /// Changes some fields of a policy.
    pub async fn change_policy(&self, name: &str, spec: Value) -> DialingPolicy {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.policies().patch(&self.policy(name), &PatchParams::default(), &patch).await.unwrap()
    }

    /// Deletes a policy.
    pub async fn delete_policy(&self, name: &str) {
        self.policies().delete(&self.policy(name), &DeleteParams::default()).await.unwrap();
    }

    /// The policy as it is now.
    pub async fn get_policy(&self, name: &str) -> DialingPolicy {
        self.policies().get(&self.policy(name)).await.unwrap()
    }

    /// The policies of the cluster.
    pub fn policies(&self) -> Api<DialingPolicy> {
        Api::all(self.client.clone())
    }

    /// Sets a label of this stage's namespace, or takes it away.
    pub async fn label(&self, key: &str, value: Option<&str>) {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let patch = Patch::Merge(json!({"metadata": {"labels": {key: value}}}));
        let namespace = api.patch(&self.namespace, &PatchParams::default(), &patch).await.unwrap();
        assert_eq!(namespace.labels().get(key).map(String::as_str), value);
    }
}

impl Drop for Law {
    fn drop(&mut self) {
        let made = std::mem::take(&mut *self.made.lock().unwrap());
        let Some(kubeconfig) = self.kubeconfig.clone().filter(|_| !made.is_empty()) else { return };
        // On a thread and a runtime of its own: the test's own may be unwinding.
        let deleting = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let api: Api<DialingPolicy> = Api::all(client(&kubeconfig).await);
                for name in made {
                    let _ = api.delete(&name, &DeleteParams::default()).await;
                }
            });
        });
        let _ = deleting.join();
    }
}
