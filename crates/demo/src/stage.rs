//! Everything that the demo plays with, and how it is set up.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use devcluster::{Cluster, Options};
use jiff::Timestamp;
use simulator::{
    CallsConfig, CampaignConfig, Drain, Simulator, SimulatorConfig, State, StatsConfig, TenantConfig,
};
use tempfile::TempDir;

use crate::cluster_view::ClusterView;
use crate::kubectl::Kubectl;
use crate::manifests::Manifests;
use crate::operator::Operator;
use crate::tell;

/// The organization of the demo's tenant.
pub const ORG: &str = "acme";
/// Where the stand-in of CXone listens, where that port is free.
const PORT: u16 = 8080;
/// How long the operator may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// All parts of the demo. Dropping it ends them in this order.
pub struct Stage {
    /// The operator under show.
    pub operator: Operator,
    /// CXone, simulated.
    pub sim: Simulator,
    /// A person's kubectl.
    pub kubectl: Kubectl,
    /// The manifests as files.
    pub manifests: Manifests,
    /// What the API server says.
    pub view: ClusterView,
    /// Held so that it serves.
    cluster: Cluster,
    folder: TempDir,
}

impl Stage {
    /// Sets everything up, and tells what is being done.
    ///
    /// # Errors
    /// Where a part can't be had.
    pub async fn set_up(operator: &Path) -> Result<Self> {
        tell::heading("Setting up");
        tell::prose(
            "A real Kubernetes API server, the real operator, and a simulated CXone, all on this machine. The first \
             time Kubernetes is built from source, which takes some minutes.",
        );
        tell::gap();
        let program = find_operator(operator)?;
        let cluster = start_cluster().await?;
        let folder =
            tempfile::Builder::new().prefix("dialer-demo-").tempdir().context("can't create a folder")?;
        let kubectl = find_kubectl(&cluster, folder.path()).await?;
        let view = ClusterView::of(&cluster)?;
        install_kinds(&kubectl, &view, &program).await?;
        let sim = start_simulator().await?;
        let operator = start_operator(&program, &cluster, &sim, folder.path()).await?;
        let manifests = Manifests::write(folder.path(), &sim.url(), Timestamp::now())?;
        let stage = Self { operator, sim, kubectl, manifests, view, cluster, folder };
        stage.tell_where();
        Ok(stage)
    }

    /// The folder with manifests, log and audit record.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The kubeconfig of the demo's own cluster.
    pub fn kubeconfig(&self) -> &Path {
        self.cluster.kubeconfig()
    }

    /// Leaves the folder behind, so that log and audit record can be read after the end.
    pub fn keep_folder(&mut self) -> PathBuf {
        self.folder.disable_cleanup(true);
        self.folder.path().to_owned()
    }

    /// Waits for as long as all of it runs.
    ///
    /// # Errors
    /// Where a part has ended by itself.
    pub async fn stay_up(&self) -> Result<()> {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.cluster.check()?;
            self.operator
                .check()
                .with_context(|| format!("its log ends with:\n{}", self.operator.last_words()))?;
        }
    }

    fn tell_where(&self) {
        tell::gap();
        tell::fact("files", self.folder().display());
        tell::fact("", "manifests *.yaml, the operator's log operator.log, its audit record audit.jsonl");
        tell::fact("page", format!("{}/ shows the campaigns live: open it in a browser", self.sim.url()));
    }
}

fn find_operator(operator: &Path) -> Result<PathBuf> {
    let advice = "build it: cargo build --bin dialer-operator";
    ensure!(operator.is_file(), "no operator at {}: {advice}", operator.display());
    Ok(std::path::absolute(operator)?)
}

async fn start_cluster() -> Result<Cluster> {
    let since = Instant::now();
    let started = tokio::task::spawn_blocking(|| Cluster::start(&Options::default())).await?;
    let cluster = started.context("no Kubernetes API server could be started")?;
    tell::done(&format!("a Kubernetes API server of its own at {}", cluster.server_url()), since.elapsed());
    Ok(cluster)
}

async fn find_kubectl(cluster: &Cluster, folder: &Path) -> Result<Kubectl> {
    let since = Instant::now();
    let (kubeconfig, folder) = (cluster.kubeconfig().to_owned(), folder.to_owned());
    let kubectl = tokio::task::spawn_blocking(move || Kubectl::find(&kubeconfig, &folder)).await??;
    tell::done(&format!("kubectl: {}", kubectl.program().display()), since.elapsed());
    Ok(kubectl)
}

/// `dialer-operator crd | kubectl apply -f -`
async fn install_kinds(kubectl: &Kubectl, view: &ClusterView, operator: &Path) -> Result<()> {
    let since = Instant::now();
    let mut command = std::process::Command::new(operator);
    let printed = tokio::task::spawn_blocking(move || command.arg("crd").output()).await?;
    let printed = printed.with_context(|| format!("can't run {}", operator.display()))?;
    let said = String::from_utf8_lossy(&printed.stderr);
    ensure!(printed.status.success(), "`dialer-operator crd` failed ({}): {}", printed.status, said.trim());
    kubectl.run(&["apply", "-f", "-"], &String::from_utf8_lossy(&printed.stdout)).await?;
    kubectl.run(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"], "").await?;
    warm_up(view).await?;
    tell::done("the operator's kinds: dialer-operator crd | kubectl apply -f -", since.elapsed());
    Ok(())
}

/// The server works out its description of all kinds when it is first asked after a change. A real cluster did so long ago;
/// here it would be counted against the first edit.
async fn warm_up(view: &ClusterView) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline
        && !view.describes(&["DialerCampaignState", "CXoneTenant", "DialingPolicy"]).await?
    {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn start_simulator() -> Result<Simulator> {
    let since = Instant::now();
    let sim = match Simulator::start(furnished(PORT)).await {
        Err(error) if error.kind() == ErrorKind::AddrInUse => Simulator::start(furnished(0)).await,
        started => started,
    };
    let sim = sim.context("the simulated CXone can't listen on 127.0.0.1")?;
    tell::done(&format!("a simulated CXone at {}/", sim.url()), since.elapsed());
    Ok(sim)
}

/// A tenant with three campaigns, one of them dialing.
fn furnished(port: u16) -> SimulatorConfig {
    let campaign = |name: &str, state, target| CampaignConfig {
        name: Some(name.into()),
        state: Some(state),
        active_calls: Some(CallsConfig {
            target: Some(target),
            drain: Some(Drain::CallsPerSecond(20.0)),
            ..CallsConfig::default()
        }),
        stats: Some(StatsConfig { rows: Some(240), ..StatsConfig::default() }),
    };
    let acme = TenantConfig::new(ORG)
        .campaign("c-7731", campaign("Winter renewals", State::Running, 120))
        .campaign("c-7732", campaign("Payment reminders", State::Paused, 60))
        .campaign("c-7733", campaign("Survey, East", State::Paused, 40));
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    SimulatorConfig { addr, tenants: vec![acme], ..SimulatorConfig::default() }
}

async fn start_operator(
    program: &Path,
    cluster: &Cluster,
    sim: &Simulator,
    folder: &Path,
) -> Result<Operator> {
    let since = Instant::now();
    let operator = Operator::start(program, cluster.kubeconfig(), &sim.url(), folder)?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{}/readyz", operator.admin());
    while !client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
        let late = since.elapsed() > READY_WITHIN;
        let checked = operator.check().and_then(|()| {
            ensure!(!late, "the operator was not ready within {} s", READY_WITHIN.as_secs());
            Ok(())
        });
        checked.with_context(|| format!("its log ends with:\n{}", operator.last_words()))?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tell::done("the operator is ready", since.elapsed());
    Ok(operator)
}
