//! What the declaration wants, gates aside.

use crate::inputs::Inputs;
use crate::kinds::{Cause, DeclaredState, DeletionPolicy, PauseExpiry, Target};

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

/// Reads it from the declaration and, for a timed pause, the clock.
pub(crate) fn wants(i: &Inputs<'_>) -> Wants {
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
