//! The commands of a person: every one is shown as it is typed.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use devcluster::assets;
use jiff::Timestamp;

use crate::tell;
use crate::transition::Millis;

/// A kubectl that talks to the cluster of the demo and to no other.
#[derive(Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    folder: PathBuf,
}

/// A command that has succeeded.
pub struct Ran {
    /// When it was entered.
    pub entered: Timestamp,
    /// How long it took.
    pub took: Millis,
    /// What it printed.
    pub output: String,
}

impl Kubectl {
    /// The kubectl on PATH, or one that is built where there is none. Blocks.
    ///
    /// # Errors
    /// Where there is none and it can't be built.
    pub fn find(kubeconfig: &Path, folder: &Path) -> Result<Self> {
        let program = on_path().map_or_else(|| assets::KUBECTL.path(), Ok)?;
        Ok(Self { program, kubeconfig: kubeconfig.to_owned(), folder: folder.to_owned() })
    }

    /// Where it is.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Runs a command quietly, with `input` on its standard input.
    ///
    /// # Errors
    /// Where it can't be started or fails; the error has what it said.
    pub async fn run(&self, args: &[&str], input: &str) -> Result<Ran> {
        let (kubectl, input) = (self.clone(), input.to_owned());
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        tokio::task::spawn_blocking(move || kubectl.blocking(&args, &input)).await?
    }

    /// Runs a command as a person does, shown with what it prints.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn show(&self, args: &[&str]) -> Result<Ran> {
        tell::command(&as_typed(args));
        let ran = self.run(args, "").await?;
        tell::output(&ran.output);
        Ok(ran)
    }

    fn blocking(&self, args: &[String], input: &str) -> Result<Ran> {
        let (entered, since) = (Timestamp::now(), Instant::now());
        let mut child =
            self.command(args).spawn().with_context(|| format!("can't run {}", self.program.display()))?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that ends without reading says by its status why.
            let _ = stdin.write_all(input.as_bytes());
        }
        let answer = child.wait_with_output().context("can't wait for kubectl")?;
        let said = String::from_utf8_lossy(&answer.stderr).trim().to_owned();
        ensure!(answer.status.success(), "`kubectl {}` failed: {said}", args.join(" "));
        let output = String::from_utf8_lossy(&answer.stdout).into_owned();
        Ok(Ran { entered, took: since.elapsed().into(), output })
    }

    fn command(&self, args: &[String]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(args)
            .current_dir(&self.folder)
            .env("KUBECONFIG", &self.kubeconfig)
            // Neither what it remembers of other clusters nor the user's own defaults matter here.
            .env("KUBECACHEDIR", self.folder.join(".kube-cache"))
            .env("KUBERC", "off")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// Whether a kubectl is on PATH.
pub fn on_path() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join("kubectl")).find(|program| program.is_file())
}

fn as_typed(args: &[&str]) -> String {
    let quoted =
        args.iter().map(|arg| if arg.contains([' ', '{']) { format!("'{arg}'") } else { (*arg).to_owned() });
    format!("kubectl {}", quoted.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_that_a_shell_would_take_apart_is_shown_quoted() {
        assert_eq!(
            as_typed(&["annotate", "dcs", "a", "hold=bad list"]),
            "kubectl annotate dcs a 'hold=bad list'"
        );
        assert_eq!(as_typed(&["patch", "-p", "{\"a\":1}"]), "kubectl patch -p '{\"a\":1}'");
    }
}
