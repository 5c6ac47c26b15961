//! `dialer-operator run`: wires the parts together and keeps them until a signal comes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use futures::{StreamExt, stream};
use kube::Config;
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};
use tracing_appender::non_blocking::NonBlocking;

use crate::admin::{self, List, Readiness};
use crate::audit::Audit;
use crate::cli::RunArgs;
use crate::clock;
use crate::control::{
    Context, PolicyBook, Registry, supervise_campaigns, supervise_policies, supervise_policy_status,
    supervise_tenants,
};
use crate::kubernetes::{self, Kube};
use crate::logging::Log;
use crate::metrics::{self, Metrics};

/// How long writes under way may take to end after a signal.
const GRACE: Duration = Duration::from_secs(20);
/// How long audit lines that are queued may take to be written at the end.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);
/// How long the process may take to end when nothing is left to do: standard error may take no more.
const END_WITHIN: Duration = Duration::from_secs(2);
/// After a panic that long is left for telling it.
const TELL_PANIC_WITHIN: Duration = Duration::from_secs(1);

/// Runs the operator.
///
/// # Errors
/// Where something it needs at start is not to be had, or a part of it has ended that must not.
pub fn run(args: RunArgs) -> Result<()> {
    let log = Log::start(&args)?;
    end_the_process_on_panic();
    leave_no_core();
    // Twice is an error; once is what makes every client use the same provider.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the async runtime can't be started")?;
    let result = runtime.block_on(operate(args, log.writer()));
    end_the_process_within(END_WITHIN, if result.is_ok() { 0 } else { 1 });
    drop(runtime);
    log.end();
    result
}

async fn operate(args: RunArgs, echo: NonBlocking) -> Result<()> {
    anyhow::ensure!(
        !(args.no_policies && args.require_policy),
        "--no-policies and --require-policy exclude each other: hours can't come from policies that are not read"
    );
    let config = kubernetes::cluster().await?;
    let (client, watching) = (connect(config.clone())?, connect(kubernetes::for_watching(&config))?);
    let readiness = Arc::new(Readiness::default());
    let (metrics, mut registry) = Metrics::new();
    let listener = admin::bind(args.admin_addr).await?;
    let audit = Audit::open(args.audit_log(), args.rotation(), echo).with_context(|| {
        format!("--audit-log {} can't be written", args.audit_log().unwrap_or_default().display())
    })?;
    metrics::register_heads(&mut registry, audit.heads());
    let namespace = args.watch_namespace();
    let (declarations, campaign_changes) = kubernetes::declarations(watching.clone(), namespace);
    let (tenants, tenant_changes) = kubernetes::tenants(watching.clone(), namespace);
    let (policy_changes, namespace_changes) = if args.no_policies {
        readiness.listed(List::Policies);
        readiness.listed(List::Namespaces);
        (stream::pending().left_stream(), stream::pending().left_stream())
    } else {
        let policies = kubernetes::policies(watching.clone()).right_stream();
        (policies, kubernetes::namespaces(watching, namespace).right_stream())
    };
    let (wake, asked) = mpsc::unbounded_channel();
    let (wake_tenant, tenants_asked) = mpsc::unbounded_channel();
    let ctx = Arc::new(Context {
        kube: Kube::new(client.clone(), instance()),
        audit,
        metrics,
        readiness: readiness.clone(),
        registry: Registry::new(client, args.allow_list(), args.sinks(), args.proxy()?),
        claims: Default::default(),
        board: Default::default(),
        declarations,
        tenants,
        policies: policy_book(&args),
        policies_changed: Default::default(),
        deeds: watch::Sender::new(()),
        wake,
    });
    tell_start(&args, listener.local_addr().unwrap_or(args.admin_addr));

    let (stop, stopping) = watch::channel(false);
    let campaigns =
        supervise_campaigns(ctx.clone(), campaign_changes, asked, wake_tenant, until(stopping.clone()));
    let tenants = supervise_tenants(ctx.clone(), tenant_changes, tenants_asked, until(stopping.clone()));
    let policies =
        supervise_policies(ctx.clone(), policy_changes, namespace_changes, until(stopping.clone()));
    let mut parts = tokio::task::JoinSet::new();
    parts.spawn(campaigns);
    parts.spawn(tenants);
    parts.spawn(policies);
    if namespace.is_none() {
        // Who sees one namespace alone can't count the campaigns of all.
        parts.spawn(supervise_policy_status(ctx.clone(), until(stopping)));
    }
    let server = tokio::spawn(admin::serve(listener, readiness, registry));

    let ended = tokio::select! {
        signal = stop_signal() => signal.map(|signal| info!("{signal} received: ending writes under way")),
        _ = parts.join_next() => Err(anyhow!("a part of the operator ended that must not; see the log above")),
        served = server => Err(anyhow!("the admin server ended: {served:?}")),
    };
    if ended.is_err() {
        ctx.audit.flush(FLUSH_WITHIN).await;
        return ended;
    }
    let _ = stop.send(true);
    // What only reads is left: nothing is lost with it, and no close is made until the next process runs.
    if tokio::time::timeout(GRACE, ctx.deeds.closed()).await.is_err() {
        warn!("writes under way did not end within {GRACE:?}; leaving them to the next process");
    }
    ctx.audit.flush(FLUSH_WITHIN).await;
    Ok(())
}

fn connect(config: Config) -> Result<kube::Client> {
    kube::Client::try_from(config).context("the cluster's address or credentials can't be used")
}

fn policy_book(args: &RunArgs) -> PolicyBook {
    if args.no_policies {
        PolicyBook::without()
    } else {
        PolicyBook::new(args.require_policy, clock::now().mono)
    }
}

fn tell_start(args: &RunArgs, admin: std::net::SocketAddr) {
    info!(
        version = env!("CARGO_PKG_VERSION"),
        zone_database = rules::zones::version(),
        namespace = args.watch_namespace().unwrap_or("(all)"),
        policies = if args.no_policies { "none" } else if args.require_policy { "required" } else { "apply" },
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

/// Ends the process even where the last words can't be told because standard error takes no more.
fn end_the_process_within(patience: Duration, code: i32) {
    std::thread::spawn(move || {
        std::thread::sleep(patience);
        std::process::exit(code);
    });
}

/// What an abort leaves behind would hold credentials and tokens.
fn leave_no_core() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // Only raising a limit can be refused.
    let _ = setrlimit(Resource::Core, none);
}

/// A panic anywhere means a defect: the process ends at once and is started anew, rather than go on without one of its tasks.
fn end_the_process_on_panic() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        // Standard error may take no more.
        std::thread::spawn(|| {
            std::thread::sleep(TELL_PANIC_WITHIN);
            std::process::abort();
        });
        default(info);
        std::process::abort();
    }));
}
