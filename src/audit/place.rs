//! A place that lines go to: a thread of its own writes them, so that nobody waits for a disk, a mount or a pipe.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use audit::{Head, LINES_LOST, Log, Record};
use serde_json::json;
use tokio::sync::oneshot;
use tracing::{error, info, warn};
use tracing_appender::non_blocking::NonBlocking;

use crate::clock;

/// After a failure a place is tried again with every new line, and after that long without one.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// Lines that are kept for a place that can't be written; beyond that the oldest are given up.
const MAX_OWED: usize = 1000;
/// Lines that wait for a place that is slow; beyond that they are lost.
const MAX_WAITING: usize = 4096;
/// Lines that are put on the disk together.
const MAX_TOGETHER: usize = 256;
/// A write that takes longer holds starts.
const STALLED_AFTER: Duration = Duration::from_secs(1);
/// How long opening the file may hold up the start of the process.
const OPENED_WITHIN: Duration = Duration::from_secs(2);
/// While lines are written, the log tells that often where the chain ends.
const HEAD_TOLD_EVERY: Duration = Duration::from_secs(60);

/// What a place is called.
#[derive(Clone, Copy)]
pub(super) struct Name {
    /// Where people read it.
    pub words: &'static str,
    /// Where machines do.
    pub label: &'static str,
}

/// One place that lines go to, as those see it who tell them.
pub(super) struct Place {
    pub(super) name: Name,
    lines: SyncSender<Line>,
    state: Arc<State>,
    echo: Option<NonBlocking>,
}

struct Line {
    record: Record,
    written: Option<oneshot::Sender<io::Result<()>>>,
}

/// What the thread of a place lets others know.
struct State {
    origin: Instant,
    /// Lines that are queued or under way.
    waiting: AtomicUsize,
    /// When the write under way began, in milliseconds after `origin` and at least 1; 0 where there is none.
    busy_since: AtomicU64,
    /// The last write failed.
    failing: AtomicBool,
    /// Lines that were given up and are not told of in the chain yet.
    lost: AtomicU64,
    /// The last line that counts.
    head: Mutex<Option<Head>>,
}

impl Place {
    /// Whether a line that is told now can be relied on.
    pub(super) fn is_trusted(&self) -> bool {
        !self.state.failing.load(Ordering::Acquire) && !self.state.is_stalled()
    }

    /// Whether nothing waits to be written.
    pub(super) fn is_idle(&self) -> bool {
        self.state.waiting.load(Ordering::Acquire) == 0
    }

    /// Where the last line that counts can be read.
    pub(super) fn head(&self) -> impl Fn() -> Option<Head> + Send + Sync + 'static + use<> {
        let state = self.state.clone();
        move || state.head()
    }

    /// Opens the log in a thread of its own, which calls `recover` before it writes. Where that takes long it goes on beside all
    /// else, and the place is not trusted before it is done.
    pub(super) fn start(
        name: Name,
        log: Log,
        recover: impl FnOnce() + Send + 'static,
        echo: Option<NonBlocking>,
    ) -> io::Result<Self> {
        let state = Arc::new(State {
            origin: Instant::now(),
            waiting: AtomicUsize::new(0),
            busy_since: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            lost: AtomicU64::new(0),
            head: Mutex::new(None),
        });
        let (lines, queue) = sync_channel(MAX_WAITING);
        let (opened, is_opened) = sync_channel(1);
        let mut writer = Writer {
            name,
            log,
            owed: VecDeque::new(),
            state: state.clone(),
            echo: echo.clone(),
            head_told: None,
        };
        let work = move || {
            let _ = opened.send(writer.open(recover));
            // Writing may take long: the start of the process does not wait for that.
            writer.settle(0);
            writer.run(&queue);
        };
        std::thread::Builder::new().name(format!("audit-{}", name.label)).spawn(work)?;
        is_opened.recv_timeout(OPENED_WITHIN).unwrap_or_else(|_| {
            let cost = "starts are held, closes go on; what an earlier process left open is not known yet";
            error!("{} does not answer: {cost}", name.words);
            Ok(())
        })?;
        Ok(Self { name, lines, state, echo })
    }

    pub(super) fn queue(&self, record: Record, written: Option<oneshot::Sender<io::Result<()>>>) {
        self.state.waiting.fetch_add(1, Ordering::AcqRel);
        let Err(refused) = self.lines.try_send(Line { record, written }) else { return };
        self.state.waiting.fetch_sub(1, Ordering::AcqRel);
        if self.state.lost.fetch_add(1, Ordering::AcqRel) == 0 {
            error!("{} takes no more audit lines: they are lost to it until it answers", self.name.words);
        }
        let (TrySendError::Full(line) | TrySendError::Disconnected(line)) = refused;
        tell_echo(&self.echo, &line.record);
    }

    pub(super) async fn until(
        &self,
        is_written: oneshot::Receiver<io::Result<()>>,
        record: &Record,
        patience: Duration,
    ) -> io::Result<()> {
        let patience = if self.state.is_stalled() { Duration::ZERO } else { patience };
        match tokio::time::timeout(patience, is_written).await {
            Ok(Ok(written)) => written,
            Ok(Err(_)) => Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too many lines wait")),
            Err(_) => {
                tell_echo(&self.echo, record);
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }
}

impl State {
    fn is_stalled(&self) -> bool {
        let since = self.busy_since.load(Ordering::Acquire);
        let long = since > 0 && self.now() > since + STALLED_AFTER.as_millis() as u64;
        long || self.waiting.load(Ordering::Acquire) >= MAX_WAITING
    }

    fn is_busy(&self) {
        self.busy_since.store(self.now(), Ordering::Release);
    }

    fn is_done(&self) {
        self.busy_since.store(0, Ordering::Release);
    }

    fn head(&self) -> Option<Head> {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }
}

/// The thread of a place: nobody else touches what it writes to.
struct Writer {
    name: Name,
    log: Log,
    /// Lines that could not be written yet, oldest first: they follow as soon as they can.
    owed: VecDeque<Line>,
    state: Arc<State>,
    echo: Option<NonBlocking>,
    /// When the log last told where the chain ends, and where that was.
    head_told: Option<(Instant, Head)>,
}

impl Writer {
    fn open(&mut self, recover: impl FnOnce()) -> io::Result<()> {
        self.state.is_busy();
        let opened = self.log.open();
        if opened.is_ok() {
            recover();
        }
        self.state.is_done();
        opened
    }

    fn run(mut self, queue: &Receiver<Line>) {
        loop {
            let failing = self.state.failing.load(Ordering::Acquire);
            let next = match (failing, self.head_is_due_in()) {
                (true, _) => queue.recv_timeout(TRY_AGAIN_AFTER),
                (false, Some(wait)) => queue.recv_timeout(wait),
                (false, None) => queue.recv().map_err(RecvTimeoutError::from),
            };
            match next {
                Ok(line) => self.take(std::iter::once(line).chain(queue.try_iter()).take(MAX_TOGETHER)),
                Err(RecvTimeoutError::Timeout) if failing => self.settle(0),
                Err(RecvTimeoutError::Timeout) => self.tell_head(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn take(&mut self, lines: impl Iterator<Item = Line>) {
        let before = self.owed.len();
        self.owed.extend(lines);
        let new = self.owed.len() - before;
        self.settle(new);
        self.state.waiting.fetch_sub(new, Ordering::AcqRel);
    }

    /// Writes what is owed, of which the last `new` lines are; the first that fails stays the first.
    fn settle(&mut self, new: usize) {
        let (count, written) = self.write_owed();
        self.state.is_done();
        *self.state.head.lock().unwrap_or_else(PoisonError::into_inner) = self.log.head();
        for note in self.log.take_notes() {
            warn!("{note}");
        }
        let failed = self.state.failing.swap(written.is_err(), Ordering::AcqRel);
        match &written {
            Err(error) if !failed => error!(%error, "audit lines can't be written to {}", self.name.words),
            Ok(()) if failed => info!("audit lines can be written to {} again", self.name.words),
            _ => {}
        }
        // Last, so that who hears that a line is written finds the place trusted.
        for line in self.owed.drain(..count) {
            if let Some(written) = line.written {
                let _ = written.send(Ok(()));
            }
        }
        match written {
            Err(error) => self.keep(new, &error),
            Ok(()) => self.tell_head(),
        }
    }

    /// How many of the lines that are owed are written now, and why the next one is not.
    fn write_owed(&mut self) -> (usize, io::Result<()>) {
        self.state.is_busy();
        let lost = self.state.lost.swap(0, Ordering::AcqRel);
        let told = lines_lost(lost);
        let records = told.iter().chain(self.owed.iter().map(|line| &line.record));
        let (mut count, written) = self.log.append_all(records, clock::now().wall, || self.state.is_busy());
        if told.is_some() {
            if count == 0 {
                self.state.lost.fetch_add(lost, Ordering::AcqRel);
            } else {
                warn!(lost, "{} takes audit lines again; some are missing in it", self.name.words);
            }
            count = count.saturating_sub(1);
        }
        (count, written)
    }

    /// Who waits is told at once; the lines follow as soon as they can.
    fn keep(&mut self, new: usize, error: &io::Error) {
        let unheard = self.owed.len().saturating_sub(new);
        for line in self.owed.range_mut(unheard..) {
            tell_echo(&self.echo, &line.record);
            if let Some(written) = line.written.take() {
                let _ = written.send(Err(io::Error::new(error.kind(), error.to_string())));
            }
        }
        let over = self.owed.len().saturating_sub(MAX_OWED);
        self.owed.drain(..over);
        self.state.lost.fetch_add(over as u64, Ordering::AcqRel);
    }

    /// How long until the log tells where the chain ends; `None` while it has.
    fn head_is_due_in(&self) -> Option<Duration> {
        match self.head_told {
            Some((_, told)) if Some(told) == self.state.head() => None,
            Some((at, _)) => Some(HEAD_TOLD_EVERY.saturating_sub(at.elapsed())),
            None => self.state.head().map(|_| Duration::ZERO),
        }
    }

    fn tell_head(&mut self) {
        if self.head_is_due_in() == Some(Duration::ZERO)
            && let Some(head) = self.state.head()
        {
            self.head_told = Some((Instant::now(), head));
            tell_head(self.name, head);
        }
    }
}

/// Puts in the log where the chain ends: who keeps that elsewhere can tell later that nothing was cut off.
pub(super) fn tell_head(name: Name, head: Head) {
    info!(place = name.label, %head, "audit head");
}

fn lines_lost(count: u64) -> Option<Record> {
    let told = json!({"timestamp": clock::now().wall, "event": LINES_LOST, "count": count});
    (count > 0).then(|| Record::of(&told).ok()).flatten()
}

fn tell_echo(echo: &Option<NonBlocking>, record: &Record) {
    if let Some(echo) = echo {
        let _ = echo.clone().write_all(&[record.bytes(), b"\n"].concat());
    }
}

#[cfg(test)]
#[path = "place_tests.rs"]
mod tests;
