//! The file that lines are appended to: torn lines, rotation, failures, and two processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use audit::{Line, Log, Record, Request, Rotation, Verified, verify};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tempfile::TempDir;

struct Folder(TempDir);

const LARGE: Rotation = Rotation { max_size: 1 << 30, max_age: Duration::from_secs(86_400) };

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("audit.jsonl")
    }

    fn log(&self, rotation: Rotation) -> Log {
        Log::file(self.path(), rotation, json!({"place": "file"}).as_object().unwrap().clone())
    }

    /// The names in it that have this in them.
    fn named(&self, part: &str) -> Vec<String> {
        let names =
            fs::read_dir(self.0.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name.contains(part)).collect();
        names.sort();
        names
    }

    fn lines(&self, name: &str) -> Vec<Line> {
        let text = fs::read_to_string(self.0.path().join(name)).unwrap();
        text.lines().map(|line| audit::parse(line.as_bytes()).unwrap()).collect()
    }

    fn events(&self) -> Vec<String> {
        self.lines("audit.jsonl").iter().map(|line| line.text("event").unwrap().to_owned()).collect()
    }

    fn verify(&self) -> Verified {
        let files: Vec<_> = self
            .named(".jsonl")
            .iter()
            .filter(|n| n.ends_with(".jsonl"))
            .map(|n| self.0.path().join(n))
            .collect();
        verify(&Request { files, ..Request::default() }).unwrap_or_else(|fault| panic!("{fault}"))
    }
}

fn now() -> Timestamp {
    "2026-11-22T20:00:00Z".parse().unwrap()
}

fn later(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

fn told(what: &str) -> Record {
    Record::of(&json!({"timestamp": now(), "event": what})).unwrap()
}

fn add(path: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn a_new_process_opens_a_new_chain_that_names_the_head_of_the_last() {
    let folder = Folder::new();
    let mut log = folder.log(LARGE);
    log.append(&told("A"), now()).unwrap();
    log.commit().unwrap();
    let head = log.head().unwrap();
    drop(log);
    folder.log(LARGE).ready(now()).unwrap();
    assert_eq!(folder.events(), ["CHAIN_OPENED", "A", "CHAIN_OPENED"]);
    let opening = folder.lines("audit.jsonl").pop().unwrap();
    assert_eq!(opening.record["predecessor"], json!(head));
    assert_eq!(opening.text("place"), Some("file"));
    assert_eq!((opening.head.seq, opening.head.chain == head.chain), (0, false));
    assert_eq!(folder.verify().chains, 2);
}

#[test]
fn a_line_torn_by_a_crash_is_kept_aside_and_noted_in_the_chain() {
    let folder = Folder::new();
    let mut log = folder.log(LARGE);
    log.append(&told("A"), now()).unwrap();
    log.commit().unwrap();
    drop(log);
    let whole = fs::read(folder.path()).unwrap();
    // Cut at every place of the last line, its end included.
    let last = whole[..whole.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
    for cut in last + 1..whole.len() {
        fs::write(folder.path(), &whole[..cut]).unwrap();
        let mut log = folder.log(LARGE);
        log.ready(later(cut as i64)).unwrap();
        assert_eq!(folder.events(), ["CHAIN_OPENED", "CHAIN_OPENED", "TORN_LINE"]);
        let kept = folder.named("torn").pop().unwrap();
        assert_eq!(fs::read(folder.0.path().join(&kept)).unwrap(), &whole[last..cut]);
        let note = folder.lines("audit.jsonl").pop().unwrap();
        assert_eq!((&note.record["bytes"], &note.record["keptIn"]), (&json!(cut - last), &json!(kept)));
        assert_eq!(log.take_notes().len(), 1);
        assert_eq!(folder.verify().noted.torn_lines, 1);
    }
}

#[test]
fn a_write_that_failed_part_way_is_mended_in_the_same_chain_and_the_line_told_again() {
    let folder = Folder::new();
    let mut log = folder.log(LARGE);
    log.append(&told("A"), now()).unwrap();
    log.commit().unwrap();
    // As a full disk leaves it: a part of the line is there, and the write fails.
    let chain = log.head().unwrap().chain;
    let part = br#"{"chain":"00000000-0000"#;
    add(&folder.path(), part);
    let other = folder.0.path().join("elsewhere");
    fs::rename(folder.path(), &other).unwrap();
    fs::create_dir(folder.path()).unwrap();
    assert!(log.append(&told("B"), now()).is_err());
    fs::remove_dir(folder.path()).unwrap();
    fs::rename(&other, folder.path()).unwrap();
    log.append(&told("B"), later(1)).unwrap();
    log.commit().unwrap();
    assert_eq!(folder.events(), ["CHAIN_OPENED", "A", "TORN_LINE", "B"]);
    assert!(folder.lines("audit.jsonl").iter().all(|line| line.head.chain == chain));
    assert_eq!(folder.verify().head, log.head().unwrap());
}

/// Set for the process whose files may be kept from growing.
const SMALL_DISK: &str = "TEST_ON_A_SMALL_DISK";

/// Runs the rest of the test of this name in a process of its own, whose files may be kept from growing: that stands in for a full
/// disk, on which a write fails part way. It is told by an error, not by a signal.
fn on_small_disk(name: &str, test: impl FnOnce(&Folder)) {
    if std::env::var_os(SMALL_DISK).is_some() {
        return test(&Folder::new());
    }
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    let output = command.args([name, "--exact", "--nocapture"]).env(SMALL_DISK, "1").output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// No file of this process may grow beyond this.
fn limit(bytes: Option<u64>) {
    let limit = rustix::process::Rlimit { current: bytes, maximum: None };
    rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

#[test]
fn on_a_full_disk_no_part_of_a_line_stays_and_lines_go_on_when_there_is_space() {
    on_small_disk("on_a_full_disk_no_part_of_a_line_stays_and_lines_go_on_when_there_is_space", |folder| {
        let mut log = folder.log(LARGE);
        log.append(&told("A"), now()).unwrap();
        log.commit().unwrap();
        // There is space for the first of three, and for a part of the second.
        let line = size(&folder.path()) / 2;
        limit(Some(size(&folder.path()) + line + line / 2));
        let records = ["B", "C", "D"].map(told);
        let (count, result) = log.append_all(records.iter(), now(), || ());
        assert_eq!((count, result.unwrap_err().kind()), (1, ErrorKind::FileTooLarge));
        let head = log.head();
        for _ in 0..3 {
            assert!(log.append(&records[1], now()).is_err());
        }
        assert_eq!(folder.events(), ["CHAIN_OPENED", "A", "B"]);
        assert_eq!(Some(folder.verify().head), head);
        limit(None);
        assert_eq!(log.append_all(records[1..].iter(), now(), || ()).0, 2);
        assert_eq!(folder.events(), ["CHAIN_OPENED", "A", "B", "C", "D"]);
        assert_eq!((folder.verify().chains, folder.named("torn").len()), (1, 0));
    });
}

#[test]
fn lines_that_stand_in_the_file_and_were_not_committed_stay_and_the_chain_goes_on_after_them() {
    on_small_disk(
        "lines_that_stand_in_the_file_and_were_not_committed_stay_and_the_chain_goes_on_after_them",
        |folder| {
            let mut log = folder.log(LARGE);
            log.append(&told("A"), now()).unwrap();
            log.commit().unwrap();
            let committed = log.head();
            log.append(&told("B"), now()).unwrap();
            limit(Some(size(&folder.path()) + 10));
            assert!(log.append(&told("C"), now()).is_err());
            limit(None);
            assert_eq!(log.head(), committed, "of the second nothing is promised");
            assert_eq!(log.append_all(["B", "C"].map(told).iter(), now(), || ()).0, 2);
            assert_eq!(folder.events(), ["CHAIN_OPENED", "A", "B", "B", "C"]);
            assert_eq!(folder.verify().chains, 1);
        },
    );
}

#[test]
fn a_part_of_a_line_on_a_stream_is_ended_before_the_next_line() {
    on_small_disk("a_part_of_a_line_on_a_stream_is_ended_before_the_next_line", |folder| {
        let path = folder.path();
        let opener = move || OpenOptions::new().create(true).append(true).open(&path);
        let mut log = Log::stream(opener, audit::About::new());
        log.append(&told("A"), now()).unwrap();
        log.commit().unwrap();
        limit(Some(size(&folder.path()) + 10));
        assert!(log.append(&told("B"), now()).is_err());
        limit(None);
        log.append(&told("B"), now()).unwrap();
        log.commit().unwrap();
        let text = fs::read_to_string(folder.path()).unwrap();
        let whole = |line: &&str| audit::parse(line.as_bytes()).is_ok();
        assert_eq!(text.lines().map(|line| whole(&line)).collect::<Vec<_>>(), [true, true, false, true]);
        assert_eq!(text.lines().filter(whole).count() as u64, log.head().unwrap().seq + 1);
    });
}

#[test]
fn committed_lines_that_vanish_while_it_is_written_break_the_chain_for_all_to_see() {
    let folder = Folder::new();
    let mut log = folder.log(LARGE);
    for event in ["A", "B"] {
        log.append(&told(event), now()).unwrap();
    }
    log.commit().unwrap();
    let text = fs::read_to_string(folder.path()).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.pop();
    fs::remove_file(folder.path()).unwrap();
    fs::write(folder.path(), lines.join("\n") + "\n").unwrap();
    log.append(&told("C"), now()).unwrap();
    log.commit().unwrap();
    let error = verify(&Request { files: vec![folder.path()], ..Request::default() }).unwrap_err();
    assert_eq!(error.line, Some(3), "{error}");
}

#[test]
fn a_full_file_is_put_by_under_its_first_instant_and_the_chain_goes_on_in_the_next() {
    let folder = Folder::new();
    let mut log = folder.log(Rotation { max_size: 700, ..LARGE });
    for n in 0..12 {
        log.append(&told(&format!("E{n}")), later(n)).unwrap();
    }
    log.commit().unwrap();
    let rotated = folder.named("audit-");
    assert!(rotated.len() >= 3, "{rotated:?}");
    assert_eq!(rotated[0], "audit-20261122T200000.000Z-0000000000.jsonl");
    let verified = folder.verify();
    assert_eq!((verified.lines, verified.chains, verified.head), (13, 1, log.head().unwrap()));
    let sizes = rotated.iter().map(|name| fs::metadata(folder.0.path().join(name)).unwrap().len());
    assert!(sizes.clone().all(|size| size <= 700), "{:?}", sizes.collect::<Vec<_>>());
}

#[test]
fn an_old_file_is_put_by_with_the_next_line_also_by_the_next_process() {
    let folder = Folder::new();
    let hourly = Rotation { max_age: Duration::from_secs(3600), ..LARGE };
    let mut log = folder.log(hourly);
    log.append(&told("A"), now()).unwrap();
    log.append(&told("B"), later(3599)).unwrap();
    assert!(folder.named("audit-").is_empty());
    log.append(&told("C"), later(3600)).unwrap();
    log.commit().unwrap();
    assert_eq!(folder.events(), ["C"]);
    drop(log);
    // The next process reads the age in the first line, which says when it was told, not when it was written.
    folder.log(hourly).ready(later(7201)).unwrap();
    assert_eq!(folder.events(), ["CHAIN_OPENED"]);
    assert_eq!(folder.named("audit-").len(), 2);
    let verified = folder.verify();
    assert_eq!((verified.lines, verified.chains), (5, 2));
}

#[test]
fn a_process_that_ended_between_two_files_is_followed_all_the_same() {
    let folder = Folder::new();
    let mut log = folder.log(LARGE);
    log.append(&told("A"), now()).unwrap();
    log.commit().unwrap();
    let head = log.head().unwrap();
    drop(log);
    for empty in [false, true] {
        fs::rename(folder.path(), folder.0.path().join("audit-20261122T200000.000Z-0000000000.jsonl"))
            .unwrap();
        if empty {
            fs::write(folder.path(), "").unwrap();
        }
        folder.log(LARGE).ready(now()).unwrap();
        assert_eq!(folder.lines("audit.jsonl")[0].record["predecessor"], json!(head));
        assert_eq!(folder.verify().chains, 2);
        fs::remove_file(folder.path()).unwrap();
        fs::rename(folder.0.path().join("audit-20261122T200000.000Z-0000000000.jsonl"), folder.path())
            .unwrap();
    }
}

#[test]
fn a_file_of_something_else_is_kept_aside_whole() {
    for foreign in ["some notes\n", "{\"event\":\"STATE_TRANSITION\"}\n"] {
        let folder = Folder::new();
        fs::write(folder.path(), foreign).unwrap();
        let mut log = folder.log(LARGE);
        log.ready(now()).unwrap();
        let kept = folder.named("foreign").pop().unwrap();
        assert_eq!(kept, "audit.jsonl.foreign-20261122T200000.000Z");
        assert_eq!(fs::read_to_string(folder.0.path().join(&kept)).unwrap(), foreign);
        assert_eq!(folder.events(), ["CHAIN_OPENED", "FILE_SET_ASIDE"]);
        assert_eq!(folder.lines("audit.jsonl")[1].record["keptIn"], json!(kept));
        assert!(log.take_notes()[0].contains("foreign"));
        assert_eq!(folder.verify().noted.files_set_aside, 1);
    }
}

#[test]
fn no_file_of_the_record_is_open_to_others() {
    let folder = Folder::new();
    let none_for_others = || {
        for name in folder.named("audit") {
            let mode = fs::metadata(folder.0.path().join(&name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o7027, 0, "{name}: {mode:o}");
        }
    };
    let mut log = folder.log(Rotation { max_size: 400, ..LARGE });
    for _ in 0..5 {
        log.append(&told("A"), now()).unwrap();
    }
    log.commit().unwrap();
    drop(log);
    assert!(folder.named(".jsonl").len() > 1, "it was rotated");
    add(&folder.path(), b"{\"torn");
    folder.log(LARGE).ready(now()).unwrap();
    assert_eq!(folder.named("torn").len(), 1);
    none_for_others();
}

#[test]
fn a_file_that_somebody_moves_away_is_left_and_the_chain_goes_on_where_the_path_leads() {
    let folder = Folder::new();
    let mut log = folder.log(LARGE);
    log.append(&told("A"), now()).unwrap();
    fs::rename(folder.path(), folder.0.path().join("audit-moved.jsonl")).unwrap();
    log.append(&told("B"), now()).unwrap();
    log.commit().unwrap();
    assert_eq!(folder.events(), ["B"]);
    let verified = folder.verify();
    assert_eq!((verified.lines, verified.chains), (3, 1));
}

#[test]
fn a_second_process_is_refused_with_the_file_and_what_to_do() {
    let folder = Folder::new();
    let mut log = folder.log(Rotation { max_size: 300, ..LARGE });
    log.ready(now()).unwrap();
    let refused = |message: &str| {
        let error = folder.log(LARGE).open().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceBusy, "{message}");
        let told = error.to_string();
        assert!(told.contains("audit.jsonl") && told.contains("a file of its own"), "{told}");
    };
    refused("at once");
    log.append(&told("A"), now()).unwrap();
    assert_eq!(folder.named("audit-").len(), 1);
    refused("after a rotation");
    drop(log);
    folder.log(LARGE).open().unwrap();
}

#[test]
fn what_can_not_be_opened_is_refused_and_what_can_not_be_written_can_be_opened() {
    let folder = Folder::new();
    let about = || audit::About::new();
    assert!(Log::file(folder.0.path().join("no/such/folder"), LARGE, about()).open().is_err());
    assert!(Log::file(folder.0.path().to_owned(), LARGE, about()).open().is_err());
    let mut full = Log::file("/dev/full".into(), LARGE, about());
    full.open().unwrap();
    assert!(full.ready(now()).is_err());
    assert!(full.append(&told("A"), now()).is_err());
    assert_eq!(full.head(), None);
}

#[test]
fn a_stream_that_fails_is_opened_anew_and_nothing_but_whole_lines_follow() {
    let folder = Folder::new();
    let (path, tries) = (folder.path(), std::sync::atomic::AtomicU32::new(0));
    let opener = move || match tries.fetch_add(1, std::sync::atomic::Ordering::AcqRel) {
        0 => OpenOptions::new().append(true).open("/dev/full"),
        _ => OpenOptions::new().create(true).append(true).open(&path),
    };
    let mut log = Log::stream(opener, audit::About::new());
    assert!(log.append(&told("A"), now()).is_err());
    assert_eq!(log.head(), None);
    log.append(&told("A"), now()).unwrap();
    log.commit().unwrap();
    assert_eq!(folder.events(), ["CHAIN_OPENED", "A"]);
    assert_eq!(log.head(), Some(folder.lines("audit.jsonl")[1].head));
}
