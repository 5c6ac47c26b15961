//! The process ends at every point at which something durable, or visible to others, can have happened. The points are those that
//! the operator's source lists; a new one is tried here as soon as it is there.

use futures::StreamExt;
use rules::kinds::Outcome;
use serde_json::json;
use simulator::{Actor, Effect, Fault, FaultRoute, LogEntry, Loss, State};

use crate::receiver::{Answer, Delivery, Receiver};
use crate::stage::{ORG, PATIENCE, Stage, id_of};
use points::{Deed, Moment};

#[path = "../../src/crash/points.rs"]
mod points;

/// Where notifications are sent.
const SINK: &str = "/hooks/dialer";

/// The transition that is under way when the process ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    Close,
    Start,
}

impl Change {
    fn before(self) -> State {
        if self == Self::Close { State::Running } else { State::Paused }
    }

    fn after(self) -> State {
        if self == Self::Close { State::Paused } else { State::Running }
    }

    /// Whether the point lies on its way. The intent of a close is its audit line; that of a start is in status from the
    /// beginning, so that nothing is left to write before its outcome.
    fn meets(self, deed: Deed) -> bool {
        !matches!((self, deed), (Self::Close, Deed::IntentWrite) | (Self::Start, Deed::StatusWrite))
    }
}

/// A state as declarations and status write it.
fn word(state: State) -> String {
    format!("{state:?}")
}

/// What makes a change pass the point.
fn fault_for(deed: Deed, moment: Moment) -> Option<Fault> {
    let effect = match (deed, moment) {
        (Deed::Put, Moment::Under) => Effect::LostAnswer { how: Loss::Hang },
        // What has not come about is told by a status of its own.
        (Deed::StatusWrite, _) => Effect::Late { ms: 1500, lost: None },
        _ => return None,
    };
    Some(Fault::new(FaultRoute::StatePut, effect).times(1))
}

async fn ended_at(change: Change, deed: Deed, moment: Moment, reversed: bool) {
    let point = format!("{deed}.{moment}");
    let mut stage = Stage::without_operator().await;
    let receiver = Receiver::start().await;
    // A start of unknown fate is looked for during twice the timeout.
    let tenant = json!({"baseUrl": stage.sim.url(), "credentialsSecretRef": {"name": "default-credentials"},
                        "timeoutSeconds": 1, "workforce": {"url": format!("{}{SINK}", receiver.url)}});
    stage.apply_tenant("default", tenant).await;
    stage.sim.campaign(ORG, "c-1").set(change.before());
    stage.operator.end_at(&point);
    let args = ["--allow-sink", receiver.url.as_str()];
    stage.start_operator(&args);
    stage.declare("c-1", &word(change.before()), json!({})).await;
    stage.until_ready("c-1", "True", &word(change.before())).await;

    if let Some(fault) = fault_for(deed, moment) {
        stage.sim.fault(fault);
    }
    if (deed, moment) == (Deed::Notify, Moment::Under) {
        receiver.answers([Answer::Hang]);
    }
    stage.operator.arm();
    stage.change("c-1", json!({"state": word(change.after())})).await;
    let ended = stage.operator.ends_within(PATIENCE).await;
    assert!(ended, "{change:?} never came to {point}\n{}", stage.story("c-1").await);
    let wanted = if reversed { change.before() } else { change.after() };
    if reversed {
        stage.change("c-1", json!({"state": word(wanted)})).await;
    }
    stage.start_operator(&args);
    if deed == Deed::StatusWrite && reversed && !stage.sim.puts("c-1").is_empty() {
        // The close takes effect late, against the declaration: a status from before that tells of nothing.
        let is_over = |log: &[LogEntry]| {
            let changes: Vec<_> = log.iter().filter_map(|e| e.change.as_ref()).collect();
            let late = changes.iter().any(|change| change.actor == Actor::Late);
            late && changes.last().is_some_and(|last| last.to == wanted)
        };
        stage.until_log("the late effect, and what is made of it", is_over).await;
    }
    let what = format!("{wanted:?} after {point}");
    let settled = stage.until("c-1", &what, |status| {
        let ready = status.condition("Ready").is_some_and(|c| c.status == "True");
        ready
            && status.observed.is_some_and(|o| o.to_string() == word(wanted))
            && status.pending_transition.is_none()
            && status.notifications.is_empty()
    });
    let status = settled.await.status.unwrap();
    let story = format!("{change:?} ended at {point}, reversed {reversed}\n{}", stage.story("c-1").await);

    assert!(status.external_pause.is_none(), "nobody else has paused it: {story}");
    let made = changes_made(&stage);
    let expected = if !reversed {
        vec![wanted]
    } else if made.is_empty() {
        vec![]
    } else {
        vec![change.after(), wanted]
    };
    assert_eq!(made, expected, "{story}");
    let mut ids: Vec<String> = stage.sim.puts("c-1").iter().map(id_of).collect();
    ids.dedup();
    assert_eq!(
        ids.len(),
        expected.len().max(usize::from(!ids.is_empty())),
        "one id a change: {ids:?} {story}"
    );
    for id in announced(&stage) {
        let record = status.history.iter().find(|record| record.id.to_string() == id);
        let record = record.unwrap_or_else(|| panic!("{id} has no outcome: {story}"));
        stage.assert_one_outcome("c-1", &id, &record.outcome.to_string()).await;
    }
    let applied = status.history.iter().rev().filter(|record| record.outcome == Outcome::Applied);
    let expected: Vec<_> = applied.map(|record| format!("{}-workforce", record.id)).collect();
    let mut told: Vec<_> = receiver.log(SINK).iter().map(Delivery::id).collect();
    told.dedup();
    assert_eq!(told, expected, "each confirmed transition is notified under one id, in order: {story}");
    stage.operator.assert_verified();
    let reasons: Vec<_> = stage.events("c-1").await.into_iter().filter_map(|event| event.reason).collect();
    assert!(!reasons.iter().any(|reason| reason.starts_with("External")), "{reasons:?} {story}");
}

/// The states that our PUTs have led to, at once or late.
fn changes_made(stage: &Stage) -> Vec<State> {
    let ours = |e: &LogEntry| {
        e.change.as_ref().filter(|c| matches!(c.actor, Actor::Client | Actor::Late)).map(|c| c.to)
    };
    stage.sim.changes("c-1").iter().filter_map(ours).collect()
}

/// The ids of all transitions that the audit record announces.
fn announced(stage: &Stage) -> Vec<String> {
    let audit = stage.audit("c-1");
    let intents = audit.iter().filter(|line| line["phase"] == "intent");
    let mut ids: Vec<_> =
        intents.filter_map(|line| line["transactionId"].as_str().map(str::to_owned)).collect();
    ids.sort();
    ids.dedup();
    ids
}

/// Every point of these deeds, for a close and for a start, the declaration staying or reversed while the process is down. Two at
/// a time: most of it is waiting.
async fn ended_everywhere(deeds: &[Deed]) {
    let mut trials = Vec::new();
    for &deed in deeds {
        for &moment in deed.moments() {
            for change in [Change::Close, Change::Start] {
                for reversed in [false, true] {
                    if change.meets(deed) {
                        trials.push(
                            async move { tokio::spawn(ended_at(change, deed, moment, reversed)).await },
                        );
                    }
                }
            }
        }
    }
    let tried: Vec<_> = futures::stream::iter(trials).buffer_unordered(2).collect().await;
    let failed = tried.iter().filter(|trial| trial.is_err()).count();
    assert_eq!(failed, 0, "of {} trials; each says above what it found", tried.len());
}

macro_rules! points {
    ($($name:ident: $($deed:ident)+;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                ended_everywhere(&[$(Deed::$deed),+]).await;
            }
        )+

        #[test]
        fn every_point_that_the_source_lists_is_tried() {
            let tried = [$($(Deed::$deed),+),+];
            for deed in Deed::ALL {
                assert!(tried.contains(deed), "{deed} is not tried");
            }
        }
    };
}

points! {
    ended_around_an_intent_nothing_is_lost_or_doubled: IntentWrite IntentAppend;
    ended_around_a_put_nothing_is_lost_or_doubled: Put;
    ended_around_a_read_nothing_is_lost_or_doubled: Read FinalizerWrite;
    ended_around_a_status_write_nothing_is_lost_or_doubled: OutcomeWrite StatusWrite;
    ended_around_what_tells_of_it_nothing_is_lost_or_doubled: EventCreate OutcomeAppend;
    ended_around_a_notification_nothing_is_lost_or_doubled: Notify OutboxWrite;
}
