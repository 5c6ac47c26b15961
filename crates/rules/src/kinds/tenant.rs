//! `CXoneTenant`: where the campaigns of a namespace live, and whose credentials reach them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sink::{Sink, WebhookSink};

/// http or https, a host, an optional port and path; no user, query or fragment.
pub(super) const URL: &str = r"^https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$";

/// One CXone organisation and the credentials to drive its campaigns.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "dialer.cxone-operator.io",
    version = "v1alpha1",
    kind = "CXoneTenant",
    plural = "cxonetenants",
    namespaced,
    status = "TenantStatus",
    derive = "PartialEq",
    shortname = "cxt",
    category = "dialer",
    doc = "Where the campaigns of a namespace live in NICE CXone, and which Secret reaches them.",
    printcolumn(name = "Host", type_ = "string", json_path = ".status.host"),
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
    printcolumn(name = "Campaigns", type_ = "integer", json_path = ".status.campaigns"),
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
    validation = Rule::new("has(self.organization) != has(self.baseUrl)")
        .message("exactly one of organization and baseUrl must be set"),
    validation = Rule::new("has(self.organization) == has(oldSelf.organization) && (!has(self.organization) || self.organization == oldSelf.organization)")
        .message("organization is immutable: create another CXoneTenant"),
    validation = Rule::new("has(self.baseUrl) == has(oldSelf.baseUrl) && (!has(self.baseUrl) || self.baseUrl == oldSelf.baseUrl)")
        .message("baseUrl is immutable: create another CXoneTenant"),
    validation = Rule::new("!has(self.baseUrl) || isURL(self.baseUrl)")
        .message("baseUrl must be a URL such as https://acme.my.cxone.com")
        .field_path(".baseUrl"),
)]
pub struct CXoneTenantSpec {
    /// The organisation's DNS label: the host is `ORGANIZATION.my.cxone.com`. Immutable. Exactly one of this and baseUrl.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        with = "String",
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
    )]
    pub organization: Option<String>,
    /// The base URL (http or https; no user, query or fragment) where it is not `https://ORGANIZATION.my.cxone.com`. Its host
    /// must be on the operator's own list. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 253), regex(pattern = URL))]
    pub base_url: Option<String>,
    /// The Secret of the same namespace that holds the keys `clientId` and `clientSecret`.
    pub credentials_secret_ref: SecretRef,
    /// The tenant's own limit of requests per second, 1 to 100. Default: 10. Closes do not wait for it.
    #[serde(default = "default_rps")]
    #[schemars(range(min = 1, max = 100))]
    pub requests_per_second: i32,
    /// How many requests may go out at once before the limit is felt, 5 to 200. Default: 20.
    #[serde(default = "default_burst")]
    #[schemars(range(min = 5, max = 200))]
    pub burst: i32,
    /// How long one request may take, in seconds, 1 to 60. Default: 15.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 1, max = 60))]
    pub timeout_seconds: i32,
    /// The workforce scheduler, told of every confirmed transition of this tenant's campaigns. Absent: nobody is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "WebhookSink")]
    pub workforce: Option<WebhookSink>,
    /// The agent pool, told of confirmed transitions of campaigns that do not say `notifyAgentPool: false`. Absent: nobody is
    /// told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "WebhookSink")]
    pub agent_pool: Option<WebhookSink>,
}

impl CXoneTenantSpec {
    /// The sink, where the tenant names it.
    pub fn sink(&self, sink: Sink) -> Option<&WebhookSink> {
        match sink {
            Sink::Workforce => self.workforce.as_ref(),
            Sink::AgentPool => self.agent_pool.as_ref(),
        }
    }
}

/// A reference to a Secret of the same namespace.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
pub struct SecretRef {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub name: String,
}

/// What the operator knows of a tenant.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = {"observedGeneration": -1}))]
pub struct TenantStatus {
    /// The generation of spec that this status speaks of; -1 before the operator has seen the object.
    #[serde(default = "super::status::unobserved")]
    pub observed_generation: i64,
    /// Host and port that requests go to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 300))]
    pub host: Option<String>,
    /// How many DialerCampaignStates refer to this tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i32")]
    pub campaigns: Option<i32>,
    /// `Ready`, with the reason. `SinksAllowed` where there are sinks: whether all of them are on the operator's list.
    /// `SigningSecretsFound` where sinks are signed for: whether each has its key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

impl Default for TenantStatus {
    fn default() -> Self {
        Self { observed_generation: -1, host: None, campaigns: None, conditions: Vec::new() }
    }
}

fn default_rps() -> i32 {
    10
}
fn default_burst() -> i32 {
    20
}
fn default_timeout() -> i32 {
    15
}
