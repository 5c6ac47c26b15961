//! The only room that talks to the API server: watches, the Secret read, and every write.

mod reach;
mod secrets;
mod slim;
mod watch;
mod writes;

pub use reach::cluster;
pub use secrets::{AWAY, NoKey, SecretSource, SigningSource};
pub use watch::{
    Change, Declaration, Declarations, NamespaceObject, PolicyObject, TenantObject, Tenants, WatchFailure,
    declarations, for_watching, namespaces, policies, tenants,
};
pub use writes::{Kube, NewEvent, WriteError};
