//! Clusters that go by a name, so that another command can find and end them.
//!
//! Each name has a folder with the file `holder`, which the process that holds the cluster keeps locked and
//! has written its process id to, and, once the cluster serves, `cluster.json` and a copy of its kubeconfig. A
//! holder that is killed loses the lock, so a stale folder is known as one even if its process id is in use
//! again.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use devcluster::Cluster;
use devcluster::assets::Places;
use serde::{Deserialize, Serialize};

/// A name that is safe as the name of a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if text.is_empty() || text.len() > 63 || text.starts_with('-') || !text.chars().all(allowed) {
            return Err("use 1 to 63 lower-case letters, digits and dashes, no dash at the start".into());
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What others need to know of a cluster that serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Where the API server listens.
    pub server: String,
    /// The folder with data and logs.
    pub folder: PathBuf,
    /// The process ids of etcd and of kube-apiserver.
    pub pids: [i32; 2],
}

/// How it stands with a name.
#[derive(Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody holds a cluster, and nothing of one is left.
    Free,
    /// The holder ended without cleaning up.
    Stale,
    /// This process is about to have a cluster.
    Starting(i32),
    /// This process holds a cluster that serves.
    Serving(i32, Record),
}

/// The folder of a name.
#[derive(Debug)]
pub struct Named {
    folder: PathBuf,
}

/// The right to hold the cluster of a name, for as long as this lives.
#[derive(Debug)]
pub struct Claim<'a> {
    named: &'a Named,
    _lock: File,
}

impl Named {
    /// The folder of `name`, whether or not there is a cluster.
    pub fn open(name: &Name) -> Result<Self> {
        Ok(Self { folder: root()?.join(&name.0) })
    }

    /// All names that were ever used, in order.
    pub fn all() -> Result<Vec<Name>> {
        let root = root()?;
        let entries = match fs::read_dir(&root) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.with_context(|| format!("can't read {}", root.display()))?,
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut names: Vec<Name> = names.collect();
        names.sort();
        Ok(names)
    }

    /// The kubeconfig, at a path that stays the same over restarts.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// What a holder in the background has said.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Creates the folder.
    pub fn create(&self) -> Result<()> {
        fs::create_dir_all(&self.folder).with_context(|| format!("can't create {}", self.folder.display()))
    }

    /// How it stands.
    pub fn state(&self) -> Result<State> {
        let mut holder = match File::open(self.holder()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(State::Free),
            holder => holder.with_context(|| format!("can't read {}", self.holder().display()))?,
        };
        match holder.try_lock_shared() {
            Ok(()) if self.record_file().exists() => return Ok(State::Stale),
            Ok(()) => return Ok(State::Free),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error).context("can't ask for a lock"),
        }
        let mut pid = String::new();
        holder.read_to_string(&mut pid)?;
        let pid = pid
            .trim()
            .parse()
            .with_context(|| format!("no process id in {}: try again", self.holder().display()))?;
        Ok(self.record().map_or(State::Starting(pid), |record| State::Serving(pid, record)))
    }

    /// Takes the name, and clears what a holder that was killed has left.
    pub fn claim(&self) -> Result<Claim<'_>> {
        self.create()?;
        let path = self.holder();
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let mut file = file.with_context(|| format!("can't write {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another process holds it"),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("can't lock {}", path.display()));
            }
        }
        self.clear();
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Claim { named: self, _lock: file })
    }

    /// The record of the last cluster, if it was not cleared.
    pub fn record(&self) -> Option<Record> {
        serde_json::from_slice(&fs::read(self.record_file()).ok()?).ok()
    }

    /// Removes what tells of a cluster. The locked file stays: to remove it while another process waits for it
    /// would let two hold the name.
    fn clear(&self) {
        for file in [self.record_file(), self.kubeconfig()] {
            // What is not there needs no removal.
            let _ = fs::remove_file(file);
        }
    }

    fn holder(&self) -> PathBuf {
        self.folder.join("holder")
    }

    fn record_file(&self) -> PathBuf {
        self.folder.join("cluster.json")
    }
}

impl Claim<'_> {
    /// Tells others that the cluster serves.
    pub fn publish(&self, cluster: &Cluster) -> Result<()> {
        let record = Record {
            server: cluster.server_url().into(),
            folder: cluster.folder().into(),
            pids: cluster.pids(),
        };
        write_private(&self.named.kubeconfig(), &fs::read(cluster.kubeconfig())?)?;
        write_private(&self.named.record_file(), &serde_json::to_vec_pretty(&record)?)
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.named.clear();
    }
}

/// Writes a file for its owner's eyes, which others see complete or not at all.
fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let unfinished = path.with_extension("unfinished");
    // A file of that name keeps its mode when opened anew.
    let _ = fs::remove_file(&unfinished);
    let written = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&unfinished)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(&unfinished, path));
    written.with_context(|| format!("can't write {}", path.display()))
}

fn root() -> Result<PathBuf> {
    Ok(Places::from_env()?.cache.join("clusters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record { server: "https://127.0.0.1:1".into(), folder: "/gone".into(), pids: [1, 2] }
    }

    #[test]
    fn a_name_can_be_held_once_and_again_after_it_is_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let named = Named { folder: folder.path().join("default") };
        assert_eq!(named.state().unwrap(), State::Free);
        let claim = named.claim().unwrap();
        assert!(named.claim().is_err());
        assert_eq!(named.state().unwrap(), State::Starting(std::process::id().try_into().unwrap()));
        drop(claim);
        assert_eq!(named.state().unwrap(), State::Free);
        named.claim().unwrap();
    }

    #[test]
    fn what_a_killed_holder_left_is_stale_and_does_not_stand_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let named = Named { folder: folder.path().to_owned() };
        drop(named.claim().unwrap());
        write_private(&named.record_file(), &serde_json::to_vec(&record()).unwrap()).unwrap();
        assert_eq!(named.state().unwrap(), State::Stale);
        assert_eq!(named.record(), Some(record()));
        let _claim = named.claim().unwrap();
        assert_eq!(named.record(), None);
    }

    #[test]
    fn a_name_is_safe_as_the_name_of_a_folder() {
        for good in ["default", "a", "demo-2"] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "..", "a/b", "-a", "A", "ä", &"a".repeat(64)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }
}
