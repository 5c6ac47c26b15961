//! A stand-in for CXone that people and tests can run: same wire, faults on demand, a live page.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use simulator::{Effect, Fault, FaultRoute, Loss, Simulator, SimulatorConfig, State};
//!
//! let sim = Simulator::start(SimulatorConfig::default()).await?;
//! let campaign = sim.campaign("acme", "c-1");         // the tenant has the client `acme-client`, `acme-secret`
//! campaign.set(State::Running);                        // by an outside hand
//! sim.fault(Fault::new(FaultRoute::StatePut, Effect::LostAnswer { how: Loss::Reset }).times(1));
//! // ... let the client under test pause the campaign at `sim.url()` ...
//! sim.wait_for(|log| log.iter().any(|e| e.is_change("c-1") && e.seq > 1), Duration::from_secs(5)).await?;
//! assert_eq!(campaign.state(), State::Paused);
//! # Ok(()) }
//! ```

mod config;
mod connection;
mod control;
mod faults;
mod handles;
mod log;
mod refusal;
mod server;
mod shared;
mod simulator;
mod wire;
mod world;

pub use config::{
    CallsConfig, CampaignConfig, Drain, RateLimit, RetryAfter, Scope, Settings, SimulatorConfig, State,
    StatsConfig, StatsOrder, TenantConfig,
};
pub use faults::{ActiveFault, Effect, Fault, FaultId, FaultRoute, Loss};
pub use handles::{Campaign, Tenant};
pub use log::{Actor, ChangeEntry, EntryKind, LOG_CAPACITY, LogEntry, Outcome, RequestEntry, Route};
pub use refusal::Refusal;
pub use simulator::{Simulator, Timeout};
pub use world::schedule::SecondWriter;
