//! People and machines around the operator that mean harm, or do it.

use std::net::TcpListener;
use std::time::Duration;

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use rules::kinds::{CampaignStatus, HOLD, Observed};
use rules::text::clean;
use serde_json::{Value, json};
use simulator::{Effect, Fault, FaultRoute, State};

use crate::hours::{around_the_clock, closed_now};
use crate::stage::{ORG, PATIENCE, Stage, ms_after};

/// Clears a screen, forges a line of a log, and turns round what follows.
const EVIL: &str = "evil\u{1b}[2J\u{9b}31m\r\n2026-01-01T00:00:00Z  INFO all is well\u{2028}\u{202e}txet";

/// Every string of a value.
fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(list) => list.iter().flat_map(strings).collect(),
        Value::Object(members) => members.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_write_steers_neither_a_terminal_nor_a_log_nor_the_record() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    stage.declare("c-1", "Running", json!({})).await;
    stage.until_ready("c-1", "True", "Running").await;
    stage.annotate("c-1", "argocd.argoproj.io/tracking-id", Some(EVIL)).await;
    let hours = around_the_clock();
    stage.apply_policy("evil", json!({"hours": hours["hours"]})).await;
    stage.change_policy("evil", json!({"citation": EVIL, "freeze": {"reason": EVIL}})).await;
    stage.until_ready("c-1", "True", "Frozen").await;
    stage.annotate("c-1", HOLD, Some(EVIL)).await;
    let all = |s: &CampaignStatus| s.condition("Held").is_some_and(|c| c.message.contains("annotation"));
    let object = stage.until("c-1", "all that holds it", all).await;

    // Events follow status.
    let told = async {
        while !strings(&json!(stage.events("c-1").await)).iter().any(|text| text.contains("evil")) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("an Event tells why it is held");
    let conditions = json!(object.status.unwrap().conditions);
    let told = [conditions, json!(stage.events("c-1").await), json!(stage.audit("c-1"))];
    for (told, place) in told.iter().zip(["status", "events", "audit"]) {
        // Where they stand as they are is who wrote what by which field: nothing of ours.
        let ours = strings(told);
        assert!(ours.iter().any(|text| text.contains("evil")), "{place} tells nothing of it: {told:#}");
        ours.iter().for_each(|text| assert_eq!(clean(text), **text, "{place}"));
    }
    for line in stage.operator.log().lines() {
        // A line of the record that the disk took long for stands there too.
        let is_record = || serde_json::from_str::<Value>(line).is_ok();
        let is_ours = line.starts_with("20") || is_record();
        assert!(is_ours && !line.starts_with("2026-01-01"), "forged: {line}");
        assert_eq!(clean(line), line);
    }
    for command in ["why", "plan"] {
        let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_dialer-operator"));
        process.args([command, "c-1", "--color", "always", "--namespace", &stage.namespace]);
        let said = process.env("KUBECONFIG", &stage.kubeconfig).output().unwrap();
        let text = String::from_utf8(said.stdout).unwrap();
        assert!(said.status.success() && text.contains("evil"), "{command}: {text}");
        assert!(
            !text.contains("\u{1b}[2J") && !text.contains(['\u{9b}', '\u{202e}', '\u{2028}', '\r']),
            "{text}"
        );
        assert!(text.lines().all(|line| !line.starts_with("2026-01-01")), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_one_tenants_campaigns_holds_up_no_close_of_another() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    stage.declare("c-1", "Running", json!({})).await;
    stage.until_ready("c-1", "True", "Running").await;
    stage.add_tenant("crowd", "globex").await;
    // All must be closed, and nothing of this tenant ever answers.
    for route in [FaultRoute::StateGet, FaultRoute::StatePut] {
        stage.sim.fault(Fault::new(route, Effect::Hang).tenant("globex"));
    }
    let names: Vec<String> = (0..120).map(|n| format!("x-{n}")).collect();
    for name in &names {
        stage.sim.campaign("globex", name).set(State::Running);
        let spec = json!({"tenantRef": {"name": "crowd"}, "complianceWindow": closed_now()});
        stage.declare(name, "Running", spec).await;
    }
    stage
        .until_log("the crowd presses its closes", |log| {
            log.iter().filter(|e| names.iter().any(|name| e.is_put(name))).count() >= 16
        })
        .await;
    let held = Timestamp::now();
    stage.annotate("c-1", HOLD, Some("stop")).await;
    let put = stage.until_puts("c-1", 1).await.remove(0);
    eprintln!("FIGURE hold to PUT beside a crowd: {} ms", ms_after(held, &put));
    assert!(ms_after(held, &put) < 2000, "{}", ms_after(held, &put));
    stage.until_ready("c-1", "True", "Manual").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_status_starts_nothing_and_excuses_nothing() {
    let mut stage = Stage::new().await;
    let campaign = stage.sim.campaign(ORG, "c-1");
    stage.declare("c-1", "Running", json!({"complianceWindow": closed_now()})).await;
    let honest = stage.until_ready("c-1", "True", "OutsideWindow").await;
    let generation = honest.metadata.generation;
    let id = "00000000-0000-4000-8000-000000000666";
    let pending = json!({"id": id, "from": "Paused", "to": "Running", "cause": "Declared",
                         "generation": generation, "requestedAt": "2026-01-01T00:00:00.000000Z"});
    let forged = json!({"status": {"observed": "Running", "effective": "Running", "pendingTransition": pending,
                                   "window": {"open": true}, "conditions": []}});
    for restart in [false, true] {
        if restart {
            stage.operator.kill();
        }
        let params = PatchParams::default();
        stage.campaigns().patch_status("c-1", &params, &Patch::Merge(&forged)).await.unwrap();
        if restart {
            stage.start_operator(&[]);
        }
        stage
            .until("c-1", "what is so", |s| {
                s.observed == Some(Observed::Paused)
                    && s.condition("Held").is_some_and(|c| c.reason == "OutsideWindow")
            })
            .await;
        stage.look("c-1").await;
        assert!(stage.sim.puts("c-1").is_empty(), "{}", stage.story("c-1").await);
    }
    campaign.set(State::Running);
    stage.look("c-1").await;
    stage.until_puts("c-1", 1).await;
    assert_eq!(stage.put_words("c-1"), ["paused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_of_the_environment_get_nothing_and_no_core_is_left() {
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let proxy = format!("http://{}", trap.local_addr().unwrap());
    let mut stage = Stage::without_operator().await;
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        stage.operator.environment(name, &proxy);
        stage.operator.environment(&name.to_lowercase(), &proxy);
    }
    stage.start_operator(&[]);
    stage.sim.campaign(ORG, "c-1");
    stage.declare("c-1", "Running", json!({})).await;
    stage.until_ready("c-1", "True", "Running").await;
    let caught = trap.accept().map(|_| ());
    assert_eq!(caught.unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "the proxy was asked");

    let limits = std::fs::read_to_string(format!("/proc/{}/limits", stage.operator.id())).unwrap();
    let core: Vec<_> =
        limits.lines().find(|l| l.starts_with("Max core file size")).unwrap().split_whitespace().collect();
    assert_eq!(core[4..6], ["0", "0"], "{limits}");
}
