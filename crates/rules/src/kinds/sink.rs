//! Webhook sinks of a tenant, and what status says of notifications to them.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::campaign::ResumeMode;
use super::status::{Target, stamp};
use crate::reasons::Reason;

/// A receiver of notifications by HTTP POST, after the Standard Webhooks scheme.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("isURL(self.url)")
    .message("url must be a URL such as https://receiver.example.org/hooks/dialer")
    .field_path(".url"))]
pub struct WebhookSink {
    /// Where notifications are sent by POST (http or https; no user, query or fragment). Its host must be on the operator's own
    /// list (`--allow-sink`); otherwise it gets nothing, which the condition `SinksAllowed` says. Redirects are not followed.
    #[schemars(length(min = 1, max = 512), regex(pattern = super::tenant::URL))]
    pub url: String,
    /// How long one try may take, in seconds, 1 to 30. Default: 5.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 1, max = 30))]
    pub timeout_seconds: i32,
    /// After how many seconds without success a notification is given up, 60 to 604800 (a week). Default: 86400 (a day).
    #[serde(default = "default_give_up")]
    #[schemars(range(min = 60, max = 604_800))]
    pub give_up_after_seconds: i32,
    /// The Secret whose key signs notifications. Absent: they are not signed. While it is missing nothing is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretKeyRef")]
    pub signing_secret_ref: Option<SecretKeyRef>,
}

impl WebhookSink {
    /// After how long without success a notification is given up.
    pub fn give_up_after(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.give_up_after_seconds))
    }
}

/// A key of a Secret of the same namespace.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
pub struct SecretKeyRef {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub name: String,
    /// The key; its value is `whsec_` and 24 to 64 bytes in base64.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// Who is told of confirmed transitions.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
pub enum Sink {
    /// The workforce scheduler (`spec.workforce` of the tenant).
    Workforce,
    /// The agent pool (`spec.agentPool` of the tenant).
    AgentPool,
}

impl Sink {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Workforce, Self::AgentPool];

    /// The field of the tenant that names it.
    pub fn field(self) -> &'static str {
        match self {
            Self::Workforce => "workforce",
            Self::AgentPool => "agentPool",
        }
    }
}

/// A notification of a confirmed transition that its sink has not taken yet.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// The id that every try carries (`webhook-id`): a receiver knows by it what it has had.
    #[schemars(length(max = 64))]
    pub webhook_id: String,
    /// Who is told.
    pub sink: Sink,
    /// The transition's id.
    #[schemars(with = "String", length(max = 36))]
    pub transition: Uuid,
    /// The state that was reached.
    pub status: Target,
    /// How the campaign comes back, as declared when the transition was confirmed.
    pub resume_mode: ResumeMode,
    /// When the transition was confirmed, to the millisecond.
    pub at: MicroTime,
    /// From decision to confirmation, in milliseconds.
    pub latency_ms: i64,
}

impl Notification {
    /// As status tells of it once it is lost.
    pub fn lost(&self, reason: LossReason, at: Timestamp) -> LostNotification {
        LostNotification {
            webhook_id: self.webhook_id.clone(),
            sink: self.sink,
            transition: self.transition,
            status: self.status,
            reason,
            at: stamp(at),
        }
    }

    /// What is sent: the same bytes at each try, by whichever process.
    pub fn body(&self, campaign_id: &str) -> Vec<u8> {
        let status = self.status.to_string().to_lowercase();
        let gradual = self.resume_mode == ResumeMode::Gradual;
        let body = match self.sink {
            Sink::Workforce => serde_json::to_vec(&WorkforceBody {
                event: "DIALER_STATE_CHANGE",
                campaign_id,
                status,
                timestamp: self.at.0,
                pacing_directive: if gradual { "ramp_up" } else { "immediate" },
            }),
            Sink::AgentPool => serde_json::to_vec(&AgentPoolBody {
                campaign_id,
                new_status: status,
                resume_mode: self.resume_mode.to_string().to_lowercase(),
                latency_ms: self.latency_ms,
            }),
        };
        // Strings and numbers can always be put as JSON.
        body.unwrap_or_default()
    }
}

/// What the workforce scheduler is sent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WorkforceBody<'a> {
    event: &'static str,
    campaign_id: &'a str,
    status: String,
    timestamp: Timestamp,
    pacing_directive: &'static str,
}

/// What the agent pool is sent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AgentPoolBody<'a> {
    campaign_id: &'a str,
    new_status: String,
    resume_mode: String,
    latency_ms: i64,
}

/// Why a notification was lost.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash, JsonSchema)]
pub enum LossReason {
    /// No try succeeded in time.
    GivenUp,
    /// The outbox was full.
    Superseded,
    /// The declaration was deleted.
    Deleted,
    /// The tenant no longer names the sink.
    SinkRemoved,
    /// The sink is not on the operator's list.
    SinkNotAllowed,
}

/// A notification that its sink will never get.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LostNotification {
    /// The id that its tries carried.
    #[schemars(length(max = 64))]
    pub webhook_id: String,
    /// Who was to be told.
    pub sink: Sink,
    /// The transition's id.
    #[schemars(with = "String", length(max = 36))]
    pub transition: Uuid,
    /// The state that was reached.
    pub status: Target,
    /// Why it was lost.
    pub reason: LossReason,
    /// When.
    pub at: Time,
}

impl LossReason {
    /// The reason as conditions give it.
    pub fn reason(self) -> Reason {
        match self {
            Self::GivenUp => Reason::GivenUp,
            Self::Superseded => Reason::Superseded,
            Self::Deleted => Reason::Deleted,
            Self::SinkRemoved => Reason::SinkRemoved,
            Self::SinkNotAllowed => Reason::SinkNotAllowed,
        }
    }

    /// The reason in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::GivenUp => "no try succeeded in time",
            Self::Superseded => "the outbox was full",
            Self::Deleted => "the declaration was deleted",
            Self::SinkRemoved => "the tenant no longer names the sink",
            Self::SinkNotAllowed => "the sink is not on the operator's list (--allow-sink)",
        }
    }
}

impl std::fmt::Display for LostNotification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sink, status, transition, reason, webhook_id, .. } = self;
        let (sink, why) = (sink.field(), reason.words());
        write!(f, "{sink} was never told of {status} (transition {transition}): {why} [{webhook_id}]")
    }
}

fn default_timeout() -> i32 {
    5
}
fn default_give_up() -> i32 {
    86_400
}
