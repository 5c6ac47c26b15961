//! The outbox: a notification stands in the very status that records its transition, until it is delivered or lost.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::Campaign;
use crate::kinds::{CampaignStatus, LossReason, Notification, ResumeMode, Sink, TransitionRecord};
use crate::trouble::Now;

/// How many notifications wait at most.
pub const OUTBOX: usize = 16;
/// After how long without success a notification is given up while the tenant can't be asked: its field's default.
const GIVE_UP_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// What a tenant says of one sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SinkStanding {
    /// The tenant can't be asked now.
    #[default]
    Unknown,
    /// It names no such sink.
    Absent,
    /// The sink is not on the operator's list.
    NotAllowed,
    /// It is told.
    InForce {
        /// After how long without success a notification is given up.
        give_up_after: SignedDuration,
    },
}

/// Who is told of what is confirmed in a pass, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sinks {
    /// The tenant's workforce scheduler.
    pub workforce: SinkStanding,
    /// The tenant's agent pool.
    pub agent_pool: SinkStanding,
    /// Whether the declaration lets the agent pool be told.
    pub notify_agent_pool: bool,
    /// How the campaign comes back, as declared.
    pub resume_mode: ResumeMode,
}

/// A notification that its sink will never get, in full.
#[derive(Clone, Debug, PartialEq)]
pub struct Lost {
    /// What was to be delivered.
    pub notification: Notification,
    /// Why it never will be.
    pub reason: LossReason,
}

impl Sinks {
    fn standing(&self, sink: Sink) -> SinkStanding {
        match sink {
            Sink::Workforce => self.workforce,
            Sink::AgentPool => self.agent_pool,
        }
    }

    fn is_told(&self, sink: Sink) -> bool {
        let in_force = matches!(self.standing(sink), SinkStanding::InForce { .. });
        in_force && (sink != Sink::AgentPool || self.notify_agent_pool)
    }

    /// Until when a delivery is tried.
    fn deadline(&self, notification: &Notification) -> Timestamp {
        let patience = match self.standing(notification.sink) {
            SinkStanding::InForce { give_up_after } => give_up_after,
            _ => GIVE_UP_AFTER,
        };
        notification.at.0.checked_add(patience).unwrap_or(Timestamp::MAX)
    }

    fn why_lost(&self, notification: &Notification, now: Timestamp) -> Option<LossReason> {
        match self.standing(notification.sink) {
            SinkStanding::Absent => Some(LossReason::SinkRemoved),
            SinkStanding::NotAllowed => Some(LossReason::SinkNotAllowed),
            _ => (now >= self.deadline(notification)).then_some(LossReason::GivenUp),
        }
    }
}

impl Campaign {
    /// A transition was confirmed: everybody who is told of it gets a notification.
    pub(super) fn notify_of(&mut self, record: &TransitionRecord, now: Now) {
        let sinks = self.sinks;
        // What a sink lost that is named no more is no news once something has happened since.
        self.status.lost_notifications.retain(|lost| sinks.standing(lost.sink) != SinkStanding::Absent);
        for sink in Sink::ALL.into_iter().filter(|sink| sinks.is_told(*sink)) {
            self.make_room(now);
            self.status.notifications.push(Notification {
                webhook_id: format!("{}-{}", record.id, sink.field().to_lowercase()),
                sink,
                transition: record.id,
                status: record.to,
                resume_mode: sinks.resume_mode,
                at: to_the_millisecond(now.wall),
                latency_ms: record.latency_ms,
            });
        }
    }

    /// A notification was delivered. Its sink works: what was lost before is no news any more.
    pub fn delivered(&mut self, webhook_id: &str) {
        let waiting = &mut self.status.notifications;
        if let Some(at) = waiting.iter().position(|n| n.webhook_id == webhook_id) {
            let Notification { sink, .. } = waiting.remove(at);
            self.status.lost_notifications.retain(|lost| lost.sink != sink);
        }
    }

    /// Gives up what has waited too long, and what has no sink any more.
    pub fn give_up(&mut self, now: Now) {
        let sinks = self.sinks;
        self.lose(now, |notification| sinks.why_lost(notification, now.wall));
    }

    /// Gives up everything.
    pub fn give_up_all(&mut self, reason: LossReason, now: Now) {
        self.lose(now, |_| Some(reason));
    }

    /// Goes on with the outbox that another process wrote. What this one has made of transitions that they do not know of follows
    /// theirs; what they know of is theirs to deliver.
    pub(super) fn take_over_outbox(&mut self, mine: &mut Self, now: Now) {
        (self.sinks, self.lost) = (mine.sinks, std::mem::take(&mut mine.lost));
        for notification in std::mem::take(&mut mine.status.notifications) {
            if !knows(&self.status, &notification) {
                self.make_room(now);
                self.status.notifications.push(notification);
            }
        }
    }

    /// A full outbox loses the oldest notification to the sink that has most of it, so that one that takes nothing leaves room for
    /// the other.
    fn make_room(&mut self, now: Now) {
        let waiting = &self.status.notifications;
        if waiting.len() < OUTBOX {
            return;
        }
        let count = |sink| waiting.iter().filter(|n| n.sink == sink).count();
        let most = Sink::ALL.map(count).into_iter().max();
        let oldest = waiting.iter().find(|n| Some(count(n.sink)) == most);
        if let Some(id) = oldest.map(|oldest| oldest.webhook_id.clone()) {
            self.lose(now, |n| (n.webhook_id == id).then_some(LossReason::Superseded));
        }
    }

    fn lose(&mut self, now: Now, why: impl Fn(&Notification) -> Option<LossReason>) {
        for notification in std::mem::take(&mut self.status.notifications) {
            match why(&notification) {
                None => self.status.notifications.push(notification),
                Some(reason) => {
                    self.status.lost_notifications.retain(|lost| lost.sink != notification.sink);
                    self.status.lost_notifications.push(notification.lost(reason, now.wall));
                    self.lost.push(Lost { notification, reason });
                }
            }
        }
    }
}

/// Whether who wrote this status has made of the transition what there was to make.
fn knows(status: &CampaignStatus, notification: &Notification) -> bool {
    status.history.iter().any(|record| record.id == notification.transition)
}

/// Status keeps no more, and a body has to be the same after a restart.
fn to_the_millisecond(at: Timestamp) -> MicroTime {
    MicroTime(Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at))
}
