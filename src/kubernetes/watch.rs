//! Watches: a store of the newest objects, and a stream of what changed. An object that can't be decoded harms no other.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;

use futures::{Stream, StreamExt, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, Resource};
use rules::kinds::{CXoneTenant, DialerCampaignState, DialingPolicy};
use serde::de::DeserializeOwned;
use tracing::{debug, warn};

/// A declaration as the API server gave it, decoded or not.
pub type Declaration = DeserializeGuard<DialerCampaignState>;
/// The newest declarations.
pub type Declarations = Store<Declaration>;
/// A tenant as the API server gave it, decoded or not.
pub type TenantObject = DeserializeGuard<CXoneTenant>;
/// The newest tenants.
pub type Tenants = Store<TenantObject>;

/// A policy as the API server gave it, decoded or not.
pub type PolicyObject = DeserializeGuard<DialingPolicy>;
/// A namespace, its labels alone.
pub type NamespaceObject = PartialObjectMeta<Namespace>;

/// What a watch tells.
pub enum Change<K: Resource<DynamicType = ()> + 'static> {
    /// There is a new version of an object.
    Now(Box<K>),
    /// An object is gone.
    Gone(ObjectRef<K>),
    /// Everything has been listed.
    Listed,
    /// The list or the watch failed; it is tried again.
    Failed(WatchFailure),
}

/// Why a list or a watch failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchFailure {
    /// The API server is there and does not give it.
    pub refused: bool,
    /// In words that stay the same while it fails the same way.
    pub why: String,
}

impl fmt::Display for WatchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
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

/// Watches policies.
pub fn policies(client: Client) -> impl Stream<Item = Change<PolicyObject>> + use<> {
    let api: Api<PolicyObject> = Api::all(client);
    told(relisting(move || watch(api.clone(), watcher::Config::default())).default_backoff())
}

/// Watches the labels of namespaces: of one, or of all.
pub fn namespaces(
    client: Client,
    namespace: Option<&str>,
) -> impl Stream<Item = Change<NamespaceObject>> + use<> {
    let api: Api<NamespaceObject> = Api::all(client);
    let config = match namespace {
        Some(name) => watcher::Config::default().fields(&format!("metadata.name={name}")),
        None => watcher::Config::default(),
    };
    told(relisting(move || watch(api.clone(), config.clone())).default_backoff())
}

/// A watch that lists everything anew after every error: only a new list tells that nothing was missed.
fn relisting<K, S>(begin: impl Fn() -> S) -> impl Stream<Item = watcher::Result<Event<K>>>
where
    S: Stream<Item = watcher::Result<Event<K>>>,
{
    stream::unfold((None, begin), |(running, begin)| async {
        let mut running = running.unwrap_or_else(|| Box::pin(begin()));
        let event = running.next().await?;
        let goes_on = event.is_ok().then_some(running);
        Some((event, (goes_on, begin)))
    })
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
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + fmt::Debug + Send + Sync + 'static,
    ObjectRef<K>: Hash + Eq + Clone,
{
    let (store, writer) = reflector::store();
    (store, told(watch(api, watcher::Config::default()).default_backoff().reflect(writer)))
}

/// What these events tell.
fn told<K>(events: impl Stream<Item = watcher::Result<Event<K>>>) -> impl Stream<Item = Change<K>>
where
    K: Resource<DynamicType = ()> + 'static,
    ObjectRef<K>: Hash + Eq + Clone,
{
    let mut known: HashSet<ObjectRef<K>> = HashSet::new();
    let mut listing: HashSet<ObjectRef<K>> = HashSet::new();
    let mut failing: Option<WatchFailure> = None;
    let kind = K::plural(&());
    events.flat_map(move |event| {
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
                failing = None;
                let gone: Vec<_> = known.difference(&listing).cloned().map(Change::Gone).collect();
                known = std::mem::take(&mut listing);
                gone.into_iter().chain([Change::Listed]).collect()
            }
            Err(error) => {
                let (failure, error) = (failure(&error), short(&error));
                // It is tried about once a second, for as long as it fails.
                if failing.replace(failure.clone()).as_ref() == Some(&failure) {
                    debug!(error, "watching {kind} still fails");
                } else {
                    warn!(error, "watching {kind} failed; trying again");
                }
                vec![Change::Failed(failure)]
            }
        };
        stream::iter(changes)
    })
}

fn failure(error: &watcher::Error) -> WatchFailure {
    use watcher::Error as E;
    let cause = match error {
        E::InitialListFailed(cause) | E::WatchStartFailed(cause) | E::WatchFailed(cause) => cause,
        E::WatchError(status) => return answered(status),
        E::NoResourceVersion => {
            return WatchFailure { refused: true, why: "the API server's answer has no version".into() };
        }
    };
    match cause {
        kube::Error::Api(status) => answered(status),
        kube::Error::SerdeError(_) => {
            WatchFailure { refused: true, why: "the API server's answer can't be understood".into() }
        }
        _ => WatchFailure { refused: false, why: "the API server can't be reached".into() },
    }
}

fn answered(status: &kube::core::Status) -> WatchFailure {
    let (code, reason) = (status.code, &status.reason);
    // Gone, and asked too often, are no refusals: the next try is another.
    let refused = (400..500).contains(&code) && code != 410 && code != 429;
    let what = if refused { "refuses" } else { "fails" };
    WatchFailure { refused, why: format!("the API server {what} ({code} {reason})") }
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
