//! How well a list of objects is known that a decision needs whole.

use std::time::Duration;

use rules::policies::Knowledge;

use crate::kubernetes::WatchFailure;

/// A list that can't be had for that long is missing: until then it only holds starts, so that neither a restart nor a moment
/// without rights pauses what runs.
const MISSING_AFTER: Duration = Duration::from_secs(30);

/// So long nothing is said of it: every start of the operator and every watch that breaks takes a moment.
const TOLD_AFTER: Duration = Duration::from_secs(5);

/// What a list is needed for.
pub struct Need {
    /// In words, plural.
    what: &'static str,
    /// What the operator must be allowed to list and watch.
    resource: &'static str,
}

impl Need {
    pub const POLICIES: Self = Self { what: "DialingPolicies", resource: "dialingpolicies" };
    pub const NAMESPACES: Self = Self { what: "namespaces and their labels", resource: "namespaces" };
}

/// A list that is watched.
pub struct Listing {
    need: Need,
    /// Since when (monotonic) it is waited for or fails; none: it is had and current.
    lacking_since: Option<Duration>,
    /// Since when (monotonic) the API server has refused it, and done nothing else.
    refused_since: Option<Duration>,
    had: bool,
    failure: Option<WatchFailure>,
}

impl Listing {
    /// A list that is awaited from now (monotonic) on.
    pub fn new(need: Need, now: Duration) -> Self {
        Self { need, lacking_since: Some(now), refused_since: None, had: false, failure: None }
    }

    /// It was had, whole.
    pub fn had(&mut self) {
        (self.lacking_since, self.refused_since, self.failure) = (None, None, None);
        self.had = true;
    }

    /// Whether it was ever had, whole.
    pub fn was_had(&self) -> bool {
        self.had
    }

    /// It could not be had, or not be watched further.
    pub fn failed(&mut self, failure: WatchFailure, now: Duration) {
        self.lacking_since.get_or_insert(now);
        self.refused_since = failure.refused.then(|| self.refused_since.unwrap_or(now));
        self.failure = Some(failure);
    }

    /// What this means for who depends on it.
    pub fn knowledge(&self, now: Duration) -> Knowledge {
        let (Some(since), Need { what, resource }) = (self.lacking_since, &self.need) else {
            return Knowledge::Full;
        };
        if now < since + TOLD_AFTER {
            return Knowledge::Awaited;
        }
        let why = match &self.failure {
            None => format!("{what} have not been listed yet"),
            Some(failure) if self.had => format!("{what} can't be watched: {failure}"),
            Some(failure) => format!("{what} can't be listed: {failure}"),
        };
        if self.missing_at().is_none_or(|at| now < at) {
            return Knowledge::InDoubt(why);
        }
        Knowledge::Missing(format!(
            "{why}; the operator needs the CRDs and the right to list and watch {resource}, or the flag --no-policies"
        ))
    }

    /// How long until what it means changes by time alone.
    pub fn turns_in(&self, now: Duration) -> Option<Duration> {
        let since = self.lacking_since?;
        let turns = [Some(since + TOLD_AFTER), self.missing_at()].into_iter().flatten();
        turns.filter(|at| *at > now).min().map(|at| at - now)
    }

    /// From when on (monotonic) it counts as missing. What was had once is kept while the API server is away, as declarations
    /// are; but not where it refuses to give it.
    fn missing_at(&self) -> Option<Duration> {
        let since = if self.had { self.refused_since } else { self.lacking_since };
        Some(since? + MISSING_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC: Duration = Duration::from_secs(1);

    fn failure(refused: bool) -> WatchFailure {
        WatchFailure { refused, why: "no".into() }
    }

    fn word(listing: &Listing, now: Duration) -> &'static str {
        match listing.knowledge(now) {
            Knowledge::Full => "full",
            Knowledge::Awaited => "awaited",
            Knowledge::InDoubt(_) => "in doubt",
            Knowledge::Missing(_) => "missing",
        }
    }

    #[test]
    fn a_first_list_that_does_not_come_holds_starts_and_closes_after_half_a_minute() {
        let mut listing = Listing::new(Need::POLICIES, SEC);
        assert_eq!(word(&listing, SEC * 2), "awaited");
        assert_eq!(listing.turns_in(SEC * 2), Some(SEC * 4));
        assert_eq!(word(&listing, SEC * 6), "in doubt");
        listing.failed(failure(false), SEC * 20);
        assert_eq!(word(&listing, SEC * 30), "in doubt");
        assert_eq!(listing.turns_in(SEC * 30), Some(SEC));
        assert_eq!(word(&listing, SEC * 31), "missing");
        listing.had();
        assert_eq!(word(&listing, SEC * 32), "full");
    }

    #[test]
    fn what_was_had_is_kept_while_the_server_is_away_and_not_where_it_refuses() {
        let mut listing = Listing::new(Need::POLICIES, SEC);
        listing.had();
        listing.failed(failure(false), SEC * 100);
        assert_eq!(word(&listing, SEC * 104), "awaited");
        assert_eq!(word(&listing, SEC * 1000), "in doubt");
        assert_eq!(listing.turns_in(SEC * 1000), None);
        listing.had();
        listing.failed(failure(true), SEC * 2000);
        assert_eq!(word(&listing, SEC * 2029), "in doubt");
        listing.failed(failure(true), SEC * 2029);
        assert_eq!(word(&listing, SEC * 2030), "missing");
    }

    #[test]
    fn a_refusal_after_an_outage_has_its_half_minute_too() {
        let mut listing = Listing::new(Need::POLICIES, SEC);
        listing.had();
        listing.failed(failure(false), SEC * 100);
        listing.failed(failure(true), SEC * 140);
        assert_eq!(word(&listing, SEC * 141), "in doubt");
        assert_eq!(listing.turns_in(SEC * 141), Some(SEC * 29));
        listing.failed(failure(false), SEC * 160);
        assert_eq!(word(&listing, SEC * 1000), "in doubt");
    }
}
