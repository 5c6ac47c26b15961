//! The two clocks, in the form that decisions take them.

use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;
use rules::trouble::Now;
use tokio::time::Instant;

static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Both clocks, now.
pub fn now() -> Now {
    Now { wall: Timestamp::now(), mono: EPOCH.elapsed() }
}

/// A monotonic instant as decisions take it.
pub fn mono(at: Instant) -> Duration {
    at.saturating_duration_since(*EPOCH)
}

/// A number in `[0, 1)`, to keep many from doing the same thing at once.
pub fn jitter() -> f64 {
    rand::random()
}
