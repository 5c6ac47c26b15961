//! A real API server that knows our kinds. It is asked as `kubectl` asks, since kube's own calls keep the warnings to
//! themselves.

use std::path::{Path, PathBuf};
use std::time::Duration;

use devcluster::{Cluster, Options};
use reqwest::{Certificate, Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use crate::corpus::{Corpus, read_yaml};

/// What `kubectl apply` and `kubectl patch` ask for.
const STRICT: &str = "fieldManager=kubectl&fieldValidation=Strict";
/// The same, and nothing is stored.
const STRICT_DRY_RUN: &str = "fieldManager=kubectl&fieldValidation=Strict&dryRun=All";

struct Shared {
    cluster: Cluster,
    /// What was answered when the definitions were applied.
    definitions: Vec<Answer>,
}

/// One for all tests. A static is never dropped: it ends with the process.
static SHARED: OnceCell<Shared> = OnceCell::const_new();

/// A namespace of the shared API server.
pub struct Server {
    api: Api,
    namespace: String,
    pub definitions: &'static [Answer],
}

impl Server {
    /// The API server with the definitions in place, and a new namespace for one test.
    pub async fn with_namespace(namespace: &str) -> Self {
        let Shared { cluster, definitions } = SHARED.get_or_init(start).await;
        definitions.iter().for_each(|answer| answer.granted("a definition"));
        let api = Api::of(cluster);
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        api.send(api.request(Method::POST, "/api/v1/namespaces").json(&body)).await.granted("the namespace");
        Self { api, namespace: namespace.into(), definitions }
    }

    /// The same with `--as` and `--as-group`.
    pub fn acting_as(&self, user: &str, group: &str) -> Self {
        let api = Api { acting_as: Some((user.into(), group.into())), ..self.api.clone() };
        Self { api, namespace: self.namespace.clone(), definitions: self.definitions }
    }

    /// `kubectl create` of anything that is not ours, at its path.
    pub async fn set_up(&self, path: &str, object: &Value) -> Answer {
        self.api.send(self.api.request(Method::POST, &format!("{path}?{STRICT}")).json(object)).await
    }

    /// `kubectl create`, or the first `kubectl apply`.
    pub async fn create(&self, kind: &Corpus, manifest: &Value) -> Answer {
        self.post(kind, manifest, STRICT).await
    }

    /// The same with `--dry-run=server`.
    pub async fn try_create(&self, kind: &Corpus, manifest: &Value) -> Answer {
        self.post(kind, manifest, STRICT_DRY_RUN).await
    }

    /// `kubectl apply --server-side --dry-run=server`; so do Argo CD and Flux.
    pub async fn try_apply(&self, kind: &Corpus, manifest: &Value) -> Answer {
        let path = format!("{}?{STRICT_DRY_RUN}", self.path_of(kind, name_of(manifest)));
        let request = self.api.request(Method::PATCH, &path);
        self.api
            .send(request.header("content-type", "application/apply-patch+yaml").body(manifest.to_string()))
            .await
    }

    /// `kubectl patch --type=merge --dry-run=server`; a later `kubectl apply` does the same.
    pub async fn try_change(&self, kind: &Corpus, manifest: &Value, patch: &Value) -> Answer {
        self.merge(&self.path_of(kind, name_of(manifest)), patch).await
    }

    /// The same with `--subresource=status`.
    pub async fn try_status(&self, kind: &Corpus, manifest: &Value, patch: &Value) -> Answer {
        self.merge(&format!("{}/status", self.path_of(kind, name_of(manifest))), patch).await
    }

    pub async fn delete(&self, kind: &Corpus, manifest: &Value) {
        let request = self.api.request(Method::DELETE, &self.path_of(kind, name_of(manifest)));
        self.api.send(request).await.granted("deleting");
    }

    async fn post(&self, kind: &Corpus, manifest: &Value, how: &str) -> Answer {
        let path = format!("{}?{how}", self.path(kind));
        self.api.send(self.api.request(Method::POST, &path).json(manifest)).await
    }

    async fn merge(&self, path: &str, patch: &Value) -> Answer {
        let request = self.api.request(Method::PATCH, &format!("{path}?{STRICT_DRY_RUN}"));
        let request = request.header("content-type", "application/merge-patch+json");
        self.api.send(request.body(patch.to_string())).await
    }

    fn path(&self, kind: &Corpus) -> String {
        let folder = if kind.namespaced { format!("namespaces/{}/", self.namespace) } else { String::new() };
        format!("/apis/dialer.cxone-operator.io/v1alpha1/{folder}{}", kind.plural)
    }

    fn path_of(&self, kind: &Corpus, name: &str) -> String {
        format!("{}/{name}", self.path(kind))
    }
}

fn name_of(manifest: &Value) -> &str {
    manifest["metadata"]["name"].as_str().unwrap()
}

async fn start() -> Shared {
    let cluster = Cluster::start(&Options::default()).unwrap();
    let api = Api::of(&cluster);
    let mut definitions = Vec::new();
    for file in definition_files() {
        let definition: Value = read_yaml(&file);
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions?{STRICT}");
        let answer = api.send(api.request(Method::POST, &path).json(&definition)).await;
        if answer.status.is_success() {
            api.until_served(definition["spec"]["names"]["plural"].as_str().unwrap()).await;
        }
        definitions.push(answer);
    }
    Shared { cluster, definitions }
}

/// Where the definitions lie.
pub fn definitions_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("crds")
}

/// The files with the definitions, by name.
pub fn definition_files() -> Vec<PathBuf> {
    let mut files: Vec<_> =
        definitions_folder().read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The administrator's way to the API server. A client belongs to the runtime of one test.
#[derive(Clone)]
struct Api {
    client: Client,
    url: String,
    token: String,
    /// User and group that the administrator impersonates.
    acting_as: Option<(String, String)>,
}

impl Api {
    fn of(cluster: &Cluster) -> Self {
        let ca = Certificate::from_pem(cluster.ca_pem().as_bytes()).unwrap();
        let client = Client::builder().tls_certs_only([ca]).no_proxy().build().unwrap();
        Self {
            client,
            url: cluster.server_url().into(),
            token: cluster.admin_token().into(),
            acting_as: None,
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        match &self.acting_as {
            Some((user, group)) => {
                request.header("impersonate-user", user).header("impersonate-group", group)
            }
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let header = response.headers().get_all("warning");
        let warnings = header.iter().map(|text| text.to_str().unwrap().to_owned()).collect();
        Answer { status: response.status(), warnings, body: response.json().await.unwrap() }
    }

    /// Waits until a kind is not only Established but served: the one comes a moment before the other.
    async fn until_served(&self, plural: &str) {
        let path = format!("/apis/dialer.cxone-operator.io/v1alpha1/{plural}");
        let deadline = Instant::now() + Duration::from_secs(60);
        let ask = || async { self.request(Method::GET, &path).send().await.unwrap().status() };
        while ask().await != StatusCode::OK {
            assert!(Instant::now() < deadline, "{plural} are not served");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// What the API server answered.
pub struct Answer {
    pub status: StatusCode,
    /// `kubectl` prints them as `Warning: ...`.
    pub warnings: Vec<String>,
    /// The object, or what is wrong with it.
    pub body: Value,
}

impl Answer {
    /// Fails unless it was done.
    pub fn granted(&self, what: &str) {
        assert!(self.status.is_success(), "{what}: {:#}", self.body);
    }

    /// What is wrong with the object, in the lines that `kubectl` shows. Where the form is wrong, the API server checks no
    /// further rules and says so; that line is left out.
    pub fn complaints(&self) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let causes = self.body["details"]["causes"].as_array().filter(|_| self.body["reason"] == "Invalid");
        let lines = match causes {
            Some(causes) => causes
                .iter()
                .map(|cause| format!("{}: {}", text(&cause["field"]), text(&cause["message"])))
                .collect(),
            None if self.status.is_success() => Vec::new(),
            None => vec![text(&self.body["message"])],
        };
        lines
            .into_iter()
            .filter(|line: &String| !line.contains("some validation rules were not checked"))
            .collect()
    }
}
