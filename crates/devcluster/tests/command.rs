//! The command, as people and scripts run it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use devcluster::assets::{ETCD, KUBE_APISERVER};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{is_alive, wait_until};
use tempfile::TempDir;

/// A cache folder of the test's own, and the programs by way of `KUBEBUILDER_ASSETS`.
struct House(TempDir);

impl House {
    fn new() -> Self {
        let house = Self(tempfile::tempdir().unwrap());
        fs::create_dir(house.assets()).unwrap();
        for asset in [&ETCD, &KUBE_APISERVER] {
            symlink(fs::canonicalize(asset.path().unwrap()).unwrap(), house.assets().join(asset.name))
                .unwrap();
        }
        house
    }

    fn assets(&self) -> PathBuf {
        self.0.path().join("assets")
    }

    fn devcluster(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_devcluster"));
        command.args(arguments).env("XDG_CACHE_HOME", self.0.path()).env("KUBEBUILDER_ASSETS", self.assets());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.devcluster(arguments).output().unwrap()
    }

    /// A cluster in the foreground, once it serves.
    fn up(&self, name: &str) -> Child {
        let mut holder = self.devcluster(&["up", "--name", name]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("export KUBECONFIG="), "{line}");
        holder
    }

    fn record(&self, name: &str) -> Record {
        let path = self.0.path().join("dialer-operator/devcluster/clusters").join(name).join("cluster.json");
        let record: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let pids = record["pids"].as_array().unwrap().iter().map(|pid| pid.as_i64().unwrap() as i32);
        Record { pids: pids.collect(), folder: record["folder"].as_str().unwrap().into() }
    }
}

struct Record {
    pids: Vec<i32>,
    folder: PathBuf,
}

impl Record {
    fn is_gone(&self) -> bool {
        !self.folder.exists() && !self.pids.iter().any(|pid| is_alive(*pid))
    }
}

fn send(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_holder_that_is_killed_takes_its_servers_with_it_even_a_frozen_one() {
    let house = House::new();
    let mut holder = house.up("doomed");
    let record = house.record("doomed");
    assert!(!record.is_gone());
    send(record.pids[1], Signal::STOP);

    // The standard library kills by SIGKILL.
    holder.kill().unwrap();
    holder.wait().unwrap();
    wait_until("servers and folder are gone", || record.is_gone());

    assert!(stdout(&house.run(&["status"])).contains("doomed: was killed"));
    let cleared = house.run(&["down", "--name", "doomed"]);
    assert!(cleared.status.success());
    assert!(stderr(&cleared).contains("was killed before"));
    assert_eq!(stdout(&house.run(&["status"])), "");
}

#[test]
fn a_holder_that_is_asked_to_end_leaves_nothing() {
    let house = House::new();
    let mut holder = house.up("polite");
    let record = house.record("polite");
    send(holder.id() as i32, Signal::INT);
    assert!(holder.wait().unwrap().success());
    assert!(record.is_gone());
    assert_eq!(stdout(&house.run(&["status"])), "");
}

#[test]
fn a_detached_cluster_runs_until_it_is_taken_down() {
    let house = House::new();
    let up = house.run(&["up", "--detach"]);
    assert!(up.status.success(), "{}", stderr(&up));
    let export = stdout(&up);
    let kubeconfig = export.trim_end().strip_prefix("export KUBECONFIG=").unwrap();
    assert!(fs::read_to_string(kubeconfig).unwrap().contains("certificate-authority-data"));
    assert!(stdout(&house.run(&["status"])).contains(kubeconfig));

    let second = house.run(&["up", "--detach"]);
    assert!(!second.status.success());
    assert!(stderr(&second).contains("cluster default runs already"), "{}", stderr(&second));

    let record = house.record("default");
    let down = house.run(&["down"]);
    assert!(down.status.success(), "{}", stderr(&down));
    assert!(record.is_gone());

    let again = house.run(&["down"]);
    assert!(!again.status.success());
    assert!(stderr(&again).contains("no cluster default runs"), "{}", stderr(&again));
}

#[test]
fn a_detached_cluster_that_does_not_start_says_why() {
    let house = House::new();
    fs::remove_file(house.assets().join("etcd")).unwrap();
    symlink("/bin/false", house.assets().join("etcd")).unwrap();
    let up = house.run(&["up", "--detach"]);
    assert!(!up.status.success());
    assert!(stderr(&up).contains("etcd has ended by itself"), "{}", stderr(&up));
}

#[test]
fn build_prints_the_paths_of_what_is_there() {
    let house = House::new();
    let built = house.run(&["build", "etcd"]);
    assert_eq!(stdout(&built).trim_end(), house.assets().join("etcd").display().to_string());
    let unknown = house.run(&["build", "no-such-program"]);
    assert!(stderr(&unknown).contains("there are kube-apiserver, etcd, kubectl"), "{}", stderr(&unknown));
}
