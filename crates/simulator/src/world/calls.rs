//! The number of active calls: rises while a campaign runs, drains when it does not.

use crate::config::{CallsConfig, Drain, State};
use crate::world::Moment;

/// Seconds that a call lasts on average, for counting the completed ones.
const CALL_SECONDS: f64 = 120.0;

/// Below half a call nobody is on the line.
const SILENCE: f64 = 0.5;

/// The calls of one campaign at one moment, and the rules by which they go on.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    target: f64,
    rise_per_second: f64,
    drain: Drain,
    pinned: Option<u32>,
    level: f64,
    completed: f64,
    settled: Moment,
}

impl Calls {
    pub(crate) fn new(now: Moment) -> Self {
        Self {
            target: 100.0,
            rise_per_second: 5.0,
            drain: Drain::HalfLifeSeconds(10.0),
            pinned: None,
            level: 0.0,
            completed: 0.0,
            settled: now,
        }
    }

    pub(crate) fn configure(&mut self, config: &CallsConfig) {
        self.target = config.target.map_or(self.target, f64::from);
        self.rise_per_second = config.rise_per_second.unwrap_or(self.rise_per_second);
        self.drain = config.drain.unwrap_or(self.drain);
        self.level = config.now.map_or(self.level, f64::from);
        self.pinned = config.pinned.unwrap_or(self.pinned);
    }

    /// As if the campaign had been running, or not, for a long time.
    pub(crate) fn rest(&mut self, state: State) {
        self.level = if state == State::Running { self.target } else { 0.0 };
    }

    pub(crate) fn pin(&mut self, calls: Option<u32>) {
        self.pinned = calls;
    }

    /// Brings the numbers to `now`, given the state since they were last brought up.
    pub(crate) fn settle(&mut self, now: Moment, state: State) {
        let seconds = now.saturating_sub(self.settled).as_secs_f64();
        self.settled = self.settled.max(now);
        let before = self.level;
        if state == State::Running {
            self.level = towards(before, self.target, self.rise_per_second * seconds);
            self.completed += (before + self.level) / 2.0 * seconds / CALL_SECONDS;
        } else {
            self.level = drained(before, self.drain, seconds);
            self.completed += before - self.level;
        }
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "never negative, capped by config"
    )]
    pub(crate) fn active(&self) -> u32 {
        self.pinned.unwrap_or_else(|| self.level.round() as u32)
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "never negative")]
    pub(crate) fn completed(&self) -> u64 {
        self.completed.floor() as u64
    }
}

fn towards(level: f64, target: f64, step: f64) -> f64 {
    if level < target { (level + step).min(target) } else { (level - step).max(target) }
}

fn drained(level: f64, drain: Drain, seconds: f64) -> f64 {
    let rest = match drain {
        Drain::HalfLifeSeconds(half) => level * (-seconds / half).exp2(),
        Drain::CallsPerSecond(rate) => level - rate * seconds,
    };
    if rest < SILENCE { 0.0 } else { rest }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_running_campaign_rises_to_its_target_and_stays_there() {
        let mut calls = Calls::new(at(0));
        calls.settle(at(4), State::Running);
        assert_eq!(calls.active(), 20);
        calls.settle(at(20), State::Running);
        calls.settle(at(500), State::Running);
        assert_eq!(calls.active(), 100);
        assert!(calls.completed() > 300);
    }

    #[test]
    fn calls_drain_by_half_life_to_exactly_nothing_whether_paused_or_stopped() {
        for state in [State::Paused, State::Stopped] {
            let mut calls = Calls::new(at(0));
            calls.rest(State::Running);
            calls.settle(at(10), state);
            assert_eq!(calls.active(), 50);
            calls.settle(at(20), state);
            assert_eq!(calls.active(), 25);
            calls.settle(at(200), state);
            assert_eq!((calls.active(), calls.completed()), (0, 100));
        }
    }

    #[test]
    fn calls_drain_by_so_many_a_second() {
        let mut calls = Calls::new(at(0));
        let drain = Some(Drain::CallsPerSecond(4.0));
        calls.configure(&CallsConfig { drain, now: Some(20), ..CallsConfig::default() });
        calls.settle(at(3), State::Paused);
        assert_eq!(calls.active(), 8);
        calls.settle(at(6), State::Paused);
        assert_eq!(calls.active(), 0);
    }

    #[test]
    fn a_pinned_number_is_shown_until_it_is_let_go() {
        let mut calls = Calls::new(at(0));
        calls.pin(Some(777));
        calls.settle(at(4), State::Running);
        assert_eq!(calls.active(), 777);
        calls.pin(None);
        assert_eq!(calls.active(), 20);
    }

    #[test]
    fn a_lowered_target_is_reached_from_above() {
        let mut calls = Calls::new(at(0));
        calls.rest(State::Running);
        calls.configure(&CallsConfig { target: Some(40), ..CallsConfig::default() });
        calls.settle(at(2), State::Running);
        assert_eq!(calls.active(), 90);
        calls.settle(at(60), State::Running);
        assert_eq!(calls.active(), 40);
    }
}
