//! The simulator as a library for tests.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

use crate::config::{SimulatorConfig, TenantConfig};
use crate::connection;
use crate::faults::{ActiveFault, Fault, FaultId};
use crate::handles::{Campaign, Tenant};
use crate::log::LogEntry;
use crate::refusal::Refusal;
use crate::server;
use crate::shared::Shared;
use crate::world::schedule::Key;

/// A running simulator. Dropping it ends the server and every connection.
///
/// All methods but [`wait_for`](Self::wait_for) are synchronous and take effect at once.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    addr: SocketAddr,
    stop: CancellationToken,
    runtime: Handle,
    own_runtime: Option<Runtime>,
}

impl Simulator {
    /// Starts a simulator on the current Tokio runtime.
    ///
    /// # Errors
    /// If the address can't be bound, or the configuration is refused (kind `InvalidInput`, a [`Refusal`] inside).
    pub async fn start(config: SimulatorConfig) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(config.settings.clone()));
        furnish(&shared, &config).map_err(|refusal| io::Error::new(io::ErrorKind::InvalidInput, refusal))?;
        let listener = TcpListener::bind(config.addr).await?;
        let addr = listener.local_addr()?;
        let stop = CancellationToken::new();
        let router = server::router(Arc::clone(&shared));
        tokio::spawn(connection::serve(listener, router, Arc::clone(&shared), stop.clone()));
        let ticking = Arc::clone(&shared);
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move { ticking.tick().await }));
        Ok(Self { shared, addr, stop, runtime: Handle::current(), own_runtime: None })
    }

    /// Starts a simulator on a thread of its own, for callers outside of any Tokio runtime.
    ///
    /// # Errors
    /// As [`start`](Self::start), and if no thread can be had.
    pub fn start_blocking(config: SimulatorConfig) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut simulator = runtime.block_on(Self::start(config))?;
        simulator.own_runtime = Some(runtime);
        Ok(simulator)
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end. One more segment may be put behind it.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The address that it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A tenant by its organization; created as by [`TenantConfig::new`] if it does not exist.
    pub fn tenant(&self, organization: &str) -> Tenant {
        self.shared.with(|world, now| {
            if world.tenant_mut(organization).is_none() {
                world.insert_tenant(now, &TenantConfig::new(organization));
            }
        });
        Tenant { shared: Arc::clone(&self.shared), organization: organization.into() }
    }

    /// A campaign; created paused, without calls, if it does not exist, and its tenant as well.
    pub fn campaign(&self, organization: &str, id: &str) -> Campaign {
        self.tenant(organization);
        let key = Key { organization: organization.into(), campaign: id.into() };
        self.shared.with(|world, now| world.ensure_campaign(now, &key));
        Campaign { shared: Arc::clone(&self.shared), key }
    }

    /// Creates a tenant or edits it.
    ///
    /// # Errors
    /// Names the field that is not accepted.
    pub fn put_tenant(&self, config: &TenantConfig) -> Result<(), Refusal> {
        self.shared.with(|world, now| world.put_tenant(now, config))
    }

    /// Replaces the secret of a tenant. Tokens that are out remain valid.
    pub fn set_secret(&self, organization: &str, secret: impl Into<String>) {
        self.tenant(organization).set_secret(secret);
    }

    /// Ends all tokens of all tenants.
    pub fn revoke_tokens(&self) {
        self.shared.with(|world, _| world.revoke_tokens(None));
    }

    /// How long tokens live that are given out from now on.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        self.shared.with(|world, _| world.settings.token_lifetime_seconds = lifetime.as_secs());
    }

    /// How far the `Date` header is ahead of the real time, in seconds; negative is behind.
    pub fn set_date_offset(&self, seconds: i64) {
        self.shared.with(|world, _| world.settings.date_offset_seconds = seconds);
    }

    /// Whether answers carry a `Date` header.
    pub fn set_date_header(&self, present: bool) {
        self.shared.with(|world, _| world.settings.date_header = present);
    }

    /// Adds a fault behind those that are there; the first that matches decides.
    ///
    /// A fault that can't match, such as [`Effect::Lie`](crate::Effect::Lie) on the statistics, is taken and does
    /// nothing; the control API refuses it.
    pub fn fault(&self, fault: Fault) -> FaultId {
        self.shared.with(|world, now| world.faults.add(now, fault))
    }

    /// Removes a fault; requests that hang by it are reset. Returns whether it was there.
    pub fn clear_fault(&self, id: FaultId) -> bool {
        self.shared.with(|world, _| world.faults.remove(id))
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.shared.with(|world, _| world.faults.clear());
    }

    /// All faults, those that are over included, and what they have done.
    pub fn faults(&self) -> Vec<ActiveFault> {
        self.shared.with(|world, now| world.faults.list(now))
    }

    /// The log, oldest first.
    pub fn log(&self) -> Vec<LogEntry> {
        self.requests_since(0)
    }

    /// Entries of the log with a greater number than `seq`, changes included.
    pub fn requests_since(&self, seq: u64) -> Vec<LogEntry> {
        self.shared.with(|world, _| world.log.since(seq).cloned().collect())
    }

    /// Number of the newest entry, to look only at what comes after it.
    pub fn last_seq(&self) -> u64 {
        self.shared.with(|world, _| world.log.last_seq())
    }

    /// Forgets the log; numbers go on.
    pub fn clear_log(&self) {
        self.shared.with(|world, _| world.log.clear());
    }

    /// The PUTs for a campaign, whatever became of them.
    pub fn puts(&self, campaign: &str) -> Vec<LogEntry> {
        self.shared.with(|world, _| world.log.since(0).filter(|e| e.is_put(campaign)).cloned().collect())
    }

    /// The changes of a campaign's state, whoever made them.
    pub fn changes(&self, campaign: &str) -> Vec<LogEntry> {
        self.shared.with(|world, _| world.log.since(0).filter(|e| e.is_change(campaign)).cloned().collect())
    }

    /// Waits until the log is as `wanted`; looks whenever an entry is added or edited.
    ///
    /// # Errors
    /// After `timeout`: a [`Timeout`] that shows the log and the faults.
    pub async fn wait_for(
        &self,
        mut wanted: impl FnMut(&[LogEntry]) -> bool,
        timeout: Duration,
    ) -> Result<Vec<LogEntry>, Timeout> {
        let mut changes = self.shared.watch();
        let found = async {
            loop {
                changes.mark_unchanged();
                let log = self.log();
                if wanted(&log) {
                    return log;
                }
                // It only fails when the simulator is gone, and this is a method of it.
                let _ = changes.changed().await;
            }
        };
        let found = tokio::time::timeout(timeout, found).await;
        found.map_err(|_| Timeout { after: timeout, log: self.log(), faults: self.faults() })
    }

    /// [`wait_for`](Self::wait_for) for callers outside of any Tokio runtime.
    ///
    /// # Errors
    /// As [`wait_for`](Self::wait_for).
    pub fn wait_for_blocking(
        &self,
        wanted: impl FnMut(&[LogEntry]) -> bool,
        timeout: Duration,
    ) -> Result<Vec<LogEntry>, Timeout> {
        self.runtime.block_on(self.wait_for(wanted, timeout))
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(runtime) = self.own_runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn furnish(shared: &Shared, config: &SimulatorConfig) -> Result<(), Refusal> {
    config.settings.check().map_err(|refusal| refusal.within("settings"))?;
    shared.with(|world, now| {
        config.tenants.iter().enumerate().try_for_each(|(index, tenant)| {
            world.put_tenant(now, tenant).map_err(|refusal| refusal.within(format!("tenants[{index}]")))
        })
    })
}

/// What was waited for did not come.
#[derive(Debug, Clone)]
pub struct Timeout {
    /// How long it was waited for.
    pub after: Duration,
    /// The log at the end.
    pub log: Vec<LogEntry>,
    /// The faults at the end.
    pub faults: Vec<ActiveFault>,
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the log was not as wanted within {:?}; it has {} entries:", self.after, self.log.len())?;
        self.log.iter().try_for_each(|entry| writeln!(f, "  {entry}"))?;
        self.faults.iter().try_for_each(|fault| writeln!(f, "  {fault}"))
    }
}

impl std::error::Error for Timeout {}
