//! `dialer-operator audit verify`.

use std::path::PathBuf;

use anyhow::Result;
use audit::{FaultAt, Head, Request, Verified};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::print;

/// The arguments of `audit verify`.
#[derive(Args)]
#[command(after_help = "\
Give all files of the record, the rotated ones too, in any order. Each line carries the hash of its own
bytes and of the line before; each chain names the end of the one before it. Only what is cut off the
very end leaves no trace in the files: keep the head that the operator tells elsewhere (its log line
`audit head`, the metric dialer_audit_head) and give it by --head. It ends with 1 where anything is wrong.

A record on standard output has a chain for each process. Keep it apart from the log:
  kubectl logs deploy/dialer-operator | grep '^{\"chain\"' > audit.jsonl

Examples:
  dialer-operator audit verify audit*.jsonl
  dialer-operator audit verify audit*.jsonl --head 0d6f...c1/90/5be2...7a    up to here at least, all is there
  dialer-operator audit verify audit.jsonl --after 0d6f...c1/41/91c0...2e    older files were verified up to there
  dialer-operator audit verify audit*.jsonl --output json | jq .verified")]
pub struct VerifyArgs {
    /// The files of one record.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// A line that must be there, as CHAIN/SEQ/HASH. Repeatable.
    #[arg(long, value_name = "CHAIN/SEQ/HASH")]
    pub head: Vec<Head>,
    /// The line that the files go on from, where what comes before was verified earlier.
    #[arg(long, value_name = "CHAIN/SEQ/HASH")]
    pub after: Option<Head>,
    /// For people, or for a machine.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// The form of what is told.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
}

pub fn run(args: &VerifyArgs) -> Result<()> {
    let request = Request { files: args.files.clone(), after: args.after, heads: args.head.clone() };
    let verified = audit::verify(&request);
    match (&verified, args.output) {
        (Ok(verified), Output::Text) => print(&text(verified))?,
        (verified, Output::Json) => print(&machine(verified))?,
        (Err(_), Output::Text) => {}
    }
    verified.map(drop).map_err(Into::into)
}

fn text(verified: &Verified) -> String {
    let told = |at: Option<jiff::Timestamp>| at.map_or_else(|| "?".to_owned(), |at| at.to_string());
    let Verified { files, lines, chains, head, noted, .. } = verified;
    let (first, last) = (told(verified.first), told(verified.last));
    let count = |number: u64, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let counted =
        [count(*lines, "line"), count(*chains, "chain"), count(files.len() as u64, "file")].join(", ");
    let mut text = format!("verified: {counted}\n");
    text.push_str(&format!("  from  {first}\n  to    {last}\n  head  {head}\n"));
    let notes = [
        (noted.lines_lost, "line", "given up (LINES_LOST)"),
        (noted.torn_lines, "line", "torn and set aside (TORN_LINE)"),
        (noted.files_set_aside, "file", "set aside whole (FILE_SET_ASIDE)"),
    ];
    for (number, of, what) in notes.iter().filter(|(number, ..)| *number > 0) {
        text.push_str(&format!("  noted {} {what}\n", count(*number, of)));
    }
    text
}

fn machine(verified: &Result<Verified, FaultAt>) -> String {
    let told = match verified {
        Ok(verified) => json!({"verified": true, "record": verified}),
        Err(fault) => json!({"verified": false, "fault": fault}),
    };
    format!("{told:#}\n")
}
