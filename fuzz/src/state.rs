//! The answer that tells a campaign's state: it is never guessed.

use cxone::fuzzing;

use crate::answer::members;

/// What is taken for a state stands in the answer in so many words, and nothing there says otherwise.
pub fn holds(body: &[u8]) {
    let Ok(status) = fuzzing::state(body) else { return };
    let Some(answer) = members(body) else { return };
    let told: Vec<_> = ["status", "currentStatus"]
        .iter()
        .filter_map(|name| answer.get(*name))
        .filter(|it| !it.is_null())
        .collect();
    assert!(!told.is_empty(), "{status} is read from an answer that tells none");
    for word in told {
        let same = word.as_str().is_some_and(|word| word.eq_ignore_ascii_case(status.as_str()));
        assert!(same, "{status} is read where {word} is told");
    }
}
