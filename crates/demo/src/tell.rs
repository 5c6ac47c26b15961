//! What the demo prints: plain text, with colour only on a terminal.

use std::fmt::Display;
use std::io::{IsTerminal, Write, stdout};
use std::sync::LazyLock;

/// Where lines of prose are broken.
const WIDTH: usize = 100;
const INDENT: &str = "   ";

static COLOUR: LazyLock<bool> = LazyLock::new(|| {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    wanted && stdout().is_terminal()
});

/// A heading.
pub fn heading(text: &str) {
    line(&format!("\n{}", paint("1", text)));
}

/// One thing that is set up, and how long that took.
pub fn done(what: &str, took: std::time::Duration) {
    line(&format!("{INDENT}{what:<82}{:>6.1} s", took.as_secs_f64()));
}

/// Sentences, broken into lines.
pub fn prose(text: &str) {
    line("");
    wrapped(text, WIDTH - INDENT.len()).iter().for_each(|row| line(&format!("{INDENT}{row}")));
}

/// A command as a person types it.
pub fn command(text: &str) {
    line(&format!("\n{INDENT}{}", paint("36", &format!("$ {text}"))));
}

/// What a command printed.
pub fn output(text: &str) {
    text.trim_end().lines().for_each(|row| line(&format!("{INDENT}{row}")));
}

/// A change of one line in a file.
pub fn difference(file: &str, before: &str, after: &str) {
    line(&format!("\n{INDENT}{file}"));
    line(&format!("{INDENT}{}", paint("31", &format!("- {before}"))));
    line(&format!("{INDENT}{}", paint("32", &format!("+ {after}"))));
}

/// A fact that was seen.
pub fn fact(label: &str, what: impl Display) {
    let what = what.to_string();
    let column = 11;
    let rows = wrapped(&what, WIDTH - INDENT.len() - column);
    for (number, row) in rows.iter().enumerate() {
        let label = if number == 0 { label } else { "" };
        line(&format!("{INDENT}{}", paint("2", &format!("{label:<column$}{row}"))));
    }
}

/// Something to try: what it does, and the commands.
pub fn hint(what: &str, commands: &[&str]) {
    line(&format!("\n{INDENT}{}", paint("2", &format!("# {what}"))));
    commands.iter().for_each(|command| line(&format!("{INDENT}{}", paint("36", command))));
}

/// An empty line.
pub fn gap() {
    line("");
}

/// Something that went wrong.
pub fn failure(text: &str) {
    line(&format!("\n{}", paint("31", text)));
}

/// Output that can't be written must not fail what it is about, hence not `println!`, which panics.
fn line(text: &str) {
    let _ = writeln!(stdout(), "{text}");
}

fn paint(code: &str, text: &str) -> String {
    if *COLOUR { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut rows: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        match rows.last_mut() {
            Some(row) if row.is_empty() => row.push_str(word),
            Some(row) if row.chars().count() + 1 + word.chars().count() <= width => {
                row.push(' ');
                row.push_str(word);
            }
            _ => rows.push(word.to_owned()),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_broken_between_words_and_a_long_word_stays_whole() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("a http://long.example/ b", 5), ["a", "http://long.example/", "b"]);
    }
}
