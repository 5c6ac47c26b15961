//! Notifications in a pass: what couriers report, what is handed to them, and what is lost.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use rules::campaign::{Lost, SinkStanding, Sinks};
use rules::kinds::{LossReason, LostNotification, Notification, Sink};
use tracing::warn;

use super::audit_lines::base_record;
use super::context::Context;
use super::courier::{Courier, Orders, Report, Sender};
use super::pass::Pass;
use super::sinks::SinkClient;
use super::tenants::TenantClient;
use super::work::Work;
use crate::audit::{AuditEvent, AuditRecord};
use crate::clock;
use crate::kubernetes::NewEvent;
use crate::metrics::Notice;

/// A deletion that could let go waits that long for what is being delivered.
const LAST_WORDS: Duration = Duration::from_secs(10);

impl Pass<'_> {
    /// Takes in what couriers have reported, and gives up what has waited too long.
    pub(super) fn hear_couriers(&mut self) {
        self.work.campaign.sinks = self.sinks();
        let reports = self.desk.courier.reports();
        take_in(self.ctx, self.work, reports);
        self.work.forget_delivered();
        self.work.campaign.give_up(clock::now());
    }

    fn sinks(&self) -> Sinks {
        let spec = &self.work.object.spec;
        let named = |sink| self.site.as_ref().map_or(SinkStanding::Unknown, |s| s.sinks.standing(sink));
        Sinks {
            workforce: named(Sink::Workforce),
            agent_pool: named(Sink::AgentPool),
            notify_agent_pool: spec.notify_agent_pool,
            resume_mode: spec.resume_mode,
        }
    }

    /// Puts on record what was lost. That comes before the status that drops it: where the process ends in between it is told
    /// twice, and never not at all.
    pub(super) fn tell_losses(&mut self) {
        tell_losses(self.ctx, self.work);
    }

    /// Hands to couriers what the API server is known to have.
    pub(super) fn send_couriers(&mut self) {
        let written = self.work.written_notifications();
        let orders = Sink::ALL.into_iter().filter_map(|sink| {
            let client = client(self.site.as_deref(), sink)?;
            let waiting: Vec<Notification> = written.iter().filter(|n| n.sink == sink).cloned().collect();
            (!waiting.is_empty()).then_some(Orders { sink, client, waiting })
        });
        let (namespace, name) = self.names();
        let sender = Sender { namespace, name, campaign: self.campaign_id().to_owned() };
        let waiting = self.work.campaign.status.notifications.len();
        self.desk.courier.send_out(self.ctx, &sender, orders.collect(), waiting);
    }

    /// How much longer a declaration that could be let go waits for its last notifications.
    pub(super) fn last_words(&mut self) -> Option<Duration> {
        let now = clock::now().mono;
        let since = *self.work.leaving_since.get_or_insert(now);
        let left = LAST_WORDS.saturating_sub(now.saturating_sub(since));
        let waiting = &self.work.campaign.status.notifications;
        let can_be_told = waiting.iter().any(|n| client(self.site.as_deref(), n.sink).is_some());
        Some(left).filter(|left| can_be_told && !left.is_zero())
    }

    /// What could not be delivered before a declaration goes is lost. True where something was.
    pub(super) fn lose_what_waits(&mut self) -> bool {
        lose_what_waits(self.ctx, self.work, &self.desk.courier)
    }
}

fn client(site: Option<&TenantClient>, sink: Sink) -> Option<Arc<SinkClient>> {
    site?.sinks.client(sink).cloned()
}

/// Takes in what couriers have reported.
pub(super) fn take_in(ctx: &Context, work: &mut Work, reports: Vec<Report>) {
    for report in reports {
        match report {
            Report::Delivered(id) => drop(work.delivered.insert(id)),
            Report::Failed(notification, why) => {
                let mut line = line(ctx, work, &notification, false);
                line.message = Some(why.clone());
                ctx.audit.tell(&line);
                work.refusals.insert(notification.webhook_id, why);
            }
        }
    }
    for id in &work.delivered {
        work.campaign.delivered(id);
    }
}

/// Its declaration goes: what waits is lost. True where something was.
pub(super) fn lose_what_waits(ctx: &Context, work: &mut Work, courier: &Courier) -> bool {
    take_in(ctx, work, courier.reports());
    courier.end(ctx);
    work.campaign.give_up_all(LossReason::Deleted, clock::now());
    let lost = !work.campaign.lost.is_empty();
    tell_losses(ctx, work);
    lost
}

/// Puts on record what was lost: the audit line, the Event, the metric.
pub(super) fn tell_losses(ctx: &Context, work: &mut Work) {
    for Lost { notification, reason } in std::mem::take(&mut work.campaign.lost) {
        let last = work.refusals.remove(&notification.webhook_id);
        let words =
            last.map_or_else(|| reason.words().to_owned(), |last| format!("{}: {last}", reason.words()));
        let mut line = line(ctx, work, &notification, true);
        line.reason = Some(reason.to_string());
        line.message = Some(words.clone());
        ctx.audit.tell(&line);
        ctx.metrics.notified(notification.sink, Notice::Lost);
        let (name, sink) = (work.object.name_any(), notification.sink.field());
        let (namespace, id) = (work.object.namespace(), &notification.webhook_id);
        warn!(namespace, name, sink, id, why = words, "a notification is lost");
        let event = event(&name, &notification.lost(reason, clock::now().wall));
        work.queue_event(event);
    }
}

fn line(ctx: &Context, work: &Work, notification: &Notification, last: bool) -> AuditRecord {
    let mut line = base_record(ctx, work, AuditEvent::WorkforceSyncFailed);
    line.status = Some(notification.status);
    line.resume_mode = Some(notification.resume_mode.to_string().to_lowercase());
    line.transaction_id = Some(notification.transition);
    line.latency_ms = Some(notification.latency_ms);
    line.sink = Some(notification.sink.field().to_owned());
    line.webhook_id = Some(notification.webhook_id.clone());
    line.is_final = Some(last);
    line
}

/// The Event of a loss. Its name is made from the notification's id: the API server refuses a second one.
pub(super) fn event(name: &str, lost: &LostNotification) -> NewEvent {
    NewEvent {
        name: format!("{name}.{}", lost.webhook_id),
        warning: true,
        reason: "SyncFailed".to_owned(),
        action: "Notify".to_owned(),
        note: lost.to_string(),
        at: lost.at.0,
    }
}
