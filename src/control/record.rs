//! What is told of a pass: status, events, and notes of what happened.

use std::ops::ControlFlow;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt};
use rules::campaign::Note;
use rules::decide::Decision;
use rules::gates::{Gate, Row};
use rules::kinds::{CampaignStatus, Observed, PolicyRef, Target};
use rules::policies::Knowledge;
use rules::reasons::conditions;
use rules::report::{refusal, report};
use rules::trouble::Trouble;
use rules::wants::Wants;
use serde_json::json;
use tracing::{debug, info, warn};

use super::outcomes::stage_found;
use super::pass::Pass;
use super::work::Verdicts;
use crate::audit::AuditEvent;
use crate::clock;
use crate::kubernetes::{NewEvent, WriteError};

/// How long a write to Kubernetes may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// ... while a close is being pressed, or a start waits for it.
pub(super) const TRY_SOON: Duration = Duration::from_secs(2);
/// The longest wait between two tries of a write to Kubernetes.
const WRITE_AGAIN_WITHIN: Duration = Duration::from_secs(30);
/// How soon an object that changed meanwhile is looked at again, at first.
const STALE_AGAIN: Duration = Duration::from_millis(50);

impl Pass<'_> {
    /// Tells status and events. Gives how long until the next pass.
    pub(super) async fn record(&mut self, decision: &Decision) -> Duration {
        // What the policies come to is known in a moment: what is told before would be taken back. What happened is told at once.
        let happened = !self.work.events.is_empty() || !self.work.untold.is_empty();
        let awaited = self.work.policies.knowledge == Knowledge::Awaited;
        if self.work.ended || (awaited && !happened) {
            return decision.wake_in;
        }
        self.is_acting();
        self.tell_status(decision);
        let patience = patience(decision);
        let again = self.write_status(patience).await.err();
        self.send_couriers();
        self.tell_outcomes().await;
        if again.is_none() {
            self.retell();
            self.create_events(patience).await;
        }
        again.map_or(decision.wake_in, |again| again.min(decision.wake_in))
    }

    /// Works out the status, and notes what changed in it that people should hear of.
    pub(super) fn tell_status(&mut self, decision: &Decision) {
        let (status, since) = self.with_inputs(clock::now(), |inputs| report(inputs, decision));
        let old = std::mem::replace(&mut self.work.campaign.status, status);
        self.work.campaign.working_since = since;
        let new = self.work.campaign.status.clone();
        let verdicts = verdicts(decision);
        let before = self.work.verdicts.replace(verdicts.clone());
        let refused = refusal(&new).map(|(reason, _)| reason) != refusal(&old).map(|(reason, _)| reason)
            || before.is_some_and(|before| before != verdicts);
        if refused
            && let Some((reason, message)) = refusal(&new)
            && !matches!(decision.wants, Wants::Closed(..))
            && self.work.campaign.known() != Observed::Running
        {
            self.tell_refusal(reason, message, decision);
        }
        let violation = new.condition(conditions::VIOLATION);
        if let Some(condition) = violation.filter(|_| old.condition(conditions::VIOLATION).is_none()) {
            let (namespace, name) = self.names();
            warn!(namespace, name, reason = condition.reason, detail = condition.message, "violation");
            self.push_event(true, "Violation", "Close", &condition.message, &stable(condition));
        }
        let (namespace, name) = self.names();
        self.ctx.metrics.violation(&namespace, &name, violation.is_some());
    }

    fn tell_refusal(&mut self, reason: &str, message: &str, decision: &Decision) {
        let (namespace, name) = self.names();
        info!(namespace, name, reason, detail = message, "a start is wanted and held back");
        let mut record = self.audit_record(AuditEvent::TransitionBlocked, decision);
        record.status = Some(Target::Running);
        record.reason = Some(reason.to_owned());
        record.message = Some(message.to_owned());
        let mut closed = decision.gates.iter().filter_map(Gate::obstacle);
        record.decided_by = closed.find(|o| o.reason.as_str() == reason).and_then(|o| o.policy.clone());
        self.ctx.audit.tell(&record);
        let note = format!("{message}{}", by(record.decided_by.as_ref()));
        let key = format!("{}{reason}{message}{}", self.meta.generation, record.timestamp);
        let warning = !matches!(reason, "OutsideWindow" | "ScheduledResume" | "Manual" | "Frozen");
        self.push_event(warning, reason, "Start", &note, &key);
    }

    /// Writes the status where it is new. `Err` says when to try again.
    pub(super) async fn write_status(&mut self, patience: Duration) -> Result<(), Duration> {
        let now = clock::now();
        let status = self.work.campaign.status.clone();
        if self.work.is_written(&json!(status)) {
            return Ok(());
        }
        if !self.work.writes.due(now) {
            return Err(self.work.writes.not_before.map_or(Duration::ZERO, |at| now.until_mono(at)));
        }
        self.send_status(&status, patience).await
    }

    async fn send_status(&mut self, status: &CampaignStatus, patience: Duration) -> Result<(), Duration> {
        self.tell_losses();
        let deed = self.work.sending(&json!(status));
        let writing = self.ctx.kube.write_campaign_status(&self.work.object, status, deed, patience);
        match writing.await {
            Ok(object) => {
                self.ctx.metrics.status_writes.inc();
                self.work.has_written(object);
                Ok(())
            }
            Err(error) => {
                if matches!(error, WriteError::Stale) {
                    self.work.was_refused();
                }
                Err(self.write_failed(&error, "status", patience).await)
            }
        }
    }

    /// Persists the intent of a start on the very version of the object that was decided on. Where that fails nothing is sent,
    /// and the start is none: should the intent have been written all the same, it ends as never applied.
    pub(super) async fn persist_intent(&mut self) -> ControlFlow<()> {
        let decision = self.decide();
        self.tell_status(&decision);
        let with_intent = self.work.campaign.status.clone();
        let intent = self.work.campaign.status.pending_transition.take();
        if self.send_status(&with_intent, TRY_SOON).await.is_err() {
            return ControlFlow::Break(());
        }
        self.work.campaign.status.pending_transition = intent;
        ControlFlow::Continue(())
    }

    pub(super) async fn write_failed(
        &mut self,
        error: &WriteError,
        what: &str,
        patience: Duration,
    ) -> Duration {
        let (namespace, name) = self.names();
        match error {
            WriteError::Gone => Duration::from_secs(1),
            WriteError::Stale => {
                debug!(namespace, name, "the object has changed meanwhile: deciding anew");
                match self.ctx.kube.read_campaign(&self.work.object, patience).await {
                    // Its name belongs to another object by now.
                    Ok(object) if object.uid() != self.work.object.uid() => return Duration::from_secs(1),
                    Ok(object) => {
                        let ended = self.work.adopt(object, clock::now());
                        stage_found(self.ctx, self.work, ended);
                    }
                    Err(error) => debug!(namespace, name, %error, "the object can't be read anew"),
                }
                stale_again(&mut self.work.overtaken)
            }
            WriteError::TimedOut | WriteError::Exists | WriteError::Refused(_) => {
                let error_text = match error {
                    WriteError::Refused(cause) => format!("{error}: {cause}"),
                    other => other.to_string(),
                };
                warn!(namespace, name, error = error_text, "the {what} can't be written; trying again");
                self.ctx.metrics.kubernetes_write_failures.inc();
                let now = clock::now();
                let writes = &mut self.work.writes;
                writes.failed(Trouble::Unavailable, now.mono, now, clock::jitter());
                writes.not_before = writes.not_before.min(Some(now.mono + WRITE_AGAIN_WITHIN));
                // A start needs its intent written: until that can be tried, nothing is read for it.
                let starts = &mut self.work.campaign.starts;
                starts.not_before = starts.not_before.max(writes.not_before);
                writes.not_before.map_or(PATIENCE, |at| now.until_mono(at))
            }
        }
    }

    /// Creates the Events that are queued, for at most that long in all; the rest follows with the next pass.
    pub(super) async fn create_events(&mut self, patience: Duration) {
        let about = self.work.object.object_ref(&());
        let end = tokio::time::Instant::now() + patience;
        while let Some(event) = self.work.events.front().cloned() {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            if left.is_zero() {
                return;
            }
            if let Err(error) = self.ctx.kube.create_event(&about, &event, left).await {
                self.ctx.metrics.kubernetes_write_failures.inc();
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                warn!(%error, cause, event = event.name, "an event can't be created; trying again with the next pass");
                return;
            }
            self.work.events.pop_front();
        }
    }

    /// Puts one thing that happened on record.
    pub(super) fn note(&mut self, note: &Note, decision: &Decision) {
        match note {
            Note::Ended(record) => self.stage_outcome(record, decision),
            Note::PausedByAnother(observed) => {
                let word = observed.to_string().to_lowercase();
                let message = format!("{word} by someone else in CXone");
                self.external(false, &message, "ExternalPause", decision);
            }
            Note::StartedByAnother { allowed: true } => {
                let message = "started by someone else in CXone: the external pause is over";
                self.external(false, message, "ExternalStart", decision);
            }
            Note::StartedByAnother { allowed: false } => {
                let message = "started by someone else in CXone although it may not run";
                self.external(true, message, "ExternalStart", decision);
            }
        }
    }

    fn external(&mut self, warning: bool, message: &str, reason: &str, decision: &Decision) {
        let (namespace, name) = self.names();
        info!(namespace, name, detail = message, "somebody else changed the campaign");
        let mut record = self.audit_record(AuditEvent::ExternalChange, decision);
        record.message = Some(message.to_owned());
        self.ctx.audit.tell(&record);
        self.push_event(warning, reason, "Observe", message, &record.timestamp.to_string());
    }

    /// Queues an event; `key` makes its name, so that telling twice is telling once.
    pub(super) fn push_event(&mut self, warning: bool, reason: &str, action: &str, note: &str, key: &str) {
        let name = self.work.object.name_any();
        let uid = self.work.object.uid().unwrap_or_default();
        self.work.queue_event(NewEvent {
            name: format!("{name}.{:016x}", fingerprint(&format!("{uid}{reason}{key}"))),
            warning,
            reason: reason.to_owned(),
            action: action.to_owned(),
            note: note.to_owned(),
            at: clock::now().wall,
        });
    }

    pub(super) fn names(&self) -> (String, String) {
        (self.work.object.namespace().unwrap_or_default(), self.work.object.name_any())
    }
}

/// How soon an object that has changed so often in a row is looked at again: a writer that never rests, or a server that always
/// says so, is not asked twenty times a second for ever.
fn stale_again(overtaken: &mut u32) -> Duration {
    let wait = STALE_AGAIN * 2_u32.pow((*overtaken).min(9));
    *overtaken = overtaken.saturating_add(1);
    wait
}

/// The policy that decided, as an Event names it.
pub(super) fn by(policy: Option<&PolicyRef>) -> String {
    policy.map(|policy| format!(" by {policy}")).unwrap_or_default()
}

/// Every rule that says no, and why: a refusal is put on record once for each change of these. Facts that come and go with each
/// read are told where they are what keeps it from starting, and not beside another reason.
fn verdicts(decision: &Decision) -> Verdicts {
    let rules = decision.gates.iter().filter(|gate| gate.row != Row::Facts);
    let closed = rules.filter_map(|gate| gate.obstacle().map(|obstacle| (gate.rule, obstacle)));
    closed.map(|(rule, o)| (rule, o.reason, o.policy.as_ref().map(|policy| policy.name.clone()))).collect()
}

/// How long a write to Kubernetes may hold up what comes next.
pub(super) fn patience(decision: &Decision) -> Duration {
    if decision.must_close() { TRY_SOON } else { PATIENCE }
}

fn stable(condition: &Condition) -> String {
    format!("{}{}", condition.reason, condition.last_transition_time.0)
}

/// A number that is the same for the same text, in every process.
pub(super) fn fingerprint(text: &str) -> u64 {
    // FNV-1a: the standard library promises no stable hash.
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_always_changes_meanwhile_is_looked_at_less_and_less_often() {
        let mut overtaken = 0;
        let waits: Vec<_> = (0..12).map(|_| stale_again(&mut overtaken)).collect();
        assert_eq!(waits[..3], [50, 100, 200].map(Duration::from_millis));
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(waits[11], Duration::from_millis(25_600));
    }
}
