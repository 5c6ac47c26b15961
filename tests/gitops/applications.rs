//! The examples for Argo CD and Flux: what they name is there.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::oracle;

fn documents(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(oracle::deploy().join(path)).unwrap();
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value:#}"))
}

/// The folder of the example repository, or of this one, that a source and a path mean.
fn folder(source: &str, path: &str) -> std::path::PathBuf {
    let root =
        if source == "dialer" { oracle::deploy().join("example") } else { oracle::deploy().join("..") };
    root.join(path)
}

#[test]
fn argo_applications_lead_to_folders_that_build_and_spread_no_sync_over_waves_of_several_kinds() {
    let applications = documents("argocd/applications/production.yaml");
    assert_eq!(applications.len(), 3);
    for application in &applications {
        assert_eq!(text(application, "/kind"), "Application");
        let path = folder("dialer", text(application, "/spec/source/path"));
        assert!(path.join("kustomization.yaml").is_file(), "{}", path.display());
        let waves = application.pointer("/metadata/annotations");
        assert!(waves.is_none(), "{application:#}");
        assert_eq!(application["spec"].get("ignoreDifferences"), None, "none are needed");
    }
}

#[test]
fn flux_kustomizations_come_in_order_and_a_stop_waits_for_no_health() {
    let all = documents("flux/production.yaml");
    let (sources, steps): (Vec<_>, Vec<_>) = all.iter().partition(|o| o["kind"] == "GitRepository");
    let sources: BTreeSet<&str> = sources.iter().map(|o| text(o, "/metadata/name")).collect();
    let mut before = BTreeSet::new();
    for step in steps {
        let (name, source) = (text(step, "/metadata/name"), text(step, "/spec/sourceRef/name"));
        assert!(sources.contains(source), "{name} names the source {source}");
        if source == "dialer" {
            let path = folder(source, text(step, "/spec/path"));
            assert!(path.join("kustomization.yaml").is_file(), "{}", path.display());
        } else {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(text(step, "/spec/path"));
            assert!(path.join("kustomization.yaml").is_file(), "{}", path.display());
        }
        let is_free = step["spec"]["dependsOn"].is_null();
        assert_eq!(is_free, ["dialer-kinds", "dialer-campaigns"].contains(&name), "{name}");
        for dependency in step["spec"]["dependsOn"].as_array().into_iter().flatten() {
            assert!(before.contains(text(dependency, "/name")), "{name} comes before {dependency}");
        }
        let waits = step["spec"]["wait"].as_bool().unwrap();
        assert_eq!(waits, ["dialer-kinds", "dialer-operator", "dialer-policies"].contains(&name), "{name}");
        before.insert(name);
    }
    assert_eq!(before.len(), 5);
}

#[test]
fn what_flux_waits_for_is_in_the_example_and_it_waits_longer_than_the_progress_deadline() {
    let step = documents("flux/campaigns-that-wait.yaml").remove(0);
    let path = folder("dialer", text(&step, "/spec/path"));
    let named: BTreeSet<String> = step["spec"]["healthChecks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| {
            assert_eq!(text(check, "/apiVersion"), "dialer.cxone-operator.io/v1alpha1");
            format!("{}.yaml", text(check, "/name"))
        })
        .collect();
    let mut there: BTreeSet<String> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    there.remove("kustomization.yaml");
    assert_eq!(named, there);
    let minutes: u32 = text(&step, "/spec/timeout").strip_suffix('m').unwrap().parse().unwrap();
    let deadline: rules::kinds::DialerCampaignStateSpec = serde_json::from_value(serde_json::json!({
        "campaignId": "c", "state": "Running"
    }))
    .unwrap();
    assert!(i64::from(minutes) * 60 > i64::from(deadline.progress_deadline_seconds));
}
