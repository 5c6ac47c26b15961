//! One brake for all: a freeze holds every start and pauses what runs.

use jiff::Timestamp;
use kube::ResourceExt;
use rules::kinds::{Cause, RECONCILE};
use serde_json::{Value, json};
use simulator::{Effect, Fault, FaultRoute, LogEntry, Route, State};

use crate::hours::in_seconds;
use crate::policies::{AT_ONCE, held, running};
use crate::stage::{ORG, Stage, id_of, ms_after};

/// Those that a freeze held start again within that time, at random.
const THAW_WITHIN_MS: i64 = 10_000;

fn frozen(reason: &str) -> Value {
    json!({"freeze": {"reason": reason}})
}

/// Every PUT of a state, by anybody.
fn puts(log: &[LogEntry]) -> Vec<LogEntry> {
    log.iter().filter(|e| e.is_request(Route::StatePut)).cloned().collect()
}

fn word(put: &LogEntry) -> String {
    put.body().unwrap()["status"].as_str().unwrap().to_owned()
}

/// A stage whose tenant is asked as often as the test likes.
async fn wide_stage() -> Stage {
    let stage = Stage::with_args(&["--log-level", "info"]).await;
    let spec = json!({"baseUrl": stage.sim.url(), "credentialsSecretRef": {"name": "default-credentials"},
                      "requestsPerSecond": 100, "burst": 200});
    stage.apply_tenant("default", spec).await;
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn one_patch_freezes_fifty_running_campaigns_and_one_lifts_it_and_they_start_spread_over_seconds() {
    let stage = wide_stage().await;
    let names: Vec<String> = (1..=50).map(|n| format!("c-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    stage.apply_policy("brake", json!({})).await;
    running(&stage, &names, &json!({})).await;

    let patched = Timestamp::now();
    stage.change_policy("brake", frozen("regulator on the phone")).await;
    // Declared anew and looked at, while the closes go out and after: nothing of that starts anything.
    for name in &names[..10] {
        stage.change(name, json!({"maxActiveCalls": 151})).await;
        stage.annotate(name, RECONCILE, Some("a look")).await;
    }
    for name in &names {
        let status = stage.until_ready(name, "True", "Frozen").await.status.unwrap();
        let (reason, message) = held(&status);
        assert!(reason == "Frozen" && message.contains("regulator on the phone"), "{message}");
        assert!(message.contains(&stage.policy("brake")), "{message}");
        let last = status.last_transition.unwrap();
        assert_eq!((last.cause, last.decided_by), (Cause::Frozen, Some(stage.policy_ref("brake", 2))));
    }
    stage.change(names[20], json!({"maxActiveCalls": 151})).await;
    for name in &names[20..25] {
        stage.look(name).await;
    }
    let closes = puts(&stage.sim.log());
    let delays: Vec<i64> = closes.iter().map(|put| ms_after(patched, put)).collect();
    let (first, last) = (*delays.iter().min().unwrap(), *delays.iter().max().unwrap());
    eprintln!("FIGURE freeze patched to PUT, 50 campaigns: first {first} ms, last {last} ms");
    assert!(closes.iter().all(|put| word(put) == "paused"), "{closes:#?}");
    assert_eq!(closes.len(), 50);
    for name in &names {
        assert_eq!(stage.put_words(name), ["paused"]);
    }

    let lifted = Timestamp::now();
    stage.change_policy("brake", json!({"freeze": null})).await;
    for name in &names {
        stage.until_ready(name, "True", "Running").await;
        assert_eq!(stage.put_words(name), ["paused", "running"]);
    }
    let mut starts: Vec<i64> = names.iter().map(|name| ms_after(lifted, &stage.sim.puts(name)[1])).collect();
    starts.sort_unstable();
    eprintln!(
        "FIGURE freeze lifted to PUT, 50 campaigns: first {} ms, median {} ms, last {} ms",
        starts[0], starts[25], starts[49]
    );
    assert_eq!(puts(&stage.sim.log()).len(), 100);
    assert!(starts[49] - starts[0] >= 3000, "at random over {THAW_WITHIN_MS} ms: {starts:?}");
    assert!(starts[49] <= THAW_WITHIN_MS + 5000, "{starts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_that_meets_a_start_on_its_way_pauses_what_comes_of_it() {
    let stage = Stage::new().await;
    stage.apply_policy("brake", json!({})).await;
    let campaign = stage.sim.campaign(ORG, "c-1");
    stage.sim.fault(
        Fault::new(FaultRoute::StatePut, Effect::Late { ms: 2000, lost: None }).campaign("c-1").times(1),
    );
    stage.declare("c-1", "Running", json!({})).await;
    stage.until_log("a start on its way", |log| log.iter().any(|e| e.is_put("c-1"))).await;
    stage.change_policy("brake", frozen("too late for this one")).await;
    let paused = |s: &rules::kinds::CampaignStatus| {
        s.last_transition.as_ref().is_some_and(|last| last.cause == Cause::Frozen)
    };
    stage.until("c-1", "the pause on record", paused).await;
    assert_eq!(campaign.state(), State::Paused);
    assert_eq!(stage.put_words("c-1"), ["running", "paused"]);
    for put in stage.sim.puts("c-1") {
        stage.assert_one_outcome("c-1", &id_of(&put), "Applied").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_of_starts_alone_leaves_what_runs_and_ends_by_itself_at_its_instant() {
    let stage = Stage::new().await;
    running(&stage, &["runs"], &json!({})).await;
    stage.sim.campaign(ORG, "waits");
    let until = in_seconds(15);
    let freeze =
        json!({"reason": "list is being cleaned", "until": until.to_string(), "pauseRunning": false});
    stage.apply_policy("starts", json!({"freeze": freeze})).await;
    stage.until("runs", "the policy", |s| s.policies == [stage.policy_ref("starts", 1)]).await;
    stage.declare("waits", "Running", json!({})).await;
    let status = stage.until_ready("waits", "True", "Frozen").await.status.unwrap();
    let (reason, message) = held(&status);
    assert!(reason == "Frozen" && message.contains("list is being cleaned"), "{message}");
    assert!(message.contains(&until.to_string()), "{message}");
    stage.look("runs").await;
    stage.look("waits").await;
    assert!(Timestamp::now() < until, "the machine is too slow for a freeze of 15 s");

    let put = stage.until_puts("waits", 1).await.remove(0);
    eprintln!("FIGURE start after the end of a freeze: {} ms", ms_after(until, &put));
    assert!((0..=THAW_WITHIN_MS + 2000).contains(&ms_after(until, &put)), "{}", stage.story("waits").await);
    stage.until_ready("waits", "True", "Running").await;
    assert_eq!(stage.put_words("waits"), ["running"]);
    assert!(stage.put_words("runs").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_with_an_end_pauses_what_runs_and_foretells_when_it_runs_again() {
    let stage = Stage::new().await;
    running(&stage, &["c-1"], &json!({})).await;
    let until = in_seconds(12);
    let there = until.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::Offset::constant(-5)));
    let there = there.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
    stage.apply_policy("brake", json!({"freeze": {"reason": "drill", "until": there}})).await;
    let patched = Timestamp::now();
    let put = stage.until_puts("c-1", 1).await.remove(0);
    eprintln!("FIGURE freeze applied to PUT: {} ms", ms_after(patched, &put));
    assert!(ms_after(patched, &put) <= *AT_ONCE.end(), "{}", stage.story("c-1").await);
    let status = stage.until_ready("c-1", "True", "Frozen").await.status.unwrap();
    let next = status.next_transition.unwrap();
    assert_eq!((next.at.0, next.to.to_string()), (until, "Running".to_owned()));
    assert!(next.why.contains(&stage.policy("brake")), "{}", next.why);
    let put = stage.until_puts("c-1", 2).await.remove(1);
    assert!((0..=THAW_WITHIN_MS + 2000).contains(&ms_after(until, &put)), "{}", stage.story("c-1").await);
    stage.until_ready("c-1", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["paused", "running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_outlives_a_restart_and_one_lifted_meanwhile_does_not() {
    let mut stage = Stage::new().await;
    running(&stage, &["c-1", "c-2"], &json!({"checkIntervalSeconds": 10})).await;
    stage.apply_policy("brake", frozen("until morning")).await;
    for name in ["c-1", "c-2"] {
        stage.until_ready(name, "True", "Frozen").await;
    }
    stage.operator.kill();
    stage.start_operator(&[]);
    let version = stage.get("c-1").await.resource_version();
    for name in ["c-1", "c-2"] {
        stage.look(name).await;
        stage.until_ready(name, "True", "Frozen").await;
        assert_eq!(stage.put_words(name), ["paused"], "{}", stage.story(name).await);
    }
    assert_ne!(stage.get("c-1").await.resource_version(), version, "the look is in status");

    // Someone starts one while nobody watches.
    stage.operator.kill();
    stage.sim.campaign(ORG, "c-2").set(State::Running);
    stage.start_operator(&[]);
    stage.until_puts("c-2", 2).await;
    stage.until_ready("c-2", "True", "Frozen").await;
    assert_eq!(stage.put_words("c-2"), ["paused", "paused"]);

    stage.operator.kill();
    stage.change_policy("brake", json!({"freeze": null})).await;
    stage.start_operator(&[]);
    for name in ["c-1", "c-2"] {
        stage.until_ready(name, "True", "Running").await;
        assert_eq!(stage.put_words(name).last().unwrap(), "running");
    }
    assert_eq!(stage.put_words("c-1"), ["paused", "running"]);
}
