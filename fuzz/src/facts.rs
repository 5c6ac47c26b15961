//! Facts for a decision, made from bytes: a campaign that may start at once, and what is otherwise.

mod bits;

use std::sync::Arc;
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use rules::campaign::{Campaign, Pass, Press, Seen, Sent, transition};
use rules::inputs::{Claim, Inputs, Meta, Site, Tenant, Window};
use rules::kinds::{
    Cause, DeclaredState, DeletionPolicy, DialerCampaignStateSpec, ExternalPause, Mode, Observed,
    OnExternalPause, PauseExpiry, PauseStatus, ResumeMode, Target,
};
use rules::policies::{Knowledge, Policies, Policy};
use rules::trouble::Now;
use serde_json::json;
use uuid::Uuid;

use bits::{Ago, Failures, Hours, Pick, PolicyBits, RUNS_SINCE, after, at, made, mono, observed, past};

/// Everything that a decision is made of, but for the window that follows from it.
#[derive(Clone, Debug)]
pub struct Facts {
    pub spec: DialerCampaignStateSpec,
    pub meta: Meta,
    pub site: Site,
    pub policies: Policies,
    pub campaign: Campaign,
    pub now: Now,
}

#[derive(Arbitrary)]
enum Otherwise {
    At { second: u32 },
    State(Pick<3>),
    Suspend(bool),
    Observe(bool),
    ResumeAt { in_seconds: i16, scheduled: bool },
    Expiry { holds: bool },
    Reverts(bool),
    MaxActiveCalls(u16),
    CheckInterval(u16),
    Retain(bool),
    Hours(Option<Hours>),
    Hold(Option<String>),
    Reconcile(Option<String>),
    Deleting { deleting: bool, finalizer: bool },
    Policy(PolicyBits),
    Policies { knowledge: Pick<4>, required: bool, unheard: bool },
    Tenant(Pick<6>),
    Claim(Pick<4>),
    Listed(bool),
    AuditWritable(bool),
    Timeout(u8),
    SiteHold(Ago),
    StateRead(Option<Pick<3>>),
    Calls(Option<u32>),
    Pressed(bool),
    Skew(Option<i16>),
    Seen(Option<(Pick<3>, u16)>),
    StartUnseen(bool),
    LastLook(Option<u16>),
    Reads(Failures),
    Counts(Failures),
    Starts(Failures),
    Press(Option<(u16, u8, Ago)>),
    Sent(Option<(u16, u8, bool)>),
    Slot(Option<Ago>),
    Thaw(Option<Ago>),
    Pending(Option<Pick<3>>),
    ExternalPause(Option<bool>),
    Pause(Option<Ago>),
    DemandedSince(Option<u16>),
    StartDoubt(Option<Ago>),
    ViolatingSince(Option<u16>),
}

impl Facts {
    /// A Monday noon within the hours, everything known, and the campaign paused.
    fn green() -> Self {
        let hours = json!([{"days": ["Mon", "Tue", "Wed", "Thu", "Fri"], "from": "08:00", "to": "20:00"}]);
        let window = json!({"timeZones": ["UTC"], "hours": hours});
        let now = Now { wall: at(12 * 3600), mono: RUNS_SINCE };
        let campaign = Campaign {
            seen: Some(Seen { observed: Observed::Paused, at: now }),
            pass: Pass { state: Some(Observed::Paused), active_calls: Some(0), pressed: false },
            ..Campaign::default()
        };
        Self {
            spec: made(json!({"campaignId": "c-1", "state": "Running", "complianceWindow": window})),
            meta: Meta::default(),
            site: Site {
                tenant: Tenant::Usable,
                claim: Claim::Held,
                listed: true,
                audit_writable: true,
                timeout: Duration::from_secs(15),
                hold: None,
            },
            policies: Policies::default(),
            campaign,
            now,
        }
    }

    /// These bytes say what is otherwise than in [`Self::green`]; no bytes are that.
    pub fn of(bytes: &[u8]) -> Self {
        let mut facts = Self::green();
        let mut bytes = Unstructured::new(bytes);
        while !bytes.is_empty() {
            let Ok(otherwise) = bytes.arbitrary() else { break };
            facts.become_so(otherwise);
        }
        facts
    }

    /// What the calendar says of these hours and policies now.
    pub fn window(&self) -> Window {
        Window::at(self.spec.compliance_window.as_ref(), &self.policies, self.now.wall)
    }

    /// What is decided on.
    pub fn inputs<'a>(&'a self, window: &'a Window) -> Inputs<'a> {
        let Self { spec, meta, site, policies, campaign, now } = self;
        Inputs { spec, meta, site, policies, window, campaign, now: *now }
    }

    fn become_so(&mut self, otherwise: Otherwise) {
        let (spec, site, policies, campaign) =
            (&mut self.spec, &mut self.site, &mut self.policies, &mut self.campaign);
        let wall = self.now.wall;
        let status = &mut campaign.status;
        match otherwise {
            Otherwise::At { second } => self.now.wall = at(i64::from(second % (60 * 24 * 3600))),
            Otherwise::State(state) => {
                spec.state =
                    state.of([DeclaredState::Running, DeclaredState::Paused, DeclaredState::Stopped]);
            }
            Otherwise::Suspend(suspend) => spec.suspend = suspend,
            Otherwise::Observe(observe) => spec.mode = if observe { Mode::Observe } else { Mode::Enforce },
            Otherwise::ResumeAt { in_seconds, scheduled } => {
                spec.resume_at = Some(made(json!(after(wall, in_seconds))));
                spec.resume_mode = if scheduled { ResumeMode::Scheduled } else { ResumeMode::Gradual };
            }
            Otherwise::Expiry { holds } => {
                spec.pause_expiry = if holds { PauseExpiry::Hold } else { PauseExpiry::Resume };
            }
            Otherwise::Reverts(reverts) => {
                spec.on_external_pause =
                    if reverts { OnExternalPause::Revert } else { OnExternalPause::Respect };
            }
            Otherwise::MaxActiveCalls(calls) => spec.max_active_calls = calls.into(),
            Otherwise::CheckInterval(seconds) => spec.check_interval_seconds = 10 + i32::from(seconds % 591),
            Otherwise::Retain(retain) => {
                spec.deletion_policy = if retain { DeletionPolicy::Retain } else { DeletionPolicy::Pause };
            }
            Otherwise::Hours(hours) => spec.compliance_window = hours.map(|hours| made(hours.window())),
            Otherwise::Hold(hold) => self.meta.hold = hold,
            Otherwise::Reconcile(reconcile) => self.meta.reconcile = reconcile,
            Otherwise::Deleting { deleting, finalizer } => {
                (self.meta.deleting, self.meta.finalizer) = (deleting, finalizer);
            }
            Otherwise::Policy(bits) => {
                let name = format!("p{}", policies.matching.len());
                let spec = made(bits.spec(wall));
                policies.matching.push(Arc::new(Policy { name, generation: 1, spec }));
            }
            Otherwise::Policies { knowledge, required, unheard } => {
                let why = || "it is said so".to_owned();
                policies.knowledge = knowledge.of([
                    Knowledge::Full,
                    Knowledge::Awaited,
                    Knowledge::InDoubt(why()),
                    Knowledge::Missing(why()),
                ]);
                (policies.required, policies.unheard) = (required, unheard);
            }
            Otherwise::Tenant(tenant) => {
                site.tenant = tenant.of([
                    Tenant::Usable,
                    Tenant::WithoutCredentials,
                    Tenant::Refused,
                    Tenant::Gone,
                    Tenant::NotFound,
                    Tenant::NotAllowed,
                ]);
            }
            Otherwise::Claim(claim) => {
                let lost = |winner| Claim::Lost { winner };
                site.claim = claim.of([Claim::Held, Claim::Pending, lost(None), lost(Some("other".into()))]);
            }
            Otherwise::Listed(listed) => site.listed = listed,
            Otherwise::AuditWritable(writable) => site.audit_writable = writable,
            Otherwise::Timeout(seconds) => site.timeout = Duration::from_secs(seconds.into()),
            Otherwise::SiteHold(ago) => site.hold = Some(mono(ago)),
            Otherwise::StateRead(state) => campaign.pass.state = state.map(|state| observed(&state)),
            Otherwise::Calls(calls) => campaign.pass.active_calls = calls,
            Otherwise::Pressed(pressed) => campaign.pass.pressed = pressed,
            Otherwise::Skew(skew) => campaign.skew = skew.map(|skew| SignedDuration::from_secs(skew.into())),
            Otherwise::Seen(seen) => {
                campaign.seen =
                    seen.map(|(state, ago)| Seen { observed: observed(&state), at: past(wall, ago) });
            }
            Otherwise::StartUnseen(unseen) => campaign.start_unseen = unseen,
            Otherwise::LastLook(ago) => campaign.last_look = ago.map(|ago| past(wall, ago)),
            Otherwise::Reads(failures) => campaign.reads = failures.series(),
            Otherwise::Counts(failures) => campaign.counts = failures.series(),
            Otherwise::Starts(failures) => campaign.starts = failures.series(),
            Otherwise::Press(press) => {
                campaign.press = press.map(|(since, tries, next)| Press {
                    since: past(wall, since).mono,
                    tries: tries.into(),
                    next: mono(next),
                    trouble: None,
                    conflicts: 0,
                });
            }
            Otherwise::Sent(sent) => {
                campaign.sent = sent.map(|(ago, looks, refused)| Sent {
                    at: past(wall, ago).mono,
                    looks: looks.into(),
                    refused,
                    revert: false,
                });
            }
            Otherwise::Slot(ago) => campaign.slot = ago.map(mono),
            Otherwise::Thaw(ago) => campaign.thaw = ago.map(mono),
            Otherwise::Pending(to) => {
                let to = to.map(|to| to.of([Target::Running, Target::Paused, Target::Stopped]));
                let pending =
                    |to| transition(Uuid::nil(), Observed::Paused, to, Cause::Declared, 1, false, self.now);
                status.pending_transition = to.map(pending);
            }
            Otherwise::ExternalPause(pause) => {
                status.external_pause = pause.map(|contested| ExternalPause {
                    since: Time(wall),
                    observed: Observed::Paused,
                    contested,
                });
            }
            Otherwise::Pause(ago) => {
                status.pause = ago.map(|ago| PauseStatus {
                    since: Time(at(0)),
                    until: Time(after(wall, ago.saturating_neg())),
                    duration_seconds: 600,
                });
            }
            Otherwise::DemandedSince(ago) => campaign.demanded_since = ago.map(|ago| past(wall, ago).mono),
            Otherwise::StartDoubt(ago) => campaign.start_doubt_until = ago.map(mono),
            Otherwise::ViolatingSince(ago) => campaign.violating_since = ago.map(|ago| past(wall, ago).mono),
        }
    }
}
