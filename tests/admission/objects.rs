//! Objects against the API server.

use jiff::Timestamp;
use rules::kinds::{CXoneTenant, DialerCampaignState, DialingPolicy};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::corpus::{self, Object};
use crate::server::{Answer, Server};

/// What went wrong with which object: all of it is shown, not only the first.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn expect_admission(&mut self, case: &str, answer: &Answer) {
        if !answer.status.is_success() {
            self.0.push(format!("{case}\n  should be admitted: {:#?}", answer.complaints()));
        }
        if !answer.warnings.is_empty() {
            self.0.push(format!("{case}\n  should be admitted without a warning: {:#?}", answer.warnings));
        }
    }

    /// Each complaint is one that the case names, and the other way round: an object that is refused for another reason
    /// as well proves nothing.
    fn expect_refusal(&mut self, case: &str, says: &[String], answer: &Answer) {
        let complaints = answer.complaints();
        let named = complaints.iter().all(|line| says.iter().any(|start| line.starts_with(start)));
        let said = says.iter().all(|start| complaints.iter().any(|line| line.starts_with(start)));
        if says.is_empty() || complaints.is_empty() || !named || !said {
            self.0.push(format!("{case}\n  should be refused with {says:#?}\n  answer: {complaints:#?}"));
        }
    }

    fn report(self) {
        assert!(self.0.is_empty(), "{} findings:\n\n{}\n", self.0.len(), self.0.join("\n\n"));
    }
}

#[tokio::test]
async fn the_definitions_are_taken_without_a_warning() {
    let server = Server::with_namespace("definitions").await;
    assert_eq!(server.definitions.len(), corpus::all().len(), "a kind without a corpus");
    for answer in server.definitions {
        assert!(answer.warnings.is_empty(), "{:?}", answer.warnings);
    }
}

#[tokio::test]
async fn every_object_within_the_rules_is_admitted_without_a_warning() {
    let server = Server::with_namespace("accepted").await;
    let mut findings = Findings::default();
    for kind in corpus::all() {
        for Object { case, manifest, .. } in kind.accepted() {
            findings.expect_admission(&case, &server.try_create(&kind, &manifest).await);
            let applied = server.try_apply(&kind, &manifest).await;
            findings.expect_admission(&format!("{case}, applied by the server"), &applied);
        }
    }
    findings.report();
}

#[tokio::test]
async fn the_operator_reads_every_object_that_is_admitted_and_loses_nothing() {
    let server = Server::with_namespace("readable").await;
    let mut findings = Findings::default();
    for kind in corpus::all() {
        for Object { case, manifest, .. } in kind.accepted() {
            let stored = server.try_create(&kind, &manifest).await.body;
            let read = match kind.kind.as_str() {
                "DialerCampaignState" => read_by_operator::<DialerCampaignState>(&stored),
                "CXoneTenant" => read_by_operator::<CXoneTenant>(&stored),
                "DialingPolicy" => read_by_operator::<DialingPolicy>(&stored),
                other => panic!("how does the operator read a {other}?"),
            };
            match read {
                Ok(read) => findings.0.extend(lost("spec", &stored["spec"], &read["spec"], &case)),
                Err(error) => findings.0.push(format!("{case}\n  can't be read: {error}")),
            }
        }
    }
    findings.report();
}

/// An object as the operator would write it back.
fn read_by_operator<K: Serialize + DeserializeOwned>(stored: &Value) -> serde_json::Result<Value> {
    serde_json::to_value(K::deserialize(stored)?)
}

/// What is stored, and not there or another any more after reading. Of an instant only whole seconds are written back.
fn lost(path: &str, stored: &Value, read: &Value, case: &str) -> Vec<String> {
    let instant = |value: &Value| Some(value.as_str()?.parse::<Timestamp>().ok()?.as_second());
    match stored {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| lost(&format!("{path}.{name}"), value, &read[name], case))
            .collect(),
        Value::Array(items) => {
            let each = |(at, value)| lost(&format!("{path}[{at}]"), value, &read[at], case);
            items.iter().enumerate().flat_map(each).collect()
        }
        _ if stored == read || instant(stored).is_some_and(|this| instant(read) == Some(this)) => vec![],
        _ => vec![format!("{case}\n  {path}: {stored} is read as {read}")],
    }
}

#[tokio::test]
async fn every_object_that_breaks_a_rule_is_refused_and_told_which() {
    let server = Server::with_namespace("refused").await;
    let mut findings = Findings::default();
    for kind in corpus::all() {
        for Object { case, says, manifest } in kind.refused() {
            findings.expect_refusal(&case, &says, &server.try_create(&kind, &manifest).await);
            // What is found while merging is said in other words, so only the refusal counts.
            let applied = server.try_apply(&kind, &manifest).await;
            if applied.status.is_success() {
                findings.0.push(format!("{case}\n  is admitted where the server applies it"));
            }
        }
    }
    findings.report();
}

#[tokio::test]
async fn a_change_of_what_is_immutable_is_refused_and_others_are_admitted() {
    let server = Server::with_namespace("changes").await;
    let mut findings = Findings::default();
    for kind in corpus::all() {
        for change in &kind.changes {
            let manifest = kind.stored("changed", change.before.clone());
            server.create(&kind, &manifest).await.granted(&change.case);
            let answer = server.try_change(&kind, &manifest, &change.patch).await;
            if change.says.is_empty() {
                findings.expect_admission(&change.case, &answer);
            } else {
                findings.expect_refusal(&change.case, &change.says, &answer);
            }
            server.delete(&kind, &manifest).await;
        }
    }
    findings.report();
}

#[tokio::test]
async fn from_every_admitted_campaign_a_change_of_state_alone_is_admitted() {
    let server = Server::with_namespace("states").await;
    let mut findings = Findings::default();
    let [campaigns, ..] = corpus::all();
    for Object { case, manifest, .. } in campaigns.accepted() {
        server.create(&campaigns, &manifest).await.granted(&case);
        for state in ["Running", "Paused", "Stopped"] {
            let patch = json!({"spec": {"state": state}});
            let answer = server.try_change(&campaigns, &manifest, &patch).await;
            findings.expect_admission(&format!("{case}, then {state}"), &answer);
        }
        server.delete(&campaigns, &manifest).await;
    }
    findings.report();
}

#[tokio::test]
async fn every_admitted_policy_can_be_given_a_freeze_in_haste() {
    let server = Server::with_namespace("freezes").await;
    let mut findings = Findings::default();
    let [.., policies] = corpus::all();
    for Object { case, manifest, .. } in policies.accepted() {
        let manifest = policies.stored("frozen", manifest["spec"].clone());
        server.create(&policies, &manifest).await.granted(&case);
        let patch = json!({"spec": {"freeze": {"reason": "stop"}}});
        findings.expect_admission(&case, &server.try_change(&policies, &manifest, &patch).await);
        server.delete(&policies, &manifest).await;
    }
    findings.report();
}

#[tokio::test]
async fn a_policy_belongs_to_no_namespace_even_if_it_names_one() {
    let server = Server::with_namespace("no-policies").await;
    let [.., policies] = corpus::all();
    let mut manifest = policies.manifest(json!({}));
    manifest["metadata"]["namespace"] = "no-policies".into();
    let answer = server.try_create(&policies, &manifest).await;
    answer.granted("a policy that names a namespace");
    assert_eq!(answer.body["metadata"].get("namespace"), None);
}

#[tokio::test]
async fn a_status_that_nobody_could_read_is_refused() {
    let server = Server::with_namespace("statuses").await;
    let mut findings = Findings::default();
    for kind in corpus::all() {
        for change in &kind.refused_statuses {
            let manifest = kind.stored("reported", change.before.clone());
            server.create(&kind, &manifest).await.granted(&change.case);
            let answer = server.try_status(&kind, &manifest, &change.patch).await;
            findings.expect_refusal(&change.case, &change.says, &answer);
            server.delete(&kind, &manifest).await;
        }
    }
    findings.report();
}

/// Creates the least that is admitted and returns what the API server made of it.
async fn created(namespace: &str, kind: usize, spec: Value) -> Value {
    let server = Server::with_namespace(namespace).await;
    let kind = &corpus::all()[kind];
    let answer = server.create(kind, &kind.stored(namespace, spec)).await;
    answer.granted("the least that is admitted");
    answer.body
}

#[tokio::test]
async fn a_campaign_gets_the_defaults_that_do_no_harm() {
    let window = json!({"timeZones": ["UTC"]});
    let spec = json!({"campaignId": "c-1", "state": "Running", "complianceWindow": window});
    let object = created("campaign-defaults", 0, spec).await;
    let expected = json!({
        "tenantRef": {"name": "default"}, "campaignId": "c-1", "state": "Running",
        "pauseDurationSeconds": 0, "pauseExpiry": "Resume", "resumeMode": "Immediate",
        "notifyAgentPool": true, "maxActiveCalls": 150,
        "complianceWindow": {"timeZones": ["UTC"], "closeLeadSeconds": 30},
        "onExternalPause": "Respect", "mode": "Enforce", "suspend": false,
        "checkIntervalSeconds": 60, "progressDeadlineSeconds": 600, "deletionPolicy": "Pause",
    });
    assert_eq!(object["spec"], expected);
    assert_eq!(object["status"], json!({"observedGeneration": -1}));
}

#[tokio::test]
async fn a_campaign_gets_no_window_that_nobody_wrote() {
    let object = created("no-window", 0, json!({"campaignId": "c-1", "state": "Running"})).await;
    assert_eq!(object["spec"].get("complianceWindow"), None);
}

#[tokio::test]
async fn a_tenant_gets_the_defaults_that_do_no_harm() {
    let spec = json!({"organization": "acme", "credentialsSecretRef": {"name": "cxone"}});
    let object = created("tenant-defaults", 1, spec).await;
    let expected = json!({
        "organization": "acme", "credentialsSecretRef": {"name": "cxone"},
        "requestsPerSecond": 10, "burst": 20, "timeoutSeconds": 15,
    });
    assert_eq!(object["spec"], expected);
    assert_eq!(object["status"], json!({"observedGeneration": -1}));
}

#[tokio::test]
async fn a_policy_gets_the_defaults_that_do_no_harm() {
    let object = created("policy-defaults", 2, json!({"freeze": {"reason": "stop"}})).await;
    let expected = json!({"namespaceSelector": {}, "freeze": {"reason": "stop", "pauseRunning": true}});
    assert_eq!(object["spec"], expected);
    assert_eq!(object["status"], json!({"observedGeneration": -1}));
}
