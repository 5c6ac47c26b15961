//! Puts the rooms behind one address.

use std::sync::Arc;

use axum::Router;
use axum::http::header::CACHE_CONTROL;
use axum::response::{Html, IntoResponse};
use axum::routing::get;

use crate::shared::Shared;
use crate::{control, wire};

/// The page at `/`, the control API below `/_sim`, and CXone everywhere else.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(page))
        .nest("/_sim", control::router())
        .fallback(wire::handle)
        .with_state(shared)
}

async fn page() -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-cache")], Html(include_str!("page.html")))
}
