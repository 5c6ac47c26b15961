//! The control API under `/_sim`: everything that a test or a person may do to the world.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, Path, Query, Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::config::{CampaignConfig, SettingsPatch, State as CampaignState, TenantConfig};
use crate::faults::{Effect, Fault, FaultId};
use crate::log::{LogEntry, Route};
use crate::refusal::{Refusal, from_json};
use crate::shared::Shared;
use crate::world::World;
use crate::world::schedule::{Key, SecondWriter};

type Sim = State<Arc<Shared>>;
type Campaign = Path<(String, String)>;
type Outcome = Result<Json<Value>, Refused>;

/// The routes below `/_sim`.
pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/state", get(snapshot))
        .route("/log", get(read_log).delete(clear_log))
        .route("/settings", patch(edit_settings))
        .route("/tokens/revoke", post(revoke_tokens))
        .route("/tenants", post(put_tenant))
        .route("/tenants/{organization}/campaigns/{id}", put(put_campaign))
        .route("/tenants/{organization}/campaigns/{id}/outside", post(write_from_outside))
        .route(
            "/tenants/{organization}/campaigns/{id}/second-writer",
            post(begin_second_writer).delete(stop_second_writer),
        )
        .route("/faults", get(list_faults).post(add_fault).delete(clear_faults))
        .route("/faults/{id}", delete(remove_fault))
        .fallback(unknown)
}

/// An answer that says why not.
struct Refused(StatusCode, Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, refusal) = self;
        (status, Json(json!({"error": "refused", "field": refusal.field, "message": refusal.message})))
            .into_response()
    }
}

/// A JSON body of whatever content type, so that a bare `curl -d` does.
struct Body<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let unreadable = |e: &dyn std::fmt::Display| Refusal { field: String::new(), message: e.to_string() };
        let bytes = Bytes::from_request(request, state).await.map_err(|e| unreadable(&e))?;
        Ok(Self(from_json(&bytes)?))
    }
}

async fn snapshot(State(sim): Sim) -> impl IntoResponse {
    Json(sim.with(World::snapshot))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[derive(Default)]
struct LogQuery {
    since: u64,
    campaign: Option<String>,
    route: Option<Route>,
}

async fn read_log(State(sim): Sim, uri: Uri) -> Result<Json<Vec<LogEntry>>, Refused> {
    let Query(query) = Query::<LogQuery>::try_from_uri(&uri)
        .map_err(|e| Refusal { field: "query".into(), message: e.body_text() })?;
    let wanted = |entry: &&LogEntry| {
        query.campaign.as_ref().is_none_or(|id| entry.campaign.as_ref() == Some(id))
            && query.route.is_none_or(|route| entry.is_request(route))
    };
    Ok(Json(sim.with(|world, _| world.log.since(query.since).filter(wanted).cloned().collect())))
}

async fn clear_log(State(sim): Sim) -> StatusCode {
    sim.with(|world, _| world.log.clear());
    StatusCode::NO_CONTENT
}

async fn edit_settings(State(sim): Sim, Body(patch): Body<SettingsPatch>) -> Outcome {
    sim.with(|world, _| {
        patch.apply(&mut world.settings)?;
        Ok(Json(json!(world.settings)))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Revocation {
    tenant: Option<String>,
}

async fn revoke_tokens(State(sim): Sim, body: Bytes) -> Result<StatusCode, Refused> {
    let whose: Revocation = if body.is_empty() { Revocation { tenant: None } } else { from_json(&body)? };
    sim.with(|world, _| {
        if let Some(name) = &whose.tenant {
            let known = world.tenant_mut(name).is_some();
            crate::refusal::ensure(known, "tenant", name, "a tenant that exists, or nothing for all")?;
        }
        world.revoke_tokens(whose.tenant.as_deref());
        Ok(StatusCode::NO_CONTENT)
    })
}

async fn put_tenant(State(sim): Sim, Body(config): Body<TenantConfig>) -> Outcome {
    sim.with(|world, now| world.put_tenant(now, &config))?;
    let campaigns: Vec<_> = config.campaigns.keys().collect();
    Ok(Json(
        json!({"organization": config.organization, "clientId": config.client_id, "campaigns": campaigns}),
    ))
}

async fn put_campaign(
    State(sim): Sim,
    Path((organization, id)): Campaign,
    Body(config): Body<CampaignConfig>,
) -> Outcome {
    sim.with(|world, now| {
        world.put_campaign(now, &organization, &id, &config)?;
        let state = world.campaign(&key(&organization, &id)).map(|campaign| campaign.state());
        Ok(Json(json!({"tenant": organization, "campaign": id, "status": state})))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OutsideWrite {
    status: CampaignState,
}

async fn write_from_outside(
    State(sim): Sim,
    Path((organization, id)): Campaign,
    Body(write): Body<OutsideWrite>,
) -> Outcome {
    sim.with(|world, now| {
        let key = known(world, &organization, &id)?;
        let changed = world.write_from_outside(now, &key, write.status);
        Ok(Json(json!({"tenant": organization, "campaign": id, "status": write.status, "changed": changed})))
    })
}

async fn begin_second_writer(
    State(sim): Sim,
    Path((organization, id)): Campaign,
    Body(writer): Body<SecondWriter>,
) -> Result<StatusCode, Refused> {
    writer.check()?;
    sim.with(|world, now| {
        let key = known(world, &organization, &id)?;
        world.begin_second_writer(now, key, writer);
        Ok(StatusCode::CREATED)
    })
}

async fn stop_second_writer(
    State(sim): Sim,
    Path((organization, id)): Campaign,
) -> Result<StatusCode, Refused> {
    sim.with(|world, _| {
        let key = known(world, &organization, &id)?;
        world.stop_second_writer(&key);
        Ok(StatusCode::NO_CONTENT)
    })
}

async fn list_faults(State(sim): Sim) -> impl IntoResponse {
    Json(sim.with(|world, now| world.faults.list(now)))
}

async fn add_fault(State(sim): Sim, body: Bytes) -> Result<impl IntoResponse, Refused> {
    let fault: Fault = from_json(&body)?;
    known_fields_only(&fault.effect, &body)?;
    fault.check()?;
    let id = sim.with(|world, now| world.faults.add(now, fault));
    Ok((StatusCode::CREATED, Json(json!({"id": id}))))
}

/// Serde lets unknown fields pass in tagged variants that have none of their own, so this looks again.
fn known_fields_only(effect: &Effect, body: &[u8]) -> Result<(), Refused> {
    let (given, known) = (from_json::<Value>(body)?, json!(effect));
    let unknown =
        given["effect"].as_object().into_iter().flatten().find(|(name, _)| known.get(name).is_none());
    let Some((name, value)) = unknown else { return Ok(()) };
    let fields: Vec<_> = known.as_object().into_iter().flat_map(|fields| fields.keys()).collect();
    let accepted = format!("only the fields {}", json!(fields));
    Err(Refusal::new(format!("effect.{name}"), value, accepted).into())
}

async fn clear_faults(State(sim): Sim) -> StatusCode {
    sim.with(|world, _| world.faults.clear());
    StatusCode::NO_CONTENT
}

async fn remove_fault(State(sim): Sim, Path(id): Path<String>) -> Result<StatusCode, Refused> {
    sim.with(|world, now| {
        let removed = id.parse().is_ok_and(|id| world.faults.remove(FaultId(id)));
        if removed {
            return Ok(StatusCode::NO_CONTENT);
        }
        let ids: Vec<_> = world.faults.list(now).iter().map(|fault| fault.id).collect();
        Err(Refused(StatusCode::NOT_FOUND, Refusal::new("id", id, format!("one of {}", json!(ids)))))
    })
}

async fn unknown(uri: Uri) -> Refused {
    let accepted = "state, log, settings, tokens/revoke, tenants, tenants/{organization}/campaigns/{id}[/outside|/second-writer], faults[/{id}]";
    Refused(StatusCode::NOT_FOUND, Refusal::new("path", uri.path(), accepted))
}

fn key(organization: &str, id: &str) -> Key {
    Key { organization: organization.into(), campaign: id.into() }
}

fn known(world: &World, organization: &str, id: &str) -> Result<Key, Refused> {
    let key = key(organization, id);
    if world.campaign(&key).is_some() {
        return Ok(key);
    }
    let accepted = "a campaign that exists (create it with PUT /_sim/tenants/{organization}/campaigns/{id})";
    Err(Refused(StatusCode::NOT_FOUND, Refusal::new("campaign", format!("{organization}/{id}"), accepted)))
}
