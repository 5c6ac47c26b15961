//! The outbox: who is told of what, in which words, and that nothing vanishes from it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rules::campaign::{Campaign, Lost, OUTBOX, SinkStanding, Sinks, transition};
use rules::kinds::{
    CampaignStatus, Cause, DeclaredState, LossReason, Notification, Observed, Outcome, ResumeMode, Sink,
    Target,
};
use rules::trouble::Now;
use serde_json::{Value, json};
use uuid::Uuid;

use common::{NOON, Sim, at};

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const IN_FORCE: SinkStanding = SinkStanding::InForce { give_up_after: HOUR };

fn both() -> Sinks {
    Sinks {
        workforce: IN_FORCE,
        agent_pool: IN_FORCE,
        notify_agent_pool: true,
        resume_mode: ResumeMode::Immediate,
    }
}

fn now(millis: i64) -> Now {
    let since = Duration::from_millis(millis.unsigned_abs());
    Now { wall: at(NOON) + SignedDuration::from_millis(millis), mono: since }
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// A campaign whose transition of that number has just ended so.
fn end(campaign: &mut Campaign, n: u128, to: Target, outcome: Outcome, when: Now) {
    let new = transition(id(n), Observed::Running, to, Cause::Declared, 1, false, when);
    campaign.open(new, when);
    let after = Now { wall: when.wall + SignedDuration::from_millis(250), ..when };
    campaign.end(outcome, after).unwrap();
}

fn told_of(sinks: Sinks) -> Campaign {
    let mut campaign = Campaign { sinks, ..Campaign::default() };
    end(&mut campaign, 7, Target::Paused, Outcome::Applied, now(123));
    campaign
}

fn waiting(campaign: &Campaign) -> Vec<String> {
    campaign.status.notifications.iter().map(|n| n.webhook_id.clone()).collect()
}

fn reasons(campaign: &mut Campaign) -> Vec<LossReason> {
    std::mem::take(&mut campaign.lost).into_iter().map(|lost| lost.reason).collect()
}

#[test]
fn a_confirmed_transition_and_its_notifications_stand_in_one_status_under_ids_made_from_the_transition() {
    let campaign = told_of(both());
    assert_eq!(campaign.status.last_transition.as_ref().unwrap().id, id(7));
    assert_eq!(waiting(&campaign), [format!("{}-workforce", id(7)), format!("{}-agentpool", id(7))]);
    assert!(waiting(&campaign).iter().all(|id| !id.contains('.') && id.len() <= 64));
}

#[test]
fn only_what_was_confirmed_is_told() {
    for outcome in [Outcome::NotApplied, Outcome::Superseded, Outcome::Unknown] {
        let mut campaign = Campaign { sinks: both(), ..Campaign::default() };
        end(&mut campaign, 7, Target::Running, outcome, now(0));
        assert!(campaign.status.notifications.is_empty(), "{outcome}");
    }
}

#[test]
fn only_sinks_that_are_named_and_allowed_are_told_and_the_agent_pool_only_where_the_declaration_lets_it() {
    for standing in [SinkStanding::Unknown, SinkStanding::Absent, SinkStanding::NotAllowed] {
        let campaign = told_of(Sinks { workforce: standing, ..both() });
        assert_eq!(waiting(&campaign), [format!("{}-agentpool", id(7))], "{standing:?}");
    }
    let campaign = told_of(Sinks { notify_agent_pool: false, ..both() });
    assert_eq!(waiting(&campaign), [format!("{}-workforce", id(7))]);
}

#[test]
fn the_bodies_are_as_agreed_and_the_same_after_a_restart() {
    for (resume_mode, word, pacing) in [
        (ResumeMode::Immediate, "immediate", "immediate"),
        (ResumeMode::Gradual, "gradual", "ramp_up"),
        (ResumeMode::Scheduled, "scheduled", "immediate"),
    ] {
        let campaign = told_of(Sinks { resume_mode, ..both() });
        let bodies = |status: &CampaignStatus| -> Vec<String> {
            let body = |n: &Notification| String::from_utf8(n.body("c-1")).unwrap();
            status.notifications.iter().map(body).collect()
        };
        let told = bodies(&campaign.status);
        assert_eq!(
            told[0],
            format!(
                r#"{{"event":"DIALER_STATE_CHANGE","campaignId":"c-1","status":"paused","timestamp":"2026-11-23T12:00:00.373Z","pacingDirective":"{pacing}"}}"#
            )
        );
        assert_eq!(
            told[1],
            format!(r#"{{"campaignId":"c-1","newStatus":"paused","resumeMode":"{word}","latencyMs":250}}"#)
        );
        let written: Value = json!(campaign.status);
        assert_eq!(bodies(&serde_json::from_value(written).unwrap()), told);
    }
}

#[test]
fn a_full_outbox_loses_the_oldest_and_says_so() {
    let mut campaign = Campaign { sinks: both(), ..Campaign::default() };
    for n in 0..8 {
        end(&mut campaign, n, Target::Paused, Outcome::Applied, now(0));
    }
    assert_eq!((waiting(&campaign).len(), campaign.lost.len()), (OUTBOX, 0));
    end(&mut campaign, 8, Target::Running, Outcome::Applied, now(0));
    assert_eq!(waiting(&campaign).len(), OUTBOX);
    let lost: Vec<_> = campaign.lost.iter().map(|l| (l.notification.webhook_id.clone(), l.reason)).collect();
    let oldest = |sink: &str| (format!("{}-{sink}", id(0)), LossReason::Superseded);
    assert_eq!(lost, [oldest("workforce"), oldest("agentpool")]);
}

#[test]
fn a_sink_that_takes_nothing_fills_the_outbox_and_costs_the_other_sink_nothing() {
    let mut campaign = Campaign { sinks: both(), ..Campaign::default() };
    for n in 0..40 {
        end(&mut campaign, n, Target::Paused, Outcome::Applied, now(0));
        // The agent pool lags behind by four.
        if let Some(n) = n.checked_sub(4) {
            campaign.delivered(&format!("{}-agentpool", id(n)));
        }
    }
    let sinks: Vec<_> = campaign.lost.iter().map(|lost| lost.notification.sink).collect();
    assert!(!sinks.is_empty() && sinks.iter().all(|sink| *sink == Sink::Workforce), "{sinks:?}");
}

#[test]
fn what_a_sink_lost_that_is_named_no_more_is_no_news_after_the_next_transition() {
    let mut campaign = told_of(both());
    campaign.sinks = Sinks { workforce: SinkStanding::Absent, ..both() };
    campaign.give_up(now(373));
    assert_eq!(campaign.status.lost_notifications.len(), 1);
    end(&mut campaign, 99, Target::Running, Outcome::Applied, now(500));
    assert!(campaign.status.lost_notifications.is_empty());
}

#[test]
fn what_waits_longer_than_the_tenant_says_is_given_up_at_that_very_moment() {
    let mut campaign = told_of(Sinks { workforce: SinkStanding::Unknown, ..both() });
    let deadline = now(373 + 3_600_000);
    let early = Now { wall: deadline.wall - SignedDuration::from_millis(1), ..deadline };
    campaign.give_up(early);
    assert_eq!((waiting(&campaign).len(), reasons(&mut campaign)), (1, vec![]));
    campaign.give_up(deadline);
    assert_eq!((waiting(&campaign).len(), reasons(&mut campaign)), (0, vec![LossReason::GivenUp]));
}

#[test]
fn while_the_tenant_cannot_be_asked_what_waits_stays_for_a_day() {
    let mut campaign = told_of(both());
    campaign.sinks = Sinks::default();
    campaign.give_up(now(373 + 24 * 3_600_000 - 1));
    assert_eq!(waiting(&campaign).len(), 2);
    campaign.give_up(now(373 + 24 * 3_600_000));
    assert_eq!(reasons(&mut campaign), [LossReason::GivenUp; 2]);
}

#[test]
fn a_sink_that_is_named_no_longer_or_not_allowed_loses_what_waits_for_it_and_no_other() {
    for (standing, reason) in [
        (SinkStanding::Absent, LossReason::SinkRemoved),
        (SinkStanding::NotAllowed, LossReason::SinkNotAllowed),
    ] {
        let mut campaign = told_of(both());
        campaign.sinks.workforce = standing;
        campaign.give_up(now(500));
        assert_eq!(waiting(&campaign), [format!("{}-agentpool", id(7))]);
        assert_eq!(reasons(&mut campaign), [reason]);
    }
}

#[test]
fn what_is_still_to_be_told_of_the_agent_pool_is_told_although_the_declaration_forbids_it_from_now_on() {
    let mut campaign = told_of(both());
    campaign.sinks.notify_agent_pool = false;
    campaign.give_up(now(500));
    assert_eq!(waiting(&campaign).len(), 2);
}

#[test]
fn a_lost_notification_stays_in_status_until_one_is_delivered_to_that_sink() {
    let mut campaign = told_of(both());
    campaign.give_up_all(LossReason::Deleted, now(500));
    assert_eq!(campaign.status.lost_notifications.len(), 2);
    end(&mut campaign, 8, Target::Running, Outcome::Applied, now(600));
    campaign.delivered(&format!("{}-workforce", id(8)));
    let left: Vec<_> = campaign.status.lost_notifications.iter().map(|lost| lost.sink).collect();
    assert_eq!(left, [Sink::AgentPool]);
    // Who delivers what is not waiting any more changes nothing.
    campaign.delivered(&format!("{}-agentpool", id(7)));
    assert_eq!(campaign.status.lost_notifications.len(), 1);
}

#[test]
fn the_condition_sync_failed_names_sink_transition_and_cause_and_leaves_ready_alone() {
    let mut sim = Sim::new(NOON, DeclaredState::Running, Observed::Running);
    sim.campaign.sinks = both();
    sim.run(60);
    let ready = sim.campaign.status.condition("Ready").unwrap().clone();
    assert!(sim.campaign.status.condition("SyncFailed").is_none());
    end(&mut sim.campaign, 7, Target::Paused, Outcome::Applied, now(0));
    sim.campaign.give_up_all(LossReason::GivenUp, now(500));
    sim.run(60);
    let status = sim.campaign.status.clone();
    let failed = status.condition("SyncFailed").unwrap();
    assert_eq!((failed.status.as_str(), failed.reason.as_str()), ("True", "GivenUp"));
    for part in ["workforce", "agentPool", "Paused", &id(7).to_string(), "no try succeeded in time"] {
        assert!(failed.message.contains(part), "{part}: {}", failed.message);
    }
    assert_eq!(status.condition("Ready"), Some(&ready));
}

#[test]
fn another_writer_of_the_status_neither_loses_what_this_process_made_nor_doubles_what_it_made_itself() {
    let mut mine = told_of(both());
    let mut theirs = told_of(both()).status;
    end(&mut mine, 8, Target::Running, Outcome::Applied, now(600));
    // They have delivered one of the first two.
    theirs.notifications.remove(0);
    mine.give_up_all(LossReason::Deleted, now(700));
    mine.lost.truncate(1);
    end(&mut mine, 9, Target::Running, Outcome::Applied, now(800));
    mine.take_over(theirs, 1, now(900));
    let nine = [format!("{}-workforce", id(9)), format!("{}-agentpool", id(9))];
    assert_eq!(waiting(&mine), [vec![format!("{}-agentpool", id(7))], nine.to_vec()].concat());
    assert_eq!((mine.sinks, mine.lost.len()), (both(), 1), "what was not put on record yet stays");
}

/// What can happen to an outbox.
#[derive(Clone, Debug)]
enum Happens {
    Ends(Outcome),
    Delivered(usize),
    Waits(i64),
    Sinks(Sinks),
    Deleted,
    Restarts,
    Moves,
}

fn happens() -> impl Strategy<Value = Happens> {
    let standing = prop_oneof![
        1 => Just(SinkStanding::Unknown),
        1 => Just(SinkStanding::Absent),
        1 => Just(SinkStanding::NotAllowed),
        4 => Just(IN_FORCE),
    ];
    let sinks = (standing.clone(), standing, any::<bool>()).prop_map(|(workforce, agent_pool, notify)| {
        Happens::Sinks(Sinks { workforce, agent_pool, notify_agent_pool: notify, ..both() })
    });
    prop_oneof![
        8 => Just(Happens::Ends(Outcome::Applied)),
        1 => Just(Happens::Ends(Outcome::NotApplied)),
        4 => (0..20_usize).prop_map(Happens::Delivered),
        2 => (0..1_800_000_i64).prop_map(Happens::Waits),
        1 => sinks,
        1 => Just(Happens::Deleted),
        1 => Just(Happens::Restarts),
        1 => Just(Happens::Moves),
    ]
}

proptest! {
    #[test]
    fn never_more_than_16_wait_their_order_stays_and_each_ends_delivered_or_lost(
        what in prop::collection::vec(happens(), 1..80)
    ) {
        let mut campaign = Campaign { sinks: both(), ..Campaign::default() };
        let (mut clock, mut made) = (0_i64, 0_u128);
        let (mut expected, mut delivered, mut lost) = (0_usize, 0_usize, BTreeMap::<String, LossReason>::new());
        for step in what {
            let before = waiting(&campaign);
            match step {
                Happens::Ends(outcome) => {
                    made += 1;
                    end(&mut campaign, made, Target::Paused, outcome, now(clock));
                    clock += 250;
                    let sinks = campaign.sinks;
                    if outcome == Outcome::Applied {
                        expected += usize::from(sinks.workforce == IN_FORCE);
                        expected += usize::from(sinks.agent_pool == IN_FORCE && sinks.notify_agent_pool);
                    }
                }
                Happens::Delivered(nth) => {
                    if let Some(id) = before.get(nth) {
                        campaign.delivered(id);
                        delivered += 1;
                    }
                }
                Happens::Waits(millis) => clock += millis,
                Happens::Sinks(sinks) => campaign.sinks = sinks,
                Happens::Deleted => campaign.give_up_all(LossReason::Deleted, now(clock)),
                Happens::Restarts => {
                    let written: CampaignStatus = serde_json::from_value(json!(campaign.status)).unwrap();
                    prop_assert_eq!(&written.notifications, &campaign.status.notifications);
                    let sinks = campaign.sinks;
                    campaign = Campaign { sinks, ..Campaign::resume(written, 1, now(clock)) };
                }
                Happens::Moves => campaign.moved(),
            }
            campaign.give_up(now(clock));
            for Lost { notification, reason } in std::mem::take(&mut campaign.lost) {
                prop_assert!(lost.insert(notification.webhook_id, reason).is_none(), "lost twice");
            }
            let waiting_now = waiting(&campaign);
            prop_assert!(waiting_now.len() <= OUTBOX);
            prop_assert_eq!(waiting_now.len() + delivered + lost.len(), expected);
            for sink in Sink::ALL {
                let of_sink = campaign.status.notifications.iter().filter(|n| n.sink == sink);
                let order: Vec<_> = of_sink.map(|n| n.transition.as_u128()).collect();
                prop_assert!(order.is_sorted(), "{:?}", order);
            }
            let stays: Vec<_> = before.iter().filter(|id| waiting_now.contains(id)).collect();
            let begins: Vec<_> = waiting_now.iter().take(stays.len()).collect();
            prop_assert_eq!(stays, begins, "what waited stays before what is new");
        }
    }
}

#[test]
fn a_clock_at_its_end_loses_nothing() {
    let mut campaign = Campaign { sinks: both(), ..Campaign::default() };
    let last = Now { wall: Timestamp::MAX - SignedDuration::from_secs(1), mono: Duration::ZERO };
    end(&mut campaign, 1, Target::Paused, Outcome::Applied, last);
    campaign.give_up(last);
    assert_eq!(waiting(&campaign).len(), 2);
}
