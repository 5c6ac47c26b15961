//! The place that lines are appended to: a file with its rotation, or a stream. It opens itself anew after a failure.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::chain::{Head, Record, seal};
use crate::rotation::Rotation;
use crate::source::{Opened, Source, open_regular};
use crate::tail::{Begin, Last, Tail, last_rotated, set_torn_aside};
use crate::{CHAIN_OPENED, FILE_SET_ASIDE, TORN_LINE, names};

/// What the first line of a chain says of its process.
pub type About = Map<String, Value>;

/// A chain and the place it is written to.
///
/// A line counts once [`Log::commit`] has said so. After a failure nothing is assumed of what came after the last commit: the
/// place is opened anew, and who tells lines tells those again.
pub struct Log {
    source: Source,
    about: About,
    /// What may be relied on.
    committed: Option<Head>,
    /// What was written since, too.
    written: Option<Head>,
    opened: Option<Opened>,
    /// A stream may end in a part of a line.
    torn: bool,
    /// What was set aside and is not told in the record yet.
    owed: Vec<(&'static str, About)>,
    notes: Vec<String>,
}

impl Log {
    /// A file, with others of its name beside it. Not opened yet.
    pub fn file(path: PathBuf, rotation: Rotation, about: About) -> Self {
        Self::new(Source::File { path, rotation }, about)
    }

    /// Something that is only written to. Not opened yet.
    pub fn stream(opener: impl Fn() -> io::Result<File> + Send + 'static, about: About) -> Self {
        Self::new(Source::Stream(Box::new(opener)), about)
    }

    fn new(source: Source, about: About) -> Self {
        Self {
            source,
            about,
            committed: None,
            written: None,
            opened: None,
            torn: false,
            owed: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The last line that is committed.
    pub fn head(&self) -> Option<Head> {
        self.committed
    }

    /// What was done that people should hear of, each told once.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Opens it for appending, for this process alone. Nothing is written.
    ///
    /// # Errors
    /// Where it can't be opened, or another process has it.
    pub fn open(&mut self) -> io::Result<()> {
        if self.opened.is_none() {
            self.opened = Some(self.source.open()?);
        }
        Ok(())
    }

    /// Makes it ready for the next line: open, at the end of its chain, with what has to be told of that told.
    ///
    /// # Errors
    /// Where it can't be opened or written.
    pub fn ready(&mut self, now: Timestamp) -> io::Result<()> {
        let made = self.make_ready(now);
        self.or_close(made)
    }

    /// Appends a line; it counts with the next commit.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn append(&mut self, record: &Record, now: Timestamp) -> io::Result<()> {
        let written = self.make_ready(now).and_then(|()| self.write(record, now));
        self.or_close(written)
    }

    /// Makes what was appended last: on the disk, where there is one.
    ///
    /// # Errors
    /// Where that is not certain; what was appended since the last commit then has to be told again.
    pub fn commit(&mut self) -> io::Result<()> {
        let synced = self.sync();
        self.or_close(synced)
    }

    /// Appends as many of these as it can and commits them together; gives how many of them count, and what stopped it.
    /// `alive` is called before each step that may take long.
    pub fn append_all<'a>(
        &mut self,
        records: impl Iterator<Item = &'a Record>,
        now: Timestamp,
        alive: impl Fn(),
    ) -> (usize, io::Result<()>) {
        let mut heads = Vec::new();
        let mut add = |record| {
            alive();
            self.make_ready(now)?;
            self.write(record, now)?;
            heads.push(self.written);
            Ok(())
        };
        let mut records = records.peekable();
        let written =
            if records.peek().is_none() { self.make_ready(now) } else { records.try_for_each(&mut add) };
        alive();
        // What was written before the failure counts all the same.
        let synced = self.sync();
        let count = heads.iter().rposition(|head| *head == self.committed).map_or(0, |last| last + 1);
        (count, self.or_close(written.and(synced)))
    }

    fn make_ready(&mut self, now: Timestamp) -> io::Result<()> {
        if self.opened.as_ref().is_some_and(|opened| !opened.is_in_place()) {
            // Somebody has moved it away: what comes next belongs to where the path leads now.
            self.sync()?;
            self.opened = None;
        }
        self.open()?;
        if self.opened.as_ref().is_some_and(|opened| !opened.begun) {
            self.begin(now)?;
        }
        Ok(())
    }

    fn write(&mut self, record: &Record, now: Timestamp) -> io::Result<()> {
        let chain = self.written.map_or_else(Uuid::new_v4, |head| head.chain);
        let line = seal(chain, self.written.as_ref(), record);
        if self.is_full(line.bytes.len() as u64, now) {
            self.rotate(now)?;
        }
        let torn = self.torn;
        let Some(opened) = &mut self.opened else { return Err(io::ErrorKind::NotConnected.into()) };
        if opened.regular.is_none() {
            // The end of a line that was written in part can't be taken back from a stream.
            self.torn = true;
            if torn && opened.file.metadata().is_ok_and(|meta| !meta.is_file() || meta.len() > 0) {
                opened.file.write_all(b"\n")?;
            }
        }
        if let Err(error) = opened.file.write_all(&line.bytes) {
            opened.take_back(&line.bytes);
            return Err(error);
        }
        self.torn = false;
        if let Some(regular) = &mut opened.regular {
            regular.size += line.bytes.len() as u64;
            regular.begin.get_or_insert(Begin { told: now, seq: line.head.seq });
        }
        self.written = Some(line.head);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.written == self.committed {
            return Ok(());
        }
        let opened = self.opened.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let synced = if opened.lasts() { opened.file.sync_data() } else { Ok(()) };
        if synced.is_err() {
            // A second try might say that all is well, and would be wrong.
            (self.opened, self.written) = (None, self.committed);
        } else {
            self.committed = self.written;
        }
        synced
    }

    fn or_close(&mut self, done: io::Result<()>) -> io::Result<()> {
        if done.is_err() {
            self.opened = None;
            self.written = self.committed;
        }
        done
    }

    /// Finds where the chain goes on, or opens one, and tells what has to be told of that.
    fn begin(&mut self, now: Timestamp) -> io::Result<()> {
        let found = self.mend(now)?;
        if let Some(opened) = &mut self.opened {
            opened.begun = true;
        }
        match self.written.filter(|mine| found.is_none_or(|found| found.chain == mine.chain)) {
            // What is in the file beyond the last commit was not promised, and stays: the chain goes on after it.
            Some(mine) => self.written = found.filter(|found| found.seq > mine.seq).or(Some(mine)),
            None => {
                self.written = None;
                let mut opening = self.about.clone();
                opening.extend(found.map(|head| ("predecessor".to_owned(), json!(head))));
                self.tell(CHAIN_OPENED, opening, now)?;
            }
        }
        // Each is owed until it stands in the record.
        while let Some((event, members)) = self.owed.first().cloned() {
            self.tell(event, members, now)?;
            self.sync()?;
            self.owed.remove(0);
        }
        self.sync()
    }

    fn tell(&mut self, event: &str, mut members: About, now: Timestamp) -> io::Result<()> {
        members.insert("event".to_owned(), json!(event));
        members.insert("timestamp".to_owned(), json!(now));
        let record = Record::of(&members).map_err(io::Error::other)?;
        self.write(&record, now)
    }

    /// Brings the file into the form that a chain can go on in; gives the last line of the record.
    fn mend(&mut self, now: Timestamp) -> io::Result<Option<Head>> {
        let Some(opened) = &mut self.opened else { return Ok(None) };
        let Some(regular) = &mut opened.regular else { return Ok(None) };
        let mut tail = Tail::of(&opened.file)?;
        if let Last::Foreign(why) = &tail.last {
            let kept = names::aside(&regular.path, "foreign", now);
            fs::rename(&regular.path, &kept)?;
            opened.file = open_regular(&regular.path)?;
            self.notes.push(format!(
                "{} is no audit log ({why}): kept as {}",
                regular.path.display(),
                kept.display()
            ));
            let members = [("keptIn".to_owned(), name_of(&kept)), ("why".to_owned(), json!(why))];
            self.owed.push((FILE_SET_ASIDE, About::from_iter(members)));
            tail = Tail::empty();
        }
        if tail.torn > 0 {
            let kept = set_torn_aside(&opened.file, &regular.path, &tail, now)?;
            self.notes.push(format!(
                "a line of {} was written in part ({} bytes): kept as {}",
                regular.path.display(),
                tail.torn,
                kept.display()
            ));
            let members = [("keptIn".to_owned(), name_of(&kept)), ("bytes".to_owned(), json!(tail.torn))];
            self.owed.push((TORN_LINE, About::from_iter(members)));
        }
        (regular.size, regular.begin) = (tail.whole, tail.begin);
        match tail.last {
            Last::Line(head) => Ok(Some(head)),
            // A process may have ended between putting a file by and beginning the next.
            _ if self.written.is_none() => last_rotated(&regular.path),
            _ => Ok(None),
        }
    }

    fn is_full(&self, more: u64, now: Timestamp) -> bool {
        let Source::File { rotation, .. } = &self.source else { return false };
        let Some(regular) = self.opened.as_ref().and_then(|opened| opened.regular.as_ref()) else {
            return false;
        };
        let Some(begin) = regular.begin else { return false };
        let age = Duration::try_from(now.duration_since(begin.told)).unwrap_or_default();
        regular.size + more > rotation.max_size || age >= rotation.max_age
    }

    /// Puts the file by under a name of its own and begins a new one; the chain goes on.
    fn rotate(&mut self, now: Timestamp) -> io::Result<()> {
        self.sync()?;
        let Some(opened) = &mut self.opened else { return Ok(()) };
        let Some(regular) = &mut opened.regular else { return Ok(()) };
        let begin = regular.begin.unwrap_or(Begin { told: now, seq: 0 });
        fs::rename(&regular.path, names::rotated(&regular.path, begin.told, begin.seq))?;
        opened.file = open_regular(&regular.path)?;
        (regular.size, regular.begin) = (0, None);
        Ok(())
    }
}

fn name_of(path: &Path) -> Value {
    path.file_name().map(|name| name.to_string_lossy()).into()
}
