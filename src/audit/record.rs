//! One line of the audit record.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rules::kinds::{Cause, Observed, Outcome, PolicyRef, Target};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::origin::Origin;

/// What an audit line tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AuditEvent {
    /// A transition, before (`intent`) and after (`outcome`).
    StateTransition,
    /// A start that is wanted and held back.
    TransitionBlocked,
    /// One try of a transition that did not get through.
    TransitionFailed,
    /// Somebody else changed the campaign.
    ExternalChange,
    /// A notification that its sink has not taken: at the first try that failed, and when it is given up (`final`).
    WorkforceSyncFailed,
    /// The declaration is gone.
    SupervisionEnded,
}

/// Before or after the PUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// About to be sent.
    Intent,
    /// What came of it.
    Outcome,
}

/// One line. Absent facts are left out.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRecord {
    pub timestamp: Timestamp,
    pub event: AuditEvent,
    pub namespace: String,
    pub name: String,
    /// The object's, which no other object ever has.
    pub uid: String,
    pub generation: i64,
    /// Who changed the declaration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    pub tenant: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    pub campaign_id: String,
    /// The state that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Target>,
    /// What was observed when it was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Observed>,
    /// When it was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume_mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<AuditOutcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<i64>,
    /// Sent without a successful read.
    pub blind: bool,
    /// An earlier process announced it, and this one tells what came of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub recovered: bool,
    /// What CXone last said of the campaign.
    pub seen: Observed,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Which sink of the tenant was to be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// By which it recognises what it is told twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_id: Option<String>,
    /// Whether it is not tried again.
    #[serde(rename = "final", skip_serializing_if = "Option::is_none")]
    pub is_final: Option<bool>,
    /// Every gate and its verdict.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub compliance_check: BTreeMap<&'static str, String>,
    /// The policies that were decided on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyRef>,
    /// The policy that decided, where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<PolicyRef>,
    pub zone_database: &'static str,
    pub operator_version: &'static str,
}

/// How what the line tells of ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum AuditOutcome {
    /// A transition.
    Transition(Outcome),
    /// The supervision of a campaign.
    Supervision(Ending),
}

/// How the supervision of a campaign ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Ending {
    /// It is known not to dial.
    Paused,
    /// It could not be paused in time, or its state is not known.
    LeftRunning,
    /// It was left as it is, as declared.
    Retained,
}
