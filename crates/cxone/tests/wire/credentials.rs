//! Which credentials a call goes with, when those of the tenant are lost or wrong.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cxone::{Client, CredentialSource, Credentials, CredentialsMissing, Dialer, Lane, Trouble};

use crate::server::{Reply, Request, Server};
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

/// A platform whose tokens can be ended. It knows `old` and `new`, `reader`, who may change nothing, `nobody`, who may log
/// in and no more, and `barred`, who is told so at the door.
struct Platform {
    server: Server,
    era: Arc<AtomicUsize>,
}

impl Platform {
    async fn start() -> Self {
        let era = Arc::new(AtomicUsize::new(0));
        let now = era.clone();
        let server = Server::start(move |request, _| answer(request, now.load(Ordering::SeqCst))).await;
        Self { server, era }
    }

    fn end_tokens(&self) {
        self.era.fetch_add(1, Ordering::SeqCst);
    }

    fn client(&self, source: &Arc<Holder>) -> Client {
        Client::new(config(&self.server.url), source.clone()).unwrap()
    }

    /// A client that has changed something as `old`.
    async fn honoured(&self) -> (Client, Arc<Holder>) {
        let source = Holder::of(Some("old"));
        let client = self.client(&source);
        close(&client).await.unwrap();
        (client, source)
    }

    fn last_bearer(&self) -> String {
        self.server.log().pop().unwrap().header("authorization").unwrap().to_owned()
    }
}

fn answer(request: &Request, era: usize) -> Reply {
    if request.target.ends_with(TOKEN) {
        let is = |id: &&str| request.body.contains(&format!("client_id={id}&"));
        return match ["old", "new", "reader", "nobody", "barred"].into_iter().find(is) {
            Some("barred") => Reply::status(403),
            Some(id) => Reply::json(format!(r#"{{"access_token":"{id}-{era}","expires_in":1800}}"#)),
            None => Reply::status(401),
        };
    }
    let (id, of) = request.header("authorization").unwrap()["Bearer ".len()..].split_once('-').unwrap();
    match (id, request.method.as_str()) {
        _ if of != era.to_string() => Reply::status(401),
        ("nobody", _) | ("reader", "PUT") => Reply::status(403),
        _ => state("paused"),
    }
}

async fn close(client: &Client) -> Result<(), Trouble> {
    client.request("c-1", &pause(), Lane::Close).await.map(drop)
}

async fn look(client: &Client) -> Result<(), Trouble> {
    client.observe("c-1", Lane::Open).await.map(drop)
}

async fn start(client: &Client) -> Result<(), Trouble> {
    client.request("c-1", &pause(), Lane::Open).await.map(drop)
}

#[tokio::test]
async fn without_credentials_closes_and_looks_go_on_as_who_was_honoured_before_and_nothing_else_does() {
    let clock = Clock::stop();
    let platform = Platform::start().await;
    let (client, source) = platform.honoured().await;
    source.set(None);
    platform.end_tokens();
    assert_eq!(close(&client).await, Ok(()));
    assert_eq!(client.observe("c-1", Lane::Close).await.map(drop), Ok(()));
    assert_eq!(look(&client).await, Ok(()));
    assert_eq!(client.check_token().await, Err(MISSING));
    assert_eq!(start(&client).await, Err(MISSING));
    assert_eq!(client.volume("c-1").await.map(drop), Err(MISSING));
    assert_eq!(close(&client).await, Ok(()));
    // The first, and one for all that followed.
    assert_eq!(platform.server.count("POST", TOKEN), 2);

    source.set(Some("new"));
    // A failure is shared for a second.
    clock.advance(Duration::from_secs(2)).await;
    assert_eq!(start(&client).await, Ok(()));
    assert_eq!(platform.last_bearer(), "Bearer new-1");
    assert_eq!(close(&client).await, Ok(()));
    assert_eq!(platform.last_bearer(), "Bearer new-1");
}

#[tokio::test]
async fn with_credentials_that_are_refused_closes_and_looks_go_on_as_who_was_honoured_before() {
    for (id, trouble) in [("wrong", Trouble::Unauthorized), ("barred", Trouble::Forbidden)] {
        let platform = Platform::start().await;
        let (client, source) = platform.honoured().await;
        source.set(Some(id));
        client.credentials_changed();
        assert_eq!(client.check_token().await, Err(trouble));
        assert_eq!(close(&client).await, Ok(()));
        assert_eq!(platform.last_bearer(), "Bearer old-0");
        assert_eq!(look(&client).await, Ok(()));
        assert_eq!(start(&client).await, Err(trouble));
    }
}

#[tokio::test]
async fn credentials_that_log_in_and_lack_a_right_take_no_close_from_those_that_had_it() {
    for (id, looked) in [("nobody", Err(Trouble::Forbidden)), ("reader", Ok(()))] {
        let platform = Platform::start().await;
        let (client, source) = platform.honoured().await;
        source.set(Some(id));
        client.credentials_changed();
        assert_eq!(client.check_token().await, Ok(()));
        assert_eq!(look(&client).await, looked, "their own lack of a right is not hidden");
        assert_eq!(close(&client).await, Ok(()));
        assert_eq!(platform.last_bearer(), "Bearer old-0");
        assert_eq!(start(&client).await, Err(Trouble::Forbidden));
        source.set(None);
        platform.end_tokens();
        assert_eq!(close(&client).await, Ok(()));
        assert_eq!(platform.last_bearer(), "Bearer old-1");
    }
}

#[tokio::test]
async fn of_two_that_were_honoured_the_one_that_still_is_gets_the_close_through() {
    let revoked = Arc::new(AtomicBool::new(false));
    let is_revoked = revoked.clone();
    let server = Server::start(move |request, _| {
        let is_old = request.body.contains("client_id=old&");
        if is_old && is_revoked.load(Ordering::SeqCst) { Reply::status(401) } else { answer(request, 0) }
    })
    .await;
    let source = Holder::of(Some("old"));
    let client = Client::new(config(&server.url), source.clone()).unwrap();
    close(&client).await.unwrap();
    source.set(Some("new"));
    client.credentials_changed();
    look(&client).await.unwrap();
    revoked.store(true, Ordering::SeqCst);
    source.set(None);
    client.credentials_changed();
    assert_eq!(close(&client).await, Ok(()));
    assert_eq!(server.log().pop().unwrap().header("authorization"), Some("Bearer new-0"));
}

#[tokio::test]
async fn what_is_told_is_what_the_tenants_own_credentials_met() {
    let platform = Platform::start().await;
    let never_honoured = platform.client(&Holder::of(Some("wrong")));
    assert_eq!(close(&never_honoured).await, Err(Trouble::Unauthorized));
    assert_eq!(platform.server.count("POST", TOKEN), 1);
}

/// Honours `old` until it has answered a change, and answers every login after that with this status.
async fn turned_away(status: u16) -> (Server, Client, Arc<Holder>) {
    let server = Server::start(move |request, before| match request.target.ends_with(TOKEN) {
        true if before == 0 => token(1),
        true => Reply::status(status),
        false => state("paused"),
    })
    .await;
    let source = Holder::of(Some("old"));
    let client = Client::new(config(&server.url), source.clone()).unwrap();
    close(&client).await.unwrap();
    (server, client, source)
}

#[tokio::test]
async fn where_nobody_is_honoured_any_more_the_own_trouble_is_told() {
    let (server, client, source) = turned_away(401).await;
    source.set(None);
    client.credentials_changed();
    assert_eq!(close(&client).await, Err(MISSING));
    assert_eq!(server.count("POST", TOKEN), 2);
}

#[tokio::test]
async fn the_same_credentials_are_not_tried_twice_and_none_where_the_token_route_is_down() {
    for (status, id) in [(401, "old"), (500, "new")] {
        let (server, client, source) = turned_away(status).await;
        source.set(Some(id));
        client.credentials_changed();
        assert!(close(&client).await.is_err());
        assert_eq!(server.count("POST", TOKEN), 2, "{status}");
    }
}

#[tokio::test]
async fn a_close_that_may_have_been_applied_as_another_is_told_so() {
    let server = Server::start(|request, before| match (request.target.ends_with(TOKEN), before) {
        (true, count) => token(count),
        (false, 0) => state("paused"),
        (false, _) => Reply::Close,
    })
    .await;
    let source = Holder::of(Some("old"));
    let client = Client::new(config(&server.url), source.clone()).unwrap();
    close(&client).await.unwrap();
    source.set(None);
    client.credentials_changed();
    assert!(close(&client).await.unwrap_err().may_have_been_applied());
}

#[tokio::test]
async fn a_client_takes_over_from_the_one_before_it_unless_that_spoke_to_another_endpoint() {
    let platform = Platform::start().await;
    let (former, _) = platform.honoured().await;
    let client = platform.client(&Holder::of(None));
    assert_eq!(close(&client).await, Err(MISSING));
    client.succeed(&former);
    assert_eq!(close(&client).await, Ok(()));
    assert_eq!(start(&client).await, Err(MISSING));

    let elsewhere = Platform::start().await;
    let client = elsewhere.client(&Holder::of(None));
    client.succeed(&former);
    assert_eq!(close(&client).await, Err(MISSING));
    assert!(elsewhere.server.log().is_empty());
}
