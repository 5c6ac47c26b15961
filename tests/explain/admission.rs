//! What the API server refuses is refused, and what it admits is planned: the objects that are tried against a real one.

use serde_json::Value;

use crate::command::{ALWAYS, Folder, campaign};

#[allow(dead_code, reason = "what is tried of existing objects and of status is the API server's alone")]
#[path = "../admission/corpus.rs"]
mod corpus;

/// Cases that only an API server can refuse, each with its reason: none.
const ONLY_THE_SERVER: [&str; 0] = [];

/// Plans a harmless campaign together with this object.
fn plan(object: &Value) -> crate::command::Said {
    let file = format!("{}---\n{object}", campaign(ALWAYS));
    let folder = Folder::with(&[("c.yaml", &file)]);
    folder.run(&["plan", "-f", "c.yaml", "--policies", "policies", "--days", "1"])
}

fn tried() -> Vec<corpus::Corpus> {
    corpus::all().into_iter().filter(|corpus| corpus.kind != "CXoneTenant").collect()
}

#[test]
fn what_the_api_server_refuses_is_refused_with_the_object_that_it_is() {
    let mut count = 0;
    let mut planned = Vec::new();
    for corpus in tried() {
        for object in corpus.refused() {
            let said = plan(&object.manifest);
            let named = format!("c.yaml, document 2: {} {}", corpus.kind, name(&object.manifest));
            if said.well && !ONLY_THE_SERVER.contains(&object.case.as_str()) {
                planned.push(object.case);
            } else {
                assert!(said.err.contains(&named), "{}: {}", object.case, said.err);
            }
            count += 1;
        }
    }
    assert_eq!(planned, Vec::<String>::new(), "planned although the API server refuses it");
    assert!(count > 150, "{count}");
}

#[test]
fn what_the_api_server_admits_is_planned() {
    for corpus in tried() {
        for object in corpus.accepted() {
            let said = plan(&object.manifest);
            assert!(said.well, "{}: {}", object.case, said.err);
        }
    }
}

#[test]
fn names_and_instants_that_no_api_server_takes_are_refused() {
    let with = |more: &str| campaign(&format!("{ALWAYS}\n{more}"));
    for (file, words) in [
        (
            with("  resumeAt: \"2026-11-23 09:00:00-05\""),
            "spec.resumeAt: \"2026-11-23 09:00:00-05\" is no instant",
        ),
        (with("  tenantRef: {name: \"Not Valid!\"}"), "spec.tenantRef.name: \"Not Valid!\" does not match"),
        (
            campaign(ALWAYS).replace("name: spring", "name: Bad_Name"),
            "metadata.name: \"Bad_Name\" is no name",
        ),
        (campaign(ALWAYS).replace("name: spring", "name: spring, nam: x"), "metadata.nam: unknown field"),
        (
            campaign(ALWAYS).replace("name: spring", "name: spring, labels: {\"bad key!\": \"x y z\"}"),
            "metadata.labels: \"bad key!\" is no key",
        ),
        (
            campaign(ALWAYS)
                + "---\n{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: {b: \"c d\"}}}",
            "c.yaml, document 2: Namespace a is not valid:\n  metadata.labels.b: \"c d\" is no value",
        ),
    ] {
        let folder = Folder::with(&[("c.yaml", &file)]);
        let said = folder.run(&["plan", "-f", "c.yaml", "--policies", "policies"]);
        assert!(!said.well && said.err.contains(words), "{file}: {}", said.err);
    }
}

fn name(manifest: &Value) -> &str {
    manifest["metadata"]["name"].as_str().unwrap()
}
