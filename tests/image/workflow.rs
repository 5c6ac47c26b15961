//! What runs in the public CI: the commands that people have, from actions that can't be changed under us.

use serde_json::Value;

use crate::built::root;

fn workflows() -> Vec<(String, String)> {
    let folder = std::fs::read_dir(root().join(".github/workflows")).unwrap();
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        (path.display().to_string(), std::fs::read_to_string(&path).unwrap())
    };
    folder.map(read).collect()
}

#[test]
fn every_action_is_pinned_by_the_commit_that_it_is_and_names_its_version() {
    let mut seen = 0;
    for (path, text) in workflows() {
        for line in
            text.lines().filter(|line| line.trim_start().trim_start_matches("- ").starts_with("uses:"))
        {
            let (_, pinned) = line.split_once('@').unwrap_or_else(|| panic!("{path}: {line}"));
            let (commit, version) = pinned.split_once(" # v").unwrap_or_else(|| panic!("{path}: {line}"));
            assert!(commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()), "{path}: {line}");
            assert!(version.split('.').count() == 3, "{path}: {line}");
            seen += 1;
        }
    }
    assert!(seen > 0, "no workflow uses an action");
}

#[test]
fn ci_runs_what_people_run_may_only_read_and_ends() {
    for (path, text) in workflows() {
        let workflow: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(workflow["permissions"], serde_json::json!({"contents": "read"}), "{path}");
        for (name, job) in workflow["jobs"].as_object().unwrap() {
            assert!(job["timeout-minutes"].is_number(), "{path}: {name} may run for ever");
            assert!(job.get("permissions").is_none(), "{path}: {name} asks for more");
        }
        assert!(text.contains("make test") && text.contains("make image"), "{path}");
        assert!(!text.contains("secrets."), "{path} needs no secret");
    }
}
