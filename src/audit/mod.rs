//! The audit record: append-only JSON lines on standard output, and in a file where one is given.
//!
//! A line is flushed before the PUT that it announces, as far as that may wait for it. Each of the two places has a thread and a
//! queue of its own: whoever tells a line waits for neither. The file is the record where one is given, standard output
//! otherwise: while it can't be written, or not soon, starts are held and closes go on.

mod place;
mod record;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::error;
use tracing_appender::non_blocking::NonBlocking;

use place::Place;
pub use record::{AuditEvent, AuditOutcome, AuditRecord, Ending, Phase};

/// Where audit lines go.
pub struct Audit {
    /// The file where one is given, standard output otherwise.
    record: Place,
    /// Standard output, beside a file.
    copy: Option<Place>,
    /// Both get the lines in one order.
    order: Mutex<()>,
}

impl Audit {
    /// Opens the file, where one is given. Lines that can't be written go to `echo` too.
    ///
    /// # Errors
    /// Where it can't be opened for appending. One that does not answer is waited for beside all else: starts are held.
    pub fn open(path: Option<PathBuf>, echo: NonBlocking) -> io::Result<Self> {
        let (record, copy) = match path {
            Some(path) => {
                let file = Place::start("the audit log", "audit", move || append_to(&path), Some(echo))?;
                (file, Some(Place::start("standard output", "audit-copy", standard_output, None)?))
            }
            None => (Place::start("standard output", "audit", standard_output, Some(echo))?, None),
        };
        Ok(Self { record, copy, order: Mutex::new(()) })
    }

    /// Whether a start may rely on its line being written.
    pub fn is_writable(&self) -> bool {
        self.record.is_trusted()
    }

    /// Queues a line. What can't be written yet follows as soon as it can.
    pub fn tell(&self, record: &AuditRecord) {
        match line_of(record) {
            Ok(line) => self.queue(line, None),
            Err(error) => error!(%error, "an audit line can't be put in words"),
        }
    }

    /// Queues a line and waits until it is written and flushed, at most `patience`; not at all for a place that is stalled.
    ///
    /// # Errors
    /// Where it is not: it then stands on standard error too, and follows like any other.
    pub async fn announce(&self, record: &AuditRecord, patience: Duration) -> io::Result<()> {
        let line = line_of(record)?;
        let (written, is_written) = oneshot::channel();
        self.queue(line.clone(), Some(written));
        self.record.until(is_written, line, patience).await
    }

    /// Waits until everything queued is dealt with, at most `patience`.
    pub async fn flush(&self, patience: Duration) {
        let waiting = || self.places().any(|place| !place.is_idle());
        let done = async {
            while waiting() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(patience, done).await.is_err() {
            error!("audit lines could not be written within {patience:?}: the last ones are lost");
        }
    }

    fn queue(&self, line: Vec<u8>, written: Option<oneshot::Sender<io::Result<()>>>) {
        // Nothing waits under this lock: it is held for two pushes.
        let _order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(copy) = &self.copy {
            copy.queue(line.clone(), None);
        }
        self.record.queue(line, written);
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        std::iter::once(&self.record).chain(&self.copy)
    }
}

fn line_of(record: &AuditRecord) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    Ok(line)
}

fn append_to(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Without the buffer and the lock that Rust puts around it.
fn standard_output() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}
