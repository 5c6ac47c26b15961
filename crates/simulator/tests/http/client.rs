//! A client as simple as can be: no cache, no retry, no redirect.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use simulator::{Simulator, SimulatorConfig, State};

pub const ORGANIZATION: &str = "acme";
pub const CAMPAIGN: &str = "c-1";

/// Long enough for a slow machine; nothing waits that long when all is well.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

/// A simulator with one running campaign, and a client of its tenant.
pub async fn start() -> (Simulator, Client) {
    let sim = Simulator::start(SimulatorConfig::default()).await.unwrap();
    sim.campaign(ORGANIZATION, CAMPAIGN).set(State::Running);
    let client = Client::of(&sim, ORGANIZATION).await;
    (sim, client)
}

impl Client {
    pub async fn of(sim: &Simulator, organization: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let mut client = Self { http: http.build().unwrap(), url: sim.url(), token: String::new() };
        let answer = client.log_in(organization, &sim.tenant(organization).client_secret()).await;
        client.token = json(answer).await["access_token"].as_str().unwrap().into();
        client
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub async fn log_in(&self, organization: &str, secret: &str) -> Response {
        let client_id = format!("{organization}-client");
        let form =
            [("grant_type", "client_credentials"), ("client_id", &client_id), ("client_secret", secret)];
        self.request(Method::POST, "/api/v2/oauth/token").form(&form).send().await.unwrap()
    }

    pub fn authorized(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(&self.token)
    }

    pub async fn get(&self, path: &str) -> reqwest::Result<Response> {
        self.authorized(Method::GET, path).send().await
    }

    pub async fn read(&self) -> reqwest::Result<Response> {
        self.get(&format!("/api/v2/campaigns/outbound/{CAMPAIGN}/state")).await
    }

    pub async fn stats(&self, query: &str) -> Value {
        let path = format!("/api/v2/campaigns/outbound/{CAMPAIGN}/stats{query}");
        json(self.get(&path).await.unwrap()).await
    }

    pub async fn put(&self, body: &Value) -> reqwest::Result<Response> {
        let path = format!("/api/v2/campaigns/outbound/{CAMPAIGN}/state");
        self.authorized(Method::PUT, &path).json(body).send().await
    }

    pub async fn write(&self, status: &str) -> reqwest::Result<Response> {
        self.put(&order(status)).await
    }

    pub async fn control(&self, method: Method, path: &str, body: Value) -> Response {
        self.request(method, &format!("/_sim{path}")).json(&body).send().await.unwrap()
    }
}

pub fn order(status: &str) -> Value {
    json!({
        "campaignId": CAMPAIGN,
        "status": status,
        "pauseDurationSeconds": 0,
        "resumeMode": "immediate",
        "notifyAgentPool": true,
        "metadata": {
            "transitionId": "4f6c2f0e-6d0a-4d0e-9b7e-0a4c6f2b1d11",
            "requestedAt": "2026-11-22T17:00:00Z",
        },
    })
}

pub async fn json(response: Response) -> Value {
    response.json().await.unwrap()
}
