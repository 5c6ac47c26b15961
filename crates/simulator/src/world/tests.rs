//! The world under a fake clock.

use super::*;
use crate::config::Scope;
use crate::log::LOG_CAPACITY;
use crate::world::tenant::Denied;

const ORGANIZATION: &str = "acme";
const NOON: &str = "2026-11-23T12:00:00Z";

fn at(seconds: u64) -> Moment {
    Duration::from_secs(seconds)
}

fn key() -> Key {
    Key { organization: ORGANIZATION.into(), campaign: "c-1".into() }
}

fn world(state: State) -> World {
    let mut world = World::new(NOON.parse().unwrap(), Settings::default());
    let tenant = TenantConfig::new(ORGANIZATION).campaign("c-1", CampaignConfig::in_state(state));
    world.put_tenant(at(0), &tenant).unwrap();
    world
}

fn order(to: State, pause: Option<Moment>) -> Order {
    Order { to, pause, request: 0 }
}

fn changes(world: &World) -> Vec<(String, Actor, State)> {
    let change = |entry: &LogEntry| {
        let change = entry.change.as_ref()?;
        Some((entry.at.to_string(), change.actor, change.to))
    };
    world.log.since(0).filter_map(change).collect()
}

#[test]
fn a_timed_pause_ends_by_itself_at_its_own_moment() {
    let mut world = world(State::Running);
    assert!(world.put(at(10), &key(), order(State::Paused, Some(at(30))), Apply::Now));
    world.advance(at(39));
    assert_eq!(world.campaign(&key()).unwrap().state(), State::Paused);
    world.advance(at(500));
    assert_eq!(world.campaign(&key()).unwrap().state(), State::Running);
    let end = ("2026-11-23T12:00:40Z".to_owned(), Actor::Timer, State::Running);
    assert_eq!(changes(&world).last(), Some(&end));
}

#[test]
fn a_timed_pause_is_forgotten_once_somebody_changes_the_state() {
    let mut world = world(State::Running);
    world.put(at(10), &key(), order(State::Paused, Some(at(30))), Apply::Now);
    world.write_from_outside(at(20), &key(), State::Running);
    world.write_from_outside(at(25), &key(), State::Paused);
    world.advance(at(500));
    assert_eq!(world.campaign(&key()).unwrap().state(), State::Paused);
}

#[test]
fn a_late_put_takes_effect_once_and_only_then() {
    let mut world = world(State::Running);
    assert!(world.put(at(1), &key(), order(State::Paused, None), Apply::After(at(4))));
    world.advance(at(4));
    assert_eq!(changes(&world), []);
    world.advance(at(60));
    assert_eq!(changes(&world), [("2026-11-23T12:00:05Z".to_owned(), Actor::Late, State::Paused)]);
}

#[test]
fn a_put_of_the_same_state_is_a_conflict() {
    let mut world = world(State::Running);
    assert!(!world.put(at(1), &key(), order(State::Running, None), Apply::Now));
    assert!(world.put(at(2), &key(), order(State::Stopped, None), Apply::Now));
    assert!(!world.put(at(3), &key(), order(State::Stopped, None), Apply::Now));
    assert_eq!(changes(&world).len(), 1);
}

#[test]
fn a_second_writer_writes_so_often_and_no_more() {
    let mut world = world(State::Running);
    let writer = SecondWriter { status: State::Paused, every_ms: 1000, times: Some(2), for_ms: None };
    world.begin_second_writer(at(0), key(), writer);
    for second in 1..=5 {
        world.advance(at(second));
        world.write_from_outside(at(second), &key(), State::Running);
    }
    let written: Vec<_> = changes(&world).into_iter().filter(|c| c.1 == Actor::SecondWriter).collect();
    assert_eq!(written.len(), 2);
}

#[test]
fn a_second_writer_writes_for_so_long_and_no_longer() {
    let mut world = world(State::Running);
    let writer = SecondWriter { status: State::Paused, every_ms: 1000, times: None, for_ms: Some(3500) };
    world.begin_second_writer(at(0), key(), writer);
    for second in 1..=6 {
        world.advance(at(second));
        world.write_from_outside(at(second), &key(), State::Running);
    }
    let written: Vec<_> = changes(&world).into_iter().filter(|c| c.1 == Actor::SecondWriter).collect();
    assert_eq!(written.len(), 3);
}

#[test]
fn a_second_writer_that_is_stopped_writes_no_more() {
    let mut world = world(State::Running);
    let writer = SecondWriter { status: State::Paused, every_ms: 1000, times: None, for_ms: None };
    world.begin_second_writer(at(0), key(), writer);
    assert!(world.stop_second_writer(&key()));
    world.advance(at(10));
    assert_eq!(changes(&world), []);
}

#[test]
fn calls_are_sampled_every_second_whoever_looks_and_five_minutes_are_kept() {
    let mut world = world(State::Running);
    world.advance(at(99));
    assert_eq!(world.campaign(&key()).unwrap().chart(), vec![100; 100]);
    world.write_from_outside(at(99), &key(), State::Stopped);
    world.advance(at(110));
    let chart = world.campaign(&key()).unwrap().chart();
    assert_eq!(chart.len(), 111);
    assert_eq!((chart[99], chart[109]), (100, 50));
    world.advance(at(5000));
    assert_eq!(world.campaign(&key()).unwrap().chart(), vec![0; campaign::SAMPLES]);
}

#[test]
fn the_last_row_of_the_last_page_is_now_and_older_rows_come_first() {
    let mut world = world(State::Running);
    world.advance(at(20));
    world.write_from_outside(at(20), &key(), State::Paused);
    world.advance(at(30));
    let wall = world.wall(at(30));
    let config = r#"{"stats": {"rows": 25, "timestamps": true}}"#;
    let config = crate::refusal::from_json(config.as_bytes()).unwrap();
    world.put_campaign(at(30), ORGANIZATION, "c-1", &config).unwrap();
    let campaign = world.campaign_mut(&key()).unwrap();
    let first = campaign.page(at(30), wall, 0, 20);
    assert_eq!((first.rows.len(), first.next), (20, Some(20)));
    let last = campaign.page(at(30), wall, 20, 20);
    assert_eq!((last.rows.len(), last.next), (5, None));
    let oldest = serde_json::to_value(&first.rows[0]).unwrap();
    let newest = serde_json::to_value(&last.rows[4]).unwrap();
    assert_eq!((&oldest["activeCalls"], &oldest["status"]), (&100.into(), &"running".into()));
    assert_eq!((&newest["activeCalls"], &newest["status"]), (&50.into(), &"paused".into()));
    assert_eq!(newest["timestamp"], "2026-11-23T12:00:30Z");
}

#[test]
fn a_token_lets_in_until_its_lifetime_is_over() {
    let mut world = world(State::Running);
    assert_eq!(world.issue_token(at(0), "acme-client", "wrong", "t".into()), None);
    assert_eq!(world.issue_token(at(0), "acme-client", "acme-secret", "t".into()), Some(1800));
    assert_eq!(world.admit(at(1799), Some("t"), Scope::CampaignsRead), Ok(ORGANIZATION.into()));
    assert_eq!(world.admit(at(1800), Some("t"), Scope::CampaignsRead), Err(Denied::Unauthorized));
    assert_eq!(world.tenant_of_token("t"), Some(ORGANIZATION), "whose it was is still known");
}

#[test]
fn the_wall_clock_is_followed_when_it_strays_and_not_when_it_trembles() {
    let mut world = world(State::Running);
    let noon: Timestamp = NOON.parse().unwrap();
    world.follow_wall_clock(at(10), noon + SignedDuration::from_millis(10_200));
    assert_eq!(world.wall(at(10)), noon + SignedDuration::from_secs(10));
    world.follow_wall_clock(at(10), noon + SignedDuration::from_secs(4000));
    assert_eq!(world.wall(at(10)), noon + SignedDuration::from_secs(4000));
}

#[test]
fn two_tenants_can_not_share_a_client() {
    let mut world = world(State::Running);
    let thief = TenantConfig { client_id: "acme-client".into(), ..TenantConfig::new("other") };
    let refusal = world.put_tenant(at(0), &thief).unwrap_err();
    assert_eq!(refusal.field, "clientId");
}

#[test]
fn the_log_keeps_the_newest_entries_and_forgets_the_oldest() {
    let mut world = world(State::Running);
    let extra = 10;
    for n in 0..LOG_CAPACITY + extra {
        world.write_from_outside(at(1), &key(), if n % 2 == 0 { State::Paused } else { State::Running });
    }
    let kept: Vec<_> = world.log.since(0).map(|entry| entry.seq).collect();
    assert_eq!(kept.len(), LOG_CAPACITY);
    assert_eq!(kept[0], u64::try_from(extra).unwrap() + 1);
    let before = world.log.version();
    world.log.edit(1, |_| unreachable!("it is forgotten"));
    assert_eq!(world.log.version(), before);
}
