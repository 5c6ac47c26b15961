//! The kustomizations under `deploy/` are the chart.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use devcluster::{Cluster, Options};
use serde_json::Value;

use crate::helm::{objects, rendered, root};
use crate::kinds::kept;

/// What only Helm says of an object.
const OF_HELM: [&str; 3] = ["# Source: ", "    app.kubernetes.io/managed-by: ", "    helm.sh/chart: "];

/// The chart as plain manifests.
fn plain(args: &[&str]) -> String {
    let text = rendered(&[&["--set", "crds.install=false"], args].concat());
    let lines = text.lines().filter(|line| !OF_HELM.iter().any(|start| line.starts_with(start)));
    let text: String = lines.filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect();
    format!("# Generated from charts/dialer-operator by `make generate`. Do not edit.\n{text}")
}

fn built(folder: &str) -> BTreeMap<String, Value> {
    built_of(&root().join(folder))
}

fn built_of(folder: &Path) -> BTreeMap<String, Value> {
    let kubectl = devcluster::assets::KUBECTL.path().unwrap();
    let output = Command::new(kubectl).arg("kustomize").arg(folder).output().unwrap();
    assert!(output.status.success(), "{}: {}", folder.display(), String::from_utf8_lossy(&output.stderr));
    by_name(objects(&String::from_utf8(output.stdout).unwrap()))
}

fn by_name(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let name = |object: &Value| {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let meta = &object["metadata"];
        format!("{} {}/{}", word(&object["kind"]), word(&meta["namespace"]), word(&meta["name"]))
    };
    objects.into_iter().map(|object| (name(&object), object)).collect()
}

#[test]
fn kustomize_base_is_the_chart_for_every_namespace() {
    let (path, text) = (root().join("deploy/kustomize/base/operator.yaml"), plain(&[]));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == text, "{} is out of date: run `make generate`", path.display());

    let mut base = built("deploy/kustomize/base");
    let namespace = base.remove("Namespace /dialer-system").unwrap();
    for level in ["enforce", "warn", "audit"] {
        let label = format!("pod-security.kubernetes.io/{level}");
        assert_eq!(namespace["metadata"]["labels"][label], "restricted");
    }
    assert_eq!(base, by_name(objects(&text)));
}

#[test]
fn kustomize_namespaced_is_the_chart_for_one_namespace() {
    let mut overlay = built("deploy/kustomize/namespaced");
    overlay.remove("Namespace /dialer-system").unwrap();
    assert_eq!(overlay, by_name(objects(&plain(&["--set", "watchNamespace=sales"]))));
}

#[test]
fn the_patches_that_the_namespaced_one_shows_make_it_the_chart_without_policies() {
    let folder = tempfile::tempdir().unwrap();
    for name in
        ["base/kustomization.yaml", "base/namespace.yaml", "base/operator.yaml", "namespaced/role.yaml"]
    {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(root().join("deploy/kustomize").join(name), path).unwrap();
    }
    let name = "namespaced/kustomization.yaml";
    let text = std::fs::read_to_string(root().join("deploy/kustomize").join(name)).unwrap();
    let shown = text.replace("  # ", "  ");
    assert_ne!(shown, text);
    std::fs::write(folder.path().join(name), shown).unwrap();

    let mut overlay = built_of(&folder.path().join("namespaced"));
    overlay.remove("Namespace /dialer-system").unwrap();
    let chart = ["--set", "watchNamespace=sales", "--set", "policies.enabled=false"];
    assert_eq!(overlay, by_name(objects(&plain(&chart))));
}

#[test]
fn kustomize_crds_are_the_three_kinds_and_the_base_has_none_so_that_removing_it_keeps_the_declarations() {
    let kinds = built("deploy/kustomize/crds");
    assert_eq!(kinds.len(), 3);
    for (name, object) in &kinds {
        assert!(name.starts_with("CustomResourceDefinition "), "{name}");
        let mut kept = kept();
        kept.as_object_mut().unwrap().remove("helm.sh/resource-policy");
        assert_eq!(object["metadata"]["annotations"], kept, "{name}");
    }
    assert!(!built("deploy/kustomize/base").keys().any(|name| name.starts_with("CustomResourceDefinition ")));
}

#[test]
fn what_kustomize_installs_shows_no_difference_and_applied_again_it_is_unchanged() {
    let cluster = Cluster::start(&Options::default()).unwrap();
    let kubectl = |args: &[&str]| {
        let mut command = Command::new(devcluster::assets::KUBECTL.path().unwrap());
        let output =
            command.env("KUBECONFIG", cluster.kubeconfig()).args(args).current_dir(root()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    };
    assert!(kubectl(&["create", "namespace", "sales"]).0);
    for folder in ["deploy/kustomize/crds", "deploy/kustomize/base", "deploy/kustomize/namespaced"] {
        for side in [&["--server-side", "--force-conflicts"][..], &[]] {
            let apply = [&["apply", "-k", folder], side].concat();
            let (well, said) = kubectl(&apply);
            assert!(well, "{apply:?}: {said}");
            let (same, difference) = kubectl(&[&["diff", "-k", folder], side].concat());
            assert!(same, "{folder} {side:?}: {difference}");
            let versions =
                || kubectl(&["get", "-k", folder, "-o", "jsonpath={.items[*].metadata.resourceVersion}"]).1;
            let before = versions();
            assert!(kubectl(&apply).0);
            assert_eq!(versions(), before, "{folder} {side:?}");
        }
    }
}
