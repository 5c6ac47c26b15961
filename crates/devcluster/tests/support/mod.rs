//! What several test files need.

use std::thread;
use std::time::{Duration, Instant};

/// Waits until a fact holds; fails if it does not within 30 s.
pub fn wait_until(fact: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 30 s: {fact}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a process of this id exists.
pub fn is_alive(pid: i32) -> bool {
    rustix::process::test_kill_process(rustix::process::Pid::from_raw(pid).unwrap()).is_ok()
}
