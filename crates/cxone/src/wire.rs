//! What goes over the wire, and what its parts mean. All pure; "unknown" is always an error, never a default.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{CampaignStatus, ResumeMode, Transition, Volume};

/// Endless paging ends here.
const MOST_PAGES: u32 = 100;

/// A page token goes into a URL; longer ones would be refused by the next proxy anyway.
const LONGEST_PAGE_TOKEN: usize = 4096;

/// What a token is taken to live when the platform does not say so plainly: short, since a refresh costs little.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);

/// No token is trusted longer, whatever the platform says.
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The body of a state change.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Change<'a> {
    campaign_id: &'a str,
    status: CampaignStatus,
    pause_duration_seconds: u16,
    resume_mode: ResumeMode,
    notify_agent_pool: bool,
    metadata: Metadata,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    transition_id: Uuid,
    requested_at: Timestamp,
}

impl<'a> Change<'a> {
    pub(crate) fn new(campaign: &'a str, transition: &Transition) -> Self {
        let Transition { id, to, resume_mode, notify_agent_pool, requested_at } = *transition;
        Self {
            campaign_id: campaign,
            status: to,
            pause_duration_seconds: 0,
            resume_mode,
            notify_agent_pool,
            metadata: Metadata { transition_id: id, requested_at },
        }
    }
}

/// A JSON object. Serde would take an array for one as well, its members named by their order.
fn object<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    body.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(body).ok())?
}

#[derive(Deserialize)]
struct State {
    status: Option<Value>,
    #[serde(rename = "currentStatus")]
    current_status: Option<Value>,
}

/// The state of a campaign, under either of its two names.
pub(crate) fn decode_state(body: &[u8]) -> Result<CampaignStatus, &'static str> {
    let state: State = object(body).ok_or("state is not the expected JSON")?;
    let named = state.status.as_ref().map(status).transpose()?;
    let current = state.current_status.as_ref().map(status).transpose()?;
    match (named, current) {
        (Some(named), Some(current)) if named != current => Err("status and currentStatus differ"),
        (Some(status), _) | (None, Some(status)) => Ok(status),
        (None, None) => Err("no status"),
    }
}

fn status(value: &Value) -> Result<CampaignStatus, &'static str> {
    let word = value.as_str().ok_or("status is not a string")?;
    [CampaignStatus::Running, CampaignStatus::Paused, CampaignStatus::Stopped]
        .into_iter()
        .find(|status| word.eq_ignore_ascii_case(status.as_str()))
        .ok_or("unknown status")
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    expires_in: Option<Value>,
}

/// The access token, and how long it lives counted from before it was asked for.
pub(crate) fn decode_token(body: &[u8]) -> Option<(String, Duration)> {
    let token: Token = object(body)?;
    let lifetime = token.expires_in.as_ref().and_then(seconds).unwrap_or(DEFAULT_LIFETIME);
    Some((token.access_token, lifetime.min(LONGEST_LIFETIME)))
}

/// Seconds of at least one, as a number or (as some servers write it) a string of digits.
fn seconds(value: &Value) -> Option<Duration> {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
    (number >= 1.0).then(|| Duration::try_from_secs_f64(number).unwrap_or(LONGEST_LIFETIME))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    page: Vec<Value>,
    next_page_token: Option<Value>,
}

#[derive(Clone, Copy)]
struct Row {
    active_calls: u32,
    timestamp: Option<Timestamp>,
}

/// Pages of statistics, folded as they come.
#[derive(Default)]
pub(crate) struct Pages {
    count: u32,
    seen: HashSet<String>,
    next: Option<String>,
    last: Option<Row>,
    newest: Option<Row>,
    some_without_timestamp: bool,
}

impl Pages {
    /// The token of the page to ask for next; none for the first.
    pub(crate) fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// Takes one page in: the volume when it was the last one, none when there is another.
    pub(crate) fn add(&mut self, body: &[u8]) -> Result<Option<Volume>, &'static str> {
        let page: Page = object(body).ok_or("statistics are not the expected JSON")?;
        self.count += 1;
        page.page.iter().try_for_each(|value| row(value).map(|row| self.take(row)))?;
        self.next = page_token(page.next_page_token)?;
        let Some(token) = &self.next else { return self.volume().map(Some) };
        if !self.seen.insert(token.clone()) {
            return Err("a page token repeats");
        }
        if self.count >= MOST_PAGES {
            return Err("too many pages of statistics");
        }
        Ok(None)
    }

    fn take(&mut self, row: Row) {
        self.last = Some(row);
        self.some_without_timestamp |= row.timestamp.is_none();
        if self.newest.is_none_or(|newest| row.timestamp >= newest.timestamp) {
            self.newest = Some(row);
        }
    }

    /// The order of rows is not documented: timestamps decide where all rows have one, else the last row is newest.
    fn volume(&self) -> Result<Volume, &'static str> {
        let row = if self.some_without_timestamp { self.last } else { self.newest };
        let active_calls = row.ok_or("no statistics rows")?.active_calls;
        Ok(Volume { active_calls, pages: self.count })
    }
}

fn row(value: &Value) -> Result<Row, &'static str> {
    let active_calls =
        value.get("activeCalls").and_then(Value::as_u64).and_then(|calls| u32::try_from(calls).ok());
    let timestamp = value.get("timestamp").and_then(Value::as_str).and_then(|text| text.parse().ok());
    Ok(Row { active_calls: active_calls.ok_or("activeCalls")?, timestamp })
}

fn page_token(value: Option<Value>) -> Result<Option<String>, &'static str> {
    match value {
        None => Ok(None),
        Some(Value::String(token)) if token.len() <= LONGEST_PAGE_TOKEN => {
            Ok(Some(token).filter(|token| !token.is_empty()))
        }
        Some(_) => Err("nextPageToken"),
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
