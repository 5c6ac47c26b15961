//! Dates of policies: from when, until when, and the days on which nobody is called.
//!
//! A test can't wait for a midnight, or for the night in which clocks are set back. So operators are started whose clock is
//! ahead, shortly before; they close, which no difference of clocks holds up. The other tests are of what the operator foretells.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rules::kinds::{Effective, WindowStatus};
use serde_json::{Value, json};
use simulator::State;

use crate::hours::{DAYS, midnight, zone_where_it_is};
use crate::policies::{AT_ONCE, held, running};
use crate::stage::{ORG, Stage, ms_after};
use crate::unlisted::behind_a_proxy;

/// A zone where it is about noon, and the date there.
fn noon() -> (Value, TimeZone, Date) {
    let (name, zone) = zone_where_it_is(12);
    let hours = json!([{"days": DAYS, "from": "00:00", "to": "24:00"}]);
    let window = json!({"timeZones": [name], "hours": hours, "closeLeadSeconds": 0});
    let today = Timestamp::now().to_zoned(zone.clone()).date();
    (json!({"complianceWindow": window}), zone, today)
}

/// The next full hour, and a zone whose midnight it is.
fn next_midnight() -> (Timestamp, String) {
    let hour = Timestamp::from_second((Timestamp::now().as_second() / 3600 + 1) * 3600).unwrap();
    let zone = match hour.to_zoned(TimeZone::UTC).hour() {
        0 => "UTC".to_owned(),
        // The signs of these names are the other way round: `Etc/GMT-9` is nine hours ahead.
        west @ 1..=10 => format!("Etc/GMT+{west}"),
        east => format!("Etc/GMT-{}", 24 - east),
    };
    (hour, zone)
}

/// Starts the operator so that, by its clock, that instant comes in some seconds; gives when it does by ours.
fn start_before(stage: &mut Stage, instant: Timestamp) -> Timestamp {
    let shift = instant.duration_since(Timestamp::now() + SignedDuration::from_secs(20));
    let shift = SignedDuration::from_secs(shift.as_secs());
    stage.operator.shift_clock(shift);
    stage.start_operator(&[]);
    instant - shift
}

/// Proves that a running campaign is closed at this edge, by that policy.
async fn closes_at_its_edge(stage: &Stage, edge: Timestamp, policy: &str) {
    running(stage, &["c-1"], &json!({})).await;
    assert!(Timestamp::now() < edge, "the machine is too slow");
    let put = stage.until_puts("c-1", 1).await.remove(0);
    eprintln!("FIGURE close after an edge of {policy}, clock ahead: {} ms", ms_after(edge, &put));
    assert!(AT_ONCE.contains(&ms_after(edge, &put)), "{}", stage.story("c-1").await);
    let status = stage.until_ready("c-1", "True", "OutsideWindow").await.status.unwrap();
    assert_eq!(status.last_transition.unwrap().decided_by, Some(stage.policy_ref(policy, 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_future_first_day_takes_effect_at_its_midnight() {
    let (midnight, zone) = next_midnight();
    let mut stage = Stage::without_operator().await;
    let first = midnight.to_zoned(rules::zones::zone(&zone).unwrap()).date();
    let law = json!({"hours": morning(), "timeZones": [zone], "effectiveFrom": first.to_string()});
    stage.apply_policy("new-law", law).await;
    let edge = start_before(&mut stage, midnight);
    closes_at_its_edge(&stage, edge, "new-law").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_that_end_in_the_repeated_hour_close_a_second_time_on_its_far_side() {
    // Through the proxy without TLS: it is months from now, by when a certificate of today may have ended.
    let (mut stage, _proxy) = behind_a_proxy().await;
    let zone = rules::zones::zone("Australia/Sydney").unwrap();
    let offset = |at: Timestamp| zone.to_offset(at).seconds();
    let second = SignedDuration::from_secs(1);
    let mut shifts = zone.following(Timestamp::now()).map(|shift| shift.timestamp());
    let back = shifts.find(|at| offset(*at) < offset(*at - second)).expect("Sydney sets its clocks back");
    let ends = back + SignedDuration::from_mins(30);
    let far_side = ends.to_zoned(zone.clone()).strftime("%H:%M").to_string();
    let hours = json!([{"days": DAYS, "from": "00:00", "to": far_side}]);
    stage.apply_policy("night", json!({"hours": hours, "timeZones": ["Australia/Sydney"]})).await;
    let edge = start_before(&mut stage, ends);
    closes_at_its_edge(&stage, edge, "night").await;
}

/// Hours of the morning: at noon they are over.
fn morning() -> Value {
    json!([{"days": DAYS, "from": "08:00", "to": "11:00"}])
}

async fn window(stage: &Stage) -> WindowStatus {
    let status = stage.until("c-1", "the policy", |s| s.policies.len() == 1).await.status.unwrap();
    status.window.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_from_tomorrow_on_closes_nothing_today_and_its_first_instant_is_foretold() {
    let (spec, zone, today) = noon();
    let stage = Stage::new().await;
    running(&stage, &["c-1"], &spec).await;
    let tomorrow = today.tomorrow().unwrap();
    stage.apply_policy("new-law", json!({"hours": morning(), "effectiveFrom": tomorrow.to_string()})).await;
    let shown = window(&stage).await;
    assert!(shown.open);
    assert_eq!(shown.next_close.unwrap().0, midnight(tomorrow, &zone));
    assert_eq!(shown.policy, Some(stage.policy_ref("new-law", 1)));
    let status = stage.look("c-1").await.status.unwrap();
    let next = status.next_transition.unwrap();
    assert_eq!((next.at.0, next.to), (midnight(tomorrow, &zone), Effective::Held));
    stage.until_ready("c-1", "True", "Running").await;
    assert!(stage.put_words("c-1").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_until_yesterday_says_nothing_and_one_from_today_or_until_today_does() {
    let (spec, _, today) = noon();
    let stage = Stage::new().await;
    running(&stage, &["c-1"], &spec).await;
    let yesterday = today.yesterday().unwrap();
    let law = |from: Option<Date>, until: Option<Date>| {
        let mut law = json!({"hours": morning()});
        for (key, date) in [("effectiveFrom", from), ("effectiveUntil", until)] {
            if let Some(date) = date {
                law[key] = json!(date.to_string());
            }
        }
        law
    };
    stage.apply_policy("old-law", law(None, Some(yesterday))).await;
    let shown = window(&stage).await;
    assert!(shown.open && shown.policy.is_none(), "{shown:?}");
    stage.look("c-1").await;
    assert!(stage.put_words("c-1").is_empty());

    stage.apply_policy("old-law", law(Some(today), None)).await;
    let status = stage.until_ready("c-1", "True", "OutsideWindow").await.status.unwrap();
    assert_eq!(status.last_transition.unwrap().decided_by, Some(stage.policy_ref("old-law", 2)));
    stage.apply_policy("old-law", law(Some(today.yesterday().unwrap()), Some(yesterday))).await;
    stage.until_ready("c-1", "True", "Running").await;
    stage.apply_policy("old-law", law(Some(yesterday), Some(today))).await;
    stage.until_ready("c-1", "True", "OutsideWindow").await;
    assert_eq!(stage.put_words("c-1"), ["paused", "running", "paused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_date_shuts_the_day_says_why_and_foretells_its_first_and_last_instant() {
    let (spec, zone, today) = noon();
    let stage = Stage::new().await;
    running(&stage, &["c-1"], &spec).await;
    let tomorrow = today.tomorrow().unwrap();
    let closed = |date: Date| json!({"closedDates": [{"date": date.to_string(), "reason": "Founders' Day"}]});
    stage.apply_policy("holidays", closed(tomorrow)).await;
    let shown = window(&stage).await;
    assert!(shown.open && shown.rule.contains("Founders' Day"), "{shown:?}");
    assert_eq!(shown.next_close.unwrap().0, midnight(tomorrow, &zone));
    assert_eq!(shown.next_open.unwrap().0, midnight(tomorrow.tomorrow().unwrap(), &zone));

    stage.apply_policy("holidays", closed(today)).await;
    let status = stage.until_ready("c-1", "True", "OutsideWindow").await.status.unwrap();
    let (_, message) = held(&status);
    assert!(message.contains(&format!("closed on {today} (Founders' Day)")), "{message}");
    assert_eq!(status.window.unwrap().next_open.unwrap().0, midnight(tomorrow, &zone));
    assert_eq!(status.last_transition.unwrap().decided_by, Some(stage.policy_ref("holidays", 2)));
    assert_eq!(stage.put_words("c-1"), ["paused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_effective_dates_of_a_policy_do_not_matter_to_its_freeze() {
    let (spec, _, today) = noon();
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    let freeze = json!({"reason": "now", "pauseRunning": true});
    let from = today.tomorrow().unwrap().to_string();
    stage.apply_policy("brake", json!({"hours": morning(), "effectiveFrom": from, "freeze": freeze})).await;
    stage.declare("c-1", "Running", spec).await;
    stage.until_ready("c-1", "True", "Frozen").await;
    assert_eq!(stage.put_words("c-1"), ["paused"]);
}
