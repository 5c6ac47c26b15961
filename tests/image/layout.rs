//! What the layout says and what it holds.

use std::process::Command;

use serde_json::json;

use crate::built::{AGAIN, ONCE};

/// All that is in the image; folders end in a slash.
const FILES: [&str; 8] = [
    "-rwxr-xr-x 0/0 dialer-operator",
    "drwxr-xr-x 0/0 etc/",
    "-rw-r--r-- 0/0 etc/group",
    "-rw-r--r-- 0/0 etc/nsswitch.conf",
    "-rw-r--r-- 0/0 etc/passwd",
    "drwxr-xr-x 0/0 etc/ssl/",
    "drwxr-xr-x 0/0 etc/ssl/certs/",
    "-rw-r--r-- 0/0 etc/ssl/certs/ca-certificates.crt",
];

#[test]
fn two_builds_in_two_folders_are_one_image_and_one_bill_of_materials() {
    let digest = |said: &str| said.lines().next().unwrap().to_owned();
    assert!(digest(&ONCE.said).starts_with("index sha256:"), "{}", ONCE.said);
    assert_eq!(digest(&ONCE.said), digest(&AGAIN.said));
    let sbom = format!("dialer-operator-{}.cdx.json", env!("CARGO_PKG_VERSION"));
    assert_eq!(ONCE.file(&sbom), AGAIN.file(&sbom));
}

#[test]
fn it_runs_the_operator_as_a_user_that_is_not_root_and_says_what_it_is() {
    let config = ONCE.config();
    let run = &config["config"];
    assert_eq!((&run["User"], &run["Entrypoint"]), (&json!("65532:65532"), &json!(["/dialer-operator"])));
    assert!(run.get("Cmd").is_none() && run.get("Env").is_none(), "{run}");
    let labels = &run["Labels"];
    let label = |name: &str| labels[format!("org.opencontainers.image.{name}")].as_str().unwrap_or_default();
    assert_eq!(label("title"), "dialer-operator");
    assert_eq!(label("version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(label("licenses"), "Apache-2.0");
    assert_eq!(label("description"), env!("CARGO_PKG_DESCRIPTION"));
    let created = config["created"].as_str().unwrap();
    let revision = label("revision");
    if let Some((time, commit)) = last_commit() {
        assert_eq!(created.parse::<jiff::Timestamp>().unwrap().as_second(), time);
        assert_eq!(revision.trim_end_matches("-dirty"), commit);
    }
}

/// Its time and its id; nothing where the checkout is none, or says itself what it is.
fn last_commit() -> Option<(i64, String)> {
    if ["SOURCE_DATE_EPOCH", "IMAGE_REVISION"].iter().any(|name| std::env::var_os(name).is_some()) {
        return None;
    }
    let told = Command::new("git").args(["log", "-1", "--format=%ct %H"]).output().ok()?;
    let told = String::from_utf8(told.stdout).ok()?;
    let (time, commit) = told.trim().split_once(' ')?;
    Some((time.parse().unwrap(), commit.to_owned()))
}

#[test]
fn it_holds_the_operator_the_roots_of_trust_and_names_and_nothing_else() {
    let manifest = ONCE.manifest();
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 1);
    let listed =
        Command::new("tar").args(["--numeric-owner", "-tvzf"]).arg(ONCE.blob_path(&layers[0])).output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    let files: Vec<String> = listed.lines().map(mode_owner_name).collect();
    assert_eq!(files, FILES);
}

/// Of a line of `tar -tv`.
fn mode_owner_name(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    [words[0], words[1], words[words.len() - 1]].join(" ")
}

#[test]
fn the_program_needs_no_library_and_names_no_folder_of_the_machine_that_built_it() {
    let folder = tempfile::tempdir().unwrap();
    ONCE.unpack(folder.path());
    let program = folder.path().join("dialer-operator");
    let linked = Command::new("ldd").arg(&program).output().unwrap();
    let linked = String::from_utf8([linked.stdout, linked.stderr].concat()).unwrap();
    assert!(linked.contains("statically linked") || linked.contains("not a dynamic executable"), "{linked}");
    let program = String::from_utf8_lossy(&std::fs::read(program).unwrap()).into_owned();
    for folder in [env!("CARGO_MANIFEST_DIR"), &std::env::var("HOME").unwrap()] {
        // `/root` by itself could be a word of any program.
        let at = program.find(&format!("{folder}/"));
        assert_eq!(at.map(|at| program[at..].chars().take(120).collect::<String>()), None);
    }
}
