//! A record in a folder of its own, and the binary that reads it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use audit::{Head, Log, Record, Rotation};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A record over two files and two processes.
pub struct Book {
    folder: TempDir,
    pub head: Head,
}

/// What the binary said.
pub struct Said {
    pub well: bool,
    pub out: String,
    pub err: String,
}

pub fn start() -> Timestamp {
    "2026-11-22T20:00:00Z".parse().unwrap()
}

fn line(n: i64) -> Value {
    let (name, phase) = (["spring", "autumn"][n as usize % 2], ["intent", "outcome"][n as usize / 2 % 2]);
    let mut line = json!({
        "timestamp": start() + SignedDuration::from_mins(n), "event": "STATE_TRANSITION",
        "namespace": "sales", "name": name, "campaignId": format!("c-{name}"), "status": "Paused", "phase": phase,
        "transactionId": format!("00000000-0000-4000-8000-00000000000{}", n / 2),
        "message": "a \"quoted\" text, with a comma\nand \u{1b}[31ma second line",
    });
    if phase == "outcome" {
        line["outcome"] = json!("Applied");
    }
    line
}

impl Book {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut head = None;
        for lines in [0..5, 5..8] {
            let about = json!({"place": "file", "operatorVersion": "0.1.0"}).as_object().unwrap().clone();
            let rotation = Rotation { max_size: 2500, max_age: Duration::from_secs(86_400) };
            let mut log = Log::file(folder.path().join("audit.jsonl"), rotation, about);
            for n in lines {
                log.append(&Record::of(&line(n)).unwrap(), start() + SignedDuration::from_mins(n)).unwrap();
            }
            log.commit().unwrap();
            head = log.head();
        }
        let book = Self { folder, head: head.unwrap() };
        assert_eq!(book.files().len(), 2, "{:?}", book.files());
        book
    }

    /// Its files, oldest first.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> =
            fs::read_dir(self.folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
        // `audit-...` comes before `audit.`.
        files.sort();
        files
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Changes the text of a file.
    pub fn edit(&self, file: usize, edit: impl Fn(String) -> String) {
        let path = &self.files()[file];
        fs::write(path, edit(fs::read_to_string(path).unwrap())).unwrap();
    }

    /// Runs `audit` with these arguments and all files.
    pub fn audit(&self, args: &[&str]) -> Said {
        run(Command::new(env!("CARGO_BIN_EXE_dialer-operator")).arg("audit").args(args).args(self.files()))
    }
}

pub fn run(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { well: output.status.success(), out: text(output.stdout), err: text(output.stderr) }
}
