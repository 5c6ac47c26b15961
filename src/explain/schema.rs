//! Whether a manifest has the form that the CRD's schema asks for: no unknown field, every type, bound and word.

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::{Map, Value};

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

/// Checks the `spec` of an object of this kind; every problem is told.
///
/// # Errors
/// Where the schema itself can't be had, which would be a defect.
pub fn check(kind: &str, object: &Map<String, Value>) -> Result<Vec<Problem>> {
    let definitions = rules::kinds::definitions().context("the definitions can't be put as JSON")?;
    let schema = definitions.iter().find(|(_, crd)| crd["spec"]["names"]["kind"] == kind);
    let schema =
        schema.map(|(_, crd)| &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]);
    let (Some(schema), mut problems) = (schema, Vec::new()) else { return Ok(Vec::new()) };
    match object.get("spec") {
        Some(spec) => walk(schema, spec, "spec", &mut problems),
        None => problems.push(Problem::new("spec", "is missing")),
    }
    for key in object.keys().filter(|key| !KNOWN.contains(&key.as_str())) {
        problems.push(Problem::new(key, format!("unknown field; known here: {}", KNOWN.join(", "))));
    }
    Ok(problems)
}

const KNOWN: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];

fn walk(schema: &Value, value: &Value, field: &str, problems: &mut Vec<Problem>) {
    match (schema["type"].as_str(), value) {
        (Some("object"), Value::Object(map)) => object(schema, map, field, problems),
        (Some("array"), Value::Array(items)) => {
            bounded(schema, ["minItems", "maxItems"], items.len() as f64, "entries", field, problems);
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

fn object(schema: &Value, map: &Map<String, Value>, field: &str, problems: &mut Vec<Problem>) {
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
                let what = format!("unknown field; known here: {}", names.join(", "));
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
    if schema["format"] == "date-time" && text.parse::<Timestamp>().is_err() {
        let what =
            format!("{text:?} is no instant; RFC 3339 with an offset, such as 2026-11-23T09:00:00-05:00");
        problems.push(Problem::new(field, what));
    }
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
        let object = json!({"spec": spec});
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
