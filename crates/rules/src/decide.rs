//! From declaration to the one next step: a pure function of values. The loop, and everything that explains or foretells it,
//! calls the same one.

use std::time::Duration;

use crate::gates::{self, Gate, Row};
use crate::inputs::Inputs;
use crate::kinds::{Cause, Effective, Observed, PolicyRef, Target};
use crate::reasons::Reason;
use crate::step;
use crate::wants::{Wants, wants};

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

    /// The policy that demands the close, where one does.
    pub fn decided_by(&self) -> Option<&PolicyRef> {
        match self.wants {
            Wants::Closed(..) | Wants::Expired => None,
            Wants::Running(_) | Wants::Leave => self.obstacles(Row::Run).next()?.obstacle()?.policy.as_ref(),
        }
    }

    /// Whether a freeze holds it.
    pub fn is_frozen(&self) -> bool {
        self.gates.iter().filter_map(Gate::obstacle).any(|obstacle| obstacle.reason == Reason::Frozen)
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
    let mut decision =
        Decision { wants, effective, closing, satisfied, step: Step::Rest, wake_in: Duration::ZERO, gates };
    decision.step = step::step(inputs, &decision);
    decision.wake_in = step::wake_in(inputs, &decision);
    decision
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
                | Reason::Frozen
                | Reason::PolicyUnreadable
        )
    })
}
