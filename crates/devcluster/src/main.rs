//! The command `devcluster`: a real Kubernetes API server on this machine, without a container engine.

mod commands;
mod named;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::named::Name;

const EXAMPLES: &str = "\
Examples:
  devcluster up                             a cluster until Ctrl-C
  eval \"$(devcluster up --detach)\"          one in the background, and kubectl in this shell talks to it
  kubectl get namespaces
  devcluster down                           ends it

  alias k=\"$(devcluster build kubectl)\"     a kubectl, where there is none

etcd and kube-apiserver are built from source the first time, which takes some minutes and needs Go 1.26 and its
module proxy. To use ready ones, set KUBEBUILDER_ASSETS to a folder with both. Your own ~/.kube/config and its
current context are never touched.

Nothing acts on what is stored: no controllers, no scheduler, no nodes. Pods stay pending, a deleted namespace
stays Terminating.";

/// A real Kubernetes API server on this machine, without a container engine.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a cluster and print how to reach it
    ///
    /// Stdout gets one line, `export KUBECONFIG=...`; all else goes to stderr. The cluster is empty at each
    /// start, and ends with this command, even if it is killed.
    Up {
        #[command(flatten)]
        name: NameArgument,
        /// Leave the cluster running in the background; `devcluster down` ends it
        #[arg(long)]
        detach: bool,
        /// The background half of `--detach`
        #[arg(long, hide = true, conflicts_with = "detach")]
        background: bool,
    },
    /// End a cluster, in the foreground or the background
    Down {
        #[command(flatten)]
        name: NameArgument,
    },
    /// Show the clusters that run and how to reach them
    Status,
    /// Build programs ahead of use, and print their paths on stdout
    Build {
        /// What to build, by name; a wrong one tells which there are [default: all]
        assets: Vec<String>,
    },
}

#[derive(clap::Args)]
struct NameArgument {
    /// Tells several clusters apart: lower-case letters, digits and dashes
    #[arg(long, default_value = "default")]
    name: Name,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            commands::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Up { name: NameArgument { name }, detach: true, .. } => commands::detach(&name),
        Command::Up { name: NameArgument { name }, background, .. } => commands::up(&name, background),
        Command::Down { name: NameArgument { name } } => commands::down(&name),
        Command::Status => commands::status(),
        Command::Build { assets } => commands::build(&assets),
    }
}
