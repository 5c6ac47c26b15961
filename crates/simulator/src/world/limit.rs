//! The rate limit of a tenant: a token bucket.

use std::time::Duration;

use crate::config::{RateLimit, RetryAfter};
use crate::world::Moment;

/// A bucket that holds `burst` requests and fills by so many a second.
#[derive(Debug)]
pub(crate) struct Bucket {
    limit: RateLimit,
    level: f64,
    filled: Moment,
}

impl Bucket {
    pub(crate) fn new(now: Moment, limit: RateLimit) -> Self {
        Self { level: f64::from(limit.burst), limit, filled: now }
    }

    pub(crate) fn retry_after(&self) -> RetryAfter {
        self.limit.retry_after
    }

    /// Takes one request.
    ///
    /// # Errors
    /// How long to wait until there is room again.
    pub(crate) fn take(&mut self, now: Moment) -> Result<(), Duration> {
        let gained = now.saturating_sub(self.filled).as_secs_f64() * self.limit.requests_per_second;
        self.filled = self.filled.max(now);
        self.level = (self.level + gained).min(f64::from(self.limit.burst));
        if self.level >= 1.0 {
            self.level -= 1.0;
            return Ok(());
        }
        let wait = (1.0 - self.level) / self.limit.requests_per_second;
        Err(Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_burst_passes_at_once_and_the_rest_by_the_rate() {
        let limit = RateLimit { requests_per_second: 2.0, burst: 3, retry_after: RetryAfter::Seconds };
        let at = Duration::from_millis;
        let mut bucket = Bucket::new(at(0), limit);
        assert_eq!([0; 3].map(|_| bucket.take(at(0))), [Ok(()); 3]);
        assert_eq!(bucket.take(at(0)), Err(at(500)));
        assert_eq!(bucket.take(at(500)), Ok(()));
        assert!(bucket.take(at(600)).is_err());
        assert_eq!([0; 3].map(|_| bucket.take(at(60_000))), [Ok(()); 3], "it holds no more than the burst");
        assert!(bucket.take(at(60_000)).is_err());
    }
}
