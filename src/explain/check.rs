//! What a schema can't say and a plan depends on: zones, times of day, dates, and what belongs together. The API server asks
//! the same by CEL rules.

use rules::kinds::{
    ComplianceWindow, DialerCampaignStateSpec, DialingPolicySpec, Hours, LocalDate, Operator, ResumeMode,
    Zone,
};
use rules::zones;

use super::schema::Problem;

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
    for (place, requirement) in spec.namespace_selector.match_expressions.iter().enumerate() {
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

fn date(date: Option<&LocalDate>, field: &str, problems: &mut Vec<Problem>) {
    if let Some(date) =
        date.filter(|date| date.date().is_none() || !date.0.starts_with('2') || date.0.len() != 10)
    {
        problems.push(Problem::new(field, format!("{:?} is no date such as 2026-12-25", date.0)));
    }
}
