//! Policies: all of them and the campaign's own hours must be open, and each change of them counts at once.

use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::Timestamp;
use rules::kinds::{CampaignStatus, Cause, Effective};
use serde_json::{Value, json};
use simulator::State;

use crate::hours::{
    around_the_clock, closed_now, closes_at, in_seconds, open_around_now, opens_in, without_zones,
    zone_where_it_is,
};
use crate::stage::{ORG, Stage, id_of, ms_after, says};

/// From an edge to the PUT that it demands.
pub const AT_ONCE: RangeInclusive<i64> = 0..=1000;

/// Campaigns that run, declared so with these fields, without a PUT.
pub async fn running(stage: &Stage, names: &[&str], spec: &Value) {
    for name in names {
        stage.sim.campaign(ORG, name).set(State::Running);
        stage.declare(name, "Running", spec.clone()).await;
    }
    for name in names {
        stage.until_ready(name, "True", "Running").await;
        assert!(stage.sim.puts(name).is_empty(), "it runs already: nothing to do");
    }
}

/// The fields of a declaration without hours of its own, whose called people are there.
pub fn only_in(zone: &str) -> Value {
    json!({"complianceWindow": {"timeZones": [zone]}})
}

/// What holds it: reason and message.
pub fn held(status: &CampaignStatus) -> (String, String) {
    let held = status.condition("Held").filter(|c| c.status == "True").expect("held");
    (held.reason.clone(), held.message.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_its_own_hours_and_two_policies_the_earliest_close_counts_and_its_policy_is_named_everywhere() {
    let stage = Stage::new().await;
    running(&stage, &["c-1"], &json!({"complianceWindow": open_around_now(4)})).await;
    stage.apply_policy("late", open_around_now(3)).await;
    let edge = in_seconds(12);
    // Its second generation: the first closes later.
    stage.apply_policy("early", open_around_now(1)).await;
    let mut early = closes_at(edge);
    early["citation"] = json!("47 CFR 64.1200(c)(1)");
    stage.apply_policy("early", early).await;
    let early = stage.policy_ref("early", 2);

    let foreseen = |s: &CampaignStatus| {
        s.window.as_ref().is_some_and(|w| w.next_close.as_ref().is_some_and(|at| at.0 == edge))
    };
    let status = stage.until("c-1", "the earliest close", foreseen).await.status.unwrap();
    assert!(Timestamp::now() < edge, "the machine is too slow for an edge 12 s away");
    let window = status.window.unwrap();
    assert_eq!(window.policy.as_ref(), Some(&early));
    assert!(
        window.rule.contains(&early.name) && window.rule.contains("47 CFR 64.1200(c)(1)"),
        "{}",
        window.rule
    );
    let next = status.next_transition.unwrap();
    assert_eq!((next.at.0, next.to), (edge, Effective::Held));
    assert!(next.why.contains(&early.name), "{}", next.why);
    assert_eq!(status.policies, [early.clone(), stage.policy_ref("late", 1)]);

    let put = stage.until_puts("c-1", 1).await.remove(0);
    eprintln!("FIGURE close after the edge of a policy: {} ms", ms_after(edge, &put));
    assert!(AT_ONCE.contains(&ms_after(edge, &put)), "{}", stage.story("c-1").await);
    let status = stage.until_ready("c-1", "True", "OutsideWindow").await.status.unwrap();
    let last = status.last_transition.as_ref().unwrap();
    assert_eq!((last.cause, last.decided_by.as_ref()), (Cause::OutsideWindow, Some(&early)));
    assert!(held(&status).1.contains(&early.name), "{}", held(&status).1);

    let id = id_of(&put);
    stage.assert_one_outcome("c-1", &id, "Applied").await;
    let events = stage.events("c-1").await;
    let note = events.iter().filter_map(|e| e.note.as_ref()).find(|note| note.contains(&id)).unwrap();
    assert!(note.contains(&format!("by {early}")), "{note}");
    let policies = json!([early, stage.policy_ref("late", 1)]);
    let verdict = format!("closed: OutsideWindow ({early})");
    let lines: Vec<_> = stage.audit("c-1").into_iter().filter(|l| l["transactionId"] == id).collect();
    let phases: Vec<_> = lines.iter().map(|l| l["phase"].as_str().unwrap()).collect();
    assert_eq!(phases, ["intent", "outcome"]);
    for line in lines {
        assert_eq!((&line["policies"], &line["decidedBy"]), (&policies, &json!(early)), "{line}");
        assert_eq!(line["complianceCheck"]["compliance window"], verdict, "{line}");
    }
    assert_eq!(stage.put_words("c-1"), ["paused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_that_closes_is_named_also_where_the_next_opening_is_another_rules() {
    let stage = Stage::new().await;
    // The policy closes first, and the campaign's own hours are the last to open.
    let own = open_around_now(1);
    running(&stage, &["c-1"], &json!({"complianceWindow": own})).await;
    let edge = in_seconds(10);
    stage.apply_policy("early", closes_at(edge)).await;
    let put = stage.until_puts("c-1", 1).await.remove(0);
    assert!(AT_ONCE.contains(&ms_after(edge, &put)), "{}", stage.story("c-1").await);
    let status = stage.until_ready("c-1", "True", "OutsideWindow").await.status.unwrap();
    assert_eq!(status.last_transition.unwrap().decided_by, Some(stage.policy_ref("early", 1)));
    let window = status.window.unwrap();
    assert_eq!(window.next_open.unwrap().0.strftime("%H:%M").to_string(), own["hours"][0]["from"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_own_hours_close_where_they_end_before_those_of_a_policy_and_no_policy_is_named() {
    let stage = Stage::new().await;
    stage.apply_policy("late", open_around_now(3)).await;
    running(&stage, &["c-1"], &json!({})).await;
    let edge = in_seconds(10);
    stage.change("c-1", json!({"complianceWindow": closes_at(edge)})).await;
    let put = stage.until_puts("c-1", 1).await.remove(0);
    assert!(AT_ONCE.contains(&ms_after(edge, &put)), "{}", stage.story("c-1").await);
    let status = stage.until_ready("c-1", "True", "OutsideWindow").await.status.unwrap();
    assert_eq!(status.last_transition.unwrap().decided_by, None);
    assert_eq!(status.window.unwrap().policy, None);
    assert_eq!(status.policies, [stage.policy_ref("late", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_of_a_policy_without_zones_are_read_where_each_campaign_calls() {
    let stage = Stage::new().await;
    let ((noon, _), (night, night_zone)) = (zone_where_it_is(12), zone_where_it_is(0));
    let hours = json!([{"days": crate::hours::DAYS, "from": "08:00", "to": "20:00"}]);
    stage.apply_policy("local", json!({"hours": hours})).await;
    let local = stage.policy_ref("local", 1);
    for (name, zones) in [("noon", json!([noon])), ("night", json!([night])), ("both", json!([noon, night]))]
    {
        stage.sim.campaign(ORG, name).set(State::Running);
        stage.declare(name, "Running", json!({"complianceWindow": {"timeZones": zones}})).await;
    }
    stage.until_ready("noon", "True", "Running").await;
    let today = Timestamp::now().to_zoned(night_zone.clone()).date();
    let opens = today.at(8, 0, 0, 0).to_zoned(night_zone).unwrap();
    // Noon and midnight are never open at once.
    for (name, reason) in [("night", "OutsideWindow"), ("both", "NeverOpen")] {
        let status = stage.until_ready(name, "True", reason).await.status.unwrap();
        assert_eq!(status.last_transition.unwrap().decided_by.as_ref(), Some(&local));
        let window = status.window.unwrap();
        assert!(window.rule.contains(&night), "{}", window.rule);
        let next = window.next_open.map(|at| at.0);
        assert_eq!(next, (name == "night").then(|| opens.timestamp()));
        assert_eq!(stage.put_words(name), ["paused"]);
    }
    assert!(stage.put_words("noon").is_empty());
    let window = stage.get("noon").await.status.unwrap().window.unwrap();
    assert!(window.open && window.rule.contains(&noon) && window.policy == Some(local), "{window:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hours_of_a_policy_open_within_a_second_of_their_edge_and_not_before() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1");
    let (hours, opens) = opens_in(Duration::from_secs(20));
    stage.apply_policy("hours", hours).await;
    stage.declare("c-1", "Running", json!({})).await;
    let status = stage.until_ready("c-1", "True", "OutsideWindow").await.status.unwrap();
    assert_eq!(status.next_transition.unwrap().at.0, opens);
    let put = stage.until_puts("c-1", 1).await.remove(0);
    eprintln!("FIGURE start after the edge of a policy: {} ms", ms_after(opens, &put));
    assert!(AT_ONCE.contains(&ms_after(opens, &put)), "{}", stage.story("c-1").await);
    stage.until_ready("c-1", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_edited_while_campaigns_run_closes_them_at_once_and_edited_back_they_run_again() {
    let stage = Stage::new().await;
    stage.apply_policy("hours", around_the_clock()).await;
    let names = ["c-1", "c-2", "c-3", "c-4", "c-5"];
    running(&stage, &names, &only_in("UTC")).await;

    let applied = Timestamp::now();
    stage.apply_policy("hours", closed_now()).await;
    let mut delays = Vec::new();
    for name in names {
        delays.push(ms_after(applied, &stage.until_puts(name, 1).await[0]));
    }
    delays.sort_unstable();
    eprintln!("FIGURE policy edited to PUT, 5 campaigns: {delays:?} ms");
    assert!(delays.iter().all(|ms| AT_ONCE.contains(ms)), "{delays:?}");
    for name in names {
        let last = stage.until_ready(name, "True", "OutsideWindow").await.status.unwrap().last_transition;
        assert_eq!(last.unwrap().decided_by, Some(stage.policy_ref("hours", 2)));
    }
    let applied = Timestamp::now();
    stage.apply_policy("hours", around_the_clock()).await;
    for name in names {
        stage.until_ready(name, "True", "Running").await;
        assert_eq!(stage.put_words(name), ["paused", "running"]);
    }
    let starts = names.map(|name| ms_after(applied, &stage.sim.puts(name)[1]));
    eprintln!("FIGURE policy edited back to PUT, 5 campaigns: {starts:?} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_policy_closes_what_runs_within_its_own_hours_and_deleted_it_is_forgotten() {
    let stage = Stage::new().await;
    running(&stage, &["c-1"], &json!({})).await;
    let applied = Timestamp::now();
    stage.apply_policy("closed", closed_now()).await;
    let put = stage.until_puts("c-1", 1).await.remove(0);
    eprintln!("FIGURE policy created to PUT: {} ms", ms_after(applied, &put));
    assert!(AT_ONCE.contains(&ms_after(applied, &put)), "{}", stage.story("c-1").await);
    let status = stage.until_ready("c-1", "True", "OutsideWindow").await.status.unwrap();
    assert_eq!(status.policies, [stage.policy_ref("closed", 1)]);

    let deleted = Timestamp::now();
    stage.delete_policy("closed").await;
    let status = stage.until_ready("c-1", "True", "Running").await.status.unwrap();
    eprintln!("FIGURE policy deleted to PUT: {} ms", ms_after(deleted, &stage.sim.puts("c-1")[1]));
    assert!(status.policies.is_empty());
    assert_eq!(stage.put_words("c-1"), ["paused", "running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_last_policy_that_gives_hours_a_campaign_without_its_own_may_not_run() {
    let stage = Stage::new().await;
    stage.apply_policy("hours", without_zones(around_the_clock())).await;
    stage.apply_policy("cap", json!({"maxActiveCalls": 100})).await;
    running(&stage, &["c-1"], &only_in("UTC")).await;
    stage.delete_policy("hours").await;
    let status = stage.until_ready("c-1", "True", "NoWindow").await.status.unwrap();
    assert_eq!(stage.put_words("c-1"), ["paused"]);
    let last = status.last_transition.as_ref().unwrap();
    assert_eq!((last.cause, last.decided_by.as_ref()), (Cause::NoWindow, None));
    let (reason, message) = held(&status);
    assert_eq!(reason, "NoWindow");
    assert!(message.contains("apply a DialingPolicy that gives hours"), "{message}");

    stage.apply_policy("hours", without_zones(around_the_clock())).await;
    stage.until_ready("c-1", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["paused", "running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_makes_a_policy_concern_the_namespace_at_once_and_without_it_campaigns_run_again() {
    let stage = Stage::new().await;
    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": stage.namespace},
                          "matchExpressions": [{"key": "country", "operator": "In", "values": ["us", "ca"]}]});
    let mut spec = closed_now();
    spec["namespaceSelector"] = selector;
    stage.apply_policy("north-america", spec).await;
    running(&stage, &["c-1"], &json!({})).await;
    let labelled = Timestamp::now();
    stage.label("country", Some("us")).await;
    let put = stage.until_puts("c-1", 1).await.remove(0);
    eprintln!("FIGURE namespace labelled to PUT: {} ms", ms_after(labelled, &put));
    assert!(AT_ONCE.contains(&ms_after(labelled, &put)), "{}", stage.story("c-1").await);
    let last = stage.until_ready("c-1", "True", "OutsideWindow").await.status.unwrap().last_transition;
    assert_eq!(last.unwrap().decided_by, Some(stage.policy_ref("north-america", 1)));

    stage.label("country", Some("fr")).await;
    stage.until_ready("c-1", "True", "Running").await;
    stage.label("country", Some("ca")).await;
    stage.until_ready("c-1", "True", "OutsideWindow").await;
    stage.label("country", None).await;
    stage.until_ready("c-1", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["paused", "running", "paused", "running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lowest_cap_of_all_policies_holds_a_start_and_its_policy_is_named() {
    let stage = Stage::new().await;
    stage.apply_policy("cap-a", json!({"maxActiveCalls": 50})).await;
    stage.apply_policy("cap-b", json!({"maxActiveCalls": 20})).await;
    let campaign = stage.sim.campaign(ORG, "c-1");
    campaign.pin_active_calls(21);
    stage.declare("c-1", "Running", json!({"checkIntervalSeconds": 10, "maxActiveCalls": 150})).await;
    let told = |s: &CampaignStatus| s.condition("CallVolumeOK").is_some_and(|c| c.status == "False");
    let object = stage.until("c-1", "too many calls", told).await;
    let (_, reason, message) = says(&object, "CallVolumeOK").unwrap();
    let cap = format!("20 calls (policy {})", stage.policy("cap-b"));
    assert!(reason == "TooManyCalls" && message.contains(&cap), "{message}");
    stage.look("c-1").await;
    assert!(stage.put_words("c-1").is_empty());
    let lines = stage.audit("c-1");
    let blocked = lines.iter().find(|l| l["event"] == "TRANSITION_BLOCKED").expect("a line");
    assert_eq!(blocked["decidedBy"], json!(stage.policy_ref("cap-b", 1)), "{blocked}");

    campaign.pin_active_calls(20);
    stage.until_ready("c-1", "True", "Running").await;
    assert_eq!(stage.put_words("c-1"), ["running"]);
}
