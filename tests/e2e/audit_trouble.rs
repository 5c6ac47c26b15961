//! A disk that is full under the audit log: starts are held, closes go on, and the record is whole when there is space again.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use simulator::State;

use crate::stage::{ORG, PATIENCE, Stage, id_of};

/// An operator whose files can be kept from growing, as by a full disk; it is told by an error instead of a signal. What it says
/// goes to pipes, which are not files. Ends with the test.
struct OnSmallDisk {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl OnSmallDisk {
    fn start(stage: &Stage, audit: &Path) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_dialer-operator")]);
        command.args(["run", "--admin-addr", "127.0.0.1:0", "--audit-log"]).arg(audit);
        command.args(["--watch-namespace", &stage.namespace, "--allow-endpoint", &stage.sim.url()]);
        command.env("KUBECONFIG", &stage.kubeconfig).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stderr.take().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let hears = said.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = pipe.read(&mut bytes) {
                hears.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
        });
        Self { child, said }
    }

    /// From now on no file of it may grow beyond this.
    fn limit(&self, bytes: Option<u64>) {
        let pid = Pid::from_child(&self.child);
        prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    async fn until_said(&self, what: &str) {
        let told = async {
            while !self.said().contains(what) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, told).await.is_ok(), "never said: {what}\n{}", self.said());
    }
}

impl Drop for OnSmallDisk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn audit(args: &[&str], file: &Path) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_dialer-operator"))
        .arg("audit")
        .args(args)
        .arg(file)
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_audit_log_holds_starts_and_no_close_and_leaves_a_record_that_verifies() {
    let stage = Stage::without_operator().await;
    let path = stage.folder.path().join("audit.jsonl");
    let operator = OnSmallDisk::start(&stage, &path);
    stage.sim.campaign(ORG, "c-1");
    stage.declare("c-1", "Running", json!({})).await;
    stage.until_ready("c-1", "True", "Running").await;
    operator.until_said("audit head place=\"file\"").await;

    // The next line finds space for a part of it.
    operator.limit(Some(std::fs::metadata(&path).unwrap().len() + 100));
    stage.declare("c-1", "Paused", json!({})).await;
    stage.until_ready("c-1", "True", "Paused").await;
    assert_eq!(stage.put_words("c-1"), ["running", "paused"]);
    let id = id_of(&stage.sim.puts("c-1")[1]);
    let line =
        operator.said().lines().find(|line| line.contains(&id) && line.starts_with('{')).map(str::to_owned);
    assert!(line.is_some_and(|line| line.contains("\"intent\"")), "on standard error: {}", operator.said());
    stage.sim.campaign(ORG, "c-2").set(State::Stopped);
    stage.declare("c-2", "Running", json!({"checkIntervalSeconds": 10})).await;
    stage.until_ready("c-2", "True", "AuditUnavailable").await;
    assert!(stage.sim.puts("c-2").is_empty());
    let (well, said) = audit(&["verify"], &path);
    assert!(well, "whole, as far as it goes: {said}");

    operator.limit(None);
    stage.until_ready("c-2", "True", "Running").await;
    assert_eq!(stage.put_words("c-2"), ["running"]);
    stage.assert_one_outcome("c-2", &id_of(&stage.sim.puts("c-2")[0]), "Applied").await;
    stage.assert_one_outcome("c-1", &id, "Applied").await;
    let (well, said) = audit(&["verify"], &path);
    assert!(well && said.contains("1 chain,"), "{said}");
    let (well, said) = audit(&["show", "--id", &id], &path);
    assert!(well && said.contains("intent") && said.contains("Applied"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_tells_who_declared_it_and_the_head_that_is_told_elsewhere_is_the_last_line() {
    let mut stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1");
    let object = stage.declare("c-1", "Running", json!({})).await;
    stage.until_ready("c-1", "True", "Running").await;
    let id = id_of(&stage.sim.puts("c-1")[0]);
    stage.assert_one_outcome("c-1", &id, "Applied").await;
    let lines: Vec<_> = stage.audit("c-1").into_iter().filter(|line| line["transactionId"] == id).collect();
    for line in &lines {
        assert_eq!(line["uid"], json!(object.metadata.uid));
        assert_eq!(
            (&line["origin"]["manager"], &line["origin"]["operation"]),
            (&json!("a-person"), &json!("Apply"))
        );
        assert_eq!(
            (&line["from"], &line["requestedAt"]),
            (&json!("Paused"), &lines[0]["requestedAt"]),
            "{line:#}"
        );
        assert!(line["requestedAt"].is_string() && line["operatorVersion"].is_string(), "{line:#}");
    }

    let path = stage.folder.path().join("audit.jsonl");
    let end = || {
        let text = std::fs::read_to_string(&path).unwrap();
        let line: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        let text = |member: &str| line[member].as_str().unwrap().to_owned();
        (text("chain"), line["seq"].clone(), text("hash"))
    };
    let (chain, seq, hash) = end();
    stage
        .until_metric(&format!("dialer_audit_head{{place=\"file\",chain=\"{chain}\",hash=\"{hash}\"}} {seq}"))
        .await;
    let metrics = stage.operator.metrics().await;
    assert_eq!(metrics.matches("dialer_audit_head{").count(), 2, "one of each place: {metrics}");

    let refused = Command::new(env!("CARGO_BIN_EXE_dialer-operator"))
        .args(["run", "--admin-addr", "127.0.0.1:0", "--watch-namespace", &stage.namespace, "--audit-log"])
        .arg(&path)
        .env("KUBECONFIG", &stage.kubeconfig)
        .output()
        .unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("another process writes"), "{said}");
    assert!(said.contains("audit.jsonl") && said.contains("a file of its own"), "{said}");

    assert!(stage.operator.stop());
    let (chain, seq, hash) = end();
    let told = format!("audit head place=\"file\" head={chain}/{seq}/{hash}");
    assert!(stage.operator.log().contains(&told), "{told}\n{}", stage.operator.log());
    stage.start_operator(&[]);
    let (well, said) = until_chains(2, &path).await;
    assert!(well, "{said}");
}

/// Waits until that many chains stand in a file; gives what `audit verify` says.
async fn until_chains(count: usize, path: &Path) -> (bool, String) {
    let chains = || std::fs::read_to_string(path).unwrap().matches("CHAIN_OPENED").count();
    let begun = async {
        while chains() < count {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, begun).await.expect("a new chain");
    audit(&["verify"], path)
}
