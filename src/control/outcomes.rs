//! Outcomes of transitions. Nobody is told of one before the status that holds it is written: status, history, Event and audit
//! record can't differ then, whatever else writes that status and wherever this process ends.

use std::time::Duration;

use jiff::SignedDuration;
use kube::ResourceExt;
use rules::decide::Decision;
use rules::kinds::{Outcome, TransitionRecord};
use tracing::info;

use super::audit_lines::{base_record, of_outcome};
use super::context::Context;
use super::pass::Pass;
use super::record::by;
use super::work::Work;
use crate::audit::{AuditEvent, AuditRecord};
use crate::clock;
use crate::crash::{self, Deed, Moment};
use crate::kubernetes::NewEvent;

/// What waits for its status longer than so many others is told without it.
const MAX_UNTOLD: usize = 64;
/// The line of an outcome is waited for that long, so that it normally stands before its Event does.
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

    /// Takes up, once, what an earlier process announced and did not end.
    pub(super) fn recover(&mut self) {
        if std::mem::replace(&mut self.work.recovered, true) {
            return;
        }
        let uid = self.work.object.uid().unwrap_or_default();
        for announced in self.ctx.audit.take_open_intents(&uid) {
            self.work.inherited.push(announced.pending.id);
            let ended = self.work.campaign.recover(announced.pending, clock::now());
            stage_found(self.ctx, self.work, ended);
        }
    }

    /// Tells the outcomes whose status is written.
    pub(super) async fn tell_outcomes(&mut self) {
        tell(self.ctx, self.work).await;
    }

    /// Creates the Events of an earlier process once more: it may have ended between a status and its Event, and the API server
    /// refuses those that are there.
    pub(super) fn retell_outcomes(&mut self) {
        if std::mem::replace(&mut self.work.retold, true) {
            return;
        }
        let now = clock::now().wall;
        let history = self.work.campaign.status.history.clone();
        for record in history.iter().rev().filter(|r| now.duration_since(r.ended_at.0) < EVENTS_LAST) {
            self.work.queue_event(event(&self.work.object.name_any(), record));
        }
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
    let is_written = work.has_in_writing(&record);
    work.untold.push(Untold { record, line, is_written });
    if work.untold.len() > MAX_UNTOLD {
        let oldest = work.untold.remove(0);
        ctx.audit.tell(&oldest.line);
        note(ctx, work, &oldest.record);
    }
}

/// Tells the outcomes whose status is written: the audit line, the Event, the metrics.
pub(super) async fn tell(ctx: &Context, work: &mut Work) {
    while let Some(at) = work.untold.iter().position(|outcome| outcome.is_written) {
        crash::here(Deed::OutcomeAppend, Moment::Before);
        let outcome = work.untold.remove(at);
        // Before anything is waited for: a pass can be cut there.
        note(ctx, work, &outcome.record);
        // Where it can't be written now it follows like any other.
        let _ = ctx.audit.announce(&outcome.line, TOLD_WITHIN).await;
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
