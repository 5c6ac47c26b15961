//! End to end: the real binary, a real API server, and the simulator's request log. Each test is named by what holds.

mod operator;
mod stage;

mod transitions;
