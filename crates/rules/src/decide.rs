//! From declaration to the one next step: a pure function of values. The loop, and everything that explains or foretells it,
//! calls the same one.

use std::time::Duration;

use jiff::Timestamp;

use crate::calendar::{NoCalendar, WindowView};
use crate::campaign::{Campaign, LOOKS_AFTER_A_WRITE};
use crate::gates::{self, Gate, Row, Verdict};
use crate::kinds::{
    Cause, DeclaredState, DeletionPolicy, DialerCampaignStateSpec, Effective, Mode, Observed, PauseExpiry,
    Target,
};
use crate::reasons::Reason;
use crate::trouble::{Now, Trouble};

/// Every object is decided anew at least that often: timers miss clock steps and machine sleep.
pub const DECIDE_EVERY: Duration = Duration::from_secs(15);
/// While it may not run it is looked at at least that often.
pub const GUARD_EVERY: Duration = Duration::from_secs(30);
/// A running campaign is looked at this long before its hours end, so that an unreadable state is known by then.
pub const LOOK_BEFORE_CLOSE: Duration = Duration::from_secs(4);
/// A campaign that must not run is closed blindly when no read has succeeded for that long.
pub const BLIND_AFTER: Duration = Duration::from_secs(3);
/// ... or after that many reads that failed.
pub const BLIND_AFTER_FAILURES: u32 = 2;
/// Seen running where it may not for that long without a confirmed close is a violation.
pub const VIOLATION_AFTER: Duration = Duration::from_secs(10);

/// Everything that a decision is made of.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The declaration.
    pub spec: &'a DialerCampaignStateSpec,
    /// What matters of its metadata.
    pub meta: &'a Meta,
    /// What the operator knows besides.
    pub site: &'a Site,
    /// The dialing window.
    pub window: &'a Window,
    /// What is known of the campaign.
    pub campaign: &'a Campaign,
    /// Both clocks.
    pub now: Now,
}

/// What matters of an object's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// `metadata.generation`.
    pub generation: i64,
    /// The hold annotation's value.
    pub hold: Option<String>,
    /// The release annotation's value.
    pub release: Option<String>,
    /// The reconcile annotation's value.
    pub reconcile: Option<String>,
    /// Whether the object is being deleted.
    pub deleting: bool,
    /// Whether our finalizer stands.
    pub finalizer: bool,
}

/// What the operator knows besides the campaign.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// The tenant.
    pub tenant: Tenant,
    /// Who owns the campaign.
    pub claim: Claim,
    /// Whether every declaration has been listed.
    pub listed: bool,
    /// Whether the audit log can be written.
    pub audit_writable: bool,
    /// The tenant's timeout for one request.
    pub timeout: Duration,
    /// Until when (monotonic) the tenant's starts and reads are held.
    pub hold: Option<Duration>,
}

/// The campaign's tenant, as far as it matters to a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenant {
    /// Requests can be sent.
    Usable,
    /// The object is gone, its client is still at hand: enough for a close.
    Gone,
    /// There is no such object.
    NotFound,
    /// Its host is not on the list.
    NotAllowed,
}

impl Tenant {
    fn can_be_reached(self) -> bool {
        matches!(self, Self::Usable | Self::Gone)
    }
}

/// Who owns the campaign, among the declarations of the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// This declaration.
    Held,
    /// Not known yet: an older one is being examined.
    Pending,
    /// Another one; named only where it is in the same namespace.
    Lost {
        /// Its name.
        winner: Option<String>,
    },
}

/// The dialing window, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub enum Window {
    /// It can't be asked: closed.
    None(NoCalendar),
    /// It was asked at this instant.
    Known {
        /// What it said.
        view: WindowView,
        /// The rule in words.
        rule: String,
    },
}

impl Window {
    /// When it closes, where it is open.
    pub fn next_close(&self) -> Option<Timestamp> {
        match self {
            Self::Known { view, .. } if view.open => view.next_close,
            _ => None,
        }
    }

    fn next_edge(&self) -> Option<Timestamp> {
        match self {
            Self::Known { view, .. } => view.next_edge(),
            Self::None(_) => None,
        }
    }
}

/// What the declaration wants, gates aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// That it runs.
    Running(Cause),
    /// That it does not.
    Closed(Target, Cause),
    /// That it stays paused after a timed pause.
    Expired,
    /// Nothing: suspended, or deleted with `Retain`.
    Leave,
}

/// The one next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing now.
    Rest,
    /// Read the state. `urgent`: before a close, so it waits for nothing and is not waited for long.
    Look {
        /// See above.
        urgent: bool,
    },
    /// Read the statistics.
    Count,
    /// Send a close.
    Close {
        /// Where it leads.
        to: Target,
        /// Why.
        cause: Cause,
        /// Without a successful read.
        blind: bool,
    },
    /// Send `running`.
    Start {
        /// Why.
        cause: Cause,
    },
}

/// What follows from the inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What the declaration wants.
    pub wants: Wants,
    /// Every gate.
    pub gates: Vec<Gate>,
    /// What declaration and gates come to.
    pub effective: Effective,
    /// The close that the table demands, whatever is observed.
    pub closing: Option<(Target, Cause)>,
    /// Whether what is known agrees with the effective state.
    pub satisfied: bool,
    /// What to do now.
    pub step: Step,
    /// How long until the next look at these inputs, if nothing else happens.
    pub wake_in: Duration,
    /// When the hours end (lead taken off): a pass under way is cut short then.
    pub cut_at: Option<Timestamp>,
}

impl Decision {
    /// Whether no gate forbids it to run, the declaration aside.
    pub fn may_run(&self) -> bool {
        self.obstacles(Row::Run).next().is_none()
    }

    /// The closed gates of this row.
    pub fn obstacles(&self, row: Row) -> impl Iterator<Item = &Gate> {
        self.gates.iter().filter(move |gate| gate.row == row && gate.obstacle().is_some())
    }

    /// Whether it is seen running, or not known not to, where it must not.
    pub fn must_close(&self) -> bool {
        self.closing.is_some() && !self.satisfied
    }
}

/// Decides.
pub fn decide(inputs: &Inputs<'_>) -> Decision {
    let wants = wants(inputs);
    let gates = gates::ask(inputs, wants);
    let closing = closing(wants, &gates);
    let satisfied = satisfied(inputs, wants, closing);
    let effective = effective(inputs, wants, &gates, closing);
    let mut decision = Decision {
        wants,
        effective,
        closing,
        satisfied,
        step: Step::Rest,
        wake_in: Duration::ZERO,
        cut_at: inputs.window.next_close(),
        gates,
    };
    decision.step = step(inputs, &decision);
    decision.wake_in = wake_in(inputs, &decision);
    decision
}

fn wants(i: &Inputs<'_>) -> Wants {
    if i.meta.deleting {
        return match i.spec.deletion_policy {
            DeletionPolicy::Pause if i.meta.finalizer => Wants::Closed(Target::Paused, Cause::Deleted),
            _ => Wants::Leave,
        };
    }
    let over = i.campaign.status.pause.as_ref().is_some_and(|pause| pause.until.0 <= i.now.wall);
    match (i.spec.state, i.spec.suspend) {
        (_, true) => Wants::Leave,
        (DeclaredState::Stopped, _) => Wants::Closed(Target::Stopped, Cause::Declared),
        (DeclaredState::Paused, _) if over && i.spec.pause_expiry == PauseExpiry::Hold => Wants::Expired,
        (DeclaredState::Paused, _) if over => Wants::Running(start_cause(i, Cause::PauseOver)),
        (DeclaredState::Paused, _) => Wants::Closed(Target::Paused, Cause::Declared),
        (DeclaredState::Running, _) => Wants::Running(start_cause(i, Cause::Declared)),
    }
}

fn start_cause(i: &Inputs<'_>, otherwise: Cause) -> Cause {
    if i.campaign.status.external_pause.is_some() { Cause::Revert } else { otherwise }
}

/// The close that the table of "may run" demands: the declaration's own, or that of the first closed gate.
fn closing(wants: Wants, gates: &[Gate]) -> Option<(Target, Cause)> {
    match wants {
        Wants::Closed(target, cause) => Some((target, cause)),
        Wants::Expired => Some((Target::Paused, Cause::Declared)),
        Wants::Running(_) | Wants::Leave => gates
            .iter()
            .find(|gate| gate.row == Row::Run && gate.obstacle().is_some())
            .map(|gate| (Target::Paused, gate.cause())),
    }
}

fn satisfied(i: &Inputs<'_>, wants: Wants, closing: Option<(Target, Cause)>) -> bool {
    let known = i.campaign.known();
    match (closing, wants) {
        (Some((Target::Stopped, _)), _) => known == Observed::Stopped && i.campaign.known_closed(),
        (Some(_), _) => i.campaign.known_closed(),
        (None, Wants::Running(_)) => known == Observed::Running,
        (None, _) => known != Observed::Unknown,
    }
}

fn effective(i: &Inputs<'_>, wants: Wants, gates: &[Gate], closing: Option<(Target, Cause)>) -> Effective {
    let known = i.campaign.known();
    match (wants, closing) {
        (Wants::Closed(Target::Stopped, _), _) => Effective::Stopped,
        (Wants::Closed(..), _) => Effective::Paused,
        (Wants::Expired, _) | (Wants::Running(_) | Wants::Leave, Some(_)) => Effective::Held,
        (Wants::Leave, None) => match known {
            Observed::Running => Effective::Running,
            Observed::Stopped => Effective::Stopped,
            Observed::Paused | Observed::Unknown => Effective::Paused,
        },
        (Wants::Running(_), None) if known != Observed::Running && gates.iter().any(holds_a_start) => {
            Effective::Held
        }
        (Wants::Running(_), None) => Effective::Running,
    }
}

/// Whether this gate makes a start wait until something outside changes, rather than for work under way.
pub(crate) fn holds_a_start(gate: &Gate) -> bool {
    gate.obstacle().is_some_and(|obstacle| {
        matches!(
            obstacle.reason,
            Reason::ExternalPause
                | Reason::Contested
                | Reason::ClosingSoon
                | Reason::PauseExpired
                | Reason::AuditUnavailable
                | Reason::ClockSkew
        )
    })
}

fn step(i: &Inputs<'_>, d: &Decision) -> Step {
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

/// When a start may be tried (monotonic): every step that it needs is out of its backoff.
fn start_due(i: &Inputs<'_>) -> Duration {
    let c = i.campaign;
    let steps = [&c.reads, &c.counts, &c.starts].into_iter().filter_map(|series| series.not_before);
    steps.chain(i.site.hold).chain(c.slot).max().unwrap_or_default()
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
    let every = if d.closing.is_some() { interval(i).min(GUARD_EVERY) } else { interval(i) };
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

fn wake_in(i: &Inputs<'_>, d: &Decision) -> Duration {
    if d.step != Step::Rest {
        return Duration::ZERO;
    }
    let c = i.campaign;
    let wall = [
        i.window.next_edge(),
        i.spec.resume_at.as_ref().map(crate::kinds::Instant::timestamp),
        c.status.pause.as_ref().map(|pause| pause.until.0),
    ];
    let wall = wall.into_iter().flatten().filter(|at| *at > i.now.wall).map(|at| i.now.until(at));
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
    wall.chain(mono).min().unwrap_or(DECIDE_EVERY).min(DECIDE_EVERY)
}
