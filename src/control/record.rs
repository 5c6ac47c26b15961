//! What is told of a pass: status, events, the audit record; and the finalizer.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use rules::campaign::Note;
use rules::decide::{Claim, Decision, Tenant, Wants};
use rules::gates::{Gate, Verdict};
use rules::kinds::{
    DeletionPolicy, DialerCampaignState, FINALIZER, Mode, Observed, Outcome, PendingTransition,
    TransitionRecord, stamp,
};
use rules::reasons::{Reason, conditions};
use rules::report::{refusal, report};
use rules::trouble::Trouble;
use serde_json::json;
use tracing::{debug, info, warn};

use super::board::{Desk, Work, meta_of};
use super::context::Context;
use super::pass::Pass;
use crate::audit::{AuditEvent, AuditOutcome, AuditRecord, Ending, Phase};
use crate::clock;
use crate::kubernetes::{NewEvent, WriteError};

/// How long a write to Kubernetes may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// ... while a close is being pressed, or a start waits for it.
pub(super) const TRY_SOON: Duration = Duration::from_secs(2);
/// The longest wait between two tries of a write to Kubernetes.
const WRITE_AGAIN_WITHIN: Duration = Duration::from_secs(30);
/// A deletion waits that long for its close, then lets go.
const LET_GO_AFTER: Duration = Duration::from_secs(120);
/// Events that could not be created yet; the oldest are dropped beyond that.
const MAX_EVENTS: usize = 64;
/// How soon an object that changed meanwhile is looked at again.
const STALE_AGAIN: Duration = Duration::from_millis(50);

impl Pass<'_> {
    /// Tells status and events. Gives how long until the next pass.
    pub(super) async fn record(&mut self, decision: &Decision) -> Duration {
        if self.work.ended {
            return decision.wake_in;
        }
        self.is_acting();
        self.tell_status(decision);
        let patience = patience(decision);
        let again = self.write_status(patience).await.err();
        if again.is_none() {
            self.create_events(patience).await;
        }
        again.map_or(decision.wake_in, |again| again.min(decision.wake_in))
    }

    /// Works out the status, and notes what changed in it that people should hear of.
    fn tell_status(&mut self, decision: &Decision) {
        let (status, since) = self.with_inputs(clock::now(), |inputs| report(inputs, decision));
        let old = std::mem::replace(&mut self.work.campaign.status, status);
        self.work.campaign.working_since = since;
        let new = self.work.campaign.status.clone();
        if refusal(&new) != refusal(&old)
            && let Some((reason, message)) = refusal(&new)
            && !matches!(decision.wants, Wants::Closed(..))
        {
            self.tell_refusal(reason, message, decision);
        }
        let violation = new.condition(conditions::VIOLATION);
        if let Some(condition) = violation.filter(|_| old.condition(conditions::VIOLATION).is_none()) {
            self.push_event(true, "Violation", "Close", &condition.message, &stable(condition));
        }
        let (namespace, name) = self.names();
        self.ctx.metrics.violation(&namespace, &name, violation.is_some());
    }

    fn tell_refusal(&mut self, reason: &str, message: &str, decision: &Decision) {
        let (namespace, name) = self.names();
        info!(namespace, name, reason, detail = message, "a start is wanted and held back");
        let mut record = self.audit_record(AuditEvent::TransitionBlocked, decision);
        record.reason = Some(reason.to_owned());
        record.message = Some(message.to_owned());
        let _ = self.ctx.audit.write(&record);
        let key = format!("{}{reason}{message}{}", self.meta.generation, record.timestamp);
        let warning = !matches!(reason, "OutsideWindow" | "ScheduledResume" | "Manual");
        self.push_event(warning, reason, "Start", message, &key);
    }

    /// Writes the status where it is new. `Err` says when to try again.
    async fn write_status(&mut self, patience: Duration) -> Result<(), Duration> {
        let now = clock::now();
        let wanted = json!(self.work.campaign.status);
        if self.work.is_written(&wanted) {
            return Ok(());
        }
        if !self.work.writes.due(now) {
            return Err(self.work.writes.not_before.map_or(Duration::ZERO, |at| now.until_mono(at)));
        }
        let status = self.work.campaign.status.clone();
        self.work.sending(&wanted);
        match self.ctx.kube.write_campaign_status(&self.work.object, &status, patience).await {
            Ok(object) => {
                self.ctx.metrics.status_writes.inc();
                self.work.has_written(object);
                Ok(())
            }
            Err(error) => Err(self.write_failed(&error, "status", patience).await),
        }
    }

    /// Persists the intent of a start on the very version of the object that was decided on. Where that fails nothing is sent.
    pub(super) async fn persist_intent(&mut self) -> ControlFlow<()> {
        let decision = self.decide();
        self.tell_status(&decision);
        if self.write_status(TRY_SOON).await.is_ok() {
            return ControlFlow::Continue(());
        }
        self.work.campaign.status.pending_transition = None;
        ControlFlow::Break(())
    }

    async fn write_failed(&mut self, error: &WriteError, what: &str, patience: Duration) -> Duration {
        let (namespace, name) = self.names();
        match error {
            WriteError::Gone => Duration::from_secs(1),
            WriteError::Stale => {
                debug!(namespace, name, "the object has changed meanwhile: deciding anew");
                match self.ctx.kube.read_campaign(&self.work.object, patience).await {
                    Ok(object) => self.work.adopt(object, clock::now()),
                    Err(error) => debug!(namespace, name, %error, "the object can't be read anew"),
                }
                STALE_AGAIN
            }
            WriteError::TimedOut | WriteError::Refused(_) => {
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

    async fn create_events(&mut self, patience: Duration) {
        let about = self.work.object.object_ref(&());
        while let Some(event) = self.work.events.front().cloned() {
            if let Err(error) = self.ctx.kube.create_event(&about, &event, patience).await {
                self.ctx.metrics.kubernetes_write_failures.inc();
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                warn!(%error, cause, event = event.name, "an event can't be created; trying again with the next pass");
                return;
            }
            self.work.events.pop_front();
        }
    }

    /// Sets or takes away our finalizer as the decision needs it, and lets a deleted declaration go.
    pub(super) async fn keep_finalizer(&mut self, decision: Decision) -> Decision {
        if self.meta.deleting {
            if let Some(ending) = self.may_let_go(&decision).filter(|_| self.meta.finalizer) {
                self.let_go(ending, &decision).await;
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
            && self.site.is_some()
            && !matches!(self.ctx.claim(&self.work.object), Claim::Lost { .. });
        let campaign = &self.work.campaign;
        let closed_for_good = !matches!(decision.wants, Wants::Running(_))
            && campaign.known().is_closed()
            && campaign.status.pending_transition.is_none()
            && campaign.status.pause.is_none();
        ours && !closed_for_good && !campaign.is_missing()
    }

    pub(super) async fn set_finalizer(&mut self, present: bool, patience: Duration) -> ControlFlow<()> {
        match self.ctx.kube.set_finalizer(&self.work.object, present, patience).await {
            Ok(object) => {
                self.work.writes.reset();
                self.work.object = object;
                self.meta = meta_of(&self.work.object);
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
        if let Some(ended) = self.work.campaign.end(Outcome::Unknown, clock::now()) {
            self.note(&ended, decision);
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
        if self.set_finalizer(false, PATIENCE).await.is_continue() {
            self.work.ended = true;
            let _ = self.ctx.audit.write(&supervision_ended(self.ctx, self.work, ending));
        }
    }

    /// Puts one thing that happened on record.
    pub(super) fn note(&mut self, note: &Note, decision: &Decision) {
        match note {
            Note::Ended(record) => {
                self.ctx.metrics.transition_ended(record);
                let (namespace, name) = self.names();
                let (id, to, cause, outcome) = (record.id, record.to, record.cause, record.outcome);
                info!(namespace, name, %id, %to, %cause, %outcome, latency_ms = record.latency_ms, "a transition has ended");
                let mut line = self.audit_record(AuditEvent::StateTransition, decision);
                of_outcome(&mut line, record);
                let _ = self.ctx.audit.write(&line);
                let message = format!("{} -> {to} ({cause}): {outcome} [{id}]", record.from);
                let (warning, reason) = match outcome {
                    Outcome::Applied => (false, to.to_string()),
                    Outcome::Superseded => (false, "Superseded".to_owned()),
                    Outcome::NotApplied => (true, "NotApplied".to_owned()),
                    Outcome::Unknown => (true, "OutcomeUnknown".to_owned()),
                };
                let action = if to.is_close() { "Close" } else { "Start" };
                self.push_event(warning, &reason, action, &message, &id.to_string());
            }
            Note::PausedByAnother(observed) => {
                self.external(&format!("{observed} by someone else in CXone"), "ExternalPause", decision);
            }
            Note::StartedByAnother => {
                self.external(
                    "started by someone else in CXone: the external pause is over",
                    "ExternalStart",
                    decision,
                );
            }
        }
    }

    fn external(&mut self, message: &str, reason: &str, decision: &Decision) {
        let (namespace, name) = self.names();
        info!(namespace, name, detail = message, "somebody else changed the campaign");
        let mut record = self.audit_record(AuditEvent::ExternalChange, decision);
        record.message = Some(message.to_owned());
        let _ = self.ctx.audit.write(&record);
        self.push_event(false, reason, "Observe", message, &record.timestamp.to_string());
    }

    /// The line that announces a PUT.
    pub(super) fn audit_intent(
        &self,
        pending: &PendingTransition,
        attempt: u32,
        decision: &Decision,
    ) -> std::io::Result<()> {
        let mut record = self.audit_record(AuditEvent::StateTransition, decision);
        of_attempt(&mut record, pending, attempt);
        record.phase = Some(Phase::Intent);
        self.ctx.audit.write(&record)
    }

    /// The line of one try that did not get through.
    pub(super) fn audit_failure(
        &self,
        pending: &PendingTransition,
        attempt: u32,
        trouble: Trouble,
        decision: &Decision,
    ) {
        let mut record = self.audit_record(AuditEvent::TransitionFailed, decision);
        of_attempt(&mut record, pending, attempt);
        record.reason = Some(trouble.reason().to_string());
        let _ = self.ctx.audit.write(&record);
    }

    fn audit_record(&self, event: AuditEvent, decision: &Decision) -> AuditRecord {
        let mut record = base_record(self.ctx, &self.work.object, event, self.work.campaign.known());
        record.compliance_check = decision.gates.iter().map(|gate| (gate.rule, verdict(gate))).collect();
        record
    }

    /// Queues an event; `key` makes its name, so that telling twice is telling once.
    fn push_event(&mut self, warning: bool, reason: &str, action: &str, note: &str, key: &str) {
        if self.work.events.len() >= MAX_EVENTS {
            self.work.events.pop_front();
        }
        let name = self.work.object.name_any();
        let uid = self.work.object.uid().unwrap_or_default();
        self.work.events.push_back(NewEvent {
            name: format!("{name}.{:016x}", fingerprint(&format!("{uid}{reason}{key}"))),
            warning,
            reason: reason.to_owned(),
            action: action.to_owned(),
            note: note.to_owned(),
            at: clock::now().wall,
        });
    }

    fn names(&self) -> (String, String) {
        (self.work.object.namespace().unwrap_or_default(), self.work.object.name_any())
    }
}

/// How long a write to Kubernetes may hold up what comes next.
fn patience(decision: &Decision) -> Duration {
    if decision.must_close() { TRY_SOON } else { PATIENCE }
}

fn stable(condition: &Condition) -> String {
    format!("{}{}", condition.reason, condition.last_transition_time.0)
}

fn of_attempt(record: &mut AuditRecord, pending: &PendingTransition, attempt: u32) {
    record.status = Some(pending.to);
    record.transaction_id = Some(pending.id);
    record.cause = Some(pending.cause);
    record.generation = pending.generation;
    record.blind = pending.blind;
    record.attempts = Some(attempt);
}

fn of_outcome(line: &mut AuditRecord, record: &TransitionRecord) {
    line.status = Some(record.to);
    line.transaction_id = Some(record.id);
    line.phase = Some(Phase::Outcome);
    line.outcome = Some(AuditOutcome::Transition(record.outcome));
    line.cause = Some(record.cause);
    line.generation = record.generation;
    line.latency_ms = Some(record.latency_ms);
    line.blind = record.blind;
}

fn verdict(gate: &Gate) -> String {
    match &gate.verdict {
        Verdict::Open => "open".to_owned(),
        Verdict::Closed(obstacle) => format!("closed: {}", obstacle.reason),
        Verdict::Unknown => "unknown".to_owned(),
    }
}

fn base_record(
    ctx: &Context,
    object: &DialerCampaignState,
    event: AuditEvent,
    seen: Observed,
) -> AuditRecord {
    let namespace = object.namespace().unwrap_or_default();
    let tenant = object.spec.tenant_ref.name.clone();
    AuditRecord {
        timestamp: clock::now().wall,
        event,
        host: ctx.registry.host(&namespace, &tenant),
        namespace,
        name: object.name_any(),
        generation: object.metadata.generation.unwrap_or_default(),
        tenant,
        campaign_id: object.spec.campaign_id.clone(),
        status: None,
        resume_mode: Some(object.spec.resume_mode.to_string().to_lowercase()),
        transaction_id: None,
        phase: None,
        outcome: None,
        cause: None,
        attempts: None,
        latency_ms: None,
        blind: false,
        seen,
        reason: None,
        message: None,
        compliance_check: BTreeMap::new(),
        zone_database: rules::zones::version(),
        operator_version: env!("CARGO_PKG_VERSION"),
    }
}

fn supervision_ended(ctx: &Context, work: &Work, ending: Ending) -> AuditRecord {
    let mut record = base_record(ctx, &work.object, AuditEvent::SupervisionEnded, work.campaign.known());
    record.outcome = Some(AuditOutcome::Supervision(ending));
    record
}

/// Puts on record that a declaration is gone.
pub async fn ended(ctx: Arc<Context>, desk: Arc<Desk>) {
    let mut work = desk.work.lock().await;
    if std::mem::replace(&mut work.ended, true) {
        return;
    }
    // It was held back by no finalizer of ours: a transition may still be under way.
    if let Some(Note::Ended(record)) = work.campaign.end(Outcome::Unknown, clock::now()) {
        ctx.metrics.transition_ended(&record);
        let seen = work.campaign.known();
        let mut line = base_record(&ctx, &work.object, AuditEvent::StateTransition, seen);
        of_outcome(&mut line, &record);
        let _ = ctx.audit.write(&line);
    }
    let spec = &work.object.spec;
    // Its claim is gone with it; whether it had lost it is what was last told.
    let stalled = work.campaign.status.condition(conditions::STALLED);
    let lost = stalled.is_some_and(|c| c.reason == Reason::DuplicateClaim.as_str());
    let ending = if spec.deletion_policy == DeletionPolicy::Retain || spec.mode == Mode::Observe || lost {
        Ending::Retained
    } else if work.campaign.known_closed() || work.campaign.is_missing() {
        Ending::Paused
    } else {
        Ending::LeftRunning
    };
    let _ = ctx.audit.write(&supervision_ended(&ctx, &work, ending));
}

/// Says on an object that can't be decoded that it can't; its campaign is left alone.
pub async fn undecodable(ctx: &Context, invalid: &InvalidObject) -> Action {
    let meta = &invalid.metadata;
    let message = format!("the object can't be decoded: {}", invalid.error);
    let message: String = message.chars().take(1024).collect();
    warn!(namespace = meta.namespace, name = meta.name, detail = message, "left alone");
    if meta.deletion_timestamp.is_some() && meta.finalizers.iter().flatten().any(|name| name == FINALIZER) {
        return release_undecodable(ctx, meta).await;
    }
    let condition = |type_: &str, status: &str| {
        json!({
            "type": type_, "status": status, "reason": Reason::Undecodable.as_str(), "message": message,
            "observedGeneration": meta.generation,
            "lastTransitionTime": meta.creation_timestamp.clone().unwrap_or_else(|| stamp(clock::now().wall)),
        })
    };
    let list = json!([condition(conditions::READY, "False"), condition(conditions::STALLED, "True")]);
    match ctx.kube.write_undecodable(meta, &list, PATIENCE).await {
        Ok(()) | Err(WriteError::Gone | WriteError::Stale) => Action::await_change(),
        Err(error) => {
            warn!(%error, "the status of an undecodable object can't be written; trying again");
            Action::requeue(Duration::from_secs(30))
        }
    }
}

/// Lets an object go that is deleted and can't be decoded: nobody can tell which campaign would have to be paused.
async fn release_undecodable(ctx: &Context, meta: &ObjectMeta) -> Action {
    let name = meta.name.clone().unwrap_or_default();
    let about = ObjectReference {
        api_version: Some(DialerCampaignState::api_version(&()).into_owned()),
        kind: Some(DialerCampaignState::kind(&()).into_owned()),
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        uid: meta.uid.clone(),
        ..ObjectReference::default()
    };
    let event = NewEvent {
        name: format!("{name}.{:016x}", fingerprint(&format!("{:?}SupervisionEnded", meta.uid))),
        warning: true,
        reason: "SupervisionEnded".to_owned(),
        action: "Delete".to_owned(),
        note: "let go although the object can't be decoded: look at the campaign in CXone".to_owned(),
        at: clock::now().wall,
    };
    let _ = ctx.kube.create_event(&about, &event, TRY_SOON).await;
    match ctx.kube.release_undecodable(meta, PATIENCE).await {
        Ok(()) | Err(WriteError::Gone | WriteError::Stale) => Action::await_change(),
        Err(error) => {
            warn!(%error, name, "our finalizer can't be taken from an undecodable object; trying again");
            Action::requeue(Duration::from_secs(30))
        }
    }
}

/// A number that is the same for the same text, in every process.
fn fingerprint(text: &str) -> u64 {
    // FNV-1a: the standard library promises no stable hash.
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
