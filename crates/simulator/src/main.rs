//! The command `cxone-simulator`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use simulator::{Simulator, SimulatorConfig, TenantConfig};

const HELP: &str = "\
What it serves:
  /                 a page that shows every campaign live, and the last requests
  /api/v2/...       CXone as clients see it; one path segment may stand before it (http://ADDR/acme)
  /_sim/...         the control API:
    GET    /_sim/log?since=N[&campaign=ID][&route=statePut]   all requests and changes of state
    DELETE /_sim/log
    POST   /_sim/tenants                                      {\"organization\",\"clientId\",\"clientSecret\",...}
    PUT    /_sim/tenants/ORG/campaigns/ID                     {\"state\":\"running\",\"activeCalls\":{\"target\":80}}
    POST   /_sim/tenants/ORG/campaigns/ID/outside             {\"status\":\"running\"}
    POST   /_sim/tenants/ORG/campaigns/ID/second-writer       {\"status\":\"paused\",\"everyMs\":500,\"times\":5}
    GET, POST, DELETE /_sim/faults, DELETE /_sim/faults/N
    PATCH  /_sim/settings                                     {\"tokenLifetimeSeconds\":70,\"dateOffsetSeconds\":-90,\"dateHeader\":true}
    POST   /_sim/tokens/revoke                                {\"tenant\":\"acme\"}, or nothing for all
    GET    /_sim/state                                        what the page shows

A fault is {\"route\",\"tenant\",\"campaign\",\"skip\",\"times\",\"forMs\",\"effect\"}; only the effect is needed:
  route   any, token, stateGet, statePut, stats
  effect  {\"kind\":\"answer\",\"status\":503,\"retryAfter\":\"7\",\"body\":...,\"headers\":{...}}
          {\"kind\":\"hang\"}  {\"kind\":\"reset\"}  {\"kind\":\"truncated\"}  {\"kind\":\"delay\",\"ms\":3000}
          {\"kind\":\"redirect\",\"location\":URL}  {\"kind\":\"hugeBody\",\"mebibytes\":20}
          {\"kind\":\"unknownStatus\",\"word\":\"melting\"}
          {\"kind\":\"endlessPages\"}  {\"kind\":\"repeatingToken\"}  {\"kind\":\"missingActiveCalls\"}
          {\"kind\":\"lie\"}  {\"kind\":\"conflict\",\"applied\":false}
          {\"kind\":\"lostAnswer\",\"how\":\"reset\"|\"hang\"}  {\"kind\":\"late\",\"ms\":4000,\"lost\":\"reset\"|\"hang\"}

There is no authentication on the control API: listen where only you can reach it.";

/// A stand-in for CXone: same wire, faults on demand, a live page.
#[derive(Parser)]
#[command(version, after_long_help = HELP)]
struct Args {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    addr: SocketAddr,
    /// JSON file with tenants and campaigns. Without it: the tenant `acme` with three campaigns.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the built-in example as JSON, to begin a file of your own with, and exit.
    #[arg(long)]
    print_example: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line: a backtrace says nothing to who mistyped a flag.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    if args.print_example {
        println!("{}", serde_json::to_string_pretty(&SimulatorConfig::example())?);
        return Ok(());
    }
    let config = config(&args)?;
    let tenants = config.tenants.clone();
    let simulator =
        Simulator::start(config).await.with_context(|| format!("can't serve on {}", args.addr))?;
    introduce(&simulator.url(), &tenants);
    tokio::signal::ctrl_c().await?;
    Ok(())
}

fn config(args: &Args) -> anyhow::Result<SimulatorConfig> {
    let read = |path: &PathBuf| -> anyhow::Result<SimulatorConfig> {
        let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
        SimulatorConfig::from_json(&text).with_context(|| format!("{} is not accepted", path.display()))
    };
    let config = args.config.as_ref().map_or_else(|| Ok(SimulatorConfig::example()), read)?;
    Ok(SimulatorConfig { addr: args.addr, ..config })
}

fn introduce(url: &str, tenants: &[TenantConfig]) {
    println!("CXone simulator: {url}/ shows what happens; Ctrl-C ends it.\n");
    for tenant in tenants {
        let campaigns: Vec<_> = tenant.campaigns.keys().map(String::as_str).collect();
        println!("  tenant {}: base URL {url} or {url}/{}", tenant.organization, tenant.organization);
        println!("    client id {}, campaigns {}", tenant.client_id, campaigns.join(", "));
    }
    let Some((tenant, campaign)) =
        tenants.iter().find_map(|tenant| Some((tenant, tenant.campaigns.keys().next()?)))
    else {
        println!("  no campaigns yet; see --help for the control API");
        return;
    };
    let organization = &tenant.organization;
    println!(
        r#"
Try (the secret is in the config; the one of the built-in example is acme-secret):
  TOKEN=$(curl -s {url}/api/v2/oauth/token -d grant_type=client_credentials \
    -d client_id={client} -d client_secret=SECRET | sed 's/.*"access_token":"\([^"]*\).*/\1/')
  curl -H "Authorization: Bearer $TOKEN" {url}/api/v2/campaigns/outbound/{campaign}/state
  curl -H "Authorization: Bearer $TOKEN" '{url}/api/v2/campaigns/outbound/{campaign}/stats?pageSize=5'

  # somebody else pauses it
  curl {url}/_sim/tenants/{organization}/campaigns/{campaign}/outside -d '{{"status":"paused"}}'
  # the next two writes are applied, but their answers are lost
  curl {url}/_sim/faults -d '{{"route":"statePut","times":2,"effect":{{"kind":"lostAnswer","how":"reset"}}}}'
  # every request of the campaign gets 429 for ten seconds
  curl {url}/_sim/faults -d '{{"campaign":"{campaign}","forMs":10000,"effect":{{"kind":"answer","status":429,"retryAfter":"5"}}}}'
  curl -X DELETE {url}/_sim/faults
  curl '{url}/_sim/log?since=0&route=statePut'"#,
        client = tenant.client_id
    );
}
