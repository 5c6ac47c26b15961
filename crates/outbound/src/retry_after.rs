//! `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime};

/// Longer waits are cut: a typo on the other side must not silence us for a day.
pub const CAP: Duration = Duration::from_secs(300);

/// How long to wait, at most [`CAP`]; a date that has passed is zero, anything malformed is none.
///
/// `now` is best the `Date` of the same answer: then it does not matter whether our clocks agree.
#[must_use]
pub fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // All digits and too large for the type is still a number: a very large one.
        return Some(value.parse().map_or(CAP, Duration::from_secs).min(CAP));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO).min(CAP))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DATE: &str = "Mon, 23 Nov 2026 14:00:00 GMT";

    fn at(offset: i64) -> SystemTime {
        let date = httpdate::parse_http_date(DATE).unwrap();
        let by = Duration::from_secs(offset.unsigned_abs());
        if offset < 0 { date - by } else { date + by }
    }

    #[test]
    fn seconds_and_dates_are_understood_capped_and_never_negative() {
        let seconds = |s| Some(Duration::from_secs(s));
        for (value, now, expected) in [
            ("0", 0, seconds(0)),
            ("7", 0, seconds(7)),
            (" 7 ", 0, seconds(7)),
            ("300", 0, seconds(300)),
            ("301", 0, seconds(300)),
            ("99999999999999999999999999", 0, seconds(300)),
            (DATE, -20, seconds(20)),
            (DATE, -4000, seconds(300)),
            (DATE, 0, seconds(0)),
            (DATE, 20, seconds(0)),
            ("Monday, 23-Nov-26 14:00:00 GMT", -20, seconds(20)),
            ("", 0, None),
            ("-5", 0, None),
            ("+5", 0, None),
            ("1.5", 0, None),
            ("5s", 0, None),
            ("soon", 0, None),
            ("2026-11-23T14:00:00Z", -20, None),
        ] {
            assert_eq!(parse(value, at(now)), expected, "{value:?} at {now}");
        }
    }

    proptest! {
        #[test]
        fn no_value_panics_or_exceeds_the_cap(value in "\\PC*", now in -1_700_000_000_i64..10_000_000_000) {
            prop_assert!(parse(&value, at(now)).is_none_or(|wait| wait <= CAP));
        }

        #[test]
        fn no_number_exceeds_the_cap(value in "[0-9]{1,40}") {
            prop_assert!(parse(&value, at(0)).is_some_and(|wait| wait <= CAP));
        }
    }
}
