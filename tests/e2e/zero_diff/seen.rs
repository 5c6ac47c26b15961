//! An object as it was seen, and whether it was written since.

use jiff::Timestamp;
use serde_json::Value;

/// An object, and when it was seen.
pub struct Seen {
    pub at: Timestamp,
    pub live: Value,
}

impl Seen {
    /// Whether anything was written, but for a status that had told when it would change: real hours begin and end while tests run.
    pub fn was_written_until(&self, later: &Self) -> bool {
        let version = |seen: &Self| seen.live["metadata"]["resourceVersion"].clone();
        let status_alone = self.without_status() == later.without_status();
        version(self) != version(later)
            && !(status_alone && foretells(&self.live["status"], self.at, later.at))
    }

    fn without_status(&self) -> Value {
        let mut live = self.live.clone();
        live.as_object_mut().unwrap().remove("status");
        let metadata = live["metadata"].as_object_mut().unwrap();
        metadata.remove("resourceVersion");
        let signed = metadata["managedFields"].as_array_mut().unwrap();
        signed.retain(|entry| entry["subresource"] != "status");
        live
    }
}

/// Whether an instant after `seen`, and not after `now`, stands anywhere in a status.
fn foretells(status: &Value, seen: Timestamp, now: Timestamp) -> bool {
    match status {
        Value::String(text) => text.parse::<Timestamp>().is_ok_and(|at| seen < at && at <= now),
        Value::Array(members) => members.iter().any(|member| foretells(member, seen, now)),
        Value::Object(members) => members.values().any(|member| foretells(member, seen, now)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seen(second: i64, version: &str, spec: &str, status: &str) -> Seen {
        let at = Timestamp::from_second(second).unwrap();
        let metadata = json!({"resourceVersion": version, "managedFields": [{"subresource": "status", "time": version}]});
        Seen { at, live: json!({"metadata": metadata, "spec": spec, "status": {"next": [status]}}) }
    }

    #[test]
    fn a_status_that_told_when_it_would_change_is_no_write_and_all_else_is_one() {
        let before = seen(0, "1", "a", "1970-01-01T00:00:05Z");
        let later = |second, version, spec| seen(second, version, spec, "1970-01-02T00:00:00Z");
        assert!(!before.was_written_until(&later(9, "2", "a")), "its time has come");
        assert!(before.was_written_until(&later(4, "2", "a")), "its time has not come");
        assert!(before.was_written_until(&later(9, "2", "b")), "more than the status changed");
        assert!(!before.was_written_until(&seen(9, "1", "a", "1970-01-01T00:00:05Z")), "nothing changed");
    }
}
