//! Status and conditions from a decision. A function of facts: the same facts give the same status, to the byte.

mod listing;
mod standing;

use jiff::{SignedDuration, Timestamp};

use crate::calendar::{RuleText, WindowView};
use crate::decide::{Decision, holds_a_start};
use crate::gates::{Gate, Obstacle, Row};
use crate::inputs::{Inputs, Window};
use crate::kinds::{
    CampaignStatus, Cause, Effective, NextTransition, Observed, PauseExpiry, Target, WindowStatus, stamp,
    stamp_up,
};
use crate::reasons::{Reason, conditions};
use crate::wants::Wants;

/// How a campaign stands, in the terms of kstatus.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// Observed equals effective.
    Ready(Reason, String),
    /// Work is under way.
    Working(Reason, String),
    /// Nothing moves without a hand.
    Stalled(Reason, String),
    /// Seen running where it may not.
    Violation(Reason, String),
}

/// The status that these inputs and this decision come to, and since when work has been under way.
pub fn report(i: &Inputs<'_>, d: &Decision) -> (CampaignStatus, Option<Timestamp>) {
    let standing = standing::standing(i, d);
    let (standing, working_since) = with_deadline(i, standing);
    let mut status = i.campaign.status.clone();
    status.effective = Some(d.effective);
    status.observed = Some(i.campaign.status.observed.unwrap_or(Observed::Unknown));
    status.window = Some(window_status(i.window));
    if !i.policies.unheard {
        status.policies = i.policies.references();
    }
    status.next_transition = next_transition(i, d);
    status.conditions = listing::conditions_of(i, d, &standing);
    (status, working_since)
}

/// Since when an earlier process has been at work on this generation, by what it wrote down.
pub fn working_since(status: &CampaignStatus, generation: i64) -> Option<Timestamp> {
    let condition = status.condition(conditions::RECONCILING).or_else(|| {
        status
            .condition(conditions::STALLED)
            .filter(|c| c.reason == Reason::ProgressDeadlineExceeded.as_str())
            .and_then(|_| status.condition(conditions::READY))
    })?;
    let stalled = condition.type_ == conditions::READY;
    let since = if stalled { Timestamp::UNIX_EPOCH } else { condition.last_transition_time.0 };
    (condition.observed_generation == Some(generation)).then_some(since)
}

/// Reasons for which a start waits because a fact can't be had.
const NOT_KNOWN: [Reason; 4] =
    [Reason::StateUnreadable, Reason::StatsUnreadable, Reason::Unavailable, Reason::RateLimited];

/// What keeps a wanted start from happening, as status tells it: reason and message.
pub fn refusal(status: &CampaignStatus) -> Option<(&str, &str)> {
    let held = status.condition(conditions::HELD).filter(|c| c.status == "True");
    let calls = status.condition(conditions::CALL_VOLUME_OK).filter(|c| c.status == "False");
    let stalled = status.condition(conditions::STALLED);
    let unknown = status
        .condition(conditions::RECONCILING)
        .filter(|c| NOT_KNOWN.iter().any(|r| r.as_str() == c.reason));
    held.or(calls).or(stalled).or(unknown).map(|c| (c.reason.as_str(), c.message.as_str()))
}

fn with_deadline(i: &Inputs<'_>, standing: Standing) -> (Standing, Option<Timestamp>) {
    let Standing::Working(reason, message) = standing else { return (standing, None) };
    let since = i.campaign.working_since.unwrap_or(i.now.wall);
    let limit = SignedDuration::from_secs(i64::from(i.spec.progress_deadline_seconds));
    if i.now.wall.duration_since(since) <= limit {
        return (Standing::Working(reason, message), Some(since));
    }
    let seconds = limit.as_secs();
    let message = format!("no progress for {seconds} s; still trying: {message}");
    (Standing::Stalled(Reason::ProgressDeadlineExceeded, message), Some(since))
}

/// What holds it, or would if it did not run.
fn holding(d: &Decision) -> Vec<&Obstacle> {
    d.gates.iter().filter(|g| g.row == Row::Run || holds_a_start(g)).filter_map(Gate::obstacle).collect()
}

/// What holds it: the first reason, and all of them in words.
fn hold(d: &Decision) -> (Reason, String) {
    let holding = holding(d);
    let reason = holding.first().map_or(Reason::Declared, |o| o.reason);
    let details: Vec<&str> = holding.iter().map(|o| o.detail.as_str()).collect();
    (reason, details.join("; "))
}

fn state_reason(observed: Observed) -> Reason {
    match observed {
        Observed::Running => Reason::Running,
        Observed::Paused => Reason::Paused,
        Observed::Stopped => Reason::Stopped,
        Observed::Unknown => Reason::NotYetObserved,
    }
}

fn window_status(window: &Window) -> WindowStatus {
    match window {
        Window::None(why) => WindowStatus {
            open: false,
            next_open: None,
            next_close: None,
            rule: why.to_string(),
            policy: why.policy().cloned(),
        },
        Window::Known(view) => WindowStatus {
            open: view.open,
            next_open: view.next_open.map(stamp),
            next_close: view.next_close.map(stamp),
            rule: view.rule.text.clone(),
            policy: view.rule.policy.clone(),
        },
    }
}

fn next_transition(i: &Inputs<'_>, d: &Decision) -> Option<NextTransition> {
    let next = |at, to, why: &str| Some(NextTransition { at: stamp_up(at), to, why: why.to_owned() });
    if let (Wants::Closed(Target::Paused, Cause::Declared), Some(pause)) = (d.wants, &i.campaign.status.pause)
    {
        let to =
            if i.spec.pause_expiry == PauseExpiry::Resume { Effective::Running } else { Effective::Held };
        return next(pause.until.0, to, "the timed pause ends");
    }
    if !matches!(d.wants, Wants::Running(_)) {
        return None;
    }
    let obstacles = holding(d);
    if d.effective != Effective::Held {
        return i.window.next_close().and_then(|at| next(at, Effective::Held, &format!("{} end", hours(i))));
    }
    let last = obstacles.iter().map(|o| o.until).collect::<Option<Vec<_>>>()?.into_iter().max()?;
    let thaws = || i.policies.freezes(i.now.wall).find(|freeze| freeze.until == Some(last));
    let why = obstacles.iter().rfind(|o| o.until == Some(last)).map(|o| match (o.reason, thaws()) {
        (Reason::ScheduledResume, _) => "resumeAt comes".to_owned(),
        (Reason::Frozen, Some(freeze)) => format!("the freeze of policy {} ends", freeze.policy.name),
        _ => format!("{} begin", hours(i)),
    });
    next(last, Effective::Running, &why.unwrap_or_default())
}

/// Whose hours make the next change.
fn hours(i: &Inputs<'_>) -> String {
    match i.window {
        Window::Known(WindowView { rule: RuleText { policy: Some(policy), .. }, .. }) => {
            format!("the hours of policy {}", policy.name)
        }
        _ => "the hours".to_owned(),
    }
}
