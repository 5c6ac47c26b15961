//! The gates of a campaign: each asks one rule and says what it found.

use std::cmp::Reverse;

use jiff::{SignedDuration, Timestamp};

use crate::inputs::{Claim, Inputs, Tenant, Window};
use crate::kinds::{Cause, Observed, OnExternalPause, PolicyRef, RELEASE, ResumeMode};
use crate::policies::{ActiveFreeze, Knowledge};
use crate::reasons::Reason;
use crate::text::clean;
use crate::wants::Wants;

/// How far the platform's clock may be from ours.
pub const MAX_SKEW: SignedDuration = SignedDuration::from_secs(30);
/// A start must leave this much time, besides one request's timeout, before the hours end.
pub const START_MARGIN: SignedDuration = SignedDuration::from_secs(5);

/// So many freezes are told in full.
const FREEZES_TOLD: usize = 3;

/// The gate of the dialing window.
pub const WINDOW: &str = "compliance window";

/// Which question a gate belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// May it run? A closed gate closes the campaign, whoever started it.
    Run,
    /// May it start? A closed gate makes a start wait.
    Start,
    /// May it start, asked of facts that this pass must have read.
    Facts,
}

/// One gate and what it found.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// The rule that it asks.
    pub rule: &'static str,
    /// The question it belongs to.
    pub row: Row,
    /// What it found.
    pub verdict: Verdict,
}

/// What a gate found.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Nothing against it.
    Open,
    /// Something against it.
    Closed(Obstacle),
    /// The fact that it asks for is not known.
    Unknown,
}

/// What stands against running or starting.
#[derive(Clone, Debug, PartialEq)]
pub struct Obstacle {
    /// The reason.
    pub reason: Reason,
    /// When it ends by itself, where that is known.
    pub until: Option<Timestamp>,
    /// The same for people: what, and what it was compared with.
    pub detail: String,
    /// The policy whose rule it is, where it is one's.
    pub policy: Option<PolicyRef>,
}

impl Gate {
    /// The obstacle, where this gate is closed.
    pub fn obstacle(&self) -> Option<&Obstacle> {
        match &self.verdict {
            Verdict::Closed(obstacle) => Some(obstacle),
            _ => None,
        }
    }

    /// The cause that a close for this gate is recorded with.
    pub fn cause(&self) -> Cause {
        match self.obstacle().map(|o| o.reason) {
            Some(Reason::Manual) => Cause::Manual,
            Some(Reason::NoWindow) => Cause::NoWindow,
            Some(Reason::UnknownZone) => Cause::UnknownZone,
            Some(Reason::ScheduledResume) => Cause::ScheduledResume,
            Some(Reason::Frozen) => Cause::Frozen,
            Some(Reason::PolicyUnreadable) => Cause::PolicyUnreadable,
            _ => Cause::OutsideWindow,
        }
    }
}

/// Asks every gate. Those that may close a running campaign come first, in the order in which people want to hear of them.
pub fn ask(inputs: &Inputs<'_>, wants: Wants) -> Vec<Gate> {
    vec![
        gate("hold annotation", Row::Run, hold(inputs)),
        freeze(inputs),
        policies(inputs),
        gate(WINDOW, window_row(inputs), window(inputs)),
        gate("scheduled resume", Row::Run, scheduled(inputs)),
        gate("all declarations listed", Row::Start, listed(inputs)),
        gate("tenant", Row::Start, tenant(inputs)),
        gate("claim", Row::Start, claim(inputs)),
        gate("external pause", Row::Start, external_pause(inputs)),
        gate("time left", Row::Start, time_left(inputs)),
        gate("pause expiry", Row::Start, expiry(wants)),
        gate("audit log", Row::Start, audit(inputs)),
        gate("state read", Row::Facts, state_read(inputs)),
        gate("call volume", Row::Facts, volume(inputs)),
        gate("clock", Row::Facts, clock(inputs)),
    ]
}

fn gate(rule: &'static str, row: Row, verdict: Verdict) -> Gate {
    Gate { rule, row, verdict }
}

fn closed(reason: Reason, until: Option<Timestamp>, detail: impl Into<String>) -> Verdict {
    closed_by(None, reason, until, detail)
}

fn closed_by(
    policy: Option<PolicyRef>,
    reason: Reason,
    until: Option<Timestamp>,
    detail: impl Into<String>,
) -> Verdict {
    // Parts of it may be what others wrote.
    Verdict::Closed(Obstacle { reason, until, detail: clean(&detail.into()), policy })
}

fn hold(i: &Inputs<'_>) -> Verdict {
    let Some(why) = &i.meta.hold else { return Verdict::Open };
    let why: String = why.chars().take(128).collect();
    let why = if why.is_empty() { why } else { format!(": {why}") };
    let fleeting =
        "; Flux takes back what kubectl signed: set it in other words with --field-manager=by-hand";
    let fleeting = if i.meta.hold_is_fleeting { fleeting } else { "" };
    closed(Reason::Manual, None, format!("held by the hold annotation{why}{fleeting}"))
}

/// Closes where one of the freezes pauses what runs; holds starts where none does. It is that of the freeze that ends last, of
/// those that do the same.
fn freeze(i: &Inputs<'_>) -> Gate {
    const RULE: &str = "freeze";
    let mut freezes: Vec<_> = i.policies.freezes(i.now.wall).collect();
    let ends = |freeze: &ActiveFreeze<'_>| freeze.until.unwrap_or(Timestamp::MAX);
    freezes.sort_by_key(|freeze| (Reverse(freeze.pauses), Reverse(ends(freeze))));
    let Some(first) = freezes.first() else { return gate(RULE, Row::Run, Verdict::Open) };
    let row = if first.pauses { Row::Run } else { Row::Start };
    // Nothing starts before the last of all has ended.
    let until = freezes.iter().map(ends).max().filter(|until| *until < Timestamp::MAX);
    let mut told: Vec<_> = freezes.iter().take(FREEZES_TOLD).map(frozen).collect();
    if freezes.len() > FREEZES_TOLD {
        told.push(format!("and by {} more", freezes.len() - FREEZES_TOLD));
    }
    gate(RULE, row, closed_by(Some(first.policy.reference()), Reason::Frozen, until, told.join("; ")))
}

fn frozen(freeze: &ActiveFreeze<'_>) -> String {
    let end = freeze.until.map_or_else(|| "until it is lifted".to_owned(), |until| format!("until {until}"));
    let what = if freeze.pauses { "frozen" } else { "starts frozen" };
    format!("{what} by policy {} {end}: {}", freeze.policy.name, freeze.reason)
}

fn policies(i: &Inputs<'_>) -> Gate {
    const RULE: &str = "policies readable";
    let unreadable =
        |why: &str| closed_by(i.policies.unreadable.clone(), Reason::PolicyUnreadable, None, why);
    match &i.policies.knowledge {
        Knowledge::Full => gate(RULE, Row::Run, Verdict::Open),
        Knowledge::Awaited => {
            let detail = "the policies have not been listed yet";
            gate(RULE, Row::Start, closed(Reason::NotListed, None, detail))
        }
        Knowledge::InDoubt(why) => gate(RULE, Row::Start, unreadable(why)),
        Knowledge::Missing(why) => gate(RULE, Row::Run, unreadable(why)),
    }
}

/// Before the policies were first had nobody knows whether one gives hours: that holds starts, and pauses nothing.
fn window_row(i: &Inputs<'_>) -> Row {
    match i.window {
        Window::None(why) if i.policies.unheard && why.reason() == Reason::NoWindow => Row::Start,
        _ => Row::Run,
    }
}

fn window(i: &Inputs<'_>) -> Verdict {
    match i.window {
        Window::None(why) => closed_by(why.policy().cloned(), why.reason(), None, why.to_string()),
        Window::Known(view) if view.open => Verdict::Open,
        Window::Known(view) => {
            let opening = &view.rule;
            let closing = view.closed_by.as_ref().unwrap_or(opening);
            let (reason, detail) = match view.next_open {
                Some(at) if closing.text == opening.text => {
                    (Reason::OutsideWindow, format!("outside {}; opens {at}", opening.text))
                }
                Some(at) => {
                    let detail = format!("outside {}; opens {at} with {}", closing.text, opening.text);
                    (Reason::OutsideWindow, detail)
                }
                None => (Reason::NeverOpen, format!("{} does not open within 400 days", opening.text)),
            };
            closed_by(closing.policy.clone(), reason, view.next_open, detail)
        }
    }
}

fn scheduled(i: &Inputs<'_>) -> Verdict {
    match (&i.spec.resume_at, i.spec.resume_mode) {
        (Some(at), ResumeMode::Scheduled) if at.timestamp() > i.now.wall => {
            let at = at.timestamp();
            closed(Reason::ScheduledResume, Some(at), format!("not before resumeAt {at}"))
        }
        _ => Verdict::Open,
    }
}

fn listed(i: &Inputs<'_>) -> Verdict {
    if i.site.listed {
        Verdict::Open
    } else {
        closed(Reason::NotListed, None, "not all declarations have been listed yet")
    }
}

fn tenant(i: &Inputs<'_>) -> Verdict {
    let name = &i.spec.tenant_ref.name;
    match i.site.tenant {
        Tenant::Usable => Verdict::Open,
        Tenant::WithoutCredentials => closed(
            Reason::CredentialsMissing,
            None,
            format!("CXoneTenant {name} has no credentials to go by; its status says why"),
        ),
        Tenant::Refused => closed(
            Reason::Unauthorized,
            None,
            format!("CXone refuses the credentials of CXoneTenant {name} (401)"),
        ),
        Tenant::Gone | Tenant::NotFound => closed(
            Reason::TenantNotFound,
            None,
            format!("CXoneTenant {name} does not exist in this namespace"),
        ),
        Tenant::NotAllowed => closed(
            Reason::EndpointNotAllowed,
            None,
            format!("the host of CXoneTenant {name} is not on the operator's list"),
        ),
    }
}

fn claim(i: &Inputs<'_>) -> Verdict {
    match &i.site.claim {
        Claim::Held => Verdict::Open,
        Claim::Pending => {
            closed(Reason::ClaimPending, None, "an older declaration of this campaign is being examined")
        }
        Claim::Lost { winner: Some(name) } => {
            closed(Reason::DuplicateClaim, None, format!("{name} declares this campaign already"))
        }
        Claim::Lost { winner: None } => {
            closed(Reason::DuplicateClaim, None, "a declaration in another namespace owns this campaign")
        }
    }
}

fn external_pause(i: &Inputs<'_>) -> Verdict {
    match &i.campaign.status.external_pause {
        None => Verdict::Open,
        Some(pause) if pause.contested => closed(
            Reason::Contested,
            None,
            format!(
                "{} again by someone else after three starts in 15 minutes, last seen {}",
                pause.observed, pause.since.0
            ),
        ),
        Some(_) if i.spec.on_external_pause == OnExternalPause::Revert => Verdict::Open,
        Some(pause) => closed(
            Reason::ExternalPause,
            None,
            format!(
                "{} by someone else in CXone, seen {}; start it there, or give the annotation {RELEASE} a new value",
                pause.observed.to_string().to_lowercase(),
                pause.since.0
            ),
        ),
    }
}

fn time_left(i: &Inputs<'_>) -> Verdict {
    let Some(close) = i.window.next_close() else { return Verdict::Open };
    let needed = SignedDuration::try_from(i.site.timeout).unwrap_or(SignedDuration::MAX);
    let needed = needed.saturating_add(START_MARGIN);
    if close.duration_since(i.now.wall) > needed {
        Verdict::Open
    } else {
        let reopens = match i.window {
            Window::Known(view) => view.next_open,
            Window::None(_) => None,
        };
        closed(Reason::ClosingSoon, reopens, format!("too close to the end of the hours at {close} to start"))
    }
}

fn expiry(wants: Wants) -> Verdict {
    match wants {
        Wants::Expired => {
            closed(Reason::PauseExpired, None, "the timed pause is over and pauseExpiry is Hold")
        }
        _ => Verdict::Open,
    }
}

fn audit(i: &Inputs<'_>) -> Verdict {
    if i.site.audit_writable {
        Verdict::Open
    } else {
        closed(Reason::AuditUnavailable, None, "the audit log can't be written")
    }
}

fn state_read(i: &Inputs<'_>) -> Verdict {
    match i.campaign.pass.state {
        Some(Observed::Unknown) | None => Verdict::Unknown,
        Some(_) => Verdict::Open,
    }
}

fn volume(i: &Inputs<'_>) -> Verdict {
    let cap = i.cap();
    match i.campaign.pass.active_calls {
        None => Verdict::Unknown,
        Some(calls) if i64::from(calls) <= i64::from(cap.calls) => Verdict::Open,
        Some(_) => {
            let detail = format!("more than {cap} are active");
            closed_by(cap.policy, Reason::TooManyCalls, None, detail)
        }
    }
}

fn clock(i: &Inputs<'_>) -> Verdict {
    match i.campaign.skew {
        Some(skew) if skew.abs() > MAX_SKEW => {
            closed(Reason::ClockSkew, None, "the clock of CXone and ours differ by more than 30 s")
        }
        // A platform that tells no time passes: its `Date` is a check of our clock, not a fact of the campaign.
        _ => Verdict::Open,
    }
}
