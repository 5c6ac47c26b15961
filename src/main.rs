//! `dialer-operator`: keeps NICE CXone outbound campaigns in the state that Kubernetes objects declare.

mod admin;
mod audit;
mod cli;
mod clock;
mod control;
mod crash;
mod crd;
mod explain;
mod kubernetes;
mod logging;
mod metrics;
mod run;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let result = match cli.command {
        cli::Command::Run(args) => run::run(*args),
        cli::Command::Crd(args) => crd::print(&args),
        cli::Command::Plan(args) => explain::plan(&args),
        cli::Command::Why(args) => explain::why(&args),
        cli::Command::Audit(command) => audit::run(&command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dialer-operator: {error:#}");
            ExitCode::FAILURE
        }
    }
}
