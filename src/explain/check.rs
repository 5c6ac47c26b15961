//! What a schema can't say and a plan depends on: zones, times of day, dates, and what belongs together. The API server asks
//! the same by CEL rules.

use jiff::tz::TimeZone;
use rules::kinds::{
    ComplianceWindow, DialerCampaignStateSpec, DialingPolicySpec, Hours, Instant, LocalDate, Operator,
    ResumeMode, Zone,
};
use rules::zones;

use super::metadata::is_key;
use super::schema::Problem;

/// The years in which instants may be, in UTC.
const YEARS: std::ops::RangeInclusive<i16> = 2000..=2200;
const KEY: &str = "is no key that a label can have, such as country or example.com/country";

/// What is wrong with a campaign's declaration.
pub fn campaign(spec: &DialerCampaignStateSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    let id = &spec.campaign_id;
    if !id.starts_with(|c: char| c.is_ascii_alphanumeric())
        || !id.chars().all(|c| c.is_ascii_alphanumeric() || "._~-".contains(c))
    {
        let what = format!(
            "{id:?} is no campaign id: letters, digits, `.`, `_`, `~`, `-`, beginning with a letter or digit"
        );
        problems.push(Problem::new("spec.campaignId", what));
    }
    if spec.resume_mode == ResumeMode::Scheduled && spec.resume_at.is_none() {
        problems.push(Problem::new("spec.resumeAt", "is missing: resumeMode Scheduled needs it"));
    }
    year(spec.resume_at.as_ref(), "spec.resumeAt", &mut problems);
    if let Some(ComplianceWindow { time_zones, hours, .. }) = &spec.compliance_window {
        zones_of(time_zones, "spec.complianceWindow.timeZones", &mut problems);
        hours_of(hours.as_deref(), "spec.complianceWindow.hours", &mut problems);
    }
    problems
}

/// What is wrong with a policy.
pub fn policy(spec: &DialingPolicySpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    zones_of(spec.time_zones.as_deref().unwrap_or_default(), "spec.timeZones", &mut problems);
    hours_of(spec.hours.as_deref(), "spec.hours", &mut problems);
    for (place, entry) in spec.closed_dates.iter().enumerate() {
        date(Some(&entry.date), &format!("spec.closedDates[{place}].date"), &mut problems);
    }
    date(spec.effective_from.as_ref(), "spec.effectiveFrom", &mut problems);
    date(spec.effective_until.as_ref(), "spec.effectiveUntil", &mut problems);
    if let (Some(from), Some(until)) = (&spec.effective_from, &spec.effective_until)
        && until < from
    {
        problems.push(Problem::new(
            "spec.effectiveUntil",
            format!("{} is before effectiveFrom {}", until.0, from.0),
        ));
    }
    year(spec.freeze.as_ref().and_then(|freeze| freeze.until.as_ref()), "spec.freeze.until", &mut problems);
    for key in spec.namespace_selector.match_labels.keys().filter(|key| !is_key(key)) {
        problems.push(Problem::new("spec.namespaceSelector.matchLabels", format!("{key:?} {KEY}")));
    }
    for (place, requirement) in spec.namespace_selector.match_expressions.iter().enumerate() {
        if !is_key(&requirement.key) {
            let field = format!("spec.namespaceSelector.matchExpressions[{place}].key");
            problems.push(Problem::new(field, format!("{:?} {KEY}", requirement.key)));
        }
        let lists = matches!(requirement.operator, Operator::In | Operator::NotIn);
        if lists == requirement.values.is_empty() {
            let field = format!("spec.namespaceSelector.matchExpressions[{place}].values");
            problems.push(Problem::new(
                field,
                "are required with the operators In and NotIn, and only allowed with them",
            ));
        }
    }
    problems
}

fn zones_of(names: &[Zone], field: &str, problems: &mut Vec<Problem>) {
    for (place, Zone(name)) in names.iter().enumerate() {
        // The API server takes names as they are written, and none without a slash but UTC.
        let known = zones::zone(name).is_some_and(|zone| zone.iana_name() == Some(name));
        if !known || !(name == "UTC" || name.contains('/')) {
            let version = zones::version();
            let what = format!(
                "{name:?} is no known time zone (zone database {version}): an IANA name such as America/New_York, or UTC"
            );
            problems.push(Problem::new(format!("{field}[{place}]"), what));
        }
    }
}

fn hours_of(hours: Option<&[Hours]>, field: &str, problems: &mut Vec<Problem>) {
    for (place, entry) in hours.unwrap_or_default().iter().enumerate() {
        let field = format!("{field}[{place}]");
        if entry.from.minute().is_none() {
            let what = format!("{:?} is no time of day at which hours begin: 00:00 to 23:59", entry.from.0);
            problems.push(Problem::new(format!("{field}.from"), what));
        }
        if entry.to.minute().is_none() {
            let what = format!("{:?} is no time of day at which hours end: 00:00 to 24:00", entry.to.0);
            problems.push(Problem::new(format!("{field}.to"), what));
        }
        if entry.from.0 == entry.to.0 {
            let what = format!(
                "from and to are both {}: they must differ (the whole day is 00:00 to 24:00)",
                entry.to.0
            );
            problems.push(Problem::new(field, what));
        }
    }
}

fn year(instant: Option<&Instant>, field: &str, problems: &mut Vec<Problem>) {
    let outside = |at: &Instant| !YEARS.contains(&TimeZone::UTC.to_datetime(at.timestamp()).year());
    if let Some(at) = instant.filter(|at| outside(at)) {
        let (first, last) = (YEARS.start(), YEARS.end());
        let what = format!("{} is not in the years {first} to {last} (in UTC)", at.timestamp());
        problems.push(Problem::new(field, what));
    }
}

fn date(date: Option<&LocalDate>, field: &str, problems: &mut Vec<Problem>) {
    if let Some(date) =
        date.filter(|date| date.date().is_none() || !date.0.starts_with('2') || date.0.len() != 10)
    {
        problems.push(Problem::new(field, format!("{:?} is no date such as 2026-12-25", date.0)));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    /// The CEL rules of specs and names that this file and `metadata` ask in their own way.
    const ASKED: [&str; 10] = [
        "!(self.operator in ['In', 'NotIn']) || (has(self.values) && self.values.size() > 0)",
        "self.operator in ['In', 'NotIn'] || !has(self.values) || self.values.size() == 0",
        "!format.date().validate(self).hasValue() && self >= '2000-01-01' && self < '2200-01-01'",
        "!format.qualifiedName().validate(self).hasValue()",
        "self.all(key, !format.qualifiedName().validate(key).hasValue())",
        "!has(self.effectiveFrom) || !has(self.effectiveUntil) || self.effectiveFrom <= self.effectiveUntil",
        "self.from != self.to",
        "self.getFullYear() >= 2000 && self.getFullYear() <= 2200",
        "self.metadata.name.size() <= 63",
        "timestamp('2026-01-01T00:00:00Z').getFullYear(self) > 0",
    ];
    /// The keywords that `schema` asks, and those that forbid nothing: another one would be passed over silently.
    const KEYWORDS: [&str; 24] = [
        "additionalProperties",
        "default",
        "description",
        "enum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "nullable",
        "pattern",
        "properties",
        "required",
        "title",
        "type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-map-type",
        "x-kubernetes-validations",
    ];

    fn collect(schema: &Value, rules: &mut BTreeSet<String>, keywords: &mut BTreeSet<String>) {
        let Some(schema) = schema.as_object() else { return };
        keywords.extend(schema.keys().cloned());
        for rule in schema.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
            rules.insert(rule["rule"].as_str().unwrap().to_owned());
        }
        let inner =
            schema.get("properties").and_then(Value::as_object).into_iter().flat_map(|map| map.values());
        let inner = inner.chain(schema.get("items")).chain(schema.get("additionalProperties"));
        inner.for_each(|schema| collect(schema, rules, keywords));
    }

    #[test]
    fn every_rule_of_the_definitions_is_asked_but_those_that_compare_with_an_old_object() {
        let (mut rules, mut keywords) = (BTreeSet::new(), BTreeSet::new());
        for (_, crd) in rules::kinds::definitions().unwrap() {
            if crd["spec"]["names"]["kind"] == "CXoneTenant" {
                continue;
            }
            let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            collect(&schema["properties"]["spec"], &mut rules, &mut keywords);
            collect(
                &serde_json::json!({"x-kubernetes-validations": schema["x-kubernetes-validations"]}),
                &mut rules,
                &mut keywords,
            );
        }
        rules.retain(|rule| !rule.contains("oldSelf"));
        // The one of a schedule without an instant is asked by `campaign`.
        let scheduled: Vec<_> = rules.iter().filter(|rule| !ASKED.contains(&rule.as_str())).collect();
        assert!(scheduled.len() == 1 && scheduled[0].contains("resumeAt"), "{scheduled:?}");
        let unknown: Vec<_> = keywords.iter().filter(|word| !KEYWORDS.contains(&word.as_str())).collect();
        assert_eq!(unknown, Vec::<&String>::new());
    }
}
