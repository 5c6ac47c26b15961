//! What stands under deploy/argocd and deploy/flux: the scripts in their engine, on the test data, and the files made of them.
//! `UPDATE=1 cargo test --test gitops` writes the generated ones anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod actions;
mod applications;
mod config_map;
mod oracle;

use serde_json::Value;

const KINDS: [&str; 3] = ["DialerCampaignState", "CXoneTenant", "DialingPolicy"];

fn yaml(path: &std::path::Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn each_health_test_in_argos_own_form_holds_in_its_engine_and_no_test_data_is_left_out() {
    for kind in KINDS {
        let folder = oracle::customizations().join(kind);
        let tests = yaml(&folder.join("health_test.yaml"))["tests"].as_array().unwrap().clone();
        let objects: Vec<Value> =
            tests.iter().map(|test| yaml(&folder.join(test["inputPath"].as_str().unwrap()))).collect();
        let said = oracle::health(&oracle::health_script(kind), &objects);
        for (test, (status, message)) in tests.iter().zip(said) {
            let expected = &test["healthStatus"];
            assert_eq!(
                (&expected["status"], &expected["message"]),
                (&status.into(), &message.into()),
                "{test}"
            );
        }
        let files = std::fs::read_dir(folder.join("testdata")).unwrap().count();
        assert_eq!(files, tests.len(), "{kind}: test data that no test names");
    }
}

#[test]
fn the_strict_script_differs_in_its_end_alone() {
    let bundled = std::fs::read_to_string(oracle::health_script("DialerCampaignState")).unwrap();
    let strict = std::fs::read_to_string(oracle::strict_script()).unwrap();
    let (common, _) = bundled.split_once("-- From here on").expect("the line from which on they differ");
    let common = &common[common.find("local function health").unwrap()..];
    assert!(strict.contains(common), "deploy/argocd/strict/health.lua has fallen behind");
}

#[test]
fn a_policy_of_which_no_operator_tells_holds_up_a_wave_for_a_minute_and_not_for_ever() {
    let mut policy = yaml(&oracle::customizations().join("DialingPolicy/testdata/fresh.yaml"));
    let script = oracle::health_script("DialingPolicy");
    let now = jiff::Timestamp::now();
    for (age, expected) in [(20, "Progressing"), (3600, "Healthy")] {
        let created = now - jiff::SignedDuration::from_secs(age);
        policy["metadata"]["creationTimestamp"] = created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into();
        assert_eq!(oracle::health(&script, std::slice::from_ref(&policy))[0].0, expected);
    }
}
