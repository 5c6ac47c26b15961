//! Random worlds.

use std::sync::Arc;

use proptest::prelude::*;
use rules::inputs::{Claim, Site, Tenant};
use rules::kinds::{
    ComplianceWindow, Day, DeclaredState, DialerCampaignStateSpec, Mode, Observed, OnExternalPause,
    PauseExpiry, ResumeMode,
};
use rules::policies::{Knowledge, Policies, Policy};
use rules::trouble::Trouble;
use serde_json::json;

use super::common::world::{Read, Spell, Write};
use super::common::{Sim, green, office, policy, secs, spec, window};

#[derive(Clone, Debug)]
pub enum Change {
    State(DeclaredState),
    Hours(Option<ComplianceWindow>),
    Hold(bool),
    Policies(Policies),
    Suspend(bool),
    Hand(Observed),
    Calls(u32),
    Ahead(Option<i64>),
    Release,
    Reconcile,
    Site(Site),
    Mode(Mode),
    Delete,
    Restart,
    /// The process is killed that many points from now on.
    Kill(usize),
}

#[derive(Clone, Debug)]
pub struct Scenario {
    pub began: &'static str,
    pub spec: DialerCampaignStateSpec,
    pub policies: Policies,
    pub observed: Observed,
    pub timeout: u64,
    pub reads: Vec<Spell<Read>>,
    pub stats: Vec<Spell<Read>>,
    pub writes: Vec<Spell<Write>>,
    /// Seconds to run before each change, and the change.
    pub changes: Vec<(u64, Change)>,
    pub watch: bool,
}

impl Scenario {
    pub fn sim(&self) -> Sim {
        let mut sim = Sim::new(self.began, self.spec.state, self.observed);
        sim.spec = self.spec.clone();
        sim.policies = self.policies.clone();
        sim.world.reads = self.reads.clone();
        sim.world.stats = self.stats.clone();
        sim.world.writes = self.writes.clone();
        (sim.world.timeout, sim.site.timeout) = (secs(self.timeout), secs(self.timeout));
        sim.watch = self.watch.then(Vec::new);
        sim
    }
}

fn state() -> impl Strategy<Value = DeclaredState> {
    use DeclaredState::{Paused, Running, Stopped};
    prop_oneof![4 => Just(Running), 2 => Just(Paused), 1 => Just(Stopped)]
}

fn observed() -> impl Strategy<Value = Observed> {
    prop_oneof![Just(Observed::Running), Just(Observed::Paused), Just(Observed::Stopped)]
}

/// Hours with edges within the hours that a scenario lasts.
fn hours() -> impl Strategy<Value = Option<ComplianceWindow>> {
    let zones = prop_oneof![
        Just(vec!["UTC"]),
        Just(vec!["America/New_York"]),
        Just(vec!["UTC", "Asia/Kolkata"]),
        Just(vec!["UTC", "Mars/Phobos"]),
    ];
    let days = prop_oneof![3 => Just(Day::WEEK.to_vec()), 1 => Just(Day::WEEK[..5].to_vec())];
    let clock = (0..24_u8, prop_oneof![Just(0_u8), Just(15), Just(30), Just(59)]);
    let any = (zones, days, clock.clone(), clock, 0..600_i32).prop_map(|(zones, days, from, to, lead)| {
        let text = |(h, m): (u8, u8)| format!("{h:02}:{m:02}");
        let to = if from == to { "24:00".into() } else { text(to) };
        Some(window(&zones, &days, &text(from), &to, lead))
    });
    prop_oneof![4 => any, 6 => Just(Some(office())), 1 => Just(None)]
}

/// A policy whose hours, dates and freezes have edges within what a scenario lasts.
fn any_policy() -> impl Strategy<Value = Arc<Policy>> {
    let zones = prop_oneof![
        6 => Just(None),
        2 => Just(Some(json!(["Asia/Kolkata"]))),
        2 => Just(Some(json!(["UTC", "Pacific/Auckland"]))),
        1 => Just(Some(json!(["Mars/Phobos"]))),
    ];
    let clock = || (0..24_u8, prop_oneof![Just(0_u8), Just(20), Just(45)]);
    let clock = move || clock().prop_map(|(h, m)| format!("{h:02}:{m:02}"));
    let some = (clock(), clock())
        .prop_map(|(from, to)| if from == to { (from, "24:00".into()) } else { (from, to) });
    let hours = prop_oneof![3 => Just(None), 3 => Just(Some(("00:00".into(), "24:00".into()))), 3 => some.prop_map(Some)];
    let date = || prop_oneof![8 => Just(None), 1 => Just(Some("2026-11-23")), 1 => Just(Some("2026-11-24"))];
    let bounds = (
        prop::option::of(0..600_i32),
        prop_oneof![3 => Just(None), 1 => Just(Some(0)), 1 => Just(Some(100))],
    );
    let ends = prop_oneof![2 => Just(None), 1 => Just(Some("2026-11-23T12:30:00Z")), 1 => Just(Some("2026-11-23T16:00:00Z"))];
    let freeze = prop_oneof![5 => Just(None), 1 => (ends, any::<bool>()).prop_map(Some)];
    (0..3_i64, zones, hours, (date(), date(), date()), bounds, freeze).prop_map(
        |(generation, zones, hours, (shut, from, until), (lead, cap), freeze)| {
            let mut spec = json!({"closeLeadSeconds": lead, "maxActiveCalls": cap, "timeZones": zones});
            spec["hours"] = hours
                .map(|(from, to): (String, String)| json!([{"days": Day::WEEK, "from": from, "to": to}]))
                .into();
            spec["closedDates"] = shut.iter().map(|date| json!({"date": date, "reason": "closed"})).collect();
            (spec["effectiveFrom"], spec["effectiveUntil"]) = (json!(from), json!(until));
            spec["freeze"] = freeze
                .map(|(until, pause)| json!({"reason": "frozen", "until": until, "pauseRunning": pause}))
                .into();
            Arc::new(Policy { generation, ..Policy::clone(&policy("p", spec)) })
        },
    )
}

pub fn policies() -> impl Strategy<Value = Policies> {
    let said = || "it is said so".to_owned();
    let knowledge = prop_oneof![
        12 => Just(Knowledge::Full),
        1 => Just(Knowledge::Awaited),
        1 => Just(Knowledge::InDoubt(said())),
        1 => Just(Knowledge::Missing(said())),
    ];
    let some = (prop::collection::vec(any_policy(), 0..3), knowledge, prop::bool::weighted(0.1));
    let some = some.prop_map(|(mut matching, knowledge, required)| {
        for (n, policy) in matching.iter_mut().enumerate() {
            *policy = Arc::new(Policy { name: format!("p{n}"), ..Policy::clone(policy) });
        }
        Policies { matching, knowledge, required, ..Policies::default() }
    });
    prop_oneof![1 => Just(Policies::default()), 2 => some]
}

fn declaration() -> impl Strategy<Value = DialerCampaignStateSpec> {
    let timed =
        (prop_oneof![Just(0), 30..1200_i32], prop_oneof![Just(PauseExpiry::Resume), Just(PauseExpiry::Hold)]);
    let scheduled = prop_oneof![3 => Just(None), 1 => Just(Some("2026-11-23T20:00:00+05:30"))];
    let external = prop_oneof![Just(OnExternalPause::Respect), Just(OnExternalPause::Revert)];
    (state(), hours(), timed, scheduled, external, 10..600_i32).prop_map(
        |(state, hours, (duration, expiry), scheduled, external, interval)| {
            let mut spec = spec(state);
            spec.compliance_window = hours;
            (spec.pause_duration_seconds, spec.pause_expiry) = (duration, expiry);
            (spec.on_external_pause, spec.check_interval_seconds) = (external, interval);
            if let Some(at) = scheduled {
                spec.resume_mode = ResumeMode::Scheduled;
                spec.resume_at = serde_json::from_value(at.into()).unwrap();
            }
            spec
        },
    )
}

pub fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        Just(Trouble::Throttled(None)),
        Just(Trouble::Throttled(Some(secs(7)))),
        Just(Trouble::Unauthorized),
        Just(Trouble::CredentialsMissing),
        Just(Trouble::Forbidden),
        Just(Trouble::Conflict),
        Just(Trouble::Unavailable),
        Just(Trouble::Rejected),
        Just(Trouble::Unreadable),
        Just(Trouble::Unreachable),
        Just(Trouble::Interrupted),
    ]
}

fn spells<F: std::fmt::Debug + Clone>(
    fault: impl Strategy<Value = F>,
) -> impl Strategy<Value = Vec<Spell<F>>> {
    let spell =
        (0..4000_u64, 1..600_u64, fault).prop_map(|(from, length, fault)| (from, from + length, fault));
    prop::collection::vec(spell, 0..5)
}

fn reads() -> impl Strategy<Value = Vec<Spell<Read>>> {
    spells(prop_oneof![
        trouble().prop_map(Read::Fails),
        Just(Read::Fails(Trouble::NotFound)),
        Just(Read::Hangs),
        Just(Read::Hangs),
    ])
}

fn writes() -> impl Strategy<Value = Vec<Spell<Write>>> {
    spells(prop_oneof![
        trouble().prop_map(Write::Fails),
        Just(Write::AnswerLost),
        Just(Write::Hangs),
        Just(Write::Lies),
        (1..29_u64).prop_map(Write::Late),
    ])
}

fn site() -> impl Strategy<Value = Site> {
    prop_oneof![
        12 => Just(green()),
        1 => Just(Site { tenant: Tenant::Gone, ..green() }),
        1 => Just(Site { tenant: Tenant::WithoutCredentials, ..green() }),
        1 => Just(Site { tenant: Tenant::Refused, ..green() }),
        1 => Just(Site { tenant: Tenant::NotFound, ..green() }),
        1 => Just(Site { claim: Claim::Pending, ..green() }),
        1 => Just(Site { claim: Claim::Lost { winner: None }, ..green() }),
        1 => Just(Site { listed: false, ..green() }),
        1 => Just(Site { audit_writable: false, ..green() }),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => state().prop_map(Change::State),
        2 => hours().prop_map(Change::Hours),
        6 => policies().prop_map(Change::Policies),
        4 => prop::bool::weighted(0.4).prop_map(Change::Hold),
        1 => prop::bool::weighted(0.3).prop_map(Change::Suspend),
        5 => observed().prop_map(Change::Hand),
        1 => prop_oneof![3 => Just(0_u32), 3 => Just(150), 1 => Just(151), 1 => Just(u32::MAX)].prop_map(Change::Calls),
        1 => prop_oneof![2 => Just(None), 3 => Just(Some(0)), 3 => Just(Some(30)), 1 => Just(Some(-31)), 1 => Just(Some(4000))].prop_map(Change::Ahead),
        2 => Just(Change::Release),
        1 => Just(Change::Reconcile),
        2 => site().prop_map(Change::Site),
        1 => prop_oneof![3 => Just(Mode::Enforce), 1 => Just(Mode::Observe)].prop_map(Change::Mode),
        1 => Just(Change::Restart),
        2 => (1..9_usize).prop_map(Change::Kill),
    ]
}

/// About two hours around an edge of the usual hours.
pub fn scenario() -> impl Strategy<Value = Scenario> {
    let began = prop_oneof![
        Just("2026-11-23T12:00:00Z"),
        Just("2026-11-23T19:30:00Z"),
        Just("2026-11-24T07:40:00Z"),
        Just("2026-11-22T23:50:00Z"),
    ];
    let began = prop_oneof![2 => Just("2026-11-23T15:00:00Z"), 3 => began];
    let wait = prop_oneof![2 => 0..20_u64, 2 => 20..300_u64, 1 => 300..1800_u64];
    let changes = prop::collection::vec((wait, change()), 1..25);
    let ends = prop_oneof![9 => Just(Change::Reconcile), 1 => Just(Change::Delete)];
    let timeout = prop_oneof![Just(15_u64), Just(1), Just(60)];
    let declared = (declaration(), policies());
    (began, declared, observed(), timeout, reads(), reads(), writes(), changes, ends).prop_map(
        |(began, (spec, policies), observed, timeout, reads, stats, writes, mut changes, ends)| {
            changes.push((60, ends));
            changes.push((600, Change::Reconcile));
            Scenario { began, spec, policies, observed, timeout, reads, stats, writes, changes, watch: false }
        },
    )
}
