//! Status and conditions from a decision. A function of facts: the same facts give the same status, to the byte.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::decide::{Claim, Decision, Inputs, Tenant, VIOLATION_AFTER, Wants, Window, holds_a_start};
use crate::gates::{Gate, Obstacle, Row};
use crate::kinds::{
    CampaignStatus, Cause, DeclaredState, DialerCampaignStateSpec, Effective, Mode, NextTransition, Observed,
    PauseExpiry, ResumeMode, Target, WindowStatus, stamp, stamp_up,
};
use crate::reasons::{Reason, conditions};
use crate::trouble::Trouble;

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
    let standing = standing(i, d);
    let (standing, working_since) = with_deadline(i, standing);
    let mut status = i.campaign.status.clone();
    status.effective = Some(d.effective);
    status.observed = Some(i.campaign.status.observed.unwrap_or(Observed::Unknown));
    status.window = Some(window_status(i.window));
    status.next_transition = next_transition(i, d);
    status.conditions = conditions_of(i, d, &standing);
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

/// What keeps a wanted start from happening, as status tells it: reason and message.
pub fn refusal(status: &CampaignStatus) -> Option<(&str, &str)> {
    let held = status.condition(conditions::HELD).filter(|c| c.status == "True");
    let calls = status.condition(conditions::CALL_VOLUME_OK).filter(|c| c.status == "False");
    let stalled = status.condition(conditions::STALLED);
    held.or(calls).or(stalled).map(|c| (c.reason.as_str(), c.message.as_str()))
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

fn standing(i: &Inputs<'_>, d: &Decision) -> Standing {
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
        matches!(o.reason, Reason::TenantNotFound | Reason::EndpointNotAllowed | Reason::DuplicateClaim)
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
        let cap = i.spec.max_active_calls;
        return Standing::Working(
            Reason::TooManyCalls,
            format!("waits until no more than {cap} calls are active"),
        );
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
        Trouble::CredentialsMissing => "the Secret with the credentials is missing or lacks a key",
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

/// What holds it: the first reason, and all of them in words.
fn hold(d: &Decision) -> (Reason, String) {
    let holding: Vec<&Obstacle> =
        d.gates.iter().filter(|g| g.row == Row::Run || holds_a_start(g)).filter_map(Gate::obstacle).collect();
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

fn window_status(window: &Window) -> WindowStatus {
    match window {
        Window::None(why) => {
            WindowStatus { open: false, next_open: None, next_close: None, rule: why.to_string() }
        }
        Window::Known { view, rule } => WindowStatus {
            open: view.open,
            next_open: view.next_open.map(stamp),
            next_close: view.next_close.map(stamp),
            rule: rule.clone(),
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
    let obstacles: Vec<&Obstacle> = d.obstacles(Row::Run).filter_map(Gate::obstacle).collect();
    if obstacles.is_empty() {
        return i.window.next_close().and_then(|at| next(at, Effective::Held, "the hours end"));
    }
    let last = obstacles.iter().map(|o| o.until).collect::<Option<Vec<_>>>()?.into_iter().max()?;
    let why = if obstacles.iter().any(|o| o.reason == Reason::ScheduledResume && o.until == Some(last)) {
        "resumeAt comes"
    } else {
        "the hours begin"
    };
    next(last, Effective::Running, why)
}

fn conditions_of(i: &Inputs<'_>, d: &Decision, standing: &Standing) -> Vec<Condition> {
    let mut out = Conditions { i, list: Vec::new() };
    let (ready, reason, message) = match standing {
        Standing::Ready(reason, message) => ("True", reason, message),
        Standing::Working(reason, message) => ("Unknown", reason, message),
        Standing::Stalled(reason, message) | Standing::Violation(reason, message) => {
            ("False", reason, message)
        }
    };
    out.push(conditions::READY, ready, *reason, message);
    match standing {
        Standing::Working(..) => out.push(conditions::RECONCILING, "True", *reason, message),
        Standing::Stalled(..) => out.push(conditions::STALLED, "True", *reason, message),
        Standing::Violation(..) => out.push(conditions::VIOLATION, "True", *reason, message),
        Standing::Ready(..) => {}
    }
    in_sync(&mut out);
    if d.effective == Effective::Held {
        let (reason, message) = hold(d);
        out.push(conditions::HELD, "True", reason, &message);
    } else {
        out.push(conditions::HELD, "False", Reason::NotHeld, "nothing holds the campaign");
    }
    window_condition(&mut out, d);
    call_volume(&mut out);
    out.list
}

struct Conditions<'a> {
    i: &'a Inputs<'a>,
    list: Vec<Condition>,
}

impl Conditions<'_> {
    /// Keeps the transition time while the status word stays.
    fn push(&mut self, type_: &str, status: &str, reason: Reason, message: &str) {
        let since = self.i.campaign.status.condition(type_).filter(|old| old.status == status);
        self.list.push(Condition {
            type_: type_.into(),
            status: status.into(),
            reason: reason.as_str().into(),
            message: message.into(),
            observed_generation: Some(self.i.meta.generation),
            last_transition_time: since
                .map_or_else(|| stamp(self.i.now.wall), |old| Time(old.last_transition_time.0)),
        });
    }
}

fn in_sync(out: &mut Conditions<'_>) {
    let (declared, observed) = (out.i.spec.state, out.i.campaign.known());
    let same = match declared {
        DeclaredState::Running => observed == Observed::Running,
        DeclaredState::Paused => observed.is_closed(),
        DeclaredState::Stopped => observed == Observed::Stopped,
    };
    let message = format!("declared {declared}, observed {observed}");
    match same {
        true => out.push(conditions::IN_SYNC, "True", state_reason(observed), &message),
        false if observed == Observed::Unknown => {
            out.push(conditions::IN_SYNC, "False", Reason::NotYetObserved, &message);
        }
        false => out.push(conditions::IN_SYNC, "False", Reason::Declared, &message),
    }
}

fn window_condition(out: &mut Conditions<'_>, d: &Decision) {
    let closed = d.gates.iter().filter(|g| g.row == Row::Run).filter_map(Gate::obstacle).find(|o| {
        matches!(o.reason, Reason::OutsideWindow | Reason::NoWindow | Reason::NeverOpen | Reason::UnknownZone)
    });
    match (closed, out.i.window) {
        (Some(obstacle), _) => {
            out.push(conditions::WINDOW_OPEN, "False", obstacle.reason, &obstacle.detail);
        }
        (None, Window::Known { view, rule }) => {
            let message = match view.next_close {
                Some(at) => format!("within {rule}; closes {at}"),
                None => format!("within {rule}; does not close within 400 days"),
            };
            out.push(conditions::WINDOW_OPEN, "True", Reason::WithinWindow, &message);
        }
        (None, Window::None(_)) => {}
    }
}

fn call_volume(out: &mut Conditions<'_>) {
    let cap = out.i.spec.max_active_calls;
    match out.i.campaign.volume_ok {
        Some(true) => out.push(
            conditions::CALL_VOLUME_OK,
            "True",
            Reason::WithinCap,
            &format!("no more than {cap} calls are active"),
        ),
        Some(false) => out.push(
            conditions::CALL_VOLUME_OK,
            "False",
            Reason::TooManyCalls,
            &format!("more than {cap} calls are active"),
        ),
        None => {}
    }
}
