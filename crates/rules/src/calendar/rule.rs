//! One rule of the calendar: the campaign's own window, or a policy.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};

use super::week::Week;
use super::words::{describe, short};
use super::{NoCalendar, RuleText};
use crate::kinds::{ComplianceWindow, DialingPolicySpec, Hours, LocalDate, PolicyRef, Zone};
use crate::policies::Policy;

/// A rule asked of local time, in each of its zones.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    /// Absent: any time of any day that is not closed.
    pub(super) week: Option<Week>,
    /// The zones it is read in, by their place in the calendar.
    pub(super) zones: Vec<usize>,
    pub(super) lead: SignedDuration,
    pub(super) cap: Option<i32>,
    /// Whose it is; none: the campaign's own.
    pub(super) policy: Option<PolicyRef>,
    citation: Option<String>,
    closed: BTreeMap<Date, String>,
    from: Option<Date>,
    until: Option<Date>,
    hours: String,
    /// The first day on which something else may hold than the day before, each.
    turns: Vec<Date>,
}

impl Rule {
    /// The campaign's own window; `None` where it gives no hours. `place` gives a zone its place.
    pub(super) fn own(
        window: &ComplianceWindow,
        place: impl FnMut(&Zone) -> Result<usize, NoCalendar>,
    ) -> Result<Option<Self>, NoCalendar> {
        let Some(hours) = given(window.hours.as_deref()) else { return Ok(None) };
        Ok(Some(Self {
            week: Some(Week::new(hours).map_err(NoCalendar::NotATime)?),
            zones: window.time_zones.iter().map(place).collect::<Result<_, _>>()?,
            lead: seconds(window.close_lead_seconds),
            cap: None,
            policy: None,
            citation: None,
            closed: BTreeMap::new(),
            from: None,
            until: None,
            hours: describe(hours, &window.time_zones),
            turns: Vec::new(),
        }))
    }

    /// A policy, read in its own zones or in those of the campaign.
    pub(super) fn policy(
        policy: &Policy,
        campaign: &[Zone],
        place: impl FnMut(&Zone) -> Result<usize, NoCalendar>,
    ) -> Result<Self, NoCalendar> {
        let spec = &policy.spec;
        let zones = spec.time_zones.as_deref().unwrap_or(campaign);
        let hours = given(spec.hours.as_deref());
        let closed = closed_dates(spec)?;
        if zones.is_empty() && (hours.is_some() || !closed.is_empty()) {
            return Err(NoCalendar::NoZones);
        }
        let from = spec.effective_from.as_ref().map(date).transpose()?;
        let until = spec.effective_until.as_ref().map(date).transpose()?;
        Ok(Self {
            week: hours.map(Week::new).transpose().map_err(NoCalendar::NotATime)?,
            zones: zones.iter().map(place).collect::<Result<_, _>>()?,
            lead: seconds(spec.close_lead_seconds.unwrap_or(0)),
            cap: spec.max_active_calls,
            policy: Some(policy.reference()),
            citation: spec.citation.clone(),
            turns: turns(&closed, from, until),
            closed,
            from,
            until,
            hours: hours.map_or_else(|| "any time".to_owned(), |hours| describe(hours, zones)),
        })
    }

    /// Whether it applies on this local date.
    pub(super) fn applies(&self, date: Date) -> bool {
        self.from.is_none_or(|from| from <= date) && self.until.is_none_or(|until| date <= until)
    }

    /// The first date on which it applies, and the first on which it does so no more.
    pub(super) fn bounds(&self) -> impl Iterator<Item = Date> {
        let end = self.until.and_then(|until| until.tomorrow().ok());
        self.from.into_iter().chain(end)
    }

    /// Whether it shuts this local date.
    pub(super) fn shuts(&self, date: Date) -> bool {
        self.applies(date) && self.closed.contains_key(&date)
    }

    /// Whether it allows dialing at this local time.
    pub(super) fn allows(&self, local: DateTime) -> bool {
        let date = local.date();
        let open = || self.week.as_ref().is_none_or(|week| week.open_at(local));
        !self.applies(date) || (!self.closed.contains_key(&date) && open())
    }

    /// Whether its lead and its cap bind: where it applies in some of its zones, or is read in none. `local` gives the time in
    /// each zone of the calendar.
    pub(super) fn binds(&self, local: &[DateTime]) -> bool {
        self.zones.is_empty() || self.zones.iter().any(|zone| self.applies(local[*zone].date()))
    }

    /// How far this local time is from the next date on which it begins or ceases to apply, or to be shut, were local time
    /// never to jump.
    pub(super) fn until_turn(&self, local: DateTime) -> Option<SignedDuration> {
        let next = self.turns.partition_point(|turn| *turn <= local.date());
        Some(self.turns.get(next)?.to_datetime(Time::midnight()).duration_since(local))
    }

    /// Whether it can close anything.
    pub(super) fn closes(&self) -> bool {
        self.week.is_some() || !self.closed.is_empty()
    }

    /// The rule in words, cut to their length, and whose it is.
    pub(super) fn text(&self, local: Option<DateTime>, lead: SignedDuration) -> RuleText {
        RuleText { text: short(self.words(local, lead)), policy: self.policy.clone() }
    }

    /// The rule in words, as it decides at this local time, closed so much early.
    pub(super) fn words(&self, local: Option<DateTime>, lead: SignedDuration) -> String {
        let closed = local.and_then(|local| Some((local.date(), self.closed.get(&local.date())?)));
        let source = self.policy.as_ref().map(|policy| format!("policy {}: ", policy.name));
        let rule = match closed {
            Some((date, reason)) => format!("closed on {date} ({reason})"),
            None => self.hours.clone(),
        };
        let early =
            if lead.is_zero() { String::new() } else { format!(", closed {} s early", lead.as_secs()) };
        let citation = self.citation.as_ref().map(|citation| format!(" [{citation}]"));
        format!("{}{rule}{early}{}", source.unwrap_or_default(), citation.unwrap_or_default())
    }
}

fn given(hours: Option<&[Hours]>) -> Option<&[Hours]> {
    hours.filter(|hours| !hours.is_empty())
}

fn closed_dates(spec: &DialingPolicySpec) -> Result<BTreeMap<Date, String>, NoCalendar> {
    spec.closed_dates.iter().map(|entry| Ok((date(&entry.date)?, entry.reason.clone()))).collect()
}

fn date(text: &LocalDate) -> Result<Date, NoCalendar> {
    text.date().ok_or_else(|| NoCalendar::NotADate(text.0.clone()))
}

fn turns(closed: &BTreeMap<Date, String>, from: Option<Date>, until: Option<Date>) -> Vec<Date> {
    let after = |date: Date| date.tomorrow().ok();
    let closed = closed.keys().flat_map(|date| [Some(*date), after(*date)]);
    let mut all: Vec<Date> = closed.chain([from, until.and_then(after)]).flatten().collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn seconds(count: i32) -> SignedDuration {
    SignedDuration::from_secs(i64::from(count.max(0)))
}
