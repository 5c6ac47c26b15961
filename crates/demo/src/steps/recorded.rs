//! What is on record, and what becomes of who changes it afterwards.

use anyhow::{Context, Result, ensure};

use super::PAYMENT;
use crate::stage::Stage;
use crate::tell;

const FILE: &str = "audit.jsonl";
const EDITED: &str = "edited.jsonl";

/// The record of a campaign, its proof, and an edited copy.
pub async fn record(stage: &Stage) -> Result<()> {
    let (found, _) = stage.operator.show(&["audit", "show", FILE, "--campaign", PAYMENT.name])?;
    ensure!(found, "awaited: lines about {}; instead the command failed", PAYMENT.name);
    let (sound, _) = stage.operator.show(&["audit", "verify", FILE])?;
    ensure!(sound, "awaited: an audit record that is as it was written; instead it is not");
    tell::prose(
        "Each line carries its own hash and that of the line before. Now somebody makes a blocked start look like a done one:",
    );

    let text =
        std::fs::read_to_string(stage.folder().join(FILE)).context("the audit record can't be read")?;
    let edit = "s/TRANSITION_BLOCKED/STATE_TRANSITION/";
    tell::command(&format!("sed {edit} {FILE} > {EDITED}"));
    std::fs::write(stage.folder().join(EDITED), text.replace("TRANSITION_BLOCKED", "STATE_TRANSITION"))?;
    let (sound, _) = stage.operator.show(&["audit", "verify", EDITED])?;
    ensure!(!sound, "awaited: the first bad line; instead the edited record passed");
    tell::prose(
        "What is cut off at the very end is found with the head that the operator tells elsewhere: its log line `audit head`, its metric dialer_audit_head.",
    );
    Ok(())
}
