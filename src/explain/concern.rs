//! Which policies concern a namespace, by all that is known here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;
use kube::ResourceExt;
use rules::kinds::{DialingPolicy, PolicyRef};
use rules::policies::{Knowledge, Policies, Policy};

use super::cluster::{Cluster, MaybePolicy};
use super::manifest::Item;

/// Every policy, and the labels of namespaces.
#[derive(Clone, Default)]
pub struct Concern {
    policies: BTreeMap<String, Arc<Policy>>,
    /// The first that can't be decoded: it may concern everybody.
    bad: Option<(PolicyRef, String)>,
    labels: BTreeMap<String, BTreeMap<String, String>>,
    /// The namespaces that the cluster was asked for.
    learnt: BTreeSet<String>,
    /// The policies of the file.
    given: Vec<String>,
    required: bool,
    /// Nobody asks for policies.
    without: bool,
}

impl Concern {
    /// A world without policies.
    pub fn without() -> Self {
        Self { without: true, ..Self::default() }
    }

    /// Hours must come from a policy.
    pub fn required(self, required: bool) -> Self {
        Self { required, ..self }
    }

    /// These policies of a cluster.
    pub fn of(policies: Vec<MaybePolicy>) -> Self {
        let mut all = Self::default();
        for policy in policies {
            match policy {
                Ok(policy) => all.put(&policy),
                Err(why) => all.bad = all.bad.or(Some(why)),
            }
        }
        all
    }

    /// As it will be when these are applied too.
    pub fn with(
        &self,
        policies: &[Item<DialingPolicy>],
        labels: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Self {
        let mut all = self.clone();
        policies.iter().for_each(|item| all.put(&item.object));
        all.given = policies.iter().map(|item| item.object.name_any()).collect();
        all.labels.extend(labels.clone());
        all
    }

    /// Learns the labels of a namespace from the cluster, once. Those that are known stay: applying takes none away that others
    /// have set.
    ///
    /// # Errors
    /// Where the cluster does not give them.
    pub async fn learn(&mut self, cluster: &Cluster, namespace: &str) -> Result<()> {
        if self.without || self.learnt.contains(namespace) {
            return Ok(());
        }
        if let Some(mut labels) = cluster.labels(namespace).await? {
            labels.extend(self.labels.remove(namespace).unwrap_or_default());
            self.labels.insert(namespace.to_owned(), labels);
        }
        self.learnt.insert(namespace.to_owned());
        Ok(())
    }

    fn put(&mut self, policy: &DialingPolicy) {
        let name = policy.name_any();
        let before =
            self.policies.get(&name).map_or(0, |old| old.generation + i64::from(old.spec != policy.spec));
        let generation = policy.metadata.generation.unwrap_or(before);
        self.policies.insert(name.clone(), Arc::new(Policy { name, generation, spec: policy.spec.clone() }));
    }

    /// Those that concern the campaigns of a namespace.
    pub fn about(&self, namespace: &str) -> Policies {
        if self.without {
            return Policies::default();
        }
        let labels = self.labels.get(namespace);
        let (unreadable, why) = self.bad.clone().unzip();
        let knowledge = why.map_or(Knowledge::Full, Knowledge::Missing);
        Policies {
            matching: self.policies.values().filter(|policy| policy.concerns(labels)).cloned().collect(),
            knowledge,
            unreadable,
            required: self.required,
            ..Policies::default()
        }
    }

    /// Policies of the file that concern none of these namespaces: most often a label that nobody carries.
    pub fn unheeded(&self, namespaces: &BTreeSet<&str>) -> Vec<String> {
        let concerns =
            |name: &str| namespaces.iter().any(|namespace| self.about(namespace).get(name).is_some());
        let given = self.given.iter().filter(|name| !namespaces.is_empty() && !concerns(name));
        let listed = namespaces.iter().copied().collect::<Vec<_>>().join(", ");
        given
            .map(|name| {
                format!("policy {name} of the file selects none of the namespaces {listed}, by their labels")
            })
            .collect()
    }

    /// What is to be said of it.
    pub fn note(&self, namespace: &str) -> Option<String> {
        let selected =
            self.policies.values().filter(|policy| policy.spec.namespace_selector != Default::default());
        let count = selected.count();
        (!self.without && count > 0 && !self.labels.contains_key(namespace)).then(|| {
            format!(
                "the labels of namespace {namespace} are not known: every policy is taken to concern it, {count} of them by a selector; a Namespace with its labels in one of the files tells"
            )
        })
    }
}
