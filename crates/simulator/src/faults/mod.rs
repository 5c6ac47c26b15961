//! Faults on demand: rules that decide, first match first, what becomes of a request.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::log::Route;
use crate::refusal::{Refusal, ensure};
use crate::world::Moment;

mod effect;

pub use effect::{Effect, Loss};

/// Names a fault, to clear it and to find it in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultId(pub u64);

impl fmt::Display for FaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The requests that a fault is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FaultRoute {
    /// Every request on which the effect makes sense.
    #[default]
    Any,
    /// Fetching a token.
    Token,
    /// Reading the state.
    StateGet,
    /// Writing the state.
    StatePut,
    /// Reading the statistics.
    Stats,
}

impl FaultRoute {
    fn covers(self, route: Route) -> bool {
        match self {
            Self::Any => true,
            Self::Token => route == Route::Token,
            Self::StateGet => route == Route::StateGet,
            Self::StatePut => route == Route::StatePut,
            Self::Stats => route == Route::Stats,
        }
    }
}

/// A rule: which requests, how often or how long, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// Requests on this route.
    #[serde(default)]
    pub route: FaultRoute,
    /// Only those of this tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Only those for this campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    /// Matching requests that pass unharmed before the first one is hit.
    #[serde(default)]
    pub skip: u32,
    /// Requests to hit; absent is without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Milliseconds after which it is over, counted from when it was added; absent is until it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    /// What becomes of them.
    pub effect: Effect,
}

impl Fault {
    /// A fault on a route for every tenant and campaign, until it is removed.
    pub fn new(route: FaultRoute, effect: Effect) -> Self {
        Self { route, tenant: None, campaign: None, skip: 0, times: None, for_ms: None, effect }
    }

    /// Answers with a status and a JSON error.
    pub fn status(route: FaultRoute, status: u16) -> Self {
        Self::new(route, Effect::Answer { status, retry_after: None, body: None, headers: BTreeMap::new() })
    }

    /// Only for this tenant.
    #[must_use]
    pub fn tenant(mut self, organization: impl Into<String>) -> Self {
        self.tenant = Some(organization.into());
        self
    }

    /// Only for this campaign.
    #[must_use]
    pub fn campaign(mut self, id: impl Into<String>) -> Self {
        self.campaign = Some(id.into());
        self
    }

    /// Lets so many matching requests pass first.
    #[must_use]
    pub fn skip(mut self, requests: u32) -> Self {
        self.skip = requests;
        self
    }

    /// Hits so many requests.
    #[must_use]
    pub fn times(mut self, requests: u32) -> Self {
        self.times = Some(requests);
        self
    }

    /// Is over after that time.
    #[must_use]
    pub fn lasting(mut self, time: Duration) -> Self {
        self.for_ms = Some(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        self
    }

    pub(crate) fn check(&self) -> Result<(), Refusal> {
        ensure(self.times != Some(0), "times", 0, "1 or more, or nothing for without limit")?;
        let routes = self.effect.routes();
        let useful = routes.iter().any(|&route| self.route.covers(route));
        let words = serde_json::json!(routes);
        let accepted = format!("any or one of {words} for the effect {}", self.effect.kind());
        ensure(useful, "route", self.route, accepted)?;
        self.effect.check().map_err(|r| r.within("effect"))
    }
}

/// A fault that has been added, and what it has done since.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveFault {
    /// Its name.
    pub id: FaultId,
    /// The rule.
    #[serde(flatten)]
    pub fault: Fault,
    /// Requests that it matched, skipped ones included.
    pub matched: u32,
    /// Requests that it hit.
    pub hit: u32,
    /// Whether it can't hit any more, by count or by time.
    pub over: bool,
    #[serde(skip)]
    added: Moment,
}

impl fmt::Display for ActiveFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, route) = (self.fault.effect.kind(), self.fault.route);
        write!(f, "fault {} {kind} on {route:?}: matched {}, hit {}", self.id, self.matched, self.hit)
    }
}

impl ActiveFault {
    fn is_over(&self, now: Moment) -> bool {
        let until = self.fault.for_ms.map(|ms| self.added.saturating_add(Duration::from_millis(ms)));
        self.fault.times.is_some_and(|times| self.hit >= times) || until.is_some_and(|until| now >= until)
    }

    fn matches(&self, subject: &Subject<'_>) -> bool {
        let fits = |wanted: &Option<String>, is: Option<&str>| wanted.is_none() || wanted.as_deref() == is;
        self.fault.route.covers(subject.route)
            && self.fault.effect.routes().contains(&subject.route)
            && fits(&self.fault.tenant, subject.tenant)
            && fits(&self.fault.campaign, subject.campaign)
    }
}

/// What a request is about, as far as faults care.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub route: Route,
    pub tenant: Option<&'a str>,
    pub campaign: Option<&'a str>,
}

/// All faults in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<ActiveFault>,
    last_id: u64,
    version: u64,
}

impl Faults {
    pub(crate) fn add(&mut self, now: Moment, fault: Fault) -> FaultId {
        self.last_id += 1;
        self.version += 1;
        let id = FaultId(self.last_id);
        self.rules.push(ActiveFault { id, fault, matched: 0, hit: 0, over: false, added: now });
        id
    }

    /// The one place that decides whether a request is hit: the first rule that matches, is not over and has done its
    /// skipping.
    pub(crate) fn pick(&mut self, now: Moment, subject: &Subject<'_>) -> Option<(FaultId, Effect)> {
        for rule in &mut self.rules {
            if rule.is_over(now) || !rule.matches(subject) {
                continue;
            }
            rule.matched += 1;
            if rule.matched > rule.fault.skip {
                rule.hit += 1;
                return Some((rule.id, rule.fault.effect.clone()));
            }
        }
        None
    }

    pub(crate) fn contains(&self, id: FaultId) -> bool {
        self.rules.iter().any(|rule| rule.id == id)
    }

    /// Whether there was such a fault.
    pub(crate) fn remove(&mut self, id: FaultId) -> bool {
        let before = self.rules.len();
        self.rules.retain(|rule| rule.id != id);
        self.version += 1;
        self.rules.len() < before
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
        self.version += 1;
    }

    /// Grows when faults come or go.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn list(&self, now: Moment) -> Vec<ActiveFault> {
        let seen = |rule: &ActiveFault| ActiveFault { over: rule.is_over(now), ..rule.clone() };
        self.rules.iter().map(seen).collect()
    }
}
