use std::sync::atomic::{AtomicUsize, Ordering};

use cxone::{CampaignStatus, ClientConfig, Dialer, Lane, Trouble, Volume};

use crate::server::Reply;
use crate::support::*;

#[tokio::test]
async fn a_state_is_asked_for_with_a_token_from_the_form() {
    let server = platform(|_, _| state("running").with("date: Mon, 23 Nov 2026 14:00:00 GMT")).await;
    let reading = client(&server).observe("c-1", Lane::Open).await.unwrap();
    assert_eq!(reading.value, CampaignStatus::Running);
    assert_eq!(reading.date, Some("2026-11-23T14:00:00Z".parse().unwrap()));

    let [token, call] = server.log().try_into().unwrap();
    assert!(token.is("POST", TOKEN));
    assert_eq!(token.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(token.body, "grant_type=client_credentials&client_id=id&client_secret=hunter2%26%3D%2B");
    assert_eq!((call.method.as_str(), call.target.as_str()), ("GET", "/api/v2/campaigns/outbound/c-1/state"));
    assert_eq!(call.header("authorization"), Some("Bearer token-1"));
    assert_eq!(call.header("user-agent"), Some(concat!("dialer-operator/", env!("CARGO_PKG_VERSION"))));
}

#[tokio::test]
async fn a_reading_without_a_date_is_a_reading() {
    let server = platform(|_, _| state("paused").with("date: yesterday")).await;
    assert_eq!(client(&server).observe("c-1", Lane::Open).await.unwrap().date, None);
}

#[tokio::test]
async fn a_transition_is_put_as_documented() {
    let server = platform(|_, _| state("paused")).await;
    client(&server).request("c-1", &pause(), Lane::Close).await.unwrap();
    let put = server.log().pop().unwrap();
    assert_eq!((put.method.as_str(), put.target.as_str()), ("PUT", "/api/v2/campaigns/outbound/c-1/state"));
    assert_eq!(put.header("content-type"), Some("application/json"));
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&put.body).unwrap(),
        serde_json::json!({
            "campaignId": "c-1", "status": "paused", "pauseDurationSeconds": 0, "resumeMode": "immediate",
            "notifyAgentPool": true,
            "metadata": {
                "transitionId": "00000000-0000-0000-0000-000000000007", "requestedAt": "1970-01-01T00:00:00Z"
            }
        })
    );
}

#[tokio::test]
async fn a_success_is_accepted_whatever_its_body() {
    for reply in [
        Reply::json("not json"),
        Reply::Raw("HTTP/1.1 202 X\r\ncontent-length: 100\r\n\r\n{".to_owned()),
        Reply::Raw("HTTP/1.1 204 X\r\n\r\n".to_owned()),
        Reply::Endless,
    ] {
        let server = platform(move |_, _| reply.clone()).await;
        assert!(client(&server).request("c-1", &pause(), Lane::Close).await.is_ok());
    }
}

#[tokio::test]
async fn a_base_path_is_kept_and_a_campaign_cannot_leave_its_place() {
    let server = platform(|_, _| state("paused")).await;
    let client = client_with(config(&format!("{}/base/", server.url)));
    client.observe("../a?b#c", Lane::Open).await.unwrap();
    let targets: Vec<_> = server.log().into_iter().map(|request| request.target).collect();
    let state = "/base/api/v2/campaigns/outbound/..%2Fa%3Fb%23c/state".to_owned();
    assert_eq!(targets, [format!("/base{TOKEN}"), state]);
    for campaign in ["", ".", ".."] {
        assert_eq!(client.observe(campaign, Lane::Open).await, Err(Trouble::NotFound));
    }
    assert_eq!(server.log().len(), 2);
}

#[tokio::test]
async fn all_pages_of_statistics_are_read_and_the_date_of_the_last_counts() {
    let server = platform(|request, _| match request.target.contains("pageToken") {
        false => Reply::json(r#"{"page":[{"activeCalls":1}],"nextPageToken":"a+b/c="}"#),
        true => Reply::json(r#"{"page":[{"activeCalls":9}],"nextPageToken":null}"#)
            .with("date: Mon, 23 Nov 2026 14:00:00 GMT"),
    })
    .await;
    let reading = client(&server).volume("c-1").await.unwrap();
    assert_eq!(reading.value, Volume { active_calls: 9, pages: 2 });
    assert_eq!(reading.date, Some("2026-11-23T14:00:00Z".parse().unwrap()));
    let targets: Vec<_> = server.log().into_iter().skip(1).map(|request| request.target).collect();
    let first = "/api/v2/campaigns/outbound/c-1/stats?pageSize=100";
    assert_eq!(targets, [first.to_owned(), format!("{first}&pageToken=a%2Bb%2Fc%3D")]);
}

#[tokio::test]
async fn endless_paging_ends_after_a_hundred_pages() {
    let counter = AtomicUsize::new(0);
    let server = platform(move |_, _| {
        let next = counter.fetch_add(1, Ordering::SeqCst);
        Reply::json(format!(r#"{{"page":[{{"activeCalls":1}}],"nextPageToken":"{next}"}}"#))
    })
    .await;
    assert_eq!(client(&server).volume("c-1").await, Err(Trouble::Unreadable("too many pages of statistics")));
    assert_eq!(server.count("GET", "/stats"), 100);
}

#[tokio::test]
async fn a_connection_is_used_again_also_after_an_error() {
    let server = platform(|_, before| match before {
        1 => Reply::status(404),
        2 => Reply::status(409),
        3 => Reply::json("nonsense"),
        _ => state("running"),
    })
    .await;
    let client = client(&server);
    for _ in 0..5 {
        let _ = client.observe("c-1", Lane::Open).await;
    }
    client.request("c-1", &pause(), Lane::Close).await.unwrap();
    assert_eq!(server.log().len(), 7);
    assert!(server.log().iter().all(|request| request.connection == 1));
}

#[tokio::test]
async fn a_proxy_is_used_when_it_is_given() {
    let proxy = platform(|_, _| state("running")).await;
    let given = Some(proxy.url.parse().unwrap());
    let client = client_with(ClientConfig { proxy: given, ..config("http://cxone.invalid") });
    client.observe("c-1", Lane::Open).await.unwrap();
    assert!(proxy.log()[1].target.starts_with("http://cxone.invalid/api/v2/campaigns/"));
}
