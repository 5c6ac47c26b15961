//! The audit record: append-only JSON lines on standard output, and in a file where one is given.
//!
//! A line is flushed before the PUT that it announces. Where the file can't be written starts are held, and closes go on with
//! their lines on standard output alone.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rules::kinds::{Cause, Observed, Outcome, Target};
use serde::Serialize;
use tracing::{error, info};
use uuid::Uuid;

/// After a failure, starts are held that long before the file is tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// Lines that are kept for a file that can't be written; beyond that the oldest stand on standard error alone.
const MAX_OWED: usize = 1000;

/// What an audit line tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AuditEvent {
    /// A transition, before (`intent`) and after (`outcome`).
    StateTransition,
    /// A start that is wanted and held back.
    TransitionBlocked,
    /// One try of a transition that did not get through.
    TransitionFailed,
    /// Somebody else changed the campaign.
    ExternalChange,
    /// The declaration is gone.
    SupervisionEnded,
}

/// Before or after the PUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// About to be sent.
    Intent,
    /// What came of it.
    Outcome,
}

/// One line. Absent facts are left out.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRecord {
    pub timestamp: Timestamp,
    pub event: AuditEvent,
    pub namespace: String,
    pub name: String,
    pub generation: i64,
    pub tenant: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    pub campaign_id: String,
    /// The state that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume_mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<AuditOutcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<i64>,
    /// Sent without a successful read.
    pub blind: bool,
    /// What CXone last said of the campaign.
    pub seen: Observed,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Every gate and its verdict.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub compliance_check: BTreeMap<&'static str, String>,
    pub zone_database: &'static str,
    pub operator_version: &'static str,
}

/// How what the line tells of ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum AuditOutcome {
    /// A transition.
    Transition(Outcome),
    /// The supervision of a campaign.
    Supervision(Ending),
}

/// How the supervision of a campaign ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Ending {
    /// It is known not to dial.
    Paused,
    /// It could not be paused in time, or its state is not known.
    LeftRunning,
    /// It was left as it is, as declared.
    Retained,
}

/// Where audit lines go.
pub struct Audit {
    path: Option<PathBuf>,
    file: Mutex<LogFile>,
}

#[derive(Default)]
struct LogFile {
    open: Option<File>,
    /// Lines that could not be written yet, oldest first: they follow as soon as they can.
    owed: VecDeque<Vec<u8>>,
    tried: Option<Instant>,
    torn: bool,
}

impl Audit {
    /// Opens the file, where one is given.
    ///
    /// # Errors
    /// Where it can't be opened for appending.
    pub fn open(path: Option<PathBuf>) -> io::Result<Self> {
        let open = path.as_ref().map(append_to).transpose()?;
        Ok(Self { path, file: Mutex::new(LogFile { open, ..LogFile::default() }) })
    }

    /// Whether a start may rely on its line being written. Tries, now and then, what could not be written.
    pub fn is_writable(&self) -> bool {
        let mut file = self.lock();
        let due = file.tried.is_none_or(|at| at.elapsed() >= TRY_AGAIN_AFTER);
        file.owed.is_empty() || (due && self.settle(&mut file).is_ok())
    }

    /// Writes one line and flushes it.
    ///
    /// # Errors
    /// Where the file can't be written; the line then stands on standard output, and on standard error too, and follows in the
    /// file when that can be written again.
    pub fn write(&self, record: &AuditRecord) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let mut file = self.lock();
        if self.path.is_some() {
            let _ = print(&line);
        }
        let first = file.owed.is_empty();
        file.owed.push_back(line.clone());
        let settled = self.settle(&mut file);
        if let Err(error) = &settled {
            if first {
                error!(%error, "the audit log can't be written: starts are held, closes go on");
            }
            let _ = io::stderr().write_all(&line);
            if file.owed.len() > MAX_OWED {
                file.owed.pop_front();
            }
        } else if !first {
            info!("the audit log can be written again");
        }
        settled
    }

    fn settle(&self, file: &mut LogFile) -> io::Result<()> {
        file.tried = Some(Instant::now());
        while let Some(line) = file.owed.pop_front() {
            let written = match &self.path {
                Some(path) => file.append(path, &line),
                None => print(&line),
            };
            if written.is_err() {
                file.owed.push_front(line);
                return written;
            }
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LogFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogFile {
    fn append(&mut self, path: &PathBuf, line: &[u8]) -> io::Result<()> {
        if self.open.is_none() {
            self.open = Some(append_to(path)?);
        }
        let Some(file) = &mut self.open else { return Ok(()) };
        // The end of a line that was written in part; a new file has none.
        let torn = self.torn && file.metadata()?.len() > 0;
        let separated = if torn { file.write_all(b"\n") } else { Ok(()) };
        let result = separated.and_then(|()| file.write_all(line)).and_then(|()| file.flush());
        self.torn = result.is_err();
        if result.is_err() {
            self.open = None;
        }
        result
    }
}

fn append_to(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn print(line: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line)?;
    out.flush()
}
