//! Objects that can't be decoded: said. Their campaigns are left alone, unless an earlier version said which one and when.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use rules::kinds::{DialerCampaignState, FINALIZER, stamp};
use rules::reasons::{Reason, conditions};
use rules::text::clean;
use serde_json::json;
use tracing::warn;

use super::context::Context;
use super::pass::Pass;
use super::record::{PATIENCE, TRY_SOON, fingerprint};
use crate::clock;
use crate::kubernetes::{NewEvent, WriteError};

/// Says that an object can't be decoded. Where this process has known it before, its campaign is still closed as the last version
/// that could be decoded demands; nothing is started.
pub async fn reconcile(ctx: &Arc<Context>, invalid: &InvalidObject) -> Action {
    let Some(desk) = ctx.board.desk_of(&invalid.metadata) else { return tell(ctx, invalid).await };
    let mut work = desk.work.lock().await;
    let wake_in = Pass::begin(ctx, &desk, &mut work).guard().await;
    let generation = invalid.metadata.generation.unwrap_or_default();
    if work.undecodable != Some(generation) {
        tell(ctx, invalid).await;
        work.undecodable = Some(generation);
    }
    Action::requeue(wake_in)
}

async fn tell(ctx: &Context, invalid: &InvalidObject) -> Action {
    let meta = &invalid.metadata;
    let message = format!("the object can't be decoded: {}", invalid.error);
    // It quotes what stands in the object.
    let message: String = clean(&message).chars().take(1024).collect();
    warn!(namespace = meta.namespace, name = meta.name, detail = message, "nothing is started for it");
    if meta.deletion_timestamp.is_some() && meta.finalizers.iter().flatten().any(|name| name == FINALIZER) {
        return release_undecodable(ctx, meta).await;
    }
    let condition = |type_: &str, status: &str| {
        json!({
            "type": type_, "status": status, "reason": Reason::Undecodable.as_str(), "message": message,
            "observedGeneration": meta.generation,
            "lastTransitionTime": meta.creation_timestamp.clone().unwrap_or_else(|| stamp(clock::now().wall)),
        })
    };
    let list = json!([condition(conditions::READY, "False"), condition(conditions::STALLED, "True")]);
    match ctx.kube.write_undecodable(meta, &list, PATIENCE).await {
        Ok(()) | Err(WriteError::Gone | WriteError::Stale) => Action::await_change(),
        Err(error) => {
            warn!(%error, "the status of an undecodable object can't be written; trying again");
            Action::requeue(Duration::from_secs(30))
        }
    }
}

/// Lets an object go that is deleted and can't be decoded: nobody can tell which campaign would have to be paused.
async fn release_undecodable(ctx: &Context, meta: &ObjectMeta) -> Action {
    let name = meta.name.clone().unwrap_or_default();
    let about = ObjectReference {
        api_version: Some(DialerCampaignState::api_version(&()).into_owned()),
        kind: Some(DialerCampaignState::kind(&()).into_owned()),
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        uid: meta.uid.clone(),
        ..ObjectReference::default()
    };
    let event = NewEvent {
        name: format!("{name}.{:016x}", fingerprint(&format!("{:?}SupervisionEnded", meta.uid))),
        warning: true,
        reason: "SupervisionEnded".to_owned(),
        action: "Delete".to_owned(),
        note: "let go although the object can't be decoded: look at the campaign in CXone".to_owned(),
        at: clock::now().wall,
    };
    let _ = ctx.kube.create_event(&about, &event, TRY_SOON).await;
    match ctx.kube.release_undecodable(meta, PATIENCE).await {
        Ok(()) | Err(WriteError::Gone | WriteError::Stale) => Action::await_change(),
        Err(error) => {
            warn!(%error, name, "our finalizer can't be taken from an undecodable object; trying again");
            Action::requeue(Duration::from_secs(30))
        }
    }
}
