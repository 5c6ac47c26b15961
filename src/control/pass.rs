//! One run of the reconcile function for one declaration: observe, decide, act until nothing is left to do now, record.

use std::sync::Arc;
use std::time::Duration;

use cxone::{CampaignStatus as Wire, Dialer, Lane, Reading};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use rules::campaign::{Judge, Note};
use rules::decide::{BLIND_AFTER, Decision, Step, decide};
use rules::inputs::{Inputs, Meta, Site, Tenant};
use rules::kinds::Observed;
use rules::trouble::{Now, Trouble};
use rules::wants::Wants;
use tokio::sync::watch;
use tracing::{debug, warn};

use super::board::{Call, Desk};
use super::claims::Examined;
use super::context::Context;
use super::outcomes;
use super::tenants::TenantClient;
use super::work::Work;
use crate::clock;
use crate::crash::{self, Deed};

/// A pass takes no more steps than that; it never needs that many.
const MAX_STEPS: usize = 16;
/// How often a pass under way looks at the wall clock for the end of the hours.
const CLOCK_CHECK: Duration = Duration::from_secs(1);
/// How soon calls that do not drain are counted again.
const RECOUNT_EVERY: Duration = Duration::from_secs(30);
/// Requests without a known tenant time out after that; only explanations use it.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);

/// One pass.
pub struct Pass<'a> {
    pub(super) ctx: &'a Arc<Context>,
    pub(super) desk: &'a Desk,
    pub(super) work: &'a mut Work,
    pub(super) meta: Meta,
    pub(super) tenant: Tenant,
    pub(super) site: Option<Arc<TenantClient>>,
    /// When the read under way was sent (monotonic).
    looking_since: Option<Duration>,
    call: watch::Receiver<Call>,
    /// Whether this pass may start anything.
    starts: bool,
    /// Held from the first thing that this pass does on.
    deed: Option<watch::Receiver<()>>,
}

impl<'a> Pass<'a> {
    /// Begins a pass on the newest version of the declaration.
    pub fn begin(ctx: &'a Arc<Context>, desk: &'a Desk, work: &'a mut Work) -> Self {
        // Before the object is read: whatever changes after this cuts the pass short.
        let call = desk.call.subscribe();
        let ended = work.take_in(&desk.newest(), clock::now());
        outcomes::stage_found(ctx, work, ended);
        work.policies = call.borrow().policies.clone();
        let meta = Meta::of(&work.object);
        let namespace = work.object.namespace().unwrap_or_default();
        let (tenant, site) = ctx.registry.lookup(&namespace, &work.object.spec.tenant_ref.name);
        if let Some(site) = &site
            && work.host.replace(site.host.clone()).is_some_and(|host| host != site.host)
        {
            // The same id at another host is another campaign.
            work.campaign.moved();
            ctx.examined(&work.object, Examined::No);
        }
        work.campaign.begin_pass();
        work.campaign.declared(&work.object.spec, meta.generation, meta.release.as_deref());
        // Who asks for a look has a reason to: neither backoff nor an earlier verdict is in his way.
        if desk.take_forgiveness() || work.campaign.is_asked(meta.reconcile.as_deref()) {
            work.campaign.forgive();
        }
        if meta.deleting {
            work.campaign.deleting_since.get_or_insert_with(|| clock::now().mono);
        }
        if site.is_none() {
            ctx.examined(&work.object, Examined::Bad);
        }
        let mut pass =
            Self { ctx, desk, work, meta, tenant, site, looking_since: None, call, deed: None, starts: true };
        pass.hear_couriers();
        pass.recover();
        pass
    }

    /// Goes on closing what may not run, on the last version of the declaration that could be decoded. Starts nothing and
    /// tells no status. Gives how long until the next pass.
    pub async fn guard(mut self) -> Duration {
        self.starts = false;
        let cut = cut(self.call.clone(), self.work.window(Timestamp::now()).next_close(), &self.desk.shield);
        let wake_in = tokio::select! {
            biased;
            () = cut => Duration::ZERO,
            decision = self.observe_decide_act() => decision.wake_in,
        };
        outcomes::tell_all(self.ctx, self.work).await;
        wake_in
    }

    /// Runs it, unless the hours end or the declaration changes meanwhile. Gives how long until the next one.
    pub async fn run(mut self) -> Duration {
        let cut = cut(self.call.clone(), self.work.window(Timestamp::now()).next_close(), &self.desk.shield);
        tokio::select! {
            biased;
            () = cut => {}
            wake_in = self.work_through() => return wake_in,
        }
        self.cut_short();
        Duration::ZERO
    }

    async fn work_through(&mut self) -> Duration {
        let decision = self.observe_decide_act().await;
        let decided = tokio::time::Instant::now();
        let decision = self.keep_finalizer(decision).await;
        // What was told took its time: the next step is not due any later for it.
        self.record(&decision).await.saturating_sub(decided.elapsed())
    }

    async fn observe_decide_act(&mut self) -> Decision {
        for _ in 0..MAX_STEPS {
            let decision = self.decide();
            match decision.step {
                Step::Rest => return decision,
                Step::Look { urgent } => self.look(urgent, &decision).await,
                Step::Count => self.count().await,
                Step::Close { to, cause, blind } => self.close(to, cause, blind, &decision).await,
                Step::Start { cause } => {
                    if self.start(cause, &decision).await.is_break() {
                        break;
                    }
                }
            }
        }
        self.decide()
    }

    /// Decides on what is known now.
    pub(super) fn decide(&mut self) -> Decision {
        let now = clock::now();
        let decision = self.with_inputs(now, decide);
        self.work.campaign.decided(&decision, now, clock::jitter());
        decision
    }

    /// Hands the inputs of a decision to `use_them`.
    pub(super) fn with_inputs<T>(&mut self, now: Now, use_them: impl FnOnce(&Inputs<'_>) -> T) -> T {
        let view = self.site_view();
        let window = self.work.window(now.wall).clone();
        use_them(&Inputs {
            spec: &self.work.object.spec,
            meta: &self.meta,
            site: &view,
            policies: &self.work.policies,
            window: &window,
            campaign: &self.work.campaign,
            now,
        })
    }

    fn site_view(&self) -> Site {
        Site {
            tenant: self.tenant,
            claim: self.ctx.claim(&self.work.object),
            listed: self.starts && self.ctx.readiness.all_listed(),
            audit_writable: self.ctx.audit.is_writable(),
            timeout: self.timeout(),
            hold: self.site.as_ref().and_then(|site| site.client.hold()).map(clock::mono),
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.site.as_ref().map_or(DEFAULT_TIMEOUT, |site| site.timeout)
    }

    pub(super) fn campaign_id(&self) -> &str {
        &self.work.object.spec.campaign_id
    }

    /// From here on the process does not end before this pass has told what it did.
    pub(super) fn is_acting(&mut self) {
        self.deed.get_or_insert_with(|| self.ctx.deeds.subscribe());
    }

    async fn look(&mut self, urgent: bool, decision: &Decision) {
        let Some(site) = self.site.clone() else { return };
        let asked = clock::now();
        let (begun, answer) = if urgent {
            match self.turn_to_look(&site).await {
                Some(turn) => {
                    // The clock of a read that is not waited for long starts when its turn has come.
                    let begun = clock::now();
                    let answer = self.read(&site, Lane::Close, BLIND_AFTER.min(site.timeout)).await;
                    drop(turn);
                    (begun, answer)
                }
                None => (asked, Err(Trouble::Interrupted)),
            }
        } else {
            match site.client.admit(self.campaign_id()) {
                Ok(()) => (asked, self.read(&site, Lane::Open, site.timeout * 2).await),
                Err(not_now) => (asked, Err(trouble(&not_now.into()))),
            }
        };
        self.take_in_state(answer, begun, decision);
    }

    /// The turn for a read before a close. What was seen running does not wait for it longer than for the read itself.
    async fn turn_to_look<'c>(&self, site: &'c TenantClient) -> Option<cxone::LookTurn<'c>> {
        let turn = site.client.turn_to_look();
        match self.work.campaign.ran {
            Some(_) => tokio::time::timeout(BLIND_AFTER, turn).await.ok(),
            None => Some(turn.await),
        }
    }

    async fn read(
        &mut self,
        site: &TenantClient,
        lane: Lane,
        patience: Duration,
    ) -> Result<Reading<Wire>, Trouble> {
        let begun = clock::now();
        self.work.campaign.looking(begun, self.meta.reconcile.as_deref());
        self.looking_since = Some(begun.mono);
        let id = self.campaign_id().to_owned();
        let reading = tokio::time::timeout(patience, site.client.observe(&id, lane));
        let answer = crash::around(Deed::Read, reading).await;
        self.looking_since = None;
        match answer {
            Ok(answer) => answer
                .map_err(|error| self.told("the state can't be read", &error, self.work.campaign.reads.last)),
            Err(_) => Err(Trouble::Interrupted),
        }
    }

    fn take_in_state(&mut self, answer: Result<Reading<Wire>, Trouble>, begun: Now, decision: &Decision) {
        let now = clock::now();
        match answer {
            Ok(reading) => {
                self.work.campaign.skew = skew(reading.date, reading.received);
                let judge = Judge {
                    spec: &self.work.object.spec,
                    wanted: matches!(decision.wants, Wants::Running(_)),
                    may_run: decision.may_run(),
                    closing: decision.closing.is_some(),
                    timeout: self.site.as_ref().map_or(DEFAULT_TIMEOUT, |site| site.timeout),
                };
                let notes = self.work.campaign.saw(observed(reading.value), now, judge, clock::jitter());
                self.ctx.examined(&self.work.object, Examined::Good);
                self.put_on_record(notes, decision);
            }
            Err(trouble) => {
                let ended = self.work.campaign.could_not_see(trouble, begun.mono, now, clock::jitter());
                if trouble.is_terminal() {
                    self.ctx.examined(&self.work.object, Examined::Bad);
                }
                self.put_on_record(ended.map(Note::Ended), decision);
            }
        }
    }

    async fn count(&mut self) {
        let Some(site) = self.site.clone() else { return };
        let begun = clock::now();
        // Many slow pages would make the state that was read before them an old fact.
        let pages = tokio::time::timeout(site.timeout * 2, site.client.volume(self.campaign_id())).await;
        let answer = pages.unwrap_or(Err(cxone::Trouble::Interrupted("the statistics took too long")));
        let now = clock::now();
        match answer {
            Ok(reading) => {
                self.work.campaign.skew = skew(reading.date, reading.received);
                let cap = self.with_inputs(now, |inputs| inputs.cap().calls);
                let every = Duration::from_secs(
                    u64::try_from(self.work.object.spec.check_interval_seconds).unwrap_or(60),
                );
                self.work.campaign.counted(reading.value.active_calls, cap, now, every.min(RECOUNT_EVERY));
            }
            Err(error) => {
                let trouble =
                    self.told("the statistics can't be read", &error, self.work.campaign.counts.last);
                self.work.campaign.counts.failed(trouble, begun.mono, now, clock::jitter());
            }
        }
    }

    /// Logs a trouble, loudly where it is not the one that was met `before`, and gives it as decisions take it.
    pub(super) fn told(&self, what: &str, error: &cxone::Trouble, before: Option<Trouble>) -> Trouble {
        let object = &self.work.object;
        let namespace = object.namespace().unwrap_or_default();
        let (name, campaign) = (object.name_any(), self.campaign_id());
        let known = before == Some(trouble(error));
        if known || matches!(error, cxone::Trouble::NotNow(_)) {
            debug!(namespace, name, campaign, %error, "{what}");
        } else {
            warn!(namespace, name, campaign, %error, "{what}");
        }
        match self.site.as_ref().and_then(|site| site.client.hold()) {
            // With `Retry-After` it says what 429 says.
            Some(until) if matches!(error, cxone::Trouble::Unavailable { status: 503 }) => {
                Trouble::Throttled(Some(clock::now().until_mono(clock::mono(until))))
            }
            _ => trouble(error),
        }
    }

    fn cut_short(&mut self) {
        if let Some(begun) = self.looking_since {
            self.work.campaign.look_was_cut(begun);
        }
        debug!(name = self.work.object.name_any(), "a pass was cut short");
    }

    /// Puts what happened on record.
    pub(super) fn put_on_record(&mut self, notes: impl IntoIterator<Item = Note>, decision: &Decision) {
        for note in notes {
            self.note(&note, decision);
        }
    }
}

/// Completes when the hours end or the declaration changes, and no close is in flight.
async fn cut(mut call: watch::Receiver<Call>, hours_end: Option<Timestamp>, shield: &tokio::sync::Mutex<()>) {
    let end = async {
        match hours_end {
            // In small steps: timers miss clock steps and machine sleep.
            Some(at) => {
                while clock::now().wall < at {
                    tokio::time::sleep(clock::now().until(at).min(CLOCK_CHECK)).await;
                }
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = end => {}
        changed = call.changed() => {
            if changed.is_err() {
                // The desk is gone; the pass ends by itself.
                std::future::pending::<()>().await;
            }
        }
    }
    let _in_flight = shield.lock().await;
}

fn observed(wire: Wire) -> Observed {
    match wire {
        Wire::Running => Observed::Running,
        Wire::Paused => Observed::Paused,
        Wire::Stopped => Observed::Stopped,
    }
}

fn skew(date: Option<Timestamp>, received: Timestamp) -> Option<SignedDuration> {
    date.map(|date| date.duration_since(received))
}

/// What the client met, as decisions take it.
pub(super) fn trouble(error: &cxone::Trouble) -> Trouble {
    use cxone::Trouble as T;
    match error {
        T::NotNow(not_now) => Trouble::NotNow(clock::mono(not_now.until)),
        T::Throttled { retry_after } => Trouble::Throttled(*retry_after),
        T::Unauthorized => Trouble::Unauthorized,
        T::CredentialsMissing(_) => Trouble::CredentialsMissing,
        T::Forbidden => Trouble::Forbidden,
        T::NotFound => Trouble::NotFound,
        T::Conflict => Trouble::Conflict,
        T::Unavailable { .. } => Trouble::Unavailable,
        T::Rejected { .. } => Trouble::Rejected,
        T::Unreadable(_) => Trouble::Unreadable,
        T::Unreachable(_) => Trouble::Unreachable,
        T::Interrupted(_) => Trouble::Interrupted,
    }
}
