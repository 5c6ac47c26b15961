//! What machines read.

use serde_json::{Value, json};

use crate::command::{ALWAYS, Folder, campaign, policy};

fn plan(folder: &Folder, args: &[&str]) -> Value {
    serde_json::from_str(&folder.plan(&[args, &["--output", "json"]].concat()).out).unwrap()
}

fn times(plan: &Value) -> Vec<(&str, &str)> {
    let all = plan["campaigns"][0]["transitions"].as_array().unwrap();
    all.iter().map(|t| (t["at"].as_str().unwrap(), t["to"].as_str().unwrap_or("-"))).collect()
}

const DAYTIME: &str =
    "  hours: [{days: [Mon, Tue, Wed, Thu, Fri, Sat, Sun], from: \"08:00\", to: \"21:00\"}]";

#[test]
fn json_and_yaml_tell_the_same_under_stable_names() {
    let us = policy("us", &format!("{DAYTIME}\n  citation: Law 1"));
    let folder = Folder::with(&[("c.yaml", &campaign(ALWAYS)), ("policies/us.yaml", &us)]);
    let args = ["--from", "2026-11-24T13:05:00Z", "--days", "1"];
    let json = plan(&folder, &args);
    let yaml = folder.plan(&[&args[..], &["--output", "yaml"]].concat()).out;
    assert_eq!(serde_saphyr::from_str::<Value>(&yaml).unwrap(), json);

    let campaign = &json["campaigns"][0];
    let expected = json!({
        "at": "2026-11-25T01:59:30Z", "local": "2026-11-24T20:59:30-05:00", "to": "Paused", "effective": "Held",
        "cause": "OutsideWindow", "citation": "Law 1", "policy": {"name": "us", "generation": 0},
        "rule": "policy us: Mon-Sun 08:00-21:00 in America/New_York, closed 30 s early [Law 1]",
    });
    assert_eq!(campaign["transitions"][1], expected);
    assert_eq!((&campaign["namespace"], &campaign["name"]), (&json!("sales"), &json!("spring")));
    assert_eq!(
        (&campaign["observed"], &campaign["observedBy"]),
        (&json!("Paused"), &json!("assumed: nothing is known of it"))
    );
    assert_eq!(
        campaign["running"],
        json!([{"from": "2026-11-24T13:05:00Z", "until": "2026-11-25T01:59:30Z"}])
    );
    let day = &campaign["days"][0];
    assert_eq!((&day["date"], &day["lengthMinutes"]), (&json!("2026-11-24"), &json!(1440)));
    assert_eq!(day["bar"], format!("{}{}{}", " ".repeat(16), "#".repeat(26), ".".repeat(6)));
    assert_eq!(campaign["heldAtEnd"][0]["reason"], "OutsideWindow");
    assert_eq!(campaign["warnings"], json!([]));
}

#[test]
fn standard_input_is_a_file_and_a_status_in_it_is_the_state_it_begins_with() {
    let folder = Folder::with(&[]);
    let live = campaign(ALWAYS) + "status: {observedGeneration: 1, observed: Running}\n";
    let args = ["plan", "-f", "-", "--policies", "policies", "--from", "2026-11-24T13:05:00Z", "-o", "json"];
    let said = folder.run_on(&args, &live);
    let plan: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}", said.err));
    assert_eq!(plan["campaigns"][0]["observed"], "Running");
    assert_eq!(times(&plan), []);
    assert_eq!(plan["campaigns"][0]["source"], "standard input, document 1");
}

#[test]
fn policies_and_namespaces_of_the_file_count_and_what_selects_another_namespace_does_not() {
    let mut file = campaign(ALWAYS);
    file += "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: sales, labels: {calls: us}}\n---\n";
    file += &policy("us", &format!("{DAYTIME}\n  namespaceSelector: {{matchLabels: {{calls: us}}}}"));
    file += "---\n";
    file += &policy("fr", "  maxActiveCalls: 1\n  namespaceSelector: {matchLabels: {calls: fr}}");
    let folder = Folder::with(&[("c.yaml", &file)]);
    let told = plan(&folder, &["--from", "2026-11-24T03:00:00Z", "--days", "2"]);
    assert_eq!(told["campaigns"][0]["policies"], json!([{"name": "us", "generation": 0}]));
    assert_eq!(times(&told)[0], ("2026-11-24T13:00:00Z", "Running"));
    let notes = told["notes"].as_array().unwrap();
    let unheeded = "policy fr of the file selects none of the namespaces sales, by their labels";
    assert!(notes.contains(&json!(unheeded)), "{notes:?}");

    // Without the labels each of them is taken to concern it, and that is said.
    let unlabelled = file.replace("name: sales, labels: {calls: us}", "name: other");
    let folder = Folder::with(&[("c.yaml", &unlabelled)]);
    let told = plan(&folder, &["--from", "2026-11-24T03:00:00Z"]);
    assert_eq!(told["campaigns"][0]["policies"].as_array().unwrap().len(), 2);
    let note = told["campaigns"][0]["notes"][0].as_str().unwrap();
    assert!(note.contains("labels of namespace sales are not known"), "{note}");
}

#[test]
fn what_is_suspended_observed_or_held_says_so() {
    let folder = Folder::with(&[("c.yaml", &campaign(&format!("{ALWAYS}\n  mode: Observe")))]);
    let told = plan(&folder, &["--from", "2026-11-24T03:00:00Z"]);
    assert_eq!(times(&told), [("2026-11-24T03:00:00Z", "Running")]);
    assert!(told["campaigns"][0]["notes"][0].as_str().unwrap().starts_with("mode Observe"));

    let held = campaign(ALWAYS).replace(
        "namespace: sales",
        "namespace: sales, annotations: {dialer.cxone-operator.io/hold: bad list}",
    );
    let folder = Folder::with(&[("c.yaml", &held)]);
    let told = plan(&folder, &["--from", "2026-11-24T03:00:00Z"]);
    assert_eq!(times(&told), []);
    let end = &told["campaigns"][0]["heldAtEnd"][0];
    assert_eq!(
        (&end["reason"], &end["detail"]),
        (&json!("Manual"), &json!("held by the hold annotation: bad list"))
    );
    assert!(end["advice"].as_str().unwrap().contains("-n sales dcs spring"), "{end}");
}

#[test]
fn required_hours_of_a_policy_are_required_in_a_plan_too() {
    let folder = Folder::with(&[("c.yaml", &campaign(ALWAYS))]);
    let told = plan(&folder, &["--from", "2026-11-24T03:00:00Z", "--require-policy"]);
    assert_eq!((times(&told), &told["campaigns"][0]["heldAtEnd"][0]["reason"]), (vec![], &json!("NoWindow")));
    assert_eq!(times(&plan(&folder, &["--from", "2026-11-24T03:00:00Z"])).len(), 1);
}

#[test]
fn without_policies_and_without_a_cluster_a_file_is_planned_and_what_is_not_known_is_said() {
    let folder = Folder::with(&[("c.yaml", &campaign(ALWAYS))]);
    let said = folder.run(&["plan", "-f", "c.yaml", "--no-policies", "--output", "json"]);
    let told: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}", said.err));
    assert!(told["notes"][0].as_str().unwrap().contains("what runs now is not known"), "{told}");
    assert_eq!(times(&told).len(), 1);
}

#[test]
fn a_list_of_objects_is_planned_one_by_one() {
    let one = "{apiVersion: dialer.cxone-operator.io/v1alpha1, kind: DialerCampaignState, metadata: {name: NAME}, spec: {campaignId: c-1, state: Running}}";
    let items = [one.replace("NAME", "a"), one.replace("NAME", "b")].join(", ");
    let folder = Folder::with(&[("c.yaml", &format!("{{apiVersion: v1, kind: List, items: [{items}]}}"))]);
    let told = plan(&folder, &[]);
    let names: Vec<_> = told["campaigns"].as_array().unwrap().iter().map(|c| c["name"].clone()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(plan(&folder, &["b"])["campaigns"].as_array().unwrap().len(), 1);
}
