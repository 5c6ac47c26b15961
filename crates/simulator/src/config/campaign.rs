//! What a campaign should be like.

use serde::{Deserialize, Deserializer, Serialize};

use super::State;
use crate::refusal::{Refusal, ensure};

/// What a campaign should be like; what is absent stays as it is, or takes its default in a new campaign.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CampaignConfig {
    /// Name for the page; by default the id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// State, set as by an outside hand; by default paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// How the number of active calls moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_calls: Option<CallsConfig>,
    /// What the statistics look like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<StatsConfig>,
}

impl CampaignConfig {
    /// A campaign in that state, the rest as it is or by default.
    pub fn in_state(state: State) -> Self {
        Self { state: Some(state), ..Self::default() }
    }

    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if let Some(calls) = &self.active_calls {
            calls.check().map_err(|r| r.within("activeCalls"))?;
        }
        if let Some(stats) = &self.stats {
            stats.check().map_err(|r| r.within("stats"))?;
        }
        Ok(())
    }
}

/// How the number of active calls moves; what is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CallsConfig {
    /// Calls that a running campaign strives for; by default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<u32>,
    /// Calls per second by which it gets there; by default 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rise_per_second: Option<f64>,
    /// How calls end after a pause or a stop; by default with a half life of 10 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain: Option<Drain>,
    /// Calls at this moment; the model goes on from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<u32>,
    /// A number that is shown whatever the model says; `null` lets go of it.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "null_is_a_value")]
    pub pinned: Option<Option<u32>>,
}

fn null_is_a_value<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(reader).map(Some)
}

impl CallsConfig {
    fn check(&self) -> Result<(), Refusal> {
        const MOST: u32 = 1_000_000;
        let fits = |n: Option<u32>| n.is_none_or(|n| n <= MOST);
        let rate = |n: f64| n.is_finite() && n > 0.0;
        ensure(fits(self.target), "target", self.target, "0 to 1000000 calls")?;
        ensure(fits(self.now), "now", self.now, "0 to 1000000 calls")?;
        let rise = self.rise_per_second;
        ensure(rise.is_none_or(rate), "risePerSecond", rise, "calls per second above 0")?;
        match self.drain {
            Some(Drain::HalfLifeSeconds(n)) => ensure(rate(n), "drain.halfLifeSeconds", n, "above 0"),
            Some(Drain::CallsPerSecond(n)) => ensure(rate(n), "drain.callsPerSecond", n, "above 0"),
            None => Ok(()),
        }
    }
}

/// How calls end when nothing is dialed any more.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Drain {
    /// Half of them within so many seconds.
    HalfLifeSeconds(f64),
    /// So many each second.
    CallsPerSecond(f64),
}

/// What the statistics look like; what is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StatsConfig {
    /// Rows over all pages, one second apart; by default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u32>,
    /// Whether rows carry a `timestamp`; by default not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamps: Option<bool>,
    /// Which row comes first; by default the oldest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<StatsOrder>,
}

impl StatsConfig {
    fn check(&self) -> Result<(), Refusal> {
        ensure(self.rows.is_none_or(|n| n <= 100_000), "rows", self.rows, "0 to 100000 rows")
    }
}

/// Order of the rows of the statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StatsOrder {
    /// The newest snapshot is the last row of the last page.
    #[default]
    OldestFirst,
    /// The newest snapshot is the first row of the first page.
    NewestFirst,
}
