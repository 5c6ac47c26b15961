//! A transition, as all who tell of it tell it: CXone, status, event, audit record.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::Timestamp;
use serde_json::Value;
use simulator::LogEntry;

use crate::cluster_view::{condition, in_words, is_current, status_in_words};
use crate::facts::put_id;
use crate::stage::Stage;
use crate::tell;

/// One declared campaign.
#[derive(Clone, Copy)]
pub struct Subject {
    /// Name of the DialerCampaignState.
    pub name: &'static str,
    /// Id in CXone.
    pub campaign: &'static str,
    /// File that declares it.
    pub file: &'static str,
}

/// A transition that has come to its end.
pub struct Transition {
    /// The PUT that brought it about.
    pub put: LogEntry,
    /// Its id: in the PUT's body, in the event, in the audit record.
    pub id: String,
    object: Value,
    told: Told,
}

/// What event and audit record say.
struct Told {
    event: String,
    intended: Timestamp,
    outcome: Value,
}

impl Stage {
    /// Waits for a transition after `since` in full: the PUT, the status that says it was applied, the event, the audit lines.
    ///
    /// # Errors
    /// Where one of them does not come, or the audit record did not announce the PUT.
    pub async fn until_applied(&self, of: Subject, to: &str, since: u64) -> Result<Transition> {
        let awaited = format!("{} {to}, asked for by a PUT and confirmed by a read", of.name);
        let look = async || {
            let object = self.view.object("dialercampaignstates", of.name).await?;
            let log = self.sim.requests_since(since);
            Ok(if is_applied(&object, to, &log) { Ok(object) } else { Err(story(&object, of, &log)) })
        };
        let object = self.until_seen(&awaited, look).await?;
        let id = object["status"]["lastTransition"]["id"].as_str().unwrap_or_default().to_owned();
        let put = self.until_log(since, &format!("the PUT {id}"), |entry| put_id(entry) == Some(&id)).await?;
        let told = self.until_told(of, &id).await?;
        ensure!(told.intended <= put.at, "awaited: an audit line before the PUT {id}; instead it came after");
        Ok(Transition { put, id, object, told })
    }

    async fn until_told(&self, of: Subject, id: &str) -> Result<Told> {
        let look = async || {
            let events = self.view.events(of.name).await?;
            let lines = self.operator.audit();
            let seen = || format!("{} events about {}, {} audit lines", events.len(), of.name, lines.len());
            Ok(told(&events, &lines, id).ok_or_else(seen))
        };
        self.until_seen(&format!("an event and two audit lines about {id}"), look).await
    }
}

/// Whether the newest transition leads there, was asked for in this piece of CXone's log, and came about.
fn is_applied(object: &Value, to: &str, log: &[LogEntry]) -> bool {
    let last = &object["status"]["lastTransition"];
    let id = last["id"].as_str();
    let new = id.is_some() && log.iter().any(|entry| put_id(entry) == id);
    let ready = condition(object, "Ready")["status"] == "True";
    new && ready && is_current(object) && last["to"] == to && last["outcome"] == "Applied"
}

/// What is known instead: status, and what CXone saw of the campaign.
fn story(object: &Value, of: Subject, log: &[LogEntry]) -> String {
    let about = log.iter().filter(|entry| entry.campaign.as_deref() == Some(of.campaign));
    let mut lines = vec![status_in_words(object)];
    lines.extend(about.map(|entry| format!("CXone saw: {entry}")));
    lines.join("\n")
}

fn told(events: &[Value], audit: &[Value], id: &str) -> Option<Told> {
    let event = events.iter().filter_map(|event| event["note"].as_str()).find(|note| note.contains(id))?;
    let line = |phase: &str| audit.iter().find(|line| line["transactionId"] == id && line["phase"] == phase);
    let intended = line("intent")?["timestamp"].as_str()?.parse().ok()?;
    Some(Told { event: event.to_owned(), intended, outcome: line("outcome")?.clone() })
}

impl Transition {
    /// How long after an instant the PUT reached CXone.
    pub fn after(&self, start: Timestamp) -> Millis {
        Millis::between(start, self.put.at)
    }

    /// Shows all of it.
    pub fn tell(&self) {
        tell::gap();
        self.tell_facts();
    }

    /// The same, below other facts.
    pub fn tell_facts(&self) {
        tell::fact("CXone", put_in_words(&self.put));
        tell::fact("status", in_words(condition(&self.object, "Ready")));
        tell::fact("event", &self.told.event);
        let text = |key: &str| self.told.outcome[key].as_str().unwrap_or("?").to_owned();
        let before = Millis::between(self.told.intended, self.put.at);
        let (event, outcome, latency) = (text("event"), text("outcome"), &self.told.outcome["latencyMs"]);
        tell::fact(
            "audit",
            format!("{event}: intent {before} before the PUT; {outcome} {latency} ms after the decision"),
        );
    }
}

/// A PUT in one line.
pub fn put_in_words(put: &LogEntry) -> String {
    let word = put.body().and_then(|body| body["status"].as_str()).unwrap_or("?");
    let answer =
        put.status().map_or_else(|| "its answer lost".to_owned(), |status| format!("answered {status}"));
    format!("PUT {word}, {answer}, transitionId {}", put_id(put).unwrap_or("?"))
}

/// A time that people read.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub struct Millis(i128);

impl Millis {
    /// From one instant to another.
    pub fn between(start: Timestamp, end: Timestamp) -> Self {
        Self(end.duration_since(start).as_millis())
    }
}

impl From<Duration> for Millis {
    fn from(time: Duration) -> Self {
        Self(i128::try_from(time.as_millis()).unwrap_or(i128::MAX))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms if ms < 1_000 => write!(f, "{ms} ms"),
            ms => write!(f, "{}.{} s", ms / 1_000, ms % 1_000 / 100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_times_are_told_in_seconds() {
        assert_eq!(Millis::from(Duration::from_millis(999)).to_string(), "999 ms");
        assert_eq!(Millis::from(Duration::from_millis(8_049)).to_string(), "8.0 s");
    }
}
