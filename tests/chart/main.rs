//! The Helm chart and the kustomizations as files: what is rendered from them, and what they refuse.
//! `UPDATE=1 cargo test --test chart kustomize` writes anew what is generated.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod conform;
mod flags;
mod helm;
mod kinds;
mod kustomize;
mod network;
mod pod;
mod refusals;
mod rights;
