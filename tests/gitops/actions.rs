//! The actions: what is offered when, and what each writes.

use serde_json::{Value, json};

use crate::{oracle, yaml};

const HOLD: &str = "dialer.cxone-operator.io/hold";
const RELEASE: &str = "dialer.cxone-operator.io/release";
const RECONCILE: &str = "reconcile.dialer.cxone-operator.io/requestedAt";

fn sample(stage: &str) -> Value {
    yaml(&oracle::customizations().join(format!("DialerCampaignState/testdata/{stage}.yaml")))
}

fn script(name: &str) -> String {
    oracle::customizations().join("DialerCampaignState/actions").join(name).display().to_string()
}

/// What an action makes of an object.
fn acted(action: &str, parameters: &[&str], object: &Value) -> Value {
    let script = script(&format!("{action}/action.lua"));
    let arguments: Vec<&str> = std::iter::once(script.as_str()).chain(parameters.iter().copied()).collect();
    oracle::ask("action", &arguments, std::slice::from_ref(object)).remove(0)
}

fn annotations(answer: &Value) -> &Value {
    &answer["object"]["metadata"]["annotations"]
}

#[test]
fn an_action_is_offered_where_it_does_something() {
    for (stage, offered) in [
        ("running", &["hold", "reconcile"][..]),
        ("fresh", &["hold", "reconcile"]),
        ("outside-hours", &["hold", "reconcile"]),
        ("held", &["reconcile", "release"]),
        ("paused-elsewhere", &["hold", "reconcile", "release"]),
    ] {
        let answer = oracle::ask("discovery", &[&script("discovery.lua")], &[sample(stage)]).remove(0);
        let enabled = answer.as_array().unwrap().iter().filter(|action| action["disabled"] == false);
        let names: Vec<&str> = enabled.map(|action| action["name"].as_str().unwrap()).collect();
        assert_eq!(names, offered, "{stage}: {answer}");
    }
}

#[test]
fn actions_write_their_annotation_and_nothing_else() {
    for (action, stage) in
        [("hold", "running"), ("release", "held"), ("release", "paused-elsewhere"), ("reconcile", "fresh")]
    {
        let before = sample(stage);
        let mut answer = acted(action, &[], &before);
        let mut expected = before.clone();
        for object in [&mut expected, &mut answer["object"]] {
            object["metadata"].as_object_mut().unwrap().remove("annotations");
        }
        assert_eq!(answer["object"], expected, "{action} on {stage}");
    }
}

#[test]
fn hold_writes_the_reason_or_says_where_it_came_from() {
    let held = acted("hold", &["reason=bad list"], &sample("running"));
    assert_eq!(annotations(&held)[HOLD], "bad list");
    for parameters in [&[][..], &["reason="]] {
        let held = acted("hold", parameters, &sample("running"));
        let reason = annotations(&held)[HOLD].as_str().unwrap();
        assert!(reason.starts_with("held from Argo CD at 20"), "{reason}");
    }
}

#[test]
fn release_takes_off_one_brake_at_a_time_the_hold_first_and_refuses_where_there_is_none() {
    let mut both = sample("paused-elsewhere");
    both["metadata"]["annotations"] = json!({HOLD: "bad list"});
    let once = acted("release", &[], &both);
    assert_eq!(annotations(&once), &json!({}), "the pause of somebody else stays");
    let twice = acted("release", &[], &once["object"]);
    assert!(annotations(&twice)[RELEASE].is_string());
    let answer = acted("release", &[], &sample("running"));
    assert_eq!(answer["error"], "nothing to release: no hold is set, and nobody else has paused it");
}

#[test]
fn reconcile_asks_for_a_look_and_leaves_a_hold_alone() {
    let answer = acted("reconcile", &[], &sample("held"));
    assert!(annotations(&answer)[RECONCILE].is_string());
    assert_eq!(annotations(&answer)[HOLD], annotations(&json!({"object": sample("held")}))[HOLD]);
}

#[test]
fn the_scripts_write_the_annotations_that_the_operator_reads() {
    assert_eq!(
        (rules::kinds::HOLD, rules::kinds::RELEASE, rules::kinds::RECONCILE),
        (HOLD, RELEASE, RECONCILE)
    );
}

/// The same in the form of Argo CD's own tests.
#[test]
fn argos_own_action_tests_hold() {
    let folder = oracle::customizations().join("DialerCampaignState/actions");
    let tests = yaml(&folder.join("action_test.yaml"));
    for test in tests["discoveryTests"].as_array().unwrap() {
        let object = yaml(&folder.join(test["inputPath"].as_str().unwrap()));
        let answer = oracle::ask("discovery", &[&script("discovery.lua")], &[object]).remove(0);
        assert_eq!(answer, test["result"], "{}", test["inputPath"]);
    }
    for test in tests["actionTests"].as_array().unwrap() {
        let object = yaml(&folder.join(test["inputPath"].as_str().unwrap()));
        let parameters = test["parameters"].as_object().into_iter().flatten();
        let parameters: Vec<String> =
            parameters.map(|(name, value)| format!("{name}={}", value.as_str().unwrap())).collect();
        let parameters: Vec<&str> = parameters.iter().map(String::as_str).collect();
        let answer = acted(test["action"].as_str().unwrap(), &parameters, &object);
        match test["expectedOutputPath"].as_str() {
            Some(path) => assert_eq!(answer["object"], yaml(&folder.join(path)), "{test}"),
            None => assert_eq!(answer["error"], test["expectedErrorMessage"], "{test}"),
        }
    }
}
