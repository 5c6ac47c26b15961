//! When dialing is allowed: the campaign's own hours and those of every policy, in every zone of each, at once.
//!
//! `allowed(t)` depends only on t's local date and time in each zone. Everything else here (edges, lead, view) follows from
//! it: an edge is an instant at which `allowed` changes, be it because a clock reaches a boundary, because it jumps, or because
//! a rule begins or ceases to apply.

mod rule;
mod search;
mod week;
mod words;

use std::fmt;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::kinds::{ComplianceWindow, PolicyRef, Zone};
use crate::policies::Policy;
use crate::reasons::Reason;
use crate::zones;
use rule::Rule;
use search::{Close, Search, later};

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

/// The window as it is at one instant, the close lead taken off.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowView {
    /// Whether dialing is allowed.
    pub open: bool,
    /// When it opens next (after the next close, where it is open). `None`: not within [`HORIZON`].
    pub next_open: Option<Timestamp>,
    /// When it closes next. `None`: not within [`HORIZON`].
    pub next_close: Option<Timestamp>,
    /// The rule behind the next change, or behind there being none.
    pub rule: RuleText,
    /// The lowest cap of the policies that apply now.
    pub cap: Option<Cap>,
    /// Until when all of this holds at most: a clock jumps then, or a rule begins or ceases to apply.
    pub holds_until: Timestamp,
}

/// A rule in words, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleText {
    /// At most 512 characters.
    pub text: String,
    /// The policy; none: the campaign's own window.
    pub policy: Option<PolicyRef>,
}

/// The most calls that may be active when a campaign starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cap {
    /// How many.
    pub calls: i32,
    /// Which policy says so.
    pub policy: Option<PolicyRef>,
}

impl Cap {
    fn of(rule: &Rule) -> Option<Self> {
        Some(Self { calls: rule.cap?, policy: rule.policy.clone() })
    }
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.policy {
            None => write!(f, "{} calls", self.calls),
            Some(policy) => write!(f, "{} calls (policy {})", self.calls, policy.name),
        }
    }
}

impl WindowView {
    /// The next change.
    pub fn next_edge(&self) -> Option<Timestamp> {
        if self.open { self.next_close } else { self.next_open }
    }
}

/// What is closed at an instant.
enum Closer {
    /// A rule, in one of its zones (by its place).
    Rule(usize, usize),
    /// No rule that gives hours applies.
    NoHours,
}

/// An open span: its close, the lead not taken off, is absent where it does not end within [`HORIZON`].
struct Span {
    from: Timestamp,
    close: Option<Close>,
}

impl Span {
    fn until(&self) -> Option<Timestamp> {
        self.close.map(|close| close.at.checked_sub(close.lead).unwrap_or(Timestamp::MIN))
    }

    fn lead(&self) -> SignedDuration {
        self.close.map_or(SignedDuration::ZERO, |close| close.lead)
    }
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
            let named = |why| NoCalendar::InPolicy { policy: policy.reference(), why: Box::new(why) };
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

    /// The window at this instant, the close lead taken off.
    pub fn view(&self, at: Timestamp) -> WindowView {
        let search = Search::new(self, at);
        let (cap, holds_until, lead) = (search.cap(), search.stretch_ends(), search.lead());
        let view = |open, next_open, next_close, rule| WindowView {
            open,
            next_open,
            next_close,
            rule,
            cap,
            holds_until,
        };
        let mut spans = self.spans(search, at);
        match spans.next() {
            None => view(false, None, None, self.rules_at(at, lead)),
            Some(span) if span.from <= at => {
                let rule = self.rule_at(span.close.map_or(at, |close| close.at), span.lead());
                view(true, spans.next().map(|next| next.from), span.until(), rule)
            }
            Some(span) => {
                let before = span.from.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(span.from);
                view(false, Some(span.from), span.until(), self.rule_at(before.max(at), span.lead()))
            }
        }
    }

    /// The next instant at which the view may change: an edge, the lead taken off, or the end of a stretch.
    pub(crate) fn next_turn(&self, at: Timestamp) -> Option<Timestamp> {
        let view = self.view(at);
        let edge = view.next_edge().unwrap_or(Timestamp::MAX);
        Some(edge.min(view.holds_until)).filter(|turn| *turn < Timestamp::MAX)
    }

    /// Whether some policy applies in some of its zones at this instant.
    pub(crate) fn policies_apply(&self, at: Timestamp) -> bool {
        let local: Vec<_> = self.zones.iter().map(|zone| zone.to_datetime(at)).collect();
        self.rules.iter().any(|rule| rule.policy.is_some() && rule.binds(&local))
    }

    /// The first rule that does not allow dialing at this instant, or the first of all.
    fn rule_at(&self, at: Timestamp, lead: SignedDuration) -> RuleText {
        match (self.closer(at), self.rules.first()) {
            (Some(Closer::Rule(rule, zone)), _) => {
                let rule = &self.rules[rule];
                rule.text(Some(self.zones[zone].to_datetime(at)), lead)
            }
            (None, Some(first)) => first.text(None, lead),
            (Some(Closer::NoHours), _) | (None, None) => no_hours(),
        }
    }

    /// What never opens: all rules that close anything, since which of them is closed first changes from hour to hour.
    fn rules_at(&self, at: Timestamp, lead: SignedDuration) -> RuleText {
        let closing: Vec<_> = self.rules.iter().filter(|rule| rule.closes()).collect();
        match closing.as_slice() {
            _ if self.lacks_hours_at(at) => no_hours(),
            [only] => only.text(None, lead),
            several => {
                let texts: Vec<_> = several.iter().map(|rule| rule.words(None, lead)).collect();
                let policy = several.first().and_then(|rule| rule.policy.clone());
                RuleText { text: words::short(texts.join(" with ")), policy }
            }
        }
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

    /// The open spans from `at` on; those that the lead uses up are left out.
    fn spans<'a>(&'a self, mut search: Search<'a>, at: Timestamp) -> impl Iterator<Item = Span> + 'a {
        let end = later(at, HORIZON);
        // No span since `found` was left over.
        let (mut cursor, mut found) = (at, at);
        std::iter::from_fn(move || {
            loop {
                let from = search.next_open(cursor, end)?;
                let Some(close) = search.next_close(from, later(end, LONGEST_LEAD)) else {
                    cursor = end;
                    return Some(Span { from, close: None });
                };
                let span = Span { from, close: Some(close) };
                if span.until().is_some_and(|until| until > from) {
                    (cursor, found) = (close.at, close.at);
                    return Some(span);
                }
                cursor = search.past_repeats(found, close.at, end);
            }
        })
    }
}

fn no_hours() -> RuleText {
    RuleText { text: "no policy that gives hours applies then".to_owned(), policy: None }
}

/// No kind admits a longer one: a span that begins within the horizon is followed so much further.
const LONGEST_LEAD: SignedDuration = SignedDuration::from_secs(3600);

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
