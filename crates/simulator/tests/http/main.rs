//! The simulator through real HTTP, as a client sees it.

#[cfg(test)]
mod client;
mod control;
mod faults;
mod library;
mod wire;
