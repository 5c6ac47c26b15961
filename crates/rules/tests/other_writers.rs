//! Two processes that write one status: neither loses what the other did, and no transition has two outcomes.

// Helpers of tests may fail as tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{NOON, at};
use rules::campaign::{Campaign, transition};
use rules::kinds::{
    CampaignStatus, Cause, ExternalPause, Observed, Outcome, PendingTransition, Target, stamp,
};
use rules::trouble::Now;
use uuid::Uuid;

fn now() -> Now {
    Now { wall: at(NOON), mono: common::secs(100) }
}

fn pending(id: u128, to: Target) -> PendingTransition {
    transition(Uuid::from_u128(id), Observed::Unknown, to, Cause::Declared, 1, false, now())
}

/// A campaign with a close under way.
fn closing(id: u128) -> Campaign {
    let mut campaign = Campaign::default();
    campaign.open(pending(id, Target::Paused), now());
    campaign.sending(now());
    campaign
}

fn open(campaign: &Campaign) -> Option<u128> {
    campaign.status.pending_transition.as_ref().map(|pending| pending.id.as_u128())
}

fn outcomes(status: &CampaignStatus) -> Vec<(u128, Outcome)> {
    status.history.iter().map(|record| (record.id.as_u128(), record.outcome)).collect()
}

#[test]
fn a_close_under_way_goes_on_though_another_process_has_written_the_status() {
    let mut mine = closing(1);
    let theirs = CampaignStatus { observed: Some(Observed::Running), ..CampaignStatus::default() };
    assert_eq!(mine.take_over(theirs, 1, now()), None);
    assert_eq!(open(&mine), Some(1));
    assert!(mine.sent.is_some(), "its effect is awaited");
}

#[test]
fn a_close_under_way_ends_superseded_where_another_process_has_one_of_its_own_under_way() {
    let mut mine = closing(1);
    let ended = mine.take_over(closing(2).status, 1, now()).unwrap();
    assert_eq!((ended.id.as_u128(), ended.outcome), (1, Outcome::Superseded));
    assert_eq!(open(&mine), Some(2));
    assert_eq!(outcomes(&mine.status), [(1, Outcome::Superseded)]);
}

/// What a process writes that has seen a pause, so many seconds from now, and knows of nobody who made it.
fn taken_for_anothers(seconds: i64) -> CampaignStatus {
    let since = stamp(now().wall + jiff::SignedDuration::from_secs(seconds));
    let pause = ExternalPause { since, observed: Observed::Paused, contested: false };
    CampaignStatus { external_pause: Some(pause), ..CampaignStatus::default() }
}

#[test]
fn a_pause_of_this_process_that_another_has_taken_for_somebody_elses_is_known_as_its_own() {
    let mut ended = closing(1);
    ended.end(Outcome::Applied, now()).unwrap();
    for mut mine in [closing(1), ended] {
        mine.take_over(taken_for_anothers(0), 1, now());
        assert_eq!(mine.status.external_pause, None);
    }
}

#[test]
fn a_pause_of_this_process_is_its_own_also_where_the_other_still_tells_that_it_runs() {
    let mut mine = closing(1);
    mine.end(Outcome::Applied, now()).unwrap();
    let theirs = CampaignStatus { observed: Some(Observed::Running), ..CampaignStatus::default() };
    mine.take_over(theirs, 1, now());
    assert_eq!((mine.ran, mine.reopened), (None, false));
}

#[test]
fn somebody_elses_pause_stays_his_whatever_this_process_has_done_before_or_started() {
    let mut given_up = closing(1);
    given_up.end(Outcome::Superseded, now()).unwrap();
    let mut starting = Campaign::default();
    starting.open(pending(1, Target::Running), now());
    let mut told = closing(1);
    told.end(Outcome::Applied, now()).unwrap();
    let known = told.status.history.clone();
    for mut mine in [Campaign::default(), given_up, starting] {
        mine.take_over(taken_for_anothers(0), 1, now());
        assert!(mine.status.external_pause.is_some());
    }
    // The other knows of this close, or saw the pause before it.
    told.take_over(CampaignStatus { history: known, ..taken_for_anothers(5) }, 1, now());
    assert!(told.status.external_pause.is_some());
    let mut later = closing(1);
    later.take_over(taken_for_anothers(-2), 1, now());
    assert!(later.status.external_pause.is_some());
}

#[test]
fn what_another_process_has_ended_is_neither_open_nor_ended_again_here() {
    let mut theirs = closing(1);
    theirs.end(Outcome::Applied, now()).unwrap();
    for mut mine in [closing(1), closing(1)] {
        assert_eq!(mine.take_over(theirs.status.clone(), 1, now()), None);
        assert_eq!(open(&mine), None);
        assert_eq!(outcomes(&mine.status), [(1, Outcome::Applied)]);
    }
}

#[test]
fn what_has_ended_here_does_not_open_again_and_stays_on_record_where_it_belongs() {
    let mut mine = closing(1);
    let theirs = mine.status.clone();
    mine.end(Outcome::Applied, now()).unwrap();
    let later = Now { wall: now().wall + common::secs(5), ..now() };
    let mut newer = Campaign::resume(theirs, 1, later);
    newer.status.pending_transition = None;
    newer.open(
        PendingTransition {
            requested_at: rules::kinds::stamp_exactly(later.wall),
            ..pending(2, Target::Paused)
        },
        later,
    );
    newer.end(Outcome::NotApplied, later);
    assert_eq!(mine.take_over(newer.status, 1, later), None);
    assert_eq!(open(&mine), None);
    assert_eq!(outcomes(&mine.status), [(2, Outcome::NotApplied), (1, Outcome::Applied)]);
    assert_eq!(mine.status.last_transition.unwrap().id.as_u128(), 2);
}

#[test]
fn the_intent_of_a_start_whose_write_was_given_up_and_done_all_the_same_ends_never_applied() {
    let intent = pending(7, Target::Running);
    let written = CampaignStatus { pending_transition: Some(intent), ..CampaignStatus::default() };
    let mut mine = Campaign::default();
    let ended = mine.was_written(&written, now()).unwrap();
    assert_eq!((ended.id.as_u128(), ended.outcome), (7, Outcome::NotApplied));
    assert_eq!(mine.was_written(&written, now()), None, "once");
    let mut still = Campaign::default();
    still.open(pending(7, Target::Running), now());
    assert_eq!(still.was_written(&written, now()), None, "it is under way");
}

#[test]
fn what_nobody_may_read_any_more_ends_unknown_once_it_can_take_effect_no_more() {
    let mut campaign = closing(1);
    let after =
        |seconds| Now { wall: now().wall + common::secs(seconds), mono: now().mono + common::secs(seconds) };
    assert_eq!(campaign.lose_sight(after(29), common::secs(15)), None, "it may still take effect");
    let ended = campaign.lose_sight(after(30), common::secs(15)).unwrap();
    assert_eq!((ended.id.as_u128(), ended.outcome, open(&campaign)), (1, Outcome::Unknown, None));
    assert_eq!(campaign.lose_sight(after(31), common::secs(15)), None, "once");
}
