//! What holds for every input. Each module has one property, `holds`, that panics where it does not; `fuzz_targets` has a
//! target for each, and the tests here ask it of the seeds.

// A property that does not hold is told by a panic.
#![allow(clippy::panic)]

mod answer;
pub mod audit;
pub mod decide;
mod facts;
pub mod retry_after;
pub mod state;
pub mod stats;
pub mod token;
pub mod window;

#[cfg(test)]
mod tests;
