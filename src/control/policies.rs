//! Brings every change of the policies, and of the labels they select by, to the campaigns that it concerns.

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use tracing::warn;

use super::context::Context;
use crate::admin::List;
use crate::clock;
use crate::kubernetes::{Change, NamespaceObject, PolicyObject};

/// Something else than what time brings about wakes this earlier.
const IDLE: Duration = Duration::from_secs(3600);

/// Applies what the streams bring until one ends, or `stop` comes.
pub async fn supervise(
    ctx: Arc<Context>,
    policies: impl Stream<Item = Change<PolicyObject>> + Send + 'static,
    namespaces: impl Stream<Item = Change<NamespaceObject>> + Send + 'static,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let noting = ctx.clone();
    let policies = policies.map(move |change| note_policy(&noting, change));
    let noting = ctx.clone();
    let namespaces = namespaces.map(move |change| note_namespace(&noting, change));
    let mut changes = Box::pin(stream::select(policies, namespaces).take_until(Box::pin(stop)));
    loop {
        // A list that is awaited counts as missing from some time on, though nothing is told of it.
        let turn = ctx.policies.turns_in(clock::now().mono).unwrap_or(IDLE);
        match tokio::time::timeout(turn, changes.next()).await {
            Ok(None) => return,
            Ok(Some(())) | Err(_) => ctx.apply_policies(),
        }
    }
}

fn note_policy(ctx: &Context, change: Change<PolicyObject>) {
    match &change {
        Change::Listed => ctx.listed(List::Policies),
        Change::Now(object) => {
            if let Err(invalid) = &object.0 {
                let (name, error) = (&invalid.metadata.name, &invalid.error);
                warn!(name, %error, "a DialingPolicy can't be decoded: no campaign that it may concern may run");
            }
        }
        Change::Gone(_) | Change::Failed(_) => {}
    }
    ctx.policies.note_policy(change, clock::now().mono);
}

fn note_namespace(ctx: &Context, change: Change<NamespaceObject>) {
    if matches!(change, Change::Listed) {
        ctx.listed(List::Namespaces);
    }
    ctx.policies.note_namespace(change, clock::now().mono);
}
