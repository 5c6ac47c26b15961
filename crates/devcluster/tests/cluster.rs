//! The library, against real servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::net::TcpListener;
use std::sync::OnceLock;
use std::time::Duration;

use devcluster::{Cluster, Options, User};
use reqwest::Certificate;
use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};
use support::{is_alive, wait_until};

/// One cluster for the tests that do it no harm. A static is never dropped: it ends with the process.
fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(|| {
        let jane = User { name: "jane".into(), groups: vec!["developers".into()] };
        Cluster::start(&Options { users: vec![jane], ..Options::default() }).unwrap()
    })
}

/// An HTTPS client that trusts this authority and no other.
fn client(ca_pem: &str) -> Client {
    let ca = Certificate::from_pem(ca_pem.as_bytes()).unwrap();
    Client::builder().tls_certs_only([ca]).no_proxy().timeout(Duration::from_secs(10)).build().unwrap()
}

fn get(cluster: &Cluster, token: &str, path: &str) -> Response {
    let url = format!("{}{path}", cluster.server_url());
    client(cluster.ca_pem()).get(url).bearer_auth(token).send().unwrap()
}

fn post(cluster: &Cluster, path: &str, body: &Value) -> (u16, Value) {
    let request = client(cluster.ca_pem()).post(format!("{}{path}", cluster.server_url()));
    let answer = request.bearer_auth(cluster.admin_token()).json(body).send().unwrap();
    (answer.status().as_u16(), answer.json().unwrap())
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

#[test]
fn two_clusters_at_once_know_nothing_of_each_other() {
    // One of them is started from within an async runtime, where blocking clients would panic.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let other = runtime.block_on(async { Cluster::start(&Options::default()).unwrap() });
    assert_eq!(post(&other, "/api/v1/namespaces", &namespace("only-here")).0, 201);
    assert_eq!(get(&other, other.admin_token(), "/api/v1/namespaces/only-here").status(), 200);
    assert_eq!(get(shared(), shared().admin_token(), "/api/v1/namespaces/only-here").status(), 404);

    let crossed = client(other.ca_pem()).get(format!("{}/readyz", shared().server_url())).send();
    assert!(crossed.is_err(), "a server was trusted that another authority vouches for");
    other.stop().unwrap();
}

#[test]
fn a_stopped_cluster_leaves_no_process_and_no_folder() {
    let cluster = Cluster::start(&Options::default()).unwrap();
    let (pids, folder) = (cluster.pids(), cluster.folder().to_owned());
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    cluster.stop().unwrap();
    assert!(!pids.iter().any(|pid| is_alive(*pid)));
    assert!(!folder.exists());
}

#[test]
fn the_server_says_which_version_it_is() {
    let version: Value = get(shared(), shared().admin_token(), "/version").json().unwrap();
    assert!(version["gitVersion"].as_str().unwrap().starts_with("v1."), "{version}");
    assert_eq!(version["major"], "1");
}

#[test]
fn a_user_may_do_nothing_until_rbac_grants_it() {
    let token = shared().token_of("jane").unwrap();
    assert_eq!(get(shared(), token, "/api/v1/nodes").status(), 403);
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "developers"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "developers"}],
    });
    let created = post(shared(), "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding);
    assert_eq!(created.0, 201, "{}", created.1);
    wait_until("jane may list nodes", || get(shared(), token, "/api/v1/nodes").status() == 200);
    assert_eq!(get(shared(), "no-such-token", "/api/v1/nodes").status(), 401);
}

#[test]
fn a_kubeconfig_holds_the_server_the_authority_and_the_token_of_its_user() {
    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    let (admin, jane) = (read(shared().kubeconfig()), read(&shared().kubeconfig_of("jane").unwrap()));
    assert!(admin.contains(shared().server_url()) && jane.contains(shared().server_url()));
    assert!(admin.contains(shared().admin_token()) && !jane.contains(shared().admin_token()));
    assert!(jane.contains(shared().token_of("jane").unwrap()));
    assert!(admin.contains("certificate-authority-data: "));
    assert!(shared().kubeconfig_of("nobody").is_none());
}

#[test]
fn rules_in_custom_resources_are_enforced() {
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "ranges.example.org"},
        "spec": {
            "group": "example.org", "scope": "Cluster", "names": {"kind": "Range", "plural": "ranges"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object",
                "properties": {"spec": {
                    "type": "object",
                    "properties": {"low": {"type": "integer"}, "high": {"type": "integer"}},
                    "x-kubernetes-validations": [{"rule": "self.low <= self.high", "message": "low is above high"}],
                }},
            }}}],
        },
    });
    let created = post(shared(), "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &crd);
    assert_eq!(created.0, 201, "{}", created.1);
    let range = |name: &str, low: i32, high: i32| {
        json!({"apiVersion": "example.org/v1", "kind": "Range", "metadata": {"name": name},
               "spec": {"low": low, "high": high}})
    };
    let path = "/apis/example.org/v1/ranges";
    wait_until("ranges are served", || get(shared(), shared().admin_token(), path).status() == 200);
    assert_eq!(post(shared(), path, &range("good", 1, 2)).0, 201);
    let (status, answer) = post(shared(), path, &range("bad", 2, 1));
    assert_eq!(status, 422);
    assert!(answer["message"].as_str().unwrap().contains("low is above high"), "{answer}");
}

#[test]
fn admission_policies_are_enforced() {
    let group = "/apis/admissionregistration.k8s.io/v1";
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "no-forbidden"},
        "spec": {
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["namespaces"]}]},
            "validations": [{"expression": "!object.metadata.name.startsWith('forbidden-')"}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "no-forbidden"},
        "spec": {"policyName": "no-forbidden", "validationActions": ["Deny"]},
    });
    assert_eq!(post(shared(), &format!("{group}/validatingadmissionpolicies"), &policy).0, 201);
    assert_eq!(post(shared(), &format!("{group}/validatingadmissionpolicybindings"), &binding).0, 201);
    let dry_run = "/api/v1/namespaces?dryRun=All";
    wait_until("the policy refuses", || post(shared(), dry_run, &namespace("forbidden-one")).0 == 422);
    assert_eq!(post(shared(), dry_run, &namespace("allowed")).0, 201);
}

#[test]
fn events_are_kept() {
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": "one", "namespace": "default"},
        "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Normal", "reason": "Tested", "action": "Test",
        "reportingController": "example.org/test", "reportingInstance": "test-0",
        "regarding": {"apiVersion": "v1", "kind": "Namespace", "name": "default"},
    });
    let (status, answer) = post(shared(), "/apis/events.k8s.io/v1/namespaces/default/events", &event);
    assert_eq!(status, 201, "{answer}");
}

#[test]
fn a_frozen_api_server_answers_nothing_until_it_is_thawed() {
    let cluster = Cluster::start(&Options::default()).unwrap();
    let impatient = |timeout| {
        let request = client(cluster.ca_pem()).get(format!("{}/readyz", cluster.server_url()));
        request.timeout(timeout).bearer_auth(cluster.admin_token()).send()
    };
    cluster.freeze_apiserver().unwrap();
    assert!(impatient(Duration::from_millis(500)).unwrap_err().is_timeout());
    cluster.check().unwrap();
    cluster.thaw_apiserver().unwrap();
    assert_eq!(impatient(Duration::from_secs(10)).unwrap().status(), 200);

    // And frozen it can be ended like any other.
    cluster.freeze_apiserver().unwrap();
    let pids = cluster.pids();
    drop(cluster);
    assert!(!pids.iter().any(|pid| is_alive(*pid)));
}

#[test]
fn a_port_that_someone_else_took_is_not_insisted_on() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    // The last argument wins, so that each attempt ends up at the taken port.
    let apiserver_args = vec![format!("--secure-port={port}")];
    let error = Cluster::start(&Options { apiserver_args, ..Options::default() }).unwrap_err();
    assert!(error.to_string().contains("each of 5 free ports was taken"), "{error}");
}

#[test]
fn a_server_that_ends_shows_the_end_of_its_log() {
    let apiserver_args = vec!["--no-such-flag".into()];
    let error = Cluster::start(&Options { apiserver_args, ..Options::default() }).unwrap_err().to_string();
    assert!(error.contains("kube-apiserver has ended by itself"), "{error}");
    assert!(error.contains("unknown flag: --no-such-flag"), "{error}");
}
