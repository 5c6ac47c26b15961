//! The one decision: nothing starts that may not, by a reading of the rules that shares no code with it.

use jiff::SignedDuration;
use rules::calendar::Calendar;
use rules::decide::{BLIND_AFTER, BLIND_AFTER_FAILURES, DECIDE_EVERY, Decision, Step, decide};
use rules::gates::Verdict;
use rules::inputs::{Claim, Tenant, Window};
use rules::kinds::{DeclaredState, Mode, Observed, OnExternalPause, PauseExpiry, ResumeMode};
use rules::policies::Knowledge;

use crate::facts::Facts;
use crate::window::agrees_with_itself;

/// A start is right by a naive reading of every gate, a close is demanded, what must not run has its close demanded, and the same
/// facts decide the same.
pub fn holds(bytes: &[u8]) {
    let facts = Facts::of(bytes);
    let window = facts.window();
    if let Window::Known(view) = &window {
        agrees_with_itself(view, facts.now.wall);
    }
    let decision = decide(&facts.inputs(&window));
    assert_eq!(decide(&facts.inputs(&window)), decision, "the same facts decide otherwise");
    match decision.step {
        Step::Rest => {
            let wait = decision.wake_in;
            assert!(!wait.is_zero() && wait <= DECIDE_EVERY, "it rests for {wait:?}");
        }
        Step::Start { .. } => start_is_right(&facts, &window, &decision),
        Step::Close { blind, .. } => close_is_right(&facts, &decision, blind),
        Step::Look { .. } => assert_eq!(facts.campaign.pass.state, None, "what was read is read again"),
        Step::Count => {
            assert_eq!(facts.campaign.pass.active_calls, None, "what was counted is counted again")
        }
    }
    what_must_not_run_is_to_be_closed(&facts, &window, &decision);
    a_hold_closes(facts);
}

fn start_is_right(facts: &Facts, window: &Window, decision: &Decision) {
    let Facts { spec, meta, site, policies, campaign, now } = facts;
    let own = spec.compliance_window.as_ref();
    let open = |at| {
        Calendar::new(own, &policies.matching, policies.required).is_ok_and(|calendar| calendar.allowed(at))
    };
    let margin = SignedDuration::from_secs(site.timeout.as_secs() as i64 + 5);
    let caps = policies.matching.iter().filter_map(|policy| policy.spec.max_active_calls);
    // A policy's cap binds only while the policy is in effect, so only the declaration's own is a bound in any case.
    let always = policies.matching.iter().all(|policy| policy.spec.effective_from.is_none());
    let cap = caps.filter(|_| always).fold(spec.max_active_calls, i32::min);
    let wanted = match spec.state {
        DeclaredState::Running => true,
        DeclaredState::Paused => {
            let over = campaign.status.pause.as_ref().is_some_and(|pause| pause.until.0 <= now.wall);
            over && spec.pause_expiry == PauseExpiry::Resume
        }
        DeclaredState::Stopped => false,
    };
    let later = spec.resume_mode == ResumeMode::Scheduled
        && spec.resume_at.as_ref().is_some_and(|at| at.timestamp() > now.wall);
    let others = campaign.status.external_pause.as_ref();
    let rules = [
        (wanted && !meta.deleting, "wanted"),
        (!spec.suspend && spec.mode == Mode::Enforce, "applied"),
        (meta.hold.is_none(), "not held"),
        (!later, "after resumeAt"),
        (open(now.wall) && open(now.wall + margin), "within the hours, and long enough"),
        (matches!(window, Window::Known(view) if view.open), "before the close lead"),
        (policies.knowledge == Knowledge::Full, "under known policies"),
        (policies.freezes(now.wall).next().is_none(), "not frozen"),
        (site.tenant == Tenant::Usable && site.claim == Claim::Held, "of a usable tenant that owns it"),
        (site.listed && site.audit_writable, "listed and audited"),
        (site.hold.is_none_or(|until| until <= now.mono), "after the platform's Retry-After"),
        (campaign.status.pending_transition.is_none(), "without an open transition"),
        (others.is_none_or(|pause| !pause.contested), "not contested"),
        (others.is_none() || spec.on_external_pause == OnExternalPause::Revert, "nobody else's pause"),
        (campaign.pass.state.is_some_and(|state| state != Observed::Unknown), "read in this pass"),
        (campaign.pass.active_calls.is_some_and(|calls| i64::from(calls) <= i64::from(cap)), "below the cap"),
        (campaign.skew.is_none_or(|skew| skew.abs() <= SignedDuration::from_secs(30)), "on one clock"),
        (decision.closing.is_none(), "not to be closed"),
        (decision.gates.iter().all(|gate| gate.verdict == Verdict::Open), "with every gate open"),
    ];
    if let Some((_, rule)) = rules.iter().find(|(holds, _)| !holds) {
        panic!("a start that is not {rule}: {facts:#?}");
    }
}

fn close_is_right(facts: &Facts, decision: &Decision, blind: bool) {
    let Facts { spec, site, campaign, now, .. } = facts;
    assert!(decision.closing.is_some(), "nothing demands this close");
    assert!(spec.mode == Mode::Enforce, "a close where nothing is to be written");
    assert!(site.claim == Claim::Held, "a close by who does not own the campaign");
    let reachable = matches!(site.tenant, Tenant::Usable | Tenant::WithoutCredentials | Tenant::Refused | Tenant::Gone);
    assert!(reachable, "a close that can't be sent");
    assert!(!campaign.pass.pressed, "a second close in one pass");
    assert_eq!(blind, campaign.pass.state.is_none(), "blind, or read");
    let reads = &campaign.reads;
    let long = reads.since.is_some_and(|since| now.mono - since >= BLIND_AFTER);
    assert!(!blind || long || reads.failures >= BLIND_AFTER_FAILURES, "blind, and reads have not failed");
}

fn what_must_not_run_is_to_be_closed(facts: &Facts, window: &Window, decision: &Decision) {
    let frozen = facts.policies.freezes(facts.now.wall).any(|freeze| freeze.pauses);
    let missing = matches!(facts.policies.knowledge, Knowledge::Missing(_));
    let outside = matches!(window, Window::Known(view) if !view.open);
    if frozen || missing || outside {
        assert!(decision.closing.is_some(), "nothing closes it: {facts:#?}");
    }
}

fn a_hold_closes(mut facts: Facts) {
    facts.meta.hold = Some("held".into());
    let window = facts.window();
    let decision = decide(&facts.inputs(&window));
    assert!(!matches!(decision.step, Step::Start { .. }), "it starts though it is held: {facts:#?}");
    assert!(decision.closing.is_some() && !decision.may_run(), "a hold does not close it: {facts:#?}");
}
