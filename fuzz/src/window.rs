//! The dialing window: whatever hours people write, it agrees with itself.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rules::calendar::{Calendar, HORIZON, WindowView};
use rules::kinds::{ComplianceWindow, DialingPolicySpec};
use rules::policies::Policy;
use serde::Deserialize;

/// The instants that are asked about, 2000 to 2200 as in the kinds.
const BEGIN: i64 = 946_684_800;
const END: i64 = 7_258_118_400;

/// A campaign's own window, the policies beside it, and the instant at which they are asked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    at: Timestamp,
    compliance_window: Option<ComplianceWindow>,
    #[serde(default)]
    policies: Vec<DialingPolicySpec>,
    #[serde(default)]
    require_policy: bool,
}

impl Asked {
    /// Whether an API server would let it pass, as far as the search for edges relies on it.
    fn is_admitted(&self) -> bool {
        let own = self.compliance_window.iter().map(|window| window.close_lead_seconds);
        let mut leads = own.chain(self.policies.iter().filter_map(|policy| policy.close_lead_seconds));
        leads.all(|lead| (0..=3600).contains(&lead)) && (BEGIN..END).contains(&self.at.as_second())
    }
}

/// JSON of [`Asked`]. What the calendar says of an instant agrees with what it says of the next edge, just before it, and in
/// between.
pub fn holds(bytes: &[u8]) {
    let Ok(asked) = serde_json::from_slice::<Asked>(bytes) else { return };
    let admitted = asked.is_admitted();
    let policies: Vec<_> = asked.policies.into_iter().enumerate().map(named).collect();
    let Ok(calendar) = Calendar::new(asked.compliance_window.as_ref(), &policies, asked.require_policy)
    else {
        return;
    };
    let view = calendar.view(asked.at);
    assert_eq!(calendar.view(asked.at), view, "the same question has two answers");
    assert!(!view.open || calendar.allowed(asked.at), "open where a rule is closed");
    if !admitted {
        return;
    }
    agrees_with_itself(&view, asked.at);
    if let Some(edge) = view.next_edge() {
        let opens = |at| calendar.view(at).open;
        let between = asked.at + edge.duration_since(asked.at) / 2;
        assert_eq!(opens(between), view.open, "at {between}, before the next edge at {edge}");
        assert_eq!(opens(edge - SignedDuration::from_nanos(1)), view.open, "just before the edge at {edge}");
        assert_ne!(opens(edge), view.open, "at the edge at {edge}");
    }
    if let Some(edge) = calendar.next_edge(asked.at) {
        assert!(asked.at < edge && edge <= later(asked.at, HORIZON), "an edge at {edge}");
        assert_ne!(calendar.allowed(edge), calendar.allowed(asked.at), "at the edge at {edge}");
    }
}

fn named((place, spec): (usize, DialingPolicySpec)) -> Arc<Policy> {
    Arc::new(Policy { name: format!("p{place}"), generation: 1, spec })
}

/// What one answer says of its own instant.
pub(crate) fn agrees_with_itself(view: &WindowView, at: Timestamp) {
    let WindowView { open, next_open, next_close, .. } = *view;
    let (first, second) = if open { (next_close, next_open) } else { (next_open, next_close) };
    assert!(first.is_none_or(|edge| edge > at), "the next edge is not after {at}: {view:?}");
    assert!(second.is_none() || first.is_some(), "what follows the next edge is told without it: {view:?}");
    assert!(second.is_none_or(|second| first < Some(second)), "edges are not in their order: {view:?}");
    assert_eq!(view.closed_by.is_some(), !open && next_open.is_some(), "what closes it: {view:?}");
    assert!(view.holds_until > at, "it does not hold at its own instant {at}: {view:?}");
    let texts = [Some(&view.rule), view.closed_by.as_ref()];
    assert!(
        texts.into_iter().flatten().all(|rule| rule.text.chars().count() <= 512),
        "too long a text: {view:?}"
    );
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
