//! `dialer-operator audit verify` and `audit show`: reading the record. Nothing is ever written.

mod show;
mod verify;

use std::io::{self, Write};

use anyhow::{Context, Result};
use clap::Subcommand;

/// What is to be done with a record.
#[derive(Subcommand)]
pub enum AuditCommand {
    /// Prove that no line was changed, dropped, put in or moved, or name the first bad one and why.
    Verify(verify::VerifyArgs),
    /// Find lines by campaign, time, outcome, id or event. It does not verify them.
    Show(Box<show::ShowArgs>),
}

/// Does it.
///
/// # Errors
/// Where the record is not whole, or files can't be read.
pub fn run(command: &AuditCommand) -> Result<()> {
    match command {
        AuditCommand::Verify(args) => verify::run(args),
        AuditCommand::Show(args) => show::run(args),
    }
}

/// Who reads has read enough: `| head`.
fn unless_closed(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("standard output can't be written"),
    }
}

fn print(text: &str) -> Result<()> {
    unless_closed(io::stdout().write_all(text.as_bytes()))
}
