use std::sync::Arc;
use std::time::Duration;

use cxone::{ClientConfig, Dialer, Lane, NotNow, Trouble, Why};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::server::{Reply, Server};
use crate::support::*;

#[tokio::test]
async fn a_hold_stops_the_open_lane_and_not_a_close() {
    for status in [429, 503] {
        let server = platform(move |request, _| match request.target.contains("/busy/") {
            true => Reply::status(status).with("retry-after: 120"),
            false => state("running"),
        })
        .await;
        let client = client(&server);
        client.observe("busy", Lane::Open).await.unwrap_err();
        let until = client.hold().unwrap();
        assert!(until > Instant::now() + Duration::from_secs(100));

        let sent = server.log().len();
        let held = Trouble::NotNow(NotNow { until, why: Why::Hold });
        assert_eq!(client.admit("c-1").unwrap_err().why, Why::Hold);
        assert_eq!(client.observe("c-1", Lane::Open).await, Err(held));
        assert_eq!(client.volume("c-1").await, Err(held));
        assert_eq!(client.request("c-1", &pause(), Lane::Open).await, Err(held));
        assert_eq!(server.log().len(), sent);

        assert!(client.observe("c-1", Lane::Close).await.is_ok());
        assert!(client.request("c-1", &pause(), Lane::Close).await.is_ok());
    }
}

#[tokio::test]
async fn a_hold_is_also_installed_by_the_token_route_and_by_a_close() {
    let server = Server::start(|_, _| Reply::status(429).with("retry-after: 60")).await;
    let tenant = client(&server);
    let throttled = Trouble::Throttled { retry_after: Some(Duration::from_secs(60)) };
    assert_eq!(tenant.observe("c-1", Lane::Close).await, Err(throttled));
    assert!(tenant.hold().is_some());
    assert!(matches!(tenant.check_token().await, Err(Trouble::NotNow(NotNow { why: Why::Hold, .. }))));
    assert_eq!(server.log().len(), 1);
    assert_eq!(tenant.observe("c-1", Lane::Close).await, Err(throttled));
    assert_eq!(server.log().len(), 2);

    let server = platform(|_, _| Reply::status(429).with("retry-after: 60")).await;
    let tenant = client(&server);
    assert_eq!(tenant.request("c-1", &pause(), Lane::Close).await, Err(throttled));
    assert!(tenant.hold().is_some());
}

#[tokio::test]
async fn a_retry_after_date_is_measured_by_the_clock_of_its_sender() {
    let server = platform(|_, _| {
        Reply::status(429)
            .with("date: Mon, 23 Nov 1998 14:00:00 GMT")
            .with("retry-after: Mon, 23 Nov 1998 14:00:40 GMT")
    })
    .await;
    let throttled = Trouble::Throttled { retry_after: Some(Duration::from_secs(40)) };
    assert_eq!(client(&server).observe("c-1", Lane::Open).await, Err(throttled));
}

#[tokio::test]
async fn without_retry_after_nobody_is_held() {
    let server = platform(|_, before| match before {
        0 => Reply::status(429),
        1 => Reply::status(503).with("retry-after: soon"),
        _ => state("running"),
    })
    .await;
    let client = client(&server);
    let first = client.observe("c-1", Lane::Open).await;
    assert_eq!(first, Err(Trouble::Throttled { retry_after: None }));
    assert_eq!(client.observe("c-1", Lane::Open).await, Err(Trouble::Unavailable { status: 503 }));
    assert_eq!(client.hold(), None);
    assert!(client.observe("c-1", Lane::Open).await.is_ok());
}

#[tokio::test]
async fn a_hold_that_begins_between_two_pages_stops_the_reading() {
    let turn = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&turn);
    let server = platform(move |request, _| match request.is("PUT", "") {
        true => Reply::status(429).with("retry-after: 60"),
        false => Reply::json(r#"{"page":[{"activeCalls":1}],"nextPageToken":"next"}"#).after(&gate),
    })
    .await;
    let client = client(&server);
    let (volume, ()) = tokio::join!(client.volume("c-1"), async {
        server.seen("GET", "/stats", 1).await;
        client.request("c-2", &pause(), Lane::Close).await.unwrap_err();
        turn.add_permits(1);
    });
    assert!(matches!(volume, Err(Trouble::NotNow(NotNow { why: Why::Hold, .. }))));
    assert_eq!(server.count("GET", "/stats"), 1);
}

#[tokio::test]
async fn the_seventeenth_close_waits_for_another_close_and_not_for_open_calls() {
    let (open_gate, close_gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (opens, closes) = (Arc::clone(&open_gate), Arc::clone(&close_gate));
    let server = platform(move |request, _| match request.target.as_str() {
        target if target.contains("/open/") => state("running").after(&opens),
        target if target.contains("/close/") => state("paused").after(&closes),
        _ => state("running"),
    })
    .await;
    let client = client(&server);
    client.check_token().await.unwrap();
    let call = |campaign: &'static str, lane| {
        let client = Arc::clone(&client);
        tokio::spawn(async move { client.observe(campaign, lane).await })
    };
    let _opens: Vec<_> = (0..20).map(|_| call("open", Lane::Open)).collect();
    server.seen("GET", "/open/", 20).await;

    let calls: Vec<_> = (0..17).map(|_| call("close", Lane::Close)).collect();
    server.seen("GET", "/close/", 16).await;
    client.observe("other", Lane::Open).await.unwrap();
    assert_eq!(server.count("GET", "/close/"), 16, "a whole exchange later the seventeenth still waits");
    close_gate.add_permits(1);
    server.seen("GET", "/close/", 17).await;
    close_gate.add_permits(16);
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn an_open_reading_is_paid_by_admission_and_the_rest_is_repaid() {
    let server = platform(|request, _| match request.target.contains("stats") {
        true => Reply::json(r#"{"page":[{"activeCalls":1}]}"#),
        false => state("running"),
    })
    .await;
    // A rate so low that hardly anything is repaid while the test runs; the rest of the burst is what is counted.
    let client = client_with(ClientConfig { requests_per_second: 1, burst: 1000, ..config(&server.url) });
    let start = Instant::now();
    let left = || {
        let probe: Vec<_> = (0..).map_while(|n: u32| client.admit(&format!("probe-{n}")).ok()).collect();
        probe.len()
    };
    client.check_token().await.unwrap();
    client.observe("c-1", Lane::Open).await.unwrap();
    client.volume("c-1").await.unwrap();
    client.request("c-1", &pause(), Lane::Open).await.unwrap();
    client.observe("c-1", Lane::Close).await.unwrap();
    client.request("c-1", &pause(), Lane::Close).await.unwrap();
    let spent = 5; // the token, the page, the PUT, and both of the close; not the open reading
    let repaid = usize::try_from(start.elapsed().as_secs()).unwrap() + 1;
    assert!((1000 - spent..=1000 - spent + repaid).contains(&left()));
}
