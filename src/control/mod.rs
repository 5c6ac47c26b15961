//! The loop: observe, decide, act, record.
//!
//! A change of a declaration reaches `campaigns`, which notes it at the declaration's desk on the `board` (what this process
//! knows of it) and asks for a pass. A `pass` takes the one next step that the core decides (`act` for the two writes to CXone)
//! until nothing is left to do now, keeps our `finalizer`, and is put on record (`record`, `audit_lines`). `tenants` keeps a client
//! for each tenant; `claims` knows who owns a campaign that several declarations name. `policies` brings a change of the policies
//! or of what they select by, kept in the `policy_book`, to the desks that it concerns; `policy_status` says what they come to.
//! A desk's `courier` delivers `notifications` of what was confirmed to the tenant's `sinks`; no pass waits for it.

mod act;
mod audit_lines;
mod board;
mod campaigns;
mod claims;
mod context;
mod courier;
mod finalizer;
mod listing;
mod notifications;
mod outcomes;
mod pass;
mod policies;
mod policy_book;
mod policy_status;
mod record;
mod sinks;
mod tenants;
mod undecodable;
mod work;

pub use campaigns::supervise as supervise_campaigns;
pub use context::Context;
pub use policies::supervise as supervise_policies;
pub use policy_book::PolicyBook;
pub use policy_status::supervise as supervise_policy_status;
pub use tenants::{Registry, supervise as supervise_tenants};
