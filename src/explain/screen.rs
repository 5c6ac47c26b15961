//! What standard output can show: colour and blocks on a terminal, plain ASCII in a pipe.

use std::fmt::Display;
use std::io::IsTerminal;

use clap::builder::styling::{AnsiColor, Style};

use rules::text::clean;

use super::args::Color;

/// No line is longer, where words allow.
pub const WIDTH: usize = 100;

/// What standard output can show.
pub struct Screen {
    color: bool,
    blocks: bool,
}

/// Writes a line to a text, which can't fail.
macro_rules! line {
    ($out:expr $(, $($arg:tt)*)?) => { {
        use std::fmt::Write as _;
        let _ = writeln!($out $(, $($arg)*)?);
    } };
}
pub(super) use line;

/// How a text is meant.
#[derive(Clone, Copy)]
pub enum Tone {
    Good,
    Bad,
    Doubt,
    Quiet,
    Title,
}

impl Screen {
    /// Standard output, as its user wants it. `NO_COLOR` is respected (<https://no-color.org>).
    pub fn of_stdout(color: Color) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && wanted,
        };
        Self { color, blocks: terminal && speaks_utf8() }
    }

    /// The text in its tone.
    pub fn paint(&self, tone: Tone, text: impl Display) -> String {
        if !self.color {
            return text.to_string();
        }
        let style = match tone {
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Doubt => AnsiColor::Yellow.on_default(),
            Tone::Quiet => Style::new().dimmed(),
            Tone::Title => Style::new().bold(),
        };
        format!("{style}{text}{style:#}")
    }

    /// The marks of a bar: running, partly, not.
    pub fn marks(&self) -> [char; 3] {
        if self.blocks { ['█', '▄', '·'] } else { ['#', '+', '.'] }
    }
}

fn speaks_utf8() -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(|name| std::env::var(name).ok());
    let first = set.filter(|value| !value.is_empty()).map(|value| value.to_ascii_lowercase()).next();
    first.is_none_or(|locale| locale.contains("utf-8") || locale.contains("utf8"))
}

/// The words in lines no longer than [`WIDTH`], each with this indent but the first, which begins where `begun` characters stand.
pub fn wrapped(text: &str, begun: usize, indent: usize) -> String {
    let mut out = String::new();
    let mut column = begun;
    for word in clean(text).split_whitespace() {
        let length = word.chars().count();
        if !out.is_empty() && column + 1 + length > WIDTH {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else if !out.is_empty() {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_wrapped_between_words_and_indented() {
        let text = "word ".repeat(40);
        let told = wrapped(&text, 10, 4);
        assert!(told.lines().all(|line| line.chars().count() <= WIDTH), "{told}");
        assert!(told.lines().skip(1).all(|line| line.starts_with("    word")), "{told}");
        assert_eq!(told.split_whitespace().count(), 40);
        assert_eq!(wrapped("short", 10, 4), "short");
        assert_eq!(wrapped("a\u{1b}[31mred\u{7}", 0, 0), "a [31mred");
    }

    #[test]
    fn without_colour_a_text_is_left_as_it_is() {
        let plain = Screen { color: false, blocks: false };
        let rich = Screen { color: true, blocks: true };
        assert_eq!(plain.paint(Tone::Bad, "x"), "x");
        assert!(rich.paint(Tone::Bad, "x").contains("\u{1b}["));
    }
}
