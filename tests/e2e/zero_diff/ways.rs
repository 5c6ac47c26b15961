//! The ways in which git is held against the cluster, each by the program or library that people have.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::seen::Seen;
use crate::kubectl::KUBECTL;

static ARGO_DIFF: LazyLock<PathBuf> =
    LazyLock::new(|| devcluster::assets::ARGO_DIFF.path().expect("the diff of Argo CD"));

static FLUX_APPLY: LazyLock<PathBuf> =
    LazyLock::new(|| devcluster::assets::FLUX_APPLY.path().expect("the apply of Flux"));

/// How files come into the cluster.
#[derive(Clone, Copy, Debug)]
pub enum How {
    /// By kubectl, with these arguments.
    Kubectl(&'static [&'static str]),
    /// By the library of Flux's kustomize-controller: it does more than an apply, see `go/fluxapply` of devcluster.
    Flux,
}

/// As people do, and Argo CD by default.
pub const CLIENT_SIDE: How = How::Kubectl(&["apply"]);
/// As Argo CD does where it is told to apply server-side.
pub const SERVER_SIDE: How =
    How::Kubectl(&["apply", "--server-side", "--field-manager=argocd-controller", "--force-conflicts"]);

/// What differs, as `kind namespace/name` by way; empty where nothing does.
pub type Differences = BTreeMap<String, BTreeSet<String>>;

/// An API server and its files.
pub struct Cluster {
    kubeconfig: PathBuf,
    /// kubectl's own cache, and its temporary files.
    folder: PathBuf,
}

impl Cluster {
    pub fn new(kubeconfig: &Path, folder: &Path) -> Self {
        Self { kubeconfig: kubeconfig.to_owned(), folder: folder.to_owned() }
    }

    /// Applies the files.
    pub fn apply(&self, how: How, objects: &[Value]) {
        match how {
            How::Kubectl(args) => drop(self.kubectl(args, objects)),
            How::Flux => drop(self.flux_apply(objects)),
        }
    }

    /// Runs kubectl on the files; gives what it said.
    pub fn kubectl(&self, args: &[&str], objects: &[Value]) -> String {
        let output = self.run(&KUBECTL, &[args, &["-f", "-"]].concat(), &list(objects));
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "kubectl {args:?}: {text}");
        text
    }

    /// `kubectl annotate --overwrite` with these words.
    pub fn annotate(&self, words: &[&str], objects: &[Value]) -> String {
        self.kubectl(&[&["annotate", "--overwrite"], words].concat(), objects)
    }

    /// The names of all admission webhooks.
    pub fn webhooks(&self) -> String {
        let kinds = "mutatingwebhookconfigurations,validatingwebhookconfigurations";
        let output = self.run(&KUBECTL, &["get", kinds, "--output=name"], "");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What Flux says that it did, for each object that it did something to.
    fn flux_apply(&self, objects: &[Value]) -> Vec<Value> {
        let output = self.run(&FLUX_APPLY, &[], &list(objects));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut results: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(results.len(), objects.len(), "each object once");
        results.retain(|result| result["action"] != "unchanged");
        results
    }

    /// Holds the files against the cluster in every way that writes nothing.
    pub fn looks(&self, objects: &[Value]) -> Differences {
        let server_side = ["diff", "--server-side", "--field-manager=argocd-controller", "--force-conflicts"];
        let mut all = self.argo_diff(objects);
        all.insert("kubectl diff".to_owned(), self.kubectl_diff(&["diff"], objects));
        all.insert("kubectl diff --server-side".to_owned(), self.kubectl_diff(&server_side, objects));
        all
    }

    /// What an apply changes beyond its signature, and what a second one writes at all. Who has not applied an object before
    /// signs it, in `managedFields` or an annotation: the generation tells that nothing else became of it.
    pub fn changed_by(&self, how: How, objects: &[Value]) -> BTreeSet<String> {
        let before = self.generations(objects);
        self.apply(how, objects);
        let (signed, seen) = (self.generations(objects), self.see(objects));
        self.apply(how, objects);
        let written = self.written_since(&seen, objects);
        if let How::Flux = how {
            assert_eq!(self.flux_apply(objects), [] as [Value; 0], "Flux itself says so too");
        }
        let changed = |old: &BTreeMap<String, Value>, new: &BTreeMap<String, Value>| -> BTreeSet<String> {
            new.iter()
                .filter(|(name, version)| old[*name] != **version)
                .map(|(name, _)| name.clone())
                .collect()
        };
        changed(&before, &signed).union(&written).cloned().collect()
    }

    fn kubectl_diff(&self, args: &[&str], objects: &[Value]) -> BTreeSet<String> {
        let output = self.run(&KUBECTL, &[args, &["-f", "-"]].concat(), &list(objects));
        let text = String::from_utf8(output.stdout).unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        // 1: differences were found. More: it failed.
        assert!(matches!(output.status.code(), Some(0 | 1)) && told.is_empty(), "{args:?}: {text}{told}");
        let files = text.lines().filter(|line| line.starts_with("diff "));
        let files: Vec<&str> = files.map(|line| line.rsplit('/').next().unwrap()).collect();
        assert_eq!(files.is_empty(), output.status.success(), "{args:?}: {text}");
        let is_told = |object: &&Value| {
            let meta = &object["metadata"];
            let end = [&object["kind"], &meta["namespace"], &meta["name"]]
                .map(|part| part.as_str().unwrap_or_default())
                .join(".");
            files.iter().any(|file| file.ends_with(&end))
        };
        if !files.is_empty() {
            println!("kubectl {args:?}:\n{text}");
        }
        objects.iter().filter(is_told).map(name_of).collect()
    }

    fn argo_diff(&self, objects: &[Value]) -> Differences {
        let output = self.run(&ARGO_DIFF, &[], &list(objects));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let results: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(results.len(), objects.len() * 3, "each object in three ways");
        let mut all = Differences::new();
        for (index, result) in results.iter().enumerate() {
            let way = format!("Argo CD, {}", result["way"].as_str().unwrap());
            let differing = all.entry(way.clone()).or_default();
            if result["modified"] == true {
                differing.insert(name_of(&objects[index / 3]));
                println!("{way}:\n{}\n{}", result["live"], result["predicted"]);
            }
        }
        all
    }

    /// The resource versions of the objects.
    /// The objects as they are now.
    pub fn see(&self, objects: &[Value]) -> BTreeMap<String, Seen> {
        let live = self.get(objects).into_iter();
        live.map(|live| (name_of(&live), Seen { at: Timestamp::now(), live })).collect()
    }

    /// Which of them were written since, but for the statuses that told that they would change by now.
    pub fn written_since(&self, seen: &BTreeMap<String, Seen>, objects: &[Value]) -> BTreeSet<String> {
        let now = self.see(objects).into_iter();
        now.filter(|(name, now)| seen[name].was_written_until(now)).map(|(name, _)| name).collect()
    }

    fn generations(&self, objects: &[Value]) -> BTreeMap<String, Value> {
        let live = self.get(objects);
        live.iter().map(|object| (name_of(object), object["metadata"]["generation"].clone())).collect()
    }

    /// The objects as they are in the cluster.
    pub fn get(&self, objects: &[Value]) -> Vec<Value> {
        let output =
            self.run(&KUBECTL, &["get", "-f", "-", "--output=json", "--show-managed-fields"], &list(objects));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let live: Value = serde_json::from_slice(&output.stdout).unwrap();
        live["items"].as_array().cloned().unwrap_or_else(|| vec![live])
    }

    fn run(&self, program: &Path, args: &[&str], input: &str) -> Output {
        let mut command = Command::new(program);
        command.args(args).env("KUBECONFIG", &self.kubeconfig);
        command.env("KUBECACHEDIR", self.folder.join("cache")).env("TMPDIR", &self.folder);
        command.env_remove("KUBECTL_EXTERNAL_DIFF");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output().unwrap();
        writing.join().unwrap().unwrap();
        output
    }
}

/// What an object is called here.
pub fn name_of(object: &Value) -> String {
    let meta = &object["metadata"];
    let part = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!("{} {}/{}", part(&object["kind"]), part(&meta["namespace"]), part(&meta["name"]))
}

fn list(objects: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()
}
