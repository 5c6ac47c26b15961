//! What Argo CD and Flux make of real objects at every stage of their life.

#[path = "../../gitops/oracle.rs"]
mod oracle;
mod samples;
mod stages;
mod waves;

use samples::Samples;
use serde_json::Value;

/// An object at a stage: what Argo CD's health, the strict script and kstatus must say of it.
pub struct Expected {
    pub kind: &'static str,
    pub stage: &'static str,
    pub health: &'static str,
    /// Of campaigns alone.
    pub strict: &'static str,
    pub kstatus: &'static str,
}

const fn campaign(
    stage: &'static str,
    health: &'static str,
    strict: &'static str,
    kstatus: &'static str,
) -> Expected {
    Expected { kind: "DialerCampaignState", stage, health, strict, kstatus }
}

const fn tenant(stage: &'static str, health: &'static str, kstatus: &'static str) -> Expected {
    Expected { kind: "CXoneTenant", stage, health, strict: "", kstatus }
}

const fn policy(stage: &'static str, health: &'static str, kstatus: &'static str) -> Expected {
    Expected { kind: "DialingPolicy", stage, health, strict: "", kstatus }
}

/// The stages, in the order in which the test data lists them.
pub const TABLE: &[Expected] = &[
    //        stage                  health         strict         kstatus
    // Work under way, or not begun: a wave waits.
    campaign("fresh", "Progressing", "Progressing", "InProgress"),
    campaign("stale", "Progressing", "Progressing", "InProgress"),
    campaign("draining", "Progressing", "Progressing", "InProgress"),
    campaign("confirming", "Progressing", "Progressing", "InProgress"),
    campaign("unavailable", "Progressing", "Progressing", "InProgress"),
    campaign("deleting", "Progressing", "Progressing", "Terminating"),
    // As declared.
    campaign("running", "Healthy", "Healthy", "Current"),
    campaign("paused", "Healthy", "Healthy", "Current"),
    campaign("paused-for-a-while", "Healthy", "Healthy", "Current"),
    campaign("stopped", "Healthy", "Healthy", "Current"),
    // As the law, or a person, wants it: nothing that a sync may wait for.
    campaign("outside-hours", "Healthy", "Progressing", "Current"),
    campaign("scheduled", "Healthy", "Progressing", "Current"),
    campaign("held", "Healthy", "Progressing", "Current"),
    campaign("frozen", "Healthy", "Progressing", "Current"),
    campaign("paused-elsewhere", "Healthy", "Progressing", "Current"),
    campaign("suspended", "Healthy", "Progressing", "Current"),
    campaign("observed", "Healthy", "Progressing", "Current"),
    // A hand is needed.
    campaign("violation", "Degraded", "Degraded", "Failed"),
    campaign("observed-violation", "Degraded", "Degraded", "Failed"),
    campaign("not-found", "Degraded", "Degraded", "Failed"),
    campaign("forbidden", "Degraded", "Degraded", "Failed"),
    campaign("no-tenant", "Degraded", "Degraded", "Failed"),
    campaign("no-credentials", "Degraded", "Degraded", "Failed"),
    campaign("duplicate", "Degraded", "Degraded", "Failed"),
    campaign("deadline-exceeded", "Degraded", "Degraded", "Failed"),
    tenant("fresh", "Progressing", "InProgress"),
    tenant("ready", "Healthy", "Current"),
    tenant("credentials-missing", "Degraded", "Failed"),
    tenant("not-allowed", "Degraded", "Failed"),
    // Nothing that a hand must mend here; and nothing that a sync should wait for.
    tenant("unreachable", "Degraded", "InProgress"),
    policy("fresh", "Progressing", "InProgress"),
    policy("stale", "Progressing", "InProgress"),
    policy("open", "Healthy", "Current"),
    policy("closed", "Healthy", "Current"),
    policy("frozen", "Healthy", "Current"),
];

#[tokio::test(flavor = "multi_thread")]
async fn at_every_stage_argo_and_flux_say_what_the_table_says_and_the_test_data_is_like_the_real_object() {
    let begun = std::time::Instant::now();
    let samples = stages::pass_through().await;
    println!("FIGURE {} objects at their stages took {} s", samples.len(), begun.elapsed().as_secs());
    let wrong: Vec<String> = TABLE.iter().flat_map(|row| deviations(row, &samples)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    samples.keep(TABLE);
}

/// What kstatus says of each object: status and message.
fn kstatus(objects: &[Value]) -> Vec<(String, String)> {
    oracle::said(&oracle::ask("kstatus", &[], objects))
}

/// What the engines said otherwise than the table.
fn deviations(row: &Expected, samples: &Samples) -> Vec<String> {
    let sample = samples.get(row.kind, row.stage);
    let mut said = vec![("health", row.health, &sample.health), ("kstatus", row.kstatus, &sample.kstatus)];
    if row.kind == "DialerCampaignState" {
        said.push(("strict", row.strict, &sample.strict));
    }
    let wrong = said.into_iter().filter(|(_, expected, (status, _))| expected != status);
    wrong
        .map(|(engine, expected, (status, message))| {
            format!("{} {}: {engine} says {status} ({message}), not {expected}", row.kind, row.stage)
        })
        .collect()
}
