//! Reading: bytes into lines, and one line into its parts. Nothing that stands in a file makes this panic or grow without bound.

use std::io::{self, BufRead};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::chain::{HASH_MEMBER, Head, prefix};
use crate::hash::Hash;

/// No line is longer, its end included.
pub const MAX_LINE: usize = 1024 * 1024;

/// A line that is whole and unchanged.
#[derive(Clone, Debug)]
pub struct Line {
    /// By which the next line names it.
    pub head: Head,
    /// The hash of the line before; absent on the first.
    pub prev: Option<Hash>,
    /// What it tells.
    pub record: Map<String, Value>,
}

/// Why a line is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// It is longer than any line.
    #[error("is longer than {MAX_LINE} bytes")]
    TooLong,
    /// It ends as on another system.
    #[error("ends in CR LF: the file was rewritten by something that changes line ends")]
    CarriageReturn,
    /// It is not text.
    #[error("is not UTF-8 from byte {0} on")]
    NotUtf8(usize),
    /// It is empty.
    #[error("is empty")]
    Empty,
    /// It does not end in its hash.
    #[error("does not end in the member `hash`: no line of an audit log, or cut")]
    NoHash,
    /// It is not JSON.
    #[error("is no JSON object of an audit log: {0}")]
    NotJson(String),
    /// It does not begin as sealed.
    #[error("does not begin with `chain`, `seq` and `prev` as they are written")]
    NotCanonical,
    /// Its bytes are not those that were sealed.
    #[error("is changed: it carries the hash {carried}, its bytes give {found}")]
    Changed {
        /// The hash in the line.
        carried: Hash,
        /// The hash of the line.
        found: Hash,
    },
}

#[derive(Deserialize)]
struct Members {
    chain: Uuid,
    seq: u64,
    prev: String,
    #[serde(rename = "hash")]
    _hash: String,
    #[serde(flatten)]
    record: Map<String, Value>,
}

impl Line {
    /// A member of the record, where it is a text.
    pub fn text(&self, member: &str) -> Option<&str> {
        self.record.get(member)?.as_str()
    }

    /// When it was told.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.text("timestamp")?.parse().ok()
    }
}

/// Takes a line, without its end, apart, and proves that it is as it was sealed.
///
/// # Errors
/// Where it is not.
pub fn parse(line: &[u8]) -> Result<Line, LineFault> {
    if line.len() >= MAX_LINE {
        return Err(LineFault::TooLong);
    }
    if line.is_empty() {
        return Err(LineFault::Empty);
    }
    if line.ends_with(b"\r") {
        return Err(LineFault::CarriageReturn);
    }
    let text = std::str::from_utf8(line).map_err(|error| LineFault::NotUtf8(error.valid_up_to()))?;
    let (sealed, carried) = split_hash(line).ok_or(LineFault::NoHash)?;
    let members: Members =
        serde_json::from_str(text).map_err(|error| LineFault::NotJson(error.to_string()))?;
    let found = Hash::of(&[sealed, b"}"]);
    if found != carried {
        return Err(LineFault::Changed { carried, found });
    }
    let Members { chain, seq, prev, record, .. } = members;
    let prev = match (seq, prev.as_str()) {
        (0, "") => None,
        // No line could follow the one with the last number.
        (1.., hash) if seq < u64::MAX => Some(hash.parse().map_err(|_| LineFault::NotCanonical)?),
        _ => return Err(LineFault::NotCanonical),
    };
    if !text.strip_prefix(&prefix(chain, seq, prev)).is_some_and(|rest| rest.starts_with(',')) {
        return Err(LineFault::NotCanonical);
    }
    Ok(Line { head: Head { chain, seq, hash: carried }, prev, record })
}

/// What the hash is of, but for the closing brace, and the hash.
fn split_hash(line: &[u8]) -> Option<(&[u8], Hash)> {
    let rest = line.strip_suffix(b"\"}")?;
    let (rest, hash) = rest.split_at(rest.len().checked_sub(64)?);
    let sealed = rest.strip_suffix(HASH_MEMBER)?;
    Some((sealed, std::str::from_utf8(hash).ok()?.parse().ok()?))
}

/// The bytes of one line, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawLine {
    /// A whole line.
    Whole(Vec<u8>),
    /// What follows the last line end: that many bytes.
    Torn(u64),
    /// More bytes than a line may have; the rest of it is passed over.
    TooLong,
}

/// The lines of a file, one after the other, in bounded memory.
pub struct Lines<R> {
    from: R,
}

impl<R: BufRead> Lines<R> {
    /// The lines of this.
    pub fn new(from: R) -> Self {
        Self { from }
    }

    fn read(&mut self) -> io::Result<Option<RawLine>> {
        let mut line = Vec::new();
        let mut length: u64 = 0;
        loop {
            let buffer = match self.from.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if buffer.is_empty() {
                return Ok((length > 0).then_some(RawLine::Torn(length)));
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let part = &buffer[..end.unwrap_or(buffer.len())];
            length += part.len() as u64;
            let keeps = length < MAX_LINE as u64;
            if keeps {
                line.extend_from_slice(part);
            } else {
                line = Vec::new();
            }
            let taken = part.len() + usize::from(end.is_some());
            self.from.consume(taken);
            if end.is_some() {
                return Ok(Some(if keeps { RawLine::Whole(line) } else { RawLine::TooLong }));
            }
        }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<RawLine>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::chain::{Record, seal};

    fn line() -> Vec<u8> {
        let first = seal(Uuid::nil(), None, &Record::of(&json!({"event": "A"})).unwrap());
        let mut second =
            seal(Uuid::nil(), Some(&first.head), &Record::of(&json!({"event": "é"})).unwrap()).bytes;
        second.pop();
        second
    }

    #[test]
    fn a_line_that_none_could_follow_is_none() {
        let before = |seq| Head { chain: Uuid::nil(), seq, hash: Hash::of(&[]) };
        let numbered = |seq: u64| {
            let mut line =
                seal(Uuid::nil(), Some(&before(seq - 1)), &Record::of(&json!({"event": "A"})).unwrap()).bytes;
            line.pop();
            parse(&line).map(|line| line.head.seq)
        };
        assert_eq!(numbered(u64::MAX - 1), Ok(u64::MAX - 1));
        assert_eq!(numbered(u64::MAX), Err(LineFault::NotCanonical));
    }

    #[test]
    fn a_sealed_line_is_read_back() {
        let read = parse(&line()).unwrap();
        assert_eq!((read.head.seq, read.text("event")), (1, Some("é")));
        assert!(read.prev.is_some());
    }

    #[test]
    fn every_byte_of_a_line_counts() {
        let line = line();
        for at in 0..line.len() {
            for change in [b'x', b'0', b' ', 0xff] {
                let mut other = line.clone();
                other[at] = change;
                assert!(other == line || parse(&other).is_err(), "byte {at} became {change}");
            }
            assert!(parse(&line[..at]).is_err(), "cut at {at}");
            let mut longer = line.clone();
            longer.insert(at, b' ');
            assert!(parse(&longer).is_err(), "a blank at {at}");
        }
    }

    #[test]
    fn a_line_with_a_good_hash_that_does_not_begin_as_sealed_is_none() {
        let chain = Uuid::nil();
        for begins in [
            format!("{{\"seq\":0,\"chain\":\"{chain}\",\"prev\":\"\",\"event\":\"E\""),
            format!("{{\"chain\":\"{chain}\",\"seq\":0, \"prev\":\"\",\"event\":\"E\""),
            format!("{{\"chain\":\"{chain}\",\"seq\":0,\"prev\":\"{}\",\"event\":\"E\"", "0".repeat(64)),
            format!("{{\"chain\":\"{chain}\",\"seq\":1,\"prev\":\"\",\"event\":\"E\""),
        ] {
            let hash = Hash::of(&[begins.as_bytes(), b"}"]);
            let line = format!("{begins},\"hash\":\"{hash}\"}}");
            assert_eq!(parse(line.as_bytes()).unwrap_err(), LineFault::NotCanonical, "{line}");
        }
        // Of two members of one name it can't be told which is meant.
        let begins = format!("{{\"chain\":\"{chain}\",\"seq\":0,\"prev\":\"\",\"seq\":1");
        let line = format!("{begins},\"hash\":\"{}\"}}", Hash::of(&[begins.as_bytes(), b"}"]));
        assert!(matches!(parse(line.as_bytes()).unwrap_err(), LineFault::NotJson(_)));
    }

    #[test]
    fn a_fault_has_a_name() {
        let with_end = |end: &[u8]| [line().as_slice(), end].concat();
        assert_eq!(parse(&with_end(b"\r")).unwrap_err(), LineFault::CarriageReturn);
        assert_eq!(parse(b"").unwrap_err(), LineFault::Empty);
        assert_eq!(parse(b"{\"a\":\"\xff\"}").unwrap_err(), LineFault::NotUtf8(6));
        assert_eq!(parse(b"{\"event\":\"STATE\"}").unwrap_err(), LineFault::NoHash);
        assert_eq!(parse(&vec![b'x'; MAX_LINE]).unwrap_err(), LineFault::TooLong);
        let nested = [vec![b'['; 100_000], line()].concat();
        assert!(matches!(parse(&nested).unwrap_err(), LineFault::NotJson(_)));
    }

    #[test]
    fn lines_are_told_apart_in_bounded_memory() {
        let giant = vec![b'x'; 3 * MAX_LINE];
        let bytes = [b"one\n\n", giant.as_slice(), b"\ntwo\nto"].concat();
        let lines: Vec<_> =
            Lines::new(io::BufReader::with_capacity(100, bytes.as_slice())).map(Result::unwrap).collect();
        let whole = |text: &str| RawLine::Whole(text.as_bytes().to_vec());
        assert_eq!(lines, [whole("one"), whole(""), RawLine::TooLong, whole("two"), RawLine::Torn(2)]);
    }
}
