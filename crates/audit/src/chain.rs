//! Sealing: a record becomes a line that names the one before it and carries the hash of its own bytes.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::de::IgnoredAny;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::hash::Hash;
use crate::reader::MAX_LINE;

/// A longer record makes no line.
pub const MAX_RECORD: usize = MAX_LINE - 512;
/// The members that sealing adds.
pub(crate) const RESERVED: [&str; 4] = ["chain", "seq", "prev", "hash"];
/// What stands between a record and its hash.
pub(crate) const HASH_MEMBER: &[u8] = b",\"hash\":\"";

/// The last line of a chain, by which the next one names it: `CHAIN/SEQ/HASH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Head {
    /// The chain's id.
    pub chain: Uuid,
    /// The line's number in its chain, from 0.
    pub seq: u64,
    /// The line's hash.
    pub hash: Hash,
}

/// What is no [`Head`].
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no head of a chain: CHAIN/SEQ/HASH (a UUID, a number, 64 hexadecimal digits) is accepted")]
pub struct HeadError(String);

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.chain, self.seq, self.hash)
    }
}

impl FromStr for Head {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self, HeadError> {
        let head = || {
            let mut parts = text.split('/');
            let (chain, seq, hash) = (parts.next()?, parts.next()?, parts.next()?);
            let head = Self { chain: chain.parse().ok()?, seq: seq.parse().ok()?, hash: hash.parse().ok()? };
            parts.next().is_none().then_some(head)
        };
        head().ok_or_else(|| HeadError(text.to_owned()))
    }
}

impl Serialize for Head {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Parts {
            chain: Uuid,
            seq: u64,
            hash: Hash,
        }
        Parts { chain: self.chain, seq: self.seq, hash: self.hash }.serialize(serializer)
    }
}

/// What a line tells: a JSON object in one line, not too long, without members of the chain's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record(Vec<u8>);

/// What makes no [`Record`].
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It is no JSON object.
    #[error("it is no JSON object: {0}")]
    NoObject(#[from] serde_json::Error),
    /// It is too long.
    #[error("it has {0} bytes, more than {MAX_RECORD}")]
    TooLong(usize),
    /// It has a member that sealing adds, or none at all.
    #[error("it has a member `chain`, `seq`, `prev` or `hash`, or none at all")]
    Reserved,
}

impl Record {
    /// Puts it in words.
    ///
    /// # Errors
    /// Where it makes no record.
    pub fn of(what: &impl Serialize) -> Result<Self, RecordError> {
        let bytes = serde_json::to_vec(what)?;
        if bytes.len() > MAX_RECORD {
            return Err(RecordError::TooLong(bytes.len()));
        }
        let members: HashMap<String, IgnoredAny> = serde_json::from_slice(&bytes)?;
        if members.is_empty() || RESERVED.iter().any(|name| members.contains_key(*name)) {
            return Err(RecordError::Reserved);
        }
        Ok(Self(bytes))
    }

    /// The object's text.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A line that is ready to be written.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// The whole line, with its end.
    pub bytes: Vec<u8>,
    /// The chain's head once it is written.
    pub head: Head,
}

/// The record as the line after `before`, or as the first line of `chain`.
pub fn seal(chain: Uuid, before: Option<&Head>, record: &Record) -> Sealed {
    let seq = before.map_or(0, |head| head.seq + 1);
    let mut bytes = prefix(chain, seq, before.map(|head| head.hash)).into_bytes();
    bytes.push(b',');
    bytes.extend_from_slice(&record.0[1..]);
    // The hash is of the whole object as it is before the hash is put into it.
    let hash = Hash::of(&[&bytes]);
    bytes.pop();
    bytes.extend_from_slice(HASH_MEMBER);
    bytes.extend_from_slice(hash.to_string().as_bytes());
    bytes.extend_from_slice(b"\"}\n");
    Sealed { bytes, head: Head { chain, seq, hash } }
}

/// How every line begins.
pub(crate) fn prefix(chain: Uuid, seq: u64, prev: Option<Hash>) -> String {
    let prev = prev.map(|hash| hash.to_string()).unwrap_or_default();
    format!("{{\"chain\":\"{chain}\",\"seq\":{seq},\"prev\":\"{prev}\"")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_is_its_record_between_the_chains_members() {
        let record = Record::of(&json!({"event": "E"})).unwrap();
        let first = seal(Uuid::nil(), None, &record);
        let second = seal(Uuid::nil(), Some(&first.head), &record);
        let text = String::from_utf8(second.bytes).unwrap();
        let begins = format!(
            "{{\"chain\":\"00000000-0000-0000-0000-000000000000\",\"seq\":1,\"prev\":\"{}\",\"event\":\"E\"",
            first.head.hash
        );
        assert_eq!(text, format!("{begins},\"hash\":\"{}\"}}\n", Hash::of(&[begins.as_bytes(), b"}"])));
        assert_eq!(second.head.seq, 1);
        assert_eq!(second.head.to_string().parse::<Head>().unwrap(), second.head);
    }

    #[test]
    fn what_would_make_no_line_is_no_record() {
        assert!(matches!(Record::of(&json!([1])), Err(RecordError::NoObject(_))));
        assert!(matches!(Record::of(&json!({})), Err(RecordError::Reserved)));
        assert!(matches!(Record::of(&json!({"seq": 1})), Err(RecordError::Reserved)));
        let long = json!({"message": "x".repeat(MAX_RECORD)});
        assert!(matches!(Record::of(&long), Err(RecordError::TooLong(_))));
        let just = json!({"m": "x".repeat(MAX_RECORD - 8)});
        let sealed = seal(Uuid::nil(), None, &Record::of(&just).unwrap());
        assert!(sealed.bytes.len() <= MAX_LINE);
    }

    #[test]
    fn a_head_that_is_none_is_refused_with_what_is_accepted() {
        for text in ["", "a/b/c", "00000000-0000-0000-0000-000000000000/1", "x"] {
            let error = text.parse::<Head>().unwrap_err().to_string();
            assert!(error.contains("CHAIN/SEQ/HASH"), "{error}");
        }
    }
}
