//! What can go wrong, in the few cases that a caller treats differently.

use std::time::Duration;

use tokio::time::Instant;

/// Why something was not sent yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The platform asked the whole tenant to wait (`Retry-After`).
    Hold,
    /// The tenant's own requests per second are used up.
    Budget,
}

/// Not sent; worth coming back for at `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", match self.why {
    Why::Hold => "the platform asked this tenant to wait",
    Why::Budget => "the tenant's requests per second are used up",
})]
pub struct NotNow {
    /// When to come back. Earlier is answered the same; with [`Why::Budget`] a place is kept for 60 s past it.
    pub until: Instant,
    /// What stands in the way.
    pub why: Why,
}

/// A call that did not succeed. Its texts are fixed: no body, token or URL is ever in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nothing was sent.
    #[error("not sent: {0}")]
    NotNow(NotNow),
    /// 429: the tenant's rate limit.
    #[error("the platform limits this tenant's rate")]
    Throttled {
        /// The platform's `Retry-After`, at most 300 s. It holds the tenant; without it the caller backs off.
        retry_after: Option<Duration>,
    },
    /// 401, also with a fresh token, or the token route refused the credentials.
    #[error("the credentials are not accepted")]
    Unauthorized,
    /// No credentials could be had.
    #[error("credentials are missing: {0}")]
    CredentialsMissing(&'static str),
    /// 403: a scope, or the role of the service account, is missing.
    #[error("the credentials lack a permission")]
    Forbidden,
    /// 404: no such campaign. Never said of the token route.
    #[error("no such campaign")]
    NotFound,
    /// 409: another writer, or a transition that is invalid now. The answer does not say which: read again.
    #[error("the platform reports a conflict")]
    Conflict,
    /// 5xx or 408 for the call itself.
    #[error("the platform failed with status {status}")]
    Unavailable {
        /// The HTTP status.
        status: u16,
    },
    /// Any other 3xx or 4xx; redirects are never followed.
    #[error("the platform rejected the request with status {status}")]
    Rejected {
        /// The HTTP status.
        status: u16,
    },
    /// A success that cannot be understood; the text names the part.
    #[error("the answer cannot be understood: {0}")]
    Unreadable(&'static str),
    /// Surely not delivered: name resolution, connection or TLS failed, the token route gave no token, or a close
    /// could not be sent in time.
    #[error("the platform cannot be reached: {0}")]
    Unreachable(&'static str),
    /// It broke off after it may have been sent.
    #[error("the exchange broke off: {0}")]
    Interrupted(&'static str),
}

impl Trouble {
    /// One fixed word for metric labels, condition reasons and events alike.
    #[must_use]
    pub const fn category(&self) -> &'static str {
        match self {
            Self::NotNow(NotNow { why: Why::Hold, .. }) => "held",
            Self::NotNow(NotNow { why: Why::Budget, .. }) => "budget",
            Self::Throttled { .. } => "throttled",
            Self::Unauthorized => "unauthorized",
            Self::CredentialsMissing(_) => "credentials_missing",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Unavailable { .. } => "unavailable",
            Self::Rejected { .. } => "rejected",
            Self::Unreadable(_) => "unreadable",
            Self::Unreachable(_) => "unreachable",
            Self::Interrupted(_) => "interrupted",
        }
    }

    /// Whether other credentials might do better.
    pub(crate) const fn is_about_credentials(&self) -> bool {
        matches!(self, Self::Unauthorized | Self::CredentialsMissing(_) | Self::Forbidden)
    }

    /// Whether a request that met this trouble may have taken effect all the same, so that only a reading tells.
    ///
    /// Exact for this client: troubles of the token route, where the request itself was never sent, are given as
    /// cases for which this is false.
    #[must_use]
    pub const fn may_have_been_applied(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Unreadable(_) | Self::Interrupted(_) => true,
            // "See other" is how some servers say "done".
            Self::Rejected { status } => *status < 400,
            Self::NotNow(_)
            | Self::Throttled { .. }
            | Self::Unauthorized
            | Self::CredentialsMissing(_)
            | Self::Forbidden
            | Self::NotFound
            | Self::Conflict
            | Self::Unreachable(_) => false,
        }
    }
}

impl From<NotNow> for Trouble {
    fn from(not_now: NotNow) -> Self {
        Self::NotNow(not_now)
    }
}

impl From<crate::CredentialsMissing> for Trouble {
    fn from(missing: crate::CredentialsMissing) -> Self {
        Self::CredentialsMissing(missing.0)
    }
}
