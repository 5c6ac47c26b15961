//! Rules as people write them.

use std::fmt;

use crate::kinds::{Day, Hours, Zone};
use crate::text::clean;

/// The most characters that the words of a rule take.
const AT_MOST: usize = 512;

/// Hours and zones: `Mon-Fri 08:00-20:00 in America/New_York`.
pub(super) fn describe(hours: &[Hours], zones: &[Zone]) -> String {
    let intervals = hours.iter().map(|h| format!("{} {}-{}", Days(&h.days), h.from.0, h.to.0));
    let zones = zones.iter().map(|z| z.0.clone());
    format!("{} in {}", listed(intervals), listed(zones))
}

/// The text, where it is too long cut and marked so. Names and reasons in it are what others wrote.
pub(super) fn short(text: String) -> String {
    let text = clean(&text);
    match text.char_indices().nth(AT_MOST) {
        None => text,
        Some(_) => text.chars().take(AT_MOST - 3).chain("...".chars()).collect(),
    }
}

fn listed(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

/// Days as people write them: `Mon-Fri`, `Sat+Sun`.
struct Days<'a>(&'a [Day]);

impl fmt::Display for Days<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed: Vec<_> = Day::WEEK.into_iter().filter(|day| self.0.contains(day)).collect();
        match listed.as_slice() {
            [first, .., last]
                if listed.len() > 2 && usize::from(last.index() - first.index()) + 1 == listed.len() =>
            {
                write!(f, "{first}-{last}")
            }
            days => {
                let names: Vec<_> = days.iter().map(ToString::to_string).collect();
                f.write_str(&names.join("+"))
            }
        }
    }
}
