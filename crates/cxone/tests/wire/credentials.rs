//! Which credentials a call goes with, when those of the tenant are lost or wrong.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cxone::{Client, CredentialSource, Credentials, CredentialsMissing, Dialer, Lane, Trouble};

use crate::server::{Reply, Server};
use crate::support::*;

const MISSING: Trouble = Trouble::CredentialsMissing("gone");

/// Hands out the client id that it holds, if it holds one.
struct Holder(Mutex<Option<&'static str>>);

impl Holder {
    fn of(id: Option<&'static str>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(id)))
    }

    fn set(&self, id: Option<&'static str>) {
        *self.0.lock().unwrap() = id;
    }
}

#[async_trait]
impl CredentialSource for Holder {
    async fn credentials(&self) -> Result<Credentials, CredentialsMissing> {
        let id = self.0.lock().unwrap().ok_or(CredentialsMissing("gone"))?;
        Ok(Credentials { client_id: id.to_owned(), client_secret: SECRET.into() })
    }
}

/// A platform that accepts the client ids `old` and `new`, and whose tokens can be ended.
struct Platform {
    server: Server,
    era: Arc<AtomicUsize>,
}

impl Platform {
    async fn start() -> Self {
        let era = Arc::new(AtomicUsize::new(0));
        let now = era.clone();
        let server = Server::start(move |request, _| {
            let era = now.load(Ordering::SeqCst);
            let id = ["old", "new"].into_iter().find(|id| request.body.contains(&format!("client_id={id}&")));
            match (request.target.ends_with(TOKEN), id) {
                (true, Some(id)) => {
                    Reply::json(format!(r#"{{"access_token":"{id}-{era}","expires_in":1800}}"#))
                }
                (true, None) => Reply::status(401),
                (false, _) if request.header("authorization").unwrap().ends_with(&format!("-{era}")) => {
                    state("paused")
                }
                (false, _) => Reply::status(401),
            }
        })
        .await;
        Self { server, era }
    }

    fn end_tokens(&self) {
        self.era.fetch_add(1, Ordering::SeqCst);
    }

    fn client(&self, source: &Arc<Holder>) -> Client {
        Client::new(config(&self.server.url), source.clone()).unwrap()
    }

    /// A client that was accepted with the id `old`.
    async fn accepted(&self) -> (Client, Arc<Holder>) {
        let source = Holder::of(Some("old"));
        let client = self.client(&source);
        client.check_token().await.unwrap();
        (client, source)
    }

    fn last_bearer(&self) -> String {
        self.server.log().pop().unwrap().header("authorization").unwrap().to_owned()
    }
}

async fn close(client: &Client) -> Result<(), Trouble> {
    client.request("c-1", &pause(), Lane::Close).await.map(drop)
}

#[tokio::test]
async fn without_credentials_a_close_goes_on_with_those_accepted_last_and_no_open_call_does() {
    let clock = Clock::stop();
    let platform = Platform::start().await;
    let (client, source) = platform.accepted().await;
    source.set(None);
    platform.end_tokens();
    assert_eq!(close(&client).await, Ok(()));
    assert_eq!(client.observe("c-1", Lane::Close).await.map(drop), Ok(()));
    assert_eq!(client.check_token().await, Err(MISSING));
    assert_eq!(client.observe("c-1", Lane::Open).await.map(drop), Err(MISSING));
    assert_eq!(close(&client).await, Ok(()));
    // The first, and one for all closes.
    assert_eq!(platform.server.count("POST", TOKEN), 2);

    source.set(Some("new"));
    // A failure is shared for a second.
    clock.advance(Duration::from_secs(2)).await;
    assert_eq!(client.observe("c-1", Lane::Open).await.map(drop), Ok(()));
    assert_eq!(platform.last_bearer(), "Bearer new-1");
    assert_eq!(close(&client).await, Ok(()));
    assert_eq!(platform.last_bearer(), "Bearer new-1");
}

#[tokio::test]
async fn with_credentials_that_are_refused_a_close_goes_on_with_those_accepted_last() {
    let platform = Platform::start().await;
    let (client, source) = platform.accepted().await;
    source.set(Some("wrong"));
    client.credentials_changed();
    assert_eq!(client.check_token().await, Err(Trouble::Unauthorized));
    assert_eq!(close(&client).await, Ok(()));
    assert_eq!(platform.last_bearer(), "Bearer old-0");
    assert_eq!(client.observe("c-1", Lane::Open).await.map(drop), Err(Trouble::Unauthorized));
}

#[tokio::test]
async fn what_is_told_is_what_the_tenants_own_credentials_met() {
    let platform = Platform::start().await;
    let never_accepted = platform.client(&Holder::of(Some("wrong")));
    assert_eq!(close(&never_accepted).await, Err(Trouble::Unauthorized));
    assert_eq!(platform.server.count("POST", TOKEN), 1);

    let refused_since =
        Server::start(|_, before| if before == 0 { token(1) } else { Reply::status(401) }).await;
    let source = Holder::of(Some("old"));
    let client = Client::new(config(&refused_since.url), source.clone()).unwrap();
    client.check_token().await.unwrap();
    source.set(None);
    client.credentials_changed();
    assert_eq!(close(&client).await, Err(MISSING));
    assert_eq!(refused_since.count("POST", TOKEN), 2);
}

#[tokio::test]
async fn the_same_credentials_are_not_tried_twice_and_none_where_the_token_route_is_down() {
    for (status, source) in [(401, "old"), (500, "new")] {
        let server =
            Server::start(move |_, before| if before == 0 { token(1) } else { Reply::status(status) }).await;
        let holder = Holder::of(Some("old"));
        let client = Client::new(config(&server.url), holder.clone()).unwrap();
        client.check_token().await.unwrap();
        holder.set(Some(source));
        client.credentials_changed();
        assert!(close(&client).await.is_err());
        assert_eq!(server.count("POST", TOKEN), 2, "{status}");
    }
}

#[tokio::test]
async fn a_client_takes_over_from_the_one_before_it_unless_that_spoke_to_another_endpoint() {
    let platform = Platform::start().await;
    let (former, _) = platform.accepted().await;
    let client = platform.client(&Holder::of(None));
    assert_eq!(close(&client).await, Err(MISSING));
    client.succeed(&former);
    assert_eq!(close(&client).await, Ok(()));
    assert_eq!(client.check_token().await, Err(MISSING));

    let elsewhere = Platform::start().await;
    let client = elsewhere.client(&Holder::of(None));
    client.succeed(&former);
    assert_eq!(close(&client).await, Err(MISSING));
    assert!(elsewhere.server.log().is_empty());
}
