//! An append-only record of JSON lines. Each line names the hash of the one before and carries its own, so that a line that was
//! changed, dropped, put in or moved is found. `docs/audit.md` tells the format.
//!
//! `chain` seals lines; `reader` takes them apart; `verify` holds files against their chains, and `fault` says what is wrong;
//! `filter` finds lines; `log` keeps a chain in a `source`, a file or a stream, with the help of `tail`, `names` and `rotation`.
//! Nothing here knows what the lines tell of.

mod chain;
mod fault;
mod filter;
mod hash;
mod log;
mod names;
mod reader;
mod rotation;
mod source;
mod tail;
mod verify;

pub use chain::{Head, HeadError, MAX_RECORD, Record, RecordError, Sealed, seal};
pub use fault::{Fault, FaultAt};
pub use filter::{Filter, cells, instant};
pub use hash::{Hash, HashError};
pub use log::{About, Log};
pub use names::newest_rotated;
pub use reader::{Line, LineFault, Lines, MAX_LINE, RawLine, parse};
pub use rotation::{Rotation, age, size};
pub use verify::{Notes, Request, Scan, Verified, scan, verify};

/// The first line of a chain.
pub const CHAIN_OPENED: &str = "CHAIN_OPENED";
/// Lines before this one were given up, since they could not be written.
pub const LINES_LOST: &str = "LINES_LOST";
/// A line that was written in part was set aside.
pub const TORN_LINE: &str = "TORN_LINE";
/// A file whose end is no line of this format was set aside whole.
pub const FILE_SET_ASIDE: &str = "FILE_SET_ASIDE";
