//! A request on its way through: noted when it comes, noted again when it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::faults::{Effect, FaultId, Subject};
use crate::log::{EntryKind, LogEntry, Outcome, RequestEntry, Route};
use crate::shared::Shared;
use crate::wire::call::Call;
use crate::world::World;

const REDACTED: &str = "[redacted]";

/// A request that is in the log and not over. Dropped before its end, it says that the client has gone.
pub(crate) struct Visit {
    pub shared: Arc<Shared>,
    pub seq: u64,
    pub fault: Option<(FaultId, Effect)>,
    over: AtomicBool,
}

impl Visit {
    /// Notes the request and lets the faults decide over it.
    pub(crate) fn begin(shared: Arc<Shared>, call: &Call) -> Self {
        let (seq, fault) = shared.with(|world, now| {
            let tenant = tenant(world, call);
            let (tenant_name, campaign) = (tenant.as_deref(), call.campaign.as_deref());
            let fault = world.faults.pick(now, &Subject { route: call.route, tenant: tenant_name, campaign });
            let request = RequestEntry {
                fault: fault.as_ref().map(|(id, _)| *id),
                fault_kind: fault.as_ref().map(|(_, effect)| effect.kind()),
                ..request(world, call)
            };
            let at = world.wall(now);
            let campaign = campaign.map(|id| scrub(world, id));
            let (kind, ended_at, change) = (EntryKind::Request, None, None);
            let entry =
                |seq| LogEntry { seq, kind, at, ended_at, tenant, campaign, request: Some(request), change };
            (world.log.append(entry), fault)
        });
        Self { shared, seq, fault, over: AtomicBool::new(false) }
    }

    /// Notes how the request ends. A hang is not its end yet: that is when the client goes.
    pub(crate) fn note(&self, outcome: Outcome, status: Option<u16>) {
        self.over.store(outcome != Outcome::Hung, Ordering::Relaxed);
        self.shared.with(|world, now| {
            let ended_at = (outcome != Outcome::Hung).then(|| world.wall(now));
            world.log.edit(self.seq, |entry| {
                entry.ended_at = ended_at;
                if let Some(request) = &mut entry.request {
                    (request.outcome, request.status) = (outcome, status);
                }
            });
        });
    }

    /// Waits until the fault that decided over this request is removed.
    pub(crate) async fn fault_removed(&self) {
        let mut changes = self.shared.watch();
        while let Some((id, _)) = &self.fault
            && self.shared.with(|world, _| world.faults.contains(*id))
            && changes.changed().await.is_ok()
        {}
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if self.over.load(Ordering::Relaxed) {
            return;
        }
        self.shared.with(|world, now| {
            let at = world.wall(now);
            world.log.edit(self.seq, |entry| {
                entry.ended_at = Some(at);
                let pending = entry.request.iter_mut().filter(|r| r.outcome == Outcome::Pending);
                pending.for_each(|request| request.outcome = Outcome::ClientGone);
            });
        });
    }
}

fn tenant(world: &World, call: &Call) -> Option<String> {
    let tenant = match call.route {
        Route::Token => call.field("client_id").and_then(|id| world.tenant_of_client(&id)),
        _ => call.token.as_deref().and_then(|token| world.tenant_of_token(token)),
    };
    tenant.map(Into::into)
}

fn request(world: &World, call: &Call) -> RequestEntry {
    RequestEntry {
        method: call.method.to_string(),
        route: call.route,
        path: scrub(world, &call.path),
        query: call.query.as_deref().map(|query| scrub(world, query)),
        body: json_body(call).map(|body| scrub_json(world, body)),
        outcome: Outcome::Pending,
        status: None,
        fault: None,
        fault_kind: None,
        effective: false,
    }
}

/// The body of a PUT. Bodies of other requests stay out of the log: that of the token route is all secrets.
fn json_body(call: &Call) -> Option<Value> {
    let body = call.body.as_deref().filter(|_| call.route == Route::StatePut)?;
    serde_json::from_slice(body).ok()
}

fn scrub(world: &World, text: &str) -> String {
    let decoded = percent_decode_str(text).decode_utf8_lossy();
    if world.is_secret(text) || world.is_secret(&decoded) { REDACTED.into() } else { text.into() }
}

fn scrub_json(world: &World, value: Value) -> Value {
    match value {
        Value::String(text) => json!(scrub(world, &text)),
        Value::Array(items) => items.into_iter().map(|item| scrub_json(world, item)).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (scrub(world, &name), scrub_json(world, value))).collect()
        }
        other => other,
    }
}
