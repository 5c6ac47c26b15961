//! What every pass can reach.

use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use rules::inputs::Claim;
use rules::kinds::DialerCampaignState;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, watch};
use tracing::{debug, info};

use super::board::Board;
use super::claims::{Claimant, Claims, Examined};
use super::policy_book::PolicyBook;
use super::tenants::Registry;
use crate::admin::{List, Readiness};
use crate::audit::Audit;
use crate::clock;
use crate::kubernetes::{Declaration, Declarations, Kube, Tenants};
use crate::metrics::Metrics;

/// What every pass can reach.
pub struct Context {
    pub kube: Kube,
    pub audit: Audit,
    pub metrics: Metrics,
    pub readiness: Arc<Readiness>,
    pub registry: Registry,
    pub claims: Claims,
    pub board: Board,
    pub declarations: Declarations,
    pub tenants: Tenants,
    pub policies: PolicyBook,
    /// What policies say of themselves may have changed.
    pub policies_changed: Notify,
    /// Who listens has acted on CXone, or is telling of it: the process waits for him before it ends.
    pub deeds: watch::Sender<()>,
    /// Asks for a pass of one declaration.
    pub wake: UnboundedSender<ObjectRef<Declaration>>,
}

impl Context {
    /// Every object of this list has been had.
    pub fn listed(&self, list: List) {
        if self.readiness.listed(list) {
            let (campaigns, tenants) = (self.declarations.state().len(), self.tenants.state().len());
            info!(campaigns, tenants, policies = self.policies.count().0, "ready");
            // From here on counts are whole.
            self.policies_changed.notify_one();
        }
    }

    /// Asks for a pass of one declaration, now.
    pub fn wake(&self, namespace: &str, name: &str) {
        // Nobody listens any more only while the process ends.
        let _ = self.wake.send(ObjectRef::new(name).within(namespace));
    }

    /// Asks for a pass of every declaration of a tenant; what failed because of the tenant is tried again at once.
    pub fn wake_tenant(&self, namespace: &str, tenant: &str, forgive: bool) {
        for object in self.campaigns_of(namespace, tenant) {
            let name = object.name_any();
            if forgive {
                self.board.forgive(namespace, &name);
            }
            self.wake(namespace, &name);
        }
    }

    /// Asks for a pass of every declaration.
    pub fn wake_everything(&self) {
        for declaration in self.declarations.state() {
            let _ = self.wake.send(ObjectRef::from_obj(&*declaration));
        }
    }

    /// Brings what the policies come to now to every declaration for which that is something else than before.
    pub fn apply_policies(&self) {
        let concerned = self.board.apply(&self.policies, clock::now());
        for (namespace, name) in &concerned {
            self.wake(namespace, name);
        }
        if !concerned.is_empty() {
            debug!(campaigns = concerned.len(), "what the policies come to has changed");
        }
        self.metrics.policies_current.set(i64::from(self.policies.is_current(clock::now().mono)));
        let (all, bad) = self.policies.count();
        self.metrics.policies.set(i64::try_from(all).unwrap_or(i64::MAX));
        self.metrics.unreadable_policies.set(i64::try_from(bad).unwrap_or(i64::MAX));
        self.policies_changed.notify_one();
    }

    /// The declarations that refer to a tenant.
    pub fn campaigns_of(&self, namespace: &str, tenant: &str) -> Vec<DialerCampaignState> {
        let all = self.declarations.state();
        let decoded = all.iter().filter_map(|declaration| declaration.0.as_ref().ok());
        decoded
            .filter(|o| o.namespace().as_deref() == Some(namespace) && o.spec.tenant_ref.name == tenant)
            .cloned()
            .collect()
    }

    /// Whether this declaration owns its campaign.
    pub fn claim(&self, object: &DialerCampaignState) -> Claim {
        let host = |claimant: &Claimant| self.registry.host(&claimant.namespace, &claimant.tenant);
        self.claims.view(&object.spec.campaign_id, &object.uid().unwrap_or_default(), host)
    }

    /// Notes what came of reading a campaign, and wakes those whose claim depends on it.
    pub fn examined(&self, object: &DialerCampaignState, result: Examined) {
        let uid = object.uid().unwrap_or_default();
        self.wake_all(&self.claims.examined(&object.spec.campaign_id, &uid, result));
    }

    /// Wakes these declarations.
    pub fn wake_all(&self, claimants: &[Claimant]) {
        for claimant in claimants {
            self.wake(&claimant.namespace, &claimant.name);
        }
    }
}
