//! Watches: a store of the newest objects, and a stream of what changed. An object that can't be decoded harms no other.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::time::Duration;

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

use super::slim::slim;

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

/// A watch is ended and asked for anew that often.
const RENEW_EVERY: u32 = 20;
/// What says nothing for that long is broken: a watch is ended before, and nothing else takes so long.
const SILENT_AT_MOST: Duration = Duration::from_secs(25);

/// The configuration of a client that watches. By default a watch that is renewed, or whose connection is dead, may hang
/// for minutes and nothing tells: what it would have brought would be missed for so long.
pub fn for_watching(config: &kube::Config) -> kube::Config {
    let mut config = config.clone();
    config.read_timeout = Some(SILENT_AT_MOST);
    config
}

fn watched() -> watcher::Config {
    watcher::Config::default().timeout(RENEW_EVERY)
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
    told(relisting(move || watch(api.clone(), watched()), |_| true).default_backoff())
}

/// Watches the labels of namespaces: of one, or of all.
pub fn namespaces(
    client: Client,
    namespace: Option<&str>,
) -> impl Stream<Item = Change<NamespaceObject>> + use<> {
    let api: Api<NamespaceObject> = Api::all(client);
    let config = match namespace {
        Some(name) => watched().fields(&format!("metadata.name={name}")),
        None => watched(),
    };
    told(relisting(move || watch(api.clone(), config.clone()), |_| true).default_backoff())
}

/// A watch that lists everything anew after these errors: only a new list tells that nothing was missed.
fn relisting<K, S>(
    begin: impl Fn() -> S,
    after: fn(&watcher::Error) -> bool,
) -> impl Stream<Item = watcher::Result<Event<K>>>
where
    S: Stream<Item = watcher::Result<Event<K>>>,
{
    stream::unfold((None, begin), move |(running, begin)| async move {
        let mut running = running.unwrap_or_else(|| Box::pin(begin()));
        let event = running.next().await?;
        let goes_on = event.as_ref().err().is_none_or(|error| !after(error)).then_some(running);
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
    // Who may list and not watch would start what it can never be told to stop: it lists again and again instead. Any other watch
    // goes on where it broke off.
    let events = relisting(move || watch(api.clone(), watched()), |error| failure(error).refused);
    let events = events.modify(slim);
    (store, told(events.default_backoff().reflect(writer)))
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
                failing = None;
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
                // Told now, so that it is told when it is gone, also where the rest of this list never comes.
                known.insert(ObjectRef::from_obj(&object));
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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn what_a_list_brought_before_it_failed_is_told_gone_by_the_next() {
        let policy = json!({"apiVersion": "dialer.cxone-operator.io/v1alpha1", "kind": "DialingPolicy",
                            "metadata": {"name": "brake"}, "spec": {}});
        let policy: DialingPolicy = serde_json::from_value(policy).unwrap();
        let events = [
            Ok(Event::Init),
            Ok(Event::InitApply(policy)),
            Err(watcher::Error::NoResourceVersion),
            Ok(Event::Init),
            Ok(Event::InitDone),
        ];
        let changes: Vec<_> = told(stream::iter(events)).collect().await;
        let gone = |change: &Change<DialingPolicy>| matches!(change, Change::Gone(it) if it.name == "brake");
        assert!(changes.iter().any(gone));
    }

    /// Answers lists, ends the first watch at once, and never answers another.
    async fn serve(listener: TcpListener) {
        let answer = async |socket: &mut TcpStream, body: &str| {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
            let text = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            socket.write_all(text.as_bytes()).await.unwrap();
        };
        let list = json!({"kind": "DialingPolicyList", "apiVersion": "dialer.cxone-operator.io/v1alpha1",
                          "metadata": {"resourceVersion": "1"}, "items": []});
        let mut hanging: Vec<TcpStream> = Vec::new();
        let mut watches = 0;
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 8192];
            let length = socket.read(&mut head).await.unwrap();
            let is_watch = String::from_utf8_lossy(&head[..length]).contains("watch=true");
            watches += usize::from(is_watch);
            match (is_watch, watches) {
                (false, _) => answer(&mut socket, &list.to_string()).await,
                (true, 1) => answer(&mut socket, "").await,
                (true, _) => hanging.push(socket),
            }
        }
    }

    #[tokio::test]
    async fn a_watch_whose_renewal_is_never_answered_is_told_as_failing_within_half_a_minute() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(serve(listener));
        let mut config = kube::Config::new(url.parse().unwrap());
        config.default_retry = false;
        let client = Client::try_from(for_watching(&config)).unwrap();
        let mut changes = Box::pin(policies(client));
        assert!(matches!(changes.next().await, Some(Change::Listed)));
        let next = tokio::time::timeout(Duration::from_secs(30), changes.next()).await;
        assert!(matches!(next, Ok(Some(Change::Failed(_)))), "nothing tells that the watch is not up");
    }
}
