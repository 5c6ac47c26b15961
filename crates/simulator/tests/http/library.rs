//! What tests of others rely on.

use std::time::Duration;

use simulator::{
    CampaignConfig, Effect, Fault, FaultRoute, SecondWriter, Simulator, SimulatorConfig, State, TenantConfig,
};

use crate::client::{CAMPAIGN, Client, ORGANIZATION, PATIENCE, start};

#[test]
fn a_simulator_runs_without_a_runtime_of_the_caller() {
    let sim = Simulator::start_blocking(SimulatorConfig::example()).unwrap();
    let campaign = sim.campaign(ORGANIZATION, "c-7731");
    assert!(campaign.set(State::Paused));
    assert!(!campaign.set(State::Paused));
    let seen = sim.wait_for_blocking(|log| log.iter().any(|e| e.is_change("c-7731")), PATIENCE);
    assert_eq!(seen.unwrap().len(), 1);
    std::net::TcpStream::connect(sim.addr()).unwrap();
}

#[tokio::test]
async fn a_simulator_of_its_own_thread_can_be_dropped_in_a_runtime() {
    let sim = tokio::task::spawn_blocking(|| Simulator::start_blocking(SimulatorConfig::default()));
    drop(sim.await.unwrap().unwrap());
}

#[tokio::test]
async fn what_is_waited_for_in_vain_is_told_with_the_log_and_the_faults() {
    let (sim, client) = start().await;
    sim.fault(Fault::new(FaultRoute::Stats, Effect::Lie));
    client.write("paused").await.unwrap();
    let timeout = sim.wait_for(|_| false, Duration::from_millis(20)).await.unwrap_err().to_string();
    assert!(timeout.contains("CHANGE c-1 running -> paused by Client"), "{timeout}");
    assert!(timeout.contains("PUT /api/v2/campaigns/outbound/c-1/state"), "{timeout}");
    assert!(timeout.contains("fault 1 lie on Stats: matched 0"), "{timeout}");
}

#[tokio::test]
async fn a_dropped_simulator_takes_no_connections_and_leaves_none_open() {
    let (sim, client) = start().await;
    let addr = sim.addr();
    sim.fault(Fault::new(FaultRoute::StateGet, Effect::Hang));
    let hung = async {
        sim.wait_for(|log| log.iter().any(|e| e.is_request(simulator::Route::StateGet)), PATIENCE)
            .await
            .unwrap();
        drop(sim);
    };
    let (answer, ()) = tokio::join!(client.read(), hung);
    assert!(answer.is_err());
    let refused = async { while tokio::net::TcpStream::connect(addr).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, refused).await.unwrap();
}

#[tokio::test]
async fn a_simulator_can_come_back_at_its_old_address() {
    let (sim, _client) = start().await;
    let addr = sim.addr();
    drop(sim);
    let again = async {
        loop {
            if let Ok(sim) = Simulator::start(SimulatorConfig { addr, ..SimulatorConfig::default() }).await {
                return sim;
            }
            tokio::task::yield_now().await;
        }
    };
    let sim = tokio::time::timeout(PATIENCE, again).await.unwrap();
    assert_eq!(sim.addr(), addr);
}

#[tokio::test]
async fn a_second_writer_writes_until_it_is_stopped() {
    let (sim, _client) = start().await;
    let campaign = sim.campaign(ORGANIZATION, CAMPAIGN);
    let every = SecondWriter { status: State::Paused, every_ms: 20, times: None, for_ms: None };
    campaign.second_writer(every).unwrap();
    for writes in 1..=3 {
        campaign.set(State::Running);
        let paused = |e: &simulator::LogEntry| {
            e.change.as_ref().is_some_and(|c| c.actor == simulator::Actor::SecondWriter)
        };
        sim.wait_for(|log| log.iter().filter(|e| paused(e)).count() >= writes, PATIENCE).await.unwrap();
    }
    campaign.stop_second_writer();
    let refusal = campaign.second_writer(SecondWriter { every_ms: 0, ..every }).unwrap_err();
    assert_eq!(refusal.to_string(), "everyMs: 0 is not accepted; accepted: 10 ms or more");
}

#[tokio::test]
async fn active_calls_drain_after_a_pause_over_the_wire() {
    let (sim, client) = start().await;
    let campaign = sim.campaign(ORGANIZATION, CAMPAIGN);
    let config = r#"{"activeCalls": {"now": 30, "drain": {"callsPerSecond": 60}}}"#;
    campaign.configure(&serde_json::from_str(config).unwrap()).unwrap();
    client.write("paused").await.unwrap();
    let drained = async { while client.stats("").await["page"][0]["activeCalls"] != 0 {} };
    tokio::time::timeout(PATIENCE, drained).await.unwrap();
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_at_the_start_with_its_field() {
    let bad = TenantConfig::new("acme").campaign(
        "c-1",
        CampaignConfig {
            stats: Some(simulator::StatsConfig { rows: Some(1_000_000), ..Default::default() }),
            ..CampaignConfig::default()
        },
    );
    let config = SimulatorConfig { tenants: vec![bad], ..SimulatorConfig::default() };
    let error = Simulator::start(config).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "tenants[0].campaigns.c-1.stats.rows: 1000000 is not accepted; accepted: 0 to 100000 rows"
    );
    let error = SimulatorConfig::from_json(r#"{"tenants": [{"organization": 5}]}"#).unwrap_err();
    assert_eq!(error.field, "tenants[0].organization");
    let text = serde_json::to_string(&SimulatorConfig::example()).unwrap();
    assert_eq!(SimulatorConfig::from_json(&text).unwrap().tenants[0].campaigns.len(), 3);
}

#[tokio::test]
async fn entries_after_a_number_are_only_the_newer_ones() {
    let (sim, client) = start().await;
    let before = sim.last_seq();
    client.read().await.unwrap();
    let newer = sim.requests_since(before);
    assert_eq!(newer.iter().map(|e| e.seq).collect::<Vec<_>>(), [before + 1]);
    assert!(newer[0].ended_at.unwrap() >= newer[0].at);
    let _ = Client::of(&sim, ORGANIZATION).await;
}
