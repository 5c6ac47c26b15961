//! Holding files against their chains: every line, every step from one to the next, from file to file and from chain to chain.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use crate::chain::Head;
use crate::fault::{Fault, FaultAt, at};
use crate::reader::{Line, LineFault, Lines, RawLine, parse};
use crate::{CHAIN_OPENED, FILE_SET_ASIDE, LINES_LOST, TORN_LINE};

/// What is to be verified.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// In any order.
    pub files: Vec<PathBuf>,
    /// The line that the first one follows; absent where the record is given from its very beginning.
    pub after: Option<Head>,
    /// Lines that must be there, as the operator told them elsewhere.
    pub heads: Vec<Head>,
}

/// What was found to be whole.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// In their order.
    pub files: Vec<PathBuf>,
    /// How many.
    pub lines: u64,
    /// How many.
    pub chains: u64,
    /// When the first line was told.
    pub first: Option<Timestamp>,
    /// When the last line was told.
    pub last: Option<Timestamp>,
    /// The last line.
    pub head: Head,
    /// What the record itself says is missing from it.
    pub noted: Notes,
}

/// What the record itself says is missing from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Notes {
    /// Lines that were given up.
    pub lines_lost: u64,
    /// Lines that were written in part and set aside.
    pub torn_lines: u64,
    /// Files that were no record and set aside.
    pub files_set_aside: u64,
}

/// One file by itself.
#[derive(Debug, Default)]
pub struct Scan {
    /// What the first line follows; absent at the very beginning of a record.
    pub after: Option<Head>,
    /// Whether that is of the same chain.
    pub begins_within: bool,
    /// The last line that is whole and in its place.
    pub end: Option<Head>,
    /// How many of them.
    pub lines: u64,
    /// How many chains begin.
    pub chains: u64,
    /// When the first line was told.
    pub first: Option<Timestamp>,
    /// When the last line was told.
    pub last: Option<Timestamp>,
    /// What the record says is missing.
    pub noted: Notes,
    /// Which of the heads that were asked for are there.
    pub heads: Vec<Head>,
    /// The first fault, and its line.
    pub fault: Option<(u64, Fault)>,
}

/// Reads one file up to its first fault.
///
/// # Errors
/// Where it can't be read.
pub fn scan(from: impl BufRead, heads: &[Head]) -> io::Result<Scan> {
    let mut scan = Scan::default();
    for (number, line) in (1..).zip(Lines::new(from)) {
        let checked = match line? {
            RawLine::Whole(bytes) => parse(&bytes).map_err(Fault::Line),
            RawLine::TooLong => Err(Fault::Line(LineFault::TooLong)),
            RawLine::Torn(length) => Err(Fault::Torn(length)),
        };
        if let Err(fault) = checked.and_then(|line| scan.follow(&line, heads)) {
            scan.fault = Some((number, fault));
            break;
        }
    }
    Ok(scan)
}

impl Scan {
    fn follow(&mut self, line: &Line, heads: &[Head]) -> Result<(), Fault> {
        let opens = line.head.seq == 0;
        if opens != (line.text("event") == Some(CHAIN_OPENED)) {
            return Err(Fault::Opening);
        }
        let after = follows(line);
        match self.end {
            None => (self.after, self.begins_within) = (after, !opens),
            Some(before) if after == Some(before) || opens && is_on_its_own(line) => {}
            Some(before) if !opens && (before.chain, before.seq + 1) != (line.head.chain, line.head.seq) => {
                return Err(Fault::Order { before, found: line.head });
            }
            Some(before) => return Err(Fault::Other { before, found: after }),
        }
        for head in heads.iter().filter(|head| (head.chain, head.seq) == (line.head.chain, line.head.seq)) {
            if *head != line.head {
                return Err(Fault::HeadDiffers(*head, line.head.hash));
            }
            self.heads.push(*head);
        }
        self.count(line);
        Ok(())
    }

    fn count(&mut self, line: &Line) {
        self.end = Some(line.head);
        self.lines += 1;
        self.chains += u64::from(line.head.seq == 0);
        let told = line.timestamp();
        self.first = self.first.or(told);
        self.last = told.or(self.last);
        match line.text("event") {
            Some(LINES_LOST) => {
                let count = line.record.get("count").and_then(serde_json::Value::as_u64);
                self.noted.lines_lost = self.noted.lines_lost.saturating_add(count.unwrap_or(1));
            }
            Some(TORN_LINE) => self.noted.torn_lines += 1,
            Some(FILE_SET_ASIDE) => self.noted.files_set_aside += 1,
            _ => {}
        }
    }
}

/// The line that this one names as the one before it: of its own chain, or of the one that an opening goes on from.
fn follows(line: &Line) -> Option<Head> {
    match line.prev {
        Some(hash) => Some(Head { chain: line.head.chain, seq: line.head.seq - 1, hash }),
        None => {
            let member = |name| line.record.get("predecessor")?.get(name);
            let text = |name| member(name).and_then(|value| value.as_str());
            Some(Head {
                chain: text("chain")?.parse().ok()?,
                seq: member("seq")?.as_u64()?,
                hash: text("hash")?.parse().ok()?,
            })
        }
    }
}

/// What a process writes to its standard output follows nothing: it can't read what others wrote there.
fn is_on_its_own(line: &Line) -> bool {
    line.text("place") == Some("stdout") && line.record.get("predecessor").is_none()
}

/// Verifies files as one record.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify(request: &Request) -> Result<Verified, FaultAt> {
    let mut scans = Vec::new();
    for path in &request.files {
        let opened = File::open(path).and_then(|file| scan(BufReader::new(file), &request.heads));
        scans.push((path.as_path(), opened.map_err(|error| at(path, None, error.into()))?));
    }
    scans.sort_by_key(|(_, scan)| scan.first);
    for (path, scan) in &mut scans {
        if let Some((line, fault)) = scan.fault.take() {
            return Err(at(path, Some(line), fault));
        }
    }
    // A process may have ended before it wrote to a file that it had begun.
    scans.retain(|(_, scan)| scan.lines > 0);
    let scans = in_order(scans, request.after)?;
    let (Some((path, end)), Some((_, start))) = (scans.last(), scans.first()) else {
        let path = request.files.first().map(PathBuf::as_path).unwrap_or_else(|| Path::new(""));
        return Err(at(path, None, Fault::Nothing));
    };
    let Some(head) = end.end else { return Err(at(path, None, Fault::Nothing)) };
    let found = |head: &&Head| scans.iter().any(|(_, scan)| scan.heads.contains(head));
    if let Some(missing) = request.heads.iter().find(|head| !found(head)) {
        return Err(at(path, Some(end.lines), Fault::HeadMissing(*missing, head)));
    }
    let sum = |of: fn(&Scan) -> u64| scans.iter().map(|(_, scan)| of(scan)).fold(0, u64::saturating_add);
    Ok(Verified {
        files: scans.iter().map(|(path, _)| path.to_path_buf()).collect(),
        lines: sum(|scan| scan.lines),
        // The first file may begin in the middle of one.
        chains: sum(|scan| scan.chains) + u64::from(start.begins_within),
        first: start.first,
        last: end.last,
        head,
        noted: Notes {
            lines_lost: sum(|scan| scan.noted.lines_lost),
            torn_lines: sum(|scan| scan.noted.torn_lines),
            files_set_aside: sum(|scan| scan.noted.files_set_aside),
        },
    })
}

type Scanned<'a> = (&'a Path, Scan);

/// The files as their first lines follow each other.
fn in_order(scans: Vec<Scanned<'_>>, start: Option<Head>) -> Result<Vec<Scanned<'_>>, FaultAt> {
    let mut ends = HashMap::new();
    for (index, (path, scan)) in scans.iter().enumerate() {
        if let Some(end) = scan.end
            && ends.insert(end, index).is_some()
        {
            return Err(at(path, None, Fault::Copy(end)));
        }
    }
    let mut next: HashMap<Option<usize>, usize> = HashMap::new();
    for (index, (path, scan)) in scans.iter().enumerate() {
        let before = match scan.after {
            after if after == start => None,
            Some(after) => Some(*ends.get(&after).ok_or_else(|| at(path, Some(1), Fault::Missing(after)))?),
            None => return Err(at(path, Some(1), Fault::Anew(start))),
        };
        if next.insert(before, index).is_some() {
            let fault =
                scan.after.map_or_else(|| Fault::Anew(scans.first().and_then(|(_, s)| s.end)), Fault::Fork);
            return Err(at(path, Some(1), fault));
        }
    }
    let mut left: Vec<Option<Scanned<'_>>> = scans.into_iter().map(Some).collect();
    let mut order = Vec::new();
    let mut last = None;
    while let Some(index) = next.remove(&last) {
        order.extend(left.get_mut(index).and_then(Option::take));
        last = Some(index);
    }
    // Lines that follow each other in a circle can't be made; but nothing may pass unread.
    match left.into_iter().flatten().next() {
        Some((path, scan)) => Err(at(path, Some(1), scan.after.map_or(Fault::Nothing, Fault::Missing))),
        None => Ok(order),
    }
}
