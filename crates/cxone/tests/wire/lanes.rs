use std::sync::Arc;
use std::time::Duration;

use cxone::{CampaignStatus, Client, ClientConfig, Dialer, Lane, NotNow, Reading, Trouble, Why};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
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

const CROWDED: Trouble = Trouble::Unreachable("other closes of this tenant are under way");
const SECOND: Duration = Duration::from_secs(1);

/// A platform that answers calls for a campaign called `slow` when the gate lets it, with a client that has a token.
async fn slow_platform() -> (Server, Arc<Client>, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let slow = Arc::clone(&gate);
    let server = platform(move |request, _| match request.target.contains("/slow/") {
        true => state("paused").after(&slow),
        false => state("running"),
    })
    .await;
    let client = client(&server);
    client.check_token().await.unwrap();
    (server, client, gate)
}

type Call<T> = JoinHandle<Result<Reading<T>, Trouble>>;

fn closes(client: &Arc<Client>, campaign: &'static str, count: usize) -> Vec<Call<()>> {
    let close = |client: Arc<Client>| async move { client.request(campaign, &pause(), Lane::Close).await };
    (0..count).map(|_| tokio::spawn(close(Arc::clone(client)))).collect()
}

fn reads(client: &Arc<Client>, lane: Lane, count: usize) -> Vec<Call<CampaignStatus>> {
    let read = |client: Arc<Client>| async move {
        let _turn = if lane == Lane::Close { Some(client.turn_to_look().await) } else { None };
        client.observe("slow", lane).await
    };
    (0..count).map(|_| tokio::spawn(read(Arc::clone(client)))).collect()
}

async fn all_succeed<T>(calls: impl IntoIterator<Item = Call<T>>) {
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn the_seventeenth_close_waits_for_another_close_and_not_for_open_calls() {
    let (server, client, gate) = slow_platform().await;
    let _clock = Clock::stop();
    let opens = reads(&client, Lane::Open, 20);
    server.seen("GET", "/slow/", 20).await;
    let slow = closes(&client, "slow", 16);
    server.seen("PUT", "/slow/", 16).await;
    let next = closes(&client, "next", 1);
    client.observe("other", Lane::Open).await.unwrap();
    assert_eq!(server.count("PUT", "/next/"), 0, "a whole exchange later the seventeenth still waits");
    gate.add_permits(36);
    all_succeed(next).await;
    all_succeed(slow).await;
    all_succeed(opens).await;
}

#[tokio::test]
async fn a_close_that_was_queued_for_5_s_is_given_up_and_never_sent() {
    let (server, client, gate) = slow_platform().await;
    let clock = Clock::stop();
    let slow = closes(&client, "slow", 16);
    server.seen("PUT", "/slow/", 16).await;
    let mut queued = closes(&client, "next", 20);
    client.observe("other", Lane::Open).await.unwrap(); // so that they have come
    clock.advance(5 * SECOND - Duration::from_millis(10)).await;
    client.observe("other", Lane::Open).await.unwrap();
    assert!(queued.iter().all(|call| !call.is_finished()));
    clock.advance(Duration::from_millis(20)).await;
    for call in &mut queued {
        let trouble = call.await.unwrap().unwrap_err();
        assert_eq!(trouble, CROWDED);
        assert!(!trouble.may_have_been_applied());
    }
    gate.add_permits(16);
    all_succeed(slow).await;
    client.observe("other", Lane::Open).await.unwrap();
    assert_eq!(server.count("PUT", "/next/"), 0);
}

#[tokio::test]
async fn a_close_that_hangs_gives_its_place_back_after_6_s_and_goes_on() {
    let (server, client, gate) = slow_platform().await;
    let clock = Clock::stop();
    let slow = closes(&client, "slow", 16);
    server.seen("PUT", "/slow/", 16).await;
    clock.advance(3 * SECOND).await;
    let next = closes(&client, "next", 16);
    client.observe("other", Lane::Open).await.unwrap();
    assert_eq!(server.count("PUT", "/next/"), 0);
    clock.advance(3 * SECOND + Duration::from_millis(10)).await;
    all_succeed(next).await;
    assert!(slow.iter().all(|call| !call.is_finished()));
    gate.add_permits(16);
    all_succeed(slow).await;
    assert_eq!(server.count("PUT", "/slow/"), 16, "none was sent twice");
}

#[tokio::test]
async fn reads_do_not_hold_up_closes_nor_closes_reads() {
    let (server, client, gate) = slow_platform().await;
    let _clock = Clock::stop();
    let looks = reads(&client, Lane::Close, 65);
    server.seen("GET", "/slow/", 64).await;
    all_succeed(closes(&client, "next", 17)).await;
    assert_eq!(server.count("GET", "/slow/"), 64, "the next read waits for its turn");
    gate.add_permits(65);
    all_succeed(looks).await;

    let slow = closes(&client, "slow", 17);
    server.seen("PUT", "/slow/", 16).await;
    let _turn = client.turn_to_look().await;
    client.observe("other", Lane::Close).await.unwrap();
    gate.add_permits(17);
    all_succeed(slow).await;
}

#[tokio::test]
async fn a_close_whose_token_comes_too_late_is_not_sent_and_the_token_is_kept() {
    let gate = Arc::new(Semaphore::new(0));
    let slow = Arc::clone(&gate);
    let server = Server::start(move |request, before| match request.target.as_str() {
        TOKEN => token(before + 1).after(&slow),
        _ => state("paused"),
    })
    .await;
    let client = client(&server);
    let clock = Clock::stop();
    let late = closes(&client, "c-1", 1);
    server.seen("POST", TOKEN, 1).await;
    clock.advance(5 * SECOND + Duration::from_millis(10)).await;
    gate.add_permits(1);
    for call in late {
        assert_eq!(call.await.unwrap(), Err(Trouble::Unreachable("no accepted token in time")));
    }
    assert_eq!(server.count("PUT", ""), 0);
    all_succeed(closes(&client, "c-1", 1)).await;
    assert_eq!((server.count("POST", TOKEN), server.count("PUT", "")), (1, 1));
}

#[tokio::test]
async fn a_close_whose_token_is_refused_too_late_is_not_repeated() {
    let gate = Arc::new(Semaphore::new(0));
    let slow = Arc::clone(&gate);
    let server = platform(move |_, _| Reply::status(401).after(&slow)).await;
    let client = client(&server);
    client.check_token().await.unwrap();
    let clock = Clock::stop();
    let late = closes(&client, "c-1", 1);
    server.seen("PUT", "", 1).await;
    clock.advance(8 * SECOND).await;
    gate.add_permits(2);
    for call in late {
        assert_eq!(call.await.unwrap(), Err(Trouble::Unreachable("no accepted token in time")));
    }
    assert_eq!((server.count("POST", TOKEN), server.count("PUT", "")), (2, 1));
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
