//! What stands in git: everything that the project itself ships or shows to be applied, and a namespace that uses every field.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::hours::{around_the_clock, closed_now};
use crate::kubectl::KUBECTL;
use crate::stage::Stage;

/// Where the campaigns are that the operator is seen to work on.
pub const DRILL: &str = "drill";

/// Each set of files in a namespace of its own, as `kubectl -n` would apply it: they use the same names.
pub fn objects(stage: &Stage) -> Vec<Value> {
    let mut all = drill(stage);
    for environment in ["production", "staging"] {
        let built = built(&format!("clusters/{environment}")).into_iter();
        all.extend(built.map(|object| connected(placed(object, environment), stage)));
    }
    all.extend(read_folder("policies"));
    all.extend(readme_blocks().into_iter().map(|object| placed(object, "readme")));
    // Last, since it keeps people from declaring `mode: Observe`.
    let (rest, limits): (Vec<_>, Vec<_>) = read_folder("docs/examples").into_iter().partition(|object| {
        !object["kind"].as_str().unwrap_or_default().starts_with("ValidatingAdmissionPolicy")
    });
    all.extend(rest.into_iter().map(|object| placed(object, "examples")));
    all.extend(limits);
    tracked(only_once(namespaces(&all).into_iter().chain(all).collect()))
}

/// A folder of `deploy/example`, as kustomize builds it.
pub fn built(folder: &str) -> Vec<Value> {
    let path = root().join("deploy/example").join(folder);
    let output = Command::new(KUBECTL.as_path()).arg("kustomize").arg(&path).output().unwrap();
    assert!(output.status.success(), "{folder}: {}", String::from_utf8_lossy(&output.stderr));
    documents(&String::from_utf8(output.stdout).unwrap(), folder)
}

/// The objects of all YAML files of a folder.
pub fn read_folder(folder: &str) -> Vec<Value> {
    let entries = root().join(folder).read_dir().unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|it| it == "yaml")).collect();
    paths.sort();
    let read = |path: &PathBuf| documents(&std::fs::read_to_string(path).unwrap(), &path.to_string_lossy());
    paths.iter().flat_map(read).collect()
}

/// What the README pipes into `kubectl apply -f -`.
fn readme_blocks() -> Vec<Value> {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = readme.split("apply -f - <<'EOF'\n").skip(1);
    let text = |block: &str| {
        let indent = block.len() - block.trim_start().len();
        let lines = block.lines().take_while(|line| line.trim() != "EOF");
        lines.map(|line| line.get(indent..).unwrap_or_default()).collect::<Vec<_>>().join("\n")
    };
    let objects: Vec<Value> = blocks.flat_map(|block| documents(&text(block), "README.md")).collect();
    assert_eq!(objects.len(), 2, "a tenant and a campaign: {objects:?}");
    objects
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents(text: &str, name: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn is_namespaced(object: &Value) -> bool {
    ["DialerCampaignState", "CXoneTenant"].contains(&object["kind"].as_str().unwrap())
}

fn placed(mut object: Value, namespace: &str) -> Value {
    if is_namespaced(&object) {
        object["metadata"]["namespace"] = json!(namespace);
    } else if object["kind"] == "Namespace" {
        object["metadata"]["name"] = json!(namespace);
    }
    object
}

/// A tenant, on the simulator in place of the real CXone.
fn connected(mut object: Value, stage: &Stage) -> Value {
    if object["kind"] == "CXoneTenant" {
        let spec = object["spec"].as_object_mut().unwrap();
        spec.remove("organization").expect("the sample names an organization");
        spec.insert("baseUrl".to_owned(), json!(stage.sim.url()));
    }
    object
}

/// The namespaces that no file brings.
fn namespaces(objects: &[Value]) -> Vec<Value> {
    let named = objects.iter().filter_map(|object| object["metadata"]["namespace"].as_str());
    let brought = |name: &str| {
        objects.iter().any(|object| object["kind"] == "Namespace" && object["metadata"]["name"] == name)
    };
    let missing: BTreeSet<&str> = named.filter(|name| !brought(name)).collect();
    let object = |name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    missing.into_iter().map(object).collect()
}

/// The law of both environments is the same file, and one of the ready-made ones.
fn only_once(objects: Vec<Value>) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    let key = |object: &Value| {
        let part = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        [part("/kind"), part("/metadata/namespace"), part("/metadata/name")]
    };
    objects.into_iter().filter(|object| seen.insert(key(object))).collect()
}

/// As Argo CD stamps what it applies.
fn tracked(mut objects: Vec<Value>) -> Vec<Value> {
    for object in &mut objects {
        let (kind, meta) = (object["kind"].as_str().unwrap(), &object["metadata"]);
        let id = format!("sales:{kind}:{}/{}", meta["namespace"].as_str().unwrap_or_default(), meta["name"]);
        object["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] = json!(id.replace('"', ""));
    }
    objects
}

/// A tenant and campaigns that name every field, or as few as can be, in every stage that an operator can bring them to.
fn drill(stage: &Stage) -> Vec<Value> {
    let object = |kind: &str, name: &str, spec: Value| {
        json!({"apiVersion": "dialer.cxone-operator.io/v1alpha1", "kind": kind,
               "metadata": {"name": name, "namespace": DRILL}, "spec": spec})
    };
    let campaign = |name: &str, spec: Value| {
        let mut full = json!({"campaignId": name, "checkIntervalSeconds": 10,
                              "complianceWindow": around_the_clock()});
        let fields = spec.as_object().unwrap().clone();
        full.as_object_mut().unwrap().extend(fields);
        object("DialerCampaignState", name, full)
    };
    vec![
        object(
            "CXoneTenant",
            "default",
            json!({"baseUrl": stage.sim.url(), "credentialsSecretRef": {"name": "cxone-credentials"},
                   "requestsPerSecond": 20, "burst": 30, "timeoutSeconds": 10,
                   "workforce": {"url": "https://wfm.example.org/hooks/dialer", "timeoutSeconds": 4,
                                 "signingSecretRef": {"name": "hooks", "key": "workforce"}},
                   "agentPool": {"url": "https://agents.example.org/pace"}}),
        ),
        campaign("runs", json!({"state": "Running"})),
        campaign("pauses", json!({"state": "Paused"})),
        campaign("stops", json!({"state": "Stopped", "deletionPolicy": "Retain"})),
        campaign("waits", json!({"state": "Running", "complianceWindow": closed_now()})),
        campaign("watched", json!({"state": "Running", "mode": "Observe"})),
        campaign("suspended", json!({"state": "Running", "suspend": true})),
        campaign(
            "every-field",
            json!({"tenantRef": {"name": "default"}, "state": "Paused", "pauseDurationSeconds": 7200,
                   "pauseExpiry": "Hold", "resumeMode": "Scheduled", "resumeAt": "2199-11-23T09:00:00-05:00",
                   "notifyAgentPool": false, "maxActiveCalls": 1, "onExternalPause": "Revert",
                   "mode": "Enforce", "suspend": false, "progressDeadlineSeconds": 60,
                   "deletionPolicy": "Pause"}),
        ),
    ]
}
