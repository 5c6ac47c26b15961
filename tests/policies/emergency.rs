//! The brake of the staff: it does nothing until it is pulled.

use std::sync::Arc;

use jiff::{Timestamp, ToSpan};
use rules::calendar::{Calendar, NoCalendar};
use rules::kinds::{ClosesAt, ComplianceWindow, Day, DialingPolicySpec, Hours, OpensAt, Zone};
use rules::policies::Policy;
use serde_json::{Value, json};

use crate::folder::{labels, named, selected_by};

fn brake() -> Arc<Policy> {
    Arc::new(named("emergency-freeze").policy())
}

fn window() -> ComplianceWindow {
    let hours = Hours { days: Day::WEEK.into(), from: OpensAt("09:00".into()), to: ClosesAt("17:00".into()) };
    ComplianceWindow {
        time_zones: vec![Zone("America/New_York".into())],
        hours: Some(vec![hours]),
        close_lead_seconds: 0,
    }
}

#[test]
fn it_selects_every_namespace_and_nothing_else_selects_one_without_labels() {
    let selected = selected_by(&labels(&[]));
    assert_eq!(selected, [brake()]);
}

#[test]
fn it_gives_no_hours_so_that_it_never_stands_in_for_a_policy_that_is_missing() {
    assert_eq!(Calendar::new(None, &[brake()], false), Err(NoCalendar::NoWindow));
    assert_eq!(Calendar::new(Some(&window()), &[brake()], true), Err(NoCalendar::NoPolicy));
}

#[test]
fn it_takes_nothing_from_the_hours_of_a_campaign_until_it_is_pulled() {
    let with = Calendar::new(Some(&window()), &[brake()], false).unwrap();
    let without = Calendar::new(Some(&window()), &[], false).unwrap();
    let start: Timestamp = "2026-11-30T00:00:00Z".parse().unwrap();
    for hour in 0..7 * 24 {
        let at = start + hour.hours();
        assert_eq!(with.allowed(at), without.allowed(at), "{at}");
        assert_eq!(brake().freeze(at), None);
    }
}

#[test]
fn the_two_commands_of_its_header_freeze_and_let_go() {
    let file = named("emergency-freeze");
    let commands: Vec<_> = file.text.lines().filter(|line| line.contains("kubectl patch dpol ")).collect();
    let [stop, go] = commands.as_slice() else { panic!("{commands:#?}") };
    assert!(stop.contains("Stop everything:") && go.contains("Let go again:"), "{commands:#?}");
    for command in [stop, go] {
        assert!(command.contains("kubectl patch dpol emergency --type merge -p '"), "{command}");
    }

    let at: Timestamp = "2026-11-30T00:00:00Z".parse().unwrap();
    // What an earlier patch has left must not make a brake that holds nothing.
    let left = json!({"reason": "x", "until": "2026-11-29T00:00:00Z", "pauseRunning": false});
    for before in [Value::Null, left] {
        let mut object = file.raw.clone();
        merge(&mut object, &json!({"spec": {"freeze": before}}));
        merge(&mut object, &patch_of(stop));
        let frozen = policy_of(&object);
        let freeze = frozen.freeze(at).expect("a freeze");
        assert!(freeze.pauses && freeze.until.is_none(), "{freeze:?}");
        merge(&mut object, &patch_of(go));
        assert_eq!(policy_of(&object).freeze(at), None);
        assert_eq!(object, file.raw);
    }
}

fn patch_of(command: &str) -> Value {
    let (_, rest) = command.split_once("-p '").unwrap();
    serde_json::from_str(rest.split('\'').next().unwrap()).unwrap()
}

fn policy_of(object: &Value) -> Policy {
    let spec: DialingPolicySpec = serde_json::from_value(object["spec"].clone()).unwrap();
    Policy { name: "emergency".into(), generation: 1, spec }
}

/// RFC 7396, which is what `--type merge` asks for.
fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (name, value) in patch {
        match value {
            Value::Null => drop(fields.remove(name)),
            value => merge(fields.entry(name.clone()).or_insert(Value::Null), value),
        }
    }
}
