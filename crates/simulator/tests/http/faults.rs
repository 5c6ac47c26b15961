//! Every fault, as the client feels it and as the log tells it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use simulator::{Actor, Effect, Fault, FaultRoute, LogEntry, Loss, Outcome, Simulator, State};

use crate::client::{CAMPAIGN, Client, ORGANIZATION, PATIENCE, json, start};

fn answered(entry: &LogEntry, outcome: Outcome) -> bool {
    entry.outcome() == Some(outcome)
}

fn state(sim: &Simulator) -> State {
    sim.campaign(ORGANIZATION, CAMPAIGN).state()
}

/// The causes of a client error, down to the innermost.
fn causes(error: &dyn std::error::Error) -> String {
    let next = std::iter::successors(error.source(), |cause| cause.source());
    next.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[tokio::test]
async fn an_answer_is_sent_exactly_as_described() {
    let (sim, client) = start().await;
    let headers = BTreeMap::from([("icStatusDescription".to_owned(), "DialerBusy".to_owned())]);
    let retry_after = Some("soon, I hope".to_owned());
    let answer = |body| Effect::Answer { status: 503, retry_after, body, headers };
    sim.fault(Fault::new(FaultRoute::StateGet, answer(Some(json!("plain words")))));
    let response = client.read().await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "soon, I hope");
    assert_eq!(response.headers()["icstatusdescription"], "DialerBusy");
    assert_eq!(response.text().await.unwrap(), "plain words");
    sim.clear_faults();
    let wrong_types = Effect::Answer {
        status: 200,
        retry_after: None,
        body: Some(json!({"status": 7})),
        headers: BTreeMap::new(),
    };
    sim.fault(Fault::new(FaultRoute::StateGet, wrong_types));
    assert_eq!(json(client.read().await.unwrap()).await, json!({"status": 7}));
    sim.clear_faults();
    sim.fault(Fault::status(FaultRoute::Token, 500));
    let response = client.log_in(ORGANIZATION, "acme-secret").await;
    assert_eq!((response.status().as_u16(), &json(response).await["error"]), (500, &json!("fault")));
}

#[tokio::test]
async fn a_fault_hits_after_its_skips_for_its_count_and_then_no_more() {
    let (sim, client) = start().await;
    let id = sim.fault(Fault::status(FaultRoute::StateGet, 500).skip(1).times(2));
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(client.read().await.unwrap().status().as_u16());
    }
    assert_eq!(seen, [200, 500, 500, 200]);
    let fault = &sim.faults()[0];
    assert_eq!((fault.id, fault.matched, fault.hit, fault.over), (id, 3, 2, true));
    let hit: Vec<_> = sim.log().iter().filter_map(|e| e.request.as_ref()?.fault).collect();
    assert_eq!(hit, [id, id]);
}

#[tokio::test]
async fn a_fault_ends_with_its_time_or_when_it_is_removed() {
    let (sim, client) = start().await;
    sim.fault(Fault::status(FaultRoute::Any, 500).lasting(Duration::from_secs(1)));
    assert_eq!(client.read().await.unwrap().status(), 500);
    let over = async { while client.read().await.unwrap().status() == 500 {} };
    tokio::time::timeout(PATIENCE, over).await.unwrap();
    let id = sim.fault(Fault::status(FaultRoute::Any, 500));
    assert_eq!(client.read().await.unwrap().status(), 500);
    assert!(sim.clear_fault(id));
    assert!(!sim.clear_fault(id));
    assert_eq!(client.read().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_fault_is_for_its_route_its_tenant_and_its_campaign_only() {
    let (sim, acme) = start().await;
    sim.campaign(ORGANIZATION, "c-2");
    sim.campaign("globex", CAMPAIGN);
    let globex = Client::of(&sim, "globex").await;
    sim.fault(Fault::status(FaultRoute::StateGet, 500).tenant(ORGANIZATION).campaign(CAMPAIGN));
    assert_eq!(acme.read().await.unwrap().status(), 500);
    assert_eq!(acme.write("paused").await.unwrap().status(), 200);
    assert_eq!(acme.get("/api/v2/campaigns/outbound/c-2/state").await.unwrap().status(), 200);
    assert_eq!(globex.read().await.unwrap().status(), 200);
}

#[tokio::test]
async fn of_several_faults_the_first_that_matches_decides() {
    let (sim, client) = start().await;
    sim.fault(Fault::status(FaultRoute::StatePut, 501));
    sim.fault(Fault::status(FaultRoute::Any, 502).times(1));
    sim.fault(Fault::status(FaultRoute::StateGet, 503));
    assert_eq!(client.read().await.unwrap().status(), 502);
    assert_eq!(client.read().await.unwrap().status(), 503);
}

#[tokio::test]
async fn a_delay_delays_and_the_rest_is_as_usual() {
    let (sim, client) = start().await;
    sim.fault(Fault::new(FaultRoute::StatePut, Effect::Delay { ms: 150 }));
    let before = Instant::now();
    assert_eq!(client.write("paused").await.unwrap().status(), 200);
    assert!(before.elapsed() >= Duration::from_millis(150));
    assert_eq!(state(&sim), State::Paused);
}

#[tokio::test]
async fn a_client_that_leaves_during_a_delay_is_noted() {
    let (sim, client) = start().await;
    sim.fault(Fault::new(FaultRoute::StatePut, Effect::Delay { ms: 60_000 }));
    tokio::select! {
        _ = client.write("paused") => unreachable!("it is delayed"),
        seen = sim.wait_for(|log| log.iter().any(|e| answered(e, Outcome::Pending)), PATIENCE) => seen.unwrap(),
    };
    sim.wait_for(|log| log.iter().any(|e| answered(e, Outcome::ClientGone)), PATIENCE).await.unwrap();
    assert_eq!(state(&sim), State::Running);
}

#[tokio::test]
async fn a_hang_lasts_until_the_client_goes() {
    let (sim, client) = start().await;
    sim.fault(Fault::new(FaultRoute::StateGet, Effect::Hang));
    let hung = |log: &[LogEntry]| log.iter().any(|e| answered(e, Outcome::Hung));
    tokio::select! {
        _ = client.read() => unreachable!("it hangs"),
        seen = sim.wait_for(hung, PATIENCE) => seen.unwrap(),
    };
    let ended = |log: &[LogEntry]| log.iter().any(|e| answered(e, Outcome::Hung) && e.ended_at.is_some());
    sim.wait_for(ended, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_hang_is_reset_when_its_fault_is_removed_even_after_its_count_is_used_up() {
    let (sim, client) = start().await;
    let id = sim.fault(Fault::new(FaultRoute::StateGet, Effect::Hang).times(1));
    let hung = |log: &[LogEntry]| log.iter().any(|e| answered(e, Outcome::Hung));
    let release = async {
        sim.wait_for(hung, PATIENCE).await.unwrap();
        sim.clear_fault(id);
    };
    let (answer, ()) = tokio::join!(client.read(), release);
    assert!(answer.unwrap_err().is_request());
}

#[tokio::test]
async fn a_reset_is_a_reset_and_nothing_is_applied() {
    let (sim, client) = start().await;
    sim.fault(Fault::new(FaultRoute::StatePut, Effect::Reset));
    let error = client.write("paused").await.unwrap_err();
    assert!(causes(&error).contains("reset by peer"), "{}", causes(&error));
    assert!(answered(&sim.puts(CAMPAIGN)[0], Outcome::Reset));
    assert_eq!(state(&sim), State::Running);
}

#[tokio::test]
async fn a_truncated_answer_has_its_head_and_half_of_its_body() {
    let (sim, client) = start().await;
    sim.fault(Fault::new(FaultRoute::StateGet, Effect::Truncated));
    let mut answer = client.read().await.unwrap();
    assert_eq!(answer.status(), 200);
    let whole = usize::try_from(answer.content_length().unwrap()).unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap().len(), whole / 2);
    assert!(answer.chunk().await.is_err());
    let gone = |log: &[LogEntry]| log.iter().any(|e| answered(e, Outcome::Truncated));
    sim.wait_for(gone, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn an_unknown_word_takes_the_place_of_the_status() {
    let (sim, client) = start().await;
    sim.fault(Fault::new(FaultRoute::Any, Effect::UnknownStatus { word: "melting".into() }));
    assert_eq!(json(client.read().await.unwrap()).await["status"], "melting");
    assert_eq!(json(client.write("paused").await.unwrap()).await["status"], "melting");
    assert_eq!(client.stats("").await["page"][0]["status"], "melting");
    assert_eq!(client.log_in(ORGANIZATION, "acme-secret").await.status(), 200);
}

#[tokio::test]
async fn a_huge_body_is_valid_json_of_that_size() {
    let (sim, client) = start().await;
    sim.fault(Fault::new(FaultRoute::StateGet, Effect::HugeBody { mebibytes: 3, status: 200 }));
    let body = client.read().await.unwrap().bytes().await.unwrap();
    assert!(body.len() > 3 << 20 && body.len() < (3 << 20) + 100);
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["status"], "running");
}

#[tokio::test]
async fn pages_without_end_have_ever_new_tokens_and_a_repeating_token_repeats() {
    let (sim, client) = start().await;
    let walk = async || {
        let mut tokens = Vec::new();
        let mut query = String::new();
        for _ in 0..5 {
            let page = client.stats(&query).await;
            assert_eq!(page["page"].as_array().unwrap().len(), 1);
            tokens.push(page["nextPageToken"].as_str().unwrap().to_owned());
            query = format!("?pageToken={}", tokens.last().unwrap());
        }
        tokens
    };
    sim.fault(Fault::new(FaultRoute::Stats, Effect::EndlessPages));
    let mut endless = walk().await;
    endless.dedup();
    assert_eq!(endless.len(), 5);
    sim.clear_faults();
    sim.fault(Fault::new(FaultRoute::Stats, Effect::RepeatingToken));
    let mut repeating = walk().await;
    repeating.dedup();
    assert_eq!(repeating.len(), 1);
}

#[tokio::test]
async fn active_calls_can_be_missing() {
    let (sim, client) = start().await;
    sim.fault(Fault::new(FaultRoute::Stats, Effect::MissingActiveCalls));
    let row = &client.stats("").await["page"][0];
    assert!(row.get("activeCalls").is_none() && row["completedCalls"].is_u64());
}

#[tokio::test]
async fn a_redirect_names_its_place() {
    let (sim, client) = start().await;
    let location = "http://127.0.0.1:9/elsewhere".to_owned();
    sim.fault(Fault::new(FaultRoute::Any, Effect::Redirect { location }));
    let answer = client.read().await.unwrap();
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.headers()["location"], "http://127.0.0.1:9/elsewhere");
}

#[tokio::test]
async fn a_lie_says_200_and_changes_nothing() {
    let (sim, client) = start().await;
    sim.fault(Fault::new(FaultRoute::Any, Effect::Lie));
    let answer = client.write("paused").await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(json(answer).await["status"], "paused");
    assert_eq!(state(&sim), State::Running);
    assert!(!sim.puts(CAMPAIGN)[0].effective());
}

#[tokio::test]
async fn a_put_whose_answer_is_lost_is_applied_all_the_same() {
    let (sim, client) = start().await;
    sim.fault(Fault::new(FaultRoute::Any, Effect::LostAnswer { how: Loss::Reset }).times(1));
    client.write("paused").await.unwrap_err();
    assert_eq!(state(&sim), State::Paused);
    sim.fault(Fault::new(FaultRoute::Any, Effect::LostAnswer { how: Loss::Hang }).times(1));
    let hung = |log: &[LogEntry]| log.iter().any(|e| answered(e, Outcome::Hung));
    tokio::select! {
        _ = client.write("running") => unreachable!("it hangs"),
        seen = sim.wait_for(hung, PATIENCE) => seen.unwrap(),
    };
    assert_eq!(state(&sim), State::Running);
    let puts = sim.puts(CAMPAIGN);
    assert!(puts.iter().all(LogEntry::effective));
    assert_eq!(
        puts.iter().map(LogEntry::outcome).collect::<Vec<_>>(),
        [Outcome::Reset, Outcome::Hung].map(Some)
    );
}

#[tokio::test]
async fn a_late_put_is_answered_first_and_takes_effect_later() {
    let (sim, client) = start().await;
    sim.fault(Fault::new(FaultRoute::Any, Effect::Late { ms: 1000, lost: None }));
    assert_eq!(client.write("paused").await.unwrap().status(), 200);
    let put = sim.puts(CAMPAIGN).remove(0);
    assert_eq!((state(&sim), put.effective()), (State::Running, false));
    let late = |e: &LogEntry| e.change.as_ref().is_some_and(|c| c.actor == Actor::Late);
    let log = sim.wait_for(|log| log.iter().any(late), PATIENCE).await.unwrap();
    assert_eq!(log.last().unwrap().change.as_ref().unwrap().caused_by, Some(put.seq));
    assert_eq!(state(&sim), State::Paused);
    assert!(sim.puts(CAMPAIGN)[0].effective());
}

#[tokio::test]
async fn a_late_put_can_lose_its_answer_as_well() {
    let (sim, client) = start().await;
    sim.fault(Fault::new(FaultRoute::Any, Effect::Late { ms: 100, lost: Some(Loss::Reset) }));
    client.write("paused").await.unwrap_err();
    let late = |e: &LogEntry| e.change.as_ref().is_some_and(|c| c.actor == Actor::Late);
    sim.wait_for(|log| log.iter().any(late), PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_conflict_comes_although_nothing_is_wrong_with_or_without_effect() {
    let (sim, client) = start().await;
    sim.fault(Fault::new(FaultRoute::Any, Effect::Conflict { applied: false }).times(1));
    assert_eq!(client.write("paused").await.unwrap().status(), 409);
    assert_eq!(state(&sim), State::Running);
    sim.fault(Fault::new(FaultRoute::Any, Effect::Conflict { applied: true }).times(1));
    assert_eq!(client.write("paused").await.unwrap().status(), 409);
    assert_eq!(state(&sim), State::Paused);
    assert_eq!(sim.puts(CAMPAIGN).iter().map(LogEntry::effective).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn effects_on_puts_leave_a_refusal_a_refusal() {
    let (sim, client) = start().await;
    sim.fault(Fault::new(FaultRoute::Any, Effect::LostAnswer { how: Loss::Reset }));
    assert_eq!(client.write("running").await.unwrap().status(), 409);
    sim.revoke_tokens();
    assert_eq!(client.write("paused").await.unwrap().status(), 401);
    let anonymous = client.request(Method::GET, "/api/v2/campaigns/outbound/c-1/stats");
    assert_eq!(anonymous.send().await.unwrap().status(), 401);
}
