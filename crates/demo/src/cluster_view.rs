//! What the API server says, read as often as needed without a process each time.

use anyhow::{Context, Result};
use devcluster::Cluster;
use reqwest::{Certificate, Client, StatusCode};
use serde_json::Value;

/// A reader of the cluster's namespace `default`.
pub struct ClusterView {
    client: Client,
    server: String,
    token: String,
}

impl ClusterView {
    /// A reader with the rights of the administrator.
    ///
    /// # Errors
    /// Where the cluster's certificate can't be used.
    pub fn of(cluster: &Cluster) -> Result<Self> {
        let ca = Certificate::from_pem(cluster.ca_pem().as_bytes())?;
        let client = Client::builder().tls_certs_only([ca]).no_proxy().build()?;
        Ok(Self { client, server: cluster.server_url().to_owned(), token: cluster.admin_token().to_owned() })
    }

    /// An object of ours by its plural and name; null where there is none.
    ///
    /// # Errors
    /// Where the API server can't be asked.
    pub async fn object(&self, plural: &str, name: &str) -> Result<Value> {
        self.get(&format!("dialer.cxone-operator.io/v1alpha1/namespaces/default/{plural}/{name}")).await
    }

    /// The events about an object.
    ///
    /// # Errors
    /// Where the API server can't be asked.
    pub async fn events(&self, name: &str) -> Result<Vec<Value>> {
        let list = self.get("events.k8s.io/v1/namespaces/default/events").await?;
        let events = list["items"].as_array().cloned().unwrap_or_default();
        Ok(events.into_iter().filter(|event| event["regarding"]["name"] == name).collect())
    }

    /// Whether the server's description of all kinds, in the form that kubectl asks for, has these.
    ///
    /// # Errors
    /// Where the API server can't be asked.
    pub async fn describes(&self, kinds: &[&str]) -> Result<bool> {
        let form = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
        let request = self.client.get(format!("{}/openapi/v2", self.server)).bearer_auth(&self.token);
        let answer = request.header("accept", form).send().await.context("the API server does not answer")?;
        let description = answer.bytes().await?;
        // Names stand in it as plain text.
        let has = |kind: &&str| description.windows(kind.len()).any(|part| part == kind.as_bytes());
        Ok(kinds.iter().all(has))
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let request = self.client.get(format!("{}/apis/{path}", self.server)).bearer_auth(&self.token);
        let answer = request.send().await.context("the API server does not answer")?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(Value::Null);
        }
        answer.error_for_status()?.json().await.context("the API server's answer can't be read")
    }
}

/// The condition of this type, null where it is absent.
pub fn condition<'a>(object: &'a Value, type_: &str) -> &'a Value {
    let conditions = object["status"]["conditions"].as_array();
    conditions.and_then(|list| list.iter().find(|c| c["type"] == type_)).unwrap_or(&Value::Null)
}

/// A condition in one line: `Ready=True, Paused: paused as declared`.
pub fn in_words(condition: &Value) -> String {
    let word = |key: &str| condition[key].as_str().unwrap_or("?").to_owned();
    format!("{}={}, {}: {}", word("type"), word("status"), word("reason"), word("message"))
}

/// Whether an object's status speaks of its newest declaration.
pub fn is_current(object: &Value) -> bool {
    object["status"]["observedGeneration"] == object["metadata"]["generation"]
}

/// All conditions of an object and its newest transition, a line each.
pub fn status_in_words(object: &Value) -> String {
    if object.is_null() {
        return "there is no such object".to_owned();
    }
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let mut lines: Vec<String> = conditions.iter().map(in_words).collect();
    lines.push(format!("lastTransition: {}", object["status"]["lastTransition"]));
    lines.join("\n")
}
