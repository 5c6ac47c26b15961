//! `DialerCampaignState`: what a person wants of one campaign.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalars::{ClosesAt, Instant, OpensAt, Zone};
use super::status::CampaignStatus;

/// Declares the state of one NICE CXone outbound campaign: whether it may dial, when, and how it comes back.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "dialer.cxone-operator.io",
    version = "v1alpha1",
    kind = "DialerCampaignState",
    plural = "dialercampaignstates",
    namespaced,
    status = "CampaignStatus",
    derive = "PartialEq",
    shortname = "dcs",
    category = "dialer",
    doc = "Declares the state of one NICE CXone outbound campaign.",
    selectable = ".spec.campaignId",
    selectable = ".spec.tenantRef.name",
    selectable = ".spec.state",
    printcolumn(name = "Campaign", type_ = "string", json_path = ".spec.campaignId"),
    printcolumn(name = "Declared", type_ = "string", json_path = ".spec.state"),
    printcolumn(name = "Effective", type_ = "string", json_path = ".status.effective"),
    printcolumn(name = "Observed", type_ = "string", json_path = ".status.observed"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextTransition.at"),
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenantRef.name", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 63").message("metadata.name must be at most 63 characters")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.campaignId == oldSelf.campaignId")
        .message("campaignId is immutable: delete this object and create another one")
        .field_path(".campaignId"),
    validation = Rule::new("self.tenantRef == oldSelf.tenantRef")
        .message("tenantRef is immutable: delete this object and create another one")
        .field_path(".tenantRef"),
    validation = Rule::new("self.resumeMode != 'Scheduled' || has(self.resumeAt)")
        .message("resumeAt is required with resumeMode Scheduled")
        .field_path(".resumeMode"),
)]
pub struct DialerCampaignStateSpec {
    /// The CXoneTenant of the same namespace that the campaign belongs to. Immutable. Default: `default`.
    #[serde(default)]
    pub tenant_ref: TenantRef,
    /// The campaign's id in CXone. Immutable. 1 to 128 letters, digits, `.`, `_`, `~`, `-`, starting with a letter or digit.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$"))]
    pub campaign_id: String,
    /// What is wanted. `Running`: dial whenever every gate is open. `Paused`: do not dial, keep the campaign's place.
    /// `Stopped`: do not dial, end the run.
    pub state: DeclaredState,
    /// How long a pause lasts, in seconds, 0 to 7200; matters while `state` is `Paused`. 0 (default): until the declaration
    /// changes. The clock starts when CXone confirms the pause that this operator made.
    #[serde(default)]
    #[schemars(range(min = 0, max = 7200))]
    pub pause_duration_seconds: i32,
    /// What follows a timed pause. `Resume` (default): run again, through every gate. `Hold`: stay paused until the
    /// declaration changes.
    #[serde(default)]
    pub pause_expiry: PauseExpiry,
    /// How the campaign comes back; told to CXone as declared. `Immediate` (default), `Gradual` (the platform ramps up),
    /// `Scheduled` (not before `resumeAt`).
    #[serde(default)]
    pub resume_mode: ResumeMode,
    /// Not before this instant (RFC 3339 with an offset); required with resumeMode `Scheduled`, ignored otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Instant")]
    pub resume_at: Option<Instant>,
    /// Whether the agent pool is told of transitions: by CXone, and by a POST to the tenant's `agentPool`. Default: true.
    #[serde(default = "yes")]
    pub notify_agent_pool: bool,
    /// A start waits while more calls than this are active. 0 to 100000. Default: 150.
    #[serde(default = "default_max_active_calls")]
    #[schemars(range(min = 0, max = 100_000))]
    pub max_active_calls: i32,
    /// When this campaign may run. Without any hours it may not run at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ComplianceWindow")]
    pub compliance_window: Option<ComplianceWindow>,
    /// What happens when somebody else pauses in CXone what should run. `Respect` (default): leave it paused until it is
    /// released or started there. `Revert`: start it again, at most three times in 15 minutes.
    #[serde(default)]
    pub on_external_pause: OnExternalPause,
    /// `Enforce` (default): act. `Observe`: decide and report, never write to CXone, not even to close.
    #[serde(default)]
    pub mode: Mode,
    /// True: no starts, and the declared state is not applied; window and hold still close. Default: false.
    #[serde(default)]
    pub suspend: bool,
    /// How often drift is looked for, in seconds, 10 to 600. Default: 60. While the campaign may not run: at most 30.
    #[serde(default = "default_check_interval")]
    #[schemars(range(min = 10, max = 600))]
    pub check_interval_seconds: i32,
    /// After how many seconds without progress a change is reported as failed, 60 to 86400. Default: 600. The operator keeps
    /// trying all the same.
    #[serde(default = "default_progress_deadline")]
    #[schemars(range(min = 60, max = 86_400))]
    pub progress_deadline_seconds: i32,
    /// What deleting this object does to a running campaign. `Pause` (default): pause it first. `Retain`: leave it as it is.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// A reference to a CXoneTenant of the same namespace.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
pub struct TenantRef {
    /// The tenant's name. Default: `default`.
    #[serde(default = "default_tenant")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$"))]
    pub name: String,
}

impl Default for TenantRef {
    fn default() -> Self {
        Self { name: default_tenant() }
    }
}

/// When a campaign may run: open in every listed zone at once.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComplianceWindow {
    /// Where the called people are: 1 to 32 IANA time zones. The campaign runs only while every one of them is open.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub time_zones: Vec<Zone>,
    /// When dialing is allowed, in the local time of each zone. 1 to 64 intervals; they may overlap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<Hours>", length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub hours: Option<Vec<Hours>>,
    /// How many seconds before the end of the hours the campaign is closed, since what is in flight still goes out.
    /// 0 to 3600. Default: 30.
    #[serde(default = "default_close_lead")]
    #[schemars(range(min = 0, max = 3600))]
    pub close_lead_seconds: i32,
}

/// An interval of local time on some days of the week, `[from, to)`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, KubeSchema)]
#[x_kube(validation = Rule::new("self.from != self.to").message("from and to must differ (the whole day is 00:00 to 24:00)"))]
pub struct Hours {
    /// The days on which the interval starts, 1 to 7 of `Mon` to `Sun`.
    #[schemars(length(min = 1, max = 7))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub days: Vec<Day>,
    /// Local time of opening, `00:00` to `23:59`.
    pub from: OpensAt,
    /// Local time of closing, `00:00` to `24:00`; before `from` it runs past midnight and belongs to the day it starts on.
    pub to: ClosesAt,
}

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash, JsonSchema)]
        pub enum $name { $($(#[$vmeta])* $variant),+ }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$variant => stringify!($variant)),+ })
            }
        }
    };
}

words!(
    /// A state that a person can declare.
    DeclaredState {
        /// Dial whenever every gate is open.
        Running,
        /// Do not dial.
        Paused,
        /// Do not dial, end the run.
        Stopped,
    }
);
words!(
    /// What follows a timed pause.
    #[derive(Default)]
    PauseExpiry {
        /// Run again, through every gate.
        #[default]
        Resume,
        /// Stay paused.
        Hold,
    }
);
words!(
    /// How a campaign comes back.
    #[derive(Default)]
    ResumeMode {
        /// At full pace.
        #[default]
        Immediate,
        /// The platform ramps up.
        Gradual,
        /// Not before `resumeAt`.
        Scheduled,
    }
);
words!(
    /// What to do about a pause that somebody else made.
    #[derive(Default)]
    OnExternalPause {
        /// Leave it paused.
        #[default]
        Respect,
        /// Start it again.
        Revert,
    }
);
words!(
    /// Whether the operator writes to CXone.
    #[derive(Default)]
    Mode {
        /// It does.
        #[default]
        Enforce,
        /// It only decides and reports.
        Observe,
    }
);
words!(
    /// What deleting the declaration does to a running campaign.
    #[derive(Default)]
    DeletionPolicy {
        /// Pause it first.
        #[default]
        Pause,
        /// Leave it as it is.
        Retain,
    }
);
words!(
    /// A day of the week.
    Day {
        /// Monday.
        Mon,
        /// Tuesday.
        Tue,
        /// Wednesday.
        Wed,
        /// Thursday.
        Thu,
        /// Friday.
        Fri,
        /// Saturday.
        Sat,
        /// Sunday.
        Sun,
    }
);

impl Day {
    /// The days of a week, Monday first.
    pub const WEEK: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    /// Days since Monday.
    pub fn index(self) -> u16 {
        self as u16
    }
}

fn yes() -> bool {
    true
}
fn default_tenant() -> String {
    "default".into()
}
fn default_max_active_calls() -> i32 {
    150
}
fn default_check_interval() -> i32 {
    60
}
fn default_progress_deadline() -> i32 {
    600
}
fn default_close_lead() -> i32 {
    30
}
