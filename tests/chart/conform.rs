//! What is rendered has the form that the API server asks for: kubeconform, with schemas made from the server's own description.

use std::path::Path;
use std::process::Command;

use devcluster::{Cluster, Options};
use serde_json::{Value, json};

use crate::helm::{of_kind, rendered, root, values, way, ways};

/// What the API server describes, by group and version.
const DESCRIBED: [&str; 6] = [
    "api/v1",
    "apis/apps/v1",
    "apis/apiextensions.k8s.io/v1",
    "apis/networking.k8s.io/v1",
    "apis/policy/v1",
    "apis/rbac.authorization.k8s.io/v1",
];

/// Writes a schema for each kind that a real API server describes, and the one that is not the server's.
fn write_schemas(folder: &Path) {
    let cluster = Cluster::start(&Options::default()).unwrap();
    let kubectl = devcluster::assets::KUBECTL.path().unwrap();
    for path in DESCRIBED {
        let mut command = Command::new(&kubectl);
        command.env("KUBECONFIG", cluster.kubeconfig()).args([
            "get",
            "--raw",
            &format!("/openapi/v3/{path}"),
        ]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut described: Value = serde_json::from_slice(&output.stdout).unwrap();
        let components = described["components"].take();
        write_kinds(components, folder);
    }
    let monitor = "servicemonitor-monitoring-v1.json";
    std::fs::copy(root().join("tests/chart/schemas").join(monitor), folder.join(monitor)).unwrap();
}

fn write_kinds(mut components: Value, folder: &Path) {
    forbid_unknown_fields(&mut components);
    for (name, schema) in components["schemas"].as_object().unwrap() {
        let kinds = schema["x-kubernetes-group-version-kind"].as_array();
        // Of a list of several (DeleteOptions) none is an object of its own.
        let Some([kind]) = kinds.map(Vec::as_slice) else { continue };
        let word = |key: &str| kind[key].as_str().unwrap_or_default().to_lowercase();
        let group = word("group").split('.').next().filter(|g| !g.is_empty()).map(|g| format!("-{g}"));
        let file = format!("{}{}-{}.json", word("kind"), group.unwrap_or_default(), word("version"));
        let reference = format!("#/components/schemas/{name}");
        let whole = json!({"$ref": reference, "components": components});
        std::fs::write(folder.join(file), whole.to_string()).unwrap();
    }
}

/// As `kubectl apply` does it: a field that is not described is an error.
fn forbid_unknown_fields(schema: &mut Value) {
    if let Value::Object(map) = schema {
        if map.get("properties").is_some_and(Value::is_object) && map.get("type") == Some(&json!("object")) {
            map.entry("additionalProperties").or_insert(json!(false));
        }
        map.values_mut().for_each(forbid_unknown_fields);
    }
}

/// What kubeconform says of these manifests, and whether it is content.
fn held_against(schemas: &Path, manifests: &str) -> (bool, String) {
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(file.path(), manifests).unwrap();
    let places = format!("{}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json", schemas.display());
    let output = Command::new(devcluster::assets::KUBECONFORM.path().unwrap())
        .args(["-summary", "-schema-location", &places])
        .arg(file.path())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn what_is_rendered_is_what_the_api_server_describes_and_a_slip_would_be_seen() {
    let schemas = tempfile::tempdir().unwrap();
    write_schemas(schemas.path());
    for name in ways() {
        let manifests = rendered(&["-f", values(&name).to_str().unwrap()]);
        let (content, said) = held_against(schemas.path(), &manifests);
        assert!(content, "{name}: {said}");
        let found = format!("{} resources found", way(&name).len());
        assert!(said.contains(&found) && said.contains("Errors: 0, Skipped: 0"), "{name}: {said}");
    }
    let manifests = rendered(&["-f", values("all-on").to_str().unwrap()]);
    assert_eq!(of_kind(&way("all-on"), "Deployment").len(), 1);
    for (word, slip) in [
        ("automountServiceAccountToken: true", "automountServiceAccountTokens: true"),
        ("replicas: 1", "replicas: one"),
    ] {
        assert!(manifests.contains(word), "{word}");
        let (content, said) = held_against(schemas.path(), &manifests.replace(word, slip));
        assert!(!content && said.contains("Deployment"), "{slip}: {said}");
    }
}
