//! See `fuzz::window`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::window::holds(bytes));
