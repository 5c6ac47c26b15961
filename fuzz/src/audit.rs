//! The audit record: reading and verifying it takes whatever stands in its files, and lets nothing pass that was taken out or moved.

use std::fs;
use std::path::PathBuf;

use audit::{Hash, Request, scan, verify};

/// More files to a record, or more lines to be moved, tell nothing new.
const MOST: usize = 4;

/// Asked as it is, and as a forger would have it: see [`sealed`].
pub fn holds(bytes: &[u8]) {
    told_in_words(bytes);
    let lines = sealed(bytes);
    let whole = told_in_words(&lines.concat());
    if whole && !bytes.windows(6).any(|word| word == b"stdout") {
        every_line_counts(&lines);
    }
    if lines.len() > 1 {
        as_files(bytes);
    }
}

/// Whether these bytes are a record without a fault; a fault can be told.
fn told_in_words(bytes: &[u8]) -> bool {
    let scan = scan(bytes, &[]).unwrap_or_else(|error| panic!("bytes that can't be read: {error}"));
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    match &scan.fault {
        Some((line, fault)) => {
            assert!(!fault.to_string().is_empty());
            assert!((1..=lines + 1).contains(line), "a fault in line {line} of {lines}");
        }
        None => assert_eq!(scan.lines, lines, "lines that nobody looked at"),
    }
    assert_eq!(scan.end.is_some(), scan.lines > 0);
    scan.fault.is_none()
}

/// The lines with the hash of their own bytes, and with the hash of the line before wherever a `*` stands: without that no input
/// would ever get past the first check.
fn sealed(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut before = String::new();
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let seal = |line: &[u8]| {
        let line = line.strip_suffix(b"}").unwrap_or(line);
        let open: Vec<u8> = line.split(|byte| *byte == b'*').collect::<Vec<_>>().join(before.as_bytes());
        let (line, hash) = closed(&open);
        before = hash;
        line
    };
    lines.map(seal).collect()
}

/// A line that lacks its hash and its end, with them; and the hash.
fn closed(open: &[u8]) -> (Vec<u8>, String) {
    let hash = Hash::of(&[open, b"}"]).to_string();
    ([open, b",\"hash\":\"", hash.as_bytes(), b"\"}\n"].concat(), hash)
}

fn with_one_more_member(line: &[u8]) -> Vec<u8> {
    let open = &line[..line.len() - closed(b"").0.len()];
    closed(&[open, b",\"more\":1"].concat()).0
}

/// In a record without a fault no line but the last can be changed, also with its own hash put right; none can be taken out between
/// two others, and no two can change places. (What a process writes to its standard output may begin anew after any line, so
/// there it can.)
fn every_line_counts(lines: &[Vec<u8>]) {
    for at in 0..lines.len().saturating_sub(1).min(MOST) {
        let mut changed = lines.to_vec();
        changed[at] = with_one_more_member(&lines[at]);
        assert!(!told_in_words(&changed.concat()), "line {} can be changed", at + 1);
    }
    for at in 1..lines.len().saturating_sub(1).min(MOST) {
        let without = [&lines[..at], &lines[at + 1..]].concat();
        assert!(!told_in_words(&without.concat()), "line {} can be taken out", at + 1);
    }
    for at in 1..lines.len().min(MOST) {
        let mut moved = lines.to_vec();
        moved.swap(at - 1, at);
        assert!(!told_in_words(&moved.concat()), "lines {at} and {} can change places", at + 1);
    }
}

/// The same lines in several files, a new one wherever a line is empty: in any order they come to the same.
fn as_files(bytes: &[u8]) {
    let folder = std::env::temp_dir().join(format!("dialer-operator-fuzz-{}", std::process::id()));
    let mut lines = sealed(bytes).into_iter();
    let counts = String::from_utf8_lossy(bytes)
        .split("\n\n")
        .map(|part| part.split('\n').filter(|l| !l.is_empty()).count())
        .collect::<Vec<_>>();
    let write = |(place, count): (usize, usize)| -> std::io::Result<PathBuf> {
        let path = folder.join(place.to_string());
        fs::create_dir_all(&folder)?;
        fs::write(&path, lines.by_ref().take(count).collect::<Vec<_>>().concat())?;
        Ok(path)
    };
    let files: Result<Vec<_>, _> = counts.into_iter().take(MOST).enumerate().map(write).collect();
    let mut files = files.unwrap_or_else(|error| panic!("no file in {}: {error}", folder.display()));
    let ask = |files: &[PathBuf]| {
        let verified = verify(&Request { files: files.to_vec(), ..Request::default() });
        verified.map(|it| (it.files, it.lines, it.head)).map_err(|fault| fault.to_string())
    };
    let before = ask(&files);
    files.reverse();
    match (before, ask(&files)) {
        (Ok(one), Ok(other)) => assert_eq!(one, other, "another order of files"),
        (Err(_), Err(_)) => {}
        (one, other) => panic!("one order of files is {one:?}, the other {other:?}"),
    }
}
