//! What the API server takes and refuses, by the definitions alone: there is no webhook. The objects are data, one file for
//! each kind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod corpus;
mod definitions;
mod limits;
mod objects;
mod policies;
mod server;
