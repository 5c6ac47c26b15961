//! The audit record: append-only JSON lines on standard output, and in a file where one is given; each place has its own chain.
//!
//! A line is on the disk before the PUT that it announces, as far as that may wait for it. Each of the two places has a thread and
//! a queue of its own: whoever tells a line waits for neither. The file is the record where one is given, standard output
//! otherwise: while it can't be written, or not soon, starts are held and closes go on. `crates/audit` seals and verifies;
//! `recovery` reads what an earlier process left open; `command` is `dialer-operator audit`.

mod command;
mod origin;
mod place;
mod record;
mod recovery;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use audit::{About, Head, Log, Record, Rotation};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use tokio::sync::oneshot;
use tracing::error;
use tracing_appender::non_blocking::NonBlocking;

pub use command::{AuditCommand, run};
pub use origin::origin;
use place::{Name, Place, tell_head};
pub use record::{AuditEvent, AuditOutcome, AuditRecord, Ending, Phase};
use recovery::OpenIntent;

const FILE: Name = Name { words: "the audit log", label: "file" };
const STDOUT: Name = Name { words: "standard output", label: "stdout" };

/// Where audit lines go.
pub struct Audit {
    /// The file where one is given, standard output otherwise.
    record: Place,
    /// Standard output, beside a file.
    copy: Option<Place>,
    /// Both get the lines in one order.
    order: Mutex<()>,
    /// What an earlier process left open, by the object's uid.
    open: Arc<Mutex<OpenIntents>>,
}

/// By the object's uid.
type OpenIntents = HashMap<String, Vec<OpenIntent>>;

impl Audit {
    /// Opens the file, where one is given. Lines that can't be written go to `echo` too.
    ///
    /// # Errors
    /// Where it can't be opened for appending. One that does not answer is waited for beside all else: starts are held.
    pub fn open(path: Option<PathBuf>, rotation: Rotation, echo: NonBlocking) -> io::Result<Self> {
        let stdout = || Log::stream(standard_output, about(STDOUT));
        let open = Arc::default();
        let (record, copy) = match path {
            Some(path) => {
                let log = Log::file(path.clone(), rotation, about(FILE));
                let found = Arc::clone(&open);
                let recover = move || hold(&found, recovery::open_intents(&path));
                let file = Place::start(FILE, log, recover, Some(echo))?;
                (file, Some(Place::start(STDOUT, stdout(), || (), None)?))
            }
            None => (Place::start(STDOUT, stdout(), || (), Some(echo))?, None),
        };
        Ok(Self { record, copy, order: Mutex::new(()), open })
    }

    /// Whether a start may rely on its line being written.
    pub fn is_writable(&self) -> bool {
        self.record.is_trusted()
    }

    /// What an earlier process announced for this object and never ended, oldest first; each is given once.
    pub fn take_open_intents(&self, uid: &str) -> Vec<OpenIntent> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(uid).unwrap_or_default()
    }

    /// Ends what an earlier process announced for these objects: nothing can tell its outcome any more.
    pub fn abandon(&self, gone: impl Fn(&str) -> bool, at: Timestamp) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, intents) in open.extract_if(|uid, _| gone(uid)) {
            for intent in intents {
                self.tell(&intent.abandoned(at));
            }
        }
    }

    /// Queues a line. What can't be written yet follows as soon as it can.
    pub fn tell(&self, record: &impl Serialize) {
        match Record::of(record) {
            Ok(record) => self.queue(record, None),
            Err(error) => error!(%error, "an audit line can't be put in words"),
        }
    }

    /// Queues a line and waits until it is on the disk, at most `patience`; not at all for a place that is stalled.
    ///
    /// # Errors
    /// Where it is not: it then stands on standard error too, and follows like any other.
    pub async fn announce(&self, record: &AuditRecord, patience: Duration) -> io::Result<()> {
        let record = Record::of(record).map_err(io::Error::other)?;
        let (written, is_written) = oneshot::channel();
        self.queue(record.clone(), Some(written));
        self.record.until(is_written, &record, patience).await
    }

    /// Waits until everything queued is dealt with, at most `patience`, and tells where the chains end.
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
        for place in self.places() {
            if let Some(head) = place.head()() {
                tell_head(place.name, head);
            }
        }
    }

    /// Where the chains end, whenever it is asked.
    pub fn heads(&self) -> Heads {
        Heads(self.places().map(|place| (place.name.label, Box::new(place.head()) as _)).collect())
    }

    fn queue(&self, record: Record, written: Option<oneshot::Sender<io::Result<()>>>) {
        // Nothing waits under this lock: it is held for two pushes.
        let _order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(copy) = &self.copy {
            copy.queue(record.clone(), None);
        }
        self.record.queue(record, written);
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        std::iter::once(&self.record).chain(&self.copy)
    }
}

/// Tells the last line that counts of a place.
type HeadOf = Box<dyn Fn() -> Option<Head> + Send + Sync>;

/// The last line that counts of each place.
pub struct Heads(Vec<(&'static str, HeadOf)>);

impl Heads {
    /// Each that has one, by the name of its place.
    pub fn now(&self) -> impl Iterator<Item = (&'static str, Head)> {
        self.0.iter().filter_map(|(place, head)| Some((*place, head()?)))
    }
}

impl std::fmt::Debug for Heads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.now()).finish()
    }
}

fn about(place: Name) -> About {
    About::from_iter([
        ("place".to_owned(), json!(place.label)),
        ("why".to_owned(), json!("start")),
        ("operatorVersion".to_owned(), json!(env!("CARGO_PKG_VERSION"))),
        ("zoneDatabase".to_owned(), json!(rules::zones::version())),
    ])
}

/// Without the buffer and the lock that Rust puts around it.
fn standard_output() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

fn hold(open: &Mutex<OpenIntents>, found: Vec<OpenIntent>) {
    let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
    for intent in found {
        open.entry(intent.uid.clone()).or_default().push(intent);
    }
}
