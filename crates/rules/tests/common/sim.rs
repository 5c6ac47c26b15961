//! The operator's loop, step by step: observe, decide, act, record.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rules::campaign::{Campaign, Judge, Note, transition};
use rules::decide::{Decision, Step, decide};
use rules::gates::Row;
use rules::inputs::{Inputs, Meta, Site, Window};
use rules::kinds::{
    CampaignStatus, Cause, DeclaredState, DialerCampaignStateSpec, Effective, Observed, Outcome,
    PendingTransition, Target, TransitionRecord,
};
use rules::policies::Policies;
use rules::reasons::Reason;
use rules::report::report;
use rules::trouble::{Now, Trouble};
use rules::wants::Wants;
use uuid::Uuid;

use super::world::World;
use super::{at, green, secs, spec, window_at};

/// The operator, one declaration and the platform.
#[derive(Clone)]
pub struct Sim {
    pub spec: DialerCampaignStateSpec,
    pub meta: Meta,
    pub site: Site,
    pub policies: Policies,
    pub campaign: Campaign,
    pub world: World,
    pub notes: Vec<Note>,
    pub passes: usize,
    /// The wall clock while the world's reads zero.
    pub began: Timestamp,
    /// How far the platform's clock is ahead of ours; `None`: it tells no time.
    pub ahead: Option<SignedDuration>,
    /// The world's time at which the declaration changes next: a pass is cut short then.
    pub until: Duration,
    /// Keeps every decision that the loop took, for those who want to look at them.
    pub watch: Option<Vec<Snapshot>>,
    /// Where its random numbers come from.
    pub seed: u64,
    pub files: Files,
}

/// What outlives a process that is killed, and when one is.
#[derive(Clone, Default)]
pub struct Files {
    /// Status, as the API server has it.
    pub written: CampaignStatus,
    /// The intents of the audit record, the newest of each id.
    pub announced: Vec<PendingTransition>,
    /// The outcomes of the audit record.
    pub told: Vec<TransitionRecord>,
    /// Outcomes that wait for their status.
    untold: Vec<TransitionRecord>,
    /// How many points were passed at which the process might have ended.
    pub points: usize,
    /// At which of them it ends.
    pub kills: Vec<usize>,
}

/// What one decision was made of.
#[derive(Clone)]
pub struct Snapshot {
    pub spec: DialerCampaignStateSpec,
    pub meta: Meta,
    pub site: Site,
    pub policies: Policies,
    pub campaign: Campaign,
    pub now: Now,
    pub decision: Decision,
}

impl Sim {
    /// A declaration of this state, made at this time, of a campaign that is in that one.
    pub fn new(when: &str, declared: DeclaredState, observed: Observed) -> Self {
        Self {
            spec: spec(declared),
            meta: Meta { generation: 1, ..Meta::default() },
            site: green(),
            policies: Policies::default(),
            campaign: Campaign::default(),
            world: World::new(observed),
            notes: Vec::new(),
            passes: 0,
            began: at(when),
            ahead: Some(SignedDuration::ZERO),
            until: Duration::MAX,
            watch: None,
            seed: 7,
            files: Files::default(),
        }
    }

    pub fn now(&self) -> Now {
        let passed = SignedDuration::try_from(self.world.mono).unwrap();
        Now { wall: self.began.checked_add(passed).unwrap(), mono: self.world.mono }
    }

    /// The declaration becomes another one.
    pub fn edit(&mut self, change: impl FnOnce(&mut DialerCampaignStateSpec)) {
        change(&mut self.spec);
        self.meta.generation += 1;
    }

    /// The process ends and another one takes up what was written down.
    pub fn restart(&mut self) {
        self.commit();
        self.take_up();
    }

    /// The status is written, and what waited for that is told.
    fn commit(&mut self) {
        self.files.written = self.campaign.status.clone();
        self.files.told.append(&mut self.files.untold);
    }

    /// Another process takes up what its predecessor left, which ended at any point.
    fn take_up(&mut self) {
        let text = serde_json::to_string(&self.files.written).unwrap();
        let status: CampaignStatus = serde_json::from_str(&text).unwrap();
        self.campaign = Campaign::resume(status, self.meta.generation, self.now());
        self.files.untold.clear();
        let told = |id| self.files.told.iter().any(|record| record.id == id);
        let open: Vec<_> = self.files.announced.iter().filter(|a| !told(a.id)).cloned().collect();
        for announced in open {
            let now = self.now();
            for record in self.campaign.recover(announced, now) {
                let written = self.files.written.history.contains(&record);
                let place = if written { &mut self.files.told } else { &mut self.files.untold };
                place.push(record);
            }
        }
    }

    /// A point at which the process may end. Gives whether it did, and another has taken its place.
    fn killed(&mut self) -> bool {
        self.files.points += 1;
        let ends = self.files.kills.contains(&self.files.points);
        if ends {
            self.take_up();
        }
        ends
    }

    fn has_ended(&mut self, record: Option<TransitionRecord>) {
        self.files.untold.extend(record.clone());
        self.notes.extend(record.map(Note::Ended));
    }

    /// An outside hand, now.
    pub fn hand(&mut self, state: Observed) {
        self.world.becomes(state);
    }

    /// Runs for that long.
    pub fn run(&mut self, seconds: u64) {
        let end = self.world.mono + secs(seconds);
        self.until = end;
        while self.world.mono < end {
            let decision = self.pass();
            let sleep = decision.wake_in.min(secs(15)).max(Duration::from_millis(1));
            self.world.advance(sleep.min(end.saturating_sub(self.world.mono)));
        }
        self.until = Duration::MAX;
    }

    pub fn jitter(&mut self) -> f64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// What the loop decides on now.
    pub fn decision(&self) -> Decision {
        let (now, window) = (self.now(), window_at(&self.spec, &self.policies, self.now().wall));
        decide(&self.inputs(&window, now))
    }

    /// One run of the reconcile function.
    pub fn pass(&mut self) -> Decision {
        self.passes += 1;
        self.campaign.begin_pass();
        let release = self.meta.release.clone();
        self.campaign.declared(&self.spec, self.meta.generation, release.as_deref());
        for _ in 0..12 {
            let decision = self.decision();
            let (now, jitter) = (self.now(), self.jitter());
            self.campaign.decided(&decision, now, jitter);
            if let Some(seen) = &mut self.watch {
                seen.push(Snapshot {
                    spec: self.spec.clone(),
                    meta: self.meta.clone(),
                    site: self.site.clone(),
                    policies: self.policies.clone(),
                    campaign: self.campaign.clone(),
                    now,
                    decision: decision.clone(),
                });
            }
            let closes = window_at(&self.spec, &self.policies, self.now().wall).next_close();
            let edge = closes.map(|at| self.world.mono + self.now().until(at));
            let cut = self.until.min(edge.unwrap_or(Duration::MAX));
            match decision.step {
                Step::Rest => {
                    if !self.write_down(&decision) {
                        return Decision { wake_in: Duration::ZERO, ..decision };
                    }
                    return decision;
                }
                Step::Look { urgent } => {
                    if self.look(&decision, urgent, cut) {
                        return Decision { wake_in: Duration::ZERO, ..decision };
                    }
                }
                Step::Count => {
                    if self.count(cut) {
                        return Decision { wake_in: Duration::ZERO, ..decision };
                    }
                }
                Step::Close { to, cause, blind } => {
                    let Some(answer) = self.send(&decision, to, cause, blind) else {
                        return Decision { wake_in: Duration::ZERO, ..decision };
                    };
                    let (now, jitter) = (self.now(), self.jitter());
                    self.campaign.close_sent(answer.err(), now, jitter);
                }
                Step::Start { cause } => {
                    let Some(answer) = self.send(&decision, Target::Running, cause, false) else {
                        return Decision { wake_in: Duration::ZERO, ..decision };
                    };
                    let (now, jitter) = (self.now(), self.jitter());
                    if let Err(trouble) = answer
                        && !trouble.may_have_been_applied()
                    {
                        let note = self.campaign.start_refused(trouble, now, jitter);
                        self.has_ended(note);
                    }
                }
            }
        }
        panic!("a pass does not come to rest: {:?}", &self.world.log[self.world.log.len() - 5..]);
    }

    /// Sends a write, announced as the loop does it. `None`: the process has ended on the way.
    fn send(
        &mut self,
        decision: &Decision,
        to: Target,
        cause: Cause,
        blind: bool,
    ) -> Option<Result<(), Trouble>> {
        let (id, from) = (self.next_id(), self.campaign.known());
        let mut new = transition(id, from, to, cause, self.meta.generation, blind, self.now());
        new.policies = self.policies.references();
        new.decided_by = decision.decided_by().cloned();
        let (open, note) = self.campaign.open(new, self.now());
        self.has_ended(note);
        if self.killed() {
            return None;
        }
        if !to.is_close() {
            self.commit();
            if self.killed() {
                return None;
            }
        }
        self.files.announced.retain(|announced| announced.id != open.id);
        self.files.announced.push(open.clone());
        if self.killed() {
            return None;
        }
        self.campaign.sending(self.now());
        // A start may be cut short by a change of the declaration, so it counts before; a close never is.
        let cut = if to.is_close() { Duration::MAX } else { self.until };
        if !to.is_close() {
            self.campaign.start_sent(self.now(), self.site.timeout);
        }
        let answer = self.world.put(self.passes, to, open.id, blind, cut);
        if self.killed() {
            return None;
        }
        self.tell_time(answer.is_ok());
        Some(answer)
    }

    /// Gives whether the pass was cut short.
    fn look(&mut self, decision: &Decision, urgent: bool, cut: Duration) -> bool {
        let asked = self.meta.reconcile.clone();
        let begun = self.now();
        self.campaign.looking(begun, asked.as_deref());
        let answer = self.world.read_state(self.passes, urgent, cut);
        self.tell_time(answer.is_ok());
        let (now, jitter) = (self.now(), self.jitter());
        match answer {
            Ok(observed) => {
                let judge = Judge {
                    spec: &self.spec,
                    wanted: matches!(decision.wants, Wants::Running(_)),
                    may_run: decision.may_run(),
                    closing: decision.closing.is_some(),
                    timeout: self.site.timeout,
                };
                let notes = self.campaign.saw(observed, now, judge, jitter);
                let ended = |note: &Note| if let Note::Ended(r) = note { Some(r.clone()) } else { None };
                self.files.untold.extend(notes.iter().filter_map(ended));
                self.notes.extend(notes);
            }
            Err(_) if now.mono >= cut => {
                self.campaign.look_was_cut(begun.mono);
                return true;
            }
            Err(trouble) => {
                let ended = self.campaign.could_not_see(trouble, begun.mono, now, jitter);
                self.has_ended(ended);
            }
        }
        false
    }

    fn count(&mut self, cut: Duration) -> bool {
        let begun = self.world.mono;
        let answer = self.world.read_stats(self.passes, cut);
        self.tell_time(answer.is_ok());
        let (now, jitter) = (self.now(), self.jitter());
        match answer {
            Ok(calls) => {
                let cap = self.cap();
                self.campaign.counted(calls, cap, now, secs(10));
            }
            Err(_) if now.mono >= cut => return true,
            Err(trouble) => self.campaign.counts.failed(trouble, begun, now, jitter),
        }
        false
    }

    fn tell_time(&mut self, answered: bool) {
        if answered {
            self.campaign.skew = self.ahead;
        }
    }

    /// Writes status and tells what waited for it. Gives whether the process has lived through that.
    fn write_down(&mut self, decision: &Decision) -> bool {
        let (status, working_since) = self.report(decision);
        self.campaign.status = status;
        self.campaign.working_since = working_since;
        if self.killed() {
            return false;
        }
        self.files.written = self.campaign.status.clone();
        if self.killed() {
            return false;
        }
        self.commit();
        true
    }

    /// What the loop would report now.
    pub fn report(&self, decision: &Decision) -> (CampaignStatus, Option<Timestamp>) {
        let (now, window) = (self.now(), window_at(&self.spec, &self.policies, self.now().wall));
        report(&self.inputs(&window, now), decision)
    }

    fn next_id(&mut self) -> Uuid {
        let low = self.jitter().to_bits();
        Uuid::from_u64_pair(self.passes as u64, low)
    }

    /// The word and the reason of a condition.
    pub fn condition(&self, type_: &str) -> Option<(String, String)> {
        self.campaign.status.condition(type_).map(|c| (c.status.clone(), c.reason.clone()))
    }

    /// `Ready` and its reason, as `True Running`.
    pub fn ready(&self) -> String {
        self.condition("Ready").map_or_else(String::new, |(word, reason)| format!("{word} {reason}"))
    }

    /// The lowest cap, as the loop hears of it.
    fn cap(&self) -> i32 {
        let (now, window) = (self.now(), window_at(&self.spec, &self.policies, self.now().wall));
        self.inputs(&window, now).cap().calls
    }

    fn inputs<'a>(&'a self, window: &'a Window, now: Now) -> Inputs<'a> {
        let Self { spec, meta, site, policies, campaign, .. } = self;
        Inputs { spec, meta, site, policies, window, campaign, now }
    }

    /// The reasons that keep it from running, then those that keep it from starting.
    pub fn obstacles(&self) -> (Vec<Reason>, Vec<Reason>) {
        let decision = self.decision();
        let reasons = |row| decision.obstacles(row).map(|g| g.obstacle().unwrap().reason).collect::<Vec<_>>();
        let waiting = [reasons(Row::Start), reasons(Row::Facts)].concat();
        (reasons(Row::Run), waiting)
    }

    /// The transitions that have ended, oldest first.
    pub fn ended(&self) -> Vec<&TransitionRecord> {
        self.notes.iter().filter_map(|n| if let Note::Ended(r) = n { Some(r) } else { None }).collect()
    }

    /// Their targets and outcomes.
    pub fn outcomes(&self) -> Vec<(Target, Outcome)> {
        self.ended().iter().map(|r| (r.to, r.outcome)).collect()
    }

    /// The message of a condition.
    pub fn message(&self, type_: &str) -> String {
        self.campaign.status.condition(type_).map_or_else(String::new, |c| c.message.clone())
    }

    /// The next transition as status tells it: when, where to, and why.
    pub fn next(&self) -> Option<(Timestamp, Effective, String)> {
        self.campaign.status.next_transition.clone().map(|next| (next.at.0, next.to, next.why))
    }

    /// Every announced transition has one outcome on the audit record, but for the one that is open; and status, while it keeps
    /// it, says the same.
    pub fn assert_outcomes(&self) {
        let Files { written, announced, told, .. } = &self.files;
        let open = self.campaign.status.pending_transition.as_ref().map(|pending| pending.id);
        for intent in announced {
            let outcomes: Vec<_> = told.iter().filter(|record| record.id == intent.id).collect();
            assert_eq!(outcomes.len(), usize::from(open != Some(intent.id)), "{intent:?}: {outcomes:?}");
            let kept = written.history.iter().find(|record| record.id == intent.id);
            assert!(kept.is_none_or(|kept| outcomes == [kept]), "{kept:?} {outcomes:?}");
        }
        for record in told {
            let same = told.iter().filter(|other| other.id == record.id).count();
            assert_eq!(same, 1, "{record:?}");
        }
    }

    /// Whether somebody else was said to have paused it.
    pub fn blamed(&self) -> bool {
        self.notes.iter().any(|n| matches!(n, Note::PausedByAnother(_)))
            || self.campaign.status.external_pause.is_some()
    }
}
