//! `make demo`: sets everything up, shows the operator at work step by step, and stays up for the user to try.

mod cluster_view;
mod facts;
mod hints;
mod kubectl;
mod manifests;
mod operator;
mod stage;
mod steps;
mod tell;
mod transition;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::stage::Stage;

/// What a shell gives for a program that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

/// Shows the operator at work: a real Kubernetes API server, a simulated CXone, the real operator.
///
/// Each step is a command as you would type it, what came of it, and why; each is checked against what CXone saw and what
/// the operator says. Then all stays up for you to try, until Ctrl-C. Your own kubeconfig is never touched.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// The operator's program [default: dialer-operator beside this one]
    #[arg(long, value_name = "PATH")]
    operator: Option<PathBuf>,
    /// End after the steps, with an error if one did not come true.
    #[arg(long)]
    once: bool,
}

fn main() -> ExitCode {
    let shown =
        tokio::runtime::Runtime::new().context("the async runtime can't be started").and_then(|runtime| {
            let shown = runtime.block_on(show(&Cli::parse()));
            // A build that was interrupted is not waited for; it ends with this process.
            runtime.shutdown_background();
            shown
        });
    shown.unwrap_or_else(|error| {
        tell::failure(&format!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

async fn show(cli: &Cli) -> Result<ExitCode> {
    let mut ends = Ends::listen()?;
    let Some(stage) = ends.unless(Stage::set_up(&operator_of(cli)?)).await else { return Ok(interrupted()) };
    let mut stage = stage?;
    let since = Instant::now();
    let Some(played) = ends.unless(steps::play(&stage)).await else { return Ok(interrupted()) };
    let code = tell_result(&mut stage, played, since);
    if !cli.once {
        hints::tell(&stage);
        if let Some(broken) = ends.unless(stage.stay_up()).await {
            broken?;
        }
    }
    tell::heading("Ending all of it");
    Ok(code)
}

fn operator_of(cli: &Cli) -> Result<PathBuf> {
    match &cli.operator {
        Some(path) => Ok(path.clone()),
        None => Ok(std::env::current_exe()?.with_file_name("dialer-operator")),
    }
}

fn tell_result(stage: &mut Stage, played: Result<()>, since: Instant) -> ExitCode {
    match played {
        Ok(()) => {
            tell::heading(&format!("Every step came true, in {} s.", since.elapsed().as_secs()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            tell::failure(&format!("This step did not come true.\n{error:#}"));
            tell::failure(&format!("The operator's log ends with:\n{}", stage.operator.last_words()));
            tell::failure(&format!(
                "Manifests, log and audit record stay in {}",
                stage.keep_folder().display()
            ));
            ExitCode::FAILURE
        }
    }
}

fn interrupted() -> ExitCode {
    tell::heading("Interrupted: ending all of it");
    ExitCode::from(INTERRUPTED)
}

/// The signals that end the demo.
struct Ends([Signal; 3]);

impl Ends {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("signals can't be listened for");
        Ok(Self([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    /// What comes of `work`, unless a signal comes first.
    async fn unless<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            done = work => Some(done),
            _ = interrupt.recv() => None,
            _ = terminate.recv() => None,
            _ = hangup.recv() => None,
        }
    }
}
