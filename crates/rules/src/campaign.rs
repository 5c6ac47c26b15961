//! What is known of one campaign, and how each fact changes it. Pure: every method is told the time.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use uuid::Uuid;

use crate::decide::{Decision, Wants};
use crate::kinds::{
    CampaignStatus, Cause, DeclaredState, DialerCampaignStateSpec, ExternalPause, Observed, OnExternalPause,
    Outcome, PauseStatus, PendingTransition, Target, TransitionRecord, stamp, stamp_up,
};
use crate::report;
use crate::trouble::{Now, Series, Trouble};

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
    /// Somebody else started it where it may run.
    StartedByAnother,
}

impl Campaign {
    /// Takes up what an earlier process wrote down.
    pub fn resume(status: CampaignStatus, generation: i64, now: Now) -> Self {
        let sent = status.pending_transition.as_ref().map(|pending| {
            let age = Duration::try_from(now.wall.duration_since(pending.requested_at.0)).unwrap_or_default();
            Sent { at: now.mono.saturating_sub(age), looks: 0, refused: false, revert: false }
        });
        let edge_passed =
            status.window.as_ref().and_then(|w| w.next_close.as_ref()).is_some_and(|at| at.0 <= now.wall);
        let gap = edge_passed || status.observed_generation != generation;
        let working_since = report::working_since(&status, generation);
        let reopened = status.observed == Some(Observed::Running) || status.external_pause.is_some();
        let ran = ran_last(&status).then_some(now);
        Self { status, sent, gap, working_since, reopened, ran, unread: true, ..Self::default() }
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
        self.reads.reset();
        self.pass.state = Some(observed);
        self.seen = Some(Seen { observed, at: now });
        self.start_unseen = false;
        self.status.observed = Some(observed);

        let starting = self.starting();
        let mut notes: Vec<Note> = self.settle(observed, now, judge, jitter).into_iter().collect();
        if self.status.pending_transition.is_none() && !self.may_still_close(now, judge.timeout) {
            self.sent = None;
        }
        if observed == Observed::Running {
            self.reopened = true;
            if judge.may_run && self.status.external_pause.take().is_some() && !starting {
                notes.push(Note::StartedByAnother);
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
    ) -> Option<Note> {
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

    /// A pass was cut short while a read was under way: it counts as time without an answer, not as a failure.
    pub fn look_was_cut(&mut self, begun: Duration) {
        self.reads.since.get_or_insert(begun);
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

    /// Takes in what was decided: since when it has been seen running where it may not, and what no longer matters.
    pub fn decided(&mut self, decision: &Decision, now: Now) {
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

    /// Opens the transition that a step needs, or goes on with the one under way where it leads to the same. The old one ends
    /// as superseded otherwise.
    pub fn open(&mut self, new: PendingTransition, now: Now) -> (PendingTransition, Option<Note>) {
        match &mut self.status.pending_transition {
            Some(open) if open.to == new.to && open.generation == new.generation && open.to.is_close() => {
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
    pub fn start_sent(&mut self, now: Now) {
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
    pub fn start_refused(&mut self, trouble: Trouble, now: Now, jitter: f64) -> Option<Note> {
        self.starts.failed(trouble, now.mono, now, jitter);
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
    pub fn end(&mut self, outcome: Outcome, now: Now) -> Option<Note> {
        let pending = self.status.pending_transition.take()?;
        // A close that was given up may still take effect: looks go on until it can't any more.
        if !(pending.to.is_close() && outcome == Outcome::Superseded) {
            self.sent = None;
        }
        self.reopened = false;
        let sent_at = pending.requested_at.0;
        let record = TransitionRecord {
            id: pending.id,
            from: pending.from,
            to: pending.to,
            cause: pending.cause,
            generation: pending.generation,
            requested_at: pending.requested_at,
            ended_at: stamp(now.wall),
            outcome,
            latency_ms: i64::try_from(now.wall.duration_since(sent_at).as_millis())
                .unwrap_or(i64::MAX)
                .max(0),
            blind: pending.blind,
        };
        self.status.remember(record.clone());
        Some(Note::Ended(record))
    }

    /// What a read makes of the transition under way.
    fn settle(&mut self, observed: Observed, now: Now, judge: Judge<'_>, jitter: f64) -> Option<Note> {
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

    /// Whether a close of ours that was given up may still take effect, so that a pause is not somebody else's.
    fn may_still_close(&self, at: Now, timeout: Duration) -> bool {
        self.status.last_transition.as_ref().is_some_and(|last| {
            last.to.is_close()
                && last.outcome != Outcome::Applied
                && at.wall.duration_since(last.ended_at.0) < doubt(timeout)
        })
    }

    fn paused_by_another(&mut self, observed: Observed, now: Now, spec: &DialerCampaignStateSpec) {
        let reverts = self.status.reverts.iter().filter(|at| lately(at, now)).count();
        let contested = spec.on_external_pause == OnExternalPause::Revert && reverts >= REVERTS;
        self.status.external_pause = Some(ExternalPause { since: stamp(now.wall), observed, contested });
    }

    /// The clock of a timed pause starts when a read confirms a pause that was ours.
    fn keep_pause_clock(&mut self, observed: Observed, now: Now, spec: &DialerCampaignStateSpec) {
        let ours = self
            .status
            .last_transition
            .as_ref()
            .is_some_and(|last| last.to.is_close() && last.outcome == Outcome::Applied)
            && self.status.external_pause.is_none()
            && !self.reopened;
        let timed = spec.state == DeclaredState::Paused && spec.pause_duration_seconds > 0;
        if timed && ours && observed.is_closed() && self.status.pause.is_none() {
            let length = SignedDuration::from_secs(i64::from(spec.pause_duration_seconds));
            self.status.pause = Some(PauseStatus {
                since: stamp(now.wall),
                until: stamp_up(now.wall.checked_add(length).unwrap_or(Timestamp::MAX)),
                duration_seconds: spec.pause_duration_seconds,
            });
        }
    }

    /// Takes in the declaration: what belonged to another one goes.
    pub fn declared(&mut self, spec: &DialerCampaignStateSpec, generation: i64, release: Option<&str>) {
        if self.status.observed_generation != generation && self.status.observed_generation >= 0 {
            self.forgive();
            self.working_since = None;
        }
        if self.status.declared.is_some_and(|state| state != spec.state) {
            self.status.external_pause = None;
            self.status.reverts.clear();
        }
        let timed = spec.state == DeclaredState::Paused;
        // An earlier process that saw this very pause and started no clock knew that it was not ours.
        let unclocked = self.seen.is_none()
            && self.status.observed_generation == generation
            && self.status.observed.is_some_and(Observed::is_closed)
            && self.status.pause.is_none();
        self.reopened |= unclocked && timed && spec.pause_duration_seconds > 0;
        if !self
            .status
            .pause
            .as_ref()
            .is_some_and(|p| timed && p.duration_seconds == spec.pause_duration_seconds)
        {
            self.status.pause = None;
        }
        let release = release.map(echo);
        if self.status.release != release {
            if release.is_some() {
                self.status.external_pause = None;
                self.status.reverts.clear();
            }
            self.status.release = release;
        }
        self.status.observed_generation = generation;
        self.status.declared = Some(spec.state);
    }
}

/// How long a start with an unknown fate may still take effect: twice the timeout.
pub fn doubt(timeout: Duration) -> SignedDuration {
    SignedDuration::try_from(timeout.saturating_mul(2)).unwrap_or(SignedDuration::MAX)
}

/// An annotation's value as status echoes it, and as it is compared with that echo.
pub(crate) fn echo(text: &str) -> String {
    text.chars().take(256).collect()
}

/// Whether it ran when it was last seen, by what an earlier process wrote down.
fn ran_last(status: &CampaignStatus) -> bool {
    match status.observed {
        Some(Observed::Running) => true,
        Some(Observed::Unknown) => status
            .last_transition
            .as_ref()
            .is_some_and(|last| last.to == Target::Running && last.outcome == Outcome::Applied),
        _ => false,
    }
}

fn lately(at: &Time, now: Now) -> bool {
    now.wall.duration_since(at.0) < CONTEST_WITHIN
}

/// A transition about to be made.
pub fn transition(
    id: Uuid,
    from: Observed,
    to: Target,
    cause: Cause,
    generation: i64,
    blind: bool,
    now: Now,
) -> PendingTransition {
    PendingTransition { id, from, to, cause, generation, requested_at: Time(now.wall), blind }
}
