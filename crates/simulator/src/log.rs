//! The log of all requests and of all changes of state, whatever caused them.

use std::collections::VecDeque;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::config::State;
use crate::faults::FaultId;

/// Entries that are kept; the oldest go first.
pub const LOG_CAPACITY: usize = 20_000;

/// What an entry tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum EntryKind {
    /// A request came in.
    Request,
    /// A campaign changed its state.
    Change,
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Route {
    /// `POST .../token`
    Token,
    /// `GET .../state`
    StateGet,
    /// `PUT .../state`
    StatePut,
    /// `GET .../stats`
    Stats,
    /// Anything else; answered 404 or 405.
    Other,
}

/// Who changed the state of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Actor {
    /// A PUT of a client, at once.
    Client,
    /// A PUT of a client that took effect only later.
    Late,
    /// Somebody else: a person in CXone, a test.
    Outside,
    /// Somebody else, again and again.
    SecondWriter,
    /// The platform, at the end of a timed pause.
    Timer,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Not answered yet.
    Pending,
    /// Answered with the status of the entry.
    Answered,
    /// Answered with less than its `Content-Length` promised.
    Truncated,
    /// Never answered.
    Hung,
    /// The connection was reset without an answer.
    Reset,
    /// The client went before the answer.
    ClientGone,
}

/// One request, or one change of state.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// Counts up from 1, also over [`clear`](crate::Simulator::clear_log).
    pub seq: u64,
    /// What the entry tells of.
    pub kind: EntryKind,
    /// When the request came in, or the state changed.
    #[serde(serialize_with = "in_milliseconds")]
    pub at: Timestamp,
    /// When the request ended, in whatever way.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe_in_milliseconds")]
    pub ended_at: Option<Timestamp>,
    /// The tenant that the token or the client id belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The campaign, as in the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    /// The part that only requests have.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestEntry>,
    /// The part that only changes have.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeEntry>,
}

/// What the log keeps of a request. Never a secret, never a token.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestEntry {
    /// HTTP method.
    pub method: String,
    /// What it is about.
    pub route: Route,
    /// Path with its prefix.
    pub path: String,
    /// Query, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// JSON body of a PUT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// How it ended.
    pub outcome: Outcome,
    /// Status of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The fault that decided over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultId>,
    /// Kind of that fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault_kind: Option<&'static str>,
    /// Whether it changed the state of the campaign, at once or later.
    pub effective: bool,
}

/// What the log keeps of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeEntry {
    /// Who did it.
    pub actor: Actor,
    /// State before.
    pub from: State,
    /// State after.
    pub to: State,
    /// Sequence number of the PUT that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caused_by: Option<u64>,
}

fn in_milliseconds<S: Serializer>(at: &Timestamp, writer: S) -> Result<S::Ok, S::Error> {
    writer.serialize_str(&format!("{at:.3}"))
}

fn maybe_in_milliseconds<S: Serializer>(at: &Option<Timestamp>, writer: S) -> Result<S::Ok, S::Error> {
    at.as_ref().map(|at| format!("{at:.3}")).serialize(writer)
}

impl LogEntry {
    /// Whether this is a request on that route.
    pub fn is_request(&self, route: Route) -> bool {
        self.request.as_ref().is_some_and(|r| r.route == route)
    }

    /// Whether this is a PUT of a state for that campaign.
    pub fn is_put(&self, campaign: &str) -> bool {
        self.is_request(Route::StatePut) && self.campaign.as_deref() == Some(campaign)
    }

    /// Whether this is a change of that campaign's state.
    pub fn is_change(&self, campaign: &str) -> bool {
        self.change.is_some() && self.campaign.as_deref() == Some(campaign)
    }

    /// Status of the answer; absent while pending, after a hang or a reset, and for changes.
    pub fn status(&self) -> Option<u16> {
        self.request.as_ref()?.status
    }

    /// How the request ended.
    pub fn outcome(&self) -> Option<Outcome> {
        Some(self.request.as_ref()?.outcome)
    }

    /// Whether the state changed: by this PUT, or as this change tells.
    pub fn effective(&self) -> bool {
        self.change.is_some() || self.request.as_ref().is_some_and(|r| r.effective)
    }

    /// The JSON body of a PUT.
    pub fn body(&self) -> Option<&Value> {
        self.request.as_ref()?.body.as_ref()
    }
}

impl fmt::Display for LogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenant = self.tenant.as_deref().unwrap_or("-");
        write!(f, "#{} {:.3} {tenant}", self.seq, self.at)?;
        if let Some(change) = &self.change {
            let campaign = self.campaign.as_deref().unwrap_or("-");
            let (from, to) = (change.from.as_str(), change.to.as_str());
            write!(f, " CHANGE {campaign} {from} -> {to} by {:?}", change.actor)?;
        }
        if let Some(request) = &self.request {
            write!(f, " {} {}", request.method, request.path)?;
            request.query.iter().try_for_each(|query| write!(f, "?{query}"))?;
            request.body.iter().try_for_each(|body| write!(f, " {body}"))?;
            match request.status {
                Some(status) => write!(f, " => {:?} {status}", request.outcome)?,
                None => write!(f, " => {:?}", request.outcome)?,
            }
            request
                .fault
                .iter()
                .zip(request.fault_kind)
                .try_for_each(|(id, kind)| write!(f, " (fault {id} {kind})"))?;
            if request.effective {
                write!(f, " EFFECTIVE")?;
            }
        }
        Ok(())
    }
}

/// The bounded log.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: VecDeque<LogEntry>,
    last_seq: u64,
    version: u64,
}

impl Log {
    /// Appends what `entry` makes of the next sequence number, and returns that number.
    pub(crate) fn append(&mut self, entry: impl FnOnce(u64) -> LogEntry) -> u64 {
        self.last_seq += 1;
        self.version += 1;
        if self.entries.len() == LOG_CAPACITY {
            self.entries.pop_front();
        }
        self.entries.push_back(entry(self.last_seq));
        self.last_seq
    }

    /// Edits the request with that number, if it is still kept.
    pub(crate) fn edit(&mut self, seq: u64, edit: impl FnOnce(&mut LogEntry)) {
        let first = self.entries.front().map_or(u64::MAX, |entry| entry.seq);
        let index = seq.checked_sub(first).and_then(|n| usize::try_from(n).ok());
        if let Some(entry) = index.and_then(|n| self.entries.get_mut(n)) {
            edit(entry);
            self.version += 1;
        }
    }

    /// Entries with a greater number than `seq`, oldest first.
    pub(crate) fn since(&self, seq: u64) -> impl Iterator<Item = &LogEntry> {
        self.entries.iter().skip(self.entries.partition_point(|entry| entry.seq <= seq))
    }

    pub(crate) fn newest(&self, count: usize) -> impl Iterator<Item = &LogEntry> {
        self.entries.iter().rev().take(count)
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.version += 1;
    }

    pub(crate) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Grows with everything that happens to the log.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }
}
