//! Every write to Kubernetes: status, our finalizer, events. Nothing else of a user's object is ever written.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::{Api, Client, Resource, ResourceExt};
use rules::kinds::{
    CXoneTenant, CampaignStatus, DialerCampaignState, DialingPolicy, FINALIZER, PolicyStatus, TenantStatus,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::slim::slimmed;
use crate::crash::{self, Deed};

/// Field manager and controller name of every write.
const MANAGER: &str = "dialer-operator";
const CONTROLLER: &str = "dialer.cxone-operator.io/dialer-operator";
/// An Event's note is at most that many bytes.
const NOTE_BYTES: usize = 1024;
/// Requests under way at once. Each takes a connection of its own, which stays: a thousand campaigns that all have something to tell
/// would take more memory than all else together. No close waits for one.
const AT_ONCE: usize = 32;

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The object has changed since it was read.
    #[error("the object has changed meanwhile")]
    Stale,
    /// There is one of that name already.
    #[error("it is there already")]
    Exists,
    /// The object is gone.
    #[error("the object is gone")]
    Gone,
    /// No answer in time: it may have been written.
    #[error("the API server did not answer in time")]
    TimedOut,
    /// Anything else.
    #[error("the API server refused")]
    Refused(#[source] Box<kube::Error>),
}

impl From<kube::Error> for WriteError {
    fn from(error: kube::Error) -> Self {
        match &error {
            // A quota that two use up at once answers a creation 409 as well.
            kube::Error::Api(status) if status.reason == "AlreadyExists" => Self::Exists,
            kube::Error::Api(status) if status.code == 409 => Self::Stale,
            kube::Error::Api(status) if status.code == 404 => Self::Gone,
            _ => Self::Refused(Box::new(error)),
        }
    }
}

/// An Event about to be created. The name makes it unique: the same name again is the same event.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    pub name: String,
    pub warning: bool,
    pub reason: String,
    pub action: String,
    pub note: String,
    pub at: Timestamp,
}

/// The API server, for writes.
#[derive(Clone)]
pub struct Kube {
    client: Client,
    instance: String,
    turns: Arc<Semaphore>,
}

impl Kube {
    /// Writes through this client; `instance` names the process in events.
    pub fn new(client: Client, instance: String) -> Self {
        Self { client, instance, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Writes a campaign's status, if the object is still the one that was decided on. Gives the object as it is then.
    pub async fn write_campaign_status(
        &self,
        object: &DialerCampaignState,
        status: &CampaignStatus,
        deed: Deed,
        patience: Duration,
    ) -> Result<DialerCampaignState, WriteError> {
        let api: Api<DialerCampaignState> = self.api(object);
        let patch = status_patch::<DialerCampaignState>(&object.metadata, &json!(status));
        self.in_time(deed, patience, api.patch_status(&object.name_any(), &ours(), &Patch::Apply(patch)))
            .await
            .map(slimmed)
    }

    /// Writes a tenant's status, likewise.
    pub async fn write_tenant_status(
        &self,
        object: &CXoneTenant,
        status: &TenantStatus,
        patience: Duration,
    ) -> Result<CXoneTenant, WriteError> {
        let api: Api<CXoneTenant> = self.api(object);
        let patch = status_patch::<CXoneTenant>(&object.metadata, &json!(status));
        self.in_time(
            Deed::StatusWrite,
            patience,
            api.patch_status(&object.name_any(), &ours(), &Patch::Apply(patch)),
        )
        .await
    }

    /// Writes a policy's status, likewise.
    pub async fn write_policy_status(
        &self,
        object: &DialingPolicy,
        status: &PolicyStatus,
        patience: Duration,
    ) -> Result<DialingPolicy, WriteError> {
        let api: Api<DialingPolicy> = Api::all(self.client.clone());
        let patch = status_patch::<DialingPolicy>(&object.metadata, &json!(status));
        self.in_time(
            Deed::StatusWrite,
            patience,
            api.patch_status(&object.name_any(), &ours(), &Patch::Apply(patch)),
        )
        .await
    }

    /// Says on a declaration that can't be decoded that it can't. What its status tells of the past stays.
    pub async fn write_undecodable(
        &self,
        meta: &ObjectMeta,
        conditions: &Value,
        patience: Duration,
    ) -> Result<(), WriteError> {
        let (namespace, name) =
            (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
        let kind = ApiResource::erase::<DialerCampaignState>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &kind);
        let found = self.answer(patience, api.get(name)).await?;
        let mut status = found.data["status"].clone();
        if !status.is_object() {
            status = json!({});
        }
        status["observedGeneration"] = json!(meta.generation);
        status["conditions"] = conditions.clone();
        // Of the version that can't be decoded, not of one that has come since.
        let patch = status_patch::<DialerCampaignState>(meta, &status);
        self.in_time(Deed::StatusWrite, patience, api.patch_status(name, &ours(), &Patch::Apply(patch)))
            .await
            .map(|_| ())
    }

    /// Says on a policy that can't be decoded that it can't.
    pub async fn write_undecodable_policy(
        &self,
        meta: &ObjectMeta,
        status: &Value,
        patience: Duration,
    ) -> Result<(), WriteError> {
        let api: Api<PartialObjectMeta<DialingPolicy>> = Api::all(self.client.clone());
        let patch = status_patch::<DialingPolicy>(meta, status);
        let name = meta.name.clone().unwrap_or_default();
        self.in_time(Deed::StatusWrite, patience, api.patch_status(&name, &ours(), &Patch::Apply(patch)))
            .await
            .map(|_| ())
    }

    /// Takes our finalizer from an object that can't be decoded.
    pub async fn release_undecodable(&self, meta: &ObjectMeta, patience: Duration) -> Result<(), WriteError> {
        let namespace = meta.namespace.clone().unwrap_or_default();
        let api: Api<PartialObjectMeta<DialerCampaignState>> =
            Api::namespaced(self.client.clone(), &namespace);
        let theirs: Vec<&String> =
            meta.finalizers.iter().flatten().filter(|name| *name != FINALIZER).collect();
        let patch = json!({"metadata": {"resourceVersion": meta.resource_version, "finalizers": theirs}});
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let name = meta.name.clone().unwrap_or_default();
        self.in_time(Deed::FinalizerWrite, patience, api.patch(&name, &params, &Patch::Merge(patch)))
            .await
            .map(|_| ())
    }

    /// Sets or takes away our finalizer, and nothing else. Gives the object as it is then.
    pub async fn set_finalizer(
        &self,
        object: &DialerCampaignState,
        present: bool,
        patience: Duration,
    ) -> Result<DialerCampaignState, WriteError> {
        let api: Api<DialerCampaignState> = self.api(object);
        let mut finalizers = object.finalizers().to_vec();
        finalizers.retain(|name| name != FINALIZER);
        if present {
            finalizers.push(FINALIZER.to_owned());
        }
        // With the resourceVersion nobody else's finalizer is lost.
        let patch =
            json!({"metadata": {"resourceVersion": object.resource_version(), "finalizers": finalizers}});
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        self.in_time(
            Deed::FinalizerWrite,
            patience,
            api.patch(&object.name_any(), &params, &Patch::Merge(patch)),
        )
        .await
        .map(slimmed)
    }

    /// The object as the API server has it.
    pub async fn read_campaign(
        &self,
        object: &DialerCampaignState,
        patience: Duration,
    ) -> Result<DialerCampaignState, WriteError> {
        let api: Api<DialerCampaignState> = self.api(object);
        self.answer(patience, api.get(&object.name_any())).await.map(slimmed)
    }

    /// Creates an event about an object. One of the same name is the same event, so it may be there already.
    pub async fn create_event(
        &self,
        about: &ObjectReference,
        event: &NewEvent,
        patience: Duration,
    ) -> Result<(), WriteError> {
        let namespace = about.namespace.clone().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let body = Event {
            metadata: ObjectMeta {
                name: Some(event.name.clone()),
                namespace: Some(namespace),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(event.at)),
            action: Some(event.action.clone()),
            reason: Some(event.reason.clone()),
            note: Some(cut(&event.note, NOTE_BYTES).to_owned()),
            type_: Some(if event.warning { "Warning" } else { "Normal" }.to_owned()),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            regarding: Some(about.clone()),
            ..Event::default()
        };
        match self.in_time(Deed::EventCreate, patience, api.create(&PostParams::default(), &body)).await {
            Ok(_) | Err(WriteError::Exists) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn in_time<T>(
        &self,
        deed: Deed,
        patience: Duration,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, WriteError> {
        crash::around(deed, self.answer(patience, call)).await
    }

    /// The wait for a turn counts.
    async fn answer<T>(
        &self,
        patience: Duration,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, WriteError> {
        let in_turn = async {
            let _turn = self.turns.acquire().await;
            call.await
        };
        match tokio::time::timeout(patience, in_turn).await {
            Ok(result) => result.map_err(WriteError::from),
            Err(_) => Err(WriteError::TimedOut),
        }
    }

    fn api<K>(&self, object: &K) -> Api<K>
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default())
    }
}

fn ours() -> PatchParams {
    PatchParams::apply(MANAGER).force()
}

fn status_patch<K: Resource<DynamicType = ()>>(meta: &ObjectMeta, status: &Value) -> Value {
    json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"resourceVersion": meta.resource_version},
        "status": status,
    })
}

/// The text, cut at a character boundary to that many bytes.
fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_cut_at_a_character_and_counted_in_bytes() {
        let long = "é".repeat(600);
        assert_eq!(cut(&long, NOTE_BYTES).len(), 1024);
        assert_eq!(cut(&format!("x{long}"), NOTE_BYTES).len(), 1023);
        assert_eq!(cut("short", NOTE_BYTES), "short");
    }
}
