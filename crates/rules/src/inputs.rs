//! Everything that a decision is made of.

use std::time::Duration;

use jiff::Timestamp;

use crate::calendar::{NoCalendar, WindowView};
use crate::campaign::Campaign;
use crate::kinds::DialerCampaignStateSpec;
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
    /// The dialing window.
    pub window: &'a Window,
    /// What is known of the campaign.
    pub campaign: &'a Campaign,
    /// Both clocks.
    pub now: Now,
}

/// What matters of an object's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// `metadata.generation`.
    pub generation: i64,
    /// The hold annotation's value.
    pub hold: Option<String>,
    /// The release annotation's value.
    pub release: Option<String>,
    /// The reconcile annotation's value.
    pub reconcile: Option<String>,
    /// Whether the object is being deleted.
    pub deleting: bool,
    /// Whether our finalizer stands.
    pub finalizer: bool,
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
        matches!(self, Self::Usable | Self::Gone)
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
    /// It was asked at this instant.
    Known {
        /// What it said.
        view: WindowView,
        /// The rule in words.
        rule: String,
    },
}

impl Window {
    /// When it closes, where it is open.
    pub fn next_close(&self) -> Option<Timestamp> {
        match self {
            Self::Known { view, .. } if view.open => view.next_close,
            _ => None,
        }
    }

    pub(crate) fn next_edge(&self) -> Option<Timestamp> {
        match self {
            Self::Known { view, .. } => view.next_edge(),
            Self::None(_) => None,
        }
    }
}
