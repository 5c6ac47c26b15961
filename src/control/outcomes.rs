//! Outcomes of transitions. Nobody is told of one before the status that holds it is written: status, history, Event and audit
//! record can't differ then, whatever else writes that status and wherever this process ends.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use rules::decide::Decision;
use rules::inputs::{Claim, Tenant};
use rules::kinds::{Outcome, TransitionRecord};
use serde_json::{Value, json};
use tracing::info;

use super::audit_lines::{base_record, of_outcome};
use super::context::Context;
use super::notifications;
use super::pass::Pass;
use super::record::by;
use super::work::Work;
use crate::audit::{AuditEvent, AuditRecord};
use crate::clock;
use crate::crash::{self, Deed, Moment};
use crate::kubernetes::NewEvent;

/// What waits for its status longer than so many others is told without it.
const MAX_UNTOLD: usize = 64;
/// The lines of outcomes are waited for that long in all, so that they normally stand before their Events do.
const TOLD_WITHIN: Duration = Duration::from_millis(250);
/// An API server keeps an Event for that long.
const EVENTS_LAST: SignedDuration = SignedDuration::from_hours(1);

/// An outcome that nobody was told of yet.
pub struct Untold {
    record: TransitionRecord,
    line: AuditRecord,
    /// The API server has the status that holds it.
    pub is_written: bool,
}

impl Untold {
    /// The transition's id.
    pub fn id(&self) -> uuid::Uuid {
        self.record.id
    }

    /// Whether a status holds this very outcome.
    pub fn stands_in(&self, status: &Value) -> bool {
        status["history"].as_array().is_some_and(|history| history.contains(&json!(self.record)))
    }
}

impl Pass<'_> {
    /// A transition has ended: it is told as soon as the status that holds it is written.
    pub(super) fn stage_outcome(&mut self, record: &TransitionRecord, decision: &Decision) {
        let (namespace, name) = self.names();
        let (id, to, cause, outcome) = (record.id, record.to, record.cause, record.outcome);
        info!(namespace, name, %id, %to, %cause, %outcome, latency_ms = record.latency_ms, "a transition has ended");
        let mut line = self.audit_record(AuditEvent::StateTransition, decision);
        of_outcome(&mut line, record);
        stage(self.ctx, self.work, record.clone(), line);
    }

    /// Takes up what an earlier process announced and did not end. Reading that may have taken longer than the first pass.
    pub(super) fn recover(&mut self) {
        let uid = self.work.object.uid().unwrap_or_default();
        for announced in self.ctx.audit.take_open_intents(&uid) {
            self.work.inherited.push(announced.pending.id);
            let ended = self.work.campaign.recover(announced.pending, clock::now());
            stage_found(self.ctx, self.work, ended);
        }
        let lost = matches!(self.ctx.claim(&self.work.object), Claim::Lost { .. });
        if lost || self.tenant == Tenant::NotAllowed {
            let ended = self.work.campaign.lose_sight(clock::now(), self.timeout());
            stage_found(self.ctx, self.work, ended);
        }
    }

    /// Tells the outcomes whose status is written.
    pub(super) async fn tell_outcomes(&mut self) {
        tell(self.ctx, self.work).await;
    }

    /// Creates the Events of an earlier process once more: it may have ended between a status and its Event, and the API server
    /// refuses those that are there.
    pub(super) fn retell(&mut self) {
        if std::mem::replace(&mut self.work.retold, true) {
            return;
        }
        let now = clock::now().wall;
        let lasts = |at: Timestamp| now.duration_since(at) < EVENTS_LAST;
        let (name, status) = (self.work.object.name_any(), &self.work.campaign.status);
        let outcomes = status.history.iter().rev().filter(|record| lasts(record.ended_at.0));
        let losses = status.lost_notifications.iter().filter(|lost| lasts(lost.at.0));
        let losses = losses.map(|lost| notifications::event(&name, lost));
        let events: Vec<NewEvent> = outcomes.map(|record| event(&name, record)).chain(losses).collect();
        events.into_iter().for_each(|event| self.work.queue_event(event));
    }
}

/// Puts outcomes on hold that were found, not made: until the status that holds them is written.
pub(super) fn stage_found(ctx: &Context, work: &mut Work, ended: impl IntoIterator<Item = TransitionRecord>) {
    for record in ended {
        let mut line = base_record(ctx, work, AuditEvent::StateTransition);
        of_outcome(&mut line, &record);
        stage(ctx, work, record, line);
    }
}

fn stage(ctx: &Context, work: &mut Work, record: TransitionRecord, mut line: AuditRecord) {
    line.recovered = work.inherited.contains(&record.id);
    let mut outcome = Untold { record, line, is_written: false };
    outcome.is_written = outcome.stands_in(work.written());
    work.untold.push(outcome);
    if work.untold.len() > MAX_UNTOLD {
        let oldest = work.untold.remove(0);
        ctx.audit.tell(&oldest.line);
        note(ctx, work, &oldest.record);
    }
}

/// Tells the outcomes whose status is written: the audit line, the Event, the metrics.
pub(super) async fn tell(ctx: &Context, work: &mut Work) {
    let end = tokio::time::Instant::now() + TOLD_WITHIN;
    while let Some(at) = work.untold.iter().position(|outcome| outcome.is_written) {
        crash::here(Deed::OutcomeAppend, Moment::Before);
        let outcome = work.untold.remove(at);
        // Before anything is waited for: a pass can be cut there.
        note(ctx, work, &outcome.record);
        // Where it can't be written now it follows like any other.
        let left = end.saturating_duration_since(tokio::time::Instant::now());
        let _ = ctx.audit.announce(&outcome.line, left).await;
        crash::here(Deed::OutcomeAppend, Moment::After);
    }
}

/// Tells all outcomes: no status will hold them any more.
pub(super) async fn tell_all(ctx: &Context, work: &mut Work) {
    for outcome in &mut work.untold {
        outcome.is_written = true;
    }
    tell(ctx, work).await;
}

fn note(ctx: &Context, work: &mut Work, record: &TransitionRecord) {
    ctx.metrics.transition_ended(record);
    work.queue_event(event(&work.object.name_any(), record));
}

/// The Event of an outcome. Its name is made from the transition's id: the API server refuses a second one.
fn event(name: &str, record: &TransitionRecord) -> NewEvent {
    let TransitionRecord { id, from, to, cause, outcome, .. } = record;
    let by = by(record.decided_by.as_ref());
    let (warning, reason) = match outcome {
        Outcome::Applied => (false, to.to_string()),
        Outcome::Superseded => (false, "Superseded".to_owned()),
        Outcome::NotApplied => (true, "NotApplied".to_owned()),
        Outcome::Unknown => (true, "OutcomeUnknown".to_owned()),
    };
    NewEvent {
        name: format!("{name}.{id}"),
        warning,
        reason,
        action: if to.is_close() { "Close" } else { "Start" }.to_owned(),
        note: format!("{from} -> {to} ({cause}{by}): {outcome} [{id}]"),
        at: record.ended_exactly(),
    }
}
