use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use cxone::{
    CampaignStatus, Client, ClientConfig, CredentialSource, Credentials, CredentialsMissing, Dialer, Lane,
    Trouble,
};
use futures::future::join_all;
use tokio::sync::Semaphore;

use crate::server::{Reply, Server};
use crate::support::*;

#[tokio::test]
async fn many_calls_at_once_fetch_one_token() {
    let server = platform(|_, _| state("running")).await;
    let client = client(&server);
    let readings = join_all((0..50).map(|_| client.observe("c-1", Lane::Open))).await;
    assert!(readings.iter().all(Result::is_ok));
    assert_eq!(server.count("POST", TOKEN), 1);
}

#[tokio::test]
async fn many_calls_whose_token_has_ended_fetch_one_new_token_and_are_repeated_once() {
    for lane in [Lane::Open, Lane::Close] {
        let all_refused = Arc::new(Semaphore::new(0));
        let gate = Arc::clone(&all_refused);
        let server = platform(move |request, _| match request.header("authorization") {
            Some("Bearer token-1") => Reply::status(401).after(&gate),
            Some("Bearer token-2") => state("running"),
            _ => Reply::status(500),
        })
        .await;
        let client = client(&server);
        let calls = join_all((0..10).map(|_| client.observe("c-1", lane)));
        let (readings, ()) = tokio::join!(calls, async {
            server.seen("GET", "/state", 10).await;
            all_refused.add_permits(10);
        });
        assert!(readings.iter().all(Result::is_ok));
        assert_eq!((server.count("POST", TOKEN), server.count("GET", "/state")), (2, 20));
    }
}

#[tokio::test]
async fn a_call_that_is_refused_with_a_fresh_token_too_is_unauthorized() {
    let server = platform(|_, _| Reply::status(401)).await;
    assert_eq!(client(&server).observe("c-1", Lane::Close).await, Err(Trouble::Unauthorized));
    assert_eq!((server.count("POST", TOKEN), server.count("GET", "/state")), (2, 2));
}

#[tokio::test]
async fn new_credentials_mean_a_new_token() {
    let server = platform(|_, _| state("running")).await;
    let source = Arc::new(Source::default());
    let client = Client::new(config(&server.url), Arc::<Source>::clone(&source)).unwrap();
    client.check_token().await.unwrap();
    client.check_token().await.unwrap();
    client.observe("c-1", Lane::Open).await.unwrap();
    assert_eq!(source.asked.load(Ordering::SeqCst), 1);
    client.credentials_changed();
    client.observe("c-1", Lane::Open).await.unwrap();
    assert_eq!(source.asked.load(Ordering::SeqCst), 2);
    assert_eq!(server.log().pop().unwrap().header("authorization"), Some("Bearer token-2"));
}

#[tokio::test]
async fn what_the_token_route_says_is_about_the_tenant_and_never_about_the_campaign() {
    for (status, expected) in [
        (400, Trouble::Unauthorized),
        (401, Trouble::Unauthorized),
        (403, Trouble::Forbidden),
        (404, Trouble::Rejected { status: 404 }),
        (409, Trouble::Rejected { status: 409 }),
        (500, Trouble::Unreachable("the token route failed")),
    ] {
        let server = Server::start(move |_, _| Reply::status(status)).await;
        let trouble = client(&server).request("c-1", &pause(), Lane::Close).await.unwrap_err();
        assert_eq!(trouble, expected);
        assert!(!trouble.may_have_been_applied());
    }
}

#[tokio::test]
async fn a_token_route_that_answers_nonsense_or_not_at_all_gives_no_token() {
    for reply in [
        Reply::json("{}"),
        Reply::json("<html>"),
        Reply::json(r#"{"access_token":""}"#),
        Reply::json("{\"access_token\":\"a\\nb\"}"),
        Reply::Close,
        Reply::Hang,
    ] {
        let server = Server::start(move |_, _| reply.clone()).await;
        let trouble = impatient_client(&server).request("c-1", &pause(), Lane::Close).await.unwrap_err();
        assert!(matches!(trouble, Trouble::Unreachable(_)), "{trouble:?}");
        assert_eq!(server.log().len(), 1);
    }
}

#[tokio::test]
async fn a_token_route_that_redirects_gets_no_credentials_sent_elsewhere() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = platform(|_, _| state("running")).await;
        let location = format!("location: {}{TOKEN}", elsewhere.url);
        let server = Server::start(move |_, _| Reply::status(status).with(&location)).await;
        let trouble = client(&server).check_token().await;
        assert_eq!(trouble, Err(Trouble::Unreachable("the token route redirects")));
        assert!(elsewhere.log().is_empty());
    }
}

struct NoCredentials;

#[async_trait]
impl CredentialSource for NoCredentials {
    async fn credentials(&self) -> Result<Credentials, CredentialsMissing> {
        Err(CredentialsMissing("the Secret has no key clientId"))
    }
}

struct SlowCredentials;

#[async_trait]
impl CredentialSource for SlowCredentials {
    async fn credentials(&self) -> Result<Credentials, CredentialsMissing> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn without_credentials_nothing_is_asked_and_nobody_waits_for_long() {
    let server = platform(|_, _| state("running")).await;
    let timeout = Duration::from_millis(100);
    for (source, text) in [
        (Arc::new(NoCredentials) as Arc<dyn CredentialSource>, "the Secret has no key clientId"),
        (Arc::new(SlowCredentials), "they could not be read in time"),
    ] {
        let client = Client::new(ClientConfig { timeout, ..config(&server.url) }, source).unwrap();
        assert_eq!(client.check_token().await, Err(Trouble::CredentialsMissing(text)));
    }
    assert!(server.log().is_empty());
}

#[tokio::test]
async fn a_close_does_not_wait_for_the_token_of_an_open_call() {
    let server = Server::start(|request, before| match (request.target.as_str(), before) {
        (TOKEN, 0) => Reply::Hang,
        (TOKEN, count) => token(count),
        _ => state("paused"),
    })
    .await;
    let client = client(&server);
    let open = tokio::spawn({
        let client = Arc::clone(&client);
        async move { client.observe("open", Lane::Open).await }
    });
    server.seen("POST", TOKEN, 1).await;
    assert_eq!(client.observe("c-1", Lane::Close).await.unwrap().value, CampaignStatus::Paused);
    assert!(client.request("c-1", &pause(), Lane::Close).await.is_ok());
    assert!(!open.is_finished());
    assert_eq!(server.count("GET", "/open/"), 0);
}
