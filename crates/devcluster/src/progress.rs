use std::io::{IsTerminal, Write, stderr};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What takes no longer than this is not worth a word.
const QUIET: Duration = Duration::from_secs(1);
/// How often a line on a terminal is rewritten.
const TERMINAL_INTERVAL: Duration = Duration::from_secs(1);
/// How often a line is written where lines stay: in a pipe or a file.
const PIPE_INTERVAL: Duration = Duration::from_secs(30);

/// Tells on stderr what is being waited for, and since when, until it is dropped.
///
/// Says nothing during the first second. On a terminal the elapsed time is rewritten in place, on a line of its
/// own because a wrapped line can't be rewritten; elsewhere there is a line at once and one every 30 seconds.
#[derive(Debug)]
pub struct Progress {
    end: Option<Sender<()>>,
    teller: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts telling that `what` is under way ("building etcd").
    pub fn start(what: impl Into<String>) -> Self {
        let (end, ended) = channel();
        let (what, since) = (what.into(), Instant::now());
        let teller = thread::spawn(move || {
            if stderr().is_terminal() {
                tell_in_place(&what, since, &ended)
            } else {
                tell_in_lines(&what, since, &ended)
            }
        });
        Self { end: Some(end), teller: Some(teller) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(teller) = self.teller.take() {
            // A teller that failed has nothing left to tell.
            let _ = teller.join();
        }
    }
}

fn tell_in_place(what: &str, since: Instant, ended: &Receiver<()>) {
    if passes(ended, QUIET) {
        say(&format!("{what}\n"));
        while passes(ended, TERMINAL_INTERVAL) {
            say(&format!("\r\x1b[K  {}", in_words(since.elapsed())));
        }
        say("\r\x1b[K");
    }
}

fn tell_in_lines(what: &str, since: Instant, ended: &Receiver<()>) {
    if passes(ended, QUIET) {
        say(&format!("{what}\n"));
        while passes(ended, PIPE_INTERVAL) {
            say(&format!("{what}: {}\n", in_words(since.elapsed())));
        }
    }
}

/// Whether `time` has passed and the end has not come.
fn passes(ended: &Receiver<()>, time: Duration) -> bool {
    ended.recv_timeout(time) == Err(RecvTimeoutError::Timeout)
}

/// Progress that can't be shown must not fail what it is about, hence not `eprint!`, which panics.
fn say(text: &str) {
    let mut stderr = stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// "42 s" or "3 min 40 s".
pub(crate) fn in_words(duration: Duration) -> String {
    match (duration.as_secs() / 60, duration.as_secs() % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_minutes_and_seconds() {
        assert_eq!(in_words(Duration::from_millis(42_900)), "42 s");
        assert_eq!(in_words(Duration::from_secs(220)), "3 min 40 s");
    }
}
