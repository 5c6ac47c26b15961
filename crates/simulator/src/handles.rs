//! What a test holds in its hand: a tenant, a campaign.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::{CampaignConfig, RateLimit, Scope, State};
use crate::refusal::Refusal;
use crate::shared::Shared;
use crate::world::limit::Bucket;
use crate::world::schedule::{Key, SecondWriter};
use crate::world::tenant::Tenant as Inner;

/// A tenant of a running simulator.
#[derive(Clone, Debug)]
pub struct Tenant {
    pub(crate) shared: Arc<Shared>,
    pub(crate) organization: String,
}

impl Tenant {
    /// The client id of its credentials.
    pub fn client_id(&self) -> String {
        self.edit(|tenant| tenant.client_id.clone())
    }

    /// The client secret of its credentials.
    pub fn client_secret(&self) -> String {
        self.edit(|tenant| tenant.client_secret.clone())
    }

    /// Replaces the secret. Tokens that are out remain valid.
    pub fn set_secret(&self, secret: impl Into<String>) {
        let secret = secret.into();
        self.edit(|tenant| tenant.client_secret = secret);
    }

    /// What its client may do from now on, also with tokens that are out.
    pub fn set_scopes(&self, scopes: impl IntoIterator<Item = Scope>) {
        let scopes: BTreeSet<_> = scopes.into_iter().collect();
        self.edit(|tenant| tenant.scopes = scopes);
    }

    /// How often it may call from now on; nothing is without limit.
    pub fn set_rate_limit(&self, limit: Option<RateLimit>) {
        self.shared.with(|world, now| {
            if let Some(tenant) = world.tenant_mut(&self.organization) {
                tenant.bucket = limit.map(|limit| Bucket::new(now, limit));
            }
        });
    }

    /// Ends its tokens.
    pub fn revoke_tokens(&self) {
        self.shared.with(|world, _| world.revoke_tokens(Some(&self.organization)));
    }

    fn edit<R: Default>(&self, edit: impl FnOnce(&mut Inner) -> R) -> R {
        self.shared.with(|world, _| world.tenant_mut(&self.organization).map(edit).unwrap_or_default())
    }
}

/// A campaign of a running simulator.
#[derive(Clone, Debug)]
pub struct Campaign {
    pub(crate) shared: Arc<Shared>,
    pub(crate) key: Key,
}

impl Campaign {
    /// Its state now.
    pub fn state(&self) -> State {
        self.shared.with(|world, _| world.campaign(&self.key).map_or(State::Stopped, |c| c.state()))
    }

    /// Sets its state as somebody else would; the log has it as a change by `outside`. Returns whether it changed.
    pub fn set(&self, state: State) -> bool {
        self.shared.with(|world, now| world.write_from_outside(now, &self.key, state))
    }

    /// Lets somebody else write its state again and again.
    ///
    /// # Errors
    /// Names the field that is not accepted.
    pub fn second_writer(&self, writer: SecondWriter) -> Result<(), Refusal> {
        writer.check()?;
        self.shared.with(|world, now| world.begin_second_writer(now, self.key.clone(), writer));
        Ok(())
    }

    /// Ends what [`second_writer`](Self::second_writer) began.
    pub fn stop_second_writer(&self) {
        self.shared.with(|world, _| world.stop_second_writer(&self.key));
    }

    /// Active calls now.
    pub fn active_calls(&self) -> u32 {
        self.edit(|campaign| campaign.calls.active())
    }

    /// Shows that number of active calls whatever the model says.
    pub fn pin_active_calls(&self, calls: u32) {
        self.edit(|campaign| campaign.calls.pin(Some(calls)));
    }

    /// Lets the model decide again.
    pub fn unpin_active_calls(&self) {
        self.edit(|campaign| campaign.calls.pin(None));
    }

    /// Rows of the statistics over all pages, one second apart.
    pub fn stats_rows(&self, rows: u32) {
        self.edit(|campaign| campaign.set_rows(rows));
    }

    /// Edits everything that a campaign has.
    ///
    /// # Errors
    /// Names the field that is not accepted.
    pub fn configure(&self, config: &CampaignConfig) -> Result<(), Refusal> {
        let Key { organization, campaign } = &self.key;
        self.shared.with(|world, now| world.put_campaign(now, organization, campaign, config))
    }

    fn edit<R: Default>(&self, edit: impl FnOnce(&mut crate::world::campaign::Campaign) -> R) -> R {
        self.shared.with(|world, now| {
            world
                .campaign_mut(&self.key)
                .map(|campaign| {
                    campaign.settle(now);
                    edit(campaign)
                })
                .unwrap_or_default()
        })
    }
}
