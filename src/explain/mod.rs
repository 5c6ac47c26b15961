//! `dialer-operator plan` and `dialer-operator why`: what the loop will do, and why a campaign is as it is. Nothing is ever
//! written; both call the same `decide` as the loop.

mod answer;
mod args;
mod bars;
mod check;
mod cluster;
mod concern;
mod manifest;
mod metadata;
mod others;
mod plan;
mod plan_text;
mod said;
mod schema;
mod screen;
mod subjects;
mod views;
mod when;
mod why;
mod why_text;

use std::io::Write;

use anyhow::{Context, Result};
use rules::text::clean;
use serde::Serialize;

use args::{Output, ShowArgs};
pub use args::{PlanArgs, WhyArgs};
use screen::Screen;

/// Tells the coming transitions.
///
/// # Errors
/// Where a manifest is wrong, or the cluster does not give what is needed.
pub fn plan(args: &PlanArgs) -> Result<()> {
    args.rules.agree(args.policies.as_deref())?;
    let report = block_on(plan::report(args))?;
    for warning in report.warnings() {
        eprintln!("warning: {}", clean(warning));
    }
    show(&args.show, &report, |screen| plan_text::text(&report, screen))
}

/// Tells why a campaign is as it is.
///
/// # Errors
/// Where there is no such campaign, or the cluster does not give what is needed.
pub fn why(args: &WhyArgs) -> Result<()> {
    args.rules.agree(None)?;
    let report = block_on(why::report(args))?;
    show(&args.show, &report, |screen| why_text::text(&report, screen))
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    // Twice is an error; once is what makes every client use the same provider.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("the async runtime can't be started")?.block_on(work)
}

fn show(args: &ShowArgs, report: &impl Serialize, text: impl FnOnce(&Screen) -> String) -> Result<()> {
    let told = match args.output {
        Output::Text => text(&Screen::of_stdout(args.color)),
        Output::Json => serde_json::to_string_pretty(report).context("it can't be put as JSON")? + "\n",
        Output::Yaml => serde_saphyr::to_string(report).context("it can't be put as YAML")?,
    };
    match std::io::stdout().write_all(told.as_bytes()) {
        // Who reads has read enough: `| head`.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("standard output can't be written"),
    }
}
