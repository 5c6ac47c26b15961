//! Whatever is done to a record is found, and where.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use audit::{
    About, Fault, FaultAt, Head, LineFault, Log, MAX_LINE, Record, Request, Rotation, Verified, verify,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

const FILES: usize = 3;

/// A record over three files and two processes.
struct Book {
    folder: TempDir,
    /// In their order; the last is the one that is written.
    files: Vec<PathBuf>,
    head: Head,
}

fn start() -> Timestamp {
    "2026-11-22T20:00:00Z".parse().unwrap()
}

impl Book {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let rotation = Rotation { max_size: 900, max_age: std::time::Duration::from_secs(3600) };
        let mut now = start();
        let mut head = None;
        for lines in [4, 3] {
            let about = json!({"place": "file"}).as_object().unwrap().clone();
            let mut log = Log::file(path.clone(), rotation, about);
            for n in 0..lines {
                now += SignedDuration::from_secs(1);
                log.append(&Record::of(&json!({"timestamp": now, "event": "E", "n": n})).unwrap(), now)
                    .unwrap();
            }
            log.commit().unwrap();
            head = log.head();
        }
        let mut files: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        // `audit-...` comes before `audit.`.
        files.sort();
        assert_eq!(files.len(), FILES, "{files:?}");
        Self { folder, files, head: head.unwrap() }
    }

    fn lines(&self, file: usize) -> Vec<String> {
        fs::read_to_string(&self.files[file]).unwrap().lines().map(str::to_owned).collect()
    }

    fn set(&self, file: usize, lines: &[String]) {
        fs::write(&self.files[file], lines.iter().map(|line| format!("{line}\n")).collect::<String>())
            .unwrap();
    }

    /// Every line, as (file, line).
    fn all(&self) -> Vec<(usize, usize)> {
        (0..FILES).flat_map(|file| (0..self.lines(file).len()).map(move |line| (file, line))).collect()
    }

    fn verify(&self) -> Result<Verified, FaultAt> {
        verify(&Request { files: self.files.clone(), ..Request::default() })
    }

    fn verify_to_the_head(&self) -> Result<Verified, FaultAt> {
        verify(&Request { files: self.files.clone(), heads: vec![self.head], ..Request::default() })
    }
}

fn is_last(book: &Book, (file, line): (usize, usize)) -> bool {
    file == FILES - 1 && line == book.lines(file).len() - 1
}

#[test]
fn an_untouched_record_over_several_files_and_processes_verifies_in_any_order_of_its_files() {
    let mut book = Book::new();
    let whole = book.verify_to_the_head().unwrap();
    assert_eq!((whole.lines, whole.chains, whole.head, whole.files.len()), (9, 2, book.head, FILES));
    assert_eq!(whole.first, Some(start() + SignedDuration::from_secs(1)));
    let in_order = whole.files.clone();
    book.files.rotate_left(1);
    assert_eq!(book.verify_to_the_head().unwrap().files, in_order);
    book.files.reverse();
    assert_eq!(book.verify_to_the_head().unwrap().files, in_order);
}

#[test]
fn dropping_any_line_is_found_and_at_the_very_end_by_the_head() {
    let all = Book::new().all();
    for at in all {
        let book = Book::new();
        let last = is_last(&book, at);
        let mut lines = book.lines(at.0);
        lines.remove(at.1);
        book.set(at.0, &lines);
        assert_eq!(book.verify().is_err(), !last, "{at:?}");
        let error = book.verify_to_the_head().unwrap_err();
        let named = match *error.fault {
            Fault::HeadMissing(..) => last,
            Fault::Order { .. } => at.1 > 0 && !last,
            Fault::Other { .. } => lines[at.1].contains("CHAIN_OPENED"),
            // The next file, or its own, does not follow what is left.
            Fault::Missing(_) => at.1 == 0 || at.1 == lines.len(),
            _ => false,
        };
        assert!(named, "{at:?}: {error}");
    }
}

#[test]
fn doubling_any_line_in_any_place_is_found() {
    let all = Book::new().all();
    for from in &all {
        for to in &all {
            let book = Book::new();
            let line = book.lines(from.0)[from.1].clone();
            let mut lines = book.lines(to.0);
            lines.insert(to.1, line);
            book.set(to.0, &lines);
            assert!(book.verify().is_err(), "{from:?} before {to:?}");
        }
    }
}

#[test]
fn exchanging_any_two_lines_is_found() {
    let all = Book::new().all();
    for a in &all {
        for b in all.iter().filter(|b| *b > a) {
            let book = Book::new();
            let mut files: Vec<Vec<String>> = (0..FILES).map(|file| book.lines(file)).collect();
            let (one, other) = (files[a.0][a.1].clone(), files[b.0][b.1].clone());
            (files[a.0][a.1], files[b.0][b.1]) = (other, one);
            (0..FILES).for_each(|file| book.set(file, &files[file]));
            assert!(book.verify().is_err(), "{a:?} and {b:?}");
        }
    }
}

#[test]
fn cutting_the_record_anywhere_is_found() {
    for at in Book::new().all() {
        let book = Book::new();
        let mut lines = book.lines(at.0);
        lines.truncate(at.1);
        book.set(at.0, &lines);
        // What is cut off the very end can only be told by who has seen the end.
        assert!(at.0 == FILES - 1 || book.verify().is_err(), "{at:?}");
        assert!(book.verify_to_the_head().is_err(), "{at:?}");
    }
}

#[test]
fn a_file_that_is_missing_is_found_and_the_head_before_it_is_named() {
    for missing in 0..FILES {
        let mut book = Book::new();
        let line = |line: &String| audit::parse(line.as_bytes()).unwrap().head;
        let end = line(book.lines(missing).last().unwrap());
        book.files.remove(missing);
        assert!(book.verify_to_the_head().is_err());
        if missing < FILES - 1 {
            let error = book.verify().unwrap_err();
            assert!(matches!(*error.fault, Fault::Missing(head) if head == end), "{error}");
            assert_eq!((error.file.as_path(), error.line), (book.files[missing].as_path(), Some(1)));
        }
    }
    // What was verified earlier need not be kept.
    let mut book = Book::new();
    let gone = book.files.remove(0);
    let end = verify(&Request { files: vec![gone], ..Request::default() }).unwrap().head;
    let rest = Request { files: book.files.clone(), after: Some(end), heads: vec![book.head] };
    assert_eq!(verify(&rest).unwrap().files.len(), 2);
}

#[test]
fn a_line_put_in_with_a_good_hash_of_its_own_is_found() {
    for at in Book::new().all() {
        let book = Book::new();
        let mut lines = book.lines(at.0);
        let before = audit::parse(lines[at.1].as_bytes()).unwrap().head;
        let forged =
            audit::seal(before.chain, Some(&before), &Record::of(&json!({"event": "FORGED"})).unwrap());
        let last = is_last(&book, at);
        lines.insert(at.1 + 1, String::from_utf8(forged.bytes).unwrap().trim_end().to_owned());
        book.set(at.0, &lines);
        // At the very end nothing contradicts it but the head of who goes on.
        assert_eq!(book.verify().is_err(), !last, "{at:?}");
    }
}

#[test]
fn a_changed_line_whose_hash_was_made_anew_is_found_by_the_next_or_by_the_head() {
    for at in Book::new().all() {
        let book = Book::new();
        let mut lines = book.lines(at.0);
        let line = audit::parse(lines[at.1].as_bytes()).unwrap();
        let before = line.prev.map(|hash| Head { chain: line.head.chain, seq: line.head.seq - 1, hash });
        let mut record = line.record.clone();
        record.insert("n".to_owned(), json!(99));
        let forged = audit::seal(line.head.chain, before.as_ref(), &Record::of(&record).unwrap());
        let last = is_last(&book, at);
        lines[at.1] = String::from_utf8(forged.bytes).unwrap().trim_end().to_owned();
        book.set(at.0, &lines);
        assert_eq!(book.verify().is_err(), !last, "{at:?}");
        let error = book.verify_to_the_head().unwrap_err();
        assert!(!last || matches!(*error.fault, Fault::HeadDiffers(..)), "{error}");
    }
}

#[test]
fn a_chain_that_does_not_begin_with_its_opening_or_after_the_end_of_the_last_is_found() {
    let book = Book::new();
    let last = audit::parse(book.lines(FILES - 1).last().unwrap().as_bytes()).unwrap().head;
    let fault = |before: Option<&Head>, record: serde_json::Value| {
        let forged = audit::seal(last.chain, before, &Record::of(&record).unwrap());
        let mut lines = book.lines(FILES - 1);
        lines.push(String::from_utf8(forged.bytes).unwrap().trim_end().to_owned());
        let before = fs::read(&book.files[FILES - 1]).unwrap();
        book.set(FILES - 1, &lines);
        let error = book.verify().unwrap_err();
        fs::write(&book.files[FILES - 1], before).unwrap();
        assert_eq!(error.line, Some(lines.len() as u64));
        *error.fault
    };
    assert!(matches!(fault(None, json!({"event": "E"})), Fault::Opening));
    assert!(matches!(fault(Some(&last), json!({"event": "CHAIN_OPENED"})), Fault::Opening));
    assert!(matches!(fault(None, json!({"event": "CHAIN_OPENED"})), Fault::Other { found: None, .. }));
    let earlier = audit::parse(book.lines(0)[0].as_bytes()).unwrap().head;
    let opening = json!({"event": "CHAIN_OPENED", "predecessor": earlier});
    assert!(matches!(fault(None, opening), Fault::Other { found: Some(found), .. } if found == earlier));
}

#[test]
fn chains_that_were_exchanged_or_files_given_twice_are_found() {
    let mut book = Book::new();
    book.files.push(book.files[0].clone());
    assert!(matches!(book.verify().unwrap_err().fault.as_ref(), Fault::Copy(_)));
    let (book, other) = (Book::new(), Book::new());
    fs::copy(&other.files[1], &book.files[1]).unwrap();
    assert!(book.verify().is_err());
    let mut both = Book::new();
    both.files.extend(other.files.clone());
    assert!(matches!(both.verify().unwrap_err().fault.as_ref(), Fault::Anew(_)));
}

#[test]
fn the_first_bad_line_is_named_with_its_file_and_why() {
    let told = |change: &dyn Fn(&Path)| {
        let book = Book::new();
        change(&book.files[1]);
        let error = book.verify().unwrap_err();
        assert_eq!(error.file, book.files[1]);
        assert!(book.folder.path().exists());
        (error.line.unwrap(), *error.fault)
    };
    let edit = |with: fn(Vec<u8>) -> Vec<u8>| {
        move |path: &Path| fs::write(path, with(fs::read(path).unwrap())).unwrap()
    };
    let (line, fault) =
        told(&edit(|bytes| String::from_utf8(bytes).unwrap().replace('\n', "\r\n").into_bytes()));
    assert!(matches!((line, fault), (1, Fault::Line(LineFault::CarriageReturn))));
    let (line, fault) = told(&edit(|bytes| [bytes, b"trailing\n".to_vec()].concat()));
    assert!(matches!((line, fault), (3.., Fault::Line(LineFault::NoHash))));
    let (_, fault) = told(&edit(|bytes| [bytes, b"{\"chain\":".to_vec()].concat()));
    assert!(matches!(fault, Fault::Torn(9)), "{fault}");
    let (_, fault) = told(&edit(|bytes| bytes[..bytes.len() - 20].to_vec()));
    assert!(matches!(fault, Fault::Torn(_)), "{fault}");
    let (line, fault) = told(&edit(|bytes| [vec![b'x'; 2 * MAX_LINE], b"\n".to_vec(), bytes].concat()));
    assert!(matches!((line, fault), (1, Fault::Line(LineFault::TooLong))));
    let (_, fault) = told(&edit(|bytes| [bytes, vec![0xff, 0xfe, b'\n']].concat()));
    assert!(matches!(fault, Fault::Line(LineFault::NotUtf8(0))), "{fault}");
    let (line, fault) = told(&edit(|bytes| [b"\n".to_vec(), bytes].concat()));
    assert!(matches!((line, fault), (1, Fault::Line(LineFault::Empty))));
}

#[test]
fn a_file_with_nothing_in_it_is_nothing_and_beside_others_no_fault() {
    let mut book = Book::new();
    let empty = book.folder.path().join("empty.jsonl");
    fs::write(&empty, "").unwrap();
    let alone = verify(&Request { files: vec![empty.clone()], ..Request::default() }).unwrap_err();
    assert!(matches!(*alone.fault, Fault::Nothing), "{alone}");
    book.files.push(empty);
    book.verify_to_the_head().unwrap();
    book.files.push(book.folder.path().join("absent.jsonl"));
    let absent = book.verify().unwrap_err();
    assert!(absent.to_string().contains("absent.jsonl: it can't be read"), "{absent}");
}

#[test]
fn chains_of_standard_output_stand_beside_each_other_and_others_do_not() {
    let folder = tempfile::tempdir().unwrap();
    for (place, holds) in [("stdout", true), ("file", false)] {
        let path = folder.path().join(place);
        for _ in 0..2 {
            let to = path.clone();
            let about: About = json!({"place": place}).as_object().unwrap().clone();
            let mut log =
                Log::stream(move || fs::OpenOptions::new().create(true).append(true).open(&to), about);
            log.append(&Record::of(&json!({"event": "E"})).unwrap(), start()).unwrap();
            log.commit().unwrap();
        }
        let verified = verify(&Request { files: vec![path], ..Request::default() });
        assert_eq!(verified.is_ok(), holds, "{place}: {verified:?}");
    }
}

proptest! {
    #[test]
    fn any_change_of_any_bytes_is_found(file in 0..FILES, at in 0.0..1.0f64, bytes in prop::collection::vec(any::<u8>(), 1..6)) {
        let book = Book::new();
        let mut text = fs::read(&book.files[file]).unwrap();
        let at = (text.len() as f64 * at) as usize;
        let before = text.clone();
        let end = (at + bytes.len()).min(text.len());
        text[at..end].copy_from_slice(&bytes[..end - at]);
        fs::write(&book.files[file], &text).unwrap();
        prop_assert_eq!(book.verify_to_the_head().is_ok(), text == before);
    }

    #[test]
    fn any_bytes_taken_out_or_put_in_are_found(file in 0..FILES, at in 0.0..1.0f64, count in 1..200usize, put in any::<bool>()) {
        let book = Book::new();
        let mut text = fs::read(&book.files[file]).unwrap();
        let at = (text.len() as f64 * at) as usize;
        if put {
            text.splice(at..at, vec![b'0'; count]);
        } else {
            text.drain(at..(at + count).min(text.len()));
        }
        fs::write(&book.files[file], &text).unwrap();
        prop_assert!(book.verify_to_the_head().is_err());
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = audit::parse(&bytes);
        let _ = audit::scan(bytes.as_slice(), &[]);
    }
}
