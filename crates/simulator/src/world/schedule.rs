//! What is going to happen by itself.

use serde::Deserialize;

use crate::config::State;
use crate::refusal::{Refusal, ensure};
use crate::world::Moment;

/// Names a campaign over all tenants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub organization: String,
    pub campaign: String,
}

/// What a PUT asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub to: State,
    /// How long a timed pause lasts.
    pub pause: Option<Moment>,
    /// Sequence number of the PUT in the log.
    pub request: u64,
}

/// Something that happens by itself.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A timed pause ends, if it is still that pause.
    PauseEnds { turn: u64 },
    /// A PUT takes effect late.
    TakesEffect(Order),
    /// Somebody else writes again.
    SecondWriter(SecondWriter),
}

/// Somebody else who keeps writing a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecondWriter {
    /// The state that it writes.
    pub status: State,
    /// Milliseconds between its writes, and before the first.
    pub every_ms: u64,
    /// How often it writes; absent is without limit.
    #[serde(default)]
    pub times: Option<u32>,
    /// Milliseconds after which it writes no more; absent is until it is stopped.
    #[serde(default)]
    pub for_ms: Option<u64>,
}

impl SecondWriter {
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        ensure(self.every_ms >= 10, "everyMs", self.every_ms, "10 ms or more")?;
        ensure(self.times != Some(0), "times", self.times, "1 or more, or nothing for without limit")
    }

    /// The same writer after one more write; absent if that was the last.
    pub(crate) fn after_a_write(mut self) -> Option<Self> {
        self.times = self.times.map(|times| times.saturating_sub(1));
        self.for_ms = self.for_ms.map(|rest| rest.saturating_sub(self.every_ms));
        (self.times != Some(0) && self.for_ms.is_none_or(|rest| rest >= self.every_ms)).then_some(self)
    }
}

#[derive(Debug)]
struct Due {
    at: Moment,
    key: Key,
    event: Event,
}

/// All that is going to happen, in the order in which it was planned.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    due: Vec<Due>,
}

impl Schedule {
    pub(crate) fn plan(&mut self, at: Moment, key: Key, event: Event) {
        self.due.push(Due { at, key, event });
    }

    pub(crate) fn next(&self) -> Option<Moment> {
        self.due.iter().map(|due| due.at).min()
    }

    /// Takes out the earliest event; of two at the same moment the one that was planned first.
    pub(crate) fn pop(&mut self) -> Option<(Moment, Key, Event)> {
        let (index, _) = self.due.iter().enumerate().min_by_key(|(_, due)| due.at)?;
        let Due { at, key, event } = self.due.remove(index);
        Some((at, key, event))
    }

    /// Whether there was a second writer to stop.
    pub(crate) fn stop_writers(&mut self, key: &Key) -> bool {
        let before = self.due.len();
        self.due.retain(|due| due.key != *key || !matches!(due.event, Event::SecondWriter(_)));
        self.due.len() < before
    }
}
