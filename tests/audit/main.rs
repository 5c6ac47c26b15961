//! `dialer-operator audit` as people and pipes use it: the real binary on real files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod book;

mod by_hand;
mod flags;
mod show;
mod verify;
