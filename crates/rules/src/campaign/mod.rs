//! What is known of one campaign, and how each fact changes it. Pure: every method is told the time.

mod notifications;
mod pauses;
mod recovery;
mod transition;

pub use notifications::{Lost, OUTBOX, SinkStanding, Sinks};
pub use transition::{doubt, transition};

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::decide::Decision;
use crate::kinds::{CampaignStatus, DialerCampaignStateSpec, Observed, Outcome, Target, TransitionRecord};
use crate::reasons::{Reason, conditions};
use crate::report;
use crate::trouble::{Now, Series, Trouble};
use crate::wants::Wants;

/// After a write, a read looks whether it came about after that many seconds.
pub const LOOKS_AFTER_A_WRITE: [u64; 7] = [0, 1, 2, 5, 10, 20, 30];
/// A close that was accepted and not seen to come about is sent again after that.
pub const CLOSE_CONFIRM_WITHIN: Duration = Duration::from_secs(5);
/// How long a close may be repeated at most [`CLOSE_EVERY`] apart; then at most [`CLOSE_EVERY_LATER`].
pub const CLOSE_EAGER_FOR: Duration = Duration::from_secs(300);
/// The longest pause between two tries of a close at first.
pub const CLOSE_EVERY: Duration = Duration::from_secs(10);
/// The longest pause between two tries of a close later.
pub const CLOSE_EVERY_LATER: Duration = Duration::from_secs(60);
/// Four reverts of somebody else's pause within this time are a contest.
pub const CONTEST_WITHIN: SignedDuration = SignedDuration::from_mins(15);
/// Those that a freeze held start again within that time after it was lifted, other gates aside.
pub const THAW_WITHIN: Duration = Duration::from_secs(10);
/// How many reverts are made within [`CONTEST_WITHIN`].
pub const REVERTS: usize = 3;

/// One campaign: what is written down (status) and what this process knows besides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Campaign {
    /// What will be written down next; survives a restart.
    pub status: CampaignStatus,
    /// The newest successful read.
    pub seen: Option<Seen>,
    /// When a read was last begun.
    pub last_look: Option<Now>,
    /// Reads of the state that failed in a row.
    pub reads: Series,
    /// Reads of the statistics that failed in a row, and waits for calls to drain.
    pub counts: Series,
    /// Starts that failed in a row.
    pub starts: Series,
    /// The close that is being pressed.
    pub press: Option<Press>,
    /// The write whose effect is awaited.
    pub sent: Option<Sent>,
    /// Since when it has been seen running where it may not.
    pub violating_since: Option<Duration>,
    /// Since when this process has known that the declaration is being deleted.
    pub deleting_since: Option<Duration>,
    /// When the tenant's budget has a place for a read (monotonic).
    pub slot: Option<Duration>,
    /// How far the platform's clock is from ours, where the newest answer told.
    pub skew: Option<SignedDuration>,
    /// Whether few enough calls were active when they were last counted; kept while a start is wanted.
    pub volume_ok: Option<bool>,
    /// Since when work on this generation has been under way.
    pub working_since: Option<Timestamp>,
    /// Whether an earlier process may have closed it and ended before it could write that down.
    pub gap: bool,
    /// Whether a start of ours may have taken effect since the newest successful read: it went out then, or was in doubt when
    /// a later read failed. What that read said is no longer known.
    pub start_unseen: bool,
    /// When it was last seen, where it then ran; kept while it can't be found. After a restart: when the process took it up.
    pub ran: Option<Now>,
    /// Whether an earlier process wrote this status and nothing has been read since.
    pub unread: bool,
    /// Whether it ran again after our newest transition had closed it: a pause seen now is not ours.
    pub reopened: bool,
    /// The close that was demanded when it was last decided.
    pub demanded: Option<Target>,
    /// Since when a close has been demanded (monotonic).
    pub demanded_since: Option<Duration>,
    /// Until when (monotonic) the newest start may still take effect, whatever has become of it.
    pub start_doubt_until: Option<Duration>,
    /// Whether a freeze held it when it was last decided, or last written down.
    pub frozen: bool,
    /// Not before (monotonic) may it start after a freeze: those that one freeze held do not all start at once.
    pub thaw: Option<Duration>,
    /// Who is told of what is confirmed in this pass.
    pub sinks: Sinks,
    /// Notifications that were lost and not put on record yet.
    pub lost: Vec<Lost>,
    /// What was read in this pass.
    pub pass: Pass,
}

/// A successful read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// What it said.
    pub observed: Observed,
    /// When it was answered.
    pub at: Now,
}

/// Facts of this pass alone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pass {
    /// The state, read since the last write.
    pub state: Option<Observed>,
    /// Active calls, all pages read.
    pub active_calls: Option<u32>,
    /// Whether a close was sent: the next is another pass's, so that what hangs does not keep this one from its report.
    pub pressed: bool,
}

/// A close that is tried until a read confirms it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Press {
    /// When the first try was sent, monotonic.
    pub since: Duration,
    /// How many were sent.
    pub tries: u32,
    /// When the next may be sent, monotonic.
    pub next: Duration,
    /// How the newest failed, if it did.
    pub trouble: Option<Trouble>,
    /// How many of the newest were conflicts.
    pub conflicts: u32,
}

/// A write whose effect is awaited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sent {
    /// When, monotonic.
    pub at: Duration,
    /// How many reads have been begun since.
    pub looks: usize,
    /// Whether it was a start that another writer's presence refused: the read decides at once.
    pub refused: bool,
    /// Whether it was counted as a revert.
    pub revert: bool,
}

/// What the declaration says, as far as facts are judged by it.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    /// The declaration.
    pub spec: &'a DialerCampaignStateSpec,
    /// Whether it should run as declared, gates aside.
    pub wanted: bool,
    /// Whether no gate forbids it to run.
    pub may_run: bool,
    /// Whether a close is demanded.
    pub closing: bool,
    /// The tenant's timeout for one request.
    pub timeout: Duration,
}

/// Something that happened and belongs on record.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// A transition has ended.
    Ended(TransitionRecord),
    /// Somebody else paused it.
    PausedByAnother(Observed),
    /// Somebody else started it.
    StartedByAnother {
        /// Whether it may run; it is closed otherwise.
        allowed: bool,
    },
}

impl Campaign {
    /// Takes up what an earlier process wrote down.
    pub fn resume(status: CampaignStatus, generation: i64, now: Now) -> Self {
        let sent = status.pending_transition.as_ref().map(|pending| recovery::sent_by_another(pending, now));
        let edge_passed =
            status.window.as_ref().and_then(|w| w.next_close.as_ref()).is_some_and(|at| at.0 <= now.wall);
        let gap = edge_passed || status.observed_generation != generation;
        let working_since = report::working_since(&status, generation);
        let reopened = status.observed == Some(Observed::Running) || status.external_pause.is_some();
        let ran = pauses::ran_last(&status).then_some(now);
        let held = status.condition(conditions::HELD).filter(|held| held.status == "True");
        let frozen = held.is_some_and(|held| held.reason == Reason::Frozen.as_str());
        Self { status, sent, gap, working_since, reopened, ran, frozen, unread: true, ..Self::default() }
    }

    /// What this process knows CXone to say; `Unknown` until it has read.
    pub fn known(&self) -> Observed {
        self.seen.map_or(Observed::Unknown, |seen| seen.observed)
    }

    /// Whether this process knows it not to dial.
    pub fn known_closed(&self) -> bool {
        self.known().is_closed() && !self.start_unseen
    }

    /// Whether a start of ours is under way or in doubt.
    pub fn starting(&self) -> bool {
        self.status.pending_transition.as_ref().is_some_and(|pending| pending.to == Target::Running)
    }

    /// Whether the newest answer was that there is no such campaign.
    pub fn is_missing(&self) -> bool {
        self.reads.last == Some(Trouble::NotFound)
    }

    /// The campaign's id now means another campaign, at another host: nothing that was read holds.
    pub fn moved(&mut self) {
        let status =
            CampaignStatus { observed: None, external_pause: None, ..std::mem::take(&mut self.status) };
        *self = Self {
            status,
            working_since: self.working_since,
            deleting_since: self.deleting_since,
            sinks: self.sinks,
            lost: std::mem::take(&mut self.lost),
            ..Self::default()
        };
    }

    /// A new run of the reconcile function: nothing has been read in it.
    pub fn begin_pass(&mut self) {
        self.pass = Pass::default();
    }

    /// Whether this value of the reconcile annotation asks for a look that has not been begun.
    pub fn is_asked(&self, reconcile: Option<&str>) -> bool {
        reconcile.is_some() && reconcile.map(echo) != self.status.last_handled_reconcile_at
    }

    /// Something changed that may mend what failed: tries again soon.
    pub fn forgive(&mut self) {
        // A close that does not wait for reads that fail does not begin to wait anew.
        let since = self.reads.since.filter(|_| !self.is_missing());
        self.reads = Series { since, ..Series::default() };
        self.counts.reset();
        self.starts.reset();
        if self.seen.is_none() {
            // What was never read is read at once.
            self.last_look = None;
        }
        if let Some(press) = &mut self.press {
            press.next = Duration::ZERO;
        }
    }

    /// A read is about to be sent, also in answer to this value of the reconcile annotation.
    pub fn looking(&mut self, now: Now, asked: Option<&str>) {
        self.last_look = Some(now);
        self.slot = None;
        self.status.last_handled_reconcile_at = asked.map(echo);
        if let Some(sent) = &mut self.sent {
            sent.looks += 1;
        }
    }

    /// The state was read.
    pub fn saw(&mut self, observed: Observed, now: Now, judge: Judge<'_>, jitter: f64) -> Vec<Note> {
        // It may have been closed at any time since it was last seen.
        let ran = self.ran.is_some_and(|last| !self.may_still_close(last, judge.timeout));
        let unasked =
            ran && self.status.pending_transition.is_none() && !(self.unread && (self.gap || !judge.may_run));
        let before = self.status.observed;
        self.reads.reset();
        self.pass.state = Some(observed);
        self.seen = Some(Seen { observed, at: now });
        self.start_unseen = false;
        self.status.observed = Some(observed);

        let (starting, late) = (self.starting(), self.may_still_start(now));
        let mut notes: Vec<Note> =
            self.settle(observed, now, judge, jitter).map(Note::Ended).into_iter().collect();
        if self.status.pending_transition.is_none() && !self.may_still_close(now, judge.timeout) {
            self.sent = None;
        }
        if observed == Observed::Running {
            self.reopened = true;
            self.start_doubt_until = None;
            let ends_pause = judge.may_run && self.status.external_pause.take().is_some();
            let against = judge.closing && before.is_some_and(Observed::is_closed) && !late;
            if (ends_pause || against) && !starting {
                notes.push(Note::StartedByAnother { allowed: !judge.closing });
            }
        }
        self.ran = (observed == Observed::Running).then_some(now);
        self.unread = false;
        if unasked && judge.wanted && observed.is_closed() {
            self.paused_by_another(observed, now, judge.spec);
            notes.push(Note::PausedByAnother(observed));
        }
        self.keep_pause_clock(observed, now, judge.spec);
        notes
    }

    /// The state could not be read. `begun` is the monotonic time at which the read was sent.
    pub fn could_not_see(
        &mut self,
        trouble: Trouble,
        begun: Duration,
        now: Now,
        jitter: f64,
    ) -> Option<TransitionRecord> {
        if let Trouble::NotNow(until) = trouble {
            self.slot = Some(until);
            return None;
        }
        self.reads.failed(trouble, begun, now, jitter);
        self.start_unseen |= self.starting();
        if trouble != Trouble::NotFound {
            return None;
        }
        self.seen = None;
        self.start_unseen = false;
        self.press = None;
        self.status.observed = Some(Observed::Unknown);
        self.end(Outcome::Unknown, now)
    }

    /// A pass was cut short while a read was under way: it counts as time without an answer, not as a failure, and not as a
    /// look.
    pub fn look_was_cut(&mut self, begun: Duration) {
        self.reads.since.get_or_insert(begun);
        self.last_look = None;
        self.start_unseen |= self.starting();
    }

    /// The active calls were read, all pages.
    pub fn counted(&mut self, active_calls: u32, cap: i32, now: Now, recheck: Duration) {
        self.counts.reset();
        self.pass.active_calls = Some(active_calls);
        let ok = i64::from(active_calls) <= i64::from(cap);
        self.volume_ok = Some(ok);
        if !ok {
            self.counts.not_before = Some(now.mono + recheck);
        }
    }

    /// Takes in what was decided: since when it has been seen running where it may not, and what no longer matters. `jitter` is
    /// in `[0, 1)`.
    pub fn decided(&mut self, decision: &Decision, now: Now, jitter: f64) {
        let frozen = decision.is_frozen();
        if std::mem::replace(&mut self.frozen, frozen) && !frozen {
            self.thaw = Some(now.mono + THAW_WITHIN.mul_f64(jitter.clamp(0.0, 1.0)));
        }
        let violating = decision.must_close() && self.known() == Observed::Running;
        self.violating_since = if violating { self.violating_since.or(Some(now.mono)) } else { None };
        self.demanded = decision.closing.map(|(to, _)| to);
        self.demanded_since = self.demanded.map(|_| self.demanded_since.unwrap_or(now.mono));
        if self.demanded.is_none() {
            self.press = None;
        }
        if decision.satisfied || !matches!(decision.wants, Wants::Running(_)) {
            self.volume_ok = None;
        }
    }
}

/// An annotation's value as status echoes it, and as it is compared with that echo.
pub(crate) fn echo(text: &str) -> String {
    text.chars().take(256).collect()
}
