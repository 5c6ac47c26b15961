//! What an earlier process announced and never ended.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use audit::{Lines, RawLine};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use rules::kinds::{Cause, Observed, Outcome, PendingTransition, PolicyRef, Target};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tracing::warn;
use uuid::Uuid;

use super::record::{AuditEvent, Phase};

/// A transition whose intent stands in the record, and whose outcome does not.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenIntent {
    /// Of the declaration.
    pub uid: String,
    /// As it was announced last.
    pub pending: PendingTransition,
    /// How many tries were announced.
    pub attempts: u32,
    /// The line that announced it last.
    line: Map<String, Value>,
}

impl OpenIntent {
    /// The line that ends it where nothing can tell its outcome any more: its declaration is gone.
    pub fn abandoned(mut self, at: Timestamp) -> Value {
        let said = [
            ("timestamp", json!(at)),
            ("phase", json!(Phase::Outcome)),
            ("outcome", json!(Outcome::Unknown)),
            ("recovered", json!(true)),
            ("message", json!("the declaration is gone, or is not watched any more")),
        ];
        self.line.extend(said.map(|(name, value)| (name.to_owned(), value)));
        Value::Object(self.line)
    }
}

/// The members of a line that tell of a transition.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    event: AuditEvent,
    phase: Phase,
    transaction_id: Uuid,
}

/// The members of a line that announces a transition. [`AuditRecord`](super::AuditRecord) writes them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Announced {
    uid: String,
    transaction_id: Uuid,
    from: Observed,
    status: Target,
    cause: Cause,
    generation: i64,
    requested_at: Timestamp,
    blind: bool,
    #[serde(default)]
    policies: Vec<PolicyRef>,
    decided_by: Option<PolicyRef>,
    attempts: Option<u32>,
}

impl OpenIntent {
    fn of(told: Announced, line: Map<String, Value>) -> Self {
        let pending = PendingTransition {
            id: told.transaction_id,
            from: told.from,
            to: told.status,
            cause: told.cause,
            generation: told.generation,
            requested_at: MicroTime(told.requested_at),
            blind: told.blind,
            policies: told.policies,
            decided_by: told.decided_by,
        };
        Self { uid: told.uid, pending, attempts: told.attempts.unwrap_or(1), line }
    }
}

/// What is open in a file and the one that was put by before it, oldest first. What can't be read there is left out, and said.
pub(super) fn open_intents(path: &Path) -> Vec<OpenIntent> {
    let mut open = Open::default();
    let read = audit::newest_rotated(path).and_then(|before| {
        before.iter().map(|before| before.as_path()).chain([path]).try_for_each(|file| open.read(file))
    });
    if let Err(error) = read {
        warn!(%error, "what an earlier process left open can't be read in full from {}", path.display());
    }
    open.oldest_first()
}

/// Each with the place of its first line.
#[derive(Default)]
struct Open {
    intents: HashMap<Uuid, (usize, OpenIntent)>,
    told: usize,
}

impl Open {
    fn read(&mut self, file: &Path) -> io::Result<()> {
        // A device or a pipe holds nothing.
        if !std::fs::metadata(file)?.is_file() {
            return Ok(());
        }
        for line in Lines::new(BufReader::new(File::open(file)?)) {
            // Only lines that are as they were sealed are believed.
            if let RawLine::Whole(bytes) = line?
                && let Ok(line) = audit::parse(&bytes)
            {
                self.hear(line.record);
            }
        }
        Ok(())
    }

    fn hear(&mut self, record: Map<String, Value>) {
        let record = Value::Object(record);
        let Ok(Told { event: AuditEvent::StateTransition, phase, transaction_id }) =
            Told::deserialize(&record)
        else {
            return;
        };
        match phase {
            Phase::Outcome => drop(self.intents.remove(&transaction_id)),
            Phase::Intent => {
                if let (Ok(announced), Value::Object(line)) = (Announced::deserialize(&record), record) {
                    self.told += 1;
                    let first = self.intents.get(&transaction_id).map_or(self.told, |(first, _)| *first);
                    self.intents.insert(transaction_id, (first, OpenIntent::of(announced, line)));
                }
            }
        }
    }

    fn oldest_first(self) -> Vec<OpenIntent> {
        let mut intents: Vec<_> = self.intents.into_values().collect();
        intents.sort_by_key(|(first, _)| *first);
        intents.into_iter().map(|(_, intent)| intent).collect()
    }
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
