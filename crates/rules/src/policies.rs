//! The policies that concern a campaign, and how well they are known.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;

use crate::kinds::{DialingPolicy, DialingPolicySpec, PolicyRef};

/// How many policies a status or a record names at most.
pub const NAMED_AT_MOST: usize = 128;

/// One policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// What it says.
    pub spec: DialingPolicySpec,
}

/// What is known of the policies that concern a campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// Those that select its namespace, by name.
    pub matching: Vec<Arc<Policy>>,
    /// Whether these are all.
    pub knowledge: Knowledge,
    /// The policy that can't be read, where it is one that makes something missing.
    pub unreadable: Option<PolicyRef>,
    /// Whether hours must come from a policy; the campaign's own never suffice then.
    pub required: bool,
    /// Whether they have not been had even once: that none gives hours is no fact then.
    pub unheard: bool,
}

/// How well the policies that may concern a campaign are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Knowledge {
    /// All are known.
    #[default]
    Full,
    /// For a moment what is known may be out of date, or has not been had yet: nothing starts, and nothing is said of it.
    Awaited,
    /// The same, for longer than a moment.
    InDoubt(String),
    /// Something that may concern it can't be known: it may not run.
    Missing(String),
}

/// A freeze that holds.
#[derive(Clone, Debug, PartialEq)]
pub struct ActiveFreeze<'a> {
    /// Whose it is.
    pub policy: &'a Policy,
    /// Why, in the words of who froze.
    pub reason: &'a str,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    /// Whether it pauses what runs.
    pub pauses: bool,
}

impl Policy {
    /// The policy that this object holds.
    pub fn of(object: &DialingPolicy) -> Self {
        let generation = object.metadata.generation.unwrap_or_default();
        Self { name: object.name_any(), generation, spec: object.spec.clone() }
    }

    /// Whether it concerns a namespace with these labels; where they are not known every policy may.
    pub fn concerns(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        labels.is_none_or(|labels| self.spec.namespace_selector.matches(labels))
    }

    /// How it is named in status and records.
    pub fn reference(&self) -> PolicyRef {
        PolicyRef { name: self.name.clone(), generation: self.generation }
    }

    /// Its freeze, where it holds at this instant. Effective dates do not matter to it.
    pub fn freeze(&self, at: Timestamp) -> Option<ActiveFreeze<'_>> {
        let freeze = self.spec.freeze.as_ref()?;
        let until = freeze.until.as_ref().map(crate::kinds::Instant::timestamp);
        until.is_none_or(|until| at < until).then_some(ActiveFreeze {
            policy: self,
            reason: &freeze.reason,
            until,
            pauses: freeze.pause_running,
        })
    }
}

impl Policies {
    /// The freezes that hold at this instant.
    pub fn freezes(&self, at: Timestamp) -> impl Iterator<Item = ActiveFreeze<'_>> {
        self.matching.iter().filter_map(move |policy| policy.freeze(at))
    }

    /// The next instant at which a freeze ends by itself.
    pub fn next_thaw(&self, at: Timestamp) -> Option<Timestamp> {
        self.freezes(at).filter_map(|freeze| freeze.until).min()
    }

    /// The policies by name and generation, at most [`NAMED_AT_MOST`].
    pub fn references(&self) -> Vec<PolicyRef> {
        self.matching.iter().take(NAMED_AT_MOST).map(|policy| policy.reference()).collect()
    }

    /// The policy of this name.
    pub fn get(&self, name: &str) -> Option<&Policy> {
        self.matching.iter().map(AsRef::as_ref).find(|policy| policy.name == name)
    }
}
