use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::certificates::Certificates;
use crate::users::Account;
use crate::watchdog::watched;

/// The folder of one cluster, and what lies where in it.
#[derive(Debug, Clone)]
pub(crate) struct Layout(PathBuf);

const ETCD_SOCKET: &str = "etcd.sock";
/// How long the path of a Unix socket may be on every platform, in bytes.
const LONGEST_SOCKET: usize = 103;

impl Layout {
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let layout = Self(folder.to_owned());
        let socket = layout.file(ETCD_SOCKET);
        let fits = socket.as_os_str().len() <= LONGEST_SOCKET;
        ensure!(
            fits,
            "the path of etcd's socket, {}, is too long: set TMPDIR to a shorter one",
            socket.display()
        );
        Ok(layout)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    pub(crate) fn etcd_log(&self) -> PathBuf {
        self.0.join("etcd.log")
    }

    pub(crate) fn apiserver_log(&self) -> PathBuf {
        self.0.join("kube-apiserver.log")
    }

    /// The kubeconfig of the user with this number; the administrator is number 0.
    pub(crate) fn kubeconfig(&self, user: usize) -> PathBuf {
        if user == 0 { self.0.join("kubeconfig") } else { self.0.join(format!("kubeconfig-{user}")) }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes all that the servers and their clients read.
    pub(crate) fn write(
        &self,
        certificates: &Certificates,
        accounts: &[Account],
        server: &str,
    ) -> Result<()> {
        let tokens: String = accounts.iter().map(Account::token_line).collect();
        let mut files = vec![
            (self.file("tokens.csv"), tokens),
            (self.file("apiserver.crt"), certificates.serving.clone()),
            (self.file("apiserver.key"), certificates.serving_key.clone()),
            (self.file("service-account.key"), certificates.account_key.clone()),
            (self.file("service-account.pub"), certificates.account_public_key.clone()),
        ];
        for (number, account) in accounts.iter().enumerate() {
            files.push((self.kubeconfig(number), account.kubeconfig(server, &certificates.ca)));
        }
        for (path, text) in files {
            fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))?;
        }
        Ok(())
    }

    /// The API server reaches etcd by a socket in our folder: no port to race for, and nobody else can connect.
    fn etcd_url(&self) -> String {
        format!("unix://{}", self.file(ETCD_SOCKET).display())
    }

    /// An etcd that trades the safety of its data for speed.
    pub(crate) fn etcd(&self, program: &Path) -> Command {
        let mut command = watched(program, &self.0, &self.etcd_log());
        command
            .args(["--name=devcluster", "--log-level=warn", "--unsafe-no-fsync"])
            .arg(format!("--data-dir={}", self.file("etcd").display()))
            .arg(format!("--listen-client-urls={}", self.etcd_url()))
            // Etcd wants both; nobody else ever connects, so the kernel may choose.
            .args(["--advertise-client-urls=http://127.0.0.1:0", "--listen-peer-urls=http://127.0.0.1:0"]);
        command
    }

    /// An API server as a real one is, with RBAC, but for what needs controllers that do not run here.
    pub(crate) fn apiserver(&self, program: &Path, port: u16, extra: &[String]) -> Command {
        let mut command = watched(program, &self.0, &self.apiserver_log());
        let path = |flag: &str, file: &str| format!("--{flag}={}", self.file(file).display());
        command
            .arg(format!("--etcd-servers={}", self.etcd_url()))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            .arg(format!("--secure-port={port}"))
            .arg(path("cert-dir", "certificates"))
            .arg(path("tls-cert-file", "apiserver.crt"))
            .arg(path("tls-private-key-file", "apiserver.key"))
            .arg(path("token-auth-file", "tokens.csv"))
            .arg("--authorization-mode=RBAC")
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg(path("service-account-key-file", "service-account.pub"))
            .arg(path("service-account-signing-key-file", "service-account.key"))
            .arg("--service-cluster-ip-range=10.0.0.0/24")
            // Nobody reaches the API server through its Service, and a loopback endpoint is refused.
            .arg("--endpoint-reconciler-type=none")
            // It refuses pods until a controller has made the namespace's default account.
            .arg("--disable-admission-plugins=ServiceAccount")
            .arg("--profiling=false")
            .args(extra);
        command
    }
}

/// A port of 127.0.0.1 that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_too_deep_for_a_socket_is_refused_with_advice() {
        assert!(Layout::new(Path::new("/tmp/devcluster-abcdef")).is_ok());
        let deep = format!("/tmp/{}", "deep/".repeat(20));
        assert!(Layout::new(Path::new(&deep)).unwrap_err().to_string().contains("set TMPDIR"));
    }
}
