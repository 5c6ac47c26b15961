//! A transition from its opening to its one outcome.

use std::time::Duration;

use jiff::SignedDuration;
use uuid::Uuid;

use super::pauses::lately;
use super::{
    CLOSE_CONFIRM_WITHIN, CLOSE_EAGER_FOR, CLOSE_EVERY, CLOSE_EVERY_LATER, Campaign, Judge, Press, REVERTS,
    Sent,
};
use crate::kinds::{
    Cause, Observed, Outcome, PendingTransition, Target, TransitionRecord, stamp, stamp_exactly,
};
use crate::trouble::{Now, Trouble};

impl Campaign {
    /// Opens the transition that a step needs, or goes on with the one under way where it leads to the same. The old one ends
    /// as superseded otherwise.
    pub fn open(
        &mut self,
        new: PendingTransition,
        now: Now,
    ) -> (PendingTransition, Option<TransitionRecord>) {
        match &mut self.status.pending_transition {
            Some(open) if open.is_for(&new) && open.to.is_close() => {
                open.blind |= new.blind;
                (open.clone(), None)
            }
            _ => {
                let ended = self.end(Outcome::Superseded, now);
                self.status.pending_transition = Some(new.clone());
                (new, ended)
            }
        }
    }

    /// A write has gone out, or is about to: what was read before no longer holds.
    pub fn sending(&mut self, now: Now) {
        self.sent = Some(Sent { at: now.mono, looks: 0, refused: false, revert: false });
        self.start_unseen |= self.starting();
        self.pass.state = None;
        self.reads.not_before = None;
    }

    /// A start was accepted or its fate is open: only a read can tell.
    pub fn start_sent(&mut self, now: Now, timeout: Duration) {
        self.start_doubt_until = Some(now.mono.saturating_add(timeout.saturating_mul(2)));
        if self.status.external_pause.is_some() {
            self.status.reverts.retain(|at| lately(at, now));
            self.status.reverts.push(stamp(now.wall));
            let surplus = self.status.reverts.len().saturating_sub(REVERTS);
            self.status.reverts.drain(..surplus);
            if let Some(sent) = &mut self.sent {
                sent.revert = true;
            }
        }
    }

    /// A start was refused, or never delivered.
    pub fn start_refused(&mut self, trouble: Trouble, now: Now, jitter: f64) -> Option<TransitionRecord> {
        self.starts.failed(trouble, now.mono, now, jitter);
        self.start_doubt_until = None;
        if self.sent.is_some_and(|sent| sent.revert) {
            // It undid nobody's pause.
            self.status.reverts.pop();
        }
        if trouble == Trouble::Conflict {
            // The read that follows tells whether it is there already.
            self.sent = Some(Sent { at: now.mono, looks: 0, refused: true, revert: false });
            return None;
        }
        self.start_unseen = false;
        self.end(Outcome::NotApplied, now)
    }

    /// A try of a close went out; `trouble` is how it failed, if it did. `jitter` is in `[0, 1)`.
    pub fn close_sent(&mut self, trouble: Option<Trouble>, now: Now, jitter: f64) {
        // Counted from when it went out: a try that hangs does not put the next one off.
        let at = self.sent.map_or(now.mono, |sent| sent.at);
        let press =
            self.press.get_or_insert(Press { since: at, tries: 0, next: at, trouble: None, conflicts: 0 });
        press.tries = press.tries.saturating_add(1);
        press.trouble = trouble;
        press.conflicts = trouble.map_or(0, |t| crate::trouble::conflicts(press.conflicts, t));
        let eager = now.mono.saturating_sub(press.since) < CLOSE_EAGER_FOR;
        let longest = if eager { CLOSE_EVERY } else { CLOSE_EVERY_LATER };
        let wait = match trouble {
            None if eager => CLOSE_CONFIRM_WITHIN,
            Some(_) if eager => crate::trouble::exponential(press.tries - 1, 0.0).min(longest),
            _ => longest,
        };
        // Jitter only shortens: the longest pause is a promise.
        press.next = at + wait.mul_f64(1.0 - 0.2 * jitter.clamp(0.0, 1.0));
        self.pass.pressed = true;
    }

    /// Ends the transition under way.
    pub fn end(&mut self, outcome: Outcome, now: Now) -> Option<TransitionRecord> {
        let pending = self.status.pending_transition.take()?;
        // A close that was given up may still take effect: looks go on until it can't any more.
        if !(pending.to.is_close() && outcome == Outcome::Superseded) {
            self.sent = None;
        }
        self.reopened = false;
        let record = pending.ended(outcome, now.wall);
        self.status.remember(record.clone());
        if outcome == Outcome::Applied {
            self.notify_of(&record, now);
        }
        Some(record)
    }

    /// What a read makes of the transition under way.
    pub(super) fn settle(
        &mut self,
        observed: Observed,
        now: Now,
        judge: Judge<'_>,
        jitter: f64,
    ) -> Option<TransitionRecord> {
        let pending = self.status.pending_transition.as_ref()?;
        let closed_enough = pending.to == Target::Paused && observed.is_closed();
        if pending.to.reached(observed) || closed_enough {
            self.press = None;
            if pending.to == Target::Running {
                self.starts.reset();
            }
            return self.end(Outcome::Applied, now);
        }
        if pending.to.is_close() {
            // Not there: it is pressed on, unless nothing demands it any more.
            let enough = observed.is_closed() && self.demanded == Some(Target::Paused);
            let wanted = judge.closing && !enough;
            return if wanted { None } else { self.end(Outcome::Superseded, now) };
        }
        let refused = self.sent.is_some_and(|sent| sent.refused);
        let in_doubt = now.wall.duration_since(pending.requested_at.0) < doubt(judge.timeout);
        if in_doubt && !refused {
            return None;
        }
        if !refused {
            self.starts.failed(Trouble::Interrupted, now.mono, now, jitter);
        }
        self.end(Outcome::NotApplied, now)
    }

    /// Whether a start of ours may still take effect, so that it is not somebody else's.
    pub(crate) fn may_still_start(&self, now: Now) -> bool {
        self.start_doubt_until.is_some_and(|until| now.mono < until)
    }

    /// Whether a close of ours that was given up may still take effect, so that a pause is not somebody else's.
    pub(super) fn may_still_close(&self, at: Now, timeout: Duration) -> bool {
        self.status.last_transition.as_ref().is_some_and(|last| {
            last.to.is_close()
                && last.outcome != Outcome::Applied
                && at.wall.duration_since(last.ended_at.0) < doubt(timeout)
        })
    }
}

/// How long a start with an unknown fate may still take effect: twice the timeout.
pub fn doubt(timeout: Duration) -> SignedDuration {
    SignedDuration::try_from(timeout.saturating_mul(2)).unwrap_or(SignedDuration::MAX)
}

/// A transition about to be made, that no policy has to do with.
pub fn transition(
    id: Uuid,
    from: Observed,
    to: Target,
    cause: Cause,
    generation: i64,
    blind: bool,
    now: Now,
) -> PendingTransition {
    let (policies, decided_by) = (Vec::new(), None);
    PendingTransition {
        id,
        from,
        to,
        cause,
        generation,
        requested_at: stamp_exactly(now.wall),
        blind,
        policies,
        decided_by,
    }
}
