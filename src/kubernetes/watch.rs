//! Watches: a store of the newest objects, and a stream of what changed. An object that can't be decoded harms no other.

use std::collections::HashSet;
use std::hash::Hash;

use futures::{Stream, StreamExt};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, Resource};
use rules::kinds::{CXoneTenant, DialerCampaignState};
use serde::de::DeserializeOwned;
use tracing::warn;

/// A declaration as the API server gave it, decoded or not.
pub type Declaration = DeserializeGuard<DialerCampaignState>;
/// The newest declarations.
pub type Declarations = Store<Declaration>;
/// A tenant as the API server gave it, decoded or not.
pub type TenantObject = DeserializeGuard<CXoneTenant>;
/// The newest tenants.
pub type Tenants = Store<TenantObject>;

/// What a watch tells.
pub enum Change<K: Resource<DynamicType = ()> + 'static> {
    /// There is a new version of an object.
    Now(Box<K>),
    /// An object is gone.
    Gone(ObjectRef<K>),
    /// Everything has been listed.
    Listed,
}

/// Watches declarations, in one namespace or in all.
pub fn declarations(
    client: Client,
    namespace: Option<&str>,
) -> (Declarations, impl Stream<Item = Change<Declaration>> + use<>) {
    changes(api(client, namespace))
}

/// Watches tenants, in one namespace or in all.
pub fn tenants(
    client: Client,
    namespace: Option<&str>,
) -> (Tenants, impl Stream<Item = Change<TenantObject>> + use<>) {
    changes(api(client, namespace))
}

fn api<K>(client: Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    match namespace {
        Some(name) => Api::namespaced(client, name),
        None => Api::all(client),
    }
}

fn changes<K>(api: Api<K>) -> (Store<K>, impl Stream<Item = Change<K>> + use<K>)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
    ObjectRef<K>: Hash + Eq + Clone,
{
    let (store, writer) = reflector::store();
    let events = watch(api, watcher::Config::default()).default_backoff().reflect(writer);
    let mut known: HashSet<ObjectRef<K>> = HashSet::new();
    let mut listing: HashSet<ObjectRef<K>> = HashSet::new();
    let kind = K::plural(&());
    let stream = events.flat_map(move |event| {
        let changes = match event {
            Ok(Event::Apply(object)) => {
                known.insert(ObjectRef::from_obj(&object));
                vec![Change::Now(Box::new(object))]
            }
            Ok(Event::Delete(object)) => {
                let reference = ObjectRef::from_obj(&object);
                known.remove(&reference);
                vec![Change::Gone(reference)]
            }
            Ok(Event::Init) => {
                listing.clear();
                vec![]
            }
            Ok(Event::InitApply(object)) => {
                listing.insert(ObjectRef::from_obj(&object));
                vec![Change::Now(Box::new(object))]
            }
            // What vanished while the watch was down is told by its absence from the new list.
            Ok(Event::InitDone) => {
                let gone: Vec<_> = known.difference(&listing).cloned().map(Change::Gone).collect();
                known = std::mem::take(&mut listing);
                gone.into_iter().chain([Change::Listed]).collect()
            }
            Err(error) => {
                warn!(error = %short(&error), "watching {kind} failed; trying again");
                vec![]
            }
        };
        futures::stream::iter(changes)
    });
    (store, stream)
}

fn short(error: &watcher::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
