//! The world of the stand-in: a state machine without a clock of its own, without I/O.
//!
//! Whoever calls says what time it is. [`World::advance`] first lets happen what was due until then, each thing at its
//! own moment, so that a late caller sees the same as a prompt one.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};

use crate::config::{CampaignConfig, Settings, State, TenantConfig};
use crate::faults::Faults;
use crate::log::{Actor, ChangeEntry, EntryKind, Log, LogEntry};
use crate::refusal::{Refusal, ensure};

mod access;
pub(crate) mod calls;
pub(crate) mod campaign;
pub(crate) mod limit;
pub(crate) mod schedule;
pub(crate) mod tenant;
#[cfg(test)]
mod tests;
mod view;

use campaign::Campaign;
use schedule::{Event, Key, Order, Schedule, SecondWriter};
use tenant::{Tenant, Token};

/// Time since the simulator started, on a clock that never goes back.
pub(crate) type Moment = Duration;

const SECOND: Duration = Duration::from_secs(1);

/// How far the wall clock may stray from the monotonic one before it is followed: more than rounding, less than matters.
const STRAY: SignedDuration = SignedDuration::from_millis(500);

/// When a PUT takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Apply {
    Now,
    Never,
    After(Duration),
}

#[derive(Debug)]
pub(crate) struct World {
    pub settings: Settings,
    pub faults: Faults,
    pub log: Log,
    epoch: Timestamp,
    tenants: BTreeMap<String, Tenant>,
    tokens: HashMap<String, Token>,
    schedule: Schedule,
    next_sample: Moment,
}

// Time.
impl World {
    /// A world that begins at `epoch` with moment zero.
    pub(crate) fn new(epoch: Timestamp, settings: Settings) -> Self {
        Self {
            settings,
            faults: Faults::default(),
            log: Log::default(),
            epoch,
            tenants: BTreeMap::new(),
            tokens: HashMap::new(),
            schedule: Schedule::default(),
            next_sample: Duration::ZERO,
        }
    }

    /// Follows the wall clock where it has left the monotonic one: after a machine slept, or its clock was set.
    pub(crate) fn follow_wall_clock(&mut self, now: Moment, wall: Timestamp) {
        if self.wall(now).duration_until(wall).abs() > STRAY {
            self.epoch = wall.saturating_sub(now).unwrap_or(wall);
        }
    }

    /// Lets happen what is due until `now`, each thing at its own moment.
    pub(crate) fn advance(&mut self, now: Moment) {
        while self.next_due() <= now {
            if self.schedule.next().is_some_and(|at| at < self.next_sample) {
                self.run_next_event();
            } else {
                self.sample();
            }
        }
    }

    /// When [`advance`](Self::advance) has something to do again.
    pub(crate) fn next_due(&self) -> Moment {
        self.schedule.next().map_or(self.next_sample, |at| at.min(self.next_sample))
    }

    pub(crate) fn wall(&self, now: Moment) -> Timestamp {
        self.epoch.saturating_add(now).unwrap_or(self.epoch)
    }

    /// The time that the platform believes in; the `Date` header shows it.
    pub(crate) fn platform_time(&self, now: Moment) -> SystemTime {
        let offset = SignedDuration::from_secs(self.settings.date_offset_seconds);
        let wall = self.wall(now);
        SystemTime::from(wall.saturating_add(offset).unwrap_or(wall))
    }

    /// Grows with everything that someone may be waiting for.
    pub(crate) fn version(&self) -> u64 {
        self.log.version() + self.faults.version()
    }

    fn sample(&mut self) {
        let at = self.next_sample;
        self.tenants.values_mut().flat_map(|t| t.campaigns.values_mut()).for_each(|c| c.sample(at));
        self.next_sample += SECOND;
    }

    fn run_next_event(&mut self) {
        let Some((at, key, event)) = self.schedule.pop() else { return };
        match event {
            Event::PauseEnds { turn } => {
                if self.campaign(&key).is_some_and(|campaign| campaign.turn == turn) {
                    self.enter(at, &key, State::Running, Actor::Timer, None);
                }
            }
            Event::TakesEffect(order) => self.obey(at, &key, order, Actor::Late),
            Event::SecondWriter(writer) => {
                self.enter(at, &key, writer.status, Actor::SecondWriter, None);
                if let Some(writer) = writer.after_a_write() {
                    self.begin_second_writer(at, key, writer);
                }
            }
        }
    }
}

// Tenants and campaigns.
impl World {
    /// Creates a tenant or edits it: credentials, scopes and limit become those of `config`, its campaigns are added or
    /// edited.
    pub(crate) fn put_tenant(&mut self, now: Moment, config: &TenantConfig) -> Result<(), Refusal> {
        config.check()?;
        let owner = self.tenant_of_client(&config.client_id);
        let free = owner.is_none_or(|owner| owner == config.organization);
        ensure(free, "clientId", &config.client_id, "a client id that no other tenant has")?;
        self.insert_tenant(now, config);
        for (id, campaign) in &config.campaigns {
            self.put_campaign(now, &config.organization, id, campaign)?;
        }
        Ok(())
    }

    /// Creates a tenant or edits it, without a look at its campaigns.
    pub(crate) fn insert_tenant(&mut self, now: Moment, config: &TenantConfig) {
        let tenant = self.tenants.entry(config.organization.clone());
        tenant.and_modify(|t| t.configure(now, config)).or_insert_with(|| Tenant::new(now, config));
    }

    /// Creates a campaign as it is by default, if its tenant exists and the campaign does not.
    pub(crate) fn ensure_campaign(&mut self, now: Moment, key: &Key) {
        if let Some(tenant) = self.tenants.get_mut(&key.organization) {
            let campaigns = tenant.campaigns.entry(key.campaign.clone());
            campaigns.or_insert_with(|| Campaign::new(now, &CampaignConfig::default()));
        }
    }

    /// Creates a campaign or edits it.
    pub(crate) fn put_campaign(
        &mut self,
        now: Moment,
        organization: &str,
        id: &str,
        config: &CampaignConfig,
    ) -> Result<(), Refusal> {
        config.check()?;
        ensure(!id.is_empty(), "campaign", id, "a non-empty id")?;
        let known: Vec<_> = self.tenants.keys().cloned().collect();
        let Some(tenant) = self.tenants.get_mut(organization) else {
            return Err(Refusal::new("tenant", organization, format!("one of {known:?}")));
        };
        match tenant.campaigns.get_mut(id) {
            Some(campaign) => campaign.configure(now, config),
            None => {
                tenant.campaigns.insert(id.into(), Campaign::new(now, config));
            }
        }
        let key = Key { organization: organization.into(), campaign: id.into() };
        if let Some(state) = config.state {
            self.enter(now, &key, state, Actor::Outside, None);
        }
        Ok(())
    }

    pub(crate) fn tenant_mut(&mut self, organization: &str) -> Option<&mut Tenant> {
        self.tenants.get_mut(organization)
    }

    pub(crate) fn campaign(&self, key: &Key) -> Option<&Campaign> {
        self.tenants.get(&key.organization)?.campaigns.get(&key.campaign)
    }

    pub(crate) fn campaign_mut(&mut self, key: &Key) -> Option<&mut Campaign> {
        self.tenants.get_mut(&key.organization)?.campaigns.get_mut(&key.campaign)
    }
}

// Changes of state.
impl World {
    /// A PUT of a client: refused as a conflict (`false`) if the campaign is in that state already, else done as `apply`
    /// says.
    pub(crate) fn put(&mut self, now: Moment, key: &Key, order: Order, apply: Apply) -> bool {
        if self.campaign(key).is_none_or(|campaign| campaign.state() == order.to) {
            return false;
        }
        match apply {
            Apply::Now => self.obey(now, key, order, Actor::Client),
            Apply::Never => {}
            Apply::After(delay) => {
                self.schedule.plan(now.saturating_add(delay), key.clone(), Event::TakesEffect(order));
            }
        }
        true
    }

    /// Somebody else writes a state.
    pub(crate) fn write_from_outside(&mut self, now: Moment, key: &Key, to: State) -> bool {
        self.enter(now, key, to, Actor::Outside, None)
    }

    /// Somebody else writes a state again and again, first after its interval.
    pub(crate) fn begin_second_writer(&mut self, now: Moment, key: Key, writer: SecondWriter) {
        let first = now.saturating_add(Duration::from_millis(writer.every_ms));
        self.schedule.plan(first, key, Event::SecondWriter(writer));
    }

    pub(crate) fn stop_second_writer(&mut self, key: &Key) -> bool {
        self.schedule.stop_writers(key)
    }

    fn obey(&mut self, now: Moment, key: &Key, order: Order, actor: Actor) {
        if !self.enter(now, key, order.to, actor, Some(order.request)) {
            return;
        }
        if let (Some(pause), Some(campaign)) = (order.pause, self.campaign_mut(key)) {
            let end = now.saturating_add(pause);
            campaign.pause_ends = Some(end);
            let turn = campaign.turn;
            self.schedule.plan(end, key.clone(), Event::PauseEnds { turn });
        }
    }

    /// The one place where a campaign changes its state. Returns whether it did.
    fn enter(&mut self, now: Moment, key: &Key, to: State, actor: Actor, caused_by: Option<u64>) -> bool {
        let Some(campaign) = self.campaign_mut(key).filter(|campaign| campaign.state() != to) else {
            return false;
        };
        let from = campaign.enter(now, to, actor);
        let at = self.wall(now);
        self.log.append(|seq| LogEntry {
            seq,
            kind: EntryKind::Change,
            at,
            ended_at: None,
            tenant: Some(key.organization.clone()),
            campaign: Some(key.campaign.clone()),
            request: None,
            change: Some(ChangeEntry { actor, from, to, caused_by }),
        });
        if let Some(seq) = caused_by {
            self.log.edit(seq, |entry| entry.request.iter_mut().for_each(|r| r.effective = true));
        }
        true
    }
}
