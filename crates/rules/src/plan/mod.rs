//! What will happen, were nobody to change anything: the loop, rehearsed before a platform that answers at once.
//!
//! Every step is one that [`decide`] asks for, on the same memory as in the loop; only time and the platform are made up. No
//! calls are active, everything is listed, nobody else touches the campaign: what the loop can't foresee, a plan can't either.

mod why;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::calendar::{Calendar, NoCalendar};
use crate::campaign::{Campaign, Judge, Note, transition};
use crate::decide::{Decision, Step, decide};
use crate::inputs::{Claim, Inputs, Meta, Site, Tenant, Window};
use crate::kinds::{CampaignStatus, Cause, DialerCampaignStateSpec, Effective, Observed, PolicyRef, Target};
use crate::policies::Policies;
use crate::step;
use crate::trouble::Now;
use crate::wants::Wants;

/// A pass takes no more steps than that; it never needs that many.
const MAX_STEPS: usize = 16;
/// No more passes than that are rehearsed: a hundred edges a day for a year stay far below it.
const MAX_PASSES: usize = 100_000;
/// Where the monotonic clock of a rehearsal begins: later than anything that is still in doubt then.
const BEGINS: Duration = Duration::from_secs(86_400);
/// Calls that do not drain are not part of a plan.
const RECOUNT: Duration = Duration::from_secs(30);

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The declaration.
    pub spec: &'a DialerCampaignStateSpec,
    /// What matters of its metadata.
    pub meta: &'a Meta,
    /// What is taken for granted besides.
    pub site: &'a Site,
    /// The policies that concern it.
    pub policies: &'a Policies,
    /// What is known of the campaign when the plan begins.
    pub status: &'a CampaignStatus,
    /// What the platform says when the plan begins: [`Observed::Unknown`] counts as paused.
    pub observed: Observed,
    /// When the plan begins.
    pub from: Timestamp,
    /// Before when it ends.
    pub until: Timestamp,
    /// After that many changes it ends too.
    pub at_most: usize,
}

/// What will happen.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What is decided first, when the state has been read and before anything is done.
    pub first: Decision,
    /// What changes, in order.
    pub changes: Vec<Change>,
    /// When it dials.
    pub running: Vec<Span>,
    /// What is decided at the end of the plan.
    pub last: Decision,
}

/// A change that will come about.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// What is sent to the platform; `None`: nothing, only what declaration and gates come to is another.
    pub to: Option<Target>,
    /// What declaration and gates come to from then on.
    pub effective: Effective,
    /// The cause that what is sent is recorded with.
    pub cause: Option<Cause>,
    /// The rule behind it, in words.
    pub why: String,
    /// The policy whose rule it is, where it is one's.
    pub policy: Option<PolicyRef>,
}

/// A time during which it dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end; that of the plan, where it goes on.
    pub until: Timestamp,
}

/// What a campaign is taken to have besides its declaration: everything that lets it start.
pub fn ideal_site(timeout: Duration) -> Site {
    Site {
        tenant: Tenant::Usable,
        claim: Claim::Held,
        listed: true,
        audit_writable: true,
        timeout,
        hold: None,
    }
}

/// Foretells.
pub fn plan(question: &Question<'_>) -> Plan {
    let mut rehearsal = Rehearsal::new(question);
    let mut rest = rehearsal.pass(None);
    for _ in 0..MAX_PASSES {
        let ended = rehearsal.changes.len() >= question.at_most;
        match rehearsal.next_pass(&rest).filter(|at| *at < question.until && !ended) {
            Some(at) => rehearsal.advance(at),
            None => break,
        }
        rest = rehearsal.pass(Some(&rest));
    }
    rehearsal.end(rest)
}

/// A pass that has come to rest.
struct Rest {
    decision: Decision,
    window: Window,
}

struct Rehearsal<'a> {
    question: &'a Question<'a>,
    calendar: Result<Calendar, NoCalendar>,
    campaign: Campaign,
    /// The platform.
    observed: Observed,
    now: Now,
    first: Option<Decision>,
    changes: Vec<Change>,
    running: Vec<Span>,
    running_since: Option<Timestamp>,
}

impl<'a> Rehearsal<'a> {
    fn new(question: &'a Question<'a>) -> Self {
        let Question { spec, meta, policies, .. } = question;
        let now = Now { wall: question.from, mono: BEGINS };
        let observed = match question.observed {
            Observed::Unknown => Observed::Paused,
            known => known,
        };
        Self {
            question,
            calendar: Calendar::new(spec.compliance_window.as_ref(), &policies.matching, policies.required),
            campaign: Campaign::resume(question.status.clone(), meta.generation, now),
            observed,
            now,
            first: None,
            changes: Vec::new(),
            running: Vec::new(),
            running_since: (observed == Observed::Running).then_some(now.wall),
        }
    }

    /// One run of the reconcile function: observe, decide, act, until nothing is left to do.
    fn pass(&mut self, before: Option<&Rest>) -> Rest {
        let Question { spec, meta, .. } = self.question;
        let told = self.changes.len();
        self.campaign.begin_pass();
        self.campaign.declared(spec, meta.generation, meta.release.as_deref());
        let window = self.window();
        let mut decision = self.decide(&window);
        for _ in 0..MAX_STEPS {
            if decision.step == Step::Rest {
                break;
            }
            self.take(&decision, &window, before);
            decision = self.decide(&window);
        }
        let rest = Rest { decision, window };
        if let Some(before) = before.filter(|before| before.decision.effective != rest.decision.effective)
            && self.changes.len() == told
        {
            self.tell(None, None, &rest.decision, &rest.window, Some(before));
        }
        rest
    }

    fn decide(&mut self, window: &Window) -> Decision {
        let decision = decide(&self.inputs(window));
        self.campaign.decided(&decision, self.now, 0.0);
        if self.first.is_none() && (self.campaign.seen.is_some() || decision.step == Step::Rest) {
            self.first = Some(decision.clone());
        }
        decision
    }

    /// Takes the step that was decided on.
    fn take(&mut self, decision: &Decision, window: &Window, before: Option<&Rest>) {
        let (now, site) = (self.now, self.question.site);
        match decision.step {
            Step::Rest => {}
            Step::Look { .. } => drop(self.look(decision)),
            Step::Count => {
                let cap = self.inputs(window).cap().calls;
                self.campaign.counted(0, cap, now, RECOUNT);
            }
            Step::Close { to, cause, blind } => {
                self.tell(Some(to), Some(cause), decision, window, before);
                self.send(to, cause, blind);
                self.campaign.close_sent(None, now, 0.0);
            }
            Step::Start { cause } => {
                self.tell(Some(Target::Running), Some(cause), decision, window, before);
                self.send(Target::Running, cause, false);
                self.campaign.start_sent(now, site.timeout);
            }
        }
    }

    fn look(&mut self, decision: &Decision) -> Vec<Note> {
        let Question { spec, meta, site, .. } = self.question;
        self.campaign.looking(self.now, meta.reconcile.as_deref());
        let judge = Judge {
            spec,
            wanted: matches!(decision.wants, Wants::Running(_)),
            may_run: decision.may_run(),
            closing: decision.closing.is_some(),
            timeout: site.timeout,
        };
        self.campaign.saw(self.observed, self.now, judge, 0.0)
    }

    fn send(&mut self, to: Target, cause: Cause, blind: bool) {
        let Question { meta, policies, .. } = self.question;
        // Nobody else sees the id.
        let id = Uuid::from_u128(self.changes.len() as u128);
        let mut new = transition(id, self.observed, to, cause, meta.generation, blind, self.now);
        new.policies = policies.references();
        self.campaign.open(new, self.now);
        self.campaign.sending(self.now);
        self.becomes(to.into());
    }

    fn becomes(&mut self, observed: Observed) {
        self.observed = observed;
        if observed == Observed::Running {
            self.running_since.get_or_insert(self.now.wall);
        } else if let Some(from) = self.running_since.take().filter(|from| *from < self.now.wall) {
            self.running.push(Span { from, until: self.now.wall });
        }
    }

    fn tell(
        &mut self,
        to: Option<Target>,
        cause: Option<Cause>,
        decision: &Decision,
        window: &Window,
        before: Option<&Rest>,
    ) {
        let (why, policy) = match decision.closing {
            Some(_) => why::closed(decision, window),
            None => why::opened(decision, before),
        };
        let (at, effective) = (self.now.wall, decision.effective);
        self.changes.push(Change { at, to, effective, cause, why, policy });
    }

    /// When the next pass is due: at the next edge, where nothing is under way.
    fn next_pass(&self, rest: &Rest) -> Option<Timestamp> {
        let c = &self.campaign;
        let waits = [&c.reads, &c.counts, &c.starts].iter().any(|series| !series.due(self.now));
        if c.status.pending_transition.is_some() || c.press.is_some() || waits {
            let wait = rest.decision.wake_in.max(Duration::from_millis(1));
            return self.now.wall.checked_add(SignedDuration::try_from(wait).ok()?).ok();
        }
        step::next_edge(&self.inputs(&rest.window))
    }

    fn advance(&mut self, to: Timestamp) {
        let passed = self.now.until(to);
        self.now = Now { wall: to, mono: self.now.mono.saturating_add(passed) };
    }

    fn end(mut self, rest: Rest) -> Plan {
        let until = self.question.until;
        self.running.extend(self.running_since.take().map(|from| Span { from, until: from.max(until) }));
        let first = self.first.unwrap_or_else(|| rest.decision.clone());
        Plan { first, changes: self.changes, running: self.running, last: rest.decision }
    }

    fn window(&self) -> Window {
        match &self.calendar {
            Ok(calendar) => Window::Known(calendar.view(self.now.wall)),
            Err(why) => Window::None(why.clone()),
        }
    }

    fn inputs<'b>(&'b self, window: &'b Window) -> Inputs<'b> {
        let Question { spec, meta, site, policies, .. } = *self.question;
        Inputs { spec, meta, site, policies, window, campaign: &self.campaign, now: self.now }
    }
}
