//! Two operators on the same declarations: an accident that must cost nothing. Each transition changes a campaign once at most and
//! has one outcome, whoever tells it, and what is closed stays closed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::ListParams;
use rules::kinds::{HOLD, RECONCILE};
use serde_json::{Value, json};
use simulator::{LogEntry, Route, State};
use tempfile::TempDir;

use crate::api_trouble::{allow_many_requests, changes_by_us};
use crate::hours::{around_the_clock, closes_at, in_seconds};
use crate::operator::Operator;
use crate::proxy::{Deed, Proxy};
use crate::stage::{ORG, PATIENCE, Stage, id_of, ms_after};

const NAMES: [&str; 4] = ["c-1", "c-2", "c-3", "c-4"];

/// A stage with two operators. What the second hears is that much late.
struct Pair {
    stage: Stage,
    second: Operator,
    _proxy: Proxy,
    _folder: TempDir,
}

impl Pair {
    async fn start(late: Duration) -> Self {
        let stage = Stage::new().await;
        allow_many_requests(&stage).await;
        stage.apply_policy("brake", json!({})).await;
        let folder = tempfile::tempdir().unwrap();
        let proxy = Proxy::start(stage.cluster(), &stage.kubeconfig, folder.path()).await;
        if !late.is_zero() {
            proxy.rule(|asked| asked.query.contains("watch=true"), Deed::Delay(late));
        }
        let mut second = Operator::new(&proxy.kubeconfig, &stage.namespace, &stage.sim.url(), folder.path());
        second.start(&[]);
        Self { stage, second, _proxy: proxy, _folder: folder }
    }

    /// Declares the same of every campaign.
    async fn change(&self, spec: Value) {
        for name in NAMES {
            self.stage.change(name, spec.clone()).await;
        }
    }

    async fn hold(&self, why: Option<&str>) {
        for name in NAMES {
            self.stage.annotate(name, HOLD, why).await;
        }
    }

    async fn until_ready(&self, reason: &str) {
        for name in NAMES {
            self.stage.until_ready(name, "True", reason).await;
        }
    }

    /// Waits until every campaign is closed for that reason, and proves that a look of each operator later it still is.
    async fn assert_closed(&self, reason: &str) {
        self.until_ready(reason).await;
        let closed = Timestamp::now();
        for name in NAMES {
            self.stage.annotate(name, RECONCILE, Some(&closed.to_string())).await;
        }
        self.until_looks(2).await;
        for name in NAMES {
            let changes = changes_by_us(&self.stage, name);
            assert!(changes.iter().all(|change| change.at < closed), "{}", self.story(name).await);
            assert_eq!(changes.last().map(to), Some(State::Paused), "{}", self.story(name).await);
        }
    }

    /// Waits for so many looks at every campaign from now on.
    async fn until_looks(&self, count: usize) {
        let seq = self.stage.sim.last_seq();
        let looks = |log: &[LogEntry], name: &str| {
            let looks = log.iter().filter(|e| e.seq > seq && e.is_request(Route::StateGet));
            looks.filter(|e| e.campaign.as_deref() == Some(name)).count() >= count
        };
        self.stage.until_log("looks of both", |log| NAMES.iter().all(|name| looks(log, name))).await;
    }

    /// Waits until nobody has anything to tell any more.
    async fn until_quiet(&self) {
        let quiet = async {
            loop {
                let before = self.versions().await;
                self.until_looks(3).await;
                if self.versions().await == before {
                    return;
                }
            }
        };
        let quiet = tokio::time::timeout(PATIENCE, quiet).await;
        assert!(quiet.is_ok(), "the two write for ever: {}", self.story(NAMES[0]).await);
    }

    async fn versions(&self) -> Vec<Option<String>> {
        let all = self.stage.campaigns().list(&ListParams::default()).await.unwrap();
        all.items.iter().map(ResourceExt::resource_version).collect()
    }

    /// The audit lines of both about a declaration.
    fn audit(&self, name: &str) -> Vec<Value> {
        let mut lines = self.stage.audit(name);
        lines.extend(self.second.audit().into_iter().filter(|line| line["name"] == name));
        lines
    }

    async fn story(&self, name: &str) -> String {
        let audit = self.audit(name);
        format!("{}\n\nsecond:\n{}\n{audit:#?}", self.stage.story(name).await, self.second.log())
    }

    /// Proves that each transition has changed a campaign once at most, and has the one outcome, told without contradiction. Gives
    /// the states that it was led through.
    async fn assert_told_once(&self, name: &str) -> Vec<State> {
        let story = self.story(name).await;
        let (puts, changes) = (self.stage.sim.puts(name), changes_by_us(&self.stage, name));
        let causes: Vec<_> = changes.iter().map(|e| e.change.as_ref().unwrap().caused_by).collect();
        let effective = puts.iter().filter(|put| causes.contains(&Some(put.seq)));
        let effective: BTreeSet<String> = effective.map(id_of).collect();
        assert_eq!(effective.len(), changes.len(), "one change for each transition at most: {story}");

        let mut told: BTreeMap<String, Vec<String>> =
            puts.iter().map(|put| (id_of(put), Vec::new())).collect();
        for line in self.audit(name).iter().filter(|line| line["phase"] == "outcome") {
            let outcome = line["outcome"].as_str().unwrap().to_owned();
            told.entry(line["transactionId"].as_str().unwrap().to_owned()).or_default().push(outcome);
        }
        let status = self.stage.get(name).await.status.unwrap();
        let events = self.stage.events(name).await;
        for (id, outcomes) in &told {
            assert_eq!(outcomes.len(), 1, "{id} has one outcome in both records: {outcomes:?}\n{story}");
            let notes: Vec<_> =
                events.iter().filter_map(|e| e.note.as_ref()).filter(|note| note.contains(id)).collect();
            let same = |note: &&String| note.contains(&format!(": {} [", outcomes[0]));
            assert!(notes.len() == 1 && same(&notes[0]), "{notes:?} tell {outcomes:?}\n{story}");
            let kept: Vec<_> = status.history.iter().filter(|r| r.id.to_string() == *id).collect();
            let same = kept.iter().all(|record| record.outcome.to_string() == outcomes[0]);
            assert!(kept.len() <= 1 && same, "{outcomes:?}\n{story}");
        }
        assert!(status.pending_transition.is_none() && status.external_pause.is_none(), "{story}");
        let others = self.audit(name).iter().filter(|line| line["event"] == "EXTERNAL_CHANGE").count();
        eprintln!("FIGURE {name}, two operators: changes taken for somebody else's {others}");
        changes.iter().map(to).collect()
    }
}

fn to(change: &LogEntry) -> State {
    change.change.as_ref().unwrap().to
}

/// Leads campaigns through starts, pauses, holds, freezes and an edge, so that both operators want each of it. Gives the states that
/// each was led through.
async fn lead_both(late: Duration) -> Vec<Vec<State>> {
    let pair = Pair::start(late).await;
    let stage = &pair.stage;
    for name in NAMES {
        stage.sim.campaign(ORG, name);
        stage.declare(name, "Running", json!({"checkIntervalSeconds": 10})).await;
    }
    pair.until_ready("Running").await;
    pair.change(json!({"state": "Paused"})).await;
    pair.assert_closed("Paused").await;
    pair.change(json!({"state": "Running"})).await;
    pair.until_ready("Running").await;
    pair.hold(Some("bad list")).await;
    pair.assert_closed("Manual").await;
    pair.hold(None).await;
    pair.until_ready("Running").await;
    stage.change_policy("brake", json!({"freeze": {"reason": "drill"}})).await;
    pair.assert_closed("Frozen").await;
    stage.change_policy("brake", json!({"freeze": null})).await;
    pair.until_ready("Running").await;

    let edge = in_seconds(10);
    pair.change(json!({"complianceWindow": closes_at(edge)})).await;
    let puts = NAMES.map(|name| stage.sim.puts(name).len());
    assert!(Timestamp::now() < edge, "the machine is too slow for an edge 10 s away");
    for (name, before) in NAMES.iter().zip(puts) {
        let put = stage.until_puts(name, before + 1).await.remove(before);
        eprintln!("FIGURE {name}, two operators: edge to the first PUT {} ms", ms_after(edge, &put));
        assert!((0..=1000).contains(&ms_after(edge, &put)), "{}", pair.story(name).await);
    }
    pair.assert_closed("OutsideWindow").await;
    pair.change(json!({"complianceWindow": around_the_clock()})).await;
    pair.until_ready("Running").await;
    pair.until_quiet().await;
    let mut states = Vec::new();
    for name in NAMES {
        states.push(pair.assert_told_once(name).await);
    }
    states
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_side_by_side_make_each_change_once_and_tell_it_once() {
    use State::{Paused, Running};
    let once = vec![Running, Paused, Running, Paused, Running, Paused, Running, Paused, Running];
    assert_eq!(lead_both(Duration::ZERO).await, vec![once; NAMES.len()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_of_which_one_hears_everything_late_end_alike_and_tell_each_transition_once() {
    // Where one is opened the other may close it once more: it does not know better yet.
    for states in lead_both(Duration::from_secs(2)).await {
        assert_eq!(states.last(), Some(&State::Running));
    }
}
