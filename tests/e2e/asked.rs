//! What a client asks of an API server, and which of the operator's writes that is.

use std::collections::HashMap;

use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

/// One request.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub query: String,
    /// The JSON that was sent along.
    pub body: Option<Value>,
    /// What it writes, where the operator writes that.
    pub write: Option<Write>,
    /// Whether a rule applied to it.
    pub met: bool,
    /// What the API server answered, whatever the client heard of it, and when.
    pub answered: Option<(StatusCode, Timestamp)>,
}

/// The writes of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// A status with the intent of a start that was not there before.
    Intent,
    /// A status with an outcome that was not there before.
    Outcome,
    /// Any other status of a declaration.
    Status,
    Finalizer,
    Event,
}

/// The transition under way and the last one, as the API server has them, by the path of the status.
#[derive(Default)]
pub struct Known(HashMap<String, (Value, Value)>);

impl Asked {
    pub fn new(method: &Method, path: &str, query: &str, body: &[u8], known: &Known) -> Self {
        let mut asked = Self {
            method: method.clone(),
            path: path.to_owned(),
            query: query.to_owned(),
            body: serde_json::from_slice(body).ok(),
            write: None,
            met: false,
            answered: None,
        };
        asked.write = known.tell(&asked);
        asked
    }

    /// Whether it is the list or the watch of that resource, in all namespaces.
    pub fn is_list_of(&self, resource: &str) -> bool {
        self.method == Method::GET && self.path.ends_with(&format!("/{resource}"))
    }

    pub fn is_watch_of(&self, resource: &str) -> bool {
        self.is_list_of(resource) && self.query.contains("watch=true")
    }

    /// Whether it writes that about the declaration of this name.
    pub fn writes(&self, write: Write, name: &str) -> bool {
        let named = match write {
            Write::Event => self.at("/regarding/name") == name,
            _ => self.path.trim_end_matches("/status").ends_with(&format!("/{name}")),
        };
        self.write == Some(write) && named
    }

    /// Whether the API server has done it.
    pub fn is_done(&self) -> bool {
        self.answered.is_some_and(|(status, _)| status.is_success())
    }

    /// What the body has there, null where it has nothing.
    pub fn at(&self, pointer: &str) -> &Value {
        self.body.as_ref().and_then(|body| body.pointer(pointer)).unwrap_or(&Value::Null)
    }
}

impl Known {
    fn tell(&self, asked: &Asked) -> Option<Write> {
        let is_campaign = asked.path.contains("/dialercampaignstates/");
        if asked.method == Method::POST && asked.path.ends_with("/events") {
            return Some(Write::Event);
        }
        if asked.method != Method::PATCH || !is_campaign {
            return None;
        }
        if !asked.path.ends_with("/status") {
            return Some(Write::Finalizer);
        }
        let (pending, last) = ids(asked);
        let (known_pending, known_last) = self.0.get(&asked.path).cloned().unwrap_or_default();
        let starts = asked.at("/status/pendingTransition/to") == "Running";
        Some(match () {
            () if starts && pending != known_pending => Write::Intent,
            () if !last.is_null() && last != known_last => Write::Outcome,
            () => Write::Status,
        })
    }

    /// The API server has answered this.
    pub fn take_in(&mut self, asked: &Asked) {
        if asked.is_done() && matches!(asked.write, Some(Write::Intent | Write::Outcome | Write::Status)) {
            self.0.insert(asked.path.clone(), ids(asked));
        }
    }
}

fn ids(asked: &Asked) -> (Value, Value) {
    (asked.at("/status/pendingTransition/id").clone(), asked.at("/status/lastTransition/id").clone())
}
