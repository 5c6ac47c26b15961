//! One campaign: its state, its calls, its recent past.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::Serialize;

use crate::config::{CampaignConfig, State, StatsConfig, StatsOrder};
use crate::log::Actor;
use crate::world::Moment;
use crate::world::calls::Calls;

/// Samples that are kept, one a second: five minutes.
pub(crate) const SAMPLES: usize = 300;

/// What was the case at one full second.
#[derive(Clone, Copy, Debug)]
struct Sample {
    state: State,
    active: u32,
    completed: u64,
}

/// A change of state in the recent past.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub at: Moment,
    pub to: State,
    pub actor: Actor,
}

/// What the statistics look like.
#[derive(Clone, Copy, Debug)]
struct Shape {
    rows: u32,
    timestamps: bool,
    order: StatsOrder,
}

/// One row of the statistics, as on the wire.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    active_calls: u32,
    completed_calls: u64,
    status: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
}

/// Some rows, and where the next ones begin.
#[derive(Debug)]
pub(crate) struct Page {
    pub rows: Vec<Row>,
    pub next: Option<usize>,
}

#[derive(Debug)]
pub(crate) struct Campaign {
    pub name: Option<String>,
    pub calls: Calls,
    /// Tells a timed pause whether it is still the pause that it was.
    pub turn: u64,
    /// When the timed pause ends that is on.
    pub pause_ends: Option<Moment>,
    pub turns: VecDeque<Turn>,
    pub since: Moment,
    state: State,
    shape: Shape,
    samples: VecDeque<Sample>,
}

impl Campaign {
    pub(crate) fn new(now: Moment, config: &CampaignConfig) -> Self {
        let mut campaign = Self {
            name: None,
            calls: Calls::new(now),
            turn: 0,
            pause_ends: None,
            turns: VecDeque::new(),
            since: now,
            state: config.state.unwrap_or(State::Paused),
            shape: Shape { rows: 1, timestamps: false, order: StatsOrder::OldestFirst },
            samples: VecDeque::new(),
        };
        campaign.configure(now, config);
        if config.active_calls.as_ref().is_none_or(|calls| calls.now.is_none()) {
            campaign.calls.rest(campaign.state);
        }
        campaign
    }

    /// Takes over everything but the state, which is the world's to change.
    pub(crate) fn configure(&mut self, now: Moment, config: &CampaignConfig) {
        self.settle(now);
        if config.name.is_some() {
            self.name.clone_from(&config.name);
        }
        if let Some(calls) = &config.active_calls {
            self.calls.configure(calls);
        }
        if let Some(StatsConfig { rows, timestamps, order }) = config.stats {
            self.shape.rows = rows.unwrap_or(self.shape.rows);
            self.shape.timestamps = timestamps.unwrap_or(self.shape.timestamps);
            self.shape.order = order.unwrap_or(self.shape.order);
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn set_rows(&mut self, rows: u32) {
        self.shape.rows = rows;
    }

    pub(crate) fn settle(&mut self, now: Moment) {
        self.calls.settle(now, self.state);
    }

    /// Enters a state; a timed pause that was on is over. Returns the state before.
    pub(crate) fn enter(&mut self, now: Moment, to: State, actor: Actor) -> State {
        self.settle(now);
        self.turn += 1;
        self.pause_ends = None;
        self.since = now;
        if self.turns.len() == SAMPLES {
            self.turns.pop_front();
        }
        self.turns.push_back(Turn { at: now, to, actor });
        std::mem::replace(&mut self.state, to)
    }

    pub(crate) fn sample(&mut self, now: Moment) {
        let sample = self.present(now);
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    fn present(&mut self, now: Moment) -> Sample {
        self.settle(now);
        Sample { state: self.state, active: self.calls.active(), completed: self.calls.completed() }
    }

    /// Active calls at the last seconds, oldest first.
    pub(crate) fn chart(&self) -> Vec<u32> {
        self.samples.iter().map(|sample| sample.active).collect()
    }

    /// Rows `from..from + size` of the statistics. Before the first sample the past was as the first sample.
    pub(crate) fn page(&mut self, now: Moment, wall: Timestamp, from: usize, size: usize) -> Page {
        let present = self.present(now);
        let total = usize::try_from(self.shape.rows).unwrap_or(usize::MAX);
        let until = from.saturating_add(size).min(total);
        let age = |index: usize| match self.shape.order {
            StatsOrder::OldestFirst => total - 1 - index,
            StatsOrder::NewestFirst => index,
        };
        let rows = (from..until).map(|index| self.row(present, wall, age(index))).collect();
        Page { rows, next: (until < total).then_some(until) }
    }

    fn row(&self, present: Sample, wall: Timestamp, age: usize) -> Row {
        let past = || self.samples.get(self.samples.len().saturating_sub(age)).copied();
        let sample = if age == 0 { present } else { past().unwrap_or(present) };
        let seconds = i64::try_from(age).unwrap_or(i64::MAX);
        let at = Timestamp::from_second(wall.as_second().saturating_sub(seconds)).unwrap_or(wall);
        Row {
            active_calls: sample.active,
            completed_calls: sample.completed,
            status: sample.state,
            timestamp: self.shape.timestamps.then(|| at.to_string()),
        }
    }
}
