//! The log: on standard error, written by a thread of its own. Where that takes no more, lines are lost and nobody waits.

use std::io::{IsTerminal, Write};

use anyhow::{Context as _, Result};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::cli::{LogFormat, RunArgs};

/// Lines that wait for a standard error that is slow; beyond that they are lost.
const MAX_WAITING: usize = 8192;

/// The log while it is written.
pub struct Log {
    writer: NonBlocking,
    worker: WorkerGuard,
}

impl Log {
    /// Starts it.
    ///
    /// # Errors
    /// Where the level is none.
    pub fn start(args: &RunArgs) -> Result<Self> {
        // kube's client logs what it then gives as an error, answers of the server verbatim; what is told twice is told here once.
        let filter =
            EnvFilter::try_new(format!("kube_client=off,{}", args.log_level)).with_context(|| {
                format!(
                    "--log-level {:?} is not a filter such as `info` or `dialer_operator=debug`",
                    args.log_level
                )
            })?;
        let (writer, worker) = NonBlockingBuilder::default()
            .buffered_lines_limit(MAX_WAITING)
            .thread_name("log")
            .finish(std::io::stderr());
        let base = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer.clone());
        match args.log_format {
            LogFormat::Text => base.with_ansi(std::io::stderr().is_terminal()).init(),
            LogFormat::Json => base.json().init(),
        }
        Ok(Self { writer, worker })
    }

    /// Standard error, for what is no log line.
    pub fn writer(&self) -> NonBlocking {
        self.writer.clone()
    }

    /// Writes the last lines, as far as standard error takes them, for about a second.
    pub fn end(mut self) {
        // A guard that finds the queue full says so on standard output, which is the audit record's.
        let lost = self.writer.error_counter();
        let before = lost.dropped_lines();
        let _ = self.writer.write(b"");
        if lost.dropped_lines() == before {
            drop(self.worker);
        } else {
            std::mem::forget(self.worker);
        }
    }
}
