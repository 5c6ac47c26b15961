//! Which rule is behind a change, in words.

use super::Rest;
use crate::decide::{Decision, holds_a_start};
use crate::gates::{Gate, Obstacle, Row, WINDOW};
use crate::inputs::Window;
use crate::kinds::{Cause, PolicyRef};
use crate::reasons::Reason;
use crate::wants::Wants;

type Why = (String, Option<PolicyRef>);

/// Why it closes, or is held. What opens the hours last may be another rule than the one that closes them.
pub(super) fn closed(decision: &Decision, window: &Window) -> Why {
    let obstacle = decision.obstacles(Row::Run).next();
    let Some((gate, o)) = obstacle.and_then(|gate| Some((gate, gate.obstacle()?))) else {
        return (declared_closed(decision), None);
    };
    if matches!(decision.wants, Wants::Closed(..) | Wants::Expired) {
        return (declared_closed(decision), None);
    }
    if gate.rule != WINDOW {
        return (o.detail.clone(), o.policy.clone());
    }
    match window {
        Window::Known(view) => {
            let closing = view.closed_by.as_ref().unwrap_or(&view.rule);
            (closing.text.clone(), closing.policy.clone())
        }
        Window::None(_) => (o.detail.clone(), o.policy.clone()),
    }
}

fn declared_closed(decision: &Decision) -> String {
    match decision.wants {
        Wants::Closed(_, Cause::Deleted) => "the declaration is being deleted".to_owned(),
        Wants::Closed(target, _) => format!("declared {target}"),
        _ => "the timed pause is over and pauseExpiry is Hold".to_owned(),
    }
}

/// Why it may run now: what stood against it until now no longer does.
pub(super) fn opened(decision: &Decision, before: Option<&Rest>) -> Why {
    let held = |gate: &&Gate| gate.row == Row::Run || holds_a_start(gate);
    let gone = before.and_then(|before| {
        let obstacle = before.decision.gates.iter().filter(held).find_map(Gate::obstacle)?;
        Some((obstacle, &before.window))
    });
    match (gone, decision.wants) {
        (Some((obstacle, window)), _) => has_ended(obstacle, window),
        (None, Wants::Running(Cause::PauseOver)) => ("the timed pause is over".to_owned(), None),
        (None, Wants::Running(Cause::Revert)) => ("somebody else's pause is undone".to_owned(), None),
        (None, _) => ("declared Running, and every gate is open".to_owned(), None),
    }
}

fn has_ended(obstacle: &Obstacle, window: &Window) -> Why {
    let text = match (obstacle.reason, &obstacle.policy, window) {
        // What opens last need not be what had closed.
        (Reason::OutsideWindow, _, Window::Known(view)) => {
            return (view.rule.text.clone(), view.rule.policy.clone());
        }
        (Reason::ScheduledResume, ..) => "resumeAt has come".to_owned(),
        (Reason::Frozen, Some(policy), _) => format!("the freeze of policy {} ends", policy.name),
        _ => format!("no longer: {}", obstacle.detail),
    };
    (text, obstacle.policy.clone())
}
