//! Finding lines. What is found is not verified.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::rotation::length;

/// Which lines are looked for: those that meet all that is given.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The object's name, or the campaign's id.
    pub campaign: Option<String>,
    /// The object's namespace.
    pub namespace: Option<String>,
    /// Not earlier.
    pub since: Option<Timestamp>,
    /// Earlier.
    pub until: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<String>,
    /// The transaction's id, or how it begins.
    pub id: Option<String>,
    /// What happened.
    pub event: Option<String>,
}

impl Filter {
    /// Whether a line is looked for.
    pub fn matches(&self, record: &Map<String, Value>) -> bool {
        let text = |member: &str| record.get(member).and_then(Value::as_str);
        let is = |wanted: &Option<String>, member: &str| {
            wanted
                .as_ref()
                .is_none_or(|wanted| text(member).is_some_and(|is| is.eq_ignore_ascii_case(wanted)))
        };
        let told = text("timestamp").and_then(|told| told.parse::<Timestamp>().ok());
        let in_time = |holds: fn(Timestamp, Timestamp) -> bool, bound: Option<Timestamp>| {
            bound.is_none_or(|bound| told.is_some_and(|told| holds(told, bound)))
        };
        let named = self.campaign.as_deref();
        named.is_none_or(|campaign| [text("name"), text("campaignId")].contains(&Some(campaign)))
            && self.namespace.as_deref().is_none_or(|namespace| text("namespace") == Some(namespace))
            && in_time(|told, since| told >= since, self.since)
            && in_time(|told, until| told < until, self.until)
            && is(&self.outcome, "outcome")
            && is(&self.event, "event")
            && self.id.as_ref().is_none_or(|id| {
                text("transactionId").is_some_and(|is| is.starts_with(&id.to_ascii_lowercase()))
            })
    }
}

/// An instant: in RFC 3339, or that long ago.
///
/// # Errors
/// What is accepted.
pub fn instant(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let ago = || length(text).and_then(|length| now.checked_sub(length).ok());
    text.parse().ok().or_else(ago).ok_or_else(|| {
        "an instant in RFC 3339 such as 2026-11-22T20:00:00Z, or a length of time ago such as 2h or 7d, is accepted"
            .to_owned()
    })
}

/// The members of a line that a table shows, in the order of their columns.
pub fn cells<'a>(record: &'a Map<String, Value>, columns: &[&str]) -> Vec<std::borrow::Cow<'a, str>> {
    let cell = |column: &&str| match record.get(*column) {
        None | Some(Value::Null) => "".into(),
        Some(Value::String(text)) => text.as_str().into(),
        Some(other) => other.to_string().into(),
    };
    columns.iter().map(cell).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record() -> Map<String, Value> {
        let value = json!({"timestamp": "2026-11-22T20:00:00Z", "event": "STATE_TRANSITION", "namespace": "sales",
                           "name": "spring", "campaignId": "c-1", "outcome": "Applied", "transactionId": "abcd-1"});
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_line_is_found_by_everything_that_it_can_be_asked_for() {
        let record = record();
        let some = |text: &str| Some(text.to_owned());
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let found = [
            Filter::default(),
            Filter { campaign: some("spring"), namespace: some("sales"), ..Filter::default() },
            Filter { campaign: some("c-1"), outcome: some("applied"), ..Filter::default() },
            Filter {
                since: at("2026-11-22T20:00:00Z"),
                until: at("2026-11-22T20:00:01Z"),
                ..Filter::default()
            },
            Filter { id: some("ABCD"), event: some("state_transition"), ..Filter::default() },
        ];
        assert!(found.iter().all(|filter| filter.matches(&record)));
        let not = [
            Filter { campaign: some("spr"), ..Filter::default() },
            Filter { namespace: some("other"), ..Filter::default() },
            Filter { until: at("2026-11-22T20:00:00Z"), ..Filter::default() },
            Filter { since: at("2026-11-22T20:00:01Z"), ..Filter::default() },
            Filter { id: some("bcd"), ..Filter::default() },
            Filter { outcome: some("NotApplied"), ..Filter::default() },
        ];
        assert!(!not.iter().any(|filter| filter.matches(&record)));
    }

    #[test]
    fn instants_are_given_outright_or_as_a_while_ago() {
        let now: Timestamp = "2026-11-22T20:00:00Z".parse().unwrap();
        assert_eq!(instant("2h", now).unwrap().to_string(), "2026-11-22T18:00:00Z");
        assert_eq!(instant("1d", now).unwrap().to_string(), "2026-11-21T20:00:00Z");
        assert_eq!(instant("2026-01-01T00:00:00+01:00", now).unwrap().to_string(), "2025-12-31T23:00:00Z");
        assert!(instant("yesterday", now).unwrap_err().contains("such as 2h"));
    }
}
