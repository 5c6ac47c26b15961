//! The CustomResourceDefinitions of the chart: the generated ones, byte for byte, kept by an uninstall, within Helm's limits.

use std::path::Path;

use serde_json::{Value, json};

use crate::helm::{chart, of_kind, rendered, root, set, way};

/// The copies of `crds/`.
const COPIES: [&str; 2] = ["charts/dialer-operator/files/crds", "deploy/kustomize/crds"];

fn definitions(folder: &Path) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().is_some_and(|name| name != "kustomization.yaml"))
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                std::fs::read_to_string(&path).unwrap(),
            )
        })
        .collect();
    all.sort();
    all
}

#[test]
fn the_copies_of_the_definitions_are_the_definitions() {
    let ours = definitions(&root().join("crds"));
    assert_eq!(ours.len(), 3);
    for copy in COPIES {
        assert!(definitions(&root().join(copy)) == ours, "{copy} is out of date: run `make generate`");
    }
}

/// What keeps a definition from Helm, Argo CD and Flux: with it every declaration would go.
pub fn kept() -> Value {
    json!({
        "helm.sh/resource-policy": "keep",
        "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
        "kustomize.toolkit.fluxcd.io/prune": "disabled"
    })
}

#[test]
fn the_chart_installs_them_unchanged_but_for_labels_and_what_keeps_them() {
    let objects = way("default");
    let mut rendered: Vec<Value> =
        of_kind(&objects, "CustomResourceDefinition").into_iter().cloned().collect();
    for definition in &mut rendered {
        assert_eq!(definition["metadata"]["annotations"], kept());
        assert_eq!(definition["metadata"]["labels"]["app.kubernetes.io/name"], "dialer-operator");
        definition["metadata"] = json!({"name": definition["metadata"]["name"]});
    }
    let ours = definitions(&root().join("crds"));
    let ours: Vec<Value> = ours.iter().map(|(_, text)| serde_saphyr::from_str(text).unwrap()).collect();
    assert_eq!(rendered, ours);
}

#[test]
fn an_upgrade_brings_them_since_they_are_templates_and_not_in_the_folder_that_helm_installs_once() {
    assert!(!chart().join("crds").exists());
    assert!(rendered(&[]).contains("# Source: dialer-operator/templates/crds.yaml"));
}

#[test]
fn they_can_be_left_to_another_release_or_given_to_an_uninstall() {
    assert!(of_kind(&set(&["crds.install=false"]), "CustomResourceDefinition").is_empty());
    for definition in of_kind(&set(&["crds.keep=false"]), "CustomResourceDefinition") {
        assert!(definition["metadata"]["annotations"].is_null());
    }
}

#[test]
fn a_release_is_far_from_the_mebibyte_that_helm_may_store() {
    // Helm keeps chart and manifest in one Secret, compressed about six times, then in base64. Uncompressed is the bound here.
    let chart: u64 = sizes(&chart());
    let all = chart + rendered(&[]).len() as u64;
    assert!(all < 512 * 1024, "{all} bytes before they are compressed");
}

fn sizes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|e| if e.path().is_dir() { sizes(&e.path()) } else { e.metadata().unwrap().len() }).sum()
}

#[test]
fn the_chart_has_the_version_of_the_operator() {
    let chart = std::fs::read_to_string(chart().join("Chart.yaml")).unwrap();
    let chart: Value = serde_saphyr::from_str(&chart).unwrap();
    for field in ["version", "appVersion"] {
        assert_eq!(chart[field], env!("CARGO_PKG_VERSION"), "{field}");
    }
}
