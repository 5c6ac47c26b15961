//! What a simulator is told at its start and may be told later: tenants, campaigns, settings.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::refusal::{Refusal, ensure, from_json};

mod campaign;

pub use campaign::{CallsConfig, CampaignConfig, Drain, StatsConfig, StatsOrder};

/// State of a campaign, in CXone's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Dialing.
    Running,
    /// Not dialing, calls in flight go on to their end.
    Paused,
    /// Not dialing, ended.
    Stopped,
}

impl State {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// What a client may do, as in the scopes of its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// Needed by every PUT.
    #[serde(rename = "campaigns:write")]
    CampaignsWrite,
    /// Needed by every GET.
    #[serde(rename = "campaigns:read")]
    CampaignsRead,
    /// Granted by CXone, needed by nothing here.
    #[serde(rename = "dialer:read")]
    DialerRead,
}

impl Scope {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::CampaignsWrite, Self::CampaignsRead, Self::DialerRead];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CampaignsWrite => "campaigns:write",
            Self::CampaignsRead => "campaigns:read",
            Self::DialerRead => "dialer:read",
        }
    }
}

/// Everything needed to start a simulator.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SimulatorConfig {
    /// Where to listen; port 0 takes a free one.
    #[serde(skip)]
    pub addr: SocketAddr,
    /// The tenants to begin with.
    pub tenants: Vec<TenantConfig>,
    /// Settings of the whole server.
    pub settings: Settings,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tenants: Vec::new(),
            settings: Settings::default(),
        }
    }
}

impl SimulatorConfig {
    /// Reads `{"tenants": [...], "settings": {...}}`.
    ///
    /// # Errors
    /// Names the field that is not understood, its value and what is accepted.
    pub fn from_json(text: &str) -> Result<Self, Refusal> {
        from_json(text.as_bytes())
    }

    /// The tenant `acme` with three campaigns, as the command starts without a file.
    pub fn example() -> Self {
        let campaign = |name: &str, state, target| CampaignConfig {
            name: Some(name.into()),
            state: Some(state),
            active_calls: Some(CallsConfig { target: Some(target), ..CallsConfig::default() }),
            stats: Some(StatsConfig { rows: Some(240), ..StatsConfig::default() }),
        };
        let acme = TenantConfig::new("acme")
            .campaign("c-7731", campaign("Winter renewals", State::Running, 120))
            .campaign("c-7732", campaign("Payment reminders", State::Paused, 60))
            .campaign("c-7733", campaign("Survey, East", State::Stopped, 200));
        Self { tenants: vec![acme], ..Self::default() }
    }
}

/// Settings of the whole server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// How long a token lives, in seconds.
    pub token_lifetime_seconds: u64,
    /// How far the `Date` header is ahead of the real time, in seconds; negative is behind.
    pub date_offset_seconds: i64,
    /// Whether answers carry a `Date` header.
    pub date_header: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { token_lifetime_seconds: 1800, date_offset_seconds: 0, date_header: true }
    }
}

/// A change of [`Settings`]; what is absent stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct SettingsPatch {
    pub token_lifetime_seconds: Option<u64>,
    pub date_offset_seconds: Option<i64>,
    pub date_header: Option<bool>,
}

impl SettingsPatch {
    pub(crate) fn apply(self, settings: &mut Settings) -> Result<(), Refusal> {
        let new = Settings {
            token_lifetime_seconds: self.token_lifetime_seconds.unwrap_or(settings.token_lifetime_seconds),
            date_offset_seconds: self.date_offset_seconds.unwrap_or(settings.date_offset_seconds),
            date_header: self.date_header.unwrap_or(settings.date_header),
        };
        new.check()?;
        *settings = new;
        Ok(())
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        const YEAR: u64 = 366 * 24 * 3600;
        let lifetime = self.token_lifetime_seconds;
        ensure((1..=YEAR).contains(&lifetime), "tokenLifetimeSeconds", lifetime, "1 to 31622400 seconds")?;
        let offset = self.date_offset_seconds;
        ensure(offset.unsigned_abs() <= YEAR, "dateOffsetSeconds", offset, "-31622400 to 31622400 seconds")
    }
}

/// One organization: who may come in, what it may do, how often, and its campaigns.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantConfig {
    /// Name of the organization.
    pub organization: String,
    /// Client id of its credentials.
    pub client_id: String,
    /// Client secret of its credentials.
    pub client_secret: String,
    /// What its client may do; all by default.
    #[serde(default = "all_scopes")]
    pub scopes: BTreeSet<Scope>,
    /// How often it may call; absent is without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Its campaigns by id.
    #[serde(default)]
    pub campaigns: BTreeMap<String, CampaignConfig>,
}

fn all_scopes() -> BTreeSet<Scope> {
    Scope::ALL.into()
}

impl TenantConfig {
    /// A tenant without campaigns whose credentials are `{organization}-client` and `{organization}-secret`.
    pub fn new(organization: impl Into<String>) -> Self {
        let organization = organization.into();
        Self {
            client_id: format!("{organization}-client"),
            client_secret: format!("{organization}-secret"),
            organization,
            scopes: all_scopes(),
            rate_limit: None,
            campaigns: BTreeMap::new(),
        }
    }

    /// Adds a campaign.
    #[must_use]
    pub fn campaign(mut self, id: impl Into<String>, config: CampaignConfig) -> Self {
        self.campaigns.insert(id.into(), config);
        self
    }

    pub(crate) fn check(&self) -> Result<(), Refusal> {
        ensure(!self.organization.is_empty(), "organization", &self.organization, "a name")?;
        ensure(!self.client_id.is_empty(), "clientId", &self.client_id, "a client id")?;
        ensure(!self.client_secret.is_empty(), "clientSecret", "", "a secret")?;
        if let Some(limit) = &self.rate_limit {
            limit.check().map_err(|r| r.within("rateLimit"))?;
        }
        for (id, campaign) in &self.campaigns {
            ensure(!id.is_empty(), "campaigns", id, "campaigns by a non-empty id")?;
            campaign.check().map_err(|r| r.within(format!("campaigns.{id}")))?;
        }
        Ok(())
    }
}

/// A token bucket: `burst` requests at once, `requests_per_second` in the long run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// Requests per second in the long run.
    pub requests_per_second: f64,
    /// Requests that may come at once.
    pub burst: u32,
    /// How a 429 says when to come back.
    #[serde(default)]
    pub retry_after: RetryAfter,
}

impl RateLimit {
    fn check(&self) -> Result<(), Refusal> {
        let rate = self.requests_per_second;
        ensure(rate.is_finite() && rate > 0.0, "requestsPerSecond", rate, "a number above 0")?;
        ensure(self.burst > 0, "burst", self.burst, "1 or more")
    }
}

/// How a 429 of the rate limit says when to come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RetryAfter {
    /// `Retry-After` in whole seconds.
    #[default]
    Seconds,
    /// `Retry-After` as an HTTP date, by the clock that the `Date` header shows.
    HttpDate,
    /// No `Retry-After`.
    None,
}
