//! When dialing is allowed: the campaign's own hours and those of every policy, in every zone of each, at once.
//!
//! `allowed(t)` depends only on t's local date and time in each zone. Everything else here (edges, lead, view) follows from
//! it: an edge is an instant at which `allowed` changes, be it because a clock reaches a boundary, because it jumps, or because
//! a rule begins or ceases to apply.

mod rule;
mod search;
mod view;
mod week;
mod words;

use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::kinds::{ComplianceWindow, PolicyRef, Zone};
use crate::policies::Policy;
use crate::reasons::Reason;
use crate::zones;
use rule::Rule;
#[cfg(test)]
pub(crate) use search::work;
use search::{Search, later};
pub use view::{Cap, RuleText, WindowView};

/// How far ahead an edge is searched; a window that does not open within it is never open.
pub const HORIZON: SignedDuration = SignedDuration::from_hours(400 * 24);

/// When a campaign may dial, ready to be asked. Rules only tighten: all must be open.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    /// The campaign's own first, where it gives hours.
    rules: Vec<Rule>,
    /// Every zone that a rule is read in, once.
    zones: Vec<TimeZone>,
    /// Whether the campaign's own hours suffice; otherwise some policy that gives hours must apply.
    own_suffices: bool,
}

/// Why a calendar can't be asked. Each one means closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCalendar {
    /// There are no hours at all.
    #[error(
        "the campaign has no hours: set spec.complianceWindow.hours, or apply a DialingPolicy that gives hours"
    )]
    NoWindow,
    /// The operator demands a policy that gives hours, and none does.
    #[error("no DialingPolicy gives hours for this campaign, and the operator runs with --require-policy")]
    NoPolicy,
    /// A policy leaves the zones to the campaign, and the campaign names none.
    #[error(
        "it is read in the campaign's own zones, and there are none: set spec.complianceWindow.timeZones"
    )]
    NoZones,
    /// The compiled-in database lacks a zone.
    #[error("time zone {0} is not in the operator's zone database ({version})", version = zones::version())]
    UnknownZone(String),
    /// A text is no time of day; admission refuses it, older objects may hold it.
    #[error("{0:?} is not a time of day")]
    NotATime(String),
    /// A text is no date; admission refuses it, older objects may hold it.
    #[error("{0:?} is not a date")]
    NotADate(String),
    /// It is a policy of which this is said.
    #[error("policy {}: {why}", policy.name)]
    InPolicy {
        /// The policy.
        policy: PolicyRef,
        /// What is said of it.
        why: Box<Self>,
    },
}

impl NoCalendar {
    /// The reason that a condition gives.
    pub fn reason(&self) -> Reason {
        match self {
            Self::NoWindow | Self::NoPolicy | Self::NoZones => Reason::NoWindow,
            Self::UnknownZone(_) | Self::NotATime(_) | Self::NotADate(_) => Reason::UnknownZone,
            Self::InPolicy { why, .. } => match **why {
                Self::NotATime(_) | Self::NotADate(_) => Reason::PolicyUnreadable,
                ref why => why.reason(),
            },
        }
    }

    /// The policy of which it is said.
    pub fn policy(&self) -> Option<&PolicyRef> {
        match self {
            Self::InPolicy { policy, .. } => Some(policy),
            _ => None,
        }
    }
}

/// What is closed at an instant.
enum Closer {
    /// A rule, in one of its zones (by its place).
    Rule(usize, usize),
    /// No rule that gives hours applies.
    NoHours,
}

impl Calendar {
    /// Reads a campaign's own window and every policy that concerns it. With `require_policy` the hours of the window alone do
    /// not suffice.
    ///
    /// # Errors
    /// Where nothing gives hours, or something in a rule is not known: see [`NoCalendar`].
    pub fn new(
        window: Option<&ComplianceWindow>,
        policies: &[Arc<Policy>],
        require_policy: bool,
    ) -> Result<Self, NoCalendar> {
        let mut places = Places::default();
        let own_zones = window.map(|window| window.time_zones.as_slice()).unwrap_or_default();
        let own = window.filter(|window| !window.time_zones.is_empty());
        let own = own.map(|window| Rule::own(window, |zone| places.of(zone))).transpose()?.flatten();
        let own_suffices = own.is_some() && !require_policy;
        let mut rules: Vec<Rule> = own.into_iter().collect();
        for policy in policies {
            let rule = Rule::policy(policy, own_zones, |zone| places.of(zone));
            let named = |why| match why {
                // A zone of the campaign's is no fault of the policy that is read in it.
                NoCalendar::UnknownZone(_) if policy.spec.time_zones.is_none() => why,
                why => NoCalendar::InPolicy { policy: policy.reference(), why: Box::new(why) },
            };
            rules.push(rule.map_err(named)?);
        }
        let by_policy = rules.iter().any(|rule| rule.policy.is_some() && rule.week.is_some());
        if !own_suffices && !by_policy {
            return Err(if require_policy { NoCalendar::NoPolicy } else { NoCalendar::NoWindow });
        }
        Ok(Self { rules, zones: places.zones, own_suffices })
    }

    /// Whether every rule allows dialing at this instant, the close lead not taken off.
    pub fn allowed(&self, at: Timestamp) -> bool {
        self.closer(at).is_none()
    }

    /// The next instant at which [`Self::allowed`] changes, within [`HORIZON`].
    pub fn next_edge(&self, at: Timestamp) -> Option<Timestamp> {
        let (mut search, end) = (Search::new(self, at), later(at, HORIZON));
        if self.allowed(at) {
            search.next_close(at, end).map(|close| close.at)
        } else {
            search.next_open(at, end)
        }
    }

    /// The next instant at which [`Self::policies_apply`] changes.
    pub(crate) fn next_turn_of_policies(&self, at: Timestamp) -> Option<Timestamp> {
        let now = self.policies_apply(at);
        let midnights = self.rules.iter().flat_map(|rule| {
            let midnight = |zone: &usize, date: Date| {
                Some(self.zones[*zone].to_ambiguous_zoned(date.at(0, 0, 0, 0)).compatible().ok()?.timestamp())
            };
            let each = move |zone| rule.bounds().filter_map(move |date| midnight(zone, date));
            rule.zones.iter().flat_map(each)
        });
        let mut later: Vec<_> = midnights.filter(|midnight| *midnight > at).collect();
        later.sort_unstable();
        later.into_iter().find(|midnight| self.policies_apply(*midnight) != now)
    }

    /// Whether some policy applies in some of its zones at this instant.
    pub(crate) fn policies_apply(&self, at: Timestamp) -> bool {
        let local: Vec<_> = self.zones.iter().map(|zone| zone.to_datetime(at)).collect();
        self.rules.iter().any(|rule| rule.policy.is_some() && rule.binds(&local))
    }

    /// What is closed at this instant, the first of it.
    fn closer(&self, at: Timestamp) -> Option<Closer> {
        let closed = |rule: &Rule, zone: &usize| !rule.allows(self.zones[*zone].to_datetime(at));
        let mut rules = self.rules.iter().enumerate();
        let first = rules.find_map(|(place, rule)| {
            let zone = rule.zones.iter().find(|zone| closed(rule, zone))?;
            Some(Closer::Rule(place, *zone))
        });
        first.or_else(|| self.lacks_hours_at(at).then_some(Closer::NoHours))
    }

    fn lacks_hours_at(&self, at: Timestamp) -> bool {
        let date = |zone: &usize| self.zones[*zone].to_datetime(at).date();
        self.lacks_hours(|rule| rule.zones.iter().all(|zone| rule.applies(date(zone))))
    }

    /// Whether nothing that gives hours applies, by what is said of each rule.
    fn lacks_hours(&self, applies: impl Fn(&Rule) -> bool) -> bool {
        let mut by_policy = self.rules.iter().filter(|rule| rule.policy.is_some() && rule.week.is_some());
        !self.own_suffices && !by_policy.any(applies)
    }
}

/// Gives each zone a place, once.
#[derive(Default)]
struct Places {
    names: Vec<Zone>,
    zones: Vec<TimeZone>,
}

impl Places {
    fn of(&mut self, zone: &Zone) -> Result<usize, NoCalendar> {
        if let Some(place) = self.names.iter().position(|name| name == zone) {
            return Ok(place);
        }
        let known = zones::zone(&zone.0).ok_or_else(|| NoCalendar::UnknownZone(zone.0.clone()))?;
        self.names.push(zone.clone());
        self.zones.push(known);
        Ok(self.zones.len() - 1)
    }
}

#[cfg(test)]
mod tests;
