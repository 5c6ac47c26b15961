//! The image: its layout, what it holds, how it runs, what it is made of, and that two builds are one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod built;
mod container;
mod containerfile;
mod layout;
mod running;
mod sbom;
mod server;
mod workflow;
