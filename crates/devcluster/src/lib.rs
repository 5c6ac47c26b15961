//! A real etcd and kube-apiserver for the demo and the tests, without a container engine.
//!
//! ```no_run
//! use devcluster::{Cluster, Options};
//!
//! # fn main() -> anyhow::Result<()> {
//! let cluster = Cluster::start(&Options::default())?;
//! println!("export KUBECONFIG={}", cluster.kubeconfig().display());
//! # Ok(())
//! # }
//! ```
//!
//! The programs are built from Go modules the first time (some minutes) and cached for the user; see
//! [`assets`]. A cluster ends with the value that stands for it, and with the process that holds that value,
//! however that process ends.
//!
//! There is no controller manager, scheduler or kubelet: nothing acts on what is stored. A deleted namespace
//! stays `Terminating`, nothing is garbage collected by owner, and no pod runs.

pub mod assets;
mod certificates;
mod cluster;
mod go_build;
mod logs;
mod progress;
mod servers;
mod users;
mod watchdog;

pub use cluster::{Cluster, Options};
pub use logs::tail;
pub use progress::Progress;
pub use users::User;
