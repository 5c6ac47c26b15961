//! The control API and the page.

use reqwest::Method;
use serde_json::{Value, json};
use simulator::{LogEntry, State};

use crate::client::{CAMPAIGN, Client, ORGANIZATION, PATIENCE, json, start};

#[tokio::test]
async fn tenants_and_campaigns_come_by_the_control_api() {
    let (sim, acme) = start().await;
    let tenant = json!({"organization": "globex", "clientId": "globex-client", "clientSecret": "s3cret", "scopes": ["campaigns:read"],
                        "rateLimit": {"requestsPerSecond": 5, "burst": 5, "retryAfter": "none"}});
    let created = acme.control(Method::POST, "/tenants", tenant).await;
    assert_eq!(created.status(), 200);
    assert!(!json(created).await.to_string().contains("s3cret"));
    let campaign = json!({"state": "running", "activeCalls": {"target": 80, "drain": {"callsPerSecond": 2}, "pinned": 3}, "stats": {"rows": 2}});
    let path = format!("/tenants/globex/campaigns/{CAMPAIGN}");
    assert_eq!(acme.control(Method::PUT, &path, campaign).await.status(), 200);
    let globex = Client::of(&sim, "globex").await;
    assert_eq!(json(globex.read().await.unwrap()).await["status"], "running");
    assert_eq!(globex.stats("").await["page"][1]["activeCalls"], 3);
    assert_eq!(globex.write("paused").await.unwrap().status(), 403);
    let unpinned = json!({"activeCalls": {"pinned": null}});
    assert_eq!(acme.control(Method::PUT, &path, unpinned).await.status(), 200);
    assert_eq!(globex.stats("").await["page"][1]["activeCalls"], 80);
}

#[tokio::test]
async fn somebody_else_writes_once_or_again_and_again() {
    let (sim, client) = start().await;
    let path = format!("/tenants/{ORGANIZATION}/campaigns/{CAMPAIGN}");
    let before = sim.last_seq();
    let written = client.control(Method::POST, &format!("{path}/outside"), json!({"status": "paused"})).await;
    assert_eq!(json(written).await["changed"], true);
    let log = json(client.control(Method::GET, &format!("/log?since={before}"), Value::Null).await).await;
    assert_eq!(
        (&log[0]["kind"], &log[0]["actor"], &log[0]["to"]),
        (&json!("change"), &json!("outside"), &json!("paused"))
    );
    let writer = json!({"status": "running", "everyMs": 20, "times": 1});
    assert_eq!(client.control(Method::POST, &format!("{path}/second-writer"), writer).await.status(), 201);
    let running = |log: &[LogEntry]| log.iter().any(|e| e.seq > before + 1 && e.is_change(CAMPAIGN));
    sim.wait_for(running, PATIENCE).await.unwrap();
    assert_eq!(sim.campaign(ORGANIZATION, CAMPAIGN).state(), State::Running);
    let stopped = client.control(Method::DELETE, &format!("{path}/second-writer"), Value::Null).await;
    assert_eq!(stopped.status(), 204);
}

#[tokio::test]
async fn the_log_can_be_narrowed_and_forgotten() {
    let (sim, client) = start().await;
    client.write("paused").await.unwrap();
    client.read().await.unwrap();
    let read = async |query: &str| {
        let path = format!("/log?since=0{query}");
        json(client.control(Method::GET, &path, Value::Null).await).await.as_array().unwrap().clone()
    };
    let puts = read("&route=statePut&campaign=c-1").await;
    assert_eq!(puts.len(), 1);
    assert_eq!((&puts[0]["effective"], &puts[0]["status"]), (&json!(true), &json!(200)));
    assert_eq!(puts[0]["body"]["status"], "paused");
    assert_eq!(read("&campaign=c-9").await, Vec::<Value>::new());
    let at = puts[0]["at"].as_str().unwrap();
    assert_eq!((at.len(), at.ends_with('Z')), ("2026-11-22T17:00:00.000Z".len(), true));
    assert_eq!(client.control(Method::DELETE, "/log", Value::Null).await.status(), 204);
    assert_eq!(sim.log().len(), 0);
    client.read().await.unwrap();
    assert!(sim.log()[0].seq > 3, "numbers go on");
}

#[tokio::test]
async fn faults_settings_and_tokens_are_in_reach() {
    let (_sim, client) = start().await;
    let fault = json!({"route": "stateGet", "times": 1, "effect": {"kind": "answer", "status": 418}});
    let created = client.control(Method::POST, "/faults", fault).await;
    assert_eq!(created.status(), 201);
    let id = json(created).await["id"].clone();
    assert_eq!(client.read().await.unwrap().status(), 418);
    let faults = json(client.control(Method::GET, "/faults", Value::Null).await).await;
    assert_eq!((&faults[0]["id"], &faults[0]["hit"], &faults[0]["over"]), (&id, &json!(1), &json!(true)));
    assert_eq!(client.control(Method::DELETE, &format!("/faults/{id}"), Value::Null).await.status(), 204);
    assert_eq!(client.control(Method::DELETE, &format!("/faults/{id}"), Value::Null).await.status(), 404);
    assert_eq!(client.control(Method::DELETE, "/faults", Value::Null).await.status(), 204);
    let settings = json!({"tokenLifetimeSeconds": 70, "dateHeader": false});
    let settings = json(client.control(Method::PATCH, "/settings", settings).await).await;
    assert_eq!(settings, json!({"tokenLifetimeSeconds": 70, "dateHeader": false, "dateOffsetSeconds": 0}));
    let revoked = client.request(Method::POST, "/_sim/tokens/revoke").send().await.unwrap();
    assert_eq!(revoked.status(), 204);
    assert_eq!(client.read().await.unwrap().status(), 401);
}

#[tokio::test]
async fn bad_input_is_refused_by_field_value_and_what_is_accepted() {
    let (sim, client) = start().await;
    let campaign = format!("/tenants/{ORGANIZATION}/campaigns/{CAMPAIGN}");
    let effect = |effect: Value| json!({"effect": effect});
    let cases = [
        (
            Method::POST,
            "/faults".to_owned(),
            effect(json!({"kind": "answer", "status": 99})),
            "effect.status",
            "99",
            "200 to 599",
        ),
        (
            Method::POST,
            "/faults".into(),
            effect(json!({"kind": "explode"})),
            "effect.kind",
            "explode",
            "truncated",
        ),
        (
            Method::POST,
            "/faults".into(),
            effect(json!({"kind": "delay", "ms": "x"})),
            "effect",
            "\"x\"",
            "u64",
        ),
        (
            Method::POST,
            "/faults".into(),
            json!({"route": "stats", "effect": {"kind": "lie"}}),
            "route",
            "stats",
            "statePut",
        ),
        (
            Method::POST,
            "/faults".into(),
            json!({"route": "here", "effect": {"kind": "hang"}}),
            "route",
            "here",
            "stateGet",
        ),
        (
            Method::POST,
            "/faults".into(),
            effect(json!({"kind": "lie", "colour": 1})),
            "effect.colour",
            "1",
            "kind",
        ),
        (
            Method::POST,
            "/faults".into(),
            json!({"times": 0, "effect": {"kind": "hang"}}),
            "times",
            "0",
            "1 or more",
        ),
        (
            Method::POST,
            "/faults".into(),
            json!({"colour": 1, "effect": {"kind": "hang"}}),
            "colour",
            "colour",
            "campaign",
        ),
        (Method::PUT, campaign.clone(), json!({"state": "Running"}), "state", "Running", "running"),
        (
            Method::PUT,
            campaign.clone(),
            json!({"activeCalls": {"target": -1}}),
            "activeCalls.target",
            "-1",
            "u32",
        ),
        (
            Method::PUT,
            campaign.clone(),
            json!({"activeCalls": {"risePerSecond": 0}}),
            "activeCalls.risePerSecond",
            "0",
            "above 0",
        ),
        (Method::PUT, "/tenants/nobody/campaigns/c".into(), json!({}), "tenant", "nobody", "acme"),
        (
            Method::POST,
            format!("{campaign}/second-writer"),
            json!({"status": "paused", "everyMs": 1}),
            "everyMs",
            "1",
            "10 ms",
        ),
        (
            Method::POST,
            format!("/tenants/{ORGANIZATION}/campaigns/c-9/outside"),
            json!({"status": "paused"}),
            "campaign",
            "c-9",
            "exists",
        ),
        (
            Method::PATCH,
            "/settings".into(),
            json!({"tokenLifetimeSeconds": 0}),
            "tokenLifetimeSeconds",
            "0",
            "1 to",
        ),
        (Method::POST, "/tokens/revoke".into(), json!({"tenant": "nobody"}), "tenant", "nobody", "exists"),
        (Method::GET, "/log?since=x".into(), Value::Null, "query", "since", "digit"),
        (Method::GET, "/nonsense".into(), Value::Null, "path", "nonsense", "faults"),
    ];
    for (method, path, body, field, value, accepted) in cases {
        let answer = client.control(method, &path, body.clone()).await;
        assert!(answer.status().is_client_error(), "{path} {body}");
        let refusal = json(answer).await;
        let message = refusal["message"].as_str().unwrap();
        assert_eq!(refusal["field"], field, "{refusal}");
        assert!(message.contains(value) && message.contains(accepted), "{refusal}");
    }
    assert_eq!(sim.faults().len(), 0);
}

#[tokio::test]
async fn the_page_is_self_contained_and_its_state_knows_no_secret() {
    let (sim, client) = start().await;
    client.write("paused").await.unwrap();
    let page = client.request(Method::GET, "/").send().await.unwrap();
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    let page = page.text().await.unwrap();
    assert!(
        !page.contains("src=")
            && !page.replace("href=\"data:,\"", "").contains("href=")
            && !page.contains("@import")
    );
    let state = json(client.control(Method::GET, "/state", Value::Null).await).await;
    let campaign = &state["tenants"][0]["campaigns"][0];
    assert_eq!((&campaign["id"], &campaign["state"]), (&json!(CAMPAIGN), &json!("paused")));
    assert_eq!(campaign["turns"][1]["actor"], "client");
    assert!(campaign["chart"].is_array() && campaign["activeCalls"].is_u64());
    assert!(!state.to_string().contains("acme-secret") && !state.to_string().contains(client.token()));
    assert!(sim.log().iter().all(|e| e.request.as_ref().is_none_or(|r| !r.path.starts_with("/_sim"))));
}
