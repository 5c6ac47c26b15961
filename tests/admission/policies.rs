//! The ready-made policies, applied as people apply them: the answers of an API server to kubectl itself, and the lines of their
//! header as they stand there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use devcluster::{Cluster, Options};
use serde_json::Value;

use crate::corpus::read_yaml;
use crate::server::definitions_folder;

/// The one that people have; a machine without one builds it.
static KUBECTL: LazyLock<PathBuf> = LazyLock::new(|| {
    let found = Command::new("kubectl").args(["version", "--client"]).output();
    match found {
        Ok(output) if output.status.success() => "kubectl".into(),
        _ => devcluster::assets::KUBECTL.path().expect("a kubectl"),
    }
});

/// An API server of their own, without any policy: the tests of this file take turns, since policies belong to no namespace. A
/// static is never dropped: it ends with the process.
fn cluster() -> MutexGuard<'static, Cluster> {
    static CLUSTER: LazyLock<Mutex<Cluster>> = LazyLock::new(|| Mutex::new(started()));
    let cluster = CLUSTER.lock().unwrap_or_else(PoisonError::into_inner);
    kubectl(&cluster, &["delete", "dialingpolicies", "--all"]);
    cluster
}

fn started() -> Cluster {
    let cluster = Cluster::start(&Options::default()).unwrap();
    kubectl(&cluster, &["apply", "--server-side", "-f", definitions_folder().to_str().unwrap()]);
    // The definition is there a moment before the kind is served.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !program(&cluster, &KUBECTL).args(["get", "dialingpolicies"]).output().unwrap().status.success() {
        assert!(Instant::now() < deadline, "policies are not served");
    }
    cluster
}

/// kubectl with these arguments; gives what it said.
fn kubectl(cluster: &Cluster, args: &[&str]) -> String {
    said(program(cluster, &KUBECTL).args(args))
}

/// A line that a person would copy into a shell; gives what it said.
fn shell(cluster: &Cluster, line: &str) -> String {
    let line = line.replacen("kubectl", KUBECTL.to_str().unwrap(), 1);
    said(program(cluster, Path::new("sh")).args(["-c", &line]))
}

/// A program that speaks to the cluster, and leaves the caches of who runs the tests alone.
fn program(cluster: &Cluster, program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("KUBECONFIG", cluster.kubeconfig()).env("KUBECACHEDIR", cluster.folder().join("cache"));
    command
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

/// What is in the cluster, by name.
fn stored(cluster: &Cluster) -> BTreeMap<String, Value> {
    let list: Value =
        serde_json::from_str(&kubectl(cluster, &["get", "dialingpolicies", "--output=json"])).unwrap();
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| (item["metadata"]["name"].as_str().unwrap().to_owned(), item.clone())).collect()
}

/// What is in the files, by name.
fn written() -> BTreeMap<String, Value> {
    let paths = folder().read_dir().unwrap().map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.extension().is_some_and(|it| it == "yaml"));
    let objects = files.map(|path| read_yaml::<Value>(&path));
    objects.map(|object| (object["metadata"]["name"].as_str().unwrap().to_owned(), object)).collect()
}

#[test]
fn every_ready_made_policy_is_admitted_as_it_is_written_and_applying_it_again_changes_nothing() {
    let cluster = cluster();
    let folder = folder();
    let apply = |how: &[&str]| {
        let strict = ["apply", "--validate=strict", "-f", folder.to_str().unwrap()];
        kubectl(&cluster, &[&strict, how].concat())
    };
    for how in [&[][..], &["--server-side", "--field-manager=gitops", "--force-conflicts"]] {
        let told = apply(how);
        assert!(!told.contains("Warning"), "{told}");
        let (first, written) = (stored(&cluster), written());
        assert!(first.keys().eq(written.keys()), "{:?}", first.keys());
        for (name, object) in &first {
            assert_eq!(object["spec"], written[name]["spec"], "{name}");
        }
        apply(how);
        assert_eq!(stored(&cluster), first, "applied again {how:?}");
    }
}

#[test]
fn the_commands_of_the_brake_freeze_and_let_go_and_applying_its_file_again_lifts_no_freeze() {
    let cluster = cluster();
    let file = folder().join("emergency-freeze.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let command = |purpose: &str| {
        let line = text.lines().find_map(|line| line.split_once(purpose)).unwrap();
        line.1.trim().to_owned()
    };
    let freeze = || stored(&cluster)["emergency"]["spec"]["freeze"].clone();
    let frozen = serde_json::json!({"reason": "say why", "pauseRunning": true});

    for how in [&[][..], &["--server-side", "--force-conflicts"]] {
        let apply = || kubectl(&cluster, &[&["apply", "-f", file.to_str().unwrap()], how].concat());
        apply();
        assert_eq!(freeze(), Value::Null);
        shell(&cluster, &command("Stop everything:"));
        assert_eq!(freeze(), frozen);
        apply();
        assert_eq!(freeze(), frozen, "applied again {how:?}");
        // Whether it holds is told by its state, which takes an operator; what is written stands in the wide form.
        let shown = shell(&cluster, "kubectl get dpol emergency -o wide");
        assert!(shown.contains("FREEZE") && shown.contains("say why"), "{shown}");
        shell(&cluster, &command("Let go again:"));
        assert_eq!(freeze(), Value::Null);
    }
}
