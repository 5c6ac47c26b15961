//! A client for the server, and what a well-behaved platform answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cxone::{
    CampaignStatus, Client, ClientConfig, CredentialSource, Credentials, CredentialsMissing, Endpoint,
    ResumeMode, Transition,
};
use uuid::Uuid;

use crate::server::{Reply, Request, Server};

pub const TOKEN: &str = "/api/v2/oauth/token";
pub const SECRET: &str = "hunter2&=+";

/// Hands out the secret and counts.
#[derive(Default)]
pub struct Source {
    pub asked: AtomicUsize,
}

#[async_trait]
impl CredentialSource for Source {
    async fn credentials(&self) -> Result<Credentials, CredentialsMissing> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(Credentials { client_id: "id".to_owned(), client_secret: SECRET.into() })
    }
}

pub fn config(url: &str) -> ClientConfig {
    let timeout = Duration::from_secs(20);
    ClientConfig { timeout, ..ClientConfig::new(Endpoint::parse(url).unwrap()) }
}

pub fn client(server: &Server) -> Arc<Client> {
    client_with(config(&server.url))
}

pub fn impatient_client(server: &Server) -> Arc<Client> {
    client_with(ClientConfig { timeout: Duration::from_millis(300), ..config(&server.url) })
}

pub fn client_with(config: ClientConfig) -> Arc<Client> {
    Arc::new(Client::new(config, Arc::new(Source::default())).unwrap())
}

/// A server whose token route works and that answers the rest by the script.
pub async fn platform(script: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |request, before| match request.target.ends_with(TOKEN) {
        true => token(before + 1),
        false => script(request, before),
    })
    .await
}

pub fn token(count: usize) -> Reply {
    Reply::json(format!(r#"{{"access_token":"token-{count}","token_type":"Bearer","expires_in":1800}}"#))
}

pub fn state(status: &str) -> Reply {
    Reply::json(format!(r#"{{"campaignId":"c-1","status":"{status}"}}"#))
}

pub fn pause() -> Transition {
    Transition {
        id: Uuid::from_u128(7),
        to: CampaignStatus::Paused,
        resume_mode: ResumeMode::Immediate,
        notify_agent_pool: true,
        requested_at: jiff::Timestamp::UNIX_EPOCH,
    }
}

/// A clock that stands still until it is advanced, unlike a paused one, which runs ahead while sockets are waited for.
pub struct Clock {
    _busy: std::sync::mpsc::Sender<()>,
}

impl Clock {
    pub fn stop() -> Self {
        tokio::time::pause();
        let (busy, idle) = std::sync::mpsc::channel::<()>();
        // Time does not run ahead while a blocking task is at work; this one ends with the clock.
        tokio::task::spawn_blocking(move || idle.recv());
        Self { _busy: busy }
    }

    pub async fn advance(&self, by: Duration) {
        tokio::time::advance(by).await;
    }
}
