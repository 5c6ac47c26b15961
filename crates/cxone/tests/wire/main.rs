//! The client against real HTTP, over a server that can do what a real one would rather not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

mod credentials;
mod hostile;
mod lanes;
mod requests;
mod server;
mod support;
mod tokens;
mod troubles;
