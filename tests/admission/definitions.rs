//! The definitions themselves: what can be said of them without an API server.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value};

use crate::corpus::{self, Corpus, read_yaml};
use crate::server::{definition_files, definitions_folder};

#[test]
fn the_files_in_crds_are_what_the_command_writes() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dialer-operator"));
    assert!(command.args(["crd", "--dir"]).arg(folder.path()).status().unwrap().success());
    let (written, kept) = (texts_in(folder.path()), texts_in(&definitions_folder()));
    assert!(written.keys().eq(kept.keys()), "{:?}", kept.keys());
    for (name, text) in written {
        assert!(text == kept[&name], "{} is not up to date: `cargo run -- crd --dir crds`", name.display());
    }
}

#[test]
fn every_field_is_described() {
    for field in all_fields() {
        let described = field.schema["description"].as_str().is_some_and(|text| !text.is_empty());
        assert!(described, "{}", field.path);
    }
}

#[test]
fn nothing_inside_a_list_has_a_default() {
    for field in all_fields() {
        assert!(!field.path.contains("[]") || field.schema.get("default").is_none(), "{}", field.path);
    }
}

#[test]
fn every_list_says_how_it_merges_and_one_that_merges_by_keys_requires_them() {
    for Field { path, schema } in all_fields().iter().filter(|field| field.schema["type"] == "array") {
        let keys = || schema["x-kubernetes-list-map-keys"].as_array().unwrap().iter();
        let required = |key: &Value| schema["items"]["required"].as_array().unwrap().contains(key);
        match schema["x-kubernetes-list-type"].as_str() {
            Some("map") => assert!(keys().all(required), "{path} merges by keys that may be missing"),
            // A set of objects would be refused, and one of days would merge to hours that nobody wrote.
            Some("set") => assert_eq!(schema["items"]["type"], "string", "{path}"),
            Some("atomic") => {}
            other => panic!("{path} merges as {other:?}"),
        }
    }
}

#[test]
fn every_string_list_and_number_of_a_spec_has_bounds() {
    for Field { path, schema } in all_fields().iter().filter(|field| field.path.starts_with("spec")) {
        let bounds: &[&str] = match schema["type"].as_str().unwrap() {
            "string" if schema.get("enum").is_some() => &[],
            // No instant is shorter than its format.
            "string" if schema.get("format").is_some() => &["maxLength", "pattern"],
            "string" => &["minLength", "maxLength", "pattern"],
            "array" => &["maxItems", "x-kubernetes-list-type"],
            "object" if schema.get("additionalProperties").is_some() => &["maxProperties"],
            "integer" => &["minimum", "maximum"],
            "object" | "boolean" => &[],
            other => panic!("{path} is of type {other}: what bounds it?"),
        };
        for bound in bounds.iter().filter(|bound| !UNBOUNDED.contains(&(path, bound))) {
            assert!(schema.get(bound).is_some(), "{path} lacks {bound}");
        }
    }
}

#[test]
fn no_rule_across_fields_depends_on_state() {
    for Rule { path, schema } in all_fields().iter().flat_map(rules) {
        assert!(!schema["rule"].as_str().unwrap().contains(".state"), "{path}: {schema}");
    }
}

#[test]
fn every_rule_and_bound_of_a_spec_refuses_some_object_that_is_tried() {
    let mut untried = Vec::new();
    for kind in corpus::all() {
        let said = said(&kind);
        for field in fields_of(&kind).iter().filter(|field| !field.path.starts_with("status")) {
            let tried = |(path, words): &(String, String)| {
                said.iter().any(|(field, text)| lies_at(field, path) && text.contains(words))
            };
            untried.extend(complaints(field).into_iter().filter(|complaint| !tried(complaint)));
        }
    }
    assert!(untried.is_empty(), "no object of the corpus is refused with: {untried:#?}");
}

#[test]
fn every_bound_and_choice_of_a_spec_is_met_by_some_object_that_is_tried() {
    let mut unmet = Vec::new();
    for kind in corpus::all() {
        let accepted = kind.accepted();
        for field in fields_of(&kind).iter().filter(|field| field.path.starts_with("spec.")) {
            let values: Vec<&Value> =
                accepted.iter().flat_map(|object| values_at(&object.manifest, &field.path)).collect();
            let missing =
                extremes(field).into_iter().filter(|extreme| !values.iter().any(|value| extreme.is(value)));
            unmet.extend(missing.map(|extreme| format!("{} {}: {extreme:?}", kind.kind, field.path)));
        }
    }
    assert!(unmet.is_empty(), "no object of the corpus is admitted with: {unmet:#?}");
}

/// A field, or what holds for each item of a list: then its path ends in `[]`, or of a map: `*`. The path of the whole object is
/// empty.
struct Field {
    path: String,
    schema: Value,
}

type Rule = Field;

fn all_fields() -> Vec<Field> {
    definition_files().iter().flat_map(|file| fields_in(file)).collect()
}

fn fields_of(kind: &Corpus) -> Vec<Field> {
    fields_in(&Path::new("crds").join(format!("{}.yaml", kind.plural)))
}

fn fields_in(file: &Path) -> Vec<Field> {
    let definition: Value = read_yaml(file);
    let [version] = definition["spec"]["versions"].as_array().unwrap().as_slice() else {
        panic!("{} has more than one version", file.display())
    };
    let mut fields = Vec::new();
    collect(String::new(), &version["schema"]["openAPIV3Schema"], &mut fields);
    fields
}

fn collect(path: String, schema: &Value, fields: &mut Vec<Field>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        collect(join(&path, name), property, fields);
    }
    if let Some(items) = schema.get("items") {
        collect(format!("{path}[]"), items, fields);
    }
    if let Some(values) = schema.get("additionalProperties") {
        collect(join(&path, "*"), values, fields);
    }
    fields.push(Field { path, schema: schema.clone() });
}

fn join(path: &str, name: &str) -> String {
    [path, name].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".")
}

/// Whether the path of a complaint is this one.
fn lies_at(complaint: &str, path: &str) -> bool {
    path.strip_suffix('*').map_or(complaint == path, |map| complaint.starts_with(map))
}

/// The rules in CEL, each with the path that it complains about.
fn rules(field: &Field) -> Vec<Rule> {
    let rules = field.schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    rules
        .map(|rule| {
            let place = rule["fieldPath"].as_str().unwrap_or_default();
            Rule { path: format!("{}{place}", field.path), schema: rule.clone() }
        })
        .collect()
}

/// What the API server says of objects that just break one of a field's rules: a path, and words about it.
fn complaints(field: &Field) -> Vec<(String, String)> {
    let Field { path, schema } = field;
    let mut complaints: Vec<_> =
        rules(field).into_iter().map(|rule| (rule.path, message(&rule.schema))).collect();
    for name in schema["required"].as_array().into_iter().flatten() {
        complaints.push((join(path, name.as_str().unwrap()), "Required value".into()));
    }
    for (keyword, value) in schema.as_object().unwrap() {
        let number = value.as_f64().unwrap_or_default();
        let words = match keyword.as_str() {
            "enum" => "Unsupported value".into(),
            "pattern" => "in body should match".into(),
            "minimum" => format!("Invalid value: {}: ", number - 1.0),
            "maximum" => format!("Invalid value: {}: ", number + 1.0),
            "minLength" => format!("should be at least {number} chars long"),
            "maxLength" => format!("Too long: may not be more than {number} bytes"),
            "minItems" => format!("should have at least {number} items"),
            "maxItems" | "maxProperties" => format!("Too many: {}: ", number + 1.0),
            "format" if value == "date-time" => "must be of type date-time".into(),
            "x-kubernetes-list-type" if value == "set" || value == "map" => "Duplicate value".into(),
            _ => continue,
        };
        let place = if keyword == "x-kubernetes-list-type" { format!("{path}[]") } else { path.clone() };
        complaints.push((place, words));
    }
    complaints
}

/// What a rule says, or where that is put together the first piece of it.
fn message(rule: &Value) -> String {
    let pieces = || rule["messageExpression"].as_str().and_then(|expression| expression.split('\'').nth(1));
    rule["message"].as_str().or_else(pieces).unwrap().to_owned()
}

/// What the corpus says of refused objects: path (without indexes) and words of every line.
fn said(kind: &Corpus) -> Vec<(String, String)> {
    let refused = kind.refused().into_iter().flat_map(|object| object.says);
    let changes = kind.changes.iter().flat_map(|change| change.says.clone());
    let split = |line: String| {
        let (path, words) = line.split_once(": ")?;
        Some((without_indexes(path), words.to_owned()))
    };
    refused.chain(changes).filter_map(split).collect()
}

/// `hours[12].from` as `hours[].from`, and the whole object, which the API server calls `<nil>`, as an empty path.
fn without_indexes(path: &str) -> String {
    let mut parts = path.trim_start_matches("<nil>").split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |path, part| path + "[" + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// The outermost that a field admits.
#[derive(Debug)]
enum Extreme {
    Value(Value),
    Number(f64),
    Chars(u64),
    Items(u64),
}

impl Extreme {
    fn is(&self, value: &Value) -> bool {
        match self {
            Self::Value(this) => value == this,
            Self::Number(this) => value.as_f64() == Some(*this),
            Self::Chars(this) => value.as_str().is_some_and(|text| text.chars().count() as u64 == *this),
            Self::Items(this) => match value {
                Value::Object(items) => items.len() as u64 == *this,
                _ => value.as_array().is_some_and(|items| items.len() as u64 == *this),
            },
        }
    }
}

/// Bounds of length that no value meets, since the pattern or the zone database is stricter.
const UNREACHABLE: [(&str, &str); 7] = [
    ("spec.complianceWindow.timeZones[]", "minLength"),
    ("spec.complianceWindow.timeZones[]", "maxLength"),
    ("spec.timeZones[]", "minLength"),
    ("spec.timeZones[]", "maxLength"),
    ("spec.baseUrl", "minLength"),
    ("spec.workforce.url", "minLength"),
    ("spec.agentPool.url", "minLength"),
];

/// Bounds that would do harm, since people say why in their own words and a label may be empty, or that a rule sets better.
const UNBOUNDED: [(&str, &str); 6] = [
    ("spec.citation", "pattern"),
    ("spec.closedDates[].reason", "pattern"),
    ("spec.freeze.reason", "pattern"),
    ("spec.namespaceSelector.matchExpressions[].key", "pattern"),
    ("spec.namespaceSelector.matchExpressions[].values[]", "minLength"),
    ("spec.namespaceSelector.matchLabels.*", "minLength"),
];

fn extremes(Field { path, schema }: &Field) -> Vec<Extreme> {
    let choices = schema["enum"].as_array().into_iter().flatten().cloned().map(Extreme::Value);
    let both = [true, false].into_iter().filter(|_| schema["type"] == "boolean");
    let numbers =
        ["minimum", "maximum"].into_iter().filter_map(|key| schema[key].as_f64()).map(Extreme::Number);
    let reachable = |key: &&str| !UNREACHABLE.contains(&(path, key));
    let lengths = ["minLength", "maxLength"].into_iter().filter(reachable);
    let lengths = lengths.filter_map(|key| schema[key].as_u64()).map(Extreme::Chars);
    let items = ["minItems", "maxItems", "maxProperties"].into_iter();
    let items = items.filter_map(|key| schema[key].as_u64()).map(Extreme::Items);
    choices
        .chain(both.map(|it| Extreme::Value(it.into())))
        .chain(numbers)
        .chain(lengths)
        .chain(items)
        .collect()
}

/// What lies at a path in an object.
fn values_at<'a>(object: &'a Value, path: &str) -> Vec<&'a Value> {
    path.split('.').fold(vec![object], |values, name| {
        if name == "*" {
            return values.into_iter().filter_map(Value::as_object).flat_map(Map::values).collect();
        }
        let (name, lists) = name.split_once('[').map_or((name, false), |(name, _)| (name, true));
        let found = values.into_iter().filter_map(|value| value.get(name));
        if lists { found.filter_map(Value::as_array).flatten().collect() } else { found.collect() }
    })
}

/// The texts of a folder's files, by name.
fn texts_in(folder: &Path) -> BTreeMap<OsString, String> {
    let entries = folder.read_dir().unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name(), fs::read_to_string(entry.path()).unwrap())).collect()
}
