//! The rules read naively, from the design's table and the request log, by none of the code under test.

use std::time::Duration;

use jiff::Timestamp;
use rules::inputs::{Claim, Meta, Site, Tenant};
use rules::kinds::{
    DeclaredState, DialerCampaignStateSpec, Mode, Observed, OnExternalPause, PauseExpiry, ResumeMode, Target,
};
use rules::policies::Policies;
use serde_json::Value;

use super::common::Sim;
use super::common::world::{Request, What};
use super::law::Law;

/// How long after everything that keeps a close from its effect is over something may still dial: a look that needs a hand
/// comes every minute, a late effect of a start of ours within half a minute, and the slowest read takes a minute.
pub const BOUND: Duration = Duration::from_secs(75);

fn scheduled_later(spec: &DialerCampaignStateSpec, at: Timestamp) -> bool {
    spec.resume_mode == ResumeMode::Scheduled && spec.resume_at.as_ref().is_some_and(|r| r.timestamp() > at)
}

/// Follows from outside what the log says about pauses: the timed one, and those of others.
#[derive(Clone, Default)]
pub struct Pauses {
    read: usize,
    declared: Option<(DeclaredState, i32)>,
    /// Since when it has read closed after a close of ours under this declaration.
    confirmed: Option<Duration>,
    /// Whether a pause of ours has lasted as long as declared: it may come back by itself from then on.
    over: bool,
    ours: bool,
    last_put: Option<(Duration, Target)>,
    last_read: Option<Observed>,
    /// Somebody else paused it, beyond doubt.
    pub others: bool,
    release: Option<String>,
    wanted: bool,
}

impl Pauses {
    pub fn follow(&mut self, sim: &Sim) {
        for request in &sim.world.log[self.read..] {
            match (request.what, request.state) {
                (What::Put { to, .. }, _) => {
                    self.last_put = Some((request.at, to));
                    self.ours = to.is_close();
                }
                (What::State { .. }, Some(state)) => {
                    let quiet = self.last_put.is_none_or(|(at, to)| {
                        to == Target::Running || request.at.saturating_sub(at) > Duration::from_secs(200)
                    });
                    let fell = self.last_read == Some(Observed::Running) && state.is_closed();
                    if state == Observed::Running {
                        self.others = false;
                    }
                    self.others |= fell && quiet && self.wanted;
                    if state.is_closed() && self.ours && self.confirmed.is_none() {
                        self.confirmed = Some(request.at);
                    }
                    self.last_read = Some(state);
                }
                _ => {}
            }
        }
        self.read = sim.world.log.len();
        let declared = (sim.spec.state, sim.spec.pause_duration_seconds);
        if self.declared != Some(declared) {
            (self.confirmed, self.over) = (None, false);
            self.others &= self.declared.is_some_and(|(state, _)| state == declared.0);
            self.declared = Some(declared);
        }
        let length = Duration::from_secs(declared.1.unsigned_abs().into());
        self.over |= self.confirmed.is_some_and(|since| sim.world.mono >= since + length);
        if self.release != sim.meta.release {
            (self.release, self.others) = (sim.meta.release.clone(), false);
        }
        self.wanted = sim.spec.state == DeclaredState::Running && !sim.spec.suspend && !sim.meta.deleting;
    }
}

/// Everything as it was before a pass.
pub struct Frame {
    spec: DialerCampaignStateSpec,
    meta: Meta,
    site: Site,
    policies: Policies,
    ahead: Option<i64>,
    pauses: Pauses,
    first: bool,
    began: Timestamp,
    /// How many requests had been sent.
    pub sent: usize,
}

impl Frame {
    pub fn of(sim: &Sim, pauses: &Pauses) -> Self {
        Self {
            spec: sim.spec.clone(),
            meta: sim.meta.clone(),
            site: sim.site.clone(),
            policies: sim.policies.clone(),
            ahead: sim.ahead.map(|a| a.as_secs()),
            pauses: pauses.clone(),
            first: sim.campaign.seen.is_none(),
            began: sim.began,
            sent: sim.world.log.len(),
        }
    }
}

/// Whether this request, if it is a start, was right.
pub fn start_is_right(f: &Frame, request: &Request, log: &[Request]) -> Result<(), String> {
    let What::Put { to: Target::Running, id, .. } = request.what else { return Ok(()) };
    let at = f.began.checked_add(jiff::SignedDuration::try_from(request.at).unwrap()).unwrap();
    let pass: Vec<&Request> = log.iter().filter(|r| r.pass == request.pass && r.at <= request.at).collect();
    let put = pass.iter().position(|r| matches!(r.what, What::Put { id: i, .. } if i == id)).unwrap();
    let before = &pass[..put];
    let law = Law(&f.spec, &f.policies);
    let cap = law.cap(at) as u32;
    let wanted = match f.spec.state {
        DeclaredState::Running => true,
        DeclaredState::Paused => {
            f.spec.pause_duration_seconds > 0 && f.spec.pause_expiry == PauseExpiry::Resume && f.pauses.over
        }
        DeclaredState::Stopped => false,
    };
    let respects = f.spec.on_external_pause == OnExternalPause::Respect && f.pauses.others && !f.first;
    let rules = [
        (wanted, "declared to run"),
        (!f.spec.suspend && f.spec.mode == Mode::Enforce && !f.meta.deleting, "applied at all"),
        (f.meta.hold.is_none(), "not held"),
        (!scheduled_later(&f.spec, at), "resumeAt has come"),
        (law.stays_open(at, f.site.timeout.as_secs() as i64 + 5), "open, and long enough"),
        (!law.holds(at), "neither frozen nor in doubt"),
        (f.site.tenant == Tenant::Usable && f.site.claim == Claim::Held, "tenant and claim"),
        (f.site.listed && f.site.audit_writable, "listed and audited"),
        (f.ahead.is_none_or(|s| s.abs() <= 30), "clocks agree"),
        (before.iter().any(|r| r.state.is_some_and(Observed::is_closed)), "read closed in this pass"),
        (before.iter().any(|r| r.calls.is_some_and(|calls| calls <= cap)), "counted in this pass"),
        (!before.iter().any(|r| matches!(r.what, What::Put { .. })), "nothing written since"),
        (!respects, "nobody else paused it"),
    ];
    rules.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, rule)| Err(format!("not {rule}")))
}

/// How long it has dialed where it may not although it could have been closed.
#[derive(Default)]
pub struct Overdue {
    since: Option<Duration>,
    pub worst: Duration,
}

impl Overdue {
    pub fn look(&mut self, sim: &Sim) {
        let now = sim.now();
        let second = now.mono.as_secs();
        let spec = &sim.spec;
        let law = Law(spec, &sim.policies);
        let forbidden = sim.meta.hold.is_some()
            || !law.stays_open(now.wall, 0)
            || law.closes(now.wall)
            || scheduled_later(spec, now.wall)
            || (sim.meta.deleting && sim.meta.finalizer)
            || (!spec.suspend && !sim.meta.deleting && spec.state == DeclaredState::Stopped)
            || (!spec.suspend
                && !sim.meta.deleting
                && spec.state == DeclaredState::Paused
                && (spec.pause_duration_seconds == 0 || sim.campaign.status.pause.is_none()));
        let ours = matches!(
            sim.site.tenant,
            Tenant::Usable | Tenant::WithoutCredentials | Tenant::Refused | Tenant::Gone
        ) && sim.site.claim == Claim::Held
            && spec.mode == Mode::Enforce;
        let faulty = sim.world.reads.iter().any(|f| (f.0..f.1).contains(&second))
            || sim.world.writes.iter().any(|f| (f.0..f.1).contains(&second));
        if forbidden && ours && !faulty && sim.world.state == Observed::Running {
            let since = *self.since.get_or_insert(now.mono);
            self.worst = self.worst.max(now.mono - since);
        } else {
            self.since = None;
        }
    }
}

/// The schema of a campaign's status, as the CRD gives it.
pub fn status_schema() -> Value {
    let (_, crd) = rules::kinds::definitions().unwrap().remove(0);
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"].clone()
}

/// Whether an API server would store this value as it is.
pub fn admits(schema: &Value, value: &Value, path: &str) -> Result<(), String> {
    let bound = |key: &str| schema[key].as_u64().map(|n| n as usize);
    let fail = |what: &str| Err(format!("{path}: {what}: {value}"));
    if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        return fail("not one of the words");
    }
    match (schema["type"].as_str(), value) {
        (Some("object"), Value::Object(map)) => {
            for (key, inner) in map {
                let Some(known) = schema["properties"].get(key) else { return fail("an unknown field") };
                admits(known, inner, &format!("{path}.{key}"))?;
            }
            let required = schema["required"].as_array().into_iter().flatten();
            for key in required.filter_map(Value::as_str) {
                if !map.contains_key(key) {
                    return fail("a field is missing");
                }
            }
            Ok(())
        }
        (Some("array"), Value::Array(items)) => {
            if bound("maxItems").is_none_or(|max| items.len() > max) {
                return fail("too many, or no bound");
            }
            items.iter().try_for_each(|item| admits(&schema["items"], item, path))
        }
        (Some("string"), Value::String(text)) => {
            // The API machinery's own bound of a condition's message, which its schema leaves out here.
            let max = bound("maxLength").unwrap_or(32_768);
            if text.chars().count() > max { fail("too long") } else { Ok(()) }
        }
        (Some("integer"), Value::Number(_)) | (Some("boolean"), Value::Bool(_)) => Ok(()),
        _ => fail("another type"),
    }
}
