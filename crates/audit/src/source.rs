//! Where lines go, and how it is opened.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::names;
use crate::rotation::Rotation;
use crate::tail::Begin;

type Opener = Box<dyn Fn() -> io::Result<File> + Send>;

/// Where lines go.
pub(crate) enum Source {
    File { path: PathBuf, rotation: Rotation },
    Stream(Opener),
}

/// It is open for appending.
pub(crate) struct Opened {
    pub file: File,
    /// Absent for a stream: a pipe, a terminal, a device.
    pub regular: Option<Regular>,
    /// Whether the chain goes on in it.
    pub begun: bool,
}

/// A file on a disk.
pub(crate) struct Regular {
    /// Where it really is.
    pub path: PathBuf,
    pub size: u64,
    pub begin: Option<Begin>,
}

impl Source {
    /// Opens it; a file for this process alone.
    pub fn open(&self) -> io::Result<Opened> {
        let stream = |file| Opened { file, regular: None, begun: false };
        match self {
            Self::Stream(opener) => opener().map(stream),
            // Nothing is read from a device or a pipe.
            Self::File { path, .. } if fs::metadata(path).is_ok_and(|meta| !meta.is_file()) => {
                OpenOptions::new().append(true).open(path).map(stream)
            }
            Self::File { path, .. } => {
                let file = open_regular(path)?;
                // A rename moves a link, not what it leads to.
                let path = fs::canonicalize(path)?;
                let size = file.metadata()?.len();
                Ok(Opened { file, regular: Some(Regular { path, size, begin: None }), begun: false })
            }
        }
    }
}

impl Opened {
    /// Whether the path still leads to it.
    pub fn is_in_place(&self) -> bool {
        self.regular.as_ref().is_none_or(|regular| is_at(&self.file, &regular.path))
    }

    /// Takes away what came of a line that could not be written, which its writer still has: a full disk would leave many such
    /// parts. What is not certain to be one stays, and is set aside when the file is opened anew.
    pub fn take_back(&self, line: &[u8]) {
        let Some(regular) = &self.regular else { return };
        let mut part = vec![0; line.len() + 1];
        if let Ok(length) = self.file.read_at(&mut part, regular.size)
            && line.starts_with(&part[..length])
        {
            let _ = self.file.set_len(regular.size);
        }
    }

    /// Whether there is a disk to wait for.
    pub fn lasts(&self) -> bool {
        self.regular.is_some() || self.file.metadata().is_ok_and(|meta| meta.is_file())
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // Closing alone would leave the lock to a process that another thread is just about to start.
        let _ = self.file.unlock();
    }
}

/// How a file is made: for the operator and, to be read, its group. The record tells who may call whom and when.
pub(crate) const MODE: u32 = 0o640;

/// Opens a file, which is made where there is none, for this process alone.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).read(true).mode(MODE).open(path)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Err(taken(path)),
        // Some file systems know no locks; a record without one is better than none.
        Ok(()) | Err(TryLockError::Error(_)) => {}
    }
    if !is_at(&file, path) {
        return Err(taken(path));
    }
    names::sync_folder(path)?;
    Ok(file)
}

fn taken(path: &Path) -> io::Error {
    let why = format!(
        "another process writes {}: give each operator a file of its own, or end the other one first",
        path.display()
    );
    io::Error::new(io::ErrorKind::ResourceBusy, why)
}

fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(mine), Ok(there)) = (file.metadata(), fs::metadata(path)) else { return false };
    (mine.dev(), mine.ino()) == (there.dev(), there.ino())
}
