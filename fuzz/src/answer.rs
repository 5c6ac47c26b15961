//! An answer of CXone, read naively.

use serde_json::{Map, Value};

/// The members of an answer that something was read from. `None` where it can't be said: what stands in members that nobody asks for
/// is not looked at (a name in Latin-1 makes no state unknown), so that strictly it may be no JSON.
pub fn members(body: &[u8]) -> Option<Map<String, Value>> {
    assert!(body.trim_ascii_start().starts_with(b"{"), "something is read from what is no JSON object");
    serde_json::from_slice(body).ok()
}
