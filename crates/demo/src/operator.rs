//! The real operator as a child process, which never outlives the demo.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::tell;

const SCRIPT: &str = include_str!("operator.sh");
/// Where the operator serves its metrics, where that port is free.
const ADMIN_PORT: u16 = 8081;
/// How much of the log a failure shows, in lines.
const SHOWN: usize = 20;

/// A running operator. Dropping it ends it, and so does the end of this process, in whatever way.
pub struct Operator {
    /// Behind a lock so that a state can be asked for through a shared reference.
    watchdog: Mutex<Child>,
    /// The watchdog ends the operator when this closes, which the kernel does for us if we are killed.
    lifeline: Option<ChildStdin>,
    folder: PathBuf,
    admin: String,
    program: PathBuf,
}

impl Operator {
    /// Starts the operator for this cluster and this stand-in of CXone; log and audit record go to files in `folder`.
    ///
    /// # Errors
    /// Where no process can be started.
    pub fn start(program: &Path, kubeconfig: &Path, cxone: &str, folder: &Path) -> Result<Self> {
        let admin = format!("127.0.0.1:{}", free_port()?);
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "operator"]).arg(folder.join("operator.log")).arg(program);
        command.args(["run", "--admin-addr", &admin, "--allow-endpoint", cxone, "--audit-log"]);
        command.arg(folder.join("audit.jsonl"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_a_setting(name)) {
            command.env_remove(name);
        }
        command
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // Ctrl-C on the terminal is for us to act on.
        let mut watchdog = command.process_group(0).spawn().context("can't start /bin/sh")?;
        let lifeline = watchdog.stdin.take();
        let watchdog = Mutex::new(watchdog);
        Ok(Self {
            watchdog,
            lifeline,
            folder: folder.to_owned(),
            admin: format!("http://{admin}"),
            program: program.to_owned(),
        })
    }

    /// Where it serves `/readyz` and `/metrics`.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn check(&self) -> Result<()> {
        match self.watchdog.lock().unwrap_or_else(PoisonError::into_inner).try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the operator has ended by itself ({status})"),
        }
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        devcluster::tail(&self.folder.join("operator.log"), SHOWN)
    }

    /// Runs another command of its program as a person does, shown with what it prints. Gives whether it ended well, and what it
    /// printed.
    ///
    /// # Errors
    /// Where it can't be started.
    pub fn show(&self, args: &[&str]) -> Result<(bool, String)> {
        tell::command(&format!("dialer-operator {}", args.join(" ")));
        let mut command = Command::new(&self.program);
        let answer = command
            .args(args)
            .current_dir(&self.folder)
            .output()
            .context("can't run the operator's program")?;
        let said = [answer.stdout, answer.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        tell::output(&said);
        Ok((answer.status.success(), said))
    }

    /// The lines of its audit record.
    pub fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.join("audit.jsonl")).unwrap_or_default();
        // The newest line may not be complete yet.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // Nobody is left to tell.
        let _ = self.watchdog.get_mut().unwrap_or_else(PoisonError::into_inner).wait();
    }
}

/// Settings of the user's own shell must not change what the demo shows.
fn is_a_setting(variable: &std::ffi::OsStr) -> bool {
    variable.to_string_lossy().starts_with("DIALER_")
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", ADMIN_PORT)).or_else(|_| TcpListener::bind("127.0.0.1:0"));
    Ok(listener.context("no free port on 127.0.0.1")?.local_addr()?.port())
}
