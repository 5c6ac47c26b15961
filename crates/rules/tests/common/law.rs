//! Hours, dates, leads, caps and freezes read naively, from the text of the declaration and of every policy.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use rules::kinds::{DialerCampaignStateSpec, DialingPolicySpec, Hours, Zone};
use rules::policies::{Knowledge, Policies};

/// What is declared, and the policies that concern it.
pub struct Law<'a>(pub &'a DialerCampaignStateSpec, pub &'a Policies);

impl Law<'_> {
    fn own_zones(&self) -> &[Zone] {
        self.0.compliance_window.as_ref().map(|w| w.time_zones.as_slice()).unwrap_or_default()
    }

    fn own_hours(&self) -> &[Hours] {
        let window = self.0.compliance_window.as_ref().filter(|w| !w.time_zones.is_empty());
        window.and_then(|w| w.hours.as_deref()).unwrap_or_default()
    }

    fn specs(&self) -> impl Iterator<Item = &DialingPolicySpec> {
        self.1.matching.iter().map(|policy| &policy.spec)
    }

    /// The local times of a policy; `None`: a zone that nobody knows.
    fn local(&self, policy: &DialingPolicySpec, at: Timestamp) -> Option<Vec<DateTime>> {
        local(policy.time_zones.as_deref().unwrap_or_else(|| self.own_zones()), at)
    }

    /// Whether all hours and dates allow dialing at this instant, the lead not taken off.
    pub fn allows(&self, at: Timestamp) -> bool {
        let own = self.own_hours();
        let Some(here) = local(if own.is_empty() { &[] } else { self.own_zones() }, at) else { return false };
        let mut hours = !own.is_empty() && !self.1.required;
        for policy in self.specs() {
            let Some(there) = self.local(policy, at) else { return false };
            let says = policy.hours.is_some() || !policy.closed_dates.is_empty();
            let shut = |t: &DateTime| policy.closed_dates.iter().any(|c| c.date.0 == t.date().to_string());
            let open = |t: &DateTime| policy.hours.as_ref().is_none_or(|hours| any(hours, *t));
            if (says && there.is_empty())
                || there.iter().any(|t| applies(policy, *t) && (shut(t) || !open(t)))
            {
                return false;
            }
            hours |= policy.hours.is_some() && there.iter().all(|t| applies(policy, *t));
        }
        hours && here.iter().all(|t| any(own, *t))
    }

    /// The policies whose lead and cap bind: they apply in one of their zones, or are read in none.
    fn binding(&self, at: Timestamp) -> impl Iterator<Item = &DialingPolicySpec> {
        self.specs().filter(move |policy| {
            let there = self.local(policy, at).unwrap_or_default();
            there.is_empty() || there.iter().any(|t| applies(policy, *t))
        })
    }

    /// How long before a close at this instant it is closed already.
    fn lead(&self, close: Timestamp) -> SignedDuration {
        let before = close - SignedDuration::from_nanos(1);
        let window = self.0.compliance_window.as_ref().filter(|_| !self.own_hours().is_empty());
        let leads = self.binding(before).filter_map(|policy| policy.close_lead_seconds);
        SignedDuration::from_secs(leads.chain(window.map(|w| w.close_lead_seconds)).max().unwrap_or(0).into())
    }

    /// Whether it is allowed at this instant and stays so for that many seconds and the lead.
    pub fn stays_open(&self, at: Timestamp, seconds: i64) -> bool {
        // All that is random here begins and ends at whole minutes.
        let next = at.as_second().div_euclid(60) * 60 + 60;
        let minutes = (0..).map(|n| Timestamp::from_second(next + 60 * n).unwrap());
        let end = at + SignedDuration::from_secs(seconds);
        let mut far = minutes.take_while(|t| t.duration_since(end) <= SignedDuration::from_secs(3600));
        self.allows(at) && far.find(|t| !self.allows(*t)).is_none_or(|close| close - self.lead(close) > end)
    }

    /// The most calls that may be active at a start.
    pub fn cap(&self, at: Timestamp) -> i32 {
        let caps = self.binding(at).filter_map(|policy| policy.max_active_calls);
        caps.chain([self.0.max_active_calls]).min().unwrap()
    }

    /// Whether some freeze holds, and whether one of them pauses what runs.
    fn frozen(&self, at: Timestamp) -> (bool, bool) {
        let freezes = self.specs().filter_map(|policy| policy.freeze.as_ref());
        let hold = freezes.filter(|f| f.until.as_ref().is_none_or(|until| at < until.timestamp()));
        let pauses: Vec<bool> = hold.map(|freeze| freeze.pause_running).collect();
        (!pauses.is_empty(), pauses.contains(&true))
    }

    /// Whether policies forbid it to run, hours aside.
    pub fn closes(&self, at: Timestamp) -> bool {
        self.frozen(at).1 || matches!(self.1.knowledge, Knowledge::Missing(_))
    }

    /// Whether policies forbid a start, hours and caps aside.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.frozen(at).0 || self.1.knowledge != Knowledge::Full
    }
}

fn local(zones: &[Zone], at: Timestamp) -> Option<Vec<DateTime>> {
    zones.iter().map(|zone| Some(rules::zones::zone(&zone.0)?.to_datetime(at))).collect()
}

/// Dates as text compare as dates do.
fn applies(policy: &DialingPolicySpec, local: DateTime) -> bool {
    let date = local.date().to_string();
    policy.effective_from.as_ref().is_none_or(|from| from.0 <= date)
        && policy.effective_until.as_ref().is_none_or(|until| date <= until.0)
}

fn any(hours: &[Hours], local: DateTime) -> bool {
    let today = local.weekday().to_monday_zero_offset() as usize;
    let time = format!("{:02}:{:02}", local.hour(), local.minute());
    hours.iter().any(|h| open(h, today, &time))
}

fn open(h: &Hours, today: usize, time: &str) -> bool {
    let on = |day: usize| h.days.iter().any(|d| d.index() as usize == day);
    let (from, to) = (h.from.0.as_str(), h.to.0.as_str());
    if from < to {
        on(today) && from <= time && time < to
    } else {
        (on(today) && from <= time) || (on((today + 6) % 7) && time < to)
    }
}
