//! Policies as this process knows them, and what they come to for each namespace. What can't be known is closed, never absent.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::core::PartialObjectMeta;
use rules::kinds::{DialingPolicy, NamespaceSelector, PolicyRef};
use rules::policies::{Knowledge, Policies, Policy};
use rules::text::clean;

use super::listing::{Listing, Need};
use crate::kubernetes::{Change, PolicyObject};

/// What of a policy's unreadable text is told.
const TELL_AT_MOST: usize = 256;

/// Every policy, and the labels that policies select by.
pub struct PolicyBook {
    /// Nobody's hours suffice but a policy's.
    required: bool,
    known: Option<Mutex<Known>>,
}

struct Known {
    policies: BTreeMap<String, Entry>,
    labels: HashMap<String, BTreeMap<String, String>>,
    listings: [Listing; 2],
}

/// One policy, decoded or not.
#[derive(Clone)]
pub enum Entry {
    /// It can be read.
    Good(Box<DialingPolicy>, Arc<Policy>),
    /// It can't: what it is, and why.
    Bad(Box<ObjectMeta>, String),
}

impl PolicyBook {
    /// A book of nothing that waits for the first lists; `now` is monotonic.
    pub fn new(required: bool, now: Duration) -> Self {
        let listings = [Listing::new(Need::POLICIES, now), Listing::new(Need::NAMESPACES, now)];
        let known = Known { policies: BTreeMap::new(), labels: HashMap::new(), listings };
        Self { required, known: Some(Mutex::new(known)) }
    }

    /// A book that knows of no policies and needs none.
    pub fn without() -> Self {
        Self { required: false, known: None }
    }

    /// Takes in a change of a policy.
    pub fn note_policy(&self, change: Change<PolicyObject>, now: Duration) {
        let Some(mut known) = self.lock() else { return };
        match change {
            Change::Now(object) => {
                let meta = match &object.0 {
                    Ok(policy) => &policy.metadata,
                    Err(invalid) => &invalid.metadata,
                };
                let name = meta.name.clone().unwrap_or_default();
                let entry = match object.0 {
                    Ok(policy) => Entry::good(policy, known.policies.get(&name)),
                    Err(invalid) => Entry::Bad(Box::new(invalid.metadata), short(&invalid.error)),
                };
                known.policies.insert(name, entry);
            }
            Change::Gone(reference) => drop(known.policies.remove(&reference.name)),
            Change::Listed => known.listings[0].had(),
            Change::Failed(failure) => known.listings[0].failed(failure, now),
        }
    }

    /// Takes in a change of a namespace's labels.
    pub fn note_namespace(&self, change: Change<PartialObjectMeta<Namespace>>, now: Duration) {
        let Some(mut known) = self.lock() else { return };
        match change {
            Change::Now(namespace) => {
                known.labels.insert(namespace.name_any(), namespace.labels().clone());
            }
            Change::Gone(reference) => drop(known.labels.remove(&reference.name)),
            Change::Listed => known.listings[1].had(),
            Change::Failed(failure) => known.listings[1].failed(failure, now),
        }
    }

    /// What the policies come to for the campaigns of a namespace.
    pub fn of(&self, namespace: &str, now: Duration) -> Policies {
        let Some(known) = self.lock() else { return Policies::default() };
        let labels = known.labels.get(namespace);
        let entries = known.policies.values();
        let good = entries.filter_map(|entry| match entry {
            Entry::Good(_, policy) => Some(policy),
            Entry::Bad(..) => None,
        });
        let unheard = !known.listings.iter().all(Listing::was_had);
        // Where the labels are not known every policy may concern it; before they were first listed that alone closes nothing.
        let closes_nothing_yet = |policy: &Policy| {
            unheard && labels.is_none() && policy.spec.namespace_selector != NamespaceSelector::default()
        };
        let concerns = |policy: &&Arc<Policy>| policy.concerns(labels) && !closes_nothing_yet(policy);
        let matching = good.filter(concerns).cloned().collect();
        let unreadable = known.policies.values().find_map(Entry::unreadable);
        Policies { matching, knowledge: known.knowledge(now), unreadable, required: self.required, unheard }
    }

    /// Whether a policy selects a namespace whose labels are known.
    pub fn selects(&self, policy: &Policy, namespace: &str) -> bool {
        let Some(known) = self.lock() else { return false };
        let labels = known.labels.get(namespace);
        labels.is_some() && policy.concerns(labels)
    }

    /// How many policies there are, and how many of them can't be decoded.
    pub fn count(&self) -> (usize, usize) {
        let entries = self.entries();
        (entries.len(), entries.iter().filter(|entry| matches!(entry, Entry::Bad(..))).count())
    }

    /// Whether all lists are had and current.
    pub fn is_current(&self, now: Duration) -> bool {
        let Some(known) = self.lock() else { return true };
        known.listings.iter().all(|listing| listing.knowledge(now) == Knowledge::Full)
    }

    /// Every policy, by name.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().map(|known| known.policies.values().cloned().collect()).unwrap_or_default()
    }

    /// How long until something of this changes by time alone, at most.
    pub fn turns_in(&self, now: Duration) -> Option<Duration> {
        self.lock()?.listings.iter().filter_map(|listing| listing.turns_in(now)).min()
    }

    fn lock(&self) -> Option<MutexGuard<'_, Known>> {
        Some(self.known.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    fn knowledge(&self, now: Duration) -> Knowledge {
        let bad = self.policies.iter().find_map(|(name, entry)| match entry {
            Entry::Bad(_, why) => Some(Knowledge::Missing(format!("policy {name} can't be decoded: {why}"))),
            Entry::Good(..) => None,
        });
        let lists = self.listings.iter().map(|listing| listing.knowledge(now));
        // What closes goes before what only holds starts.
        bad.into_iter().chain(lists).max_by_key(severity).unwrap_or_default()
    }
}

fn severity(knowledge: &Knowledge) -> u8 {
    match knowledge {
        Knowledge::Full => 0,
        Knowledge::Awaited => 1,
        Knowledge::InDoubt(_) => 2,
        Knowledge::Missing(_) => 3,
    }
}

impl Entry {
    /// The policy's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Good(_, policy) => &policy.name,
            Self::Bad(meta, _) => meta.name.as_deref().unwrap_or_default(),
        }
    }

    /// The policy, where it can't be decoded.
    fn unreadable(&self) -> Option<PolicyRef> {
        match self {
            Self::Good(..) => None,
            Self::Bad(meta, _) => Some(PolicyRef {
                name: self.name().to_owned(),
                generation: meta.generation.unwrap_or_default(),
            }),
        }
    }

    /// What did not change stays the same, so that it is soon compared.
    fn good(object: DialingPolicy, before: Option<&Self>) -> Self {
        let policy = Policy::of(&object);
        let policy = match before {
            Some(Self::Good(_, same)) if **same == policy => same.clone(),
            _ => Arc::new(policy),
        };
        Self::Good(Box::new(object), policy)
    }
}

fn short(error: &str) -> String {
    clean(error).chars().take(TELL_AT_MOST).collect()
}
