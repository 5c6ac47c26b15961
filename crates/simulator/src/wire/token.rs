//! `POST .../oauth/token`

use axum::http::header::CACHE_CONTROL;
use serde_json::json;
use uuid::Uuid;

use crate::shared::Shared;
use crate::wire::call::Call;
use crate::wire::reply::Reply;
use crate::world::tenant::TOKEN_PREFIX;

const FORM: &str = "application/x-www-form-urlencoded";

pub(super) fn issue(shared: &Shared, call: &Call) -> Result<Reply, Reply> {
    if !call.content_type.starts_with(FORM) {
        return Err(Reply::error(400, "invalid_request", format!("the content type must be {FORM}")));
    }
    if call.field("grant_type").as_deref() != Some("client_credentials") {
        return Err(Reply::error(400, "unsupported_grant_type", "grant_type must be client_credentials"));
    }
    let client_id = call.field("client_id").unwrap_or_default();
    let secret = call.field("client_secret").unwrap_or_default();
    let token = format!("{TOKEN_PREFIX}{}", Uuid::new_v4().simple());
    let lifetime = shared.with(|world, now| world.issue_token(now, &client_id, &secret, token.clone()));
    let lifetime = lifetime
        .ok_or_else(|| Reply::error(401, "invalid_client", "the client id or the client secret is wrong"))?;
    let body = json!({"access_token": token, "token_type": "Bearer", "expires_in": lifetime});
    Ok(Reply::ok(body).with(CACHE_CONTROL, "no-store"))
}
