//! The seeds, and what earlier runs found, asked without a fuzzer.

use std::fs;
use std::path::{Path, PathBuf};

fn files_of(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

macro_rules! each_target {
    ($($target:ident),+) => {$(
        #[test]
        fn $target() {
            for file in files_of(stringify!($target)) {
                println!("{}", file.display());
                crate::$target::holds(&fs::read(file).unwrap());
            }
        }
    )+};
}
each_target!(audit, decide, retry_after, state, stats, token, window);

#[test]
fn facts_without_a_word_against_it_start() {
    let facts = crate::facts::Facts::of(&[]);
    let window = facts.window();
    let decision = rules::decide::decide(&facts.inputs(&window));
    assert!(matches!(decision.step, rules::decide::Step::Start { .. }), "{decision:#?}");
}
