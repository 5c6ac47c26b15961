//! `GET` and `PUT .../state`

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::config::{Scope, State};
use crate::refusal::{Refusal, ensure};
use crate::wire::call::Call;
use crate::wire::reply::Reply;
use crate::wire::visit::Visit;
use crate::wire::{key, not_found};
use crate::world::Apply;
use crate::world::schedule::Order;

const LONGEST_PAUSE: u64 = 7200;
const FIELDS: [&str; 6] =
    ["campaignId", "status", "pauseDurationSeconds", "resumeMode", "notifyAgentPool", "metadata"];

pub(super) fn read(visit: &Visit, call: &Call) -> Result<Reply, Reply> {
    visit.shared.with(|world, now| {
        let key = key(world.admit(now, call.token.as_deref(), Scope::CampaignsRead)?, call);
        let campaign = world.campaign(&key).ok_or_else(not_found)?;
        Ok(Reply::ok(json!({"campaignId": key.campaign, "status": campaign.state()})))
    })
}

pub(super) fn write(visit: &Visit, call: &Call, apply: Apply) -> Result<Reply, Reply> {
    visit.shared.with(|world, now| {
        let key = key(world.admit(now, call.token.as_deref(), Scope::CampaignsWrite)?, call);
        world.campaign(&key).ok_or_else(not_found)?;
        let (to, pause) = order(call, &key.campaign).map_err(|refusal| Reply::bad_field(&refusal))?;
        let order = Order { to, pause, request: visit.seq };
        if !world.put(now, &key, order, apply) {
            return Err(Reply::conflict());
        }
        Ok(Reply::ok(json!({"campaignId": key.campaign, "status": to})))
    })
}

/// Reads the body of a PUT: the new state, and how long the pause lasts if it is a timed one.
fn order(call: &Call, campaign: &str) -> Result<(State, Option<Duration>), Refusal> {
    let body: Value = serde_json::from_slice(call.body.as_deref().unwrap_or_default())
        .map_err(|e| Refusal { field: "body".into(), message: format!("is not JSON: {e}") })?;
    let body = body.as_object().ok_or_else(|| Refusal::new("body", &body, "a JSON object"))?;
    known_fields_only(body)?;
    same_campaign(body, campaign)?;
    let to = status(body)?;
    let pause = pause(body, to)?;
    resume_mode(body)?;
    let notify = field(body, "notifyAgentPool");
    ensure(notify.is_boolean(), "notifyAgentPool", notify, "true or false")?;
    metadata(field(body, "metadata"))?;
    Ok((to, pause))
}

fn field<'a>(body: &'a Map<String, Value>, name: &str) -> &'a Value {
    body.get(name).unwrap_or(&Value::Null)
}

fn known_fields_only(body: &Map<String, Value>) -> Result<(), Refusal> {
    let unknown = body.iter().find(|(name, _)| !FIELDS.contains(&name.as_str()));
    unknown.map_or(Ok(()), |(name, value)| Err(Refusal::new(name, value, FIELDS.join(", "))))
}

fn same_campaign(body: &Map<String, Value>, campaign: &str) -> Result<(), Refusal> {
    let id = field(body, "campaignId");
    ensure(id.as_str() == Some(campaign), "campaignId", id, format!("{campaign:?}, as in the path"))
}

fn status(body: &Map<String, Value>) -> Result<State, Refusal> {
    let status = field(body, "status");
    serde_json::from_value(status.clone())
        .map_err(|_| Refusal::new("status", status, "\"paused\", \"running\", \"stopped\""))
}

fn pause(body: &Map<String, Value>, to: State) -> Result<Option<Duration>, Refusal> {
    const NAME: &str = "pauseDurationSeconds";
    let value = field(body, NAME);
    let seconds = value.as_u64().filter(|seconds| *seconds <= LONGEST_PAUSE);
    let seconds = seconds.ok_or_else(|| Refusal::new(NAME, value, "a whole number from 0 to 7200"))?;
    ensure(
        seconds == 0 || to == State::Paused,
        NAME,
        value,
        format!("0 unless paused, not {}", to.as_str()),
    )?;
    Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
}

fn resume_mode(body: &Map<String, Value>) -> Result<(), Refusal> {
    const MODES: [&str; 3] = ["immediate", "gradual", "scheduled"];
    let mode = field(body, "resumeMode");
    let known = mode.as_str().is_some_and(|mode| MODES.contains(&mode));
    ensure(known, "resumeMode", mode, "\"immediate\", \"gradual\", \"scheduled\"")
}

fn metadata(metadata: &Value) -> Result<(), Refusal> {
    let accepted = "{\"transitionId\": uuid, \"requestedAt\": RFC 3339 in UTC}";
    let fields = metadata.as_object().ok_or_else(|| Refusal::new("metadata", metadata, accepted))?;
    let unknown = fields.keys().find(|name| !["transitionId", "requestedAt"].contains(&name.as_str()));
    if let Some(name) = unknown {
        return Err(Refusal::new(format!("metadata.{name}"), &fields[name], accepted));
    }
    let id = field(fields, "transitionId");
    let is_uuid = id.as_str().is_some_and(|id| Uuid::try_parse(id).is_ok());
    ensure(is_uuid, "metadata.transitionId", id, "a UUID")?;
    let at = field(fields, "requestedAt");
    let is_utc = at.as_str().is_some_and(is_rfc3339_utc);
    ensure(is_utc, "metadata.requestedAt", at, "an instant as in RFC 3339, in UTC")
}

fn is_rfc3339_utc(text: &str) -> bool {
    let in_utc = text.ends_with('Z') || text.ends_with("+00:00");
    in_utc && text.as_bytes().get(10) == Some(&b'T') && text.parse::<Timestamp>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_utc_instants_in_full_are_taken() {
        assert!(is_rfc3339_utc("2026-11-22T17:00:00Z"));
        assert!(is_rfc3339_utc("2026-11-22T17:00:00.123456789+00:00"));
        for wrong in ["2026-11-22T17:00:00-05:00", "2026-11-22", "2026-11-22 17:00:00Z", "now", ""] {
            assert!(!is_rfc3339_utc(wrong), "{wrong}");
        }
    }
}
