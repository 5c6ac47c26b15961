//! A request as it came in.

use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use crate::log::Route;

/// Bytes of a body that are read; no request of this API comes near.
const BODY_LIMIT: usize = 64 << 10;

/// A request as it came in. Not to be printed: it holds secrets.
pub(crate) struct Call {
    pub method: Method,
    pub path: String,
    pub query: Option<String>,
    pub route: Route,
    pub campaign: Option<String>,
    pub token: Option<String>,
    pub content_type: String,
    /// Absent when it is too large or breaks off.
    pub body: Option<Bytes>,
}

impl Call {
    pub(crate) async fn read(request: Request) -> Self {
        let (head, body) = request.into_parts();
        let (route, campaign) = target(&head.method, head.uri.path());
        Self {
            route,
            campaign,
            token: bearer(&head.headers),
            content_type: text(&head.headers, CONTENT_TYPE).unwrap_or_default().into(),
            path: head.uri.path().into(),
            query: head.uri.query().map(Into::into),
            method: head.method,
            body: to_bytes(body, BODY_LIMIT).await.ok(),
        }
    }

    /// A parameter of the query.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        value(self.query.as_deref().unwrap_or_default().as_bytes(), name)
    }

    /// A field of the form in the body.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        value(self.body.as_deref().unwrap_or_default(), name)
    }

    /// Whether the path is one that this API has, with another method.
    pub(crate) fn is_wrong_method(&self) -> bool {
        let known = [Method::GET, Method::PUT, Method::POST];
        self.route == Route::Other && known.iter().any(|m| target(m, &self.path).0 != Route::Other)
    }
}

fn value(form: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(form).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn text(headers: &HeaderMap, name: axum::http::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let (scheme, token) = text(headers, AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().into())
}

/// What a request is about. One segment may stand before `/api`: base URLs with a path work.
fn target(method: &Method, path: &str) -> (Route, Option<String>) {
    let mut segments: Vec<_> = path.split('/').skip(1).collect();
    if segments.first() != Some(&"api") && segments.get(1) == Some(&"api") {
        segments.remove(0);
    }
    let (route, campaign) = match (method.as_str(), segments.as_slice()) {
        ("POST", ["api", "v2", "oauth", "token"]) => (Route::Token, None),
        ("GET", ["api", "v2", "campaigns", "outbound", id, "state"]) => (Route::StateGet, Some(id)),
        ("PUT", ["api", "v2", "campaigns", "outbound", id, "state"]) => (Route::StatePut, Some(id)),
        ("GET", ["api", "v2", "campaigns", "outbound", id, "stats"]) => (Route::Stats, Some(id)),
        (_, ["api", "v2", "campaigns", "outbound", id, ..]) => (Route::Other, Some(id)),
        _ => (Route::Other, None),
    };
    (route, campaign.map(|id| percent_decode_str(id).decode_utf8_lossy().into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_segment_before_api_is_ignored_and_two_are_not() {
        let state = "api/v2/campaigns/outbound/c-1/state";
        let known = (Route::StateGet, Some("c-1".to_owned()));
        assert_eq!(target(&Method::GET, &format!("/{state}")), known);
        assert_eq!(target(&Method::GET, &format!("/acme/{state}")), known);
        assert_eq!(target(&Method::GET, &format!("/a/b/{state}")).0, Route::Other);
    }

    #[test]
    fn campaign_ids_are_decoded() {
        let (_, campaign) = target(&Method::PUT, "/api/v2/campaigns/outbound/a%7Eb/state");
        assert_eq!(campaign.as_deref(), Some("a~b"));
    }
}
