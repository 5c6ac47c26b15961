//! The command line. Every flag of `run` has an environment variable `DIALER_...`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::anyhow;
use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use cxone::{AllowEntry, AllowList};
use url::Url;

use crate::audit::AuditCommand;
use crate::explain::{PlanArgs, WhyArgs};

/// Keeps NICE CXone outbound campaigns in the state that Kubernetes objects declare.
///
/// A stop always goes through; a start needs every gate green on fresh facts.
#[derive(Parser)]
#[command(version = version(), about, long_about)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run the operator against the cluster of the current kubeconfig, or of the pod it runs in.
    Run(Box<RunArgs>),
    /// Print the CustomResourceDefinitions as YAML: `dialer-operator crd | kubectl apply -f -`.
    Crd(CrdArgs),
    /// Foretell what the operator will do in the coming days, for a manifest or a live campaign; writes nothing.
    Plan(Box<PlanArgs>),
    /// Explain why a campaign dials or does not: every gate, its rule, and what happens next; writes nothing.
    Why(Box<WhyArgs>),
    /// Verify the audit record, or find lines in it; writes nothing.
    #[command(subcommand)]
    Audit(AuditCommand),
}

#[derive(Args)]
#[command(after_help = "\
Logs go to standard error. The audit record goes to standard output as JSON lines, and to --audit-log too where it is given.

Examples:
  dialer-operator run                                         every namespace, CXone's own hosts only
  dialer-operator run --watch-namespace sales                 one namespace, with rights in it alone
  dialer-operator run --allow-endpoint http://127.0.0.1:8080  a stand-in on this machine, plain http")]
pub struct RunArgs {
    /// Watch this namespace alone (default: all).
    #[arg(long, env = "DIALER_WATCH_NAMESPACE", value_name = "NAMESPACE")]
    pub watch_namespace: Option<OrEmpty<String>>,
    /// Where /livez, /readyz and /metrics are served.
    #[arg(long, env = "DIALER_ADMIN_ADDR", value_name = "HOST:PORT", default_value = "127.0.0.1:8081")]
    pub admin_addr: SocketAddr,
    /// Append the audit record to this file too. Starts are held while it can't be written.
    #[arg(long, env = "DIALER_AUDIT_LOG", value_name = "FILE")]
    pub audit_log: Option<OrEmpty<PathBuf>>,
    /// A file of the audit record that would grow beyond this is put by under a name of its own; none is ever deleted. From 1MiB to 16GiB.
    #[arg(long, env = "DIALER_AUDIT_LOG_MAX_SIZE", value_name = "SIZE", default_value = "64MiB", value_parser = audit::size)]
    pub audit_log_max_size: u64,
    /// The same for a file whose first line is that old when the next is written. From 1m to 3660d.
    #[arg(long, env = "DIALER_AUDIT_LOG_MAX_AGE", value_name = "TIME", default_value = "7d", value_parser = audit::age)]
    pub audit_log_max_age: Duration,
    /// How logs look.
    #[arg(long, env = "DIALER_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug or trace, or a filter such as `info,dialer_operator=debug`. kube's client is
    /// silent unless it is named (`info,kube_client=warn`).
    #[arg(long, env = "DIALER_LOG_LEVEL", value_name = "FILTER", default_value = "info")]
    pub log_level: String,
    /// A host besides *.my.cxone.com that tenants may name: HOST[:PORT] by https, http://HOST[:PORT] by plain http.
    /// Repeatable, or separated by commas.
    #[arg(long, env = "DIALER_ALLOW_ENDPOINT", value_name = "HOST[:PORT]", value_delimiter = ',')]
    pub allow_endpoint: Vec<OrEmpty<AllowEntry>>,
    /// A host that tenants may name in `workforce` and `agentPool`: HOST[:PORT] by https, http://HOST[:PORT] by plain http. No
    /// other gets a notification. Repeatable, or separated by commas.
    #[arg(long, env = "DIALER_ALLOW_SINK", value_name = "HOST[:PORT]", value_delimiter = ',')]
    pub allow_sink: Vec<OrEmpty<AllowEntry>>,
    /// Live without DialingPolicies: neither they nor namespaces are watched, and the campaigns' own hours suffice.
    #[arg(long, env = "DIALER_NO_POLICIES", value_parser = FalseyValueParser::new())]
    pub no_policies: bool,
    /// Hours must come from a DialingPolicy: a campaign's own never suffice.
    #[arg(long, env = "DIALER_REQUIRE_POLICY", value_parser = FalseyValueParser::new())]
    pub require_policy: bool,
    /// Reach CXone and the sinks through this proxy. The environment's proxy variables are never used.
    #[arg(long, env = "DIALER_PROXY", hide_env_values = true, value_name = "URL")]
    pub proxy: Option<String>,
}

impl RunArgs {
    /// The one namespace to watch.
    pub fn watch_namespace(&self) -> Option<&str> {
        self.watch_namespace.as_ref()?.0.as_deref()
    }

    /// The file of the audit record.
    pub fn audit_log(&self) -> Option<PathBuf> {
        self.audit_log.as_ref()?.0.clone()
    }

    /// When a file of the audit record is put by.
    pub fn rotation(&self) -> audit::Rotation {
        audit::Rotation { max_size: self.audit_log_max_size, max_age: self.audit_log_max_age }
    }

    /// The hosts that tenants may name.
    pub fn allow_list(&self) -> AllowList {
        AllowList::new(self.allow_endpoint.iter().filter_map(|entry| entry.0.clone()).collect())
    }

    /// The hosts that tenants may name as sinks.
    pub fn sinks(&self) -> AllowList {
        AllowList::only(self.allow_sink.iter().filter_map(|entry| entry.0.clone()).collect())
    }

    /// The proxy's address.
    ///
    /// # Errors
    /// Where it is none; the text is not repeated, since it may hold a password.
    pub fn proxy(&self) -> anyhow::Result<Option<Url>> {
        let given = self.proxy.as_deref().filter(|text| !text.is_empty());
        given
            .map(Url::parse)
            .transpose()
            .map_err(|error| anyhow!("--proxy is not a URL such as http://proxy.example:3128: {error}"))
    }
}

/// A value that may be given as nothing: manifests set empty environment variables to mean none.
#[derive(Clone, Debug)]
pub struct OrEmpty<T>(pub Option<T>);

impl<T: FromStr> FromStr for OrEmpty<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(|value| Self(Some(value))) }
    }
}

#[derive(Args)]
pub struct CrdArgs {
    /// Write one file for each kind into this folder instead of printing.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One readable line each.
    Text,
    /// One JSON object each.
    Json,
}

fn version() -> String {
    format!("{} (zone database {})", env!("CARGO_PKG_VERSION"), rules::zones::version())
}
