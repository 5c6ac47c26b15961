//! The wire as it is without faults.

use std::time::{Duration, SystemTime};

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, RETRY_AFTER};
use serde_json::{Value, json};
use simulator::{Actor, CampaignConfig, RateLimit, RetryAfter, Route, Scope, State};

use crate::client::{CAMPAIGN, Client, ORGANIZATION, PATIENCE, json, order, start};

#[tokio::test]
async fn right_credentials_get_a_token_and_wrong_ones_get_invalid_client() {
    let (sim, client) = start().await;
    let right = client.log_in(ORGANIZATION, "acme-secret").await;
    assert_eq!(right.status(), 200);
    let right = json(right).await;
    assert_eq!((&right["token_type"], &right["expires_in"]), (&json!("Bearer"), &json!(1800)));
    let wrong = client.log_in(ORGANIZATION, "guess").await;
    assert_eq!(wrong.status(), 401);
    assert_eq!(json(wrong).await["error"], "invalid_client");
    sim.set_secret(ORGANIZATION, "rotated");
    assert_eq!(client.log_in(ORGANIZATION, "acme-secret").await.status(), 401);
    assert_eq!(client.log_in(ORGANIZATION, "rotated").await.status(), 200);
    assert_eq!(client.read().await.unwrap().status(), 200, "tokens outlive the secret");
}

#[tokio::test]
async fn a_token_request_must_be_a_form_with_the_right_grant() {
    let (_sim, client) = start().await;
    let ask = || client.request(Method::POST, "/api/v2/oauth/token");
    let answer = ask().json(&json!({"grant_type": "client_credentials"})).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &json(answer).await["error"]), (400, &json!("invalid_request")));
    let answer = ask().form(&[("grant_type", "password")]).send().await.unwrap();
    let error = json!("unsupported_grant_type");
    assert_eq!((answer.status().as_u16(), &json(answer).await["error"]), (400, &error));
}

#[tokio::test]
async fn no_token_a_wrong_one_a_revoked_one_and_an_expired_one_get_401() {
    let (sim, client) = start().await;
    let path = format!("/api/v2/campaigns/outbound/{CAMPAIGN}/state");
    assert_eq!(client.request(Method::GET, &path).send().await.unwrap().status(), 401);
    let wrong = client.request(Method::GET, &path).header(AUTHORIZATION, "Bearer nonsense");
    assert_eq!(wrong.send().await.unwrap().status(), 401);
    assert_eq!(client.read().await.unwrap().status(), 200);
    sim.revoke_tokens();
    assert_eq!(client.read().await.unwrap().status(), 401);
    sim.set_token_lifetime(Duration::from_secs(2));
    let client = Client::of(&sim, ORGANIZATION).await;
    assert_eq!(client.read().await.unwrap().status(), 200);
    let expired = async { while client.read().await.unwrap().status() != 401 {} };
    tokio::time::timeout(PATIENCE, expired).await.unwrap();
}

#[tokio::test]
async fn a_get_needs_the_read_scope_and_a_put_the_write_scope() {
    let (sim, client) = start().await;
    sim.tenant(ORGANIZATION).set_scopes([Scope::CampaignsWrite]);
    assert_eq!(client.read().await.unwrap().status(), 403);
    assert_eq!(client.write("paused").await.unwrap().status(), 200);
    sim.tenant(ORGANIZATION).set_scopes([Scope::CampaignsRead]);
    assert_eq!(client.read().await.unwrap().status(), 200);
    let refused = client.write("running").await.unwrap();
    assert_eq!(refused.status(), 403);
    assert!(json(refused).await["error_description"].as_str().unwrap().contains("campaigns:write"));
}

#[tokio::test]
async fn a_put_changes_the_state_and_the_same_put_again_is_a_conflict() {
    let (sim, client) = start().await;
    let answer = client.write("paused").await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(json(answer).await, json!({"campaignId": CAMPAIGN, "status": "paused"}));
    assert_eq!(json(client.read().await.unwrap()).await["status"], "paused");
    assert_eq!(client.write("paused").await.unwrap().status(), 409);
    assert_eq!(client.write("running").await.unwrap().status(), 200);
    assert_eq!(client.write("running").await.unwrap().status(), 409);
    assert_eq!(client.write("stopped").await.unwrap().status(), 200);
    let effective: Vec<_> = sim.puts(CAMPAIGN).iter().map(|put| (put.status(), put.effective())).collect();
    let (done, conflict) = ((Some(200), true), (Some(409), false));
    assert_eq!(effective, [done, conflict, done, conflict, done]);
    let by_client = |e: &&simulator::LogEntry| e.change.as_ref().unwrap().actor == Actor::Client;
    assert_eq!(sim.changes(CAMPAIGN).iter().filter(by_client).count(), 3);
}

#[tokio::test]
async fn a_put_with_a_wrong_field_gets_400_naming_it_and_changes_nothing() {
    let (sim, client) = start().await;
    let metadata = &order("paused")["metadata"];
    let with = |name: &str, value: Value| {
        let mut metadata = metadata.clone();
        metadata[name] = value;
        metadata
    };
    let wrong = [
        ("campaignId", "campaignId", json!("c-2")),
        ("campaignId", "campaignId", json!("")),
        ("status", "status", json!("Paused")),
        ("status", "status", Value::Null),
        ("pauseDurationSeconds", "pauseDurationSeconds", json!(7201)),
        ("pauseDurationSeconds", "pauseDurationSeconds", json!(-1)),
        ("pauseDurationSeconds", "pauseDurationSeconds", json!(1.5)),
        ("resumeMode", "resumeMode", json!("Immediate")),
        ("notifyAgentPool", "notifyAgentPool", json!("true")),
        ("metadata", "metadata", Value::Null),
        ("metadata", "metadata.transitionId", with("transitionId", json!("7"))),
        ("metadata", "metadata.requestedAt", with("requestedAt", json!("2026-11-22T12:00:00-05:00"))),
        ("metadata", "metadata.other", with("other", json!(1))),
        ("extra", "extra", json!(1)),
    ];
    for (field, named, value) in wrong {
        let mut body = order("paused");
        body[field] = value;
        let answer = client.put(&body).await.unwrap();
        assert_eq!(answer.status(), 400, "{body}");
        assert_eq!(json(answer).await["field"], named, "{body}");
    }
    let mut body = order("stopped");
    body["pauseDurationSeconds"] = json!(60);
    assert_eq!(json(client.put(&body).await.unwrap()).await["field"], "pauseDurationSeconds");
    assert_eq!(client.put(&json!([])).await.unwrap().status(), 400);
    assert_eq!(sim.campaign(ORGANIZATION, CAMPAIGN).state(), State::Running);
}

#[tokio::test]
async fn a_timed_pause_over_the_wire_ends_by_itself() {
    let (sim, client) = start().await;
    let mut body = order("paused");
    body["pauseDurationSeconds"] = json!(1);
    assert_eq!(client.put(&body).await.unwrap().status(), 200);
    let by_timer = |e: &simulator::LogEntry| e.change.as_ref().is_some_and(|c| c.actor == Actor::Timer);
    sim.wait_for(|log| log.iter().any(by_timer), PATIENCE).await.unwrap();
    assert_eq!(json(client.read().await.unwrap()).await["status"], "running");
}

#[tokio::test]
async fn an_unknown_campaign_or_path_gets_404_and_a_wrong_method_405() {
    let (sim, client) = start().await;
    assert_eq!(client.get("/api/v2/campaigns/outbound/c-9/state").await.unwrap().status(), 404);
    assert_eq!(client.get("/api/v3/whatever").await.unwrap().status(), 404);
    let path = format!("/api/v2/campaigns/outbound/{CAMPAIGN}/state");
    assert_eq!(client.authorized(Method::DELETE, &path).send().await.unwrap().status(), 405);
    let routes: Vec<_> = sim.log().iter().filter_map(|e| Some(e.request.as_ref()?.route)).collect();
    assert_eq!(routes, [Route::Token, Route::StateGet, Route::Other, Route::Other]);
}

#[tokio::test]
async fn the_token_decides_the_tenant_whatever_the_prefix_of_the_path() {
    let (sim, acme) = start().await;
    sim.campaign("globex", CAMPAIGN).set(State::Stopped);
    let globex = Client::of(&sim, "globex").await;
    let path = format!("/acme/api/v2/campaigns/outbound/{CAMPAIGN}/state");
    assert_eq!(json(acme.get(&path).await.unwrap()).await["status"], "running");
    assert_eq!(json(globex.get(&path).await.unwrap()).await["status"], "stopped");
    let last = sim.log().pop().unwrap();
    assert_eq!(last.tenant.as_deref(), Some("globex"));
    assert_eq!(last.request.unwrap().path, path);
}

#[tokio::test]
async fn statistics_come_in_pages_and_the_newest_row_is_the_last() {
    let (sim, client) = start().await;
    let campaign = sim.campaign(ORGANIZATION, CAMPAIGN);
    campaign.stats_rows(7);
    campaign.pin_active_calls(42);
    let mut rows = Vec::new();
    let mut query = "?pageSize=3".to_owned();
    let mut pages = 0;
    loop {
        let page = client.stats(&query).await;
        rows.extend(page["page"].as_array().unwrap().clone());
        pages += 1;
        let Some(next) = page["nextPageToken"].as_str() else { break };
        query = format!("?pageSize=3&pageToken={next}");
    }
    assert_eq!((pages, rows.len()), (3, 7));
    assert_eq!((&rows[6]["activeCalls"], &rows[6]["status"]), (&json!(42), &json!("running")));
    assert!(rows.iter().all(|row| row["completedCalls"].is_u64() && row.get("timestamp").is_none()));
}

#[tokio::test]
async fn rows_carry_timestamps_and_come_newest_first_when_asked_to() {
    let (sim, client) = start().await;
    let config = json!({"stats": {"rows": 3, "timestamps": true, "order": "newestFirst"}});
    let config: CampaignConfig = serde_json::from_value(config).unwrap();
    sim.campaign(ORGANIZATION, CAMPAIGN).configure(&config).unwrap();
    let rows = client.stats("").await["page"].as_array().unwrap().clone();
    let stamps: Vec<_> = rows.iter().map(|row| row["timestamp"].as_str().unwrap()).collect();
    assert!(stamps[0] > stamps[1] && stamps[1] > stamps[2], "{stamps:?}");
}

#[tokio::test]
async fn a_wrong_page_size_or_page_token_gets_400_naming_it() {
    let (_sim, client) = start().await;
    for (query, field) in
        [("?pageSize=0", "pageSize"), ("?pageSize=x", "pageSize"), ("?pageToken=zzz", "pageToken")]
    {
        assert_eq!(client.stats(query).await["field"], field);
    }
}

#[tokio::test]
async fn the_rate_limit_answers_429_in_each_of_its_styles() {
    let (sim, client) = start().await;
    for style in [RetryAfter::Seconds, RetryAfter::HttpDate, RetryAfter::None] {
        let limit = RateLimit { requests_per_second: 0.01, burst: 2, retry_after: style };
        sim.tenant(ORGANIZATION).set_rate_limit(Some(limit));
        assert_eq!(client.read().await.unwrap().status(), 200);
        assert_eq!(client.write("nonsense").await.unwrap().status(), 400);
        let limited = client.read().await.unwrap();
        assert_eq!(limited.status(), 429);
        let retry_after = limited.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap());
        match style {
            RetryAfter::Seconds => {
                assert!((90..=100).contains(&retry_after.unwrap().parse::<u32>().unwrap()))
            }
            RetryAfter::HttpDate => {
                let at = httpdate::parse_http_date(retry_after.unwrap()).unwrap();
                assert!(at.duration_since(SystemTime::now()).unwrap() > Duration::from_secs(60));
            }
            RetryAfter::None => assert_eq!(retry_after, None),
        }
    }
    sim.tenant(ORGANIZATION).set_rate_limit(None);
    assert_eq!(client.read().await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_date_header_is_right_off_or_absent_as_told() {
    let (sim, client) = start().await;
    let skew = async || {
        let answer = client.read().await.unwrap();
        let date = answer.headers().get("date")?.to_str().unwrap();
        let date = httpdate::parse_http_date(date).unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Some(date.as_secs_f64() - now.as_secs_f64())
    };
    assert!(skew().await.unwrap().abs() < 10.0);
    sim.set_date_offset(-90);
    assert!((skew().await.unwrap() + 90.0).abs() < 10.0);
    sim.set_date_header(false);
    assert_eq!(skew().await, None);
}

#[tokio::test]
async fn no_secret_and_no_token_is_ever_in_the_log() {
    let (sim, client) = start().await;
    client.log_in(ORGANIZATION, "a-guess-that-is-wrong").await;
    let token = client.token().to_owned();
    client.get(&format!("/api/v2/whatever/{token}?access_token={token}")).await.unwrap();
    client.get("/api/v2/x?client_secret=acme%2Dsecret").await.unwrap();
    let mut body = order("paused");
    body["note"] = json!(["acme-secret", {"token": token}]);
    client.put(&body).await.unwrap();
    let log = serde_json::to_string(&sim.log()).unwrap();
    for secret in ["acme-secret", "acme%2Dsecret", "a-guess-that-is-wrong", &token] {
        assert!(!log.contains(secret), "{log}");
    }
    assert_eq!(sim.puts(CAMPAIGN)[0].body().unwrap()["status"], "paused");
}
