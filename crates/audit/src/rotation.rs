//! When a file is put by and a new one begun.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};

/// How large and how old a file may become.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// In bytes.
    pub max_size: u64,
    /// Since its first line.
    pub max_age: Duration,
}

const UNITS: [(&str, u64); 6] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];
const SIZES: std::ops::RangeInclusive<u64> = 1 << 20..=16 << 30;
const AGES: std::ops::RangeInclusive<u64> = 60..=3660 * 86_400;

/// A size such as `64MiB`.
///
/// # Errors
/// What is accepted.
pub fn size(text: &str) -> Result<u64, String> {
    let bytes = || {
        let (unit, factor) = UNITS.iter().find(|(unit, _)| text.ends_with(unit)).copied()?;
        text.strip_suffix(unit)?.trim_end().parse::<u64>().ok()?.checked_mul(factor)
    };
    bytes().filter(|bytes| SIZES.contains(bytes)).ok_or_else(|| {
        "a size from 1MiB to 16GiB is accepted, such as 64MiB (KiB, MiB, GiB, kB, MB, GB)".to_owned()
    })
}

/// A length of time such as `7d`.
///
/// # Errors
/// What is accepted.
pub fn age(text: &str) -> Result<Duration, String> {
    length(text)
        .and_then(|length| Duration::try_from(length).ok())
        .filter(|age| AGES.contains(&age.as_secs()))
        .ok_or_else(|| "a length of time from 1m to 3660d is accepted, such as 7d, 12h or 1d 12h".to_owned())
}

/// A length of time in jiff's friendly form; a day has 24 hours.
pub(crate) fn length(text: &str) -> Option<SignedDuration> {
    let span: Span = text.parse().ok()?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok().filter(|length| length.is_positive())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_are_read_with_their_units_and_bounds() {
        assert_eq!(
            [size("64MiB"), size("1 GB"), size("2GiB")],
            [Ok(67_108_864), Ok(1_000_000_000), Ok(2 << 30)]
        );
        for text in ["64", "1KiB", "17GiB", "-1MiB", "MiB", "", "1.5GiB", "99999999999999999999GiB"] {
            assert!(size(text).unwrap_err().contains("1MiB to 16GiB"), "{text}");
        }
        assert_eq!(age("7d"), Ok(Duration::from_secs(7 * 86_400)));
        assert_eq!(age("1d 12h"), Ok(Duration::from_secs(36 * 3600)));
        for text in ["7", "1s", "-2d", "", "99999d", "1mo"] {
            assert!(age(text).unwrap_err().contains("such as 7d"), "{text}");
        }
    }
}
