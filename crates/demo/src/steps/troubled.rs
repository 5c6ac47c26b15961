//! CXone does not always answer as one would like.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use simulator::{Effect, Fault, FaultRoute, Loss};

use super::{SURVEY, WINTER};
use crate::cluster_view::{condition, in_words};
use crate::facts::{answered, put_id, puts};
use crate::stage::Stage;
use crate::tell;
use crate::transition::{Millis, put_in_words};

/// How long CXone asks to wait. Long enough for a `kubectl apply` on a busy machine.
const RETRY_AFTER: Duration = Duration::from_secs(8);

/// A write takes effect and its answer never comes.
pub async fn lost_answer(stage: &Stage) -> Result<()> {
    let fault = Fault::new(FaultRoute::StatePut, Effect::LostAnswer { how: Loss::Reset });
    stage.sim.fault(fault.campaign(SURVEY.campaign).times(1));
    tell::prose(
        "The next write will reach CXone and take effect, but the connection breaks before the answer.",
    );
    let since = stage.sim.last_seq();
    stage.manifests.declare(SURVEY.file, "Paused")?;
    stage.kubectl.show(&["apply", "-f", SURVEY.file]).await?;
    let paused = stage.until_applied(SURVEY, "Paused", since).await?;
    let sent = puts(&stage.sim.requests_since(since), SURVEY.campaign).len();
    ensure!(sent == 1, "awaited: one PUT; instead {sent}");

    tell::prose(
        "Neither success nor failure was known, so the operator read the state instead of guessing: paused. That \
         is proof enough, and no second write was needed.",
    );
    paused.tell();
    Ok(())
}

/// A start waits as asked; a pause of another campaign does not.
pub async fn rate_limit(stage: &Stage) -> Result<()> {
    let seconds = RETRY_AFTER.as_secs();
    ask_to_wait(stage, seconds);
    tell::prose(&format!("The next read of survey-east will be answered 429, Retry-After: {seconds}."));
    let since = stage.sim.last_seq();
    stage.manifests.declare(SURVEY.file, "Running")?;
    stage.kubectl.show(&["apply", "-f", SURVEY.file]).await?;
    let refused = stage.until_log(since, "the 429", |entry| answered(entry, 429)).await?;
    let waiting = stage.until_condition(SURVEY.name, "Ready", "Unknown", "RateLimited").await?;
    tell::gap();
    tell::fact("status", in_words(condition(&waiting, "Ready")));

    stage.manifests.declare(WINTER.file, "Paused")?;
    let ran = stage.kubectl.show(&["apply", "-f", WINTER.file]).await?;
    let paused = stage.until_applied(WINTER, "Paused", since).await?;
    let (asked, stop) = (Millis::from(RETRY_AFTER), paused.after(refused.at));
    ensure!(stop < asked, "awaited: the pause within {asked} after the 429; instead it came after {stop}");
    tell::prose(&format!(
        "The pause of winter-renewals was in CXone {} after Enter, {stop} after the 429: a stop is never held up, \
         not even by CXone asking for patience.",
        paused.after(ran.entered),
    ));
    paused.tell();

    let started = stage.until_applied(SURVEY, "Running", since).await?;
    let start = started.after(refused.at);
    ensure!(
        start >= asked,
        "awaited: the start not before {asked} after the 429; instead it came after {start}"
    );
    tell::prose(&format!("The start of survey-east waited as asked, and came {start} after the 429."));
    started.tell();
    Ok(())
}

fn ask_to_wait(stage: &Stage, seconds: u64) {
    let retry_after = Some(seconds.to_string());
    let answer = Effect::Answer { status: 429, retry_after, body: None, headers: BTreeMap::new() };
    // Only a start reads the statistics, so it is the start that meets it.
    stage.sim.fault(Fault::new(FaultRoute::Stats, answer).campaign(SURVEY.campaign).times(1));
}

/// CXone refuses a write because of another one.
pub async fn conflict(stage: &Stage) -> Result<()> {
    let fault = Fault::new(FaultRoute::StatePut, Effect::Conflict { applied: false });
    stage.sim.fault(fault.campaign(WINTER.campaign).times(1));
    tell::prose("The next write for winter-renewals will be refused with 409, because of another writer.");
    let since = stage.sim.last_seq();
    stage.manifests.declare(WINTER.file, "Running")?;
    stage.kubectl.show(&["apply", "-f", WINTER.file]).await?;
    let started = stage.until_applied(WINTER, "Running", since).await?;
    let sent = puts(&stage.sim.requests_since(since), WINTER.campaign);
    let refused = sent.iter().find(|entry| answered(entry, 409));
    let first = refused.filter(|entry| sent.len() == 2 && put_id(entry) != Some(&started.id));
    let first = first.with_context(|| {
        format!(
            "awaited: a PUT refused with 409 and one more with an id of its own; instead {} PUTs",
            sent.len()
        )
    })?;

    tell::prose(
        "Repeating a refused start could override what somebody else has just done. So the operator read again, \
         found the campaign still paused, asked every gate anew, and started it under a new id.",
    );
    tell::gap();
    tell::fact("CXone", put_in_words(first));
    started.tell_facts();
    Ok(())
}
