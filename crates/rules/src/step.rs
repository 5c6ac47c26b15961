//! The one next step of a decision, and when the next decision is due.

use std::time::Duration;

use jiff::Timestamp;

use crate::campaign::LOOKS_AFTER_A_WRITE;
use crate::decide::{
    BLIND_AFTER, BLIND_AFTER_FAILURES, DECIDE_EVERY, Decision, GUARD_EVERY, LOOK_BEFORE_CLOSE, Step,
    VIOLATION_AFTER, holds_a_start,
};
use crate::gates::{Row, Verdict};
use crate::inputs::{Claim, Inputs};
use crate::kinds::{Cause, Mode, Observed, Target};
use crate::trouble::{Now, Trouble};
use crate::wants::Wants;

pub(crate) fn step(i: &Inputs<'_>, d: &Decision) -> Step {
    if !i.site.tenant.can_be_reached() || matches!(i.site.claim, Claim::Lost { .. }) {
        return Step::Rest;
    }
    match (d.closing, d.wants) {
        (Some((to, cause)), _) if !d.satisfied => close(i, d, to, cause),
        (None, Wants::Running(cause)) if !d.satisfied => start(i, d, cause),
        _ => look_if_due(i, d),
    }
}

/// A close is demanded and what is known does not satisfy it.
fn close(i: &Inputs<'_>, d: &Decision, to: Target, cause: Cause) -> Step {
    let c = i.campaign;
    // What does not exist can't dial; what may not be written need not be read in haste.
    if c.is_missing() || i.spec.mode == Mode::Observe || i.site.claim != Claim::Held {
        return look_if_due(i, d);
    }
    let press_due = c.press.is_none_or(|press| press.next <= i.now.mono) && !c.pass.pressed;
    match c.pass.state {
        Some(_) if press_due => Step::Close { to, cause, blind: false },
        Some(_) => Step::Rest,
        None if press_due && reads_fail(i) => Step::Close { to, cause, blind: true },
        None => look_when(i, true, look_before_a_close(i)),
    }
}

/// Whether the state has been asked for and could not be had, so that a close need not wait for it.
fn reads_fail(i: &Inputs<'_>) -> bool {
    let reads = &i.campaign.reads;
    let since = reads.since.is_some_and(|since| i.now.mono.saturating_sub(since) >= BLIND_AFTER);
    reads.failures >= BLIND_AFTER_FAILURES || since
}

/// A start is wanted, no gate of the first row forbids it, and what is known is that it does not run, or nothing.
fn start(i: &Inputs<'_>, d: &Decision, cause: Cause) -> Step {
    let c = i.campaign;
    // What holds a start is not read for more often than anything else, also where it is a fact of the platform.
    let held = d.obstacles(Row::Start).next().is_some()
        || d.gates.iter().any(holds_a_start)
        || i.spec.mode == Mode::Observe;
    let in_doubt = c.status.pending_transition.is_some();
    if held || in_doubt || i.now.mono < start_due(i) {
        return look_if_due(i, d);
    }
    match (c.pass.state, c.pass.active_calls) {
        (None, _) => Step::Look { urgent: false },
        (Some(_), None) => Step::Count,
        (Some(_), Some(_)) if d.gates.iter().all(|gate| gate.verdict == Verdict::Open) => {
            Step::Start { cause }
        }
        (Some(_), Some(_)) => Step::Rest,
    }
}

/// A start of ours that may still take effect, though it must not, is looked for that often.
const START_DOUBT_EVERY: Duration = Duration::from_secs(5);

/// When a start may be tried (monotonic): every step that it needs is out of its backoff.
fn start_due(i: &Inputs<'_>) -> Duration {
    let c = i.campaign;
    let steps = [&c.reads, &c.counts, &c.starts].into_iter().filter_map(|series| series.not_before);
    steps.chain(i.site.hold).chain(c.slot).chain(c.thaw).max().unwrap_or_default()
}

fn look_if_due(i: &Inputs<'_>, d: &Decision) -> Step {
    // A start in doubt that must not come about may need a close: it is looked at as before one.
    look_when(i, d.closing.is_some() && i.campaign.starting(), planned_look(i, d))
}

fn look_when(i: &Inputs<'_>, urgent: bool, at: Duration) -> Step {
    if at <= i.now.mono && i.campaign.pass.state.is_none() { Step::Look { urgent } } else { Step::Rest }
}

fn interval(i: &Inputs<'_>) -> Duration {
    Duration::from_secs(u64::try_from(i.spec.check_interval_seconds).unwrap_or(60))
}

/// When the next look for drift is due (monotonic): by the interval, or sooner after a write, before the hours end, or when
/// asked for; and not before backoff, budget and hold allow it.
fn planned_look(i: &Inputs<'_>, d: &Decision) -> Duration {
    let c = i.campaign;
    let every = match d.closing {
        Some(_) if c.may_still_start(i.now) => START_DOUBT_EVERY,
        Some(_) => interval(i).min(GUARD_EVERY),
        None => interval(i),
    };
    let asked = c.is_asked(i.meta.reconcile.as_deref());
    // What was seen before it had to be closed is no proof that it is: somebody else may have started it since.
    let proves = |last: &Now| d.closing.is_none() || c.demanded_since.is_some_and(|since| last.mono >= since);
    let last = c.last_look.filter(|last| !asked && proves(last));
    let by_interval = last.map_or(Duration::ZERO, |last| last.mono + every);
    let before_close = i.window.next_close().and_then(|close| look_before(i, close));
    let planned = [Some(by_interval), look_after_write(i), before_close].into_iter().flatten().min();
    [backoff(i, d, every), c.slot, i.site.hold]
        .into_iter()
        .flatten()
        .fold(planned.unwrap_or_default(), Duration::max)
}

/// When reads that fail may be tried again. Where it may not run, backoff makes no look later than the interval does, but for
/// trouble that needs a hand, and a wait that was asked for.
fn backoff(i: &Inputs<'_>, d: &Decision, every: Duration) -> Option<Duration> {
    let reads = &i.campaign.reads;
    let patient = reads.last.is_some_and(|t| t.is_terminal() || matches!(t, Trouble::Throttled(Some(_))));
    match reads.newest {
        Some(newest) if d.closing.is_some() && !patient => reads.not_before.map(|at| at.min(newest + every)),
        _ => reads.not_before,
    }
}

/// When the read before a close is due (monotonic): at once, but for what this close has already tried. Budget and hold do not
/// matter here.
fn look_before_a_close(i: &Inputs<'_>) -> Duration {
    let c = i.campaign;
    let pressing = c.press.filter(|press| press.next > i.now.mono);
    let planned =
        pressing.map_or(Duration::ZERO, |press| look_after_write(i).unwrap_or(press.next).min(press.next));
    c.reads.not_before.map_or(planned, |at| at.max(planned))
}

/// The next read of the schedule that follows a write; past its end the last step is repeated until the fate is known.
fn look_after_write(i: &Inputs<'_>) -> Option<Duration> {
    let sent = i.campaign.sent?;
    let last = LOOKS_AFTER_A_WRITE.len() - 1;
    let surplus = u32::try_from(sent.looks.saturating_sub(last)).unwrap_or(u32::MAX);
    let after = Duration::from_secs(LOOKS_AFTER_A_WRITE[sent.looks.min(last)]);
    Some(sent.at.saturating_add(after).saturating_add(GUARD_EVERY.saturating_mul(surplus)))
}

/// A look shortly before the hours end, unless there was one already.
fn look_before(i: &Inputs<'_>, close: Timestamp) -> Option<Duration> {
    let lead = i.now.until(close);
    if i.campaign.known() != Observed::Running || lead.is_zero() {
        return None;
    }
    let due = (i.now.mono + lead).saturating_sub(LOOK_BEFORE_CLOSE);
    let looked = i.campaign.last_look.is_some_and(|last| last.mono >= due);
    (!looked).then_some(due)
}

/// The next instant at which a gate or the declaration itself may change by the clock alone.
pub fn next_edge(i: &Inputs<'_>) -> Option<Timestamp> {
    let edges = [
        i.window.next_edge(),
        i.policies.next_thaw(i.now.wall),
        i.spec.resume_at.as_ref().map(crate::kinds::Instant::timestamp),
        i.campaign.status.pause.as_ref().map(|pause| pause.until.0),
    ];
    edges.into_iter().flatten().filter(|at| *at > i.now.wall).min()
}

pub(crate) fn wake_in(i: &Inputs<'_>, d: &Decision) -> Duration {
    if d.step != Step::Rest {
        return Duration::ZERO;
    }
    let c = i.campaign;
    let wall = next_edge(i).map(|at| i.now.until(at));
    let pressing = d.must_close();
    let look = if pressing { look_before_a_close(i) } else { planned_look(i, d) };
    // One that came due in the pass that sent the last is sent by the next pass, at once.
    let again =
        if c.pass.pressed { i.now.mono.saturating_add(Duration::from_millis(1)) } else { Duration::ZERO };
    let starting = d.closing.is_none() && matches!(d.wants, Wants::Running(_)) && !d.satisfied;
    let mono = [
        Some(look),
        c.press.filter(|_| pressing).map(|press| press.next.max(again)),
        Some(start_due(i)).filter(|_| starting && d.obstacles(Row::Start).next().is_none()),
        c.reads.since.filter(|_| pressing).map(|since| since + BLIND_AFTER),
        c.violating_since.map(|since| since + VIOLATION_AFTER),
    ];
    let mono = mono.into_iter().flatten().filter(|at| *at > i.now.mono).map(|at| i.now.until_mono(at));
    wall.into_iter().chain(mono).min().unwrap_or(DECIDE_EVERY).min(DECIDE_EVERY)
}
