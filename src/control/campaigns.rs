//! Supervises every declaration: turns changes into passes, and passes into the time of the next.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use kube::ResourceExt;
use kube::runtime::controller::{self, Action, ReconcileRequest};
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tracing::debug;

use super::claims::{Claimant, Examined};
use super::context::Context;
use super::pass::Pass;
use super::{audit_lines, undecodable};
use crate::admin::List;
use crate::clock;
use crate::kubernetes::{Change, Declaration, TenantObject};

/// A pass that could not be run to its end; only while the process ends.
#[derive(Debug, thiserror::Error)]
#[error("the pass was ended: {0}")]
pub struct Fatal(#[from] tokio::task::JoinError);

/// A pass as a task of its own: many run at once, and a slow one holds up no other.
pub fn spawned(
    pass: impl Future<Output = Result<Action, Fatal>> + Send + 'static,
) -> Pin<Box<dyn Future<Output = Result<Action, Fatal>> + Send>> {
    let task = tokio::spawn(pass);
    Box::pin(async { task.await? })
}

/// Supervises every declaration until the stream ends.
pub async fn supervise(
    ctx: Arc<Context>,
    changes: impl Stream<Item = Change<Declaration>> + Send + 'static,
    asked: UnboundedReceiver<ObjectRef<Declaration>>,
    tenants: UnboundedSender<ObjectRef<TenantObject>>,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let noting = ctx.clone();
    let updates = changes.filter_map(move |change| std::future::ready(take_in(&noting, &tenants, change)));
    let asked = futures::stream::unfold(asked, |mut rx| async { rx.recv().await.map(|r| (r, rx)) });
    let queue = futures::stream::select(Box::pin(updates), Box::pin(asked))
        .take_until(Box::pin(stop))
        .map(|reference| Ok::<_, std::convert::Infallible>(ReconcileRequest::from(reference)));
    let store = ctx.declarations.clone();
    controller::applier(
        |declaration, ctx| spawned(reconcile(declaration, ctx)),
        |_, _, _| Action::await_change(),
        ctx,
        store,
        Box::pin(queue),
        // No bound and no debounce: a slow start must not hold up a close.
        controller::Config::default(),
    )
    .for_each(|result| async move {
        if let Err(error) = result {
            debug!(%error, "a pass did not run");
        }
    })
    .await;
}

fn take_in(
    ctx: &Arc<Context>,
    tenants: &UnboundedSender<ObjectRef<TenantObject>>,
    change: Change<Declaration>,
) -> Option<ObjectRef<Declaration>> {
    match change {
        Change::Now(declaration) => {
            if let Ok(object) = &declaration.0 {
                let before = ctx.board.len();
                let left = ctx.board.note(object, clock::now(), &ctx.policies);
                if left.is_some() || ctx.board.len() != before {
                    ctx.policies_changed.notify_one();
                    let namespace = object.namespace().unwrap_or_default();
                    let _ = tenants.send(ObjectRef::new(&object.spec.tenant_ref.name).within(&namespace));
                }
                if let Some(desk) = left {
                    ctx.claims.leave(&object.namespace().unwrap_or_default(), &object.name_any());
                    tokio::spawn(audit_lines::ended(ctx.clone(), desk));
                }
                ctx.claims.enter(&object.spec.campaign_id, claimant(object));
                ctx.metrics.campaigns.set(i64::try_from(ctx.board.len()).unwrap_or(i64::MAX));
            }
            Some(ObjectRef::from_obj(&*declaration))
        }
        Change::Gone(reference) => {
            let namespace = reference.namespace.unwrap_or_default();
            if let Some(desk) = ctx.board.clear(&namespace, &reference.name) {
                let tenant = desk.tenant.clone();
                tokio::spawn(audit_lines::ended(ctx.clone(), desk));
                ctx.policies_changed.notify_one();
                let _ = tenants.send(ObjectRef::new(&tenant).within(&namespace));
            }
            ctx.wake_all(&ctx.claims.leave(&namespace, &reference.name));
            ctx.metrics.violation(&namespace, &reference.name, false);
            ctx.metrics.campaigns.set(i64::try_from(ctx.board.len()).unwrap_or(i64::MAX));
            None
        }
        Change::Listed => {
            ctx.listed(List::Campaigns);
            let all = ctx.declarations.state();
            let uids: HashSet<String> = all.iter().filter_map(|declaration| declaration.uid()).collect();
            ctx.audit.abandon(|uid| !uids.contains(uid), clock::now().wall);
            ctx.wake_everything();
            None
        }
        Change::Failed(_) => None,
    }
}

fn claimant(object: &rules::kinds::DialerCampaignState) -> Claimant {
    let created = object.metadata.creation_timestamp.as_ref().map_or(jiff::Timestamp::MAX, |t| t.0);
    Claimant {
        uid: object.uid().unwrap_or_default(),
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        tenant: object.spec.tenant_ref.name.clone(),
        created,
        examined: Examined::No,
    }
}

/// One pass: observe, decide, act until nothing is left to do now, record.
async fn reconcile(declaration: Arc<Declaration>, ctx: Arc<Context>) -> Result<Action, Fatal> {
    let object = match &declaration.0 {
        Ok(object) => object,
        Err(invalid) => return Ok(undecodable::reconcile(&ctx, invalid).await),
    };
    // Without tenants nothing can be told of a campaign, not even that its tenant is missing. Their list wakes every campaign.
    // `Store::wait_until_ready` wakes only the last of several that wait: a pass that waited there could wait for ever.
    if !ctx.readiness.has(List::Tenants) {
        return Ok(Action::await_change());
    }
    let Some(desk) = ctx.board.desk_of(&object.metadata) else { return Ok(Action::await_change()) };
    let mut work = desk.work.lock().await;
    work.undecodable = None;
    let wake_in = Pass::begin(&ctx, &desk, &mut work).run().await;
    Ok(Action::requeue(wake_in))
}
