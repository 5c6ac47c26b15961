//! `dialer-operator audit show`.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use audit::{Filter, Lines, RawLine, cells};
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use rules::text::clean;
use serde_json::{Map, Value};

use super::unless_closed;

const OUTCOMES: [&str; 7] =
    ["Applied", "NotApplied", "Superseded", "Unknown", "Paused", "LeftRunning", "Retained"];
const EVENTS: [&str; 10] = [
    "STATE_TRANSITION",
    "TRANSITION_BLOCKED",
    "TRANSITION_FAILED",
    "EXTERNAL_CHANGE",
    "SUPERVISION_ENDED",
    "WORKFORCE_SYNC_FAILED",
    audit::CHAIN_OPENED,
    audit::LINES_LOST,
    audit::TORN_LINE,
    audit::FILE_SET_ASIDE,
];
const CSV: [&str; 22] = [
    "timestamp",
    "event",
    "namespace",
    "name",
    "campaignId",
    "tenant",
    "status",
    "from",
    "phase",
    "outcome",
    "cause",
    "reason",
    "message",
    "transactionId",
    "attempts",
    "latencyMs",
    "origin",
    "chain",
    "seq",
    "sink",
    "final",
    "webhookId",
];

/// The arguments of `audit show`.
#[derive(Args)]
#[command(after_help = "\
Lines are shown whose members are as asked for, whether or not they are as they were written: `audit
verify` proves that. The table cuts what is long; --output json gives each line as it stands in the file.

Examples:
  dialer-operator audit show audit.jsonl --campaign spring --since 2h
  dialer-operator audit show audit*.jsonl --event TRANSITION_BLOCKED --namespace sales
  dialer-operator audit show audit*.jsonl --outcome Applied --since 2026-11-01T00:00:00Z --output csv > november.csv
  dialer-operator audit show audit.jsonl --id 4e1f20aa --output json | jq .complianceCheck")]
pub struct ShowArgs {
    /// The files, rotated ones too.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The DialerCampaignState's name, or the campaign's id.
    #[arg(long, value_name = "NAME")]
    pub campaign: Option<String>,
    /// The object's namespace.
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// Not earlier than this instant (RFC 3339), or than that long ago (2h, 7d).
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub since: Option<Timestamp>,
    /// Earlier than this instant, or than that long ago.
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub until: Option<Timestamp>,
    /// How it ended.
    #[arg(long, ignore_case = true, value_parser = PossibleValuesParser::new(OUTCOMES))]
    pub outcome: Option<String>,
    /// The transaction's id, or how it begins.
    #[arg(long, value_parser = id)]
    pub id: Option<String>,
    /// What happened.
    #[arg(long, ignore_case = true, value_parser = PossibleValuesParser::new(EVENTS))]
    pub event: Option<String>,
    /// For people, for a spreadsheet, or the lines themselves.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// The form of what is told.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Table,
    Json,
    Csv,
}

fn when(text: &str) -> Result<Timestamp, String> {
    audit::instant(text, Timestamp::now())
}

fn id(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    fits.then(|| text.to_owned()).ok_or_else(|| "a UUID or its first characters is accepted".to_owned())
}

pub fn run(args: &ShowArgs) -> Result<()> {
    let filter = Filter {
        campaign: args.campaign.clone(),
        namespace: args.namespace.clone(),
        since: args.since,
        until: args.until,
        outcome: args.outcome.clone(),
        id: args.id.clone(),
        event: args.event.clone(),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut written = head(&mut out, args.output);
    for file in in_order(&args.files)? {
        for (number, line) in (1..).zip(lines(file)?) {
            let line = line.with_context(|| format!("{} can't be read", file.display()))?;
            match read(&line) {
                Ok((bytes, record)) if written.is_ok() && filter.matches(&record) => {
                    written = show(&mut out, args.output, bytes, &record);
                }
                Ok(_) => {}
                Err(why) => eprintln!("warning: {}:{number}: {why}", file.display()),
            }
        }
    }
    unless_closed(written.and_then(|()| out.flush()))
}

fn lines(file: &Path) -> Result<Lines<BufReader<File>>> {
    let opened = File::open(file).with_context(|| format!("{} can't be read", file.display()))?;
    Ok(Lines::new(BufReader::new(opened)))
}

/// The files by when their first line was told.
fn in_order(files: &[PathBuf]) -> Result<Vec<&Path>> {
    let mut order = Vec::new();
    for file in files {
        let first = lines(file)?.next().and_then(Result::ok);
        let told = first.as_ref().and_then(|line| read(line).ok()).and_then(|(_, record)| told(&record));
        order.push((told, file.as_path()));
    }
    order.sort_by_key(|(told, _)| *told);
    Ok(order.into_iter().map(|(_, file)| file).collect())
}

fn told(record: &Map<String, Value>) -> Option<Timestamp> {
    record.get("timestamp")?.as_str()?.parse().ok()
}

fn read(line: &RawLine) -> Result<(&[u8], Map<String, Value>), String> {
    match line {
        RawLine::Whole(bytes) => match serde_json::from_slice(bytes) {
            Ok(record) => Ok((bytes, record)),
            Err(error) => Err(format!("no JSON object, left out: {error}")),
        },
        RawLine::Torn(length) => Err(format!("the line has no end ({length} bytes), left out")),
        RawLine::TooLong => Err(format!("longer than {} bytes, left out", audit::MAX_LINE)),
    }
}

fn head(out: &mut impl Write, output: Output) -> io::Result<()> {
    match output {
        Output::Table => row(out, ["WHEN", "EVENT", "CAMPAIGN", "TO", "WHAT", "WHY", "ID"]),
        Output::Csv => write!(out, "{}\r\n", CSV.join(",")),
        Output::Json => Ok(()),
    }
}

fn show(out: &mut impl Write, output: Output, line: &[u8], record: &Map<String, Value>) -> io::Result<()> {
    match output {
        Output::Json => out.write_all(line).and_then(|()| out.write_all(b"\n")),
        Output::Csv => {
            let fields: Vec<_> = cells(record, &CSV).iter().map(|cell| quoted(cell)).collect();
            write!(out, "{}\r\n", fields.join(","))
        }
        Output::Table => {
            let text = |member: &str| record.get(member).and_then(Value::as_str).unwrap_or_default();
            let when =
                told(record).map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default();
            let campaign = match (text("namespace"), text("name")) {
                ("", name) => name.to_owned(),
                (namespace, name) => format!("{namespace}/{name}"),
            };
            let what = match record.get("final").and_then(Value::as_bool) {
                Some(true) => "lost",
                Some(false) => "tried again",
                None => ["outcome", "phase"]
                    .map(text)
                    .into_iter()
                    .find(|what| !what.is_empty())
                    .unwrap_or_default(),
            };
            let why = ["cause", "reason", "sink"].map(text).into_iter().find(|why| !why.is_empty());
            let id: String = text("transactionId").chars().take(8).collect();
            row(out, [&when, text("event"), &campaign, text("status"), what, why.unwrap_or_default(), &id])
        }
    }
}

/// One line of the table; no wider than a terminal.
fn row(out: &mut impl Write, cells: [&str; 7]) -> io::Result<()> {
    const WIDTHS: [usize; 7] = [20, 21, 22, 7, 11, 16, 8];
    let padded = cells.iter().zip(WIDTHS).map(|(cell, width)| {
        // What others wrote must not steer a terminal.
        let cell = clean(cell);
        let cut = if cell.chars().count() > width {
            cell.chars().take(width - 1).chain(['~']).collect()
        } else {
            cell
        };
        format!("{cut:width$}")
    });
    writeln!(out, "{}", padded.collect::<Vec<_>>().join(" ").trim_end())
}

/// RFC 4180; and a cell that a spreadsheet would take for a formula begins with an apostrophe.
fn quoted(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}
