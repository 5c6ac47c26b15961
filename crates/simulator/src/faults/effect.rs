//! The effects that a fault can have.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::log::Route;
use crate::refusal::{Refusal, ensure};

/// What becomes of a request.
///
/// Those of the first group come before everything else: no token is checked. Those of the second do what is right and
/// spoil the answer. Those of the third concern a PUT that would succeed; one that is refused anyway is refused as usual.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Effect {
    /// Answer exactly this.
    Answer {
        /// HTTP status, 200 to 599.
        status: u16,
        /// `Retry-After` as it is, seconds or a date or anything.
        #[serde(default)]
        retry_after: Option<String>,
        /// Body: a string goes as plain text, anything else as JSON; absent is a JSON error.
        #[serde(default)]
        body: Option<Value>,
        /// More headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// Never answer, until the fault is removed (then the connection is reset) or the client goes.
    Hang,
    /// Reset the connection without an answer.
    Reset,
    /// Answer 302 to that place.
    Redirect {
        /// Value of `Location`.
        location: String,
    },
    /// Answer valid JSON of that size.
    HugeBody {
        /// Size in MiB.
        mebibytes: u32,
        /// HTTP status, 200 by default.
        #[serde(default = "ok")]
        status: u16,
    },

    /// Wait, then behave as usual.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// Send half of the answer, then close the connection.
    Truncated,
    /// Put this word where the status of the campaign belongs.
    UnknownStatus {
        /// The word.
        word: String,
    },
    /// Every page of the statistics has another one after it.
    EndlessPages,
    /// Every page of the statistics names the same next page.
    RepeatingToken,
    /// Rows of the statistics lack `activeCalls`.
    MissingActiveCalls,

    /// Answer 200 and change nothing.
    Lie,
    /// Do it, and lose the answer.
    LostAnswer {
        /// How it is lost.
        how: Loss,
    },
    /// Do it later.
    Late {
        /// Milliseconds.
        ms: u64,
        /// How the answer is lost; absent is 200 at once.
        #[serde(default)]
        lost: Option<Loss>,
    },
    /// Answer 409 although nothing is wrong.
    Conflict {
        /// Whether it is done nevertheless.
        applied: bool,
    },
}

fn ok() -> u16 {
    200
}

/// How an answer is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Loss {
    /// The connection is reset.
    Reset,
    /// Nothing ever comes.
    Hang,
}

impl Effect {
    /// The word that names it in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Answer { .. } => "answer",
            Self::Hang => "hang",
            Self::Reset => "reset",
            Self::Redirect { .. } => "redirect",
            Self::HugeBody { .. } => "hugeBody",
            Self::Delay { .. } => "delay",
            Self::Truncated => "truncated",
            Self::UnknownStatus { .. } => "unknownStatus",
            Self::EndlessPages => "endlessPages",
            Self::RepeatingToken => "repeatingToken",
            Self::MissingActiveCalls => "missingActiveCalls",
            Self::Lie => "lie",
            Self::LostAnswer { .. } => "lostAnswer",
            Self::Late { .. } => "late",
            Self::Conflict { .. } => "conflict",
        }
    }

    /// The routes on which it makes sense.
    pub(super) fn routes(&self) -> &'static [Route] {
        use Route::{Other, StateGet, StatePut, Stats, Token};
        match self {
            Self::Lie | Self::LostAnswer { .. } | Self::Late { .. } | Self::Conflict { .. } => &[StatePut],
            Self::EndlessPages | Self::RepeatingToken | Self::MissingActiveCalls => &[Stats],
            Self::UnknownStatus { .. } => &[StateGet, StatePut, Stats],
            _ => &[Token, StateGet, StatePut, Stats, Other],
        }
    }

    pub(super) fn check(&self) -> Result<(), Refusal> {
        let fits = |status: u16| ensure((200..=599).contains(&status), "status", status, "200 to 599");
        match self {
            Self::Answer { status, retry_after, headers, .. } => {
                fits(*status)?;
                retry_after.iter().try_for_each(|value| header("retryAfter", "retry-after", value))?;
                headers.iter().try_for_each(|(name, value)| header("headers", name, value))
            }
            Self::HugeBody { mebibytes, status } => {
                fits(*status)?;
                ensure((1..=1024).contains(mebibytes), "mebibytes", mebibytes, "1 to 1024 MiB")
            }
            Self::Redirect { location } => header("location", "location", location),
            _ => Ok(()),
        }
    }
}

fn header(field: &str, name: &str, value: &str) -> Result<(), Refusal> {
    use axum::http::{HeaderName, HeaderValue};
    let valid = name.parse::<HeaderName>().is_ok() && value.parse::<HeaderValue>().is_ok();
    ensure(valid, field, format!("{name}: {value}"), "what HTTP allows as the name and value of a header")
}
