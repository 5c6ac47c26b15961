//! Lines as they are written, and what a later process makes of them.

use std::collections::BTreeMap;
use std::time::Duration;

use audit::{About, Log, Record, Rotation};
use rules::kinds::Outcome;

use super::super::record::{AuditOutcome, AuditRecord};
use super::*;

fn now() -> Timestamp {
    "2026-11-22T20:00:00Z".parse().unwrap()
}

fn line(uid: &str, id: u128, phase: Phase, attempts: u32) -> AuditRecord {
    let policy = PolicyRef { name: "hours".to_owned(), generation: 3 };
    AuditRecord {
        timestamp: now(),
        event: AuditEvent::StateTransition,
        namespace: "sales".to_owned(),
        name: "spring".to_owned(),
        uid: uid.to_owned(),
        generation: 7,
        origin: None,
        tenant: "default".to_owned(),
        host: None,
        campaign_id: "c-1".to_owned(),
        status: Some(Target::Paused),
        from: Some(Observed::Running),
        requested_at: Some(now()),
        resume_mode: None,
        transaction_id: Some(Uuid::from_u128(id)),
        phase: Some(phase),
        outcome: (phase == Phase::Outcome).then_some(AuditOutcome::Transition(Outcome::Applied)),
        cause: Some(Cause::OutsideWindow),
        attempts: Some(attempts),
        latency_ms: None,
        blind: true,
        recovered: false,
        seen: Observed::Running,
        reason: None,
        message: None,
        sink: None,
        webhook_id: None,
        is_final: None,
        compliance_check: BTreeMap::new(),
        policies: vec![policy.clone()],
        decided_by: Some(policy),
        zone_database: "2026a",
        operator_version: "0.1.0",
    }
}

fn pending(id: u128) -> PendingTransition {
    let policy = PolicyRef { name: "hours".to_owned(), generation: 3 };
    PendingTransition {
        id: Uuid::from_u128(id),
        from: Observed::Running,
        to: Target::Paused,
        cause: Cause::OutsideWindow,
        generation: 7,
        requested_at: MicroTime(now()),
        blind: true,
        policies: vec![policy.clone()],
        decided_by: Some(policy),
    }
}

/// Writes these, with so small files that the last two hold only some of them, and reads what is open.
fn recovered(max_size: u64, lines: &[AuditRecord]) -> (tempfile::TempDir, Vec<OpenIntent>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let rotation = Rotation { max_size, max_age: Duration::from_secs(86_400) };
    let mut log = Log::file(path.clone(), rotation, About::new());
    for line in lines {
        log.append(&Record::of(line).unwrap(), now()).unwrap();
    }
    log.commit().unwrap();
    let open = open_intents(&path);
    (folder, open)
}

fn told(found: Vec<OpenIntent>) -> Vec<(String, PendingTransition, u32)> {
    found.into_iter().map(|open| (open.uid, open.pending, open.attempts)).collect()
}

#[test]
fn what_is_abandoned_ends_unknown_and_says_whose_it_was() {
    let (_folder, mut found) = recovered(1 << 30, &[line("u-1", 1, Phase::Intent, 1)]);
    let line = found.remove(0).abandoned(now());
    let expected = json!({"uid": "u-1", "phase": "outcome", "outcome": "Unknown", "recovered": true, "event": "STATE_TRANSITION"});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&line[name], value, "{line}");
    }
    assert_eq!(line["transactionId"], json!(Uuid::from_u128(1)));
}

#[test]
fn what_was_announced_and_never_ended_is_found_as_it_was_announced_last_oldest_first() {
    let lines = [
        line("u-1", 1, Phase::Intent, 1),
        line("u-1", 1, Phase::Outcome, 1),
        line("u-2", 2, Phase::Intent, 1),
        line("u-1", 3, Phase::Intent, 1),
        line("u-2", 2, Phase::Intent, 2),
    ];
    let open = |uid: &str, id, attempts| (uid.to_owned(), pending(id), attempts);
    let (folder, found) = recovered(1 << 30, &lines);
    assert_eq!(told(found), [open("u-2", 2, 2), open("u-1", 3, 1)]);
    // A line in which a byte was changed is not believed.
    let path = folder.path().join("audit.jsonl");
    let text = std::fs::read_to_string(&path).unwrap().replacen("u-2", "u-9", 2);
    std::fs::write(&path, text + "{\"torn").unwrap();
    assert_eq!(told(open_intents(&path)), [open("u-1", 3, 1)]);
}

#[test]
fn what_stands_in_the_file_that_was_put_by_last_counts_too() {
    let one = Record::of(&line("u-1", 1, Phase::Intent, 1)).unwrap().bytes().len() as u64;
    // Two lines with what sealing adds fit into a file.
    let (folder, found) = recovered(
        2 * one + 500,
        &[
            line("u-1", 1, Phase::Intent, 1),
            line("u-2", 2, Phase::Intent, 1),
            line("u-2", 2, Phase::Outcome, 1),
        ],
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    assert_eq!(found.iter().map(|open| open.uid.as_str()).collect::<Vec<_>>(), ["u-1"]);
}

#[test]
fn a_file_that_holds_nothing_leaves_nothing_open() {
    assert!(open_intents(Path::new("/dev/null")).is_empty());
    assert!(open_intents(Path::new("/nonexistent/audit.jsonl")).is_empty());
    assert!(recovered(1 << 30, &[]).1.is_empty());
}
