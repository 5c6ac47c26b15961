//! `plan` and `why` as people and pipes use them: the real binary, and no cluster.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admission;
mod command;

mod errors;
mod golden;
mod machines;
