//! `Retry-After`: whatever the other side writes there, nobody is quiet for long.

use std::time::{Duration, SystemTime};

use outbound::retry_after::{CAP, parse};

/// The first line is `Retry-After`, the second, where it is a date, the time of the answer. The wait is at most the cap; seconds are
/// taken at their word, and a date is counted from the answer's.
pub fn holds(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (value, answered) = text.split_once('\n').unwrap_or((text, ""));
    let instant = |text: &str| httpdate::parse_http_date(text).ok();
    let now = instant(answered).unwrap_or(SystemTime::UNIX_EPOCH);
    let value = value.trim();
    let seconds = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let expected = if seconds {
        Some(value.parse().map_or(CAP, Duration::from_secs))
    } else {
        instant(value).map(|until| until.duration_since(now).unwrap_or_default())
    };
    assert_eq!(parse(value, now), expected.map(|wait| wait.min(CAP)), "{value:?} at {now:?}");
    assert!(CAP <= Duration::from_secs(300), "nobody is quiet for {CAP:?}");
}
