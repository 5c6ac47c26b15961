//! Policies, or the labels they select by, that can't be had: unknown is closed. Nothing starts, every close goes on.

use axum::http::StatusCode;
use jiff::Timestamp;
use rules::kinds::{Cause, HOLD};
use serde_json::json;
use simulator::State;

use crate::hours::{around_the_clock, closes_at, in_seconds, without_zones};
use crate::operator::Operator;
use crate::policies::{AT_ONCE, held, only_in, running};
use crate::proxy::{Deed, Proxy};
use crate::stage::{ORG, Stage, ms_after};

const POLICIES: &str = "dialingpolicies";
const NAMESPACES: &str = "namespaces";
/// So long what runs is left running while a list is refused.
const GRACE_MS: i64 = 30_000;

/// What an API server says to who lacks a right.
pub const FORBIDDEN: Deed = Deed::Answer(
    StatusCode::FORBIDDEN,
    r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","reason":"Forbidden","code":403}"#,
);
const UNAVAILABLE: Deed = Deed::Answer(
    StatusCode::SERVICE_UNAVAILABLE,
    r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","reason":"ServiceUnavailable","code":503}"#,
);
const NO_SUCH_KIND: Deed = Deed::Answer(StatusCode::NOT_FOUND, "404 page not found");
const GARBAGE: Deed = Deed::Answer(StatusCode::OK, "<html>a captive portal</html>");

/// A stage whose operator, not running yet, reaches the API server through a proxy.
pub async fn behind_a_proxy() -> (Stage, Proxy) {
    let mut stage = Stage::without_operator().await;
    let proxy = Proxy::start(stage.cluster(), &stage.kubeconfig, stage.folder.path()).await;
    stage.operator =
        Operator::new(&proxy.kubeconfig, &stage.namespace, &stage.sim.url(), stage.folder.path());
    (stage, proxy)
}

/// Waits until a wanted start is held for want of policies, and that is said in these words.
async fn until_unreadable(stage: &Stage, name: &str, words: &str) {
    let said = |s: &rules::kinds::CampaignStatus| {
        let held = s.condition("Held").filter(|c| c.status == "True" && c.reason == "PolicyUnreadable");
        held.is_some_and(|c| c.message.contains(words))
    };
    stage.until(name, words, said).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_policies_are_not_listed_nothing_starts_every_close_goes_on_and_what_runs_runs_on() {
    let (mut stage, proxy) = behind_a_proxy().await;
    stage.apply_policy("hours", around_the_clock()).await;
    let edge = in_seconds(18);
    for name in ["runs", "bare", "paused", "held", "edge"] {
        stage.sim.campaign(ORG, name).set(State::Running);
    }
    stage.sim.campaign(ORG, "waits");
    for name in ["runs", "held", "waits"] {
        stage.declare(name, "Running", json!({})).await;
    }
    // Its hours are those of the policy.
    stage.declare("bare", "Running", only_in("UTC")).await;
    stage.declare("paused", "Paused", json!({})).await;
    stage.declare("edge", "Running", json!({"complianceWindow": closes_at(edge)})).await;
    proxy.rule(|asked| asked.is_list_of(POLICIES), Deed::Hold);
    stage.start_operator(&[]);

    stage.until_puts("paused", 1).await;
    stage.until_ready("held", "True", "Running").await;
    stage.annotate("held", HOLD, Some("bad list")).await;
    stage.until_puts("held", 1).await;
    until_unreadable(&stage, "waits", "DialingPolicies have not been listed yet").await;
    let put = stage.until_puts("edge", 1).await.remove(0);
    assert!(AT_ONCE.contains(&ms_after(edge, &put)), "{}", stage.story("edge").await);
    stage.look("runs").await;
    stage.look("bare").await;
    stage.look("waits").await;
    for (name, words) in [("paused", 1), ("held", 1), ("edge", 1), ("runs", 0), ("bare", 0), ("waits", 0)] {
        assert_eq!(stage.put_words(name), vec!["paused"; words], "{name}\n{}", stage.story(name).await);
    }

    let listed = Timestamp::now();
    proxy.clear();
    let put = stage.until_puts("waits", 1).await.remove(0);
    eprintln!("FIGURE policies listed to PUT of what waited: {} ms", ms_after(listed, &put));
    stage.until_ready("waits", "True", "Running").await;
    for name in ["runs", "bare"] {
        stage.until_ready(name, "True", "Running").await;
        assert!(stage.put_words(name).is_empty(), "{}", stage.story(name).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_labels_of_namespaces_are_not_listed_nothing_starts_and_no_policy_of_others_closes() {
    let (mut stage, proxy) = behind_a_proxy().await;
    let others = json!({"matchLabels": {"kubernetes.io/metadata.name": "somewhere-else"}});
    let freeze = json!({"reason": "not here"});
    stage.apply_policy("others", json!({"namespaceSelector": others, "freeze": freeze})).await;
    stage.sim.campaign(ORG, "runs").set(State::Running);
    stage.sim.campaign(ORG, "waits");
    for name in ["runs", "waits"] {
        stage.declare(name, "Running", json!({"checkIntervalSeconds": 10})).await;
    }
    proxy.rule(|asked| asked.is_list_of(NAMESPACES), Deed::Hold);
    stage.start_operator(&[]);
    until_unreadable(&stage, "waits", "namespaces and their labels have not been listed yet").await;
    stage.look("runs").await;
    stage.look("waits").await;
    assert!(stage.put_words("waits").is_empty(), "{}", stage.story("waits").await);
    assert!(stage.put_words("runs").is_empty(), "{}", stage.story("runs").await);

    proxy.clear();
    stage.until_ready("waits", "True", "Running").await;
    stage.until_ready("runs", "True", "Running").await;
    assert!(stage.put_words("runs").is_empty(), "{}", stage.story("runs").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_answered_instead_of_a_list_holds_starts_in_plain_words_and_pauses_go_on() {
    let (mut stage, proxy) = behind_a_proxy().await;
    let cases = [
        (POLICIES, FORBIDDEN, "DialingPolicies can't be listed: the API server refuses (403 Forbidden)"),
        (POLICIES, NO_SUCH_KIND, "DialingPolicies can't be listed: the API server refuses (404"),
        (POLICIES, GARBAGE, "DialingPolicies can't be listed: the API server's answer can't be understood"),
        (POLICIES, UNAVAILABLE, "DialingPolicies can't be listed: the API server fails (503"),
        (NAMESPACES, FORBIDDEN, "labels can't be listed: the API server refuses (403 Forbidden)"),
        (NAMESPACES, GARBAGE, "labels can't be listed: the API server's answer can't be understood"),
    ];
    for (n, (resource, deed, words)) in cases.into_iter().enumerate() {
        let (waits, pauses) = (format!("waits-{n}"), format!("pauses-{n}"));
        stage.sim.campaign(ORG, &waits);
        stage.sim.campaign(ORG, &pauses).set(State::Running);
        stage.declare(&waits, "Running", json!({})).await;
        proxy.rule(move |asked| asked.is_list_of(resource), deed);
        stage.start_operator(&[]);
        until_unreadable(&stage, &waits, words).await;
        stage.declare(&pauses, "Paused", json!({})).await;
        stage.until_puts(&pauses, 1).await;
        stage.look(&waits).await;
        assert!(stage.put_words(&waits).is_empty(), "{}", stage.story(&waits).await);
        proxy.clear();
        stage.until_ready(&waits, "True", "Running").await;
        assert_eq!(stage.put_words(&waits), ["running"]);
        stage.operator.kill();
    }
}

/// Takes the right to a list away while campaigns run, and proves that they run on for half a minute, are paused then, and
/// run again once the right is given back.
async fn is_missed_after_a_while(resource: &'static str, named: &str) {
    let (mut stage, proxy) = behind_a_proxy().await;
    stage.apply_policy("hours", without_zones(around_the_clock())).await;
    stage.start_operator(&[]);
    running(&stage, &["c-1"], &only_in("UTC")).await;
    stage.sim.campaign(ORG, "late");

    let refused = Timestamp::now();
    proxy.rule(move |asked| asked.is_list_of(resource), FORBIDDEN);
    proxy.until_asked("the list that is refused", move |asked| asked.is_list_of(resource)).await;
    stage.declare("late", "Running", json!({})).await;
    until_unreadable(&stage, "late", &format!("{named} can't be watched: the API server refuses (403")).await;
    let put = stage.until_puts("c-1", 1).await.remove(0);
    eprintln!("FIGURE {resource} refused to PUT: {} ms", ms_after(refused, &put));
    let tries = proxy.asked().iter().filter(|asked| asked.is_list_of(resource)).count();
    eprintln!("FIGURE {resource} asked for until then, two lists and watches included: {tries} times");
    let span = GRACE_MS..=GRACE_MS + 5000;
    assert!(span.contains(&ms_after(refused, &put)), "{}", stage.story("c-1").await);
    let status = stage.until_ready("c-1", "True", "PolicyUnreadable").await.status.unwrap();
    assert_eq!(status.last_transition.as_ref().unwrap().cause, Cause::PolicyUnreadable);
    let (_, message) = held(&status);
    assert!(message.contains(&format!("the right to list and watch {resource}")), "{message}");
    assert!(message.contains("--no-policies"), "{message}");
    let ready = reqwest::get(format!("{}/readyz", stage.operator.admin().unwrap())).await.unwrap();
    eprintln!("FIGURE /readyz while {resource} are refused: {}", ready.status());

    proxy.clear();
    for name in ["c-1", "late"] {
        stage.until_ready(name, "True", "Running").await;
    }
    assert_eq!(stage.put_words("c-1"), ["paused", "running"]);
    assert_eq!(stage.put_words("late"), ["running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_policies_what_runs_runs_on_for_half_a_minute_and_is_paused_then() {
    is_missed_after_a_while(POLICIES, "DialingPolicies").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_namespaces_what_runs_runs_on_for_half_a_minute_and_is_paused_then() {
    is_missed_after_a_while(NAMESPACES, "namespaces and their labels").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_that_were_had_decide_on_while_the_api_server_is_away() {
    let (mut stage, proxy) = behind_a_proxy().await;
    let edge = in_seconds(55);
    // Read in each campaign's zones: an hour to the west it closes an hour later.
    stage.apply_policy("hours", without_zones(closes_at(edge))).await;
    stage.start_operator(&[]);
    running(&stage, &["closes"], &only_in("UTC")).await;
    running(&stage, &["runs"], &only_in("Etc/GMT+1")).await;
    stage.sim.campaign(ORG, "waits");

    let away = Timestamp::now();
    for resource in [POLICIES, NAMESPACES] {
        proxy.rule(move |asked| asked.is_list_of(resource), UNAVAILABLE);
    }
    stage.declare("waits", "Running", only_in("Etc/GMT+1")).await;
    until_unreadable(&stage, "waits", "can't be watched: the API server fails (503").await;
    let put = stage.until_puts("closes", 1).await.remove(0);
    assert!(ms_after(away, &put) > GRACE_MS, "longer away than a refusal is suffered");
    assert!(AT_ONCE.contains(&ms_after(edge, &put)), "{}", stage.story("closes").await);
    let ended = |s: &rules::kinds::CampaignStatus| s.last_transition.is_some();
    let last = stage.until("closes", "its end", ended).await.status.unwrap().last_transition.unwrap();
    assert_eq!((last.cause, last.decided_by), (Cause::OutsideWindow, Some(stage.policy_ref("hours", 1))));
    stage.look("runs").await;
    stage.until_ready("runs", "True", "Running").await;
    assert!(stage.put_words("runs").is_empty() && stage.put_words("waits").is_empty());

    proxy.clear();
    stage.until_ready("waits", "True", "Running").await;
    assert!(stage.put_words("runs").is_empty(), "{}", stage.story("runs").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_comes_while_the_watch_is_down_counts_as_soon_as_it_is_up_and_one_that_went_is_forgotten()
 {
    let (mut stage, proxy) = behind_a_proxy().await;
    let closed = json!({"hours": crate::hours::closed_now()["hours"], "timeZones": ["UTC"]});
    stage.start_operator(&[]);
    running(&stage, &["c-1"], &json!({})).await;
    for (change, reason) in [("comes", "OutsideWindow"), ("goes", "Running")] {
        proxy.rule(|asked| asked.is_list_of(POLICIES), Deed::Hold);
        proxy.until_asked("the watch anew", |asked| asked.is_list_of(POLICIES)).await;
        match change {
            "comes" => drop(stage.apply_policy("closed", closed.clone()).await),
            _ => stage.delete_policy("closed").await,
        }
        let puts = stage.put_words("c-1").len();
        stage.look("c-1").await;
        assert_eq!(stage.put_words("c-1").len(), puts);
        proxy.clear();
        stage.until_ready("c-1", "True", reason).await;
    }
    assert_eq!(stage.put_words("c-1"), ["paused", "running"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_renewed_watch_of_policies_hangs_nothing_starts_and_a_freeze_counts_once_it_is_back() {
    let (mut stage, proxy) = behind_a_proxy().await;
    stage.apply_policy("brake", json!({})).await;
    stage.start_operator(&[]);
    running(&stage, &["c-1"], &json!({})).await;
    stage.until_metric("dialer_policies_current 1").await;
    // The server ends every watch in time; this one's renewal gets no answer, and nothing says so.
    proxy.rule(|asked| asked.is_list_of(POLICIES), Deed::Hold);
    proxy.until_asked("the watch anew", |asked| asked.is_list_of(POLICIES)).await;
    stage.change_policy("brake", json!({"freeze": {"reason": "regulator on the phone"}})).await;
    stage.until_metric("dialer_policies_current 0").await;
    stage.sim.campaign(ORG, "late");
    stage.declare("late", "Running", json!({})).await;
    stage.look("late").await;
    assert!(stage.sim.puts("late").is_empty(), "{}", stage.story("late").await);

    proxy.clear();
    stage.until_ready("c-1", "True", "Frozen").await;
    stage.until_ready("late", "True", "Frozen").await;
    assert!(stage.sim.puts("late").is_empty(), "{}", stage.story("late").await);
}
