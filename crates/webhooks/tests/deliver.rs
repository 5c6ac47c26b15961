//! Deliveries over real HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use outbound::{Endpoint, Manner};
use webhooks::{Client, Failure, Message, SigningKey};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

type Seen = Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>;

/// A receiver that answers so, and what it was sent.
async fn receiver(answer: impl Fn() -> Response + Clone + Send + Sync + 'static) -> (String, Seen) {
    let seen = Seen::default();
    let log = seen.clone();
    let app = Router::new().fallback(move |uri: axum::http::Uri, headers: HeaderMap, body: Bytes| {
        log.lock().unwrap().push((uri.to_string(), headers, body));
        let answer = answer();
        async move { answer }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, seen)
}

fn client(url: &str) -> Client {
    let manner = Manner { timeout: Duration::from_secs(1), proxy: None };
    Client::new(Endpoint::parse(url).unwrap(), &manner).unwrap()
}

fn message() -> Message {
    Message { id: "m-1".into(), body: br#"{"a":1}"#.to_vec() }
}

#[tokio::test]
async fn what_arrives_is_the_message_as_it_is_with_id_time_and_signature() {
    let (url, seen) = receiver(|| StatusCode::NO_CONTENT.into_response()).await;
    let (key, now) =
        (SigningKey::parse(SECRET).unwrap(), Timestamp::from_millisecond(1_614_265_330_999).unwrap());
    client(&format!("{url}/a/hook/")).deliver(&message(), now, Some(&key)).await.unwrap();
    client(&url).deliver(&message(), now, None).await.unwrap();
    let seen = seen.lock().unwrap().clone();
    let (path, headers, body) = &seen[0];
    assert_eq!((path.as_str(), &body[..]), ("/a/hook/", &message().body[..]));
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["webhook-id"], "m-1");
    assert_eq!(headers["webhook-timestamp"], "1614265330");
    assert_eq!(headers["webhook-signature"], key.sign("m-1", now, &message().body));
    assert!(!seen[1].1.contains_key("webhook-signature"), "without a key it is not signed");
}

#[tokio::test]
async fn everything_but_a_2xx_is_a_failure_that_tells_the_status_and_retry_after() {
    for (status, wait) in [
        (200, None),
        (202, None),
        (299, None),
        (301, None),
        (400, None),
        (410, None),
        (429, Some("7")),
        (503, Some("9999")),
    ] {
        let (url, _) = receiver(move || {
            let mut response = StatusCode::from_u16(status).unwrap().into_response();
            if let Some(wait) = wait {
                response.headers_mut().insert(header::RETRY_AFTER, wait.parse().unwrap());
            }
            response
        })
        .await;
        let told = client(&url).deliver(&message(), Timestamp::UNIX_EPOCH, None).await;
        let retry_after = wait.map(|wait| Duration::from_secs(if wait == "7" { 7 } else { 300 }));
        let expected = if status < 300 { Ok(()) } else { Err(Failure::Answered { status, retry_after }) };
        assert_eq!(told, expected, "{status}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (elsewhere, seen) = receiver(|| StatusCode::OK.into_response()).await;
    let (url, _) = receiver(move || {
        (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, elsewhere.clone())]).into_response()
    })
    .await;
    let told = client(&url).deliver(&message(), Timestamp::UNIX_EPOCH, None).await;
    assert_eq!(told, Err(Failure::Answered { status: 307, retry_after: None }));
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_answer_without_end_costs_neither_time_nor_memory() {
    let (url, _) = receiver(|| {
        let chunk = || Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 64 * 1024]));
        Body::from_stream(futures::stream::repeat_with(chunk)).into_response()
    })
    .await;
    let begun = Instant::now();
    client(&url).deliver(&message(), Timestamp::UNIX_EPOCH, None).await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn who_does_not_answer_or_is_not_there_is_told_in_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let told = client(&url).deliver(&message(), Timestamp::UNIX_EPOCH, None).await;
    assert_eq!(told, Err(Failure::BrokenOff("no whole answer in time")));
    drop(silent);
    let told = client(&url).deliver(&message(), Timestamp::UNIX_EPOCH, None).await;
    assert_eq!(told, Err(Failure::NotDelivered("connection refused")));
}
