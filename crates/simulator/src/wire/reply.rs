//! Answers as CXone gives them, and how faults spoil them.

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use crate::faults::Effect;
use crate::refusal::Refusal;
use crate::world::tenant::Denied;

/// An answer that is not sent yet.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// A string goes as plain text, anything else as JSON.
    pub body: Value,
}

impl Reply {
    pub(crate) fn ok(body: Value) -> Self {
        Self { status: 200, headers: Vec::new(), body }
    }

    pub(crate) fn error(status: u16, error: &str, description: impl Into<String>) -> Self {
        let description = description.into();
        Self { status, headers: Vec::new(), body: json!({"error": error, "error_description": description}) }
    }

    pub(crate) fn conflict() -> Self {
        Self::error(409, "conflict", "the state was changed by someone else, or the sequence is invalid")
    }

    pub(crate) fn bad_field(refusal: &Refusal) -> Self {
        let mut reply = Self::error(400, "invalid_request", refusal.to_string());
        if let Value::Object(body) = &mut reply.body {
            body.insert("field".into(), json!(refusal.field));
        }
        reply
    }

    pub(crate) fn redirect(location: &str) -> Self {
        Self::error(302, "found", "moved").with(LOCATION, location)
    }

    pub(crate) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name.as_str().into(), value.into()));
        self
    }

    /// Puts `word` where the status of the campaign is.
    pub(crate) fn reworded(mut self, word: &str) -> Self {
        let rows = self.body.get_mut("page").and_then(Value::as_array_mut).into_iter().flatten();
        rows.filter_map(|row| row.get_mut("status")).for_each(|status| *status = json!(word));
        if let Some(status) = self.body.get_mut("status") {
            *status = json!(word);
        }
        self
    }

    pub(crate) fn with_next_page(mut self, token: &str) -> Self {
        if let Some(next) = self.body.get_mut("nextPageToken") {
            *next = json!(token);
        }
        self
    }

    pub(crate) fn without_active_calls(mut self) -> Self {
        let rows = self.body.get_mut("page").and_then(Value::as_array_mut).into_iter().flatten();
        rows.filter_map(Value::as_object_mut).for_each(|row| {
            row.remove("activeCalls");
        });
        self
    }

    pub(crate) fn bytes(&self) -> Bytes {
        match &self.body {
            Value::String(text) => text.clone().into(),
            json => json.to_string().into(),
        }
    }

    pub(crate) fn into_response(self) -> Response {
        let plain = self.body.is_string();
        let mut response = Response::new(Body::from(self.bytes()));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = if plain { "text/plain; charset=utf-8" } else { "application/json" };
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

impl From<Denied> for Reply {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unauthorized => {
                Self::error(401, "invalid_token", "the access token is expired or unknown")
                    .with(WWW_AUTHENTICATE, "Bearer")
            }
            Denied::Forbidden(scope) => {
                Self::error(403, "insufficient_scope", format!("needs the scope {}", scope.as_str()))
            }
            Denied::TooMany(retry_after) => {
                let reply = Self::error(429, "too_many_requests", "the limit of this tenant is reached");
                retry_after.into_iter().fold(reply, |reply, value| reply.with(RETRY_AFTER, value))
            }
        }
    }
}

/// The answer that [`Effect::Answer`] describes; absent for other effects.
pub(crate) fn prescribed(effect: &Effect) -> Option<Reply> {
    let Effect::Answer { status, retry_after, body, headers } = effect else { return None };
    let mut reply = Reply::error(*status, "fault", "answered so by a fault of the simulator");
    reply.body = body.clone().unwrap_or(reply.body);
    reply.headers = headers.clone().into_iter().collect();
    Some(retry_after.iter().fold(reply, |reply, value| reply.with(RETRY_AFTER, value)))
}
