//! `Retry-After`: whatever a platform writes there, no tenant is quiet for long.

use std::time::Duration;

use cxone::fuzzing;
use jiff::Timestamp;
use reqwest::header::HeaderValue;

const CAP: Duration = Duration::from_secs(300);

/// The first line is `Retry-After`, the second, where there is one, `Date`. The wait is at most five minutes; seconds are taken
/// at their word, and a date is counted from the `Date` of the same answer.
pub fn holds(bytes: &[u8]) {
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n').map(|line| HeaderValue::from_bytes(line).ok());
    let Some(Some(value)) = lines.next() else { return };
    let date = lines.next().flatten();
    let wait = fuzzing::retry_after(value.clone(), date.clone(), Timestamp::UNIX_EPOCH);
    assert!(wait.is_none_or(|wait| wait <= CAP), "{wait:?} is longer than the cap");
    let Some(text) = value.to_str().ok().map(str::trim) else {
        return assert_eq!(wait, None, "it is no text");
    };
    let instant = |text: &str| httpdate::parse_http_date(text).ok();
    let told = date.and_then(|date| instant(date.to_str().ok()?));
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = text.parse().map_or(CAP, Duration::from_secs);
        assert_eq!(wait, Some(seconds.min(CAP)), "{text} seconds");
    } else if let (Some(until), Some(told)) = (instant(text), told) {
        assert_eq!(wait, Some(until.duration_since(told).unwrap_or_default().min(CAP)), "until {text}");
    } else if instant(text).is_none() {
        assert_eq!(wait, None, "{text:?} is neither seconds nor a date");
    }
}
