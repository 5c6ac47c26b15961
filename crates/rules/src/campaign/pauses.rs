//! Whose pause it is, how long it lasts, and what a new declaration makes of it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{CONTEST_WITHIN, Campaign, REVERTS, echo};
use crate::kinds::{
    CampaignStatus, DeclaredState, DialerCampaignStateSpec, ExternalPause, Observed, OnExternalPause,
    Outcome, PauseStatus, Target, stamp, stamp_up,
};
use crate::trouble::Now;

impl Campaign {
    pub(super) fn paused_by_another(&mut self, observed: Observed, now: Now, spec: &DialerCampaignStateSpec) {
        let reverts = self.status.reverts.iter().filter(|at| lately(at, now)).count();
        let contested = spec.on_external_pause == OnExternalPause::Revert && reverts >= REVERTS;
        self.status.external_pause = Some(ExternalPause { since: stamp(now.wall), observed, contested });
    }

    /// The clock of a timed pause starts when a read confirms a pause that was ours.
    pub(super) fn keep_pause_clock(&mut self, observed: Observed, now: Now, spec: &DialerCampaignStateSpec) {
        let ours = self
            .status
            .last_transition
            .as_ref()
            .is_some_and(|last| last.to.is_close() && last.outcome == Outcome::Applied)
            && self.status.external_pause.is_none()
            && !self.reopened;
        let timed = spec.state == DeclaredState::Paused && spec.pause_duration_seconds > 0;
        if timed && ours && observed.is_closed() && self.status.pause.is_none() {
            let length = SignedDuration::from_secs(i64::from(spec.pause_duration_seconds));
            self.status.pause = Some(PauseStatus {
                since: stamp(now.wall),
                until: stamp_up(now.wall.checked_add(length).unwrap_or(Timestamp::MAX)),
                duration_seconds: spec.pause_duration_seconds,
            });
        }
    }

    /// Takes in the declaration: what belonged to another one goes.
    pub fn declared(&mut self, spec: &DialerCampaignStateSpec, generation: i64, release: Option<&str>) {
        if self.status.observed_generation != generation && self.status.observed_generation >= 0 {
            self.forgive();
            self.working_since = None;
        }
        if self.status.declared.is_some_and(|state| state != spec.state) {
            self.status.external_pause = None;
            self.status.reverts.clear();
        }
        let timed = spec.state == DeclaredState::Paused;
        // An earlier process that saw this very pause and started no clock knew that it was not ours.
        let unclocked = self.seen.is_none()
            && self.status.observed_generation == generation
            && self.status.observed.is_some_and(Observed::is_closed)
            && self.status.pause.is_none();
        self.reopened |= unclocked && timed && spec.pause_duration_seconds > 0;
        if !self
            .status
            .pause
            .as_ref()
            .is_some_and(|p| timed && p.duration_seconds == spec.pause_duration_seconds)
        {
            self.status.pause = None;
        }
        let release = release.map(echo);
        if self.status.release != release {
            if release.is_some() {
                self.status.external_pause = None;
                self.status.reverts.clear();
            }
            self.status.release = release;
        }
        self.status.observed_generation = generation;
        self.status.declared = Some(spec.state);
    }
}

/// Whether it ran when it was last seen, by what an earlier process wrote down.
pub(super) fn ran_last(status: &CampaignStatus) -> bool {
    match status.observed {
        Some(Observed::Running) => true,
        Some(Observed::Unknown) => status
            .last_transition
            .as_ref()
            .is_some_and(|last| last.to == Target::Running && last.outcome == Outcome::Applied),
        _ => false,
    }
}

pub(super) fn lately(at: &Time, now: Now) -> bool {
    now.wall.duration_since(at.0) < CONTEST_WITHIN
}
