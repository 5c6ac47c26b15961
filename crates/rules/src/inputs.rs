//! Everything that a decision is made of.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use crate::calendar::{Calendar, Cap, NoCalendar, WindowView};
use crate::campaign::Campaign;
use crate::flux;
use crate::kinds::{
    ComplianceWindow, DialerCampaignState, DialerCampaignStateSpec, FINALIZER, HOLD, RECONCILE, RELEASE,
};
use crate::policies::Policies;
use crate::trouble::Now;

/// Everything that a decision is made of.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The declaration.
    pub spec: &'a DialerCampaignStateSpec,
    /// What matters of its metadata.
    pub meta: &'a Meta,
    /// What the operator knows besides.
    pub site: &'a Site,
    /// The policies that concern it.
    pub policies: &'a Policies,
    /// The dialing window that its own hours and the policies come to.
    pub window: &'a Window,
    /// What is known of the campaign.
    pub campaign: &'a Campaign,
    /// Both clocks.
    pub now: Now,
}

impl Inputs<'_> {
    /// The lowest cap on active calls: the declaration's own, or that of a policy.
    pub fn cap(&self) -> Cap {
        let own = Cap { calls: self.spec.max_active_calls, policy: None };
        match self.window {
            Window::Known(WindowView { cap: Some(cap), .. }) if cap.calls < own.calls => cap.clone(),
            _ => own,
        }
    }
}

/// What matters of an object's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// `metadata.generation`.
    pub generation: i64,
    /// The hold annotation's value.
    pub hold: Option<String>,
    /// Whether Flux will take the hold back.
    pub hold_is_fleeting: bool,
    /// The release annotation's value.
    pub release: Option<String>,
    /// The reconcile annotation's value.
    pub reconcile: Option<String>,
    /// Whether the object is being deleted.
    pub deleting: bool,
    /// Whether our finalizer stands.
    pub finalizer: bool,
}

impl Meta {
    /// What matters of this object's metadata.
    pub fn of(object: &DialerCampaignState) -> Self {
        let annotation = |name: &str| object.annotations().get(name).cloned();
        Self {
            generation: object.metadata.generation.unwrap_or_default(),
            hold: annotation(HOLD),
            hold_is_fleeting: flux::takes_hold_back(&object.metadata),
            release: annotation(RELEASE),
            reconcile: annotation(RECONCILE),
            deleting: object.metadata.deletion_timestamp.is_some(),
            finalizer: object.finalizers().iter().any(|name| name == FINALIZER),
        }
    }
}

/// What the operator knows besides the campaign.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// The tenant.
    pub tenant: Tenant,
    /// Who owns the campaign.
    pub claim: Claim,
    /// Whether every declaration has been listed.
    pub listed: bool,
    /// Whether the audit log can be written.
    pub audit_writable: bool,
    /// The tenant's timeout for one request.
    pub timeout: Duration,
    /// Until when (monotonic) the tenant's starts and reads are held.
    pub hold: Option<Duration>,
}

/// The campaign's tenant, as far as it matters to a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenant {
    /// Requests can be sent.
    Usable,
    /// Its Secret gives no credentials: enough for looks and closes, by those that were honoured before.
    WithoutCredentials,
    /// CXone refuses its credentials: enough for the same.
    Refused,
    /// The object is gone, its client is still at hand: enough for a close.
    Gone,
    /// There is no such object.
    NotFound,
    /// Its host is not on the list.
    NotAllowed,
}

impl Tenant {
    /// Whether requests can be sent.
    pub(crate) fn can_be_reached(self) -> bool {
        matches!(self, Self::Usable | Self::WithoutCredentials | Self::Refused | Self::Gone)
    }
}

/// Who owns the campaign, among the declarations of the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// This declaration.
    Held,
    /// Not known yet: an older one is being examined.
    Pending,
    /// Another one; named only where it is in the same namespace.
    Lost {
        /// Its name.
        winner: Option<String>,
    },
}

/// The dialing window, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub enum Window {
    /// It can't be asked: closed.
    None(NoCalendar),
    /// What it said at this instant.
    Known(WindowView),
}

impl Window {
    /// When it closes, where it is open.
    pub fn next_close(&self) -> Option<Timestamp> {
        match self {
            Self::Known(view) if view.open => view.next_close,
            _ => None,
        }
    }

    /// The window as a campaign's own hours and these policies make it, at this instant.
    pub fn at(own: Option<&ComplianceWindow>, policies: &Policies, now: Timestamp) -> Self {
        match Calendar::new(own, &policies.matching, policies.required) {
            Ok(calendar) => Self::Known(calendar.view(now)),
            Err(why) => Self::None(why),
        }
    }

    /// When it changes, or may: a rule can begin to apply without opening or closing anything.
    pub fn next_edge(&self) -> Option<Timestamp> {
        match self {
            Self::Known(view) => {
                view.next_edge().map_or(Some(view.holds_until), |at| Some(at.min(view.holds_until)))
            }
            Self::None(_) => None,
        }
    }
}
