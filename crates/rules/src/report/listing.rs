//! The conditions that a standing and the gates come to.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{Standing, hold, state_reason};
use crate::decide::Decision;
use crate::gates::{Gate, WINDOW};
use crate::inputs::{Inputs, Window};
use crate::kinds::{DeclaredState, Effective, LostNotification, Observed, stamp};
use crate::reasons::{Reason, conditions};

pub(super) fn conditions_of(i: &Inputs<'_>, d: &Decision, standing: &Standing) -> Vec<Condition> {
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
        Standing::Violation(..) => {
            // Who waits by kstatus knows no Violation, and would take Ready=False alone for work under way.
            out.push(conditions::STALLED, "True", *reason, message);
            out.push(conditions::VIOLATION, "True", *reason, message);
        }
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
    sync_failed(&mut out);
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
    let closed = d.gates.iter().find(|gate| gate.rule == WINDOW).and_then(Gate::obstacle);
    match (closed, out.i.window) {
        (Some(obstacle), _) => {
            out.push(conditions::WINDOW_OPEN, "False", obstacle.reason, &obstacle.detail);
        }
        (None, Window::Known(view)) => {
            let rule = &view.rule.text;
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
    let cap = out.i.cap();
    match out.i.campaign.volume_ok {
        Some(true) => out.push(
            conditions::CALL_VOLUME_OK,
            "True",
            Reason::WithinCap,
            &format!("no more than {cap} are active"),
        ),
        Some(false) => out.push(
            conditions::CALL_VOLUME_OK,
            "False",
            Reason::TooManyCalls,
            &format!("more than {cap} are active"),
        ),
        None => {}
    }
}

/// What was lost last stands first.
fn sync_failed(out: &mut Conditions<'_>) {
    let mut lost: Vec<&LostNotification> = out.i.campaign.status.lost_notifications.iter().collect();
    lost.sort_by_key(|lost| std::cmp::Reverse(lost.at.0));
    let Some(newest) = lost.first() else { return };
    let told: Vec<String> = lost.iter().map(|lost| lost.to_string()).collect();
    out.push(conditions::SYNC_FAILED, "True", newest.reason.reason(), &told.join("; "));
}
