//! The ready-made policies of the folder `policies`: what they say, at instants that are data, and how they hang together.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod emergency;
mod files;
mod folder;
mod instants;
mod strictest;
