//! The rules read naively, from the text of their hours and dates.

use jiff::civil::DateTime;

use super::policies::named;
use super::*;
use crate::kinds::DialingPolicySpec;

/// Everything that a calendar is made of.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) own: Option<ComplianceWindow>,
    pub(super) policies: Vec<DialingPolicySpec>,
    pub(super) required: bool,
}

impl Rules {
    pub(super) fn calendar(&self) -> Result<Calendar, NoCalendar> {
        let named = |(n, spec): (usize, &DialingPolicySpec)| named(&format!("p{n}"), spec.clone());
        let policies: Vec<_> = self.policies.iter().enumerate().map(named).collect();
        Calendar::new(self.own.as_ref(), &policies, self.required)
    }

    /// The campaign's own window, where it says anything.
    fn own(&self) -> Option<&ComplianceWindow> {
        let says =
            |w: &&ComplianceWindow| !w.time_zones.is_empty() && w.hours.iter().flatten().next().is_some();
        self.own.as_ref().filter(says)
    }

    fn zones<'a>(&'a self, policy: &'a DialingPolicySpec) -> &'a [Zone] {
        let own = self.own.as_ref().map(|own| own.time_zones.as_slice()).unwrap_or_default();
        policy.time_zones.as_deref().unwrap_or(own)
    }

    /// Whether a calendar can be made of it: something gives hours, and all that is read is read in some zone.
    pub(super) fn make_sense(&self) -> bool {
        let hours = self.own().is_some() && !self.required || self.policies.iter().any(|p| p.hours.is_some());
        let zoned = |p: &DialingPolicySpec| {
            !self.zones(p).is_empty() || (p.hours.is_none() && p.closed_dates.is_empty())
        };
        hours && self.policies.iter().all(zoned)
    }

    pub(super) fn allow(&self, at: Timestamp) -> bool {
        let some_hours = (self.own().is_some() && !self.required)
            || self
                .policies
                .iter()
                .any(|p| p.hours.is_some() && self.zones(p).iter().all(|zone| applies(p, &local(zone, at))));
        some_hours
            && self.own().is_none_or(|own| allows(own, at))
            && self.policies.iter().all(|p| {
                self.zones(p).iter().all(|zone| {
                    let local = local(zone, at);
                    let open = p.hours.as_ref().is_none_or(|hours| hours.iter().any(|h| within(h, local)));
                    let shut = p.closed_dates.iter().any(|closed| closed.date.0 == local.date().to_string());
                    !applies(p, &local) || (open && !shut)
                })
            })
    }

    /// The policies whose lead and cap bind: they apply in one zone at least, or are read in none.
    fn binding(&self, at: Timestamp) -> impl Iterator<Item = &DialingPolicySpec> {
        self.policies.iter().filter(move |p| {
            let zones = self.zones(p);
            zones.is_empty() || zones.iter().any(|zone| applies(p, &local(zone, at)))
        })
    }

    pub(super) fn lead(&self, at: Timestamp) -> SignedDuration {
        let own = self.own().map(|own| own.close_lead_seconds);
        let leads = self.binding(at).filter_map(|p| p.close_lead_seconds).chain(own);
        SignedDuration::from_secs(leads.max().unwrap_or(0).into())
    }

    pub(super) fn cap(&self, at: Timestamp) -> Option<i32> {
        self.binding(at).filter_map(|p| p.max_active_calls).min()
    }
}

fn local(zone: &Zone, at: Timestamp) -> DateTime {
    zones::zone(&zone.0).unwrap().to_datetime(at)
}

/// Dates as text compare as dates do.
fn applies(policy: &DialingPolicySpec, local: &DateTime) -> bool {
    let date = || local.date().to_string();
    policy.effective_from.as_ref().is_none_or(|from| from.0 <= date())
        && policy.effective_until.as_ref().is_none_or(|until| date() <= until.0)
}

/// Whether a campaign's own window alone allows dialing.
pub(super) fn allows(window: &ComplianceWindow, at: Timestamp) -> bool {
    window.time_zones.iter().all(|zone| {
        let local = local(zone, at);
        window.hours.iter().flatten().any(|h| within(h, local))
    })
}

fn within(h: &Hours, local: DateTime) -> bool {
    // Texts of this form compare as times do; millions are made.
    let digits = |n: i8| [b'0' + n as u8 / 10, b'0' + n as u8 % 10];
    let ([a, b], [c, d]) = (digits(local.hour()), digits(local.minute()));
    let text = [a, b, b':', c, d];
    let (text, from, to) = (text.as_slice(), h.from.0.as_bytes(), h.to.0.as_bytes());
    let today = local.weekday().to_monday_zero_offset() as usize;
    let (yesterday, today) = (Day::WEEK[(today + 6) % 7], Day::WEEK[today]);
    if from < to {
        h.days.contains(&today) && from <= text && text < to
    } else {
        (h.days.contains(&today) && from <= text) || (h.days.contains(&yesterday) && text < to)
    }
}
