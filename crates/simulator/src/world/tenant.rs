//! One tenant: who may come in, what it may do and how often.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Scope, TenantConfig};
use crate::world::Moment;
use crate::world::campaign::Campaign;
use crate::world::limit::Bucket;

/// How every access token begins, so that the log can keep it out.
pub(crate) const TOKEN_PREFIX: &str = "sim-token-";

#[derive(Debug)]
pub(crate) struct Tenant {
    pub client_id: String,
    pub client_secret: String,
    pub scopes: BTreeSet<Scope>,
    pub bucket: Option<Bucket>,
    pub campaigns: BTreeMap<String, Campaign>,
}

impl Tenant {
    pub(crate) fn new(now: Moment, config: &TenantConfig) -> Self {
        let mut tenant = Self {
            client_id: String::new(),
            client_secret: String::new(),
            scopes: BTreeSet::new(),
            bucket: None,
            campaigns: BTreeMap::new(),
        };
        tenant.configure(now, config);
        tenant
    }

    /// Takes over everything but the campaigns.
    pub(crate) fn configure(&mut self, now: Moment, config: &TenantConfig) {
        self.client_id.clone_from(&config.client_id);
        self.client_secret.clone_from(&config.client_secret);
        self.scopes.clone_from(&config.scopes);
        self.bucket = config.rate_limit.clone().map(|limit| Bucket::new(now, limit));
    }
}

/// An access token that has been given out. It is remembered after its end, to tell whose it was.
#[derive(Debug)]
pub(crate) struct Token {
    pub tenant: String,
    pub expires: Moment,
}

/// Why a request is not let in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// No token, an unknown one, an expired one, a revoked one.
    Unauthorized,
    /// The token lacks this scope.
    Forbidden(Scope),
    /// Too many requests; with what goes into `Retry-After`.
    TooMany(Option<String>),
}
