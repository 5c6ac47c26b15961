//! A simulated operator before a simulated platform: the loop as the operator runs it, on clocks that only tests move.

// Every test file takes what it needs.
#![allow(dead_code, unused_imports)]

pub mod sim;
pub mod world;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rules::inputs::{Claim, Site, Tenant, Window};
use rules::kinds::{
    ClosesAt, ComplianceWindow, Day, DeclaredState, DialerCampaignStateSpec, Hours, OpensAt, Zone,
};
use rules::policies::{Policies, Policy};
pub use sim::{Sim, Snapshot};

/// A Monday noon, within the hours of [`office`].
pub const NOON: &str = "2026-11-23T12:00:00Z";

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Mon to Fri, 08:00 to 20:00 UTC, closed 30 s early.
pub fn office() -> ComplianceWindow {
    window(&["UTC"], &Day::WEEK[..5], "08:00", "20:00", 30)
}

pub fn window(zones: &[&str], days: &[Day], from: &str, to: &str, lead: i32) -> ComplianceWindow {
    ComplianceWindow {
        time_zones: zones.iter().map(|z| Zone((*z).into())).collect(),
        hours: Some(vec![Hours { days: days.to_vec(), from: OpensAt(from.into()), to: ClosesAt(to.into()) }]),
        close_lead_seconds: lead,
    }
}

/// A declaration with every default, in the hours of [`office`].
pub fn spec(state: DeclaredState) -> DialerCampaignStateSpec {
    let state = state.to_string();
    let mut spec: DialerCampaignStateSpec =
        serde_json::from_value(serde_json::json!({"campaignId": "c-1", "state": state})).unwrap();
    spec.compliance_window = Some(office());
    spec
}

/// What was asked, from when to when the answer holds, and the answer.
type Answer = ((Option<ComplianceWindow>, Policies), Timestamp, Timestamp, Window);

thread_local! {
    /// The newest answer: nothing in it changes before its next edge, and worlds ask thousands of times.
    static LAST: RefCell<Option<Answer>> = const { RefCell::new(None) };
}

pub fn window_at(spec: &DialerCampaignStateSpec, policies: &Policies, at: Timestamp) -> Window {
    LAST.with_borrow_mut(|last| {
        if let Some(((own, others), from, until, window)) = last
            && *own == spec.compliance_window
            && *others == *policies
            && (*from..*until).contains(&at)
        {
            return window.clone();
        }
        let window = Window::at(spec.compliance_window.as_ref(), policies, at);
        let asked = (spec.compliance_window.clone(), policies.clone());
        *last = Some((asked, at, window.next_edge().unwrap_or(Timestamp::MAX), window.clone()));
        window
    })
}

/// A policy of this name, generation 1, from the text that people write.
pub fn policy(name: &str, spec: serde_json::Value) -> Arc<Policy> {
    Arc::new(Policy { name: name.into(), generation: 1, spec: serde_json::from_value(spec).unwrap() })
}

/// A policy that freezes.
pub fn freeze(name: &str, until: Option<&str>, pauses: bool) -> Arc<Policy> {
    let mut freeze = serde_json::json!({"reason": format!("{name} said so"), "pauseRunning": pauses});
    if let Some(until) = until {
        freeze["until"] = until.into();
    }
    policy(name, serde_json::json!({"freeze": freeze}))
}

/// A policy of these hours on all days, in the campaign's zones.
pub fn daily(name: &str, from: &str, to: &str) -> Arc<Policy> {
    let hours = serde_json::json!([{"days": Day::WEEK, "from": from, "to": to}]);
    policy(name, serde_json::json!({ "hours": hours }))
}

pub fn green() -> Site {
    Site {
        tenant: Tenant::Usable,
        claim: Claim::Held,
        listed: true,
        audit_writable: true,
        timeout: secs(15),
        hold: None,
    }
}
