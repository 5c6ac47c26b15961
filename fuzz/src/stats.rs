//! Pages of statistics: the number of active calls is one that was told, or none.

use cxone::fuzzing::Stats;
use jiff::Timestamp;
use serde_json::Value;

use crate::answer::members;

/// No reading takes more pages.
const MOST_PAGES: usize = 100;

/// The lines are the pages of one reading. It ends, and what it gives is what its newest row tells.
pub fn holds(bytes: &[u8]) {
    let mut stats = Stats::default();
    let mut read = Vec::new();
    for page in bytes.split(|byte| *byte == b'\n') {
        assert!(read.len() < MOST_PAGES, "the paging does not end");
        let answer = stats.add(page);
        read.push(page);
        match answer {
            Err(_) => return,
            Ok(None) => {
                let next = stats.next().unwrap_or_default();
                assert!((1..=4096).contains(&next.len()), "the next page is to be asked for with {next:?}");
            }
            Ok(Some(volume)) => {
                assert_eq!(volume.pages as usize, read.len());
                if let Some(rows) = read.iter().map(|page| rows(page)).collect::<Option<Vec<_>>>() {
                    let told = newest(&rows.concat());
                    assert_eq!(told, Some(u64::from(volume.active_calls)), "calls in the newest row");
                }
                return;
            }
        }
    }
}

/// The rows of a page; `None` where [`members`] gives none.
fn rows(page: &[u8]) -> Option<Vec<Value>> {
    members(page)?.remove("page").and_then(|rows| rows.as_array().cloned())
}

/// The calls of the newest row, read naively: by their timestamps where all have one, else the last.
fn newest(rows: &[Value]) -> Option<u64> {
    let when = |row: &Value| row.get("timestamp")?.as_str()?.parse::<Timestamp>().ok();
    // Of equals both this and the order of rows take the last.
    let row = if rows.iter().all(|row| when(row).is_some()) {
        rows.iter().max_by_key(|row| when(row))
    } else {
        rows.last()
    };
    row?.get("activeCalls")?.as_u64()
}
