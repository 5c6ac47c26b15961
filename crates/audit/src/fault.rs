//! What can be wrong with a record, in words.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::CHAIN_OPENED;
use crate::chain::Head;
use crate::reader::LineFault;

/// What is wrong, and where.
#[derive(Debug, Serialize, thiserror::Error)]
#[error("{}{}: {fault}", file.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct FaultAt {
    /// In which file.
    pub file: PathBuf,
    /// In which line, from 1; absent where it is the file as a whole.
    pub line: Option<u64>,
    /// What.
    #[serde(serialize_with = "in_words")]
    pub fault: Box<Fault>,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file can't be read.
    #[error("it can't be read: {0}")]
    Unreadable(#[from] io::Error),
    /// There is nothing to verify.
    #[error("there is no line in any of the files")]
    Nothing,
    /// The line is none.
    #[error("the line {0}")]
    Line(LineFault),
    /// The last line has no end.
    #[error(
        "the line has no end ({0} bytes): it is being written just now, or torn by a crash that the operator has not noted yet"
    )]
    Torn(u64),
    /// It does not follow the line before.
    #[error("expected line {} of chain {} after {}; found line {} of chain {}: lines were dropped, put in or moved",
            before.seq + 1, before.chain, before.hash, found.seq, found.chain)]
    Order {
        /// The line before.
        before: Head,
        /// This line.
        found: Head,
    },
    /// It names another line as the one before.
    #[error("expected the line after {before}; found one that follows {}", shown(*.found))]
    Other {
        /// The line before.
        before: Head,
        /// What it follows.
        found: Option<Head>,
    },
    /// A chain that does not begin with its opening, or an opening in the middle of one.
    #[error("expected {CHAIN_OPENED} as the first line of a chain and nowhere else")]
    Opening,
    /// What comes before is not there.
    #[error(
        "it follows {0}, with which none of the files ends: lines or a file before it are missing (where they were \
             verified earlier, `--after {0}`)"
    )]
    Missing(Head),
    /// It begins anew, although something is to come before it.
    #[error("expected the line after {}; found the beginning of another record", shown(*.0))]
    Anew(Option<Head>),
    /// Two files go on from the same line.
    #[error("it follows {0}, as another of the files does: only one can")]
    Fork(Head),
    /// Two files end with the same line.
    #[error("it ends with {0}, as another of the files does: is it a copy?")]
    Copy(Head),
    /// A line that must be there is another one.
    #[error("expected the line {0}; its hash is {1}")]
    HeadDiffers(Head, crate::Hash),
    /// A line that must be there is not.
    #[error(
        "expected the line {0}; the record ends with {1}: lines are missing at its end, or it is another record"
    )]
    HeadMissing(Head, Head),
}

fn in_words<S: Serializer>(fault: &Fault, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(fault)
}

fn shown(head: Option<Head>) -> String {
    head.map_or_else(|| "no line at all".to_owned(), |head| head.to_string())
}

pub(crate) fn at(file: &Path, line: Option<u64>, fault: Fault) -> FaultAt {
    FaultAt { file: file.to_owned(), line, fault: Box::new(fault) }
}
