//! What this process knows of one declaration, beside what the API server has of it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use rules::campaign::Campaign;
use rules::inputs::Window;
use rules::kinds::{DialerCampaignState, Notification, Target, TransitionRecord};
use rules::policies::Policies;
use rules::reasons::Reason;
use rules::trouble::{Now, Series};
use serde_json::{Value, json};
use uuid::Uuid;

use super::outcomes::Untold;
use crate::audit::Ending;
use crate::crash::Deed;
use crate::kubernetes::NewEvent;

/// Events that could not be created yet; the oldest are dropped beyond that.
const MAX_EVENTS: usize = 64;

/// What this process knows of one declaration.
pub struct Work {
    pub campaign: Campaign,
    /// The newest version of the object that is known.
    pub object: DialerCampaignState,
    /// The policies that concern it.
    pub policies: Arc<Policies>,
    /// The status as the API server has it.
    written: Value,
    /// Writes of status that failed in a row.
    pub writes: Series,
    /// Writes in a row for which the object had changed meanwhile.
    pub overtaken: u32,
    /// Statuses that were sent and that no answer has confirmed: each may have been written.
    unanswered: Vec<Value>,
    /// Whether the newest of them was not sent before.
    sent_anew: bool,
    /// Events that are to be created.
    pub events: VecDeque<NewEvent>,
    /// Outcomes that nobody was told of yet, oldest first.
    pub untold: Vec<Untold>,
    /// Notifications that their sinks have, by their ids, for as long as a status may still name them.
    pub delivered: HashSet<String>,
    /// Why the newest try of a notification failed.
    pub refusals: HashMap<String, String>,
    /// What an earlier process may not have come to tell was told again.
    pub retold: bool,
    /// The transitions that an earlier process announced and did not end.
    pub inherited: Vec<Uuid>,
    /// What keeps a wanted start from happening, as it was last decided.
    pub verdicts: Option<Verdicts>,
    /// Since when (monotonic) a deleted object could be let go, but for notifications.
    pub leaving_since: Option<Duration>,
    /// How the supervision is on record as ended.
    pub ending: Option<Ending>,
    /// The declaration was let go, or is gone.
    pub ended: bool,
    /// The generation of which it was told that it can't be decoded.
    pub undecodable: Option<i64>,
    /// The host that the campaign was last looked for at.
    pub host: Option<String>,
    outlook: Option<Outlook>,
}

/// The rules that say no, with their reasons and the policies behind them.
pub type Verdicts = Vec<(&'static str, Reason, Option<String>)>;

/// The window, and for how long what was said of it holds.
struct Outlook {
    generation: i64,
    policies: Arc<Policies>,
    from: Timestamp,
    until: Timestamp,
    window: Window,
}

impl Work {
    pub fn new(object: DialerCampaignState, now: Now) -> Self {
        let status = object.status.clone().unwrap_or_default();
        let generation = object.metadata.generation.unwrap_or_default();
        Self {
            campaign: Campaign::resume(status, generation, now),
            written: status_value(&object),
            object,
            policies: Arc::default(),
            writes: Series::default(),
            overtaken: 0,
            unanswered: Vec::new(),
            sent_anew: false,
            events: VecDeque::new(),
            untold: Vec::new(),
            delivered: HashSet::new(),
            refusals: HashMap::new(),
            retold: false,
            inherited: Vec::new(),
            verdicts: None,
            leaving_since: None,
            ending: None,
            ended: false,
            undecodable: None,
            host: None,
            outlook: None,
        }
    }

    /// Takes in what the watch has brought, where it is newer than what is known. A status in it that this process did not write
    /// is another writer's: nothing may be decided beside it. What ends with that comes out.
    pub fn take_in(&mut self, object: &DialerCampaignState, now: Now) -> Option<TransitionRecord> {
        if version(object) <= version(&self.object) {
            return None;
        }
        if status_value(object) == self.written {
            self.object = object.clone();
            return None;
        }
        self.adopt(object.clone(), now)
    }

    /// Whether the API server is known to have this status.
    pub fn is_written(&self, status: &Value) -> bool {
        self.written == *status && self.unanswered.is_empty()
    }

    /// This status is about to be sent. Gives what is done by that.
    pub fn sending(&mut self, status: &Value) -> Deed {
        self.sent_anew = !self.unanswered.contains(status);
        if self.sent_anew {
            self.unanswered.push(status.clone());
        }
        let is_new =
            |path: &str| status.pointer(path).is_some_and(|id| self.written.pointer(path) != Some(id));
        let pending = |status: &Value| status["notifications"].as_array().map_or(0, Vec::len);
        let starts = status["pendingTransition"]["to"] == json!(Target::Running);
        if starts && is_new("/pendingTransition/id") {
            Deed::IntentWrite
        } else if is_new("/lastTransition/id") {
            Deed::OutcomeWrite
        } else if pending(status) < pending(&self.written) {
            Deed::OutboxWrite
        } else {
            Deed::StatusWrite
        }
    }

    /// The status that was sent last was refused: where the very same is found, another process has written it.
    pub fn was_refused(&mut self) {
        if std::mem::take(&mut self.sent_anew) {
            self.unanswered.pop();
        }
    }

    /// Forgets which notifications were delivered, and why tries failed, where no status names them any more.
    pub fn forget_delivered(&mut self) {
        let written = self.written["notifications"].as_array().map_or(&[][..], Vec::as_slice);
        let waiting = &self.campaign.status.notifications;
        let named = |id: &String| {
            written.iter().any(|n| n["webhookId"] == **id) || waiting.iter().any(|n| n.webhook_id == *id)
        };
        self.delivered.retain(named);
        self.refusals.retain(|id, _| named(id));
    }

    /// Queues an Event. One of the same name is the same Event.
    pub fn queue_event(&mut self, event: NewEvent) {
        if self.events.iter().any(|queued| queued.name == event.name) {
            return;
        }
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// A status was written: gives the object as it is then.
    pub fn has_written(&mut self, object: DialerCampaignState) {
        self.writes.reset();
        self.overtaken = 0;
        for outcome in &mut self.untold {
            outcome.is_written = true;
        }
        self.unanswered.clear();
        self.written = status_value(&object);
        self.object = object;
    }

    /// The status as the API server is known to have it.
    pub fn written(&self) -> &Value {
        &self.written
    }

    /// The notifications that wait and that the API server is known to have, oldest first.
    pub fn written_notifications(&self) -> Vec<Notification> {
        let written = self.written["notifications"].as_array().map_or(&[][..], Vec::as_slice);
        let is_written = |n: &&Notification| written.contains(&json!(n));
        self.campaign.status.notifications.iter().filter(is_written).cloned().collect()
    }

    /// Takes over what another writer of our status has written meanwhile. A write of our own that was cut short, or that
    /// nobody answered in time, is no other writer: what is known goes on from it. What ends with that comes out.
    pub fn adopt(&mut self, object: DialerCampaignState, now: Now) -> Option<TransitionRecord> {
        let found = object.status.clone().unwrap_or_default();
        let theirs = status_value(&object);
        let ours = self.unanswered.contains(&theirs);
        // Each was sent for an older version than this.
        let unanswered = std::mem::take(&mut self.unanswered);
        let mut ended = None;
        if ours {
            self.written = theirs;
            ended = self.campaign.was_written(&found, now);
            let written = |outcome: &Untold| found.history.iter().any(|record| record.id == outcome.id());
            self.untold
                .iter_mut()
                .filter(|outcome| written(outcome))
                .for_each(|outcome| outcome.is_written = true);
        } else if theirs != self.written {
            // Who wrote an outcome tells it. It may have been this process, with a write that nobody answered and that another
            // went on from.
            for outcome in &mut self.untold {
                let is_in = |status: &Value| outcome.stands_in(status);
                outcome.is_written |= is_in(&theirs) && unanswered.iter().any(is_in);
            }
            let written = |outcome: &Untold| found.history.iter().any(|record| record.id == outcome.id());
            self.untold.retain(|outcome| outcome.is_written || !written(outcome));
            let generation = object.metadata.generation.unwrap_or_default();
            ended = self.campaign.take_over(found, generation, now);
            self.written = theirs;
        }
        self.object = object;
        ended
    }

    /// The window at this instant; computed anew only when an edge has passed.
    pub fn window(&mut self, now: Timestamp) -> &Window {
        let generation = self.object.metadata.generation.unwrap_or_default();
        let is_valid = |o: &Outlook| {
            o.generation == generation
                && Arc::ptr_eq(&o.policies, &self.policies)
                && o.from <= now
                && now < o.until
        };
        let outlook = self.outlook.take().filter(is_valid).unwrap_or_else(|| {
            let own = self.object.spec.compliance_window.as_ref();
            // A search of 400 days can take its time: the other tasks of this thread go elsewhere meanwhile.
            let window = tokio::task::block_in_place(|| Window::at(own, &self.policies, now));
            // The search has a horizon: what it says holds until the next edge, and at most a day.
            let day = now.checked_add(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MAX);
            let until = window.next_edge().map_or(day, |edge| edge.min(day));
            Outlook { generation, policies: self.policies.clone(), from: now, until, window }
        });
        &self.outlook.insert(outlook).window
    }
}

/// The status of an object, as a value that can be compared with what would be written.
fn status_value(object: &DialerCampaignState) -> Value {
    serde_json::to_value(&object.status).unwrap_or_default()
}

/// Resource versions of one object grow; etcd's are numbers, and Kubernetes promises that they can be compared.
fn version(object: &DialerCampaignState) -> Option<u128> {
    object.resource_version()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use rules::campaign::{SinkStanding, transition};
    use rules::kinds::{CampaignStatus, Cause, Observed, Outcome, Target};

    use super::*;

    fn object(status: &CampaignStatus, version: u32) -> DialerCampaignState {
        serde_json::from_value(json!({
            "apiVersion": "dialer.cxone-operator.io/v1alpha1", "kind": "DialerCampaignState",
            "metadata": {"name": "c-1", "uid": "u", "generation": 1, "resourceVersion": version.to_string()},
            "spec": {"campaignId": "c-1", "state": "Paused"}, "status": status,
        }))
        .unwrap()
    }

    fn now() -> Now {
        Now { wall: Timestamp::UNIX_EPOCH, mono: Duration::ZERO }
    }

    /// What is known while a close is under way, that status sent without an answer, and the close has ended since.
    fn ended_after_a_lost_write() -> (Work, DialerCampaignState) {
        let mut work = Work::new(object(&CampaignStatus::default(), 1), now());
        let id = Uuid::from_u128(7);
        let close = transition(id, Observed::Running, Target::Paused, Cause::Declared, 1, false, now());
        work.campaign.open(close, now());
        let lost = work.campaign.status.clone();
        work.sending(&json!(lost));
        work.campaign.end(Outcome::Applied, now());
        (work, object(&lost, 2))
    }

    #[test]
    fn a_write_of_our_own_that_nobody_answered_does_not_open_again_what_has_ended() {
        let (mut work, found) = ended_after_a_lost_write();
        work.adopt(found, now());
        assert_eq!(work.campaign.status.pending_transition, None);
        assert_eq!(work.campaign.status.history.len(), 1);
        assert!(!work.is_written(&json!(work.campaign.status)), "the end is written too");
    }

    #[test]
    fn a_status_that_the_watch_brings_from_another_writer_is_taken_over_and_an_old_one_is_not() {
        let mut work = Work::new(object(&CampaignStatus::default(), 5), now());
        let mut other = Campaign::default();
        let start = |id| transition(id, Observed::Paused, Target::Running, Cause::Declared, 1, false, now());
        let id = Uuid::from_u128(8);
        other.open(start(id), now());
        assert_eq!(work.take_in(&object(&other.status, 4), now()), None);
        assert_eq!(work.campaign.status.pending_transition, None, "older than what is known");

        work.take_in(&object(&other.status, 6), now());
        assert!(work.campaign.starting(), "nothing may be decided beside the start of another process");
        assert!(work.is_written(&json!(work.campaign.status)));
    }

    #[test]
    fn a_version_with_the_status_that_is_known_changes_nothing_else() {
        let (mut work, _) = ended_after_a_lost_write();
        let told = work.campaign.clone();
        work.unanswered.clear();
        work.take_in(&object(&CampaignStatus::default(), 9), now());
        assert_eq!((version(&work.object), &work.campaign), (Some(9), &told));
    }

    #[test]
    fn the_very_status_that_was_refused_here_is_another_processes_unless_it_was_sent_before_without_an_answer()
     {
        for sent_before in [false, true] {
            let (mut work, found) = ended_after_a_lost_write();
            let status = status_value(&found);
            if !sent_before {
                work.unanswered.clear();
            }
            work.sending(&status);
            work.was_refused();
            work.campaign.unread = false;
            work.adopt(found, now());
            assert_eq!(work.campaign.unread, !sent_before);
        }
    }

    #[test]
    fn a_status_that_may_have_been_overwritten_by_a_late_write_is_written_again() {
        let mut work = Work::new(object(&CampaignStatus::default(), 1), now());
        let status = json!(work.campaign.status);
        assert!(work.is_written(&status));
        work.sending(&json!({"observedGeneration": 7}));
        assert!(!work.is_written(&status));
        work.has_written(object(&CampaignStatus::default(), 2));
        assert!(work.is_written(&status));
    }

    #[test]
    fn only_notifications_that_the_api_server_is_known_to_have_may_be_sent() {
        let mut work = Work::new(object(&CampaignStatus::default(), 1), now());
        let in_force = SinkStanding::InForce { give_up_after: SignedDuration::from_hours(1) };
        work.campaign.sinks.workforce = in_force;
        let close = |id| {
            let id = Uuid::from_u128(id);
            transition(id, Observed::Running, Target::Paused, Cause::Declared, 1, false, now())
        };
        work.campaign.open(close(7), now());
        work.campaign.end(Outcome::Applied, now());
        let first = work.campaign.status.clone();
        work.sending(&json!(first));
        assert!(work.written_notifications().is_empty(), "no answer yet");
        work.has_written(object(&first, 2));
        work.campaign.open(close(8), now());
        work.campaign.end(Outcome::Applied, now());
        assert_eq!(work.written_notifications(), first.notifications);
        work.campaign.delivered(&first.notifications[0].webhook_id);
        assert!(work.written_notifications().is_empty(), "what is delivered is not sent again");
    }

    #[test]
    fn what_another_writer_has_written_is_taken_over_but_opens_nothing_that_has_ended() {
        let (mut work, found) = ended_after_a_lost_write();
        work.unanswered.clear();
        let mut theirs = found.status.clone().unwrap();
        work.adopt(found, now());
        assert_eq!(work.campaign.status.pending_transition, None, "it has ended here");

        let other = Uuid::from_u128(8);
        theirs.pending_transition.as_mut().unwrap().id = other;
        work.adopt(object(&theirs, 3), now());
        assert_eq!(work.campaign.status.pending_transition.as_ref().map(|p| p.id), Some(other));
    }
}
