//! The files of the image as the only ones that a process sees, and that process as the only one, as the image's user.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::built::ONCE;

const USER: &str = "65532";

/// A root folder with the image's files, and what a cluster mounts into it.
pub struct Container {
    root: TempDir,
    logs: TempDir,
}

impl Container {
    /// What `make image` has written.
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        ONCE.unpack(root.path());
        Self { root, logs: tempfile::tempdir().unwrap() }
    }

    /// Writes a file as a kubelet does; the process may only read it.
    pub fn mount(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), Permissions::from_mode(0o644)).unwrap();
    }

    /// Appends to a file of the image.
    pub fn append(&self, name: &str, text: &str) {
        let before = fs::read_to_string(self.path(name)).unwrap();
        fs::write(self.path(name), before + text).unwrap();
    }

    /// A file of it, from outside.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Every file, by name.
    pub fn files(&self) -> Vec<PathBuf> {
        fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                }
                found.push(path);
            }
        }
        let mut found = vec![];
        walk(self.root.path(), &mut found);
        found.sort();
        found
    }

    /// The operator in there: process 1 of its own, and no user that owns a file.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        // Who is not root becomes that user in a namespace of users.
        let as_user: &[&str] = match rustix::process::geteuid().is_root() {
            true => &["--setgid", USER, "--setuid", USER],
            false => &["--map-user", USER, "--map-group", USER],
        };
        command.args(as_user).args(["--pid", "--fork", "--kill-child", "--root"]).arg(self.root.path());
        command.args(["--wd", "/", "--", "/dialer-operator"]).args(args).env_clear();
        command.env("KUBECONFIG", "/kubeconfig");
        command
    }

    /// Runs it to its end, and gives what it printed.
    pub fn prints(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("unshare, of util-linux");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "root or a namespace of users is needed to enter an image: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts it.
    pub fn start(&self, args: &[&str]) -> Running {
        let mut command = self.command(args);
        let log = |name| File::options().create(true).append(true).open(self.logs.path().join(name)).unwrap();
        command.stdin(Stdio::null()).stdout(log("stdout")).stderr(log("stderr"));
        Running(command.spawn().expect("unshare, of util-linux"))
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.logs.path().join("stderr")).unwrap_or_default()
    }
}

/// The process in the container.
pub struct Running(Child);

impl Running {
    /// Process 1, as it is seen from here: the one child of `unshare`.
    fn id(&self) -> String {
        let id = self.0.id();
        fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap().trim().to_owned()
    }

    /// Ends it as a cluster does, by SIGTERM, which a process 1 gets only if it asks for it; gives whether it ended well.
    pub fn stop(mut self) -> bool {
        assert!(Command::new("kill").args(["-TERM", &self.id()]).status().unwrap().success());
        self.0.wait().unwrap().success()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What it has started ends with it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
