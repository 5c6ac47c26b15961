//! Whether metadata is what every API server asks for: names, labels, annotations, and no field that is unknown.

use serde_json::{Map, Value};

use super::schema::Problem;

const FIELDS: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];
/// The CRDs ask for names that fit into the value of a label.
const LABEL: usize = 63;
const DOMAIN: usize = 253;
/// All annotations of an object together, in bytes.
const ANNOTATIONS: usize = 256 * 1024;
const NAMESPACE: &str = "is no name of a namespace: at most 63 lower-case letters, digits and `-`, beginning and ending with a letter or digit";
const NAME: &str = "is no name: at most 63 lower-case letters, digits, `-` and `.`, each part beginning and ending with a letter or digit";
const KEY: &str = "is no key that labels and annotations can have, such as country or example.com/country";
const VALUE: &str = "is no value that a label can have: at most 63 letters, digits, `-`, `_`, `.`, beginning and ending with a letter or digit";

/// Checks the `metadata` of an object; a namespace's name may have no dots.
pub fn check(kind: &str, object: &Map<String, Value>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let Some(meta) = object.get("metadata").and_then(Value::as_object) else {
        return vec![Problem::new("metadata", "is missing, or no map")];
    };
    for key in meta.keys().filter(|key| !FIELDS.contains(&key.as_str())) {
        problems.push(Problem::new(
            format!("metadata.{key}"),
            format!("unknown field; known here: {}", FIELDS.join(", ")),
        ));
    }
    let mut told = |field: &str, text: &str, well: bool, what: &str| {
        if !well {
            problems.push(Problem::new(format!("metadata.{field}"), format!("{text:?} {what}")));
        }
    };
    if let Some(name) = meta.get("name").and_then(Value::as_str) {
        match kind {
            "Namespace" => told("name", name, is_label(name), NAMESPACE),
            _ => told("name", name, name.len() <= LABEL && is_domain(name), NAME),
        }
    }
    // Nothing is what kubectl puts there by itself.
    if let Some(namespace) = meta.get("namespace").and_then(Value::as_str).filter(|name| !name.is_empty()) {
        told("namespace", namespace, is_label(namespace), NAMESPACE);
    }
    for finalizer in meta.get("finalizers").and_then(Value::as_array).into_iter().flatten() {
        let text = finalizer.as_str().unwrap_or_default();
        told("finalizers", text, is_key(text), KEY);
    }
    let strings = |field: &str| meta.get(field).and_then(Value::as_object).into_iter().flatten();
    for (key, value) in strings("labels") {
        told("labels", key, is_key(key), KEY);
        let text = value.as_str().unwrap_or_default();
        told(&format!("labels.{key}"), text, is_value(text), VALUE);
    }
    for (key, _) in strings("annotations") {
        told("annotations", key, is_key(&key.to_lowercase()), KEY);
    }
    let size: usize = strings("annotations").map(|(k, v)| k.len() + v.as_str().map_or(0, str::len)).sum();
    if size > ANNOTATIONS {
        problems
            .push(Problem::new("metadata.annotations", format!("{size} bytes are more than {ANNOTATIONS}")));
    }
    for field in ["labels", "annotations"] {
        for (key, value) in strings(field).filter(|(_, value)| !value.is_string()) {
            problems.push(Problem::new(
                format!("metadata.{field}.{key}"),
                format!("{value} is no string (quote it)"),
            ));
        }
    }
    problems
}

/// A key that labels can have: a name, or a domain, a slash, and a name.
pub fn is_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((domain, name)) => is_domain(domain) && is_word(name),
        None => is_word(key),
    }
}

fn is_value(value: &str) -> bool {
    value.is_empty() || is_word(value)
}

fn is_word(text: &str) -> bool {
    is_of(text, |c| c.is_ascii_alphanumeric(), |c| "-_.".contains(c))
}

fn is_label(text: &str) -> bool {
    is_of(text, |c| c.is_ascii_lowercase() || c.is_ascii_digit(), |c| c == '-')
}

fn is_domain(text: &str) -> bool {
    let part = |part: &str| {
        let begins = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        part.starts_with(begins) && part.ends_with(begins) && part.chars().all(|c| begins(c) || c == '-')
    };
    text.len() <= DOMAIN && text.split('.').all(part)
}

/// Whether it begins and ends with one of these and has between them those too, 1 to 63 of all.
fn is_of(text: &str, ends: impl Fn(char) -> bool, between: impl Fn(char) -> bool) -> bool {
    text.len() <= LABEL
        && text.starts_with(&ends)
        && text.ends_with(|c: char| ends(c))
        && text.chars().all(|c| ends(c) || between(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(kind: &str, metadata: Value) -> Vec<String> {
        let object = json!({"metadata": metadata});
        check(kind, object.as_object().unwrap()).into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn names_labels_and_annotations_are_what_an_api_server_takes() {
        let long = "a".repeat(64);
        for (metadata, expected) in [
            (json!({"name": "a.b-1", "namespace": "", "labels": {"a.b/C_d.1": "", "x": "Y-1"}}), vec![]),
            (json!({"name": "a", "annotations": {"Example.com/x": "any thing"}, "labels": null}), vec![]),
            (json!({"name": "Bad_Name"}), vec!["metadata.name"]),
            (json!({"name": "a..b"}), vec!["metadata.name"]),
            (json!({"name": long}), vec!["metadata.name"]),
            (json!({"name": ""}), vec!["metadata.name"]),
            (json!({"name": "a", "namespace": "a.b"}), vec!["metadata.namespace"]),
            (json!({"name": "a", "labels": {"a b": "x"}}), vec!["metadata.labels"]),
            (json!({"name": "a", "labels": {"a": "x y"}}), vec!["metadata.labels.a"]),
            (json!({"name": "a", "labels": {"a": true}}), vec!["metadata.labels.a"]),
            (json!({"name": "a", "annotations": {"a/b/c": "x"}}), vec!["metadata.annotations"]),
            (json!({"name": "a", "annotations": {"a": 1}}), vec!["metadata.annotations.a"]),
            (json!({"name": "a", "finalizers": ["a b"]}), vec!["metadata.finalizers"]),
            (json!({"name": "a", "nam": "a"}), vec!["metadata.nam"]),
            (json!([]), vec!["metadata"]),
        ] {
            assert_eq!(fields("DialingPolicy", metadata.clone()), expected, "{metadata}");
        }
        assert_eq!(fields("Namespace", json!({"name": "a.b"})), ["metadata.name"]);
    }
}
