//! Our finalizer, and the end of the supervision of a declaration that is deleted.

use std::ops::ControlFlow;
use std::time::Duration;

use rules::campaign::Note;
use rules::decide::Decision;
use rules::inputs::{Claim, Meta, Tenant};
use rules::kinds::{DeletionPolicy, Mode, Observed, Outcome};
use rules::wants::Wants;

use super::audit_lines::supervision_ended;
use super::outcomes;
use super::pass::Pass;
use super::record::{PATIENCE, TRY_SOON, patience};
use crate::audit::Ending;
use crate::clock;

/// A deletion waits that long for its close, then lets go.
const LET_GO_AFTER: Duration = Duration::from_secs(120);

impl Pass<'_> {
    /// Sets or takes away our finalizer as the decision needs it, and lets a deleted declaration go.
    pub(super) async fn keep_finalizer(&mut self, mut decision: Decision) -> Decision {
        if self.meta.deleting {
            if let Some(ending) = self.may_let_go(&decision).filter(|_| self.meta.finalizer) {
                match self.last_words() {
                    Some(left) => decision.wake_in = decision.wake_in.min(left),
                    None => self.let_go(ending, &decision).await,
                }
            }
            return decision;
        }
        let needed = self.needs_finalizer(&decision);
        let due = self.work.writes.due(clock::now());
        if needed != self.meta.finalizer
            && due
            && self.set_finalizer(needed, patience(&decision)).await.is_continue()
        {
            return self.decide();
        }
        decision
    }

    /// Whether deleting the declaration must first pause a campaign that runs or may run.
    fn needs_finalizer(&self, decision: &Decision) -> bool {
        let spec = &self.work.object.spec;
        let ours = spec.deletion_policy == DeletionPolicy::Pause
            && spec.mode == Mode::Enforce
            && !matches!(self.ctx.claim(&self.work.object), Claim::Lost { .. });
        if self.site.is_none() {
            // Nothing can be told of the campaign now: it stays as it is.
            return self.meta.finalizer;
        }
        let campaign = &self.work.campaign;
        if !campaign.status.notifications.is_empty() {
            // Whoever deletes it while no operator runs: what could not be delivered is told by the next one.
            return true;
        }
        // Until this process has read, what the one before it read will do.
        let closed = match campaign.seen {
            Some(_) => campaign.known_closed(),
            None => campaign.status.observed.is_some_and(Observed::is_closed),
        };
        let closed_for_good = !matches!(decision.wants, Wants::Running(_))
            && closed
            && campaign.status.pending_transition.is_none()
            && campaign.status.pause.is_none();
        ours && !closed_for_good && !campaign.is_missing()
    }

    pub(super) async fn set_finalizer(&mut self, present: bool, patience: Duration) -> ControlFlow<()> {
        match self.ctx.kube.set_finalizer(&self.work.object, present, patience).await {
            Ok(object) => {
                self.work.writes.reset();
                self.work.object = object;
                self.meta = Meta::of(&self.work.object);
                ControlFlow::Continue(())
            }
            Err(error) => {
                self.write_failed(&error, "finalizer", patience).await;
                ControlFlow::Break(())
            }
        }
    }

    fn may_let_go(&self, decision: &Decision) -> Option<Ending> {
        let campaign = &self.work.campaign;
        let spec = &self.work.object.spec;
        let untouched = spec.deletion_policy == DeletionPolicy::Retain
            || spec.mode == Mode::Observe
            || matches!(self.ctx.claim(&self.work.object), Claim::Lost { .. });
        let now = clock::now();
        let late =
            campaign.deleting_since.is_some_and(|since| now.mono.saturating_sub(since) >= LET_GO_AFTER);
        let unreachable = self.site.is_none() && self.tenant != Tenant::NotFound;
        let settled = decision.satisfied && campaign.status.pending_transition.is_none();
        if untouched {
            Some(Ending::Retained)
        } else if settled || campaign.is_missing() {
            Some(Ending::Paused)
        } else {
            (late || unreachable).then_some(Ending::LeftRunning)
        }
    }

    async fn let_go(&mut self, ending: Ending, decision: &Decision) {
        self.is_acting();
        if let Some(ended) = self.work.campaign.end(Outcome::Unknown, clock::now()) {
            self.note(&Note::Ended(ended), decision);
        }
        let unheard = self.lose_what_waits();
        if unheard || !self.work.untold.is_empty() {
            self.tell_status(decision);
            // The object is about to go: where its last status can't be written what happened is told all the same.
            let _ = self.write_status(TRY_SOON).await;
            outcomes::tell_all(self.ctx, self.work).await;
        }
        let warning = ending == Ending::LeftRunning;
        let message = match ending {
            Ending::LeftRunning => {
                "let go although no pause could be confirmed: look at the campaign in CXone"
            }
            Ending::Paused => "let go: the campaign does not dial",
            Ending::Retained => "let go: the campaign is left as it is",
        };
        self.push_event(warning, "SupervisionEnded", "Delete", message, "ended");
        self.create_events(TRY_SOON).await;
        // Before it is gone: nobody would know of it afterwards.
        if self.work.ending.replace(ending) != Some(ending) {
            self.ctx.audit.tell(&supervision_ended(self.ctx, self.work, ending));
        }
        if self.set_finalizer(false, PATIENCE).await.is_continue() {
            self.work.ended = true;
        }
    }
}
