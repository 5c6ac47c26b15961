//! Whether a manifest has the form that the CRD's schema asks for: no unknown field, every type, bound, pattern and word, and
//! nothing twice in a list that is a set or a map.

use anyhow::{Context, Result};
use jiff::Timestamp;
use regex::Regex;
use serde_json::{Map, Value};

use super::metadata;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field: `spec.complianceWindow.hours[0].from`.
    pub field: String,
    /// The value, and what would be accepted.
    pub what: String,
}

impl Problem {
    /// This of that field.
    pub fn new(field: impl Into<String>, what: impl Into<String>) -> Self {
        Self { field: field.into(), what: what.into() }
    }
}

/// Checks an object of this kind; every problem is told. Of a status only unknown fields are: the API server drops it unless it is
/// written as one.
///
/// # Errors
/// Where the schema itself can't be had, which would be a defect.
pub fn check(kind: &str, object: &Map<String, Value>) -> Result<Vec<Problem>> {
    let definitions = rules::kinds::definitions().context("the definitions can't be put as JSON")?;
    let schema = definitions.iter().find(|(_, crd)| crd["spec"]["names"]["kind"] == kind);
    let schema =
        schema.map(|(_, crd)| &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]);
    let mut problems = metadata::check(kind, object);
    let Some(schema) = schema else { return Ok(problems) };
    match object.get("spec") {
        Some(spec) => walk(&schema["spec"], spec, "spec", &mut problems),
        None => problems.push(Problem::new("spec", "is missing")),
    }
    let mut of_status = Vec::new();
    object.get("status").into_iter().for_each(|s| walk(&schema["status"], s, "status", &mut of_status));
    problems.extend(of_status.into_iter().filter(|problem| problem.what.starts_with(UNKNOWN)));
    for key in object.keys().filter(|key| !KNOWN.contains(&key.as_str())) {
        problems.push(Problem::new(key, format!("{UNKNOWN}; known here: {}", KNOWN.join(", "))));
    }
    Ok(problems)
}

const UNKNOWN: &str = "unknown field";
const KNOWN: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];

fn walk(schema: &Value, value: &Value, field: &str, problems: &mut Vec<Problem>) {
    match (schema["type"].as_str(), value) {
        (Some("object"), Value::Object(map)) => object(schema, map, field, problems),
        (Some("array"), Value::Array(items)) => {
            bounded(schema, ["minItems", "maxItems"], items.len() as f64, "entries", field, problems);
            twice(schema, items, field, problems);
            for (place, item) in items.iter().enumerate() {
                walk(&schema["items"], item, &format!("{field}[{place}]"), problems);
            }
        }
        (Some("string"), Value::String(text)) => string(schema, text, field, problems),
        (Some("integer"), Value::Number(number)) if number.is_i64() || number.is_u64() => {
            let number = number.as_f64().unwrap_or_default();
            bounded(schema, ["minimum", "maximum"], number, "", field, problems);
        }
        (Some("boolean"), Value::Bool(_)) | (None, _) => {}
        (Some(wanted), _) => {
            let what = format!("{} is {}; {} is expected", short(value), type_of(value), a_type(wanted));
            problems.push(Problem::new(field, what));
        }
    }
}

/// What a list may hold once only: each value of a set, each key of a map.
fn twice(schema: &Value, items: &[Value], field: &str, problems: &mut Vec<Problem>) {
    let keys = schema["x-kubernetes-list-map-keys"].as_array();
    let key = |item: &Value| match (schema["x-kubernetes-list-type"].as_str(), keys) {
        (Some("set"), _) => Some(vec![item.clone()]),
        (Some("map"), Some(keys)) => {
            let key: Vec<_> = keys.iter().filter_map(Value::as_str).map(|key| item[key].clone()).collect();
            // What lacks its key is told as that.
            (!key.iter().all(Value::is_null)).then_some(key)
        }
        _ => None,
    };
    let all: Vec<_> = items.iter().map(key).collect();
    for (place, key) in all.iter().enumerate() {
        let Some(key) = key else { continue };
        if all.iter().take(place).flatten().any(|before| before == key) {
            let words: Vec<_> = key.iter().map(short).collect();
            let what = format!("{} is there twice, and may be there once", words.join(", "));
            problems.push(Problem::new(format!("{field}[{place}]"), what));
        }
    }
}

fn object(schema: &Value, map: &Map<String, Value>, field: &str, problems: &mut Vec<Problem>) {
    bounded(schema, ["minProperties", "maxProperties"], map.len() as f64, "entries", field, problems);
    let Some(known) = schema["properties"].as_object() else {
        // A map of free keys, such as labels.
        for (key, inner) in map {
            walk(&schema["additionalProperties"], inner, &format!("{field}.{key}"), problems);
        }
        return;
    };
    for (key, inner) in map {
        match known.get(key) {
            Some(schema) => walk(schema, inner, &format!("{field}.{key}"), problems),
            None => {
                let names: Vec<_> = known.keys().map(String::as_str).collect();
                let what = format!("{UNKNOWN}; known here: {}", names.join(", "));
                problems.push(Problem::new(format!("{field}.{key}"), what));
            }
        }
    }
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for key in required.filter(|key| !map.contains_key(*key)) {
        problems.push(Problem::new(format!("{field}.{key}"), "is missing"));
    }
}

fn string(schema: &Value, text: &str, field: &str, problems: &mut Vec<Problem>) {
    bounded(schema, ["minLength", "maxLength"], text.chars().count() as f64, "characters", field, problems);
    if let Some(words) = schema["enum"].as_array()
        && !words.iter().any(|word| word == text)
    {
        let words: Vec<_> = words.iter().filter_map(Value::as_str).collect();
        problems.push(Problem::new(field, format!("{text:?} is not one of {}", words.join(", "))));
    }
    let pattern = schema["pattern"].as_str();
    let matches = pattern.is_none_or(|pattern| Regex::new(pattern).is_ok_and(|regex| regex.is_match(text)));
    let what = if schema["format"] == "date-time" && !(matches && is_instant(text)) {
        format!("{text:?} is no instant; RFC 3339 with an offset, such as 2026-11-23T09:00:00-05:00")
    } else if !matches {
        format!("{text:?} does not match {}", pattern.unwrap_or_default())
    } else {
        return;
    };
    problems.push(Problem::new(field, what));
}

/// No clock of ours shows a leap second, and the API server takes none.
fn is_instant(text: &str) -> bool {
    text.get(17..19) != Some("60") && text.parse::<Timestamp>().is_ok()
}

fn bounded(
    schema: &Value,
    [least, most]: [&str; 2],
    found: f64,
    unit: &str,
    field: &str,
    problems: &mut Vec<Problem>,
) {
    let (least, most) = (schema[least].as_f64(), schema[most].as_f64());
    if least.is_some_and(|least| found < least) || most.is_some_and(|most| found > most) {
        let range = match (least, most) {
            (Some(least), Some(most)) => format!("{least} to {most}"),
            (Some(least), None) => format!("at least {least}"),
            (None, most) => format!("at most {}", most.unwrap_or_default()),
        };
        let what = format!("{found} is out of range: {range} {unit}");
        problems.push(Problem::new(field, what.trim_end()));
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

fn a_type(name: &str) -> &'static str {
    match name {
        "object" => "a map",
        "array" => "a list",
        "string" => "a string (quote it)",
        "integer" => "a whole number",
        _ => "true or false",
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 60 { text.chars().take(57).chain("...".chars()).collect() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(spec: Value) -> Vec<String> {
        let object = json!({"metadata": {"name": "c-1"}, "spec": spec});
        let found = check("DialerCampaignState", object.as_object().unwrap()).unwrap();
        found.into_iter().map(|p| format!("{}: {}", p.field, p.what)).collect()
    }

    #[test]
    fn each_problem_names_the_field_the_value_and_what_would_be_accepted() {
        assert_eq!(problems(json!({"campaignId": "c-1", "state": "Running"})), Vec::<String>::new());
        for (spec, told) in [
            (
                json!({"campaignId": "c", "state": "Dialing"}),
                "spec.state: \"Dialing\" is not one of Running, Paused, Stopped",
            ),
            (
                json!({"campaignId": "c", "state": "Paused", "pauseDurationSeconds": "10"}),
                "spec.pauseDurationSeconds: \"10\" is a string; a whole number is expected",
            ),
            (
                json!({"campaignId": "c", "state": "Paused", "pauseDurationSeconds": 7201}),
                "spec.pauseDurationSeconds: 7201 is out of range: 0 to 7200",
            ),
            (json!({"state": "Paused"}), "spec.campaignId: is missing"),
            (
                json!({"campaignId": "c", "state": "Paused", "resumeAt": "2026-11-23T09:00:00"}),
                "spec.resumeAt: \"2026-11-23T09:00:00\" is no instant; RFC 3339 with an offset, such as 2026-11-23T09:00:00-05:00",
            ),
            (
                json!({"campaignId": 7731, "state": "Paused"}),
                "spec.campaignId: 7731 is a number; a string (quote it) is expected",
            ),
            (
                json!({"campaignId": "c", "state": "Paused", "complianceWindow": {"timeZones": []}}),
                "spec.complianceWindow.timeZones: 0 is out of range: 1 to 32 entries",
            ),
            (
                json!({"campaignId": "c", "state": "Paused", "complianceWindow": {"timeZones": ["UTC", "UTC"]}}),
                "spec.complianceWindow.timeZones[1]: \"UTC\" is there twice, and may be there once",
            ),
            (
                json!({"campaignId": "c", "state": "Paused", "tenantRef": {"name": "Not Valid!"}}),
                "spec.tenantRef.name: \"Not Valid!\" does not match ^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$",
            ),
        ] {
            assert_eq!(problems(spec), [told]);
        }
        let typo = problems(
            json!({"campaignId": "c", "state": "Paused", "complianceWindow": {"timeZones": ["UTC"], "hour": []}}),
        );
        assert!(
            typo[0].starts_with("spec.complianceWindow.hour: unknown field; known here: closeLead"),
            "{typo:?}"
        );
    }
}
