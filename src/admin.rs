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

/// A list of objects that must have been had once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    Campaigns,
    Tenants,
    Policies,
    Namespaces,
}

impl List {
    const ALL: [Self; 4] = [Self::Campaigns, Self::Tenants, Self::Policies, Self::Namespaces];

    fn resource(self) -> &'static str {
        match self {
            Self::Campaigns => "dialercampaignstates",
            Self::Tenants => "cxonetenants",
            Self::Policies => "dialingpolicies",
            Self::Namespaces => "namespaces",
        }
    }
}

/// What readiness waits for: each list of objects that must have been had once.
#[derive(Default)]
pub struct Readiness {
    had: [AtomicBool; List::ALL.len()],
    told: AtomicBool,
}

impl Readiness {
    /// Every object of this list has been had. Tells, once, that it was the last of them.
    pub fn listed(&self, list: List) -> bool {
        self.had[list as usize].store(true, Ordering::Release);
        self.all_listed() && !self.told.swap(true, Ordering::AcqRel)
    }

    /// Whether every object of this list has been had.
    pub fn has(&self, list: List) -> bool {
        self.had[list as usize].load(Ordering::Acquire)
    }

    /// Whether everything has been listed.
    pub fn all_listed(&self) -> bool {
        List::ALL.into_iter().all(|list| self.has(list))
    }

    fn missing(&self) -> Vec<&'static str> {
        List::ALL.into_iter().filter(|list| !self.has(*list)).map(List::resource).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_that_the_last_list_has_been_had() {
        let readiness = Readiness::default();
        let first: Vec<bool> = List::ALL.into_iter().map(|list| readiness.listed(list)).collect();
        assert_eq!(first, [false, false, false, true]);
        assert!(List::ALL.into_iter().all(|list| !readiness.listed(list)));
    }
}
