//! What the operator tells goes to pipes and files that may take no more: that holds up no close.

use std::io::{PipeReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use simulator::{Route, State};

use crate::operator::told;
use crate::stage::{ORG, Stage, ms_after};

/// What a close may take from the moment it is declared, on a machine with other work.
const SOON_MS: i64 = 5000;

/// A pipe that takes no more, and its reader, which reads nothing by itself.
fn full_pipe() -> (PipeReader, std::io::PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&[b'x'; 65536]).unwrap();
    (reader, writer)
}

/// An operator whose output goes elsewhere than the stage's. Ends with the test.
struct Stalled(Child);

impl Stalled {
    fn start(stage: &Stage, args: &[&str], stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dialer-operator"));
        command.args(["run", "--admin-addr", "127.0.0.1:0", "--log-level", "info,dialer_operator=debug"]);
        command.args(["--watch-namespace", &stage.namespace, "--allow-endpoint", &stage.sim.url()]);
        command.args(args).env("KUBECONFIG", &stage.kubeconfig).stdin(Stdio::null());
        Self(command.stdout(stdout).stderr(stderr).spawn().unwrap())
    }

    /// Ends it by SIGTERM; gives whether it ended well, soon.
    async fn stop(mut self) -> bool {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        for _ in 0..100 {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.success();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        false
    }
}

impl Drop for Stalled {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Proves that a close goes out soon, although a start that was declared before it may be held.
async fn assert_closes_go_on(stage: &Stage) {
    for (name, state) in [("c-1", "Paused"), ("c-2", "Stopped"), ("c-3", "Paused")] {
        stage.sim.campaign(ORG, name).set(State::Running);
        let declared = Timestamp::now();
        stage.declare(name, state, json!({})).await;
        let put = stage.until_puts(name, 1).await.remove(0);
        let took = ms_after(declared, &put);
        println!("{name} declared to PUT: {took} ms");
        assert!(took < SOON_MS, "{took} ms");
        stage.until_ready(name, "True", state).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_standard_output_holds_up_no_close_and_no_start_where_the_file_is_the_record() {
    let stage = Stage::without_operator().await;
    let (mut reader, writer) = full_pipe();
    let file = stage.folder.path().join("audit.jsonl");
    let log = std::fs::File::create(stage.folder.path().join("stderr")).unwrap();
    let operator = Stalled::start(&stage, &["--audit-log", file.to_str().unwrap()], writer, log);
    assert_closes_go_on(&stage).await;
    stage.sim.campaign(ORG, "c-4");
    stage.declare("c-4", "Running", json!({})).await;
    stage.until_ready("c-4", "True", "Running").await;
    assert_eq!(stage.put_words("c-4"), ["running"]);

    // Once it is read again, it gets what the file has.
    reader.read_exact(&mut [0; 65536]).unwrap();
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    assert!(operator.stop().await, "it ends well: {}", stage.operator.log());
    let text = reading.join().unwrap();
    let printed = told(&text);
    assert_eq!(printed, stage.operator.audit());
    assert!(printed.len() >= 8, "{printed:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_standard_output_that_is_the_record_holds_starts_and_no_close() {
    let stage = Stage::without_operator().await;
    let (mut reader, writer) = full_pipe();
    let log = std::fs::File::create(stage.folder.path().join("stderr")).unwrap();
    let operator = Stalled::start(&stage, &[], writer, log);
    assert_closes_go_on(&stage).await;
    assert!(stage.operator.log().contains(r#""phase":"intent""#), "the line of a close is on standard error");
    stage.sim.campaign(ORG, "c-4");
    stage.declare("c-4", "Running", json!({"checkIntervalSeconds": 10})).await;
    stage.until_ready("c-4", "True", "AuditUnavailable").await;
    assert!(stage.sim.puts("c-4").is_empty());

    reader.read_exact(&mut [0; 65536]).unwrap();
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    stage.until_ready("c-4", "True", "Running").await;
    assert_eq!(stage.put_words("c-4"), ["running"]);
    assert!(operator.stop().await, "it ends well: {}", stage.operator.log());
    let text = reading.join().unwrap();
    let printed = told(&text);
    for name in ["c-1", "c-2", "c-3", "c-4"] {
        let phases: Vec<_> = printed
            .iter()
            .filter(|l| l["name"] == name && l["event"] == "STATE_TRANSITION")
            .map(|l| l["phase"].as_str().unwrap())
            .collect();
        // A start that began before the stall was known was announced, not sent, and ended as not applied.
        assert!(phases.chunks(2).all(|pair| pair == ["intent", "outcome"]), "nothing is lost: {printed:#?}");
        assert!(phases.len() == 2 || name == "c-4" && phases.len() == 4, "{printed:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_standard_error_holds_up_nothing() {
    let stage = Stage::without_operator().await;
    let (_reader, writer) = full_pipe();
    let file = stage.folder.path().join("audit.jsonl");
    let operator = Stalled::start(&stage, &["--audit-log", file.to_str().unwrap()], Stdio::null(), writer);
    assert_closes_go_on(&stage).await;
    stage.sim.campaign(ORG, "c-4");
    stage.declare("c-4", "Running", json!({})).await;
    stage.until_ready("c-4", "True", "Running").await;
    assert!(!stage.requests("c-4", Route::StateGet).is_empty());
    assert!(operator.stop().await, "it ends well though nobody hears it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_file_that_hangs_holds_starts_and_no_close() {
    let stage = Stage::without_operator().await;
    // Opening a FIFO that nobody reads hangs, as a file on a dead mount does.
    let fifo = stage.folder.path().join("audit.fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let log = std::fs::File::create(stage.folder.path().join("stderr")).unwrap();
    let printed = std::fs::File::create(stage.folder.path().join("stdout")).unwrap();
    let operator = Stalled::start(&stage, &["--audit-log", fifo.to_str().unwrap()], printed, log);
    assert_closes_go_on(&stage).await;
    assert!(stage.operator.printed().contains("\"intent\""), "standard output has the line");
    stage.sim.campaign(ORG, "c-4");
    stage.declare("c-4", "Running", json!({})).await;
    stage.until_ready("c-4", "True", "AuditUnavailable").await;
    assert!(stage.sim.puts("c-4").is_empty());
    assert!(operator.stop().await, "it ends although the file hangs: {}", stage.operator.log());
}
