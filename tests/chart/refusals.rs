//! A wrong value is refused, by its name, before anything reaches the cluster.

use serde_json::{Value, json};

use crate::helm::{chart, helm, refusal, values, ways};

/// Values that are wrong, and what the refusal names.
const WRONG: [(&str, &[&str]); 30] = [
    (r#"{"colour": "red"}"#, &["'colour'"]),
    (r#"{"audit": {"persistance": {}}}"#, &["/audit", "'persistance'"]),
    (r#"{"image": {"repository": ""}}"#, &["image.repository", "make image"]),
    (r#"{"image": {"repository": "r.example.com/op:1"}}"#, &["/image/repository", "r.example.com/op:1"]),
    (r#"{"image": {"digest": "sha256:12"}}"#, &["/image/digest", "sha256:12"]),
    (r#"{"image": {"pullPolicy": "Sometimes"}}"#, &["/image/pullPolicy", "IfNotPresent"]),
    (r#"{"watchNamespace": "Sales_1"}"#, &["/watchNamespace", "Sales_1"]),
    (r#"{"watchNamespace": "sales,support"}"#, &["/watchNamespace", "sales,support"]),
    (r#"{"allowEndpoints": ["cxone.example.com/path"]}"#, &["allowEndpoints: ", "cxone.example.com/path"]),
    (r#"{"allowEndpoints": "cxone.example.com"}"#, &["/allowEndpoints", "want array"]),
    (r#"{"allowSinks": ["ok.example.com", "*.example.com"]}"#, &["allowSinks: ", "*.example.com"]),
    (r#"{"allowSinks": ["user:pw@example.com"]}"#, &["allowSinks: ", "user:pw@example.com"]),
    (r#"{"proxy": {"url": "http://user:pw@proxy:3128"}}"#, &["proxy.url: ", "proxy.secretRef"]),
    (
        r#"{"proxy": {"url": "http://p:1", "secretRef": {"name": "a", "key": "b"}}}"#,
        &["proxy.url", "proxy.secretRef"],
    ),
    (r#"{"proxy": {"secretRef": {"name": "a"}}}"#, &["/proxy/secretRef", "key"]),
    (r#"{"proxy": {"secretRef": {"name": "a", "key": "b"}}}"#, &["networkPolicy.proxy.ports"]),
    (r#"{"policies": {"enabled": false, "required": true}}"#, &["policies.required", "policies.enabled"]),
    (r#"{"proxy": {"url": "http://10.0.0.256:3128"}}"#, &["proxy.url: ", "10.0.0.256"]),
    (r#"{"audit": {"maxSize": "64"}}"#, &["audit.maxSize: \"64\"", "16GiB"]),
    (r#"{"audit": {"maxAge": 7}}"#, &["/audit/maxAge", "want string"]),
    (r#"{"log": {"level": "infoo"}}"#, &["log.level: \"infoo\"", "debug"]),
    (
        r#"{"audit": {"persistence": {"existingClaim": "a"}}}"#,
        &["audit.persistence.existingClaim", "enabled"],
    ),
    (r#"{"networkPolicy": null}"#, &["missing property 'networkPolicy'"]),
    (r#"{"networkPolicy": {"dns": null}}"#, &["/networkPolicy", "missing property 'dns'"]),
    (r#"{"priorityClassName": "High Priority"}"#, &["/priorityClassName"]),
    (r#"{"terminationGracePeriodSeconds": 5}"#, &["/terminationGracePeriodSeconds", "25"]),
    (r#"{"serviceMonitor": {"enabled": true}}"#, &["networkPolicy.metricsFrom"]),
    (r#"{"serviceAccount": {"create": false}}"#, &["serviceAccount.name"]),
    (r#"{"networkPolicy": {"cxone": []}}"#, &["/networkPolicy/cxone"]),
    (r#"{"networkPolicy": {"metricsFrom": [{}]}}"#, &["/networkPolicy/metricsFrom/0"]),
];

#[test]
fn a_wrong_value_is_refused_by_its_name() {
    for (wrong, named) in WRONG {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), wrong).unwrap();
        // What is set on the command line would win over the file.
        let image: &[&str] = if wrong.contains("repository") {
            let values: Value = serde_json::from_str(wrong).unwrap();
            let text = values["image"]["repository"].as_str().unwrap();
            &["--set-string", &format!("image.repository={text}")]
        } else {
            &[]
        };
        let said = refusal(&[&["-f", file.path().to_str().unwrap()], image].concat());
        for word in named {
            assert!(said.contains(word), "{wrong}: {word} is not in {said}");
        }
    }
}

#[test]
fn a_release_whose_name_makes_no_name_of_a_service_is_refused() {
    for release in ["123", "sales.dialer"] {
        let chart = chart();
        let chart = chart.to_str().unwrap();
        let output = helm(&["template", release, chart, "--set", "image.repository=r.example.com/op"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && said.contains(release) && said.contains("fullnameOverride"),
            "{said}"
        );
    }
}

#[test]
fn helm_finds_nothing_to_say_about_the_chart() {
    for name in ways() {
        let image = "image.repository=registry.example.com/dialer-operator";
        let (chart, values) = (chart(), values(&name));
        let linted = helm(&[
            "lint",
            "--strict",
            "--quiet",
            chart.to_str().unwrap(),
            "-f",
            values.to_str().unwrap(),
            "--set",
            image,
        ]);
        let said = String::from_utf8_lossy(&linted.stdout) + String::from_utf8_lossy(&linted.stderr);
        assert!(linted.status.success() && !said.contains("WARN"), "{name}: {said}");
    }
}

#[test]
fn every_value_is_in_the_schema_and_every_one_in_the_schema_has_a_default() {
    let schema = std::fs::read_to_string(chart().join("values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let defaults = std::fs::read_to_string(chart().join("values.yaml")).unwrap();
    let defaults: Value = serde_saphyr::from_str(&defaults).unwrap();
    // What a person fills in freely has no names that could be compared.
    let free = ["global", "secretRef", "ipBlock", "resources"];
    compare(&schema, &defaults, "", &free);
}

fn compare(schema: &Value, defaults: &Value, at: &str, free: &[&str]) {
    let Some(known) = schema["properties"].as_object() else { return };
    // Helm takes away what a person sets to null, its default too: only where that means something may it be missing.
    let nullable = ["global", "user", "group", "requests", "limits", "claims", "ipBlock"];
    for name in known.keys().filter(|name| !nullable.contains(&name.as_str())) {
        let required = schema["required"].as_array().is_some_and(|all| all.contains(&json!(name)));
        assert!(required, "{at}/{name} may be null");
    }
    assert_eq!(schema["additionalProperties"], false, "{at} takes anything");
    let given = defaults.as_object().unwrap_or_else(|| panic!("{at} is no map in values.yaml"));
    for name in given.keys() {
        assert!(known.contains_key(name), "{at}/{name} is not in the schema");
    }
    for (name, below) in known.iter().filter(|(name, _)| !free.contains(&name.as_str())) {
        let value = given.get(name).unwrap_or_else(|| panic!("{at}/{name} is not in values.yaml"));
        compare(below, value, &format!("{at}/{name}"), free);
    }
}
