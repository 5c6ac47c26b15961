//! The parts of facts, in few bytes each.

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use jiff::{SignedDuration, Timestamp};
use rules::kinds::{Day, Observed};
use rules::trouble::{Now, Series, Trouble};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The monotonic time of every decision: anything that is told to have been before it can have been.
pub(super) const RUNS_SINCE: Duration = Duration::from_secs(1_000_000);

/// Seconds before now, or (negative) after.
pub(super) type Ago = i16;

/// One of `N`.
pub(super) struct Pick<const N: usize>(usize);

impl<'a, const N: usize> Arbitrary<'a> for Pick<N> {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self(bytes.arbitrary::<u8>()? as usize % N))
    }
}

impl<const N: usize> Pick<N> {
    pub(super) fn of<T: Clone>(&self, all: [T; N]) -> T {
        all[self.0].clone()
    }
}

#[derive(Arbitrary)]
pub(super) struct Hours {
    zones: [Pick<7>; 2],
    days: u8,
    from: u16,
    to: u16,
    lead: u16,
}

#[derive(Arbitrary)]
pub(super) struct PolicyBits {
    hours: Option<Hours>,
    own_zones: bool,
    shut: Option<u8>,
    begins: Option<u8>,
    lead: Option<u16>,
    cap: Option<u16>,
    freeze: Option<(Option<i16>, bool)>,
}

#[derive(Arbitrary)]
pub(super) struct Failures {
    count: u8,
    since: Option<u16>,
    not_before: Option<Ago>,
    last: Option<Pick<12>>,
}

impl Hours {
    fn zones(&self) -> Value {
        let all = [
            "UTC",
            "America/New_York",
            "Australia/Lord_Howe",
            "Asia/Kolkata",
            "Pacific/Kiritimati",
            "Africa/Casablanca",
            "Mars/Phobos",
        ];
        let [first, second] = &self.zones;
        json!([first.of(all), second.of(all)])
    }

    fn hours(&self) -> Value {
        let days: Vec<_> = Day::WEEK.iter().filter(|day| self.days >> day.index() & 1 == 1).collect();
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        json!([{"days": days, "from": clock(self.from % 1440), "to": clock(self.to % 1441)}])
    }

    pub(super) fn window(&self) -> Value {
        json!({"timeZones": self.zones(), "hours": self.hours(), "closeLeadSeconds": self.lead % 3601})
    }
}

impl PolicyBits {
    pub(super) fn spec(&self, now: Timestamp) -> Value {
        let mut spec =
            json!({"maxActiveCalls": self.cap, "closeLeadSeconds": self.lead.map(|lead| lead % 3601)});
        if let Some(hours) = &self.hours {
            spec["hours"] = hours.hours();
            spec["timeZones"] = if self.own_zones { hours.zones() } else { Value::Null };
        }
        let date = |day: u8| at(i64::from(day % 60) * 24 * 3600).strftime("%Y-%m-%d").to_string();
        spec["closedDates"] =
            self.shut.iter().map(|day| json!({"date": date(*day), "reason": "closed"})).collect();
        spec["effectiveFrom"] = json!(self.begins.map(date));
        spec["freeze"] = json!(self.freeze.map(|(until, pauses)| {
            json!({"reason": "frozen", "until": until.map(|until| after(now, until)), "pauseRunning": pauses})
        }));
        spec
    }
}

impl Failures {
    pub(super) fn series(&self) -> Series {
        let last = |last: &Pick<12>| {
            last.of([
                Trouble::NotNow(RUNS_SINCE),
                Trouble::Throttled(None),
                Trouble::Throttled(Some(Duration::from_secs(7))),
                Trouble::Unauthorized,
                Trouble::CredentialsMissing,
                Trouble::Forbidden,
                Trouble::NotFound,
                Trouble::Conflict,
                Trouble::Unavailable,
                Trouble::Rejected,
                Trouble::Unreadable,
                Trouble::Interrupted,
            ])
        };
        let ago = |ago: u16| RUNS_SINCE - Duration::from_secs(ago.into());
        Series {
            failures: self.count.into(),
            since: self.since.map(ago),
            newest: self.since.map(|since| ago(since / 2)),
            not_before: self.not_before.map(mono),
            last: self.last.as_ref().map(last),
            conflicts: 0,
        }
    }
}

/// So many seconds after a Monday's midnight.
pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::constant(1_795_392_000 + second, 0)
}

pub(super) fn after(now: Timestamp, seconds: i16) -> Timestamp {
    now + SignedDuration::from_secs(seconds.into())
}

pub(super) fn mono(ago: Ago) -> Duration {
    let by = Duration::from_secs(ago.unsigned_abs().into());
    if ago < 0 { RUNS_SINCE + by } else { RUNS_SINCE - by }
}

pub(super) fn past(wall: Timestamp, ago: u16) -> Now {
    let ago = Duration::from_secs(ago.into());
    Now { wall: wall - ago, mono: RUNS_SINCE - ago }
}

pub(super) fn observed(state: &Pick<3>) -> Observed {
    state.of([Observed::Running, Observed::Paused, Observed::Stopped])
}

pub(super) fn made<T: DeserializeOwned>(from: Value) -> T {
    serde_json::from_value(from).unwrap_or_else(|error| panic!("facts that no object can have: {error}"))
}
