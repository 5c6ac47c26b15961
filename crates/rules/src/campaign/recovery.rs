//! What is made of what other processes left behind: an earlier one that ended in the middle, or one that works beside this one.

use std::time::Duration;

use jiff::Timestamp;

use super::{Campaign, Sent, doubt};
use crate::kinds::{CampaignStatus, Outcome, PendingTransition, Target, TransitionRecord, stamp};
use crate::trouble::Now;

impl Campaign {
    /// Takes up a transition that an earlier process announced on the audit record, and of which the record tells no outcome.
    /// What ends with that, or had ended and was not told, comes out.
    pub fn recover(&mut self, announced: PendingTransition, now: Now) -> Vec<TransitionRecord> {
        let told = self.status.history.iter().find(|record| record.id == announced.id);
        if let Some(record) = told {
            return vec![record.clone()];
        }
        let open = self.status.pending_transition.as_ref();
        if open.is_some_and(|open| open.id == announced.id) {
            return Vec::new();
        }
        let last = self.status.last_transition.as_ref().map(|last| last.requested_at.0);
        let newest = open.map(|open| open.requested_at.0).max(last);
        if newest.is_some_and(|newest| newest >= announced.requested_at.0) {
            // Others have been made since: what came of this one can't be read any more.
            let record = announced.ended(Outcome::Unknown, now.wall);
            self.status.recall(record.clone());
            return vec![record];
        }
        let superseded = self.end(Outcome::Superseded, now);
        self.sent = Some(sent_by_another(&announced, now));
        self.status.pending_transition = Some(announced);
        superseded.into_iter().collect()
    }

    /// Goes on from a status that another process wrote meanwhile, without losing what this one did. What ends with that comes
    /// out.
    pub fn take_over(
        &mut self,
        theirs: CampaignStatus,
        generation: i64,
        now: Now,
    ) -> Option<TransitionRecord> {
        let mut resumed = Self::resume(theirs, generation, now);
        resumed.take_over_outbox(self, now);
        resumed.start_doubt_until = self.start_doubt_until;
        if let Some(at) = self.unheard_close(&resumed) {
            // That it ran is from before, and the pause is ours, also where the other saw it and knew of nobody who made it.
            (resumed.ran, resumed.reopened) = (None, false);
            resumed.status.external_pause.take_if(|pause| stamp(at) <= pause.since);
        }
        for record in &self.status.history {
            if !resumed.has_ended(record.id) {
                resumed.status.recall(record.clone());
            }
        }
        if resumed.status.pending_transition.as_ref().is_some_and(|open| resumed.has_ended(open.id)) {
            resumed.status.pending_transition = None;
            resumed.sent = None;
        }
        let mine = self.status.pending_transition.take().filter(|mine| !resumed.has_ended(mine.id));
        let mut ended = None;
        if let Some(mine) = mine {
            match &resumed.status.pending_transition {
                Some(theirs) if theirs.id != mine.id => {
                    let record = mine.ended(Outcome::Superseded, now.wall);
                    resumed.status.recall(record.clone());
                    ended = Some(record);
                }
                _ => {
                    resumed.status.pending_transition = Some(mine);
                    resumed.sent = self.sent;
                    resumed.press = self.press;
                }
            }
        }
        *self = resumed;
        ended
    }

    /// Nobody here may ask for its state any more: another declaration owns the campaign, or its host is not allowed. What is under
    /// way, and can't take effect any more, ends unknown; it would stay open for ever otherwise.
    pub fn lose_sight(&mut self, now: Now, timeout: Duration) -> Option<TransitionRecord> {
        let open = self.status.pending_transition.as_ref()?;
        let late = now.wall.duration_since(open.requested_at.0) >= doubt(timeout);
        late.then(|| self.end(Outcome::Unknown, now)).flatten()
    }

    /// A status of this process turns out to have been written although its answer was lost. Where it holds the intent of a
    /// start that was given up for that, the start ends, never sent.
    pub fn was_written(&mut self, written: &CampaignStatus, now: Now) -> Option<TransitionRecord> {
        let intent = written.pending_transition.as_ref().filter(|intent| intent.to == Target::Running)?;
        let is_open = self.status.pending_transition.as_ref().is_some_and(|open| open.id == intent.id);
        if is_open || self.has_ended(intent.id) {
            return None;
        }
        let record = intent.clone().ended(Outcome::NotApplied, now.wall);
        self.status.recall(record.clone());
        Some(record)
    }

    /// When a close was decided on here that went out after all that the other has heard of.
    fn unheard_close(&self, other: &Self) -> Option<Timestamp> {
        let last = self.status.last_transition.as_ref().filter(|last| last.outcome == Outcome::Applied);
        let ended = last.map(|last| (last.id, last.to, last.requested_at.0));
        let open =
            self.status.pending_transition.as_ref().map(|open| (open.id, open.to, open.requested_at.0));
        let (id, to, at) = open.or(ended)?;
        let heard = other.status.last_transition.as_ref().is_some_and(|last| last.requested_at.0 >= at);
        (to.is_close() && !heard && !other.has_ended(id)).then_some(at)
    }

    fn has_ended(&self, id: uuid::Uuid) -> bool {
        self.status.history.iter().any(|record| record.id == id)
    }
}

/// The write of a transition that another process sent, as far as can be told.
pub(super) fn sent_by_another(pending: &PendingTransition, now: Now) -> Sent {
    let age = Duration::try_from(now.wall.duration_since(pending.requested_at.0)).unwrap_or_default();
    Sent { at: now.mono.saturating_sub(age), looks: 0, refused: false, revert: false }
}
