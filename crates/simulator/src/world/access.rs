//! Who may come in, and how often.

use std::time::Duration;

use super::tenant::{Denied, TOKEN_PREFIX, Tenant, Token};
use super::{Moment, World};
use crate::config::{RetryAfter, Scope};

impl World {
    /// Gives out `fresh` as a token if the credentials are right; returns its lifetime in seconds.
    pub(crate) fn issue_token(
        &mut self,
        now: Moment,
        client_id: &str,
        secret: &str,
        fresh: String,
    ) -> Option<u64> {
        let right = |t: &Tenant| t.client_id == client_id && t.client_secret == secret;
        let (organization, _) = self.tenants.iter().find(|(_, tenant)| right(tenant))?;
        let lifetime = self.settings.token_lifetime_seconds;
        let expires = now.saturating_add(Duration::from_secs(lifetime));
        self.tokens.insert(fresh, Token { tenant: organization.clone(), expires });
        Some(lifetime)
    }

    /// Ends the tokens of one tenant, or all. They are still known to be that tenant's.
    pub(crate) fn revoke_tokens(&mut self, organization: Option<&str>) {
        let hit = |token: &&mut Token| organization.is_none_or(|o| o == token.tenant);
        self.tokens.values_mut().filter(hit).for_each(|token| token.expires = Duration::ZERO);
    }

    /// Whose token it is or was.
    pub(crate) fn tenant_of_token(&self, token: &str) -> Option<&str> {
        Some(&self.tokens.get(token)?.tenant)
    }

    pub(crate) fn tenant_of_client(&self, client_id: &str) -> Option<&str> {
        let owner = self.tenants.iter().find(|(_, tenant)| tenant.client_id == client_id);
        owner.map(|(organization, _)| organization.as_str())
    }

    /// Whether some tenant's secret, or a token, is in that text.
    pub(crate) fn is_secret(&self, text: &str) -> bool {
        text.contains(TOKEN_PREFIX) || self.tenants.values().any(|t| text.contains(&t.client_secret))
    }

    /// Lets a request in: by its token, its scope, the tenant's limit. Returns the tenant.
    pub(crate) fn admit(&mut self, now: Moment, token: Option<&str>, scope: Scope) -> Result<String, Denied> {
        let token = token.and_then(|token| self.tokens.get(token)).filter(|token| now < token.expires);
        let organization = token.ok_or(Denied::Unauthorized)?.tenant.clone();
        let tenant = self.tenants.get_mut(&organization).ok_or(Denied::Unauthorized)?;
        if !tenant.scopes.contains(&scope) {
            return Err(Denied::Forbidden(scope));
        }
        let Some(bucket) = &mut tenant.bucket else { return Ok(organization) };
        let style = bucket.retry_after();
        let Err(wait) = bucket.take(now) else { return Ok(organization) };
        let seconds = wait.as_secs_f64().ceil().max(1.0);
        Err(Denied::TooMany(match style {
            RetryAfter::Seconds => Some(format!("{seconds:.0}")),
            RetryAfter::HttpDate => {
                Some(httpdate::fmt_http_date(self.platform_time(now) + Duration::from_secs_f64(seconds)))
            }
            RetryAfter::None => None,
        }))
    }
}
