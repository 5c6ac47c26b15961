//! One desk for each declaration: what this process knows of it, and the call that cuts a pass short.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use rules::inputs::Meta;
use rules::kinds::DialerCampaignState;
use rules::policies::Policies;
use rules::trouble::Now;
use tokio::sync::watch;

use super::courier::Courier;
use super::policy_book::PolicyBook;
use super::work::Work;

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
    /// Delivers the notifications of what was confirmed.
    pub courier: Arc<Courier>,
    forgive: AtomicBool,
}

/// What a pass depends on, besides the platform: the declaration, and the policies that concern it.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    uid: Option<String>,
    meta: Meta,
    pub policies: Arc<Policies>,
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
            courier: Arc::default(),
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

fn key_of(object: &DialerCampaignState) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}
