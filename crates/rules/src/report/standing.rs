//! How a campaign stands, and in which words.

use super::{Standing, hold, state_reason};
use crate::decide::{Decision, VIOLATION_AFTER};
use crate::gates::{Gate, Row};
use crate::inputs::{Claim, Inputs, Tenant};
use crate::kinds::{
    DeclaredState, DialerCampaignStateSpec, Effective, Mode, Observed, PauseExpiry, ResumeMode, Target,
};
use crate::reasons::Reason;
use crate::trouble::Trouble;
use crate::wants::Wants;

pub(super) fn standing(i: &Inputs<'_>, d: &Decision) -> Standing {
    // What another declaration owns is not ours to accuse; a tenant that is gone excuses nothing.
    let accused = violation(i, d).filter(|_| !matches!(i.site.claim, Claim::Lost { .. }));
    if let Some(standing) = accused.or_else(|| out_of_reach(i, d)).or_else(|| needs_a_hand(i, d)) {
        return standing;
    }
    let c = i.campaign;
    if let Some(trouble) = c.reads.last.filter(|_| c.reads.failures >= 2 || c.seen.is_none()) {
        return Standing::Working(
            trouble.reason(),
            format!("the campaign's state can't be read: {}", told(trouble)),
        );
    }
    if c.seen.is_none() {
        return Standing::Working(Reason::NotYetObserved, "the campaign has not been read yet".into());
    }
    if i.spec.suspend && d.satisfied {
        return Standing::Ready(Reason::Suspended, suspended_message(i));
    }
    if i.spec.mode == Mode::Observe {
        return Standing::Ready(Reason::Observe, observe_message(d));
    }
    if d.effective == Effective::Held && c.known().is_closed() {
        let (reason, message) = hold(d);
        return Standing::Ready(reason, joined([Some(message), ignored(i.spec)]));
    }
    if c.status.pending_transition.is_some() {
        return confirming(i);
    }
    if d.satisfied {
        return Standing::Ready(state_reason(c.known()), ready_message(i));
    }
    work_under_way(i, d)
}

/// What makes it impossible, or none of our business, to drive the campaign at all.
fn out_of_reach(i: &Inputs<'_>, d: &Decision) -> Option<Standing> {
    let named = matches!(i.site.claim, Claim::Lost { .. }) || i.site.tenant != Tenant::Usable;
    let obstacle = d.gates.iter().filter_map(Gate::obstacle).find(|o| {
        matches!(
            o.reason,
            Reason::TenantNotFound
                | Reason::CredentialsMissing
                | Reason::Unauthorized
                | Reason::EndpointNotAllowed
                | Reason::DuplicateClaim
        )
    });
    obstacle.filter(|_| named).map(|o| Standing::Stalled(o.reason, o.detail.clone()))
}

fn violation(i: &Inputs<'_>, d: &Decision) -> Option<Standing> {
    let long = i.campaign.violating_since.is_some_and(|s| i.now.mono.saturating_sub(s) >= VIOLATION_AFTER);
    let observing = i.spec.mode == Mode::Observe && i.campaign.violating_since.is_some();
    if !long && !observing {
        return None;
    }
    let (reason, why) = why_closing(d);
    let message = if observing {
        format!("running although it may not, and mode Observe forbids closing it: {why}")
    } else {
        format!("running although it may not, no close confirmed: {why}")
    };
    Some(Standing::Violation(reason, message))
}

/// Trouble that does not mend itself.
fn needs_a_hand(i: &Inputs<'_>, d: &Decision) -> Option<Standing> {
    let c = i.campaign;
    let read = c.reads.last.filter(|t| t.is_terminal());
    if let Some(trouble) = read {
        return Some(Standing::Stalled(
            trouble.reason(),
            format!("the campaign can't be read: {}", told(trouble)),
        ));
    }
    let (write, conflicts, what) = match c.press.filter(|_| d.must_close()) {
        Some(press) => (press.trouble, press.conflicts, "closed"),
        None if d.satisfied => (None, 0, ""),
        None => (c.starts.last.or(c.counts.last), c.starts.conflicts, "started"),
    };
    match write? {
        Trouble::Conflict if conflicts >= 2 => Some(Standing::Stalled(
            Reason::InvalidTransition,
            format!("the campaign can't be {what}: CXone refuses it (409) although it is not there yet"),
        )),
        trouble if trouble.is_terminal() => Some(Standing::Stalled(
            trouble.reason(),
            format!("the campaign can't be {what}: {}", told(trouble)),
        )),
        _ => None,
    }
}

fn confirming(i: &Inputs<'_>) -> Standing {
    let to = i.campaign.status.pending_transition.as_ref().map_or(Target::Paused, |pending| pending.to);
    let trouble = i.campaign.press.and_then(|press| press.trouble);
    match trouble {
        Some(trouble) => {
            Standing::Working(trouble.reason(), format!("{to} is being asked for again: {}", told(trouble)))
        }
        None => {
            Standing::Working(Reason::Confirming, format!("{to} was asked for, no read has confirmed it yet"))
        }
    }
}

fn work_under_way(i: &Inputs<'_>, d: &Decision) -> Standing {
    let c = i.campaign;
    if d.must_close() {
        let (reason, why) = why_closing(d);
        return Standing::Working(reason, format!("about to be closed: {why}"));
    }
    if let Some(obstacle) = d.obstacles(Row::Start).find_map(Gate::obstacle) {
        return Standing::Working(obstacle.reason, obstacle.detail.clone());
    }
    if c.volume_ok == Some(false) {
        let cap = i.cap();
        return Standing::Working(Reason::TooManyCalls, format!("waits until no more than {cap} are active"));
    }
    if let Some(trouble) = c.counts.last {
        let reason = if trouble == Trouble::Unreadable { Reason::StatsUnreadable } else { trouble.reason() };
        return Standing::Working(reason, format!("the statistics can't be read: {}", told(trouble)));
    }
    if let Some(trouble) = c.starts.last.or(c.reads.last) {
        return Standing::Working(trouble.reason(), format!("could not be started yet: {}", told(trouble)));
    }
    if i.site.hold.is_some_and(|until| until > i.now.mono) {
        return Standing::Working(Reason::RateLimited, "CXone asked this tenant to wait".into());
    }
    Standing::Working(Reason::Declared, "about to be started".into())
}

/// Trouble in words that never change with the answer's text.
fn told(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::NotNow(_) => "the tenant's request budget is used up",
        Trouble::Throttled(_) => "CXone asks for fewer requests (429 or 503)",
        Trouble::Unauthorized => "CXone refuses the credentials (401)",
        Trouble::CredentialsMissing => {
            "there are no credentials to go by; the status of the CXoneTenant says why"
        }
        Trouble::Forbidden => "the credentials lack a right (403)",
        Trouble::NotFound => "CXone knows no such campaign (404)",
        Trouble::Conflict => "another writer was there (409)",
        Trouble::Unavailable => "CXone answers with a server error",
        Trouble::Rejected => "CXone refuses the request",
        Trouble::Unreadable => "CXone's answer can't be understood",
        Trouble::Unreachable => "CXone can't be reached",
        Trouble::Interrupted => "no answer came in time",
    }
}

fn why_closing(d: &Decision) -> (Reason, String) {
    match d.obstacles(Row::Run).find_map(Gate::obstacle) {
        Some(obstacle) if !matches!(d.wants, Wants::Closed(..) | Wants::Expired) => {
            (obstacle.reason, obstacle.detail.clone())
        }
        _ => (Reason::Declared, "it is declared not to run".into()),
    }
}

fn ready_message(i: &Inputs<'_>) -> String {
    let (declared, observed) = (i.spec.state, i.campaign.known());
    let pause_over = declared == DeclaredState::Paused && observed == Observed::Running;
    let state = match (declared, observed) {
        _ if pause_over => "running again: the timed pause is over".into(),
        (DeclaredState::Paused, Observed::Stopped) => "stopped, which satisfies the declared Paused".into(),
        _ => format!("{observed} as declared").to_lowercase(),
    };
    joined([Some(state), pause_clock(i), ignored(i.spec)])
}

fn joined(parts: impl IntoIterator<Item = Option<String>>) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn pause_clock(i: &Inputs<'_>) -> Option<String> {
    let timed = i.spec.state == DeclaredState::Paused && i.spec.pause_duration_seconds > 0;
    match &i.campaign.status.pause {
        _ if !timed => None,
        Some(pause) if pause.until.0 <= i.now.wall => None,
        Some(pause) => Some(format!("the pause ends {}", pause.until.0)),
        None => Some("this operator did not pause it, so pauseDurationSeconds does not run".into()),
    }
}

/// Fields that are set and do not apply.
fn ignored(spec: &DialerCampaignStateSpec) -> Option<String> {
    let timed = spec.state == DeclaredState::Paused && spec.pause_duration_seconds > 0;
    let fields: Vec<_> = [
        (spec.pause_duration_seconds > 0 && spec.state != DeclaredState::Paused, "pauseDurationSeconds"),
        (spec.pause_expiry == PauseExpiry::Hold && !timed, "pauseExpiry"),
        (spec.resume_at.is_some() && spec.resume_mode != ResumeMode::Scheduled, "resumeAt"),
    ]
    .into_iter()
    .filter_map(|(applies, name)| applies.then_some(name))
    .collect();
    (!fields.is_empty()).then(|| format!("ignored here: {}", fields.join(", ")))
}

fn suspended_message(i: &Inputs<'_>) -> String {
    format!("suspended: {} is left as it is", i.campaign.known()).to_lowercase()
}

fn observe_message(d: &Decision) -> String {
    match (d.closing, d.wants) {
        _ if d.satisfied => "observing: nothing would be done".into(),
        (Some((to, cause)), _) => format!("observing: {to} would be asked for ({cause})"),
        (None, Wants::Running(_)) => "observing: a start would be tried".into(),
        (None, _) => "observing: nothing would be done".into(),
    }
}
