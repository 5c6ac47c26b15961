use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use reqwest::blocking::Client;
use reqwest::{Certificate, StatusCode};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::assets;
use crate::certificates::Certificates;
use crate::logs::tail;
use crate::progress::{Progress, in_words};
use crate::servers::{Layout, free_port};
use crate::users::{Account, User};
use crate::watchdog::Watched;

/// How often another port is tried where someone else took the one that was free.
const ATTEMPTS: usize = 5;
/// How long to wait between two questions whether the API server is ready.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How much of a log an error shows, in lines.
const SHOWN: usize = 15;

/// What a cluster is to be like.
#[derive(Debug, Clone)]
pub struct Options {
    /// Users beside the administrator. They may do nothing until RBAC grants it.
    pub users: Vec<User>,
    /// Further arguments of kube-apiserver, such as `--event-ttl=10s`. The last one of a kind wins.
    pub apiserver_args: Vec<String>,
    /// How long the servers may take until they are ready, once the programs are there. Default: 2 minutes.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { users: Vec::new(), apiserver_args: Vec::new(), timeout: Duration::from_secs(120) }
    }
}

/// A running etcd and kube-apiserver. Both end, and their folder goes, when it is dropped and when the
/// process that holds it ends, in whatever way.
#[derive(Debug)]
pub struct Cluster {
    apiserver: Watched,
    etcd: Watched,
    layout: Layout,
    server: String,
    kubeconfig: PathBuf,
    accounts: Vec<Account>,
    ca_pem: String,
    /// Removed by the watchdogs already; this is for a start that fails before there are any.
    _folder: TempDir,
}

impl Cluster {
    /// Starts a cluster and returns when it serves: `/readyz` is ok and the namespace `default` exists. Blocks;
    /// may be called from anywhere, also within a tokio runtime.
    ///
    /// # Errors
    /// Where the programs can't be had (see [`assets`]), or the servers end or are not ready in time; the
    /// error then shows the end of their logs.
    pub fn start(options: &Options) -> Result<Self> {
        let programs = Programs::find()?;
        let _progress = Progress::start("starting etcd and kube-apiserver");
        for _ in 0..ATTEMPTS {
            let cluster = Self::launch(&programs, options)?;
            match cluster.wait_until_ready(options.timeout) {
                Ok(()) => return Ok(cluster),
                Err(_) if cluster.lost_its_port() => {}
                Err(error) => return Err(error),
            }
        }
        bail!(
            "each of {ATTEMPTS} free ports was taken by others before kube-apiserver could listen: try again"
        )
    }

    /// The administrator's kubeconfig, which holds the CA and the token.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The kubeconfig of one of [`Options::users`].
    pub fn kubeconfig_of(&self, user: &str) -> Option<PathBuf> {
        let number = self.accounts.iter().position(|account| account.user.name == user)?;
        Some(self.layout.kubeconfig(number))
    }

    /// Where the API server listens, such as `https://127.0.0.1:40123`.
    pub fn server_url(&self) -> &str {
        &self.server
    }

    /// The bearer token of a member of `system:masters`.
    pub fn admin_token(&self) -> &str {
        &self.accounts[0].token
    }

    /// The bearer token of one of [`Options::users`].
    pub fn token_of(&self, user: &str) -> Option<&str> {
        self.accounts.iter().find(|account| account.user.name == user).map(|account| account.token.as_str())
    }

    /// The certificate of the authority that signed the API server's own, in PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The folder that holds data and logs. It goes with the cluster.
    pub fn folder(&self) -> &Path {
        self.layout.folder()
    }

    /// The process ids of etcd and of kube-apiserver.
    pub fn pids(&self) -> [i32; 2] {
        [&self.etcd, &self.apiserver].map(|server| server.pid().as_raw_nonzero().get())
    }

    /// Stops the API server where it is: connections stay open, and nothing is answered.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn freeze_apiserver(&self) -> Result<()> {
        self.apiserver.signal(Signal::STOP).context("can't freeze kube-apiserver")
    }

    /// Lets a frozen API server go on.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn thaw_apiserver(&self) -> Result<()> {
        self.apiserver.signal(Signal::CONT).context("can't thaw kube-apiserver")
    }

    /// Whether both servers still run.
    ///
    /// # Errors
    /// Where one has ended, with the end of its log.
    pub fn check(&self) -> Result<()> {
        let etcd = ("etcd", &self.etcd, self.layout.etcd_log());
        let apiserver = ("kube-apiserver", &self.apiserver, self.layout.apiserver_log());
        for (name, server, log) in [etcd, apiserver] {
            if let Some(status) = server.exited()? {
                bail!("{name} has ended by itself ({status}). It said at last:\n{}", tail(&log, SHOWN));
            }
        }
        Ok(())
    }

    /// Ends both servers and removes their folder. Dropping does the same and keeps quiet about failures.
    ///
    /// # Errors
    /// Where the servers can't be waited for.
    pub fn stop(mut self) -> Result<()> {
        self.let_go();
        self.apiserver.end()?;
        self.etcd.end()
    }

    /// Both end at the same time rather than one after the other.
    fn let_go(&mut self) {
        self.apiserver.let_go();
        self.etcd.let_go();
    }

    fn launch(programs: &Programs, options: &Options) -> Result<Self> {
        let folder =
            tempfile::Builder::new().prefix("devcluster-").tempdir().context("can't create a folder")?;
        let layout = Layout::new(folder.path())?;
        let port = free_port()?;
        let server = format!("https://127.0.0.1:{port}");
        let certificates = Certificates::generate()?;
        let users = options.users.iter().cloned().map(Account::new);
        let accounts = std::iter::once(Account::admin()).chain(users).collect::<Result<Vec<_>>>()?;
        layout.write(&certificates, &accounts, &server)?;
        let etcd = Watched::spawn(&mut layout.etcd(&programs.etcd))?;
        let apiserver =
            Watched::spawn(&mut layout.apiserver(&programs.apiserver, port, &options.apiserver_args))?;
        let kubeconfig = layout.kubeconfig(0);
        Ok(Self {
            apiserver,
            etcd,
            layout,
            server,
            kubeconfig,
            accounts,
            ca_pem: certificates.ca,
            _folder: folder,
        })
    }

    /// Whether someone else listened on our port between the moment it was free and our use of it.
    fn lost_its_port(&self) -> bool {
        tail(&self.layout.apiserver_log(), SHOWN).contains("address already in use")
    }

    /// The blocking client must not run on a thread of an async runtime, so it gets one of its own.
    fn wait_until_ready(&self, timeout: Duration) -> Result<()> {
        let polled = thread::scope(|scope| scope.spawn(|| self.poll_until_ready(timeout)).join());
        polled.map_err(|_| anyhow!("the thread that waits for the cluster has panicked"))?
    }

    fn poll_until_ready(&self, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        let client = self.client()?;
        while !self.is_ready(&client) {
            self.check()?;
            if Instant::now() > deadline {
                bail!("{}", self.too_slow(timeout));
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    fn is_ready(&self, client: &Client) -> bool {
        ["/readyz", "/api/v1/namespaces/default"].iter().all(|path| {
            let request = client.get(format!("{}{path}", self.server)).bearer_auth(self.admin_token());
            request.send().is_ok_and(|answer| answer.status() == StatusCode::OK)
        })
    }

    fn client(&self) -> Result<Client> {
        let ca = Certificate::from_pem(self.ca_pem.as_bytes())?;
        let client = Client::builder().tls_certs_only([ca]).no_proxy().timeout(Duration::from_secs(5));
        client.build().context("can't create an HTTPS client")
    }

    fn too_slow(&self, timeout: Duration) -> String {
        format!(
            "the cluster was not ready after {}: is the machine very busy? etcd said at last:\n{}\nand kube-apiserver:\n{}",
            in_words(timeout),
            tail(&self.layout.etcd_log(), SHOWN),
            tail(&self.layout.apiserver_log(), SHOWN)
        )
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.let_go();
    }
}

struct Programs {
    etcd: PathBuf,
    apiserver: PathBuf,
}

impl Programs {
    fn find() -> Result<Self> {
        Ok(Self { etcd: assets::ETCD.path()?, apiserver: assets::KUBE_APISERVER.path()? })
    }
}
