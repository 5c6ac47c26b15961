//! Many campaigns at once, and objects that take each other's place.

use std::collections::HashSet;

use serde_json::json;
use simulator::{Effect, Fault, FaultRoute, Route, State};

use crate::hours::closed_now;
use crate::stage::{ORG, Stage, ms_after};

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_with_many_paused_campaigns_and_slow_reads_writes_nothing_to_cxone() {
    let mut stage = Stage::without_operator().await;
    let spec = json!({"baseUrl": stage.sim.url(), "credentialsSecretRef": {"name": "default-credentials"},
                      "requestsPerSecond": 100, "burst": 200});
    stage.apply_tenant("default", spec).await;
    let names: Vec<String> = (0..250).map(|n| format!("c-{n}")).collect();
    for name in &names {
        stage.sim.campaign(ORG, name);
        stage.declare(name, "Running", json!({"complianceWindow": closed_now()})).await;
    }
    // Slow enough that not all can be read within the three seconds after which an unread campaign is paused blindly.
    stage.sim.fault(Fault::new(FaultRoute::StateGet, Effect::Delay { ms: 300 }));
    stage.start_operator(&["--log-level", "info"]);
    for name in &names {
        stage.until_ready(name, "True", "OutsideWindow").await;
    }
    let written: Vec<_> = names.iter().filter(|name| !stage.sim.puts(name).is_empty()).collect();
    assert!(written.is_empty(), "{written:?}");
    // All had something to tell at once. Connections stay open for a while: as many as were ever needed are there.
    let open = connections_to_kubernetes(&stage);
    assert!((1..60).contains(&open), "{open} connections to the API server");
}

/// How many connections the operator has, but for those to CXone.
fn connections_to_kubernetes(stage: &Stage) -> usize {
    let process = format!("/proc/{}", stage.operator.id());
    let sockets: HashSet<String> = std::fs::read_dir(format!("{process}/fd"))
        .unwrap()
        .filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok())
        .filter_map(|to| Some(to.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned()))
        .collect();
    let url = stage.sim.url();
    let sim =
        format!(":{:04X}", url.rsplit(':').next().unwrap().trim_end_matches('/').parse::<u16>().unwrap());
    // sl, local address, remote address, state (01: established), ..., and tenth the inode.
    let table = std::fs::read_to_string(format!("{process}/net/tcp")).unwrap();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[3] == "01" && !row[2].ends_with(&sim) && sockets.contains(row[9])).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_applied_anew_does_not_wait_for_what_its_predecessor_waits_for() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    stage.declare("c-1", "Running", json!({"deletionPolicy": "Retain", "checkIntervalSeconds": 10})).await;
    stage.until_ready("c-1", "True", "Running").await;
    let reads = stage.requests("c-1", Route::StateGet).len();
    stage.sim.fault(Fault::new(FaultRoute::StateGet, Effect::Hang).campaign("c-1").times(1));
    stage.until_requests("c-1", Route::StateGet, reads + 1).await;
    stage.delete("c-1").await;
    stage.until_gone("c-1").await;

    let applied = jiff::Timestamp::now();
    stage.declare("c-1", "Paused", json!({})).await;
    let put = stage.until_puts("c-1", 1).await.remove(0);
    eprintln!("FIGURE applied anew to PUT, the old pass hanging: {} ms", ms_after(applied, &put));
    assert!(ms_after(applied, &put) < 3000, "{}", stage.story("c-1").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn pauses_that_hang_for_many_campaigns_are_forgotten_once_they_are_declared_running() {
    let mut stage = Stage::without_operator().await;
    stage.set_timeout(8).await;
    let names: Vec<String> = (0..24).map(|n| format!("c-{n}")).collect();
    for name in &names {
        stage.sim.campaign(ORG, name).set(State::Running);
        stage.declare(name, "Paused", json!({"checkIntervalSeconds": 10})).await;
    }
    let hang = stage.sim.fault(Fault::new(FaultRoute::StatePut, Effect::Hang));
    stage.start_operator(&["--log-level", "info"]);
    // More than the sixteen that may be under way at a time, and each of them again.
    for name in &names {
        stage.until_log("two tries", |log| log.iter().filter(|e| e.is_put(name)).count() >= 2).await;
    }
    for name in &names {
        stage.change(name, json!({"state": "Running"})).await;
    }
    for name in &names {
        stage.until_ready(name, "True", "Running").await;
    }
    let last = stage.sim.last_seq();
    stage.sim.clear_fault(hang);
    // Two looks at each tell that nothing was still on its way.
    for name in &names {
        let looks = |log: &[simulator::LogEntry]| {
            let mine = log.iter().filter(|e| e.seq > last && e.is_request(Route::StateGet));
            mine.filter(|e| e.campaign.as_deref() == Some(name)).count()
        };
        stage.until_log("two more looks", |log| looks(log) >= 2).await;
    }
    let late: Vec<_> = stage
        .sim
        .requests_since(last)
        .into_iter()
        .filter(|e| e.request.as_ref().is_some_and(|r| r.route == Route::StatePut))
        .collect();
    assert!(late.is_empty(), "{late:#?}");
}
