//! The real operator as a process.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;

use crate::stage::PATIENCE;

/// The operator's process, its log and its audit record.
pub struct Operator {
    kubeconfig: PathBuf,
    namespace: String,
    endpoint: String,
    folder: PathBuf,
    /// How far its wall clock is ahead.
    clock_shift: Option<SignedDuration>,
    /// The point at which it ends itself, once a file exists.
    end: Option<(String, PathBuf)>,
    /// Variables of its environment.
    variables: Vec<(String, String)>,
    child: Option<Child>,
    /// How much the log held before the newest process, in bytes.
    log_before: usize,
}

impl Operator {
    /// Not started yet.
    pub fn new(kubeconfig: &Path, namespace: &str, endpoint: &str, folder: &Path) -> Self {
        Self {
            kubeconfig: kubeconfig.to_owned(),
            namespace: namespace.to_owned(),
            endpoint: endpoint.to_owned(),
            folder: folder.to_owned(),
            clock_shift: None,
            end: None,
            variables: Vec::new(),
            child: None,
            log_before: 0,
        }
    }

    /// From its next start on its wall clock is that far ahead.
    pub fn shift_clock(&mut self, shift: SignedDuration) {
        self.clock_shift = Some(shift);
    }

    /// From its next start on its environment has this variable.
    pub fn environment(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Its next process ends itself at this point, as a crash would, once it was told to by [`Operator::arm`].
    pub fn end_at(&mut self, point: &str) {
        self.end = Some((point.to_owned(), self.folder.join(format!("{point}.armed"))));
    }

    /// From now on the point counts.
    pub fn arm(&self) {
        let (_, file) = self.end.as_ref().expect("a point");
        File::create(file).unwrap();
    }

    /// Waits until it has ended by itself, and gives whether it has in time.
    pub async fn ends_within(&mut self, patience: Duration) -> bool {
        let child = self.child.as_mut().expect("it runs");
        let ended = async {
            while child.try_wait().unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let ended = tokio::time::timeout(patience, ended).await.is_ok();
        if ended {
            (self.child, self.end) = (None, None);
        }
        ended
    }

    /// The library that shifts the wall clock of who loads it.
    fn clock_library(&self) -> PathBuf {
        let (source, library) = ("tests/e2e/clock_shift.c", self.folder.join("clock_shift.so"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
        let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
        assert!(built.expect("a C compiler").success());
        library
    }

    /// Starts it; its output is appended to what earlier ones left.
    pub fn start(&mut self, args: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dialer-operator"));
        command.args(["run", "--admin-addr", "127.0.0.1:0"]);
        // Only on an API server of its own: it would meddle with every other test's objects.
        if !args.contains(&"--all-namespaces") {
            command.args(["--watch-namespace", &self.namespace]);
        }
        if !args.contains(&"--log-level") {
            command.args(["--log-level", "info,dialer_operator=debug"]);
        }
        if !args.contains(&"--audit-log") {
            command.arg("--audit-log").arg(self.folder.join("audit.jsonl"));
        }
        if !args.contains(&"--no-endpoint") {
            command.args(["--allow-endpoint", &self.endpoint]);
        }
        command.args(args.iter().filter(|arg| !["--no-endpoint", "--all-namespaces"].contains(arg)));
        self.spawn(command);
    }

    /// Starts it with these arguments and no others.
    pub fn start_with_just(&mut self, args: &[String]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dialer-operator"));
        command.args(args);
        self.spawn(command);
    }

    fn spawn(&mut self, mut command: Command) {
        assert!(self.child.is_none(), "one operator at a time");
        self.log_before = self.log().len();
        command.env("KUBECONFIG", &self.kubeconfig);
        command.envs(self.variables.iter().cloned());
        if let Some(shift) = self.clock_shift {
            command.env("LD_PRELOAD", self.clock_library());
            command.env("WALL_CLOCK_SHIFT", shift.as_secs().to_string());
        }
        if let Some((point, file)) = &self.end {
            command.env("DIALER_DEBUG_END_AT", point).env("DIALER_DEBUG_END_ONCE_EXISTS", file);
        }
        command.stdin(Stdio::null()).stdout(self.append("stdout")).stderr(self.append("stderr"));
        self.child = Some(command.spawn().expect("the operator starts"));
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Ends it as a cluster does, by SIGTERM; gives whether it ended well.
    pub fn stop(&mut self) -> bool {
        let Some(mut child) = self.child.take() else { return false };
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        child.wait().unwrap().success()
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("stderr")).unwrap_or_default()
    }

    /// Everything it has printed: the audit record.
    pub fn printed(&self) -> String {
        std::fs::read_to_string(self.folder.join("stdout")).unwrap_or_default()
    }

    /// What the audit lines of its file tell.
    pub fn audit(&self) -> Vec<Value> {
        told(&std::fs::read_to_string(self.folder.join("audit.jsonl")).unwrap_or_default())
    }

    /// Asserts that its audit file is as it was written, by its own command.
    pub fn assert_verified(&self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dialer-operator"));
        let said = command.args(["audit", "verify"]).arg(self.folder.join("audit.jsonl")).output().unwrap();
        assert!(
            said.status.success(),
            "{}{}",
            String::from_utf8_lossy(&said.stdout),
            String::from_utf8_lossy(&said.stderr)
        );
    }

    /// Where it serves `/livez`, `/readyz` and `/metrics`, once it has said so.
    pub fn admin(&self) -> Option<String> {
        let log = self.log();
        let line =
            log[self.log_before..].lines().rev().find(|line| line.contains("dialer-operator starts"))?;
        // `admin=127.0.0.1:1` as text, `"admin":"127.0.0.1:1"` as JSON.
        let after = line.split("admin").nth(1)?.trim_start_matches(['"', ':', '=']);
        let address = after.split([' ', '"']).next()?;
        Some(format!("http://{address}"))
    }

    /// What `/metrics` says.
    pub async fn metrics(&self) -> String {
        let said = async {
            loop {
                match self.admin() {
                    Some(admin) => break admin,
                    None => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        };
        let admin = tokio::time::timeout(PATIENCE, said).await.expect("it says where it listens");
        reqwest::get(format!("{admin}/metrics")).await.unwrap().text().await.unwrap()
    }

    fn append(&self, name: &str) -> File {
        OpenOptions::new().create(true).append(true).open(self.folder.join(name)).unwrap()
    }
}

/// What audit lines tell, without what their chain adds; its own lines (it was opened, lines were lost) are left out.
pub fn told(text: &str) -> Vec<Value> {
    // The last one may be half written yet.
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let told = whole.map(|line| {
        let mut line: Value = serde_json::from_str(line).expect("an audit line is JSON");
        let members = line.as_object_mut().expect("an audit line is an object");
        for member in ["chain", "seq", "prev", "hash"] {
            members.remove(member).expect("a line is sealed");
        }
        line
    });
    told.filter(|line| line["name"].is_string()).collect()
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.kill();
    }
}
