//! The audit lines that a pass writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::{Resource, ResourceExt};
use rules::decide::Decision;
use rules::gates::{Gate, Obstacle, Row, Verdict};
use rules::kinds::{DeletionPolicy, Mode, Outcome, PendingTransition, TransitionRecord};
use rules::reasons::{Reason, conditions};
use rules::trouble::Trouble;
use tracing::warn;

use super::board::Desk;
use super::context::Context;
use super::notifications::lose_what_waits;
use super::outcomes;
use super::pass::Pass;
use super::record::TRY_SOON;
use super::work::Work;
use crate::audit::{AuditEvent, AuditOutcome, AuditRecord, Ending, Phase, origin};
use crate::clock;

impl Pass<'_> {
    /// The line that announces a PUT. Waits at most `patience` until it is written.
    pub(super) async fn audit_intent(
        &self,
        pending: &PendingTransition,
        attempt: u32,
        decision: &Decision,
        patience: Duration,
    ) -> std::io::Result<()> {
        let mut record = self.audit_record(AuditEvent::StateTransition, decision);
        of_attempt(&mut record, pending, attempt);
        record.phase = Some(Phase::Intent);
        // The hold's or the freeze's own words, or the rule.
        let closing = decision.gates.iter().filter(|gate| gate.row == Row::Run && pending.to.is_close());
        let cause = closing.filter(|gate| gate.cause() == pending.cause).find_map(Gate::obstacle);
        record.message = cause.map(|obstacle| obstacle.detail.clone());
        self.ctx.audit.announce(&record, patience).await
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
        self.ctx.audit.tell(&record);
    }

    pub(super) fn audit_record(&self, event: AuditEvent, decision: &Decision) -> AuditRecord {
        let mut record = base_record(self.ctx, self.work, event);
        record.compliance_check = decision.gates.iter().map(|gate| (gate.rule, verdict(gate))).collect();
        record
    }
}

fn of_attempt(record: &mut AuditRecord, pending: &PendingTransition, attempt: u32) {
    record.status = Some(pending.to);
    record.from = Some(pending.from);
    record.requested_at = Some(pending.requested_at.0);
    record.transaction_id = Some(pending.id);
    record.cause = Some(pending.cause);
    record.generation = pending.generation;
    record.blind = pending.blind;
    record.policies = pending.policies.clone();
    record.decided_by = pending.decided_by.clone();
    record.attempts = Some(attempt);
}

pub(super) fn of_outcome(line: &mut AuditRecord, record: &TransitionRecord) {
    line.status = Some(record.to);
    line.from = Some(record.from);
    line.requested_at = Some(record.requested_at.0);
    line.transaction_id = Some(record.id);
    line.phase = Some(Phase::Outcome);
    line.outcome = Some(AuditOutcome::Transition(record.outcome));
    line.cause = Some(record.cause);
    line.generation = record.generation;
    line.latency_ms = Some(record.latency_ms);
    line.blind = record.blind;
    line.decided_by = record.decided_by.clone();
}

fn verdict(gate: &Gate) -> String {
    match &gate.verdict {
        Verdict::Open => "open".to_owned(),
        Verdict::Closed(Obstacle { reason, policy: Some(policy), .. }) => {
            format!("closed: {reason} ({policy})")
        }
        Verdict::Closed(Obstacle { reason, policy: None, .. }) => format!("closed: {reason}"),
        Verdict::Unknown => "unknown".to_owned(),
    }
}

pub(super) fn base_record(ctx: &Context, work: &Work, event: AuditEvent) -> AuditRecord {
    let object = &work.object;
    let namespace = object.namespace().unwrap_or_default();
    let tenant = object.spec.tenant_ref.name.clone();
    AuditRecord {
        timestamp: clock::now().wall,
        event,
        host: ctx.registry.host(&namespace, &tenant),
        namespace,
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
        origin: origin(&object.metadata),
        generation: object.metadata.generation.unwrap_or_default(),
        tenant,
        campaign_id: object.spec.campaign_id.clone(),
        status: None,
        from: None,
        requested_at: None,
        resume_mode: Some(object.spec.resume_mode.to_string().to_lowercase()),
        transaction_id: None,
        phase: None,
        outcome: None,
        cause: None,
        attempts: None,
        latency_ms: None,
        blind: false,
        recovered: false,
        seen: work.campaign.known(),
        reason: None,
        message: None,
        sink: None,
        webhook_id: None,
        is_final: None,
        compliance_check: BTreeMap::new(),
        policies: work.policies.references(),
        decided_by: None,
        zone_database: rules::zones::version(),
        operator_version: env!("CARGO_PKG_VERSION"),
    }
}

pub(super) fn supervision_ended(ctx: &Context, work: &Work, ending: Ending) -> AuditRecord {
    let mut record = base_record(ctx, work, AuditEvent::SupervisionEnded);
    record.outcome = Some(AuditOutcome::Supervision(ending));
    record
}

/// Creates the Events of an object that is gone, as far as that can be had at once.
async fn create_events(ctx: &Context, work: &mut Work) {
    let about = work.object.object_ref(&());
    for event in work.events.drain(..) {
        if let Err(error) = ctx.kube.create_event(&about, &event, TRY_SOON).await {
            warn!(%error, event = event.name, "an event about what is gone can't be created; it stands on the audit record");
        }
    }
}

/// Puts on record that a declaration is gone.
pub async fn ended(ctx: Arc<Context>, desk: Arc<Desk>) {
    let mut work = desk.work.lock().await;
    if std::mem::replace(&mut work.ended, true) || work.ending.is_some() {
        // It was let go by our finalizer, which has told all.
        return;
    }
    let uid = work.object.uid().unwrap_or_default();
    ctx.audit.abandon(|open| open == uid, clock::now().wall);
    // It was held back by no finalizer of ours: a transition may still be under way.
    let unknown = work.campaign.end(Outcome::Unknown, clock::now());
    outcomes::stage_found(&ctx, &mut work, unknown);
    outcomes::tell_all(&ctx, &mut work).await;
    let unheard = lose_what_waits(&ctx, &mut work, &desk.courier);
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
    ctx.audit.tell(&supervision_ended(&ctx, &work, ending));
    if unheard {
        create_events(&ctx, &mut work).await;
    }
}
