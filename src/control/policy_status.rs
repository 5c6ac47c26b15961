//! Says on every policy how many campaigns it concerns, what it says now, and when that changes. Quiet, as all status.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use rules::kinds::{DialingPolicy, PolicyState, PolicyStatus, stamp, stamp_up};
use rules::policies::Policy;
use rules::policy_standing::standing;
use rules::reasons::{Reason, conditions};
use serde_json::json;
use tracing::{debug, warn};

use super::context::Context;
use super::policy_book::Entry;
use crate::clock;
use crate::kubernetes::WriteError;

/// At least that often it is looked whether something has changed: timers miss clock steps and machine sleep.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// How long changes that come together are waited for.
const GATHER: Duration = Duration::from_millis(200);
/// How long a write may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The version of a spec: uid and generation.
type Version = (Option<String>, Option<i64>);

/// Keeps the status of every policy until `stop` comes.
pub async fn supervise(ctx: Arc<Context>, stop: impl Future<Output = ()> + Send + 'static) {
    let tell = async {
        let mut memory = Memory::default();
        loop {
            let next = tell_all(&ctx, &mut memory).await;
            let sleep = next.map_or(LOOK_EVERY, |at| clock::now().until(at).min(LOOK_EVERY));
            let _ = tokio::time::timeout(sleep, ctx.policies_changed.notified()).await;
            tokio::time::sleep(GATHER).await;
        }
    };
    tokio::select! {
        () = tell => {}
        () = stop => {}
    }
}

/// What need not be said again.
#[derive(Default)]
struct Memory {
    /// Versions that were told that they can't be decoded.
    told_bad: HashSet<Version>,
    /// Policies whose status could not be written.
    unwritten: HashSet<String>,
}

/// Writes what is new. Gives when something of it changes next.
async fn tell_all(ctx: &Context, Memory { told_bad, unwritten }: &mut Memory) -> Option<Timestamp> {
    let mut next = None;
    for entry in ctx.policies.entries() {
        let written = match &entry {
            Entry::Good(object, policy) => {
                let status = status(ctx, object, policy);
                next = next.into_iter().chain(status.next_change.as_ref().map(|at| at.0)).min();
                write(ctx, object, &status).await
            }
            Entry::Bad(meta, _) if told_bad.contains(&version(meta)) => Ok(()),
            Entry::Bad(meta, why) => {
                let written = write_bad(ctx, meta, why).await;
                told_bad.extend(written.is_ok().then(|| version(meta)));
                written
            }
        };
        match written {
            Ok(()) | Err(WriteError::Gone | WriteError::Stale) => drop(unwritten.remove(entry.name())),
            Err(error) => {
                ctx.metrics.kubernetes_write_failures.inc();
                let (policy, first) = (entry.name(), unwritten.insert(entry.name().to_owned()));
                if first {
                    warn!(policy, %error, "the policy's status can't be written; trying again");
                } else {
                    debug!(policy, %error, "the policy's status still can't be written");
                }
            }
        }
    }
    next
}

fn status(ctx: &Context, object: &DialingPolicy, policy: &Arc<Policy>) -> PolicyStatus {
    // A search of 400 days can take its time: the other tasks of this thread go elsewhere meanwhile.
    let standing = tokio::task::block_in_place(|| standing(policy, clock::now().wall));
    let campaigns = if ctx.readiness.all_listed() {
        i32::try_from(ctx.board.count(|namespace| ctx.policies.selects(policy, namespace))).ok()
    } else {
        // A count of what has come so far would be taken back in a moment, at every start.
        object.status.as_ref().and_then(|status| status.campaigns)
    };
    let generation = object.metadata.generation.unwrap_or_default();
    let ready = match standing.state {
        PolicyState::Unreadable => (false, Reason::PolicyUnreadable, standing.message.as_str()),
        _ => (true, Reason::PolicyReady, standing.message.as_str()),
    };
    PolicyStatus {
        observed_generation: generation,
        campaigns,
        state: Some(standing.state),
        next_change: standing.next_change.map(stamp_up),
        conditions: conditions_of(object.status.as_ref(), generation, ready),
    }
}

/// `Ready`, and where it is not `Stalled` too: who waits by kstatus takes Ready=False alone for work under way.
fn conditions_of(
    old: Option<&PolicyStatus>,
    generation: i64,
    (ready, reason, message): (bool, Reason, &str),
) -> Vec<Condition> {
    let word = if ready { "True" } else { "False" };
    let old = old.and_then(|status| status.conditions.iter().find(|c| c.type_ == conditions::READY));
    let since = old.filter(|c| c.status == word).map(|c| c.last_transition_time.clone());
    let told = Condition {
        type_: conditions::READY.into(),
        status: word.into(),
        reason: reason.as_str().into(),
        message: message.into(),
        observed_generation: Some(generation),
        last_transition_time: since.unwrap_or_else(|| stamp(clock::now().wall)),
    };
    let stalled = (!ready).then(|| Condition {
        type_: conditions::STALLED.into(),
        status: "True".into(),
        ..told.clone()
    });
    std::iter::once(told).chain(stalled).collect()
}

async fn write(ctx: &Context, object: &DialingPolicy, status: &PolicyStatus) -> Result<(), WriteError> {
    if json!(object.status) == json!(status) {
        return Ok(());
    }
    ctx.kube.write_policy_status(object, status, PATIENCE).await?;
    ctx.metrics.status_writes.inc();
    Ok(())
}

fn version(meta: &ObjectMeta) -> Version {
    (meta.uid.clone(), meta.generation)
}

/// Says of a policy that it can't be decoded.
async fn write_bad(ctx: &Context, meta: &ObjectMeta, why: &str) -> Result<(), WriteError> {
    let message = format!("the object can't be decoded: {why}");
    let mut told =
        conditions_of(None, meta.generation.unwrap_or_default(), (false, Reason::PolicyUnreadable, &message));
    if let Some(created) = &meta.creation_timestamp {
        told.iter_mut().for_each(|condition| condition.last_transition_time = created.clone());
    }
    let status = json!({
        "observedGeneration": meta.generation, "state": PolicyState::Unreadable, "conditions": told,
    });
    ctx.kube.write_undecodable_policy(meta, &status, PATIENCE).await
}
