//! The snippet for argocd-cm, made of the scripts.

use serde_json::{Value, json};

use crate::{KINDS, oracle, yaml};

const HEAD: &str = "\
# Generated from resource_customizations by `make generate`. Merge its keys into the ConfigMap of your Argo CD, for instance
#   kubectl -n argocd patch configmap argocd-cm --patch-file argocd-cm.yaml
# A plain `apply` would take away what else stands there. Nothing else is needed: no ignoreDifferences, no change of tracking.
";

fn read(path: std::path::PathBuf) -> String {
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A literal block, as a person would write it.
fn block(out: &mut String, indent: usize, key: &str, text: &str) {
    let pad = " ".repeat(indent);
    out.push_str(&format!("{pad}{key}: |\n"));
    for line in text.lines() {
        let line = format!("{pad}  {line}");
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

fn actions(kind: &str) -> Option<String> {
    let folder = oracle::customizations().join(kind).join("actions");
    let discovery = folder.join("discovery.lua");
    if !discovery.exists() {
        return None;
    }
    let mut out = String::new();
    block(&mut out, 0, "discovery.lua", &read(discovery));
    out.push_str("definitions:\n");
    for name in ["hold", "release", "reconcile"] {
        out.push_str(&format!("- name: {name}\n"));
        block(&mut out, 2, "action.lua", &read(folder.join(name).join("action.lua")));
    }
    Some(out)
}

fn config_map() -> String {
    let mut out = format!(
        "{HEAD}apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: argocd-cm\n  namespace: argocd\ndata:\n"
    );
    for kind in KINDS {
        let key = |part: &str| format!("resource.customizations.{part}.dialer.cxone-operator.io_{kind}");
        block(&mut out, 2, &key("health"), &read(oracle::health_script(kind)));
        if let Some(actions) = actions(kind) {
            block(&mut out, 2, &key("actions"), &actions);
        }
    }
    out
}

#[test]
fn the_snippet_for_argocd_cm_is_what_the_scripts_come_to() {
    let path = oracle::deploy().join("argocd/argocd-cm.yaml");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, config_map()).unwrap();
    }
    assert_eq!(read(path.clone()), config_map(), "run `make generate`");

    // As Argo CD reads it: each script is the very text of its file.
    let data = &yaml(&path)["data"];
    for kind in KINDS {
        let script = &data[format!("resource.customizations.health.dialer.cxone-operator.io_{kind}")];
        assert_eq!(script, &json!(read(oracle::health_script(kind))));
    }
    let actions =
        data["resource.customizations.actions.dialer.cxone-operator.io_DialerCampaignState"].as_str();
    let actions: Value = serde_saphyr::from_str(actions.unwrap()).unwrap();
    assert!(actions["discovery.lua"].is_string());
    assert_eq!(actions["definitions"].as_array().unwrap().len(), 3);
}
