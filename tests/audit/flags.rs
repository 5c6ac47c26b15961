//! When a file is put by is said by flags of `run`.

use std::process::Command;

use crate::book::run;

#[test]
fn sizes_and_ages_out_of_bounds_are_refused_with_the_flag_the_value_and_what_is_accepted() {
    for (flag, value, accepted) in [
        ("--audit-log-max-size", "5", "1MiB to 16GiB"),
        ("--audit-log-max-size", "1KiB", "such as 64MiB"),
        ("--audit-log-max-age", "1s", "1m to 3660d"),
        ("--audit-log-max-age", "a week", "such as 7d"),
    ] {
        let said = run(Command::new(env!("CARGO_BIN_EXE_dialer-operator")).args(["run", flag, value]));
        assert!(!said.well, "{}", said.out);
        assert!([flag, value, accepted].iter().all(|word| said.err.contains(word)), "{}", said.err);
    }
}
