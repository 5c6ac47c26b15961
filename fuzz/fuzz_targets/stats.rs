//! See `fuzz::stats`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::stats::holds(bytes));
