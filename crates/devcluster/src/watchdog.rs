use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

const SCRIPT: &str = include_str!("watchdog.sh");

/// A command that runs `program` under a watchdog: when this process ends, in whatever way, `program` is
/// killed and `folder` removed. What `program` prints is appended to the file `log`. Add the program's
/// arguments, environment and working directory to it, then [`Watched::spawn`] it.
pub(crate) fn watched(program: &Path, folder: &Path, log: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SCRIPT, "watchdog"]).args([folder, log, program]);
    command
}

/// A program that runs under a watchdog. Dropping it kills the program and removes the folder.
#[derive(Debug)]
pub(crate) struct Watched {
    /// Behind a lock so that a signal can be sent, and a state asked for, through a shared reference.
    watchdog: Mutex<Child>,
    /// The watchdog ends everything when this closes, which the kernel does for us if we are killed.
    lifeline: Option<ChildStdin>,
    program: Pid,
}

impl Watched {
    /// Starts a command made by [`watched`].
    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        let mut watchdog = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C on the terminal is for us to act on.
            .process_group(0)
            .spawn()
            .context("can't start /bin/sh, which devcluster needs")?;
        let lifeline = watchdog.stdin.take();
        let program = read_pid(&mut watchdog)?;
        Ok(Self { watchdog: Mutex::new(watchdog), lifeline, program })
    }

    /// The process id of the program itself, not of its watchdog.
    pub(crate) const fn pid(&self) -> Pid {
        self.program
    }

    /// How the program ended, if it has.
    pub(crate) fn exited(&self) -> Result<Option<ExitStatus>> {
        let mut watchdog = self.watchdog.lock().unwrap_or_else(PoisonError::into_inner);
        watchdog.try_wait().context("can't ask for the state of a child process")
    }

    /// Waits until the program ends by itself.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        let watchdog = self.watchdog.get_mut().unwrap_or_else(PoisonError::into_inner);
        watchdog.wait().context("can't wait for a child process")
    }

    /// Sends the program a signal. An error if it has ended: its id may belong to another process by now.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        ensure!(self.exited()?.is_none(), "the process has ended");
        kill_process(self.program, signal).context("can't send a signal to a child process")
    }

    /// Lets the watchdog kill the program and remove the folder, without waiting for it.
    pub(crate) fn let_go(&mut self) {
        drop(self.lifeline.take());
    }

    /// Kills the program, and returns when it has ended and the folder is removed.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.let_go();
        self.wait().map(drop)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Nobody is left to tell, and the watchdog does its work without being waited for.
        let _ = self.end();
    }
}

fn read_pid(watchdog: &mut Child) -> Result<Pid> {
    let stdout = watchdog.stdout.take().context("the watchdog has no stdout")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).context("can't read from the watchdog")?;
    line.trim()
        .parse()
        .ok()
        .and_then(Pid::from_raw)
        .with_context(|| format!("no process id from the watchdog: {line:?}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_program_that_ends_by_itself_gives_its_status_and_its_folder_stays() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut command = watched(Path::new("/bin/sh"), folder.path(), &log);
        let mut program = Watched::spawn(command.args(["-c", "echo said; exit 3"])).unwrap();
        assert_eq!(program.wait().unwrap().code(), Some(3));
        assert_eq!(fs::read_to_string(&log).unwrap(), "said\n");
        assert!(program.signal(Signal::STOP).is_err());
    }

    #[test]
    fn a_stopped_program_is_killed_and_its_folder_removed() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut program =
            Watched::spawn(watched(Path::new("/bin/sleep"), folder.path(), &log).arg("600")).unwrap();
        let pid = program.pid();
        program.signal(Signal::STOP).unwrap();
        program.end().unwrap();
        assert!(rustix::process::test_kill_process(pid).is_err());
        assert!(!folder.path().exists());
    }

    #[test]
    fn a_parent_that_is_killed_before_it_hears_the_process_id_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let (reader, deaf) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = watched(Path::new("/bin/sleep"), folder.path(), &log);
        let mut watchdog = command.arg("600").stdin(Stdio::piped()).stdout(deaf).spawn().unwrap();
        // Closes the lifeline too.
        assert!(watchdog.wait().unwrap().success());
        assert!(!folder.path().exists());
    }

    #[test]
    fn a_program_that_does_not_exist_is_told_in_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut program =
            Watched::spawn(&mut watched(Path::new("/no/such/program"), folder.path(), &log)).unwrap();
        assert_eq!(program.wait().unwrap().code(), Some(127));
        assert!(fs::read_to_string(&log).unwrap().contains("/no/such/program"));
    }
}
