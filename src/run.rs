//! `dialer-operator run`: wires the parts together and keeps them until a signal comes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use kube::Config;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

use crate::admin::{self, Readiness};
use crate::audit::Audit;
use crate::cli::{LogFormat, RunArgs};
use crate::control::{Context, Registry, supervise_campaigns, supervise_tenants};
use crate::kubernetes::{self, Kube};
use crate::metrics::Metrics;

/// How long writes under way may take to end after a signal.
const GRACE: Duration = Duration::from_secs(20);

/// Runs the operator.
///
/// # Errors
/// Where something it needs at start is not to be had, or a part of it has ended that must not.
pub fn run(args: RunArgs) -> Result<()> {
    start_logging(&args)?;
    end_the_process_on_panic();
    // Twice is an error; once is what makes every client use the same provider.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the async runtime can't be started")?;
    runtime.block_on(operate(args))
}

async fn operate(args: RunArgs) -> Result<()> {
    let client = connect().await?;
    let readiness = Arc::new(Readiness::default());
    let (metrics, registry) = Metrics::new();
    let listener = admin::bind(args.admin_addr).await?;
    let audit = Audit::open(args.audit_log()).with_context(|| {
        format!("--audit-log {} can't be written", args.audit_log().unwrap_or_default().display())
    })?;
    let namespace = args.watch_namespace();
    let (declarations, campaign_changes) = kubernetes::declarations(client.clone(), namespace);
    let (tenants, tenant_changes) = kubernetes::tenants(client.clone(), namespace);
    let (wake, asked) = mpsc::unbounded_channel();
    let (wake_tenant, tenants_asked) = mpsc::unbounded_channel();
    let ctx = Arc::new(Context {
        kube: Kube::new(client.clone(), instance()),
        audit,
        metrics,
        readiness: readiness.clone(),
        registry: Registry::new(client, args.allow_list(), args.proxy()?),
        claims: Default::default(),
        board: Default::default(),
        declarations,
        tenants,
        deeds: watch::Sender::new(()),
        wake,
    });
    tell_start(&args, listener.local_addr().unwrap_or(args.admin_addr));

    let (stop, stopping) = watch::channel(false);
    let campaigns =
        supervise_campaigns(ctx.clone(), campaign_changes, asked, wake_tenant, until(stopping.clone()));
    let tenants = supervise_tenants(ctx.clone(), tenant_changes, tenants_asked, until(stopping));
    let mut parts = tokio::task::JoinSet::new();
    parts.spawn(campaigns);
    parts.spawn(tenants);
    let server = tokio::spawn(admin::serve(listener, readiness, registry));

    tokio::select! {
        signal = stop_signal() => info!("{} received: ending writes under way", signal?),
        _ = parts.join_next() => bail!("a part of the operator ended that must not; see the log above"),
        served = server => bail!("the admin server ended: {served:?}"),
    }
    let _ = stop.send(true);
    // What only reads is left: nothing is lost with it, and no close is made until the next process runs.
    if tokio::time::timeout(GRACE, ctx.deeds.closed()).await.is_err() {
        warn!("writes under way did not end within {GRACE:?}; leaving them to the next process");
    }
    Ok(())
}

async fn connect() -> Result<kube::Client> {
    // The causes are left out: a kubeconfig that can't be parsed is quoted in them, its token included.
    let mut config = Config::infer().await.map_err(|_| {
        anyhow!("no cluster: neither a kubeconfig (KUBECONFIG, ~/.kube/config) that can be read nor a pod's service account")
    })?;
    // The queue retries; a hidden retry of minutes inside a call would hold a pass.
    config.default_retry = false;
    kube::Client::try_from(config).context("the cluster's address or credentials can't be used")
}

fn tell_start(args: &RunArgs, admin: std::net::SocketAddr) {
    info!(
        version = env!("CARGO_PKG_VERSION"),
        zone_database = rules::zones::version(),
        namespace = args.watch_namespace().unwrap_or("(all)"),
        %admin,
        "dialer-operator starts"
    );
}

fn instance() -> String {
    // The pod's name in a cluster; the name is only shown.
    std::env::var("HOSTNAME")
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "dialer-operator".to_owned())
}

async fn until(mut stopping: watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn stop_signal() -> Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM can't be listened for")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT can't be listened for")?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}

fn start_logging(args: &RunArgs) -> Result<()> {
    let filter = EnvFilter::try_new(&args.log_level).with_context(|| {
        format!("--log-level {:?} is not a filter such as `info` or `dialer_operator=debug`", args.log_level)
    })?;
    let base = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match args.log_format {
        LogFormat::Text => base.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => base.json().init(),
    }
    Ok(())
}

/// A panic anywhere means a defect: the process ends at once and is started anew, rather than go on without one of its tasks.
fn end_the_process_on_panic() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        default(info);
        std::process::abort();
    }));
}
