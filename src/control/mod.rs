//! The loop: observe, decide, act, record.

mod act;
mod board;
mod campaigns;
mod claims;
mod context;
mod finalizer;
mod lines;
mod pass;
mod record;
mod tenants;
mod undecodable;

pub use campaigns::supervise as supervise_campaigns;
pub use context::Context;
pub use tenants::{Registry, supervise as supervise_tenants};
