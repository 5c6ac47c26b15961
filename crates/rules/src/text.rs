//! Texts of others, as they may be shown.

/// The text with a blank for each character that would steer what shows it: a terminal, a log that is read by lines, or the eye, which
/// is misled by text that runs backwards or takes no place.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if steers(c) { ' ' } else { c }).collect()
}

/// Joiners are no such characters: some scripts need them.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn what_would_steer_a_terminal_a_log_or_the_eye_becomes_a_blank() {
        for steering in [
            "\n",
            "\r",
            "\t",
            "\0",
            "\u{7}",
            "\u{8}",
            "\u{1b}",
            "\u{7f}",
            "\u{85}",
            "\u{9b}",
            "\u{9d}",
            "\u{2028}",
            "\u{202e}",
            "\u{2066}",
            "\u{200b}",
            "\u{feff}",
            "\u{e0041}",
        ] {
            assert_eq!(clean(&format!("a{steering}[2Jb")), "a [2Jb", "{steering:?}");
        }
        for plain in ["", "a b", "Fête du Travail", "می\u{200c}خواهم", "👩\u{200d}💻", "日本", "'\"<>&=+-@"]
        {
            assert_eq!(clean(plain), plain);
        }
    }
}
