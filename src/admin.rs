//! `/livez`, `/readyz` and `/metrics`: truthful, each with its reason in the body.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

/// What readiness waits for: each list of objects that must have been had once.
#[derive(Default)]
pub struct Readiness {
    campaigns: AtomicBool,
    tenants: AtomicBool,
}

impl Readiness {
    /// Every declaration has been listed.
    pub fn campaigns_listed(&self) {
        self.campaigns.store(true, Ordering::Release);
    }

    /// Every tenant has been listed.
    pub fn tenants_listed(&self) {
        self.tenants.store(true, Ordering::Release);
    }

    /// Whether every tenant has been listed.
    pub fn knows_tenants(&self) -> bool {
        self.tenants.load(Ordering::Acquire)
    }

    /// Whether everything has been listed.
    pub fn all_listed(&self) -> bool {
        self.campaigns.load(Ordering::Acquire) && self.knows_tenants()
    }

    fn missing(&self) -> Vec<&'static str> {
        let lists = [("dialercampaignstates", &self.campaigns), ("cxonetenants", &self.tenants)];
        lists.into_iter().filter(|(_, had)| !had.load(Ordering::Acquire)).map(|(name, _)| name).collect()
    }
}

struct Admin {
    readiness: Arc<Readiness>,
    registry: Registry,
}

/// Binds the address, so that a port that is taken is told at start.
pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("--admin-addr {address} can't be listened on: choose another HOST:PORT"))
}

/// Serves until the process ends.
pub async fn serve(listener: TcpListener, readiness: Arc<Readiness>, registry: Registry) -> Result<()> {
    let admin = Arc::new(Admin { readiness, registry });
    let router = Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin);
    axum::serve(listener, router).await.context("the admin server ended")
}

async fn readyz(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    match admin.readiness.missing().as_slice() {
        [] => (StatusCode::OK, "ready\n".to_owned()),
        missing => {
            let lists = missing.join(", ");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("not listed yet: {lists} (are the CRDs applied, and may the operator list them?)\n"),
            )
        }
    }
}

async fn metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &admin.registry) {
        Ok(()) => (
            StatusCode::OK,
            [(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")],
            text,
        ),
        Err(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(CONTENT_TYPE, "text/plain")],
            "metrics can't be encoded\n".into(),
        ),
    }
}
