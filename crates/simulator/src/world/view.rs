//! What the page shows.

use serde::Serialize;

use super::{Moment, World};
use crate::config::{Settings, State};
use crate::faults::ActiveFault;
use crate::log::{Actor, LogEntry};

/// Entries of the log that the page shows.
const NEWEST: usize = 80;

/// Everything at one moment, without secrets.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Snapshot {
    now: String,
    settings: Settings,
    tenants: Vec<TenantView>,
    faults: Vec<ActiveFault>,
    last_seq: u64,
    /// Newest first.
    log: Vec<LogEntry>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TenantView {
    organization: String,
    client_id: String,
    campaigns: Vec<CampaignView>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CampaignView {
    id: String,
    name: String,
    state: State,
    for_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pause_ends_in_seconds: Option<u64>,
    active_calls: u32,
    completed_calls: u64,
    /// Active calls at the last seconds, oldest first.
    chart: Vec<u32>,
    turns: Vec<TurnView>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TurnView {
    seconds_ago: f64,
    to: State,
    actor: Actor,
}

impl World {
    pub(crate) fn snapshot(&mut self, now: Moment) -> Snapshot {
        Snapshot {
            now: format!("{:.3}", self.wall(now)),
            settings: self.settings.clone(),
            tenants: self.tenant_views(now),
            faults: self.faults.list(now),
            last_seq: self.log.last_seq(),
            log: self.log.newest(NEWEST).cloned().collect(),
        }
    }

    fn tenant_views(&mut self, now: Moment) -> Vec<TenantView> {
        let view = |(organization, tenant): (&String, &mut super::Tenant)| TenantView {
            organization: organization.clone(),
            client_id: tenant.client_id.clone(),
            campaigns: tenant.campaigns.iter_mut().map(|(id, c)| campaign_view(now, id, c)).collect(),
        };
        self.tenants.iter_mut().map(view).collect()
    }
}

fn campaign_view(now: Moment, id: &str, campaign: &mut super::Campaign) -> CampaignView {
    campaign.settle(now);
    let turn = |turn: &super::campaign::Turn| TurnView {
        seconds_ago: now.saturating_sub(turn.at).as_secs_f64(),
        to: turn.to,
        actor: turn.actor,
    };
    CampaignView {
        id: id.into(),
        name: campaign.name.clone().unwrap_or_else(|| id.into()),
        state: campaign.state(),
        for_seconds: now.saturating_sub(campaign.since).as_secs(),
        pause_ends_in_seconds: campaign.pause_ends.map(|end| end.saturating_sub(now).as_secs()),
        active_calls: campaign.calls.active(),
        completed_calls: campaign.calls.completed(),
        chart: campaign.chart(),
        turns: campaign.turns.iter().map(turn).collect(),
    }
}
