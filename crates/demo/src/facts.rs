//! What a step waits for. Nothing is claimed that was not seen.

use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;
use simulator::{LogEntry, Outcome, Route};
use tokio::time::Instant;

use crate::cluster_view::{condition, is_current, status_in_words};
use crate::stage::Stage;

/// Nothing that is waited for takes that long, unless the machine is overloaded or the operator has a defect.
const PATIENCE: Duration = Duration::from_secs(45);
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Stage {
    /// Waits until a declared campaign is as wanted, its status being of the newest declaration.
    pub async fn until(&self, name: &str, awaited: &str, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        self.until_object("dialercampaignstates", name, awaited, holds).await
    }

    /// [`until`](Self::until) for any kind.
    pub async fn until_object(
        &self,
        plural: &str,
        name: &str,
        awaited: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let look = async || {
            let object = self.view.object(plural, name).await?;
            let there = is_current(&object) && holds(&object);
            Ok(if there { Ok(object) } else { Err(status_in_words(&object)) })
        };
        self.until_seen(awaited, look).await
    }

    /// Waits until a condition has this status and reason.
    pub async fn until_condition(
        &self,
        name: &str,
        type_: &str,
        status: &str,
        reason: &str,
    ) -> Result<Value> {
        let awaited = format!("{name} with {type_}={status}, {reason}");
        let holds = |object: &Value| {
            let condition = condition(object, type_);
            condition["status"] == status && condition["reason"] == reason
        };
        self.until(name, &awaited, holds).await
    }

    /// Waits for an entry of CXone's log that came after `since`.
    pub async fn until_log(
        &self,
        since: u64,
        awaited: &str,
        is_it: impl Fn(&LogEntry) -> bool,
    ) -> Result<LogEntry> {
        let look = async || {
            let log = self.sim.requests_since(since);
            let lines =
                || log.iter().map(|entry| format!("CXone saw: {entry}")).collect::<Vec<_>>().join("\n");
            Ok(log.iter().find(|entry| is_it(entry)).cloned().ok_or_else(lines))
        };
        self.until_seen(awaited, look).await
    }

    /// Looks until what is awaited is there: `Ok` of the inner result, whose `Err` says what was seen instead.
    pub async fn until_seen<T>(
        &self,
        awaited: &str,
        look: impl AsyncFn() -> Result<Result<T, String>>,
    ) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let instead = match look().await? {
                Ok(seen) => return Ok(seen),
                Err(instead) => instead,
            };
            self.operator.check()?;
            if Instant::now() > deadline {
                let seconds = PATIENCE.as_secs();
                bail!("Awaited, and not seen within {seconds} s: {awaited}.\nSeen instead:\n{instead}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// The id that a PUT carries.
pub fn put_id(entry: &LogEntry) -> Option<&str> {
    entry.body()?["metadata"]["transitionId"].as_str()
}

/// The PUTs for a campaign in a piece of CXone's log.
pub fn puts(log: &[LogEntry], campaign: &str) -> Vec<LogEntry> {
    log.iter().filter(|entry| entry.is_put(campaign)).cloned().collect()
}

/// How many requests of a kind a campaign got in a piece of CXone's log, before the entry with that number.
pub fn count(log: &[LogEntry], campaign: &str, route: Route, before: u64) -> usize {
    let counts =
        |e: &&LogEntry| e.seq < before && e.is_request(route) && e.campaign.as_deref() == Some(campaign);
    log.iter().filter(counts).count()
}

/// Whether a request was answered with this status.
pub fn answered(entry: &LogEntry, status: u16) -> bool {
    entry.outcome() == Some(Outcome::Answered) && entry.status() == Some(status)
}
