//! What the operator says of a campaign. A function of facts: while nothing changes, nothing here does.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::campaign::DeclaredState;
use super::sink::{LossReason, LostNotification, Notification, Sink};

/// How many past transitions `status.history` keeps.
pub const HISTORY_LENGTH: usize = 10;

/// What the operator knows of a campaign, and what it did.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = {"observedGeneration": -1}))]
pub struct CampaignStatus {
    /// The generation of spec that this status speaks of; -1 before the operator has seen the object.
    #[serde(default = "unobserved")]
    pub observed_generation: i64,
    /// The declared state that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DeclaredState")]
    pub declared: Option<DeclaredState>,
    /// What the declaration and every gate come to: `Running`, `Paused`, `Stopped`, or `Held` (it should run and may not).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Effective")]
    pub effective: Option<Effective>,
    /// What CXone last said: `Running`, `Paused`, `Stopped`, or `Unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Observed")]
    pub observed: Option<Observed>,
    /// The dialing window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "WindowStatus")]
    pub window: Option<WindowStatus>,
    /// The policies that concern the campaign, as they were last read; the first 128 by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub policies: Vec<PolicyRef>,
    /// The next change that is known to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "NextTransition")]
    pub next_transition: Option<NextTransition>,
    /// A timed pause under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PauseStatus")]
    pub pause: Option<PauseStatus>,
    /// A pause that somebody else made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ExternalPause")]
    pub external_pause: Option<ExternalPause>,
    /// When pauses of somebody else were reverted lately, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub reverts: Vec<Time>,
    /// The transition that is under way; persisted before the PUT of a start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PendingTransition")]
    pub pending_transition: Option<PendingTransition>,
    /// The newest transition that has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TransitionRecord")]
    pub last_transition: Option<TransitionRecord>,
    /// The last ten transitions that have ended, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub history: Vec<TransitionRecord>,
    /// Notifications of confirmed transitions that wait to be delivered, oldest first; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub notifications: Vec<Notification>,
    /// For each sink the newest notification that was lost; gone with the next one that is delivered to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub lost_notifications: Vec<LostNotification>,
    /// Echo of the annotation `dialer.cxone-operator.io/release` that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 256))]
    pub release: Option<String>,
    /// Echo of the annotation `reconcile.dialer.cxone-operator.io/requestedAt` that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// Conditions; `Reconciling`, `Stalled`, `Violation` and `SyncFailed` are present only when True.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

impl Default for CampaignStatus {
    fn default() -> Self {
        Self {
            observed_generation: unobserved(),
            declared: None,
            effective: None,
            observed: None,
            window: None,
            policies: Vec::new(),
            next_transition: None,
            pause: None,
            external_pause: None,
            reverts: Vec::new(),
            pending_transition: None,
            last_transition: None,
            history: Vec::new(),
            notifications: Vec::new(),
            lost_notifications: Vec::new(),
            release: None,
            last_handled_reconcile_at: None,
            conditions: Vec::new(),
        }
    }
}

impl CampaignStatus {
    /// The condition of this type, if it is present.
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        self.conditions.iter().find(|c| c.type_ == type_)
    }

    /// Puts a transition that has ended on record, once per id.
    pub fn remember(&mut self, record: TransitionRecord) {
        self.history.retain(|r| r.id != record.id);
        self.history.insert(0, record.clone());
        self.history.truncate(HISTORY_LENGTH);
        self.last_transition = Some(record);
    }

    /// Puts a transition on record that ended out of this process's sight: where it belongs, by the time it was decided at.
    pub fn recall(&mut self, record: TransitionRecord) {
        self.history.retain(|r| r.id != record.id);
        let at = self.history.partition_point(|r| r.requested_at.0 > record.requested_at.0);
        self.history.insert(at, record);
        self.history.truncate(HISTORY_LENGTH);
        self.last_transition = self.history.first().cloned();
    }
}

/// What the declaration and every gate come to.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum Effective {
    /// It runs, or is about to.
    Running,
    /// It is declared not to run.
    Paused,
    /// It is declared stopped.
    Stopped,
    /// It should run and may not.
    Held,
}

/// What CXone said of a campaign.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum Observed {
    /// It dials.
    Running,
    /// It does not dial and keeps its place.
    Paused,
    /// It does not dial.
    Stopped,
    /// Nothing readable has been said.
    Unknown,
}

/// A state that a transition leads to; what goes over the wire.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash, JsonSchema)]
pub enum Target {
    /// A start.
    Running,
    /// A close.
    Paused,
    /// A close.
    Stopped,
}

impl Target {
    /// Whether reaching it stops dialing.
    pub fn is_close(self) -> bool {
        self != Self::Running
    }

    /// Whether what was read is exactly this.
    pub fn reached(self, observed: Observed) -> bool {
        observed == Observed::from(self)
    }
}

impl From<Target> for Observed {
    fn from(target: Target) -> Self {
        match target {
            Target::Running => Self::Running,
            Target::Paused => Self::Paused,
            Target::Stopped => Self::Stopped,
        }
    }
}

impl Observed {
    /// Whether the campaign is known not to dial.
    pub fn is_closed(self) -> bool {
        matches!(self, Self::Paused | Self::Stopped)
    }
}

macro_rules! display_as_debug {
    ($($name:ident),+) => { $(impl std::fmt::Display for $name {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { std::fmt::Debug::fmt(self, f) }
    })+ };
}
display_as_debug!(Effective, Observed, Target, Outcome, Cause, Sink, LossReason);

/// The dialing window at the time of the last decision.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WindowStatus {
    /// Whether dialing is allowed, the close lead taken off.
    pub open: bool,
    /// When it opens next, within 400 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub next_open: Option<Time>,
    /// When it closes next (the close lead taken off), within 400 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub next_close: Option<Time>,
    /// The rule behind the next change.
    #[schemars(length(max = 512))]
    pub rule: String,
    /// The policy whose rule it is; absent: the campaign's own window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PolicyRef")]
    pub policy: Option<PolicyRef>,
}

/// A DialingPolicy as it was read.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
pub struct PolicyRef {
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its `metadata.generation`.
    pub generation: i64,
}

impl std::fmt::Display for PolicyRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "policy {} generation {}", self.name, self.generation)
    }
}

/// A change that is known to come.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextTransition {
    /// When.
    pub at: Time,
    /// The effective state from then on, every other gate being open.
    pub to: Effective,
    /// The rule behind it.
    #[schemars(length(max = 512))]
    pub why: String,
}

/// A timed pause: its clock starts when CXone confirms the pause.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PauseStatus {
    /// When the pause was confirmed.
    pub since: Time,
    /// When it ends.
    pub until: Time,
    /// The duration that was declared, in seconds; another one starts another clock.
    pub duration_seconds: i32,
}

/// A pause that somebody else made.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalPause {
    /// When it was first seen.
    pub since: Time,
    /// What was seen: `Paused` or `Stopped`.
    pub observed: Observed,
    /// Whether three reverts in 15 minutes did not hold, so that no more are tried.
    pub contested: bool,
}

/// Why a transition is made.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash, JsonSchema)]
pub enum Cause {
    /// The declaration asks for it.
    Declared,
    /// A timed pause is over.
    PauseOver,
    /// The window closed, or the campaign was found running outside it.
    OutsideWindow,
    /// The campaign has no hours.
    NoWindow,
    /// A zone is not known.
    UnknownZone,
    /// The hold annotation.
    Manual,
    /// `resumeAt` has not come.
    ScheduledResume,
    /// A policy's freeze.
    Frozen,
    /// A policy that may concern it can't be read.
    PolicyUnreadable,
    /// The declaration is being deleted.
    Deleted,
    /// Somebody else's pause is undone.
    Revert,
}

/// A transition under way.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingTransition {
    /// Its id; goes over the wire as `metadata.transitionId`.
    #[schemars(with = "String", length(max = 36))]
    pub id: Uuid,
    /// What was observed before.
    pub from: Observed,
    /// Where it leads.
    pub to: Target,
    /// Why.
    pub cause: Cause,
    /// The generation that was decided on.
    pub generation: i64,
    /// When it was decided.
    pub requested_at: MicroTime,
    /// Sent without a successful read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blind: bool,
    /// The policies that were decided on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub policies: Vec<PolicyRef>,
    /// The policy that demanded it; absent where it was the declaration, the campaign's own window, or a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PolicyRef")]
    pub decided_by: Option<PolicyRef>,
}

impl PendingTransition {
    /// Whether it leads to the same as another, by the same declaration and the same policies: its id may be sent again.
    pub fn is_for(&self, other: &Self) -> bool {
        (self.to, self.generation, &self.policies) == (other.to, other.generation, &other.policies)
    }

    /// Its record, once its outcome is known.
    pub fn ended(self, outcome: Outcome, at: Timestamp) -> TransitionRecord {
        let latency = at.duration_since(self.requested_at.0).as_millis();
        TransitionRecord {
            id: self.id,
            from: self.from,
            to: self.to,
            cause: self.cause,
            generation: self.generation,
            requested_at: self.requested_at,
            ended_at: stamp(at),
            outcome,
            latency_ms: i64::try_from(latency).unwrap_or(i64::MAX).max(0),
            blind: self.blind,
            decided_by: self.decided_by,
        }
    }
}

/// How a transition ended.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash, JsonSchema)]
pub enum Outcome {
    /// A read confirmed it.
    Applied,
    /// It was refused, or a read showed that it did not come about.
    NotApplied,
    /// A newer decision took its place before it was confirmed.
    Superseded,
    /// It can't be told any more.
    Unknown,
}

/// A transition that has ended.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransitionRecord {
    /// Its id.
    #[schemars(with = "String", length(max = 36))]
    pub id: Uuid,
    /// What was observed before.
    pub from: Observed,
    /// Where it led.
    pub to: Target,
    /// Why.
    pub cause: Cause,
    /// The generation that was decided on.
    pub generation: i64,
    /// When it was decided.
    pub requested_at: MicroTime,
    /// When its outcome was known.
    pub ended_at: Time,
    /// How it ended.
    pub outcome: Outcome,
    /// From decision to outcome, in milliseconds.
    pub latency_ms: i64,
    /// Sent without a successful read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blind: bool,
    /// The policy that demanded it; absent where it was the declaration, the campaign's own window, or a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PolicyRef")]
    pub decided_by: Option<PolicyRef>,
}

impl TransitionRecord {
    /// When its outcome was known, to the millisecond.
    pub fn ended_exactly(&self) -> Timestamp {
        let latency = jiff::SignedDuration::from_millis(self.latency_ms);
        self.requested_at.0.checked_add(latency).unwrap_or(self.ended_at.0)
    }
}

/// The generation before the operator has seen an object.
pub(super) fn unobserved() -> i64 {
    -1
}

/// An instant as status writes it: whole seconds, rounded down.
pub fn stamp(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

/// An instant as status writes it where transitions are told apart by it: microseconds.
pub fn stamp_exactly(at: Timestamp) -> MicroTime {
    MicroTime(Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at))
}

/// An instant as status writes it, rounded up: what is told to end then has not ended before.
pub fn stamp_up(at: Timestamp) -> Time {
    let down = stamp(at);
    if at.subsec_nanosecond() <= 0 {
        down
    } else {
        Time(down.0.checked_add(jiff::SignedDuration::from_secs(1)).unwrap_or(Timestamp::MAX))
    }
}
