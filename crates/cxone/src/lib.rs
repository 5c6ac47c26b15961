//! The CXone client: token, budget, wire types and what each answer means.
//!
//! [`Dialer`] is what the operator needs of a dialing platform; [`Client`] is CXone's campaign API v2 behind it.
//! Three ideas shape the crate:
//!
//! - **Nothing delays a close behind anything that is not a close.** Every call names its [`Lane`]. [`Lane::Close`]
//!   never waits for a rate limit, for a `Retry-After` hold, or for a token that an open call is fetching; and a close
//!   that could not be sent within 5 s is not sent at all.
//! - **Nothing sleeps in a task.** What may not be sent yet is answered at once with [`NotNow`] and the instant to
//!   come back at; waiting belongs to the caller's queue.
//! - **Every answer is classified in one place.** One pure function turns status, headers and transport failures
//!   into what to do next; callers see a [`Trouble`] of few cases, which never carries a secret, a token, a URL or
//!   a response body.
//!
//! The https trust anchors are the host's own certificate store: an image without CA certificates cannot reach an
//! https endpoint, and [`Client::new`] says so.

mod answer;
mod budget;
mod client;
mod config;
mod credentials;
mod dialer;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod token;
mod trouble;
mod wire;

pub use client::{Client, LookTurn};
pub use config::ClientConfig;
pub use credentials::{CredentialSource, Credentials, CredentialsMissing};
pub use dialer::{CampaignStatus, Dialer, Lane, Reading, ResumeMode, Transition, Volume};
pub use outbound::{AllowEntry, AllowList, ClientError, Endpoint, EndpointError};
pub use trouble::{NotNow, Trouble, Why};
