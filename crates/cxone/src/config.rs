//! Where and how to reach a tenant.

use std::fmt;
use std::time::Duration;

use outbound::Manner;
use url::Url;

use crate::Endpoint;

/// Where and how to reach a tenant.
#[derive(Clone)]
pub struct ClientConfig {
    /// The tenant's address. The caller has checked that credentials may be sent there
    /// ([`AllowList`](crate::AllowList)).
    pub endpoint: Endpoint,
    /// For a whole exchange, the body included; connecting has 5 s or four fifths of this, whichever is less.
    pub timeout: Duration,
    /// What the open lane may send on average; 0 counts as 1.
    pub requests_per_second: u32,
    /// What it may send at once after a quiet time; 0 counts as 1.
    pub burst: u32,
    /// The only proxy that is used: the environment is not asked.
    pub proxy: Option<Url>,
}

impl ClientConfig {
    /// 15 s, 10 requests a second, bursts of 20, no proxy.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        let timeout = Duration::from_secs(15);
        Self { endpoint, timeout, requests_per_second: 10, burst: 20, proxy: None }
    }

    pub(crate) fn manner(&self) -> Manner {
        Manner { timeout: self.timeout, proxy: self.proxy.clone() }
    }
}

/// Without the proxy's address, which may hold a password.
impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("endpoint", &self.endpoint.to_string())
            .field("timeout", &self.timeout)
            .field("requests_per_second", &self.requests_per_second)
            .field("burst", &self.burst)
            .field("proxy", &self.proxy.is_some())
            .finish()
    }
}
