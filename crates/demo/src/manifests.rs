//! The manifests as files that a person can edit and apply again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};

use crate::tell;

/// File name and template.
const TEMPLATES: [(&str, &str); 5] = [
    ("01-tenant.yaml", include_str!("../manifests/01-tenant.yaml")),
    ("02-winter-renewals.yaml", include_str!("../manifests/02-winter-renewals.yaml")),
    ("03-payment-reminders.yaml", include_str!("../manifests/03-payment-reminders.yaml")),
    ("04-survey-east.yaml", include_str!("../manifests/04-survey-east.yaml")),
    ("05-emergency-freeze.yaml", include_str!("../../../policies/emergency-freeze.yaml")),
];

/// The manifests, written into a folder.
pub struct Manifests {
    folder: PathBuf,
}

impl Manifests {
    /// Writes them, for this stand-in of CXone and for hours that lie around `now`.
    ///
    /// # Errors
    /// Where a file can't be written.
    pub fn write(folder: &Path, simulator: &str, now: Timestamp) -> Result<Self> {
        for (name, template) in TEMPLATES {
            let path = folder.join(name);
            fs::write(&path, filled_in(template, simulator, now))
                .with_context(|| format!("can't write {}", path.display()))?;
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// Edits the declared state in a file, and shows the edit.
    ///
    /// # Errors
    /// Where the file can't be read or written, or declares no state.
    pub fn declare(&self, file: &str, state: &str) -> Result<()> {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
        let is_state = |line: &&str| line.starts_with("  state:");
        let before = text.lines().find(is_state).with_context(|| format!("{file} declares no state"))?;
        let (declaration, comment) = before.find(" #").map_or((before, ""), |at| before.split_at(at));
        let after = format!("  state: {state}");
        tell::difference(file, declaration, &after);
        let edited = text.replacen(before, &(after + comment), 1);
        fs::write(&path, edited).with_context(|| format!("can't write {}", path.display()))
    }
}

fn filled_in(template: &str, simulator: &str, now: Timestamp) -> String {
    // Full hours read better; the nearest edge is still more than an hour away.
    let hour = |hours| (now + SignedDuration::from_hours(hours)).strftime("%H:00").to_string();
    template
        .replace("${SIMULATOR}", simulator)
        .replace("${OPENED}", &hour(-4))
        .replace("${CLOSES}", &hour(6))
        .replace("${OPENS}", &hour(2))
        .replace("${CLOSES_LATER}", &hour(8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_blank_is_filled_in_and_the_hours_lie_around_now() {
        let now: Timestamp = "2026-11-22T23:59:59Z".parse().unwrap();
        for (_, template) in TEMPLATES {
            assert!(!filled_in(template, "http://127.0.0.1:8080", now).contains('$'));
        }
        let open = filled_in(TEMPLATES[1].1, "", now);
        assert!(open.contains("from: \"19:00\"") && open.contains("to: \"05:00\""), "{open}");
        let closed = filled_in(TEMPLATES[2].1, "", now);
        assert!(closed.contains("from: \"01:00\"") && closed.contains("to: \"07:00\""), "{closed}");
    }

    #[test]
    fn a_state_is_edited_in_place_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let manifests =
            Manifests::write(folder.path(), "http://127.0.0.1:8080", Timestamp::UNIX_EPOCH).unwrap();
        let read = || fs::read_to_string(folder.path().join("02-winter-renewals.yaml")).unwrap();
        let lines = read().lines().count();
        manifests.declare("02-winter-renewals.yaml", "Paused").unwrap();
        assert!(read().contains("\n  state: Paused # Running | Paused | Stopped\n"), "{}", read());
        assert_eq!(read().lines().count(), lines);
    }
}
