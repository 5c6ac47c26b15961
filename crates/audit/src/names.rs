//! The names of files beside the one that is written.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// `20261122T200000.123Z`: as names hold an instant, so that they sort by time.
const INSTANT: &str = "%Y%m%dT%H%M%S%.3fZ";
const INSTANT_LENGTH: usize = "20261122T200000.123Z".len();

/// Under which a file goes on that is full or old: `audit-20261122T200000.123Z-0000000042.jsonl` beside `audit.jsonl`.
pub(crate) fn rotated(path: &Path, first_told: Timestamp, first_seq: u64) -> PathBuf {
    let (stem, extension) = parts(path);
    let name = |more: &str| format!("{stem}-{}-{first_seq:010}{more}{extension}", instant(first_told));
    free(path, name)
}

/// Under which something is kept that the record can't hold: `audit.jsonl.torn-20261122T200000.123Z`.
pub(crate) fn aside(path: &Path, what: &str, now: Timestamp) -> PathBuf {
    let own = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    free(path, |more| format!("{own}.{what}-{}{more}", instant(now)))
}

/// The rotated file of this path that was put by last.
///
/// # Errors
/// Where the folder can't be listed. One that may not be listed has none.
pub fn newest_rotated(path: &Path) -> io::Result<Option<PathBuf>> {
    let (stem, extension) = parts(path);
    let is_rotated = |name: &str| {
        let rest = name.strip_prefix(&stem).and_then(|rest| rest.strip_prefix('-'));
        let rest = rest.and_then(|rest| rest.strip_suffix(&extension));
        rest.is_some_and(is_instant_and_seq)
    };
    let entries = match fs::read_dir(folder(path)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
        listed => listed?,
    };
    let mut newest: Option<String> = None;
    for entry in entries {
        let Ok(name) = entry?.file_name().into_string() else { continue };
        if is_rotated(&name) && newest.as_ref().is_none_or(|newest| *newest < name) {
            newest = Some(name);
        }
    }
    Ok(newest.map(|name| folder(path).join(name)))
}

/// Makes names in the folder of this path last.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(folder(path)) {
        // It may be written and not read.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        opened => opened?.sync_all(),
    }
}

fn is_instant_and_seq(text: &str) -> bool {
    let Some((instant, seq)) = text.split_at_checked(INSTANT_LENGTH) else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let instant = instant.strip_suffix('Z').and_then(|instant| instant.split_once('T'));
    instant.is_some_and(|(day, time)| digits(day) && digits(&time.replace('.', "")))
        && seq.strip_prefix('-').is_some_and(digits)
}

fn instant(at: Timestamp) -> String {
    at.strftime(INSTANT).to_string()
}

/// The name without and from its last dot on.
fn parts(path: &Path) -> (String, String) {
    let text = |part: Option<&OsStr>| part.map(|part| part.to_string_lossy().into_owned());
    let extension = text(path.extension()).map(|extension| format!(".{extension}"));
    (text(path.file_stem()).unwrap_or_default(), extension.unwrap_or_default())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// The first of these names that nothing has: what is kept is never written over.
fn free(path: &Path, name: impl Fn(&str) -> String) -> PathBuf {
    let mut found = folder(path).join(name(""));
    let mut count = 1;
    while found.symlink_metadata().is_ok() {
        found = folder(path).join(name(&format!("-{count}")));
        count += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_files_sort_by_time_and_are_found_by_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        assert_eq!(newest_rotated(&path).unwrap(), None);
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let first = rotated(&path, at("2026-11-22T20:00:00.123456Z"), 9);
        assert!(first.ends_with("audit-20261122T200000.123Z-0000000009.jsonl"), "{first:?}");
        fs::write(&first, "").unwrap();
        let same = rotated(&path, at("2026-11-22T20:00:00.123456Z"), 9);
        assert!(same.ends_with("audit-20261122T200000.123Z-0000000009-1.jsonl"), "{same:?}");
        let later = rotated(&path, at("2026-11-22T20:00:00.124Z"), 10);
        for path in [
            &same,
            &later,
            &folder.path().join("audit-notes.jsonl"),
            &aside(&path, "torn", at("2027-01-01T00:00:00Z")),
        ] {
            fs::write(path, "").unwrap();
        }
        assert_eq!(newest_rotated(&path).unwrap(), Some(later));
    }
}
