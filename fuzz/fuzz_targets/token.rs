//! See `fuzz::token`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::token::holds(bytes));
