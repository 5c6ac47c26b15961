//! What CXone answers when it does not do what was asked: 401, 403, 404, 409, 429, 503.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rules::kinds::{Outcome, RECONCILE};
use serde_json::json;
use simulator::{Effect, Fault, FaultRoute, LogEntry, Route, Scope, State};

use crate::hours::{closed_now, in_seconds};
use crate::stage::{ORG, Stage, says};

fn with_retry_after(status: u16, value: Option<&str>) -> Effect {
    Effect::Answer { status, retry_after: value.map(str::to_owned), body: None, headers: BTreeMap::new() }
}

/// Whole seconds from each to the next.
fn gaps(requests: &[LogEntry]) -> Vec<i64> {
    requests.windows(2).map(|w| w[1].at.duration_since(w[0].at).as_secs()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_done_when_the_read_after_it_shows_the_target() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "start");
    stage.sim.campaign(ORG, "close").set(State::Running);
    for name in ["start", "close"] {
        let fault = Fault::new(FaultRoute::StatePut, Effect::Conflict { applied: true });
        stage.sim.fault(fault.campaign(name).times(1));
    }
    stage.declare("start", "Running", json!({})).await;
    stage.declare("close", "Paused", json!({})).await;
    for (name, reason, word) in [("start", "Running", "running"), ("close", "Paused", "paused")] {
        let status = stage.until_ready(name, "True", reason).await.status.unwrap();
        assert_eq!(stage.put_words(name), [word], "{name}");
        assert_eq!(status.last_transition.unwrap().outcome, Outcome::Applied, "{name}");
        stage.look(name).await;
        assert_eq!(stage.put_words(name), [word], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_refused_twice_is_stalled_and_left_alone_until_the_declaration_changes() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1");
    stage.sim.fault(Fault::new(FaultRoute::StatePut, Effect::Conflict { applied: false }).times(2));
    stage.declare("c-1", "Running", json!({"checkIntervalSeconds": 10})).await;
    let object = stage.until_ready("c-1", "False", "InvalidTransition").await;
    assert_eq!(says(&object, "Stalled").unwrap().1, "InvalidTransition");
    stage.until("c-1", "the end of the transition", |s| s.pending_transition.is_none()).await;

    // CXone would take it now, and two more looks at the campaign send nothing: it is not hammered.
    let looks = stage.requests("c-1", Route::StateGet).len();
    stage.until_requests("c-1", Route::StateGet, looks + 2).await;
    let puts = stage.sim.puts("c-1");
    assert_eq!(puts.len(), 2, "{}", stage.story("c-1").await);
    assert!(gaps(&puts)[0] >= 1, "{:?}", gaps(&puts));
    let between = |e: &LogEntry| e.seq > puts[0].seq && e.seq < puts[1].seq;
    assert!(stage.requests("c-1", Route::StateGet).iter().any(between), "a conflict is followed by a read");
    let refused = stage.events("c-1").await;
    assert!(refused.iter().any(|e| e.reason.as_deref() == Some("InvalidTransition")), "{refused:#?}");

    stage.change("c-1", json!({"maxActiveCalls": 200})).await;
    stage.until_ready("c-1", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["running"; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_that_is_refused_is_asked_for_again_until_it_holds() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    stage.sim.fault(Fault::new(FaultRoute::StatePut, Effect::Conflict { applied: false }).times(3));
    stage.declare("c-1", "Paused", json!({})).await;
    stage.until_ready("c-1", "False", "InvalidTransition").await;
    let status = stage.until_ready("c-1", "True", "Paused").await.status.unwrap();

    let puts = stage.sim.puts("c-1");
    assert_eq!(puts.len(), 4, "{}", stage.story("c-1").await);
    assert!(gaps(&puts).iter().all(|gap| *gap < 10), "{:?}", gaps(&puts));
    let ids: Vec<_> = puts.iter().map(|p| p.body().unwrap()["metadata"]["transitionId"].clone()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "the same wish has the same id: {ids:?}");
    assert_eq!(status.history.len(), 1);
}

/// How long a tenant is asked to wait, and how it is said.
enum Hold {
    Seconds(i64),
    Date(i64),
}

impl Hold {
    fn length(&self) -> SignedDuration {
        let (Self::Seconds(seconds) | Self::Date(seconds)) = self;
        SignedDuration::from_secs(*seconds)
    }

    /// The header's value as of now, and its date where it is one.
    fn retry_after(&self) -> (String, Option<Timestamp>) {
        match self {
            Self::Seconds(seconds) => (seconds.to_string(), None),
            Self::Date(seconds) => {
                let until = in_seconds(*seconds);
                (until.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string(), Some(until))
            }
        }
    }
}

/// A tenant that was asked to wait: nothing of it but closes goes out until then.
async fn a_hold_is_kept(status: u16, hold: Hold) {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "waiting");
    for name in ["busy", "watched"] {
        stage.sim.campaign(ORG, name).set(State::Running);
        // Their looks for drift fall into the hold, too.
        stage.declare(name, "Running", json!({"checkIntervalSeconds": 10})).await;
        stage.until_ready(name, "True", "Running").await;
    }
    stage.add_tenant("another", "globex").await;
    stage.sim.campaign("globex", "elsewhere");
    stage.until_tenant("another", "True", "TenantReady").await;
    // A date counts from here: all that takes long is done.
    let (retry_after, date) = hold.retry_after();
    let fault = Fault::new(FaultRoute::StateGet, with_retry_after(status, Some(&retry_after)));
    stage.sim.fault(fault.campaign("waiting").times(1));
    stage.declare("waiting", "Running", json!({})).await;
    let log =
        stage.until_log("the answer that asks to wait", |log| log.iter().any(|e| e.status() == Some(status)));
    let told = log.await.into_iter().find(|e| e.status() == Some(status)).unwrap();
    let until = date.unwrap_or_else(|| told.at + hold.length());
    let object = stage.until_ready("waiting", "Unknown", "RateLimited").await;
    assert_eq!(says(&object, "Reconciling").unwrap().0, "True");

    stage.annotate("watched", RECONCILE, Some("now")).await;
    stage.change("busy", json!({"state": "Paused"})).await;
    stage.declare("elsewhere", "Running", json!({"tenantRef": {"name": "another"}})).await;
    stage.until_ready("busy", "True", "Paused").await;
    stage.until_ready("elsewhere", "True", "Running").await;
    assert!(Timestamp::now() < until, "the close and another tenant's start came within the hold");
    stage.until_ready("waiting", "True", "Running").await;

    let held = |e: &LogEntry| e.seq > told.seq && e.at < until && e.tenant.as_deref() == Some(ORG);
    let within: Vec<_> = stage.sim.log().into_iter().filter(|e| held(e) && e.request.is_some()).collect();
    assert!(
        !within.is_empty() && within.iter().all(|e| e.campaign.as_deref() == Some("busy")),
        "{within:#?}"
    );
    assert_eq!(stage.put_words("busy"), ["paused"]);
    let start = stage.sim.puts("waiting")[0].at;
    let late = start.duration_since(until);
    assert!(late < SignedDuration::from_secs(10), "the start came {late} after the hold");
    eprintln!("{status} Retry-After {retry_after}: the start came {late} after its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_429_with_seconds_nothing_of_the_tenant_but_closes_goes_out() {
    a_hold_is_kept(429, Hold::Seconds(8)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_429_with_a_date_nothing_of_the_tenant_but_closes_goes_out() {
    a_hold_is_kept(429, Hold::Date(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_503_with_retry_after_nothing_of_the_tenant_but_closes_goes_out() {
    a_hold_is_kept(503, Hold::Seconds(8)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_retry_after_a_campaign_backs_off_by_itself_and_holds_up_no_other() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "limited");
    stage.sim.campaign(ORG, "free");
    let fault = Fault::new(FaultRoute::StateGet, with_retry_after(429, None));
    stage.sim.fault(fault.campaign("limited").times(3));
    stage.declare("limited", "Running", json!({})).await;
    stage.until_ready("limited", "Unknown", "RateLimited").await;
    stage.declare("free", "Running", json!({})).await;
    stage.until_ready("free", "True", "Running").await;
    stage.until_ready("limited", "True", "Running").await;

    let reads = stage.requests("limited", Route::StateGet);
    assert!(gaps(&reads).iter().zip([1, 2, 4]).all(|(gap, least)| *gap >= least), "{:?}", gaps(&reads));
    assert!(stage.sim.puts("free")[0].seq < reads[3].seq, "{}", stage.story("free").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_that_is_told_to_wait_is_repeated_all_the_same() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    stage.sim.fault(Fault::new(FaultRoute::StatePut, with_retry_after(429, Some("300"))).times(2));
    stage.declare("c-1", "Paused", json!({})).await;
    stage.until_ready("c-1", "True", "Paused").await;
    let puts = stage.sim.puts("c-1");
    assert_eq!(puts.len(), 3, "{}", stage.story("c-1").await);
    assert!(gaps(&puts).iter().all(|gap| *gap < 10), "{:?}", gaps(&puts));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_revoked_token_one_new_token_serves_all_and_work_goes_on() {
    let stage = Stage::new().await;
    let names = ["c-1", "c-2", "c-3"];
    for name in names {
        stage.sim.campaign(ORG, name);
        stage.declare(name, "Running", json!({})).await;
    }
    for name in names {
        stage.until_ready(name, "True", "Running").await;
    }
    let tokens = || stage.sim.log().iter().filter(|e| e.is_request(Route::Token)).count();
    let before = tokens();
    stage.sim.tenant(ORG).revoke_tokens();
    tokio::join!(stage.look("c-1"), stage.look("c-2"), stage.look("c-3"));
    assert_eq!(tokens(), before + 1, "{}", stage.story("c-1").await);

    stage.sim.tenant(ORG).revoke_tokens();
    stage.change("c-2", json!({"state": "Paused"})).await;
    stage.until_ready("c-2", "True", "Paused").await;
    assert_eq!(stage.put_words("c-2"), ["running", "paused"]);
    assert_eq!(tokens(), before + 2, "{}", stage.story("c-2").await);
    for name in names {
        let status = stage.get(name).await.status.unwrap();
        assert_eq!(status.condition("Ready").unwrap().status, "True", "{name}: nobody noticed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_route_that_asks_to_wait_keeps_no_close_from_its_token() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    stage.declare("c-1", "Running", json!({})).await;
    stage.until_ready("c-1", "True", "Running").await;
    stage.sim.fault(Fault::new(FaultRoute::Token, with_retry_after(429, Some("300"))).times(1));
    stage.sim.tenant(ORG).revoke_tokens();
    stage.annotate("c-1", RECONCILE, Some("a look that meets it")).await;
    stage.until_log("the token refused", |log| log.iter().any(|e| e.status() == Some(429))).await;
    let declared_at = Timestamp::now();
    stage.change("c-1", json!({"state": "Paused"})).await;
    stage.until_ready("c-1", "True", "Paused").await;
    let took = stage.sim.puts("c-1")[0].at.duration_since(declared_at);
    assert!(took < SignedDuration::from_secs(3), "{took}\n{}", stage.story("c-1").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_said_by_tenant_and_campaign_and_mended_by_the_secret_alone() {
    let stage = Stage::without_operator().await;
    let tenant = stage.sim.tenant(ORG);
    stage.set_secret("default-credentials", &tenant.client_id(), "wr0ng-secret").await;
    stage.sim.campaign(ORG, "c-1");
    stage.declare("c-1", "Running", json!({})).await;
    let mut stage = stage;
    stage.start_operator(&[]);
    stage.until_tenant("default", "False", "Unauthorized").await;
    let object = stage.until_ready("c-1", "False", "Unauthorized").await;
    assert_eq!(says(&object, "Stalled").unwrap().1, "Unauthorized");
    assert!(stage.sim.log().iter().all(|e| e.request.is_none() || e.is_request(Route::Token)));

    let mended_at = Timestamp::now();
    stage.set_secret("default-credentials", &tenant.client_id(), &tenant.client_secret()).await;
    stage.until_ready("c-1", "True", "Running").await;
    stage.until_tenant("default", "True", "TenantReady").await;
    let took = stage.sim.puts("c-1")[0].at.duration_since(mended_at);
    assert!(took < SignedDuration::from_secs(30), "it took {took}");
    eprintln!("credentials mended by the Secret alone: started after {took}");
    let told = format!("{}{}{:?}", stage.operator.log(), stage.operator.printed(), stage.get("c-1").await);
    assert!(!told.contains("wr0ng-secret") && !told.contains(&tenant.client_secret()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_stalls_reads_and_starts_and_a_look_that_is_asked_for_notices_its_mending() {
    let stage = Stage::without_operator().await;
    let tenant = stage.sim.tenant(ORG);
    tenant.set_scopes([]);
    stage.sim.campaign(ORG, "c-1");
    stage.declare("c-1", "Running", json!({})).await;
    let mut stage = stage;
    stage.start_operator(&[]);
    let object = stage.until_ready("c-1", "False", "Forbidden").await;
    let (_, reason, message) = says(&object, "Stalled").unwrap();
    assert_eq!((reason.as_str(), message.contains("read")), ("Forbidden", true), "{message}");

    tenant.set_scopes([Scope::CampaignsRead]);
    stage.annotate("c-1", RECONCILE, Some("1")).await;
    stage
        .until("c-1", "a start that is forbidden", |s| {
            s.condition("Stalled").is_some_and(|c| c.reason == "Forbidden" && c.message.contains("started"))
        })
        .await;
    assert_eq!(stage.put_words("c-1"), ["running"]);
    tenant.set_scopes(Scope::ALL);
    stage.annotate("c-1", RECONCILE, Some("2")).await;
    stage.until_ready("c-1", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["running"; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_given_is_noticed_within_about_a_minute_without_a_hand() {
    let stage = Stage::without_operator().await;
    stage.sim.tenant(ORG).set_scopes([]);
    stage.sim.campaign(ORG, "c-1");
    stage.declare("c-1", "Running", json!({})).await;
    let mut stage = stage;
    stage.start_operator(&[]);
    stage.until_ready("c-1", "False", "Forbidden").await;
    stage.sim.tenant(ORG).set_scopes(Scope::ALL);
    let started = |log: &[LogEntry]| log.iter().any(|e| e.is_put("c-1"));
    stage.sim.wait_for(started, Duration::from_secs(90)).await.unwrap();
    stage.until_ready("c-1", "True", "Running").await;
    let reads = stage.requests("c-1", Route::StateGet);
    assert!(gaps(&reads)[0] >= 55, "it was looked at slowly meanwhile: {:?}", gaps(&reads));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_gets_no_close_and_is_driven_once_it_does() {
    let stage = Stage::new().await;
    let names = ["start", "pause", "late"];
    stage.declare("start", "Running", json!({})).await;
    stage.declare("pause", "Paused", json!({})).await;
    stage.declare("late", "Running", json!({"complianceWindow": closed_now()})).await;
    for name in names {
        let object = stage.until_ready(name, "False", "CampaignNotFound").await;
        assert_eq!(says(&object, "Stalled").unwrap().1, "CampaignNotFound");
    }
    // Longer than a close waits for a read before it goes out blindly, after a look that was asked for.
    tokio::join!(stage.look("start"), stage.look("pause"), stage.look("late"));
    tokio::time::sleep(Duration::from_secs(5)).await;
    for name in names {
        assert!(stage.sim.puts(name).is_empty(), "{}", stage.story(name).await);
        stage.sim.campaign(ORG, name).set(State::Running);
        stage.annotate(name, RECONCILE, Some("it is there now")).await;
    }
    stage.until_ready("start", "True", "Running").await;
    stage.until_ready("pause", "True", "Paused").await;
    stage.until_ready("late", "True", "OutsideWindow").await;
    assert_eq!(names.map(|name| stage.put_words(name).join(" ")), ["", "paused", "paused"]);
}
