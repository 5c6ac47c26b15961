//! The audit record: append-only JSON lines on standard output, and in a file where one is given.
//!
//! A line is flushed before the PUT that it announces. Where the file can't be written starts are held, and closes go on with
//! their lines on standard output alone.

use std::collections::BTreeMap;
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
    failed_at: Option<Instant>,
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

    /// Whether a start may rely on its line being written.
    pub fn is_writable(&self) -> bool {
        self.lock().failed_at.is_none_or(|at| at.elapsed() >= TRY_AGAIN_AFTER)
    }

    /// Writes one line and flushes it.
    ///
    /// # Errors
    /// Where the file can't be written; the line then stands on standard output, and on standard error too.
    pub fn write(&self, record: &AuditRecord) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let mut file = self.lock();
        let printed = print(&line);
        let written = match &self.path {
            Some(path) => file.append(path, &line),
            None => printed,
        };
        match written {
            Ok(()) => {
                if file.failed_at.take().is_some() {
                    info!("the audit log can be written again");
                }
                Ok(())
            }
            Err(error) => {
                if file.failed_at.replace(Instant::now()).is_none() {
                    error!(%error, "the audit log can't be written: starts are held, closes go on");
                }
                let _ = io::stderr().write_all(&line);
                Err(error)
            }
        }
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
        let separated = if self.torn { file.write_all(b"\n") } else { Ok(()) };
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
