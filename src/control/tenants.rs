//! Tenants: a client for each, and a status that tells whether it can be used.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cxone::{AllowList, Client as CxoneClient, ClientConfig, Endpoint, Trouble};
use futures::{Stream, StreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::controller::{self, Action, ReconcileRequest};
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt};
use rules::inputs::Tenant;
use rules::kinds::{CXoneTenant, TenantStatus, stamp};
use rules::reasons::{Reason, conditions};
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;
use tracing::{debug, warn};
use url::Url;

use super::campaigns::{Fatal, spawned};
use super::context::Context;
use super::sinks::{SinkRules, TenantSinks};
use crate::admin::List;
use crate::clock;
use crate::kubernetes::{AWAY, Change, SecretSource, TenantObject, WriteError};

/// How often a tenant's Secret is read and its token looked at.
const CHECK_EVERY: Duration = Duration::from_secs(60);
/// How long a status write may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A tenant that can be reached.
pub struct TenantClient {
    pub client: CxoneClient,
    pub secret: Arc<SecretSource>,
    /// `host:port`
    pub host: String,
    pub timeout: Duration,
    pub sinks: TenantSinks,
    built_from: BuiltFrom,
}

/// What a client is built from; another value needs another client.
#[derive(PartialEq)]
struct BuiltFrom {
    uid: Option<String>,
    spec: rules::kinds::CXoneTenantSpec,
}

enum Slot {
    Known { site: Arc<TenantClient>, tenant: Tenant },
    Refused { host: Option<String>, why: String },
}

/// The clients of all tenants, by namespace and name.
pub struct Registry {
    kube: Client,
    allowed: AllowList,
    sinks: SinkRules,
    slots: Mutex<HashMap<(String, String), Slot>>,
}

impl Registry {
    /// No tenants yet. Credentials are sent to hosts that are `allowed`, notifications to those of `sinks` alone.
    pub fn new(kube: Client, allowed: AllowList, sinks: AllowList, proxy: Option<Url>) -> Self {
        Self { kube, allowed, sinks: SinkRules { allowed: sinks, proxy }, slots: Mutex::default() }
    }

    /// The tenant as a decision takes it, and its client where there is one.
    pub fn lookup(&self, namespace: &str, name: &str) -> (Tenant, Option<Arc<TenantClient>>) {
        match self.lock().get(&(namespace.to_owned(), name.to_owned())) {
            Some(Slot::Known { site, tenant }) => (*tenant, Some(site.clone())),
            Some(Slot::Refused { .. }) => (Tenant::NotAllowed, None),
            None => (Tenant::NotFound, None),
        }
    }

    /// The tenant's `host:port`, where it is known.
    pub fn host(&self, namespace: &str, name: &str) -> Option<String> {
        match self.lock().get(&(namespace.to_owned(), name.to_owned()))? {
            Slot::Known { site, .. } => Some(site.host.clone()),
            Slot::Refused { host, .. } => host.clone(),
        }
    }

    /// Takes in a version of a tenant. True where its campaigns should hear of it.
    fn note(&self, object: &CXoneTenant) -> bool {
        let key = (object.namespace().unwrap_or_default(), object.name_any());
        let built_from = BuiltFrom { uid: object.uid(), spec: object.spec.clone() };
        let mut slots = self.lock();
        let former = match slots.remove(&key) {
            Some(Slot::Known { site, tenant }) if tenant != Tenant::Gone && site.built_from == built_from => {
                slots.insert(key, Slot::Known { site, tenant });
                return false;
            }
            Some(Slot::Known { site, .. }) => Some(site),
            Some(Slot::Refused { .. }) | None => None,
        };
        let slot = self.build(&key.0, object, built_from);
        if let (Slot::Known { site, .. }, Some(former)) = (&slot, former) {
            site.client.succeed(&former.client);
        }
        slots.insert(key, slot);
        true
    }

    /// The object is gone; its client stays at hand for closes.
    fn gone(&self, namespace: &str, name: &str) {
        let key = (namespace.to_owned(), name.to_owned());
        let mut slots = self.lock();
        match slots.get_mut(&key) {
            Some(Slot::Known { tenant, .. }) => *tenant = Tenant::Gone,
            Some(Slot::Refused { .. }) => {
                slots.remove(&key);
            }
            None => {}
        }
    }

    /// Notes what has come of a tenant's credentials. True where that is news.
    fn checked(&self, namespace: &str, name: &str, of: &Arc<TenantClient>, now: Tenant) -> bool {
        match self.lock().get_mut(&(namespace.to_owned(), name.to_owned())) {
            Some(Slot::Known { site, tenant }) if Arc::ptr_eq(site, of) && *tenant != Tenant::Gone => {
                std::mem::replace(tenant, now) != now
            }
            _ => false,
        }
    }

    fn refusal(&self, namespace: &str, name: &str) -> Option<(Option<String>, String)> {
        match self.lock().get(&(namespace.to_owned(), name.to_owned()))? {
            Slot::Refused { host, why } => Some((host.clone(), why.clone())),
            Slot::Known { .. } => None,
        }
    }

    fn build(&self, namespace: &str, object: &CXoneTenant, built_from: BuiltFrom) -> Slot {
        let endpoint = match endpoint(&object.spec) {
            Ok(endpoint) => endpoint,
            Err(error) => {
                return Slot::Refused { host: None, why: format!("baseUrl can't be used: {error}") };
            }
        };
        let host = endpoint.authority();
        if !self.allowed.permits(&endpoint) {
            let scheme = if endpoint.is_plaintext() { "http://" } else { "" };
            let why = format!(
                "{host} is not on the operator's list and gets no request: start the operator with --allow-endpoint {scheme}{host}"
            );
            return Slot::Refused { host: Some(host), why };
        }
        let spec = &object.spec;
        let secret =
            Arc::new(SecretSource::new(self.kube.clone(), namespace, &spec.credentials_secret_ref.name));
        let timeout = Duration::from_secs(u64::try_from(spec.timeout_seconds).unwrap_or(15));
        let config = ClientConfig {
            endpoint,
            timeout,
            requests_per_second: u32::try_from(spec.requests_per_second).unwrap_or(10),
            burst: u32::try_from(spec.burst).unwrap_or(20),
            proxy: self.sinks.proxy.clone(),
        };
        let sinks = TenantSinks::new(&self.kube, namespace, spec, &self.sinks);
        match CxoneClient::new(config, secret.clone()) {
            Ok(client) => Slot::Known {
                site: Arc::new(TenantClient { client, secret, host, timeout, sinks, built_from }),
                tenant: Tenant::Usable,
            },
            Err(error) => Slot::Refused { host: Some(host), why: error.to_string() },
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn endpoint(spec: &rules::kinds::CXoneTenantSpec) -> Result<Endpoint, cxone::EndpointError> {
    match (&spec.organization, &spec.base_url) {
        (Some(organization), _) => Endpoint::for_organization(organization),
        (None, base_url) => Endpoint::parse(base_url.as_deref().unwrap_or_default()),
    }
}

/// Supervises every tenant until the stream ends.
pub async fn supervise(
    ctx: Arc<Context>,
    changes: impl Stream<Item = Change<TenantObject>> + Send + 'static,
    asked: UnboundedReceiver<ObjectRef<TenantObject>>,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let noting = ctx.clone();
    let updates = changes.filter_map(move |change| std::future::ready(take_in(&noting, change)));
    let asked = futures::stream::unfold(asked, |mut rx| async { rx.recv().await.map(|r| (r, rx)) });
    let queue = futures::stream::select(Box::pin(updates), Box::pin(asked))
        .take_until(Box::pin(stop))
        .map(|reference| Ok::<_, std::convert::Infallible>(ReconcileRequest::from(reference)));
    let store = ctx.tenants.clone();
    controller::applier(
        |tenant, ctx| spawned(reconcile(tenant, ctx)),
        |_, _, _| Action::requeue(CHECK_EVERY),
        ctx,
        store,
        Box::pin(queue),
        controller::Config::default(),
    )
    .for_each(|result| async move {
        if let Err(error) = result {
            debug!(%error, "a tenant's pass did not run");
        }
    })
    .await;
}

fn take_in(ctx: &Context, change: Change<TenantObject>) -> Option<ObjectRef<TenantObject>> {
    match change {
        Change::Now(object) => {
            let tenant = match &object.0 {
                Ok(tenant) => tenant,
                Err(error) => {
                    warn!(%error, "a CXoneTenant can't be decoded; what was known of it is kept");
                    return None;
                }
            };
            if ctx.registry.note(tenant) {
                ctx.wake_tenant(&tenant.namespace().unwrap_or_default(), &tenant.name_any(), true);
            }
            Some(ObjectRef::from_obj(&*object))
        }
        Change::Gone(reference) => {
            let namespace = reference.namespace.unwrap_or_default();
            ctx.registry.gone(&namespace, &reference.name);
            ctx.wake_tenant(&namespace, &reference.name, false);
            None
        }
        Change::Listed => {
            ctx.listed(List::Tenants);
            ctx.wake_everything();
            None
        }
        Change::Failed(_) => None,
    }
}

/// Reads the Secret, makes sure of a token, and says how it went.
async fn reconcile(tenant: Arc<TenantObject>, ctx: Arc<Context>) -> Result<Action, Fatal> {
    let Ok(object) = &tenant.0 else { return Ok(Action::await_change()) };
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let (host, reason, message) = match ctx.registry.lookup(&namespace, &name) {
        (_, Some(site)) => {
            let (reason, message) = check(&ctx, &site, &namespace, &name).await;
            (Some(site.host.clone()), reason, message)
        }
        (_, None) => {
            let (host, why) = ctx.registry.refusal(&namespace, &name).unwrap_or_default();
            (host, Reason::EndpointNotAllowed, why)
        }
    };
    let counted = ctx.readiness.has(List::Campaigns);
    let campaigns = match &object.status {
        // A count of what has come so far would be taken back in a moment, at every start.
        Some(status) if !counted => status.campaigns,
        _ => i32::try_from(ctx.campaigns_of(&namespace, &name).len()).ok().filter(|_| counted),
    };
    let mut told = Conditions { object, list: Vec::new() };
    let needs_a_hand = !matches!(reason, Reason::TenantReady | Reason::Unreachable | Reason::RateLimited);
    told.push(conditions::READY, reason == Reason::TenantReady, reason, message.clone());
    if needs_a_hand {
        // Who waits by kstatus takes Ready=False alone for work under way.
        told.push(conditions::STALLED, true, reason, message);
    }
    if let (_, Some(site)) = ctx.registry.lookup(&namespace, &name) {
        tell_sinks(&mut told, &site.sinks).await;
    }
    let observed_generation = object.metadata.generation.unwrap_or_default();
    let status = TenantStatus { observed_generation, host, campaigns, conditions: told.list };
    if reason == Reason::TenantReady && was_not_ready(object) {
        // Whatever mended it, a hand here or there: nobody waits for his backoff.
        ctx.wake_tenant(&namespace, &name, true);
    }
    let retry = write(&ctx, object, &status).await;
    let ready = matches!(reason, Reason::TenantReady);
    Ok(Action::requeue(if retry || !counted { Duration::from_secs(1) } else { next_check(ready) }))
}

fn next_check(ready: bool) -> Duration {
    // Many tenants should not all be checked at once.
    let every = if ready { CHECK_EVERY } else { CHECK_EVERY / 4 };
    every.mul_f64(1.0 - 0.1 * clock::jitter())
}

async fn check(ctx: &Context, site: &Arc<TenantClient>, namespace: &str, name: &str) -> (Reason, String) {
    let (before, _) = ctx.registry.lookup(namespace, name);
    let found = site.secret.refresh().await;
    let changed = found == Ok(true);
    if changed {
        site.client.credentials_changed();
    }
    let answer = match found {
        Ok(_) => site.client.check_token().await,
        Err(missing) => Err(missing.into()),
    };
    let tenant = match answer {
        // What does not tell takes nothing back.
        Err(Trouble::CredentialsMissing(why)) if why == AWAY.0 => before,
        Err(Trouble::CredentialsMissing(_)) => Tenant::WithoutCredentials,
        Err(Trouble::Unauthorized) => Tenant::Refused,
        Err(_) if before == Tenant::Refused && !changed => Tenant::Refused,
        _ => Tenant::Usable,
    };
    if ctx.registry.checked(namespace, name, site, tenant) || changed {
        ctx.wake_tenant(namespace, name, true);
    }
    match answer {
        Ok(()) => (Reason::TenantReady, "the credentials are accepted".into()),
        Err(trouble) => (reason_of(&trouble), trouble.to_string()),
    }
}

fn reason_of(trouble: &Trouble) -> Reason {
    match trouble {
        Trouble::NotNow(_) | Trouble::Throttled { .. } => Reason::RateLimited,
        Trouble::Unauthorized => Reason::Unauthorized,
        Trouble::CredentialsMissing(_) => Reason::CredentialsMissing,
        Trouble::Forbidden => Reason::Forbidden,
        Trouble::NotFound | Trouble::Conflict | Trouble::Rejected { .. } => Reason::Rejected,
        Trouble::Unavailable { .. }
        | Trouble::Unreadable(_)
        | Trouble::Unreachable(_)
        | Trouble::Interrupted(_) => Reason::Unreachable,
    }
}

fn was_not_ready(object: &CXoneTenant) -> bool {
    let mut told = object.status.iter().flat_map(|status| &status.conditions);
    told.any(|c| c.type_ == conditions::READY && c.status != "True")
}

/// Says which sinks get nothing, and for want of what.
async fn tell_sinks(told: &mut Conditions<'_>, sinks: &TenantSinks) {
    if let Some(refused) = sinks.refusals() {
        let ok = refused.is_empty();
        let reason = if ok { Reason::AllAllowed } else { Reason::SinkNotAllowed };
        let message = if ok { "every sink is on the operator's list".into() } else { refused.join("; ") };
        told.push(conditions::SINKS_ALLOWED, ok, reason, message);
    }
    if let Some(missing) = sinks.missing_keys().await {
        let ok = missing.is_empty();
        let reason = if ok { Reason::AllFound } else { Reason::SigningSecretMissing };
        let message = if ok { "every signing secret was found".into() } else { missing.join("; ") };
        told.push(conditions::SIGNING_SECRETS_FOUND, ok, reason, message);
    }
}

struct Conditions<'a> {
    object: &'a CXoneTenant,
    list: Vec<Condition>,
}

impl Conditions<'_> {
    /// Keeps the transition time while the status word stays.
    fn push(&mut self, type_: &str, is_true: bool, reason: Reason, message: String) {
        let word = if is_true { "True" } else { "False" };
        let mut old = self.object.status.iter().flat_map(|status| &status.conditions);
        let since =
            old.find(|c| c.type_ == type_ && c.status == word).map(|c| c.last_transition_time.clone());
        self.list.push(Condition {
            type_: type_.into(),
            status: word.into(),
            reason: reason.as_str().into(),
            message,
            observed_generation: self.object.metadata.generation,
            last_transition_time: since.unwrap_or_else(|| stamp(clock::now().wall)),
        });
    }
}

/// Writes what is new. True where it should be tried again soon.
async fn write(ctx: &Context, object: &CXoneTenant, status: &TenantStatus) -> bool {
    if json!(object.status) == json!(status) {
        return false;
    }
    match ctx.kube.write_tenant_status(object, status, PATIENCE).await {
        Ok(_) => {
            ctx.metrics.status_writes.inc();
            false
        }
        Err(WriteError::Gone) => false,
        Err(WriteError::Stale) => true,
        Err(error) => {
            ctx.metrics.kubernetes_write_failures.inc();
            warn!(%error, tenant = object.name_any(), "the tenant's status can't be written; trying again");
            true
        }
    }
}
