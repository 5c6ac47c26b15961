//! What must not run does not, whoever wants it to.

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::Value;
use simulator::{CallsConfig, CampaignConfig, LogEntry, Route};

use super::{PAYMENT, SURVEY, WINTER};
use crate::cluster_view::{condition, in_words};
use crate::facts::puts;
use crate::stage::{ORG, Stage};
use crate::tell;
use crate::transition::Millis;

/// Calls that an earlier run has left.
const LEFT: u32 = 180;

/// An outside hand starts a campaign beyond its hours.
pub async fn outside_hand(stage: &Stage) -> Result<()> {
    let since = stage.sim.last_seq();
    start_by_hand(stage).await?;
    let started = stage.until_log(since, "the outside start", |e| e.is_change(PAYMENT.campaign)).await?;
    tell::prose(
        "Nobody tells the operator. But while a campaign may not run it looks every 10 s here (checkIntervalSeconds), \
         and never less often than every 30 s.",
    );
    let undone = stage.until_applied(PAYMENT, "Paused", since).await?;
    let is_look = |e: &LogEntry| {
        e.seq > started.seq
            && e.is_request(Route::StateGet)
            && e.campaign.as_deref() == Some(PAYMENT.campaign)
    };
    let look = stage.until_log(since, "the look that found it", is_look).await?;

    tell::prose(&format!(
        "Its look came {} after the start, and the pause was in CXone {} later: a call outside the legal hours is \
         expensive, so it does not matter who started the campaign.",
        Millis::between(started.at, look.at),
        undone.after(look.at),
    ));
    undone.tell();
    Ok(())
}

/// What a person does in CXone's own console, by the control API of the stand-in.
async fn start_by_hand(stage: &Stage) -> Result<()> {
    let url = format!("{}/_sim/tenants/{ORG}/campaigns/{}/outside", stage.sim.url(), PAYMENT.campaign);
    let body = r#"{"status":"running"}"#;
    tell::command(&format!("curl {url} -d '{body}'"));
    let client = reqwest::Client::builder().no_proxy().build()?;
    let answer = client.post(url).body(body).send().await.context("the simulated CXone does not answer")?;
    answer.error_for_status()?;
    Ok(())
}

/// A start waits until calls have drained.
pub async fn too_many_calls(stage: &Stage) -> Result<()> {
    leave_calls(stage, Some(LEFT))?;
    let since = stage.sim.last_seq();
    tell::prose(&format!(
        "An earlier run of survey-east has left {LEFT} calls on the line, and its file says maxActiveCalls: 50."
    ));
    stage.kubectl.show(&["apply", "-f", SURVEY.file]).await?;
    let waiting = stage.until_condition(SURVEY.name, "CallVolumeOK", "False", "TooManyCalls").await?;
    let sent = puts(&stage.sim.requests_since(since), SURVEY.campaign).len();
    ensure!(sent == 0, "awaited: no PUT while too many calls are active; instead {sent}");
    let blocked = audited(stage, "TRANSITION_BLOCKED", SURVEY.name)?;
    tell::gap();
    tell::fact("CXone", "no PUT");
    tell::fact("status", in_words(condition(&waiting, "Ready")));
    tell::fact("audit", format!("TRANSITION_BLOCKED: {}", blocked["message"].as_str().unwrap_or("?")));

    leave_calls(stage, None)?;
    let hung_up = Timestamp::now();
    tell::prose("Now 20 callers hang up each second. The operator counts again with every check.");
    let started = stage.until_applied(SURVEY, "Running", since).await?;
    tell::prose(&format!(
        "It started the campaign {} later, when no more than 50 were left: new calls on top of a full floor would \
         ring with nobody to answer.",
        started.after(hung_up),
    ));
    started.tell();
    Ok(())
}

/// The newest audit line of a kind about a campaign.
fn audited(stage: &Stage, event: &str, name: &str) -> Result<Value> {
    let lines = stage.operator.audit();
    let line = lines.into_iter().rfind(|line| line["event"] == event && line["name"] == name);
    line.with_context(|| format!("awaited: an audit line {event} about {name}; instead there is none"))
}

/// Sets the calls on the line: they stay there while `pinned`, else they drain.
fn leave_calls(stage: &Stage, pinned: Option<u32>) -> Result<()> {
    let calls = CallsConfig { now: Some(LEFT), pinned: Some(pinned), ..CallsConfig::default() };
    let config = CampaignConfig { active_calls: Some(calls), ..CampaignConfig::default() };
    stage.sim.campaign(ORG, SURVEY.campaign).configure(&config)?;
    Ok(())
}

/// A brake beside the declaration.
pub async fn hold(stage: &Stage) -> Result<()> {
    let since = stage.sim.last_seq();
    let key = "dialer.cxone-operator.io/hold";
    let ran = stage.kubectl.show(&["annotate", "dcs", WINTER.name, &format!("{key}=bad list")]).await?;
    let paused = stage.until_applied(WINTER, "Paused", since).await?;
    tell::prose(&format!(
        "Paused {} after Enter. The declaration still says Running; the annotation is a brake beside it that a \
         sync from git does not release. While it is there nothing starts the campaign.",
        paused.after(ran.entered),
    ));
    paused.tell();

    let since = stage.sim.last_seq();
    let ran = stage.kubectl.show(&["annotate", "dcs", WINTER.name, &format!("{key}-")]).await?;
    let started = stage.until_applied(WINTER, "Running", since).await?;
    tell::prose(&format!(
        "Released: {} after Enter it ran again, through every gate, as the declaration wants it.",
        started.after(ran.entered),
    ));
    started.tell();
    Ok(())
}
