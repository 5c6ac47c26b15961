//! Builds by the command, with a stand-in for `go`: what matters here is what is done around it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use support::{is_alive, wait_until};
use tempfile::TempDir;

/// Becomes a build that never ends, and says its process id in the folder above its own.
const ENDLESS: &str = "echo $$ > ../../building; exec sleep 600";

/// An empty cache folder, and a `go` of the test's own.
struct House(TempDir);

impl House {
    /// `build` is what the stand-in does on `go build`.
    fn new(build: &str) -> Self {
        Self::with_go(&format!("[ \"$1\" = env ] && exit 0\n{build}"))
    }

    fn with_go(script: &str) -> Self {
        let house = Self(tempfile::tempdir().unwrap());
        let go = house.0.path().join("go");
        fs::write(&go, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&go, fs::Permissions::from_mode(0o755)).unwrap();
        house
    }

    fn build_etcd(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_devcluster"));
        let path = format!("{}:{}", self.0.path().display(), std::env::var("PATH").unwrap());
        command.args(["build", "etcd"]).env("XDG_CACHE_HOME", self.0.path()).env("PATH", path);
        command.env_remove("KUBEBUILDER_ASSETS");
        command
    }

    fn run(&self) -> Output {
        self.build_etcd().output().unwrap()
    }

    /// A build that is under way, and the process id of its `go`.
    fn start_endless(&self) -> (Child, i32) {
        let builder = self.build_etcd().stderr(Stdio::null()).spawn().unwrap();
        let building = self.cache().join("building");
        let pid = || fs::read_to_string(&building).ok()?.trim().parse().ok();
        wait_until("go builds", || pid().is_some());
        (builder, pid().unwrap())
    }

    fn cache(&self) -> PathBuf {
        self.0.path().join("dialer-operator/devcluster")
    }

    /// The names of all that lies in the cache folder of etcd.
    fn cached(&self) -> Vec<String> {
        let folders = fs::read_dir(self.cache()).unwrap().flatten().filter(|entry| entry.path().is_dir());
        let files = folders.flat_map(|folder| fs::read_dir(folder.path()).unwrap().flatten());
        let mut names: Vec<String> = files.map(|file| file.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_finished_build_is_kept_and_nothing_else() {
    let house = House::new("echo program > etcd");
    assert!(house.run().status.success());
    assert_eq!(house.cached(), ["etcd", "lock"]);
}

#[test]
fn a_killed_build_leaves_neither_processes_nor_files() {
    let house = House::new(ENDLESS);
    let (mut builder, go) = house.start_endless();
    builder.kill().unwrap();
    builder.wait().unwrap();
    wait_until("go has ended and its files are gone", || !is_alive(go) && house.cached() == ["lock"]);
}

#[test]
fn who_waits_for_the_build_of_another_says_so() {
    let house = House::new(ENDLESS);
    let (mut builder, _) = house.start_endless();
    let mut waiter = house.build_etcd().stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(waiter.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("waiting for etcd, which another process"), "{line}");
    for child in [&mut waiter, &mut builder] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn a_failed_build_shows_what_go_said_and_leaves_nothing() {
    let house = House::new("echo 'module lookup disabled'; exit 1");
    let built = house.run();
    assert!(!built.status.success());
    assert!(stderr(&built).contains("module lookup disabled"), "{}", stderr(&built));
    assert_eq!(house.cached(), ["lock"]);
}

#[test]
fn without_go_it_is_said_what_to_do() {
    let house = House::new("");
    let built = house.build_etcd().env("PATH", "/no/such/folder").output().unwrap();
    assert!(!built.status.success());
    assert!(stderr(&built).contains("no `go` on PATH: install it"), "{}", stderr(&built));
}

#[test]
fn with_a_go_that_is_too_old_it_is_said_what_to_do() {
    let house = House::with_go("echo 'go: go.mod requires go >= 1.26.0 (running go 1.20)' >&2; exit 1");
    let built = house.run();
    assert!(!built.status.success());
    let said = stderr(&built);
    assert!(said.contains("requires go >= 1.26.0") && said.contains("Install a newer Go"), "{said}");
}
