//! `DialingPolicy`: what is allowed, for all campaigns of the namespaces it selects. Policies only tighten.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::campaign::Hours;
use super::scalars::{Instant, LocalDate, Zone};

/// When dialing is allowed, and whether it is frozen, for all campaigns of the selected namespaces.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "dialer.cxone-operator.io",
    version = "v1alpha1",
    kind = "DialingPolicy",
    plural = "dialingpolicies",
    status = "PolicyStatus",
    derive = "PartialEq",
    shortname = "dpol",
    category = "dialer",
    doc = "When dialing is allowed for all campaigns of the selected namespaces. Policies only tighten.",
    printcolumn(name = "Campaigns", type_ = "integer", json_path = ".status.campaigns"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextChange"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message"
    ),
    printcolumn(name = "Freeze", type_ = "string", json_path = ".spec.freeze.reason", priority = 1),
    printcolumn(name = "Citation", type_ = "string", json_path = ".spec.citation", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 63").message("metadata.name must be at most 63 characters")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.effectiveFrom) || !has(self.effectiveUntil) || self.effectiveFrom <= self.effectiveUntil")
        .message(Message::Expression(
            "'effectiveUntil must not be before effectiveFrom: ' + self.effectiveUntil + ' is before ' + self.effectiveFrom".into(),
        ))
        .field_path(".effectiveUntil"),
)]
pub struct DialingPolicySpec {
    /// The namespaces whose campaigns it concerns, by their labels. Empty (default): all.
    #[serde(default)]
    pub namespace_selector: NamespaceSelector,
    /// When dialing is allowed, in the local time of each zone. 1 to 64 intervals; absent: at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<Hours>", length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub hours: Option<Vec<Hours>>,
    /// The zones in which the hours and dates are read: 1 to 32 IANA names. Absent: those of each campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<Zone>", length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub time_zones: Option<Vec<Zone>>,
    /// Local dates on which nobody is called, at most 400. The calendar day is closed in every zone, and what began the day before ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 400))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["date".into()]))]
    pub closed_dates: Vec<ClosedDate>,
    /// No start while more calls than this are active, 0 to 100000. The lowest of all caps wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32", range(min = 0, max = 100_000))]
    pub max_active_calls: Option<i32>,
    /// The first local date on which hours, dates, cap and lead apply. Absent: they apply already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LocalDate")]
    pub effective_from: Option<LocalDate>,
    /// The last local date on which they apply. Absent: for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LocalDate")]
    pub effective_until: Option<LocalDate>,
    /// Where the rule comes from, as it is shown to people. 1 to 512 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 512))]
    pub citation: Option<String>,
    /// How many seconds before the end of the hours campaigns are closed, 0 to 3600. The largest of all leads wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32", range(min = 0, max = 3600))]
    pub close_lead_seconds: Option<i32>,
    /// Holds every start, and pauses what runs, as long as it is here. Effective dates do not matter to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Freeze")]
    pub freeze: Option<Freeze>,
}

/// A date on which nobody is called.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
pub struct ClosedDate {
    /// The local date, such as `2026-12-25`.
    pub date: LocalDate,
    /// Why, as it is shown to people. 1 to 128 characters.
    #[schemars(length(min = 1, max = 128))]
    pub reason: String,
}

/// One brake for all campaigns of a policy.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Freeze {
    /// Why, as it is shown to people. 1 to 256 characters.
    #[schemars(length(min = 1, max = 256))]
    pub reason: String,
    /// When it ends by itself (RFC 3339 with an offset). Absent: when it is taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Instant")]
    pub until: Option<Instant>,
    /// Whether running campaigns are paused. Default: true. False: only starts are held.
    #[serde(default = "yes")]
    pub pause_running: bool,
}

/// Which namespaces, by their labels; all requirements must hold. Empty: all.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Labels that must be there with these values. At most 16.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = Rule::new("self.all(key, !format.qualifiedName().validate(key).hasValue())")
        .message("every key must be one that a label can have, such as country or example.com/country"))]
    pub match_labels: BTreeMap<String, LabelValue>,
    /// Requirements on labels. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub match_expressions: Vec<Requirement>,
}

/// A requirement on one label.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[x_kube(
    validation = Rule::new("!(self.operator in ['In', 'NotIn']) || (has(self.values) && self.values.size() > 0)")
        .message("values must hold at least one value with the operators In and NotIn")
        .field_path(".values"),
    validation = Rule::new("self.operator in ['In', 'NotIn'] || !has(self.values) || self.values.size() == 0")
        .message("values must be left out with the operators Exists and DoesNotExist")
        .field_path(".values"),
)]
pub struct Requirement {
    /// The label's key, such as `country` or `example.com/country`. 1 to 317 characters.
    #[schemars(length(min = 1, max = 317))]
    #[x_kube(validation = Rule::new("!format.qualifiedName().validate(self).hasValue()")
        .message("must be one that a label can have, such as country or example.com/country"))]
    pub key: String,
    /// `In`, `NotIn` (a missing label is not in), `Exists`, `DoesNotExist`.
    pub operator: Operator,
    /// The values of `In` and `NotIn`. At most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub values: Vec<LabelValue>,
}

/// A label's value: at most 63 letters, digits, `-`, `_`, `.`, beginning and ending with a letter or digit; it may be empty.
// What no label can have is refused: a policy that selects nothing by mistake would forbid nothing.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(transparent)]
pub struct LabelValue(
    #[schemars(length(max = 63), regex(pattern = r"^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$"))]
    pub  String,
);

/// How a requirement compares.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum Operator {
    /// The label has one of the values.
    In,
    /// The label is missing, or has none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is missing.
    DoesNotExist,
}

impl NamespaceSelector {
    /// Whether a namespace with these labels is selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(&value.0))
            && self.match_expressions.iter().all(|requirement| requirement.holds(labels))
    }
}

impl Requirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let listed = value.is_some_and(|value| self.values.iter().any(|it| it.0 == *value));
        match self.operator {
            Operator::In => listed,
            Operator::NotIn => !listed,
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

/// What the operator knows of a policy.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = {"observedGeneration": -1}))]
pub struct PolicyStatus {
    /// The generation of spec that this status speaks of; -1 before the operator has seen the object.
    #[serde(default = "super::status::unobserved")]
    pub observed_generation: i64,
    /// How many campaigns it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32")]
    pub campaigns: Option<i32>,
    /// What it says now: `Open`, `Closed`, `Frozen`, `StartsFrozen`, `Inactive` (outside its effective dates), `PerCampaign` (it is read in each
    /// campaign's own zones), or `Unreadable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PolicyState")]
    pub state: Option<PolicyState>,
    /// When that changes next, within 400 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub next_change: Option<Time>,
    /// `Ready`, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// What a policy says at one instant.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum PolicyState {
    /// It allows dialing.
    Open,
    /// It forbids dialing.
    Closed,
    /// Its freeze pauses what runs and holds every start.
    Frozen,
    /// Its freeze holds every start and leaves what runs.
    StartsFrozen,
    /// It is outside its effective dates and says nothing.
    Inactive,
    /// It is read in the zones of each campaign, so that it may be open for one and closed for another.
    PerCampaign,
    /// It can't be read: closed for all campaigns that it may concern.
    Unreadable,
}

impl Default for PolicyStatus {
    fn default() -> Self {
        Self {
            observed_generation: -1,
            campaigns: None,
            state: None,
            next_change: None,
            conditions: Vec::new(),
        }
    }
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn one(operator: Operator, values: &[&str]) -> NamespaceSelector {
        let values = values.iter().map(|v| LabelValue((*v).to_owned())).collect();
        let requirement = Requirement { key: "country".into(), operator, values };
        NamespaceSelector { match_expressions: vec![requirement], ..NamespaceSelector::default() }
    }

    #[test]
    fn an_empty_selector_selects_every_namespace() {
        assert!(NamespaceSelector::default().matches(&labels(&[])));
    }

    #[test]
    fn every_requirement_must_hold_and_a_missing_label_is_not_in() {
        let (us, none) = (labels(&[("country", "us")]), labels(&[]));
        for (selector, with_us, without) in [
            (one(Operator::In, &["us", "ca"]), true, false),
            (one(Operator::NotIn, &["us"]), false, true),
            (one(Operator::NotIn, &["fr"]), true, true),
            (one(Operator::Exists, &[]), true, false),
            (one(Operator::DoesNotExist, &[]), false, true),
        ] {
            assert_eq!((selector.matches(&us), selector.matches(&none)), (with_us, without), "{selector:?}");
        }
        let both = NamespaceSelector {
            match_labels: BTreeMap::from([("team".into(), LabelValue("a".into()))]),
            ..one(Operator::In, &["us"])
        };
        assert!(!both.matches(&us));
        assert!(both.matches(&labels(&[("country", "us"), ("team", "a")])));
    }
}
