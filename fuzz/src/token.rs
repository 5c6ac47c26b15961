//! The answer of the token route: what it gives goes into a header, and nowhere else.

use std::time::Duration;

use cxone::fuzzing;
use serde_json::Value;

use crate::answer::members;

const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A token makes one header that no log shows, and lives from a second to a day.
pub fn holds(body: &[u8]) {
    let Some((bearer, lifetime)) = fuzzing::token(body) else { return };
    assert!(bearer.is_sensitive(), "a log would show the token");
    assert!(!bearer.as_bytes().contains(&b'\n'), "the token begins another header");
    assert!((Duration::from_secs(1)..=LONGEST).contains(&lifetime), "it lives {lifetime:?}");
    let Some(answer) = members(body) else { return };
    let told = answer.get("access_token").and_then(Value::as_str).unwrap_or_default();
    assert!(!told.is_empty(), "a token is read where none is told");
    assert_eq!(bearer.as_bytes(), format!("Bearer {told}").as_bytes());
}
