//! One desk for each declaration: what this process knows of it, and the call that cuts a pass short.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use rules::campaign::Campaign;
use rules::inputs::{Meta, Window};
use rules::kinds::DialerCampaignState;
use rules::policies::Policies;
use rules::trouble::{Now, Series};
use serde_json::Value;
use tokio::sync::watch;

use super::policy_book::PolicyBook;
use crate::kubernetes::NewEvent;

/// Every desk, by namespace and name.
#[derive(Default)]
pub struct Board {
    desks: Mutex<HashMap<(String, String), Arc<Desk>>>,
}

/// The desk of one declaration.
pub struct Desk {
    uid: String,
    /// The tenant that the declaration refers to; it can't change.
    pub tenant: String,
    newest: Mutex<DialerCampaignState>,
    /// What a pass depends on. A change cuts the pass short.
    pub call: watch::Sender<Call>,
    /// Held while a close is in flight: it is never cut.
    pub shield: tokio::sync::Mutex<()>,
    /// What is known; one pass at a time.
    pub work: tokio::sync::Mutex<Work>,
    forgive: AtomicBool,
}

/// What a pass depends on, besides the platform: the declaration, and the policies that concern it.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    uid: Option<String>,
    meta: Meta,
    pub policies: Arc<Policies>,
}

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
    /// Statuses that were sent and that no answer has confirmed: each may have been written.
    unanswered: Vec<Value>,
    /// Events that are to be created.
    pub events: VecDeque<NewEvent>,
    /// The end of the supervision is on record.
    pub ended: bool,
    /// The generation of which it was told that it can't be decoded.
    pub undecodable: Option<i64>,
    /// The host that the campaign was last looked for at.
    pub host: Option<String>,
    outlook: Option<Outlook>,
}

/// The window, and for how long what was said of it holds.
struct Outlook {
    generation: i64,
    policies: Arc<Policies>,
    from: Timestamp,
    until: Timestamp,
    window: Window,
}

impl Board {
    /// Takes in a version of a declaration: makes its desk, calls a pass under way. Gives a desk that another object of the
    /// same name has left.
    pub fn note(&self, object: &DialerCampaignState, now: Now, book: &PolicyBook) -> Option<Arc<Desk>> {
        let mut desks = self.lock();
        let key = key_of(object);
        // Asked while the desks are locked: whatever the book takes in later is brought to this desk too.
        let policies = Arc::new(book.of(&key.0, now.mono));
        let call = Call::of(object, policies);
        if let Some(desk) = desks.get(&key).filter(|desk| Some(&desk.uid) == object.uid().as_ref()) {
            desk.take_in(object);
            desk.becomes(call);
            return None;
        }
        let desk = Desk {
            uid: object.uid().unwrap_or_default(),
            tenant: object.spec.tenant_ref.name.clone(),
            newest: Mutex::new(object.clone()),
            call: watch::Sender::new(call),
            shield: tokio::sync::Mutex::default(),
            work: tokio::sync::Mutex::new(Work::new(object.clone(), now)),
            forgive: AtomicBool::new(false),
        };
        let left = desks.insert(key, Arc::new(desk));
        if let Some(old) = &left {
            old.leave();
        }
        left
    }

    /// Brings what the policies come to now to every desk. Gives those, by namespace and name, for which that is something else
    /// than before.
    pub fn apply(&self, book: &PolicyBook, now: Now) -> Vec<(String, String)> {
        let desks = self.lock();
        let mut by_namespace: HashMap<&str, Arc<Policies>> = HashMap::new();
        let concerned = desks.iter().filter(|((namespace, _), desk)| {
            let policies = by_namespace
                .entry(namespace)
                .or_insert_with(|| Arc::new(book.of(namespace, now.mono)))
                .clone();
            let old = desk.call.borrow().clone();
            desk.becomes(Call { policies, ..old })
        });
        concerned.map(|(key, _)| key.clone()).collect()
    }

    /// How many declarations of these namespaces there are.
    pub fn count(&self, selected: impl Fn(&str) -> bool) -> usize {
        self.lock().keys().filter(|(namespace, _)| selected(namespace)).count()
    }

    /// Takes the desk of a declaration that is gone.
    pub fn clear(&self, namespace: &str, name: &str) -> Option<Arc<Desk>> {
        let desk = self.lock().remove(&(namespace.to_owned(), name.to_owned()))?;
        desk.leave();
        Some(desk)
    }

    /// The desk of the object with this metadata, whatever the object has become.
    pub fn desk_of(&self, meta: &ObjectMeta) -> Option<Arc<Desk>> {
        let key = (meta.namespace.clone()?, meta.name.clone()?);
        self.lock().get(&key).filter(|desk| Some(&desk.uid) == meta.uid.as_ref()).cloned()
    }

    /// What failed on this desk is tried again at once.
    pub fn forgive(&self, namespace: &str, name: &str) {
        if let Some(desk) = self.lock().get(&(namespace.to_owned(), name.to_owned())) {
            desk.forgive.store(true, Ordering::Release);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), Arc<Desk>>> {
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// The newest version of the object that the watch has brought.
    pub fn newest(&self) -> DialerCampaignState {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take_in(&self, object: &DialerCampaignState) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = object.clone();
    }

    /// Changes what passes depend on. True where it was something else.
    fn becomes(&self, call: Call) -> bool {
        self.call.send_if_modified(|old| {
            let differs = *old != call;
            if differs {
                *old = call;
            }
            differs
        })
    }

    /// Its object is gone: a pass under way ends, so that it holds up no other object of that name.
    fn leave(&self) {
        self.call.send_modify(|call| call.uid = None);
    }

    /// Whether failures are to be forgotten; asked once.
    pub fn take_forgiveness(&self) -> bool {
        self.forgive.swap(false, Ordering::AcqRel)
    }
}

impl Call {
    /// What of this object a pass depends on.
    pub fn of(object: &DialerCampaignState, policies: Arc<Policies>) -> Self {
        // Our own finalizer comes and goes by our own hand: no reason to cut.
        Self { uid: object.uid(), meta: Meta { finalizer: false, ..Meta::of(object) }, policies }
    }
}

impl Work {
    fn new(object: DialerCampaignState, now: Now) -> Self {
        let status = object.status.clone().unwrap_or_default();
        let generation = object.metadata.generation.unwrap_or_default();
        Self {
            campaign: Campaign::resume(status, generation, now),
            written: status_value(&object),
            object,
            policies: Arc::default(),
            writes: Series::default(),
            unanswered: Vec::new(),
            events: VecDeque::new(),
            ended: false,
            undecodable: None,
            host: None,
            outlook: None,
        }
    }

    /// Takes the newer of the known object and this one.
    pub fn take_in(&mut self, object: &DialerCampaignState) {
        if version(object) >= version(&self.object) {
            self.object = object.clone();
        }
    }

    /// Whether the API server is known to have this status.
    pub fn is_written(&self, status: &Value) -> bool {
        self.written == *status && self.unanswered.is_empty()
    }

    /// This status is about to be sent.
    pub fn sending(&mut self, status: &Value) {
        if !self.unanswered.contains(status) {
            self.unanswered.push(status.clone());
        }
    }

    /// A status was written: gives the object as it is then.
    pub fn has_written(&mut self, object: DialerCampaignState) {
        self.writes.reset();
        self.unanswered.clear();
        self.written = status_value(&object);
        self.object = object;
    }

    /// Takes over what another writer of our status has written meanwhile. A write of our own that was cut short, or that
    /// nobody answered in time, is no other writer: what is known goes on from it.
    pub fn adopt(&mut self, object: DialerCampaignState, now: Now) {
        let theirs = status_value(&object);
        let ours = self.unanswered.contains(&theirs);
        // Each was sent for an older version than this.
        self.unanswered.clear();
        if ours {
            self.written = theirs;
        } else if theirs != self.written {
            let generation = object.metadata.generation.unwrap_or_default();
            let mut resumed = Campaign::resume(object.status.clone().unwrap_or_default(), generation, now);
            for record in self.campaign.status.history.iter().rev() {
                if !resumed.status.history.iter().any(|r| r.id == record.id) {
                    resumed.status.remember(record.clone());
                }
            }
            // What has ended here does not open again.
            let open = resumed.status.pending_transition.as_ref().map(|pending| pending.id);
            if resumed.status.history.iter().any(|record| Some(record.id) == open) {
                resumed.status.pending_transition = None;
                resumed.sent = None;
            }
            self.campaign = resumed;
            self.written = theirs;
        }
        self.object = object;
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

fn key_of(object: &DialerCampaignState) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

#[cfg(test)]
mod tests {
    use rules::campaign::transition;
    use rules::kinds::{CampaignStatus, Cause, Observed, Outcome, Target};
    use serde_json::json;

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
        Now { wall: Timestamp::UNIX_EPOCH, mono: std::time::Duration::ZERO }
    }

    /// What is known while a close is under way, that status sent without an answer, and the close has ended since.
    fn ended_after_a_lost_write() -> (Work, DialerCampaignState) {
        let mut work = Work::new(object(&CampaignStatus::default(), 1), now());
        let id = uuid::Uuid::from_u128(7);
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
    fn what_another_writer_has_written_is_taken_over_but_opens_nothing_that_has_ended() {
        let (mut work, found) = ended_after_a_lost_write();
        work.unanswered.clear();
        let mut theirs = found.status.clone().unwrap();
        work.adopt(found, now());
        assert_eq!(work.campaign.status.pending_transition, None, "it has ended here");

        let other = uuid::Uuid::from_u128(8);
        theirs.pending_transition.as_mut().unwrap().id = other;
        work.adopt(object(&theirs, 3), now());
        assert_eq!(work.campaign.status.pending_transition.as_ref().map(|p| p.id), Some(other));
    }
}
