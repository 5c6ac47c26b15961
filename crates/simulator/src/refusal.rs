//! How bad input is turned down: by naming the field, the value and what is accepted.

use std::fmt;

use serde::Serialize;

/// A value that the simulator does not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Path of the field, for example `effect.status`; empty when the whole input is unreadable.
    pub field: String,
    /// What is wrong with it: the value and what is accepted instead.
    pub message: String,
}

impl Refusal {
    /// Refuses `value` in `field`, saying what is accepted.
    pub fn new(field: impl Into<String>, value: impl Serialize, accepted: impl fmt::Display) -> Self {
        let value = serde_json::to_string(&value).unwrap_or_else(|_| "this".into());
        Self { field: field.into(), message: format!("{value} is not accepted; accepted: {accepted}") }
    }

    /// The same refusal seen from the object that contains the field.
    pub(crate) fn within(mut self, parent: impl fmt::Display) -> Self {
        self.field = format!("{parent}.{}", self.field);
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" | "." => write!(f, "{}", self.message),
            field => write!(f, "{field}: {}", self.message),
        }
    }
}

impl std::error::Error for Refusal {}

/// Refuses unless `ok`.
pub(crate) fn ensure(
    ok: bool,
    field: &str,
    value: impl Serialize,
    accepted: impl fmt::Display,
) -> Result<(), Refusal> {
    if ok { Ok(()) } else { Err(Refusal::new(field, value, accepted)) }
}

/// Reads JSON, refusing with the path of the offending field.
pub(crate) fn from_json<'a, T: serde::Deserialize<'a>>(text: &'a [u8]) -> Result<T, Refusal> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut reader)
        .map_err(|e| Refusal { field: e.path().to_string(), message: e.inner().to_string() })?;
    reader.end().map_err(|e| Refusal { field: String::new(), message: e.to_string() })?;
    Ok(value)
}
