//! Small validated values that appear inside the kinds.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An IANA time zone name such as `America/New_York`; `UTC` is one.
///
/// The API server refuses names that its own zone database lacks. A name that it knows and the compiled-in
/// database does not is possible; the operator then holds the campaign rather than guess.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "timestamp('2026-01-01T00:00:00Z').getFullYear(self) > 0",
    "message": "must be a known IANA time zone such as America/New_York, or UTC"
}]))]
pub struct Zone(
    #[schemars(
        length(min = 1, max = 64),
        regex(pattern = r"^(UTC|[A-Z][A-Za-z_]+(/[A-Z][A-Za-z0-9_+-]+)+)$")
    )]
    pub String,
);

/// An instant in RFC 3339 with an offset, for example `2026-11-23T09:00:00-05:00`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("format" = "date-time", "x-kubernetes-validations" = [{
    "rule": "self.getFullYear() >= 2000 && self.getFullYear() <= 2200",
    "message": "year must be 2000 to 2200"
}]))]
pub struct Instant(
    #[schemars(
        with = "String",
        length(max = 35),
        regex(
            pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
        )
    )]
    pub Time,
);

impl Instant {
    /// The instant itself; the offset it was written with is forgotten.
    pub fn timestamp(&self) -> Timestamp {
        self.0.0
    }
}

/// A local date such as `2026-12-25`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!format.date().validate(self).hasValue() && self >= '2000-01-01' && self < '2200-01-01'",
    "message": "must be a date such as 2026-12-25, from 2000 to 2199"
}]))]
pub struct LocalDate(
    #[schemars(
        length(min = 10, max = 10),
        regex(pattern = r"^2[01][0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")
    )]
    pub String,
);

impl LocalDate {
    /// The date, or `None` where the text is none.
    pub fn date(&self) -> Option<jiff::civil::Date> {
        self.0.parse().ok()
    }
}

/// A local time at which an interval opens, `00:00` to `23:59`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(transparent)]
pub struct OpensAt(
    #[schemars(length(min = 5, max = 5), regex(pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"))] pub String,
);

/// A local time at which an interval closes, `00:00` to `24:00`; `24:00` is the end of the day.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(transparent)]
pub struct ClosesAt(
    #[schemars(length(min = 5, max = 5), regex(pattern = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"))]
    pub  String,
);

impl OpensAt {
    /// Minutes since local midnight, or `None` where the text is not a time of day.
    pub fn minute(&self) -> Option<u16> {
        minute_of_day(&self.0).filter(|m| *m < MINUTES_PER_DAY)
    }
}

impl ClosesAt {
    /// Minutes since local midnight (1440 for `24:00`), or `None` where the text is not a time of day.
    pub fn minute(&self) -> Option<u16> {
        minute_of_day(&self.0)
    }
}

/// Minutes in a civil day.
pub const MINUTES_PER_DAY: u16 = 24 * 60;

fn minute_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 || !text.bytes().all(|b| b.is_ascii_digit() || b == b':') {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= MINUTES_PER_DAY).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_read_strictly() {
        let minute = |s: &str| ClosesAt(s.into()).minute();
        assert_eq!(minute("00:00"), Some(0));
        assert_eq!(minute("08:30"), Some(510));
        assert_eq!(minute("24:00"), Some(1440));
        assert_eq!(OpensAt("24:00".into()).minute(), None);
        for bad in ["24:01", "8:00", "08:60", "08-00", "+8:00", "", "0800", "aa:bb", "99:99"] {
            assert_eq!(minute(bad), None, "{bad}");
        }
    }
}
