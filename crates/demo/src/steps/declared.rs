//! What is declared comes about.

use anyhow::{Result, ensure};
use serde_json::Value;
use simulator::Route;

use super::{PAYMENT, WINTER};
use crate::cluster_view::{condition, in_words};
use crate::facts::{count, puts};
use crate::stage::Stage;
use crate::tell;

/// A tenant, a campaign that runs already, and one that may not run yet.
pub async fn first(stage: &Stage) -> Result<()> {
    stage.kubectl.show(&["apply", "-f", "01-tenant.yaml"]).await?;
    let ready = |object: &Value| condition(object, "Ready")["status"] == "True";
    let tenant = stage.until_object("cxonetenants", "acme", "the tenant acme with Ready=True", ready).await?;
    stage.kubectl.show(&["apply", "-f", WINTER.file, "-f", PAYMENT.file]).await?;
    let winter = stage.until_condition(WINTER.name, "Ready", "True", "Running").await?;
    let payment = stage.until_condition(PAYMENT.name, "Held", "True", "OutsideWindow").await?;
    let log = stage.sim.log();
    let sent = puts(&log, WINTER.campaign).len() + puts(&log, PAYMENT.campaign).len();
    ensure!(sent == 0, "awaited: no PUT; instead CXone got {sent}");

    tell::prose(
        "winter-renewals is declared Running, and CXone runs it already: nothing differs, so nothing was sent. \
         payment-reminders should run too, but its hours have not begun: it is held until then. That is no \
         error, so Ready is True, and the message says what it waits for.",
    );
    tell::gap();
    tell::fact("CXone", "no PUT");
    tell::fact("tenant", in_words(condition(&tenant, "Ready")));
    tell::fact("winter", in_words(condition(&winter, "Ready")));
    tell::fact("payment", in_words(condition(&payment, "Ready")));
    Ok(())
}

/// A stop waits for nothing.
pub async fn pause(stage: &Stage) -> Result<()> {
    let since = stage.sim.last_seq();
    stage.manifests.declare(WINTER.file, "Paused")?;
    let ran = stage.kubectl.show(&["apply", "-f", WINTER.file]).await?;
    let paused = stage.until_applied(WINTER, "Paused", since).await?;

    tell::prose(&format!(
        "The pause was in CXone {} after Enter (kubectl, from start to end, took {}). A stop waits for nothing: \
         one read of the state, the PUT, and a read that proves it.",
        paused.after(ran.entered),
        ran.took,
    ));
    paused.tell();
    Ok(())
}

/// A start proves everything first.
pub async fn resume(stage: &Stage) -> Result<()> {
    let since = stage.sim.last_seq();
    stage.manifests.declare(WINTER.file, "Running")?;
    let ran = stage.kubectl.show(&["apply", "-f", WINTER.file]).await?;
    let started = stage.until_applied(WINTER, "Running", since).await?;
    let log = stage.sim.requests_since(since);
    let states = count(&log, WINTER.campaign, Route::StateGet, started.put.seq);
    let pages = count(&log, WINTER.campaign, Route::Stats, started.put.seq);
    ensure!(
        states >= 1 && pages >= 3,
        "awaited: the state and all 3 pages of the statistics read before the PUT; instead {states} and {pages}"
    );

    tell::prose(&format!(
        "The start came {} after Enter, and it is the careful one: it needs every gate open on fresh facts. The \
         hours are open, nobody holds the campaign, and CXone was asked for the state and for all {pages} pages of \
         the statistics, to know that no more than 150 calls are active (maxActiveCalls).",
        started.after(ran.entered),
    ));
    started.tell();
    Ok(())
}
