//! The log: on standard error, written by a thread of its own. Where that takes no more, lines are lost and nobody waits.

use std::io::{IsTerminal, Write};

use anyhow::{Result, bail};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, registry};

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
        let filter = filter(&args.log_level)?;
        let (writer, worker) = NonBlockingBuilder::default()
            .buffered_lines_limit(MAX_WAITING)
            .thread_name("log")
            .finish(std::io::stderr());
        let lines = tracing_subscriber::fmt::layer().with_writer(writer.clone());
        match args.log_format {
            LogFormat::Text => {
                registry().with(lines.with_ansi(std::io::stderr().is_terminal()).with_filter(filter)).init()
            }
            LogFormat::Json => registry().with(lines.json().with_filter(filter)).init(),
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

/// A word that is no level is no name of a part either: a misspelt `info` would log nothing.
fn filter(wanted: &str) -> Result<Targets> {
    // kube's client logs what it then gives as an error, answers of the server verbatim; what is told twice is told here once.
    let mut filter = Targets::new().with_target("kube_client", LevelFilter::OFF);
    for part in wanted.split(',') {
        let (name, level) = part.split_once('=').map_or((None, part), |(name, level)| (Some(name), level));
        let level =
            Some(level).filter(|level| !level.is_empty()).and_then(|level| level.parse::<LevelFilter>().ok());
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c))
        };
        filter = match (name, level) {
            (None, Some(level)) => filter.with_default(level),
            (Some(name), Some(level)) if is_name(name) => filter.with_target(name, level),
            _ => bail!(
                "--log-level {wanted:?}: {part:?} is no level: want error, warn, info, debug or trace, and of parts \
                 `PART=LEVEL`, such as `info,dialer_operator=debug`"
            ),
        };
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_refused_and_not_taken_for_the_name_of_a_part() {
        for level in
            ["info", "TRACE", "off", "info,dialer_operator=debug", "a::b=debug", "warn,kube_client=warn"]
        {
            assert!(filter(level).is_ok(), "{level}");
        }
        for level in
            ["", "infoo", "info,", "info,dialer_operator", "a=debgu", "=info", "info a=debug", "a[b]=info"]
        {
            let refusal = filter(level).err().unwrap_or_else(|| panic!("{level:?} is taken")).to_string();
            assert!(refusal.contains(&format!("--log-level {level:?}: ")), "{refusal}");
        }
    }
}
