//! What a file holds at its end, and at its beginning.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::chain::Head;
use crate::names;
use crate::reader::{MAX_LINE, parse};
use crate::source::MODE;

/// What stands in a file that is to be gone on with.
#[derive(Debug)]
pub(crate) struct Tail {
    /// The last line that is whole.
    pub last: Last,
    /// Where that ends.
    pub whole: u64,
    /// How much follows it.
    pub torn: u64,
    /// The first line.
    pub begin: Option<Begin>,
}

/// The last line of a file that is whole.
#[derive(Debug)]
pub(crate) enum Last {
    /// There is none.
    None,
    /// It is one of a chain.
    Line(Head),
    /// It is something else: why it is no line.
    Foreign(String),
}

/// The first line of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begin {
    /// When it was told.
    pub told: Timestamp,
    /// Its number in its chain.
    pub seq: u64,
}

impl Tail {
    /// Of a file with nothing in it.
    pub fn empty() -> Self {
        Self { last: Last::None, whole: 0, torn: 0, begin: None }
    }

    /// Looks at both ends of a file; what is between is not read.
    pub fn of(file: &File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let end = read(file, length.saturating_sub(MAX_LINE as u64), length)?;
        let Some(line_end) = end.iter().rposition(|byte| *byte == b'\n') else {
            // Nothing, or the beginning of a first line; more than a line is none.
            let foreign = length >= MAX_LINE as u64;
            let last = if foreign { Last::Foreign("no line ends in it".to_owned()) } else { Last::None };
            return Ok(Self { last, whole: 0, torn: if foreign { 0 } else { length }, begin: None });
        };
        let torn = (end.len() - line_end - 1) as u64;
        let whole = length - torn;
        let window = read(file, whole.saturating_sub(MAX_LINE as u64), whole - 1)?;
        let line = window.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let last = match parse(line) {
            Ok(line) => Last::Line(line.head),
            Err(fault) => Last::Foreign(format!("its last line is {fault}")),
        };
        Ok(Self { last, whole, torn, begin: begin(file, whole)? })
    }
}

fn begin(file: &File, whole: u64) -> io::Result<Option<Begin>> {
    let start = read(file, 0, whole.min(MAX_LINE as u64))?;
    let first = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = parse(first).ok();
    Ok(line.and_then(|line| Some(Begin { told: line.timestamp()?, seq: line.head.seq })))
}

fn read(file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(to - from).unwrap_or_default()];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}

/// The last line of the file that was put by last.
pub(crate) fn last_rotated(path: &Path) -> io::Result<Option<Head>> {
    let Some(rotated) = names::newest_rotated(path)? else { return Ok(None) };
    match Tail::of(&File::open(rotated)?)?.last {
        Last::Line(head) => Ok(Some(head)),
        Last::None | Last::Foreign(_) => Ok(None),
    }
}

/// Keeps the part of a line in a file of its own, and only then cuts it off.
pub(crate) fn set_torn_aside(file: &File, path: &Path, tail: &Tail, now: Timestamp) -> io::Result<PathBuf> {
    let mut bytes = vec![0; usize::try_from(tail.torn).unwrap_or_default()];
    file.read_exact_at(&mut bytes, tail.whole)?;
    let kept = names::aside(path, "torn", now);
    let keeper = OpenOptions::new().create_new(true).write(true).mode(MODE).open(&kept);
    let keep = keeper.and_then(|mut keeper| keeper.write_all(&bytes).and_then(|()| keeper.sync_all()));
    if let Err(error) = keep {
        // Each try would leave another one behind.
        let _ = fs::remove_file(&kept);
        return Err(error);
    }
    names::sync_folder(path)?;
    file.set_len(tail.whole)?;
    file.sync_all()?;
    Ok(kept)
}
