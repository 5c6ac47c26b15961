//! What can go wrong with a request, and how long a step then waits.

use std::time::Duration;

use jiff::Timestamp;

use crate::reasons::Reason;

/// Both clocks at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The wall clock: windows, `resumeAt` and pauses go by it.
    pub wall: Timestamp,
    /// Time since an arbitrary start on a clock that never jumps: backoff and intervals go by it.
    pub mono: Duration,
}

impl Now {
    /// How long until that wall time; zero where it has passed.
    pub fn until(&self, at: Timestamp) -> Duration {
        Duration::try_from(at.duration_since(self.wall)).unwrap_or(Duration::ZERO)
    }

    /// How long until that monotonic time; zero where it has passed.
    pub fn until_mono(&self, at: Duration) -> Duration {
        at.saturating_sub(self.mono)
    }
}

/// Why a request did not do what it was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Not sent: the tenant's budget or hold allows it at that monotonic time.
    NotNow(Duration),
    /// 429 or 503, with the wait that was asked for.
    Throttled(Option<Duration>),
    /// 401, also with a new token.
    Unauthorized,
    /// The Secret is missing or incomplete.
    CredentialsMissing,
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// 409.
    Conflict,
    /// 5xx and the like.
    Unavailable,
    /// Another 3xx or 4xx.
    Rejected,
    /// An answer that can't be understood.
    Unreadable,
    /// Surely not delivered.
    Unreachable,
    /// It may have been delivered; no answer came.
    Interrupted,
}

impl Trouble {
    /// Whether a write that met it may have taken effect.
    pub fn may_have_been_applied(self) -> bool {
        matches!(self, Self::Interrupted | Self::Unavailable | Self::Unreadable)
    }

    /// The reason that a read which met it is reported with.
    pub fn reason(self) -> Reason {
        match self {
            Self::NotNow(_) | Self::Throttled(_) => Reason::RateLimited,
            Self::Unauthorized => Reason::Unauthorized,
            Self::CredentialsMissing => Reason::CredentialsMissing,
            Self::Forbidden => Reason::Forbidden,
            Self::NotFound => Reason::CampaignNotFound,
            Self::Conflict => Reason::Conflict,
            Self::Rejected => Reason::Rejected,
            Self::Unreadable => Reason::StateUnreadable,
            Self::Unavailable | Self::Unreachable | Self::Interrupted => Reason::Unavailable,
        }
    }

    /// Whether a hand is needed, so that trying soon makes no sense.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Unauthorized | Self::CredentialsMissing | Self::Forbidden | Self::NotFound | Self::Rejected
        )
    }
}

/// The longest wait that backoff comes to.
pub const MAX_BACKOFF: Duration = Duration::from_secs(300);
/// How long a step waits whose trouble needs a hand, unless something changes.
pub const SLOW: Duration = Duration::from_secs(60);

/// The failures in a row of one step for one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// How many.
    pub failures: u32,
    /// Monotonic time at which the first of them was begun.
    pub since: Option<Duration>,
    /// Monotonic time at which the newest of them ended.
    pub newest: Option<Duration>,
    /// Not to be tried before that monotonic time.
    pub not_before: Option<Duration>,
    /// The newest of them.
    pub last: Option<Trouble>,
    /// How many of the newest were conflicts.
    pub conflicts: u32,
}

impl Series {
    /// Success: the next failure is the first again.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Whether the step may be tried.
    pub fn due(&self, now: Now) -> bool {
        self.not_before.is_none_or(|at| at <= now.mono)
    }

    /// One more failure of a step begun at `begun`. `jitter` is in `[0, 1)`.
    pub fn failed(&mut self, trouble: Trouble, begun: Duration, now: Now, jitter: f64) {
        if let Trouble::NotNow(until) = trouble {
            // Nothing failed: nothing was sent.
            self.not_before = Some(until);
            return;
        }
        self.since.get_or_insert(begun);
        self.newest = Some(now.mono);
        self.failures = self.failures.saturating_add(1);
        self.last = Some(trouble);
        self.conflicts = conflicts(self.conflicts, trouble);
        self.not_before = Some(now.mono + self.wait(trouble, jitter));
    }

    fn wait(&self, trouble: Trouble, jitter: f64) -> Duration {
        match trouble {
            Trouble::Throttled(Some(asked)) => asked.min(MAX_BACKOFF),
            Trouble::Conflict if self.conflicts >= 2 => MAX_BACKOFF,
            t if t.is_terminal() => SLOW,
            _ => exponential(self.failures.saturating_sub(1), jitter),
        }
    }
}

/// How many conflicts in a row there are after this trouble.
pub(crate) fn conflicts(before: u32, trouble: Trouble) -> u32 {
    if trouble == Trouble::Conflict { before.saturating_add(1) } else { 0 }
}

/// `2^n` seconds plus up to half a second, at most [`MAX_BACKOFF`]. `jitter` is in `[0, 1)`.
pub fn exponential(n: u32, jitter: f64) -> Duration {
    let base = Duration::from_secs(1_u64 << n.min(9));
    (base + Duration::from_millis((jitter.clamp(0.0, 1.0) * 500.0) as u64)).min(MAX_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(seconds: u64) -> Now {
        Now { wall: Timestamp::UNIX_EPOCH, mono: Duration::from_secs(seconds) }
    }

    #[test]
    fn backoff_doubles_up_to_five_minutes_and_success_resets_it() {
        let mut series = Series::default();
        let waits: Vec<_> = (0..11)
            .map(|_| {
                series.failed(Trouble::Unavailable, now(100).mono, now(100), 0.0);
                series.not_before.unwrap().as_secs() - 100
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        series.reset();
        assert!(series.due(now(100)));
    }

    #[test]
    fn what_was_asked_for_is_waited_for_and_waiting_for_the_budget_is_no_failure() {
        let mut series = Series::default();
        series.failed(Trouble::Throttled(Some(Duration::from_secs(7))), now(0).mono, now(0), 0.9);
        assert_eq!(series.not_before, Some(Duration::from_secs(7)));
        series.failed(Trouble::NotNow(Duration::from_secs(9)), now(8).mono, now(8), 0.9);
        assert_eq!((series.failures, series.not_before), (1, Some(Duration::from_secs(9))));
    }

    #[test]
    fn the_second_conflict_in_a_row_is_slow() {
        let mut series = Series::default();
        series.failed(Trouble::Conflict, now(0).mono, now(0), 0.0);
        assert_eq!(series.not_before, Some(Duration::from_secs(1)));
        series.failed(Trouble::Conflict, now(1).mono, now(1), 0.0);
        assert_eq!(series.not_before, Some(Duration::from_secs(301)));
    }
}
