//! A place that lines go to: a thread of its own writes them, so that nobody waits for a disk, a mount or a pipe.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tracing::{error, info, warn};
use tracing_appender::non_blocking::NonBlocking;

/// After a failure a place is tried again with every new line, and after that long without one.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// Lines that are kept for a place that can't be written; beyond that the oldest are given up.
const MAX_OWED: usize = 1000;
/// Lines that wait for a place that is slow; beyond that they are lost.
const MAX_WAITING: usize = 4096;
/// A write that takes longer holds starts.
const STALLED_AFTER: Duration = Duration::from_secs(1);
/// How long opening the file may hold up the start of the process.
const OPENED_WITHIN: Duration = Duration::from_secs(2);

/// One place that lines go to, as those see it who tell them.
pub(super) struct Place {
    name: &'static str,
    lines: SyncSender<Line>,
    state: Arc<State>,
    echo: Option<NonBlocking>,
}

struct Line {
    bytes: Vec<u8>,
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
    /// Lines that found the queue full.
    lost: AtomicU64,
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

    pub(super) fn start(
        name: &'static str,
        thread: &str,
        open: impl Fn() -> io::Result<File> + Send + 'static,
        echo: Option<NonBlocking>,
    ) -> io::Result<Self> {
        let state = Arc::new(State {
            origin: Instant::now(),
            waiting: AtomicUsize::new(0),
            busy_since: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            lost: AtomicU64::new(0),
        });
        let (lines, queue) = sync_channel(MAX_WAITING);
        let (opened, is_opened) = sync_channel(1);
        let writer = Writer {
            name,
            open: Box::new(open),
            file: None,
            owed: VecDeque::new(),
            torn: false,
            state: state.clone(),
            echo: echo.clone(),
        };
        std::thread::Builder::new().name(thread.to_owned()).spawn(move || writer.run(&queue, &opened))?;
        match is_opened.recv_timeout(OPENED_WITHIN) {
            Ok(opened) => opened?,
            Err(_) => error!("{name} does not answer: starts are held, closes go on"),
        }
        Ok(Self { name, lines, state, echo })
    }

    pub(super) fn queue(&self, bytes: Vec<u8>, written: Option<oneshot::Sender<io::Result<()>>>) {
        self.state.waiting.fetch_add(1, Ordering::AcqRel);
        let Err(refused) = self.lines.try_send(Line { bytes, written }) else { return };
        self.state.waiting.fetch_sub(1, Ordering::AcqRel);
        if self.state.lost.fetch_add(1, Ordering::AcqRel) == 0 {
            error!("{} takes no more audit lines: they are lost to it until it answers", self.name);
        }
        let (std::sync::mpsc::TrySendError::Full(line) | std::sync::mpsc::TrySendError::Disconnected(line)) =
            refused;
        tell_echo(&self.echo, &line.bytes);
    }

    pub(super) async fn until(
        &self,
        is_written: oneshot::Receiver<io::Result<()>>,
        line: Vec<u8>,
        patience: Duration,
    ) -> io::Result<()> {
        let patience = if self.state.is_stalled() { Duration::ZERO } else { patience };
        match tokio::time::timeout(patience, is_written).await {
            Ok(Ok(written)) => written,
            Ok(Err(_)) => Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too many lines wait")),
            Err(_) => {
                tell_echo(&self.echo, &line);
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

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }
}

/// The thread of a place: nobody else touches what it writes to.
struct Writer {
    name: &'static str,
    open: Box<dyn Fn() -> io::Result<File> + Send>,
    file: Option<File>,
    /// Lines that could not be written yet, oldest first: they follow as soon as they can.
    owed: VecDeque<Vec<u8>>,
    torn: bool,
    state: Arc<State>,
    echo: Option<NonBlocking>,
}

impl Writer {
    fn run(mut self, queue: &Receiver<Line>, opened: &SyncSender<io::Result<()>>) {
        let _ = opened.send(self.settle());
        loop {
            let failing = self.state.failing.load(Ordering::Acquire);
            let next = if failing {
                queue.recv_timeout(TRY_AGAIN_AFTER)
            } else {
                queue.recv().map_err(RecvTimeoutError::from)
            };
            match next {
                Ok(line) => self.write(line),
                Err(RecvTimeoutError::Timeout) => drop(self.settle()),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn write(&mut self, line: Line) {
        self.owed.push_back(line.bytes);
        let settled = self.settle();
        if settled.is_err() {
            if let Some(line) = self.owed.back() {
                tell_echo(&self.echo, line);
            }
            if self.owed.len() > MAX_OWED {
                self.owed.pop_front();
            }
        }
        if let Some(written) = line.written {
            let _ = written.send(settled);
        }
        if self.state.waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
            let lost = self.state.lost.swap(0, Ordering::AcqRel);
            if lost > 0 {
                warn!(lost, "{} keeps up again; audit lines are missing in it", self.name);
            }
        }
    }

    /// Writes what is owed. The first that fails stays the first.
    fn settle(&mut self) -> io::Result<()> {
        let settled = self.write_owed();
        self.state.busy_since.store(0, Ordering::Release);
        let failed = self.state.failing.swap(settled.is_err(), Ordering::AcqRel);
        match &settled {
            Err(error) if !failed => error!(%error, "audit lines can't be written to {}", self.name),
            Ok(()) if failed => info!("audit lines can be written to {} again", self.name),
            _ => {}
        }
        settled
    }

    fn write_owed(&mut self) -> io::Result<()> {
        self.state.busy_since.store(self.state.now(), Ordering::Release);
        if self.file.is_none() {
            self.file = Some((self.open)()?);
        }
        while let Some(line) = self.owed.front() {
            let Some(file) = &mut self.file else { break };
            self.state.busy_since.store(self.state.now(), Ordering::Release);
            let written = append(file, line, self.torn);
            self.torn = written.is_err();
            if written.is_err() {
                self.file = None;
                return written;
            }
            self.owed.pop_front();
        }
        Ok(())
    }
}

fn append(file: &mut File, line: &[u8], torn: bool) -> io::Result<()> {
    // The end of a line that was written in part; a new file has none.
    if torn && file.metadata().is_ok_and(|meta| !meta.is_file() || meta.len() > 0) {
        file.write_all(b"\n")?;
    }
    file.write_all(line)?;
    file.flush()
}

fn tell_echo(echo: &Option<NonBlocking>, line: &[u8]) {
    if let Some(echo) = echo {
        let _ = echo.clone().write_all(line);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, Read};
    use std::os::fd::OwnedFd;
    use std::sync::atomic::AtomicU32;

    use std::fs::OpenOptions;

    use super::super::append_to;
    use super::*;

    const PIPE: usize = 65536;

    /// A place at the end of a pipe that takes no more until its reader has read that.
    fn stalled() -> (Place, PipeReader) {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(&[b'x'; PIPE]).unwrap();
        let file = File::from(OwnedFd::from(writer));
        let place = Place::start("the pipe", "test", move || file.try_clone(), None).unwrap();
        (place, reader)
    }

    fn line(n: usize) -> Vec<u8> {
        format!("{n}\n").into_bytes()
    }

    async fn announce(place: &Place, n: usize, patience: Duration) -> io::Result<()> {
        let (written, is_written) = oneshot::channel();
        place.queue(line(n), Some(written));
        place.until(is_written, line(n), patience).await
    }

    async fn settled(place: &Place) {
        while place.state.waiting.load(Ordering::Acquire) > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn a_place_that_takes_no_more_is_waited_for_as_long_as_told_and_gets_every_line_in_order_later() {
        let (place, mut reader) = stalled();
        let before = Instant::now();
        let error = announce(&place, 0, Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(before.elapsed() < STALLED_AFTER);
        assert!(!place.state.is_stalled(), "not yet");
        tokio::time::sleep(STALLED_AFTER + Duration::from_millis(100)).await;
        assert!(place.state.is_stalled());
        let before = Instant::now();
        announce(&place, 1, Duration::from_secs(60)).await.unwrap_err();
        assert!(before.elapsed() < Duration::from_secs(5), "what is known to be stalled is not waited for");

        reader.read_exact(&mut [0; PIPE]).unwrap();
        announce(&place, 2, Duration::ZERO).await.ok();
        settled(&place).await;
        assert!(!place.state.is_stalled());
        announce(&place, 3, Duration::from_secs(60)).await.unwrap();
        let mut text = [0; 8];
        reader.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"0\n1\n2\n3\n");
    }

    #[tokio::test]
    async fn a_full_queue_blocks_nobody_and_holds_starts() {
        let (place, mut reader) = stalled();
        for n in 0..MAX_WAITING + 10 {
            place.queue(line(n), None);
        }
        assert!(place.state.is_stalled(), "at once");
        assert!(place.state.lost.load(Ordering::Acquire) > 0);
        announce(&place, 0, Duration::from_secs(60)).await.unwrap_err();
        reader.read_exact(&mut [0; PIPE]).unwrap();
        settled(&place).await;
        assert!(!place.state.is_stalled());
        announce(&place, 0, Duration::from_secs(60)).await.unwrap();
    }

    #[tokio::test]
    async fn lines_that_fail_are_kept_and_follow_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let tries = Arc::new(AtomicU32::new(0));
        let counted = tries.clone();
        let there = path.clone();
        let open = move || match counted.fetch_add(1, Ordering::AcqRel) {
            // Opens and can't be written.
            0..=2 => OpenOptions::new().append(true).open("/dev/full"),
            _ => append_to(&there),
        };
        let place = Place::start("the file", "test", open, None).unwrap();
        for n in 0..3 {
            assert!(announce(&place, n, Duration::from_secs(60)).await.is_err());
            assert!(place.state.failing.load(Ordering::Acquire));
        }
        announce(&place, 3, Duration::from_secs(60)).await.unwrap();
        assert!(!place.state.failing.load(Ordering::Acquire));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "0\n1\n2\n3\n");
    }
}
