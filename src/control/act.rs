//! The two writes to CXone: a close, which waits for nothing, and a start, which proves everything first.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use cxone::{CampaignStatus as Wire, Dialer, Lane, Transition};
use rules::campaign::{Note, transition};
use rules::decide::{Decision, Step};
use rules::kinds::{Cause, DeletionPolicy, Outcome, PendingTransition, ResumeMode, Target};
use rules::trouble::Trouble;
use uuid::Uuid;

use super::pass::Pass;
use super::record::TRY_SOON;
use super::tenants::TenantClient;
use crate::clock;
use crate::crash::{self, Deed};

/// Less than [`rules::campaign::CLOSE_EVERY`], which two tries of a close are at most apart, with time to read in between.
const CLOSE_PATIENCE: Duration = Duration::from_secs(6);
/// A close waits that long for its audit line to be written, and then goes out.
const CLOSE_ANNOUNCED_WITHIN: Duration = Duration::from_millis(250);
/// A start waits that long for its audit line to be written, and then is not sent.
const START_ANNOUNCED_WITHIN: Duration = Duration::from_secs(2);

impl Pass<'_> {
    /// Sends a close. Its audit line is its intent; the Kubernetes API is not asked.
    pub(super) async fn close(&mut self, to: Target, cause: Cause, blind: bool, decision: &Decision) {
        let Some(site) = self.site.clone() else { return };
        self.is_acting();
        let desk = self.desk;
        let _shield = desk.shield.lock().await;
        let pending = self.open(to, cause, blind, decision);
        let attempt = self.work.campaign.press.map_or(1, |press| press.tries + 1);
        // Where the audit log can't be written, or not soon, the line stands on standard error: a close goes on.
        let announced = self.audit_intent(&pending, attempt, decision, CLOSE_ANNOUNCED_WITHIN);
        let _ = crash::around(Deed::IntentAppend, announced).await;
        self.work.campaign.sending(clock::now());
        let answer = send_close(site, self.campaign_id().to_owned(), self.on_the_wire(&pending)).await;
        let failed = answer.err().map(|error| self.told("a close did not get through", &error, None));
        self.work.campaign.close_sent(failed, clock::now(), clock::jitter());
        if let Some(trouble) = failed {
            self.audit_failure(&pending, attempt, trouble, decision);
        }
    }

    /// Sends a start: finalizer and intent first, then the audit line, then one more look at the edge.
    pub(super) async fn start(&mut self, cause: Cause, decision: &Decision) -> ControlFlow<()> {
        let Some(site) = self.site.clone() else { return ControlFlow::Break(()) };
        if self.work.object.spec.deletion_policy == DeletionPolicy::Pause && !self.meta.finalizer {
            self.set_finalizer(true, TRY_SOON).await?;
        }
        self.is_acting();
        let pending = self.open(Target::Running, cause, false, decision);
        self.persist_intent().await?;
        let announced = self.audit_intent(&pending, 1, decision, START_ANNOUNCED_WITHIN);
        let announced = crash::around(Deed::IntentAppend, announced).await;
        if announced.is_err() {
            // Whatever holds up the record is not asked again at once.
            let now = clock::now();
            self.work.campaign.starts.failed(Trouble::Unavailable, now.mono, now, clock::jitter());
        }
        if announced.is_err() || !self.may_still_start() {
            let ended = self.work.campaign.end(Outcome::NotApplied, clock::now());
            self.put_on_record(ended.map(Note::Ended), decision);
            return ControlFlow::Continue(());
        }
        // From here on it may have been sent, whatever cuts this pass short.
        self.work.campaign.sending(clock::now());
        self.work.campaign.start_sent(clock::now(), site.timeout);
        let wire = self.on_the_wire(&pending);
        let request = site.client.request(self.campaign_id(), &wire, Lane::Open);
        let answer = crash::around(Deed::Put, request).await;
        if let Err(error) = answer {
            let trouble = self.told("a start did not get through", &error, self.work.campaign.starts.last);
            self.audit_failure(&pending, 1, trouble, decision);
            if !error.may_have_been_applied() {
                self.start_refused(trouble, decision);
            }
        }
        ControlFlow::Continue(())
    }

    fn start_refused(&mut self, trouble: Trouble, decision: &Decision) {
        let ended = self.work.campaign.start_refused(trouble, clock::now(), clock::jitter());
        self.put_on_record(ended.map(Note::Ended), decision);
    }

    fn open(&mut self, to: Target, cause: Cause, blind: bool, decision: &Decision) -> PendingTransition {
        let now = clock::now();
        let from = self.work.campaign.known();
        let new = PendingTransition {
            policies: self.work.policies.references(),
            decided_by: decision.decided_by().filter(|_| to.is_close()).cloned(),
            ..transition(Uuid::new_v4(), from, to, cause, self.meta.generation, blind, now)
        };
        let (pending, superseded) = self.work.campaign.open(new, now);
        self.put_on_record(superseded.map(Note::Ended), decision);
        pending
    }

    /// Asks the gates once more, right before the PUT: time has passed since they were asked.
    fn may_still_start(&mut self) -> bool {
        let pending = self.work.campaign.status.pending_transition.take();
        let decision = self.with_inputs(clock::now(), rules::decide::decide);
        self.work.campaign.status.pending_transition = pending;
        matches!(decision.step, Step::Start { .. })
    }

    fn on_the_wire(&self, pending: &PendingTransition) -> Transition {
        let spec = &self.work.object.spec;
        Transition {
            id: pending.id,
            to: match pending.to {
                Target::Running => Wire::Running,
                Target::Paused => Wire::Paused,
                Target::Stopped => Wire::Stopped,
            },
            resume_mode: match spec.resume_mode {
                ResumeMode::Immediate => cxone::ResumeMode::Immediate,
                ResumeMode::Gradual => cxone::ResumeMode::Gradual,
                ResumeMode::Scheduled => cxone::ResumeMode::Scheduled,
            },
            notify_agent_pool: spec.notify_agent_pool,
            requested_at: pending.requested_at.0,
        }
    }
}

/// Sends a close and waits for its answer, but no longer than the next try may wait: a try that hangs goes on beside it, since
/// hanging up might call it back on its way.
async fn send_close(
    site: Arc<TenantClient>,
    campaign: String,
    transition: Transition,
) -> Result<(), cxone::Trouble> {
    let sent = tokio::spawn(async move {
        crash::around(Deed::Put, site.client.request(&campaign, &transition, Lane::Close)).await
    });
    match tokio::time::timeout(CLOSE_PATIENCE, sent).await {
        Ok(Ok(answer)) => answer.map(|_| ()),
        Ok(Err(_)) | Err(_) => {
            Err(cxone::Trouble::Interrupted("no answer yet; the next try goes out beside it"))
        }
    }
}
