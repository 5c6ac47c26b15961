use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::assets::Asset;
use crate::logs::tail;
use crate::progress::Progress;
use crate::watchdog::{Watched, watched};

const OTHERWISE: &str = "or set KUBEBUILDER_ASSETS to a folder with kube-apiserver and etcd";
/// How much of Go's output an error shows, in lines.
const SHOWN: usize = 20;

/// Builds a program from its Go module in a folder that is empty and the build's own; returns the program's path there.
pub(crate) fn build(asset: &Asset, workshop: &Path) -> Result<PathBuf> {
    let go = find_go()?;
    lay_out(asset, workshop)?;
    check_version(&go, workshop)?;
    run_go(&go, asset, workshop)
}

fn lay_out(asset: &Asset, workshop: &Path) -> Result<()> {
    for (name, text) in asset.module_files() {
        fs::write(workshop.join(name), text)?;
    }
    fs::create_dir(workshop.join("tmp"))?;
    Ok(())
}

/// The path is looked up here because the build runs in another folder, and to say in time what is missing.
fn find_go() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join("go")).find(|go| go.is_file());
    let go =
        found.with_context(|| format!("no `go` on PATH: install it (https://go.dev/dl), {OTHERWISE}"))?;
    std::path::absolute(&go).or(Ok(go))
}

/// Go itself compares its version with the one that the module file asks for, and fetches a newer one where
/// that is allowed.
fn check_version(go: &Path, workshop: &Path) -> Result<()> {
    let answer = go_command(Command::new(go), workshop).args(["env", "GOVERSION"]).output();
    let answer = answer.map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => {
            anyhow!("{} may not be executed: install Go anew, {OTHERWISE}", go.display())
        }
        _ => anyhow!("can't run {}: {error}", go.display()),
    })?;
    let said = String::from_utf8_lossy(&answer.stderr);
    ensure!(answer.status.success(), "{}\nInstall a newer Go (https://go.dev/dl), {OTHERWISE}", said.trim());
    Ok(())
}

/// Runs the build under a watchdog: a Go left behind by a killed parent would compete with the next build.
fn run_go(go: &Path, asset: &Asset, workshop: &Path) -> Result<PathBuf> {
    let _progress = Progress::start(format!(
        "building {} {} from source, the first time only: about {} on two cores",
        asset.name, asset.version, asset.build_time
    ));
    let (output, log) = (workshop.join(asset.name), workshop.join("log"));
    let mut command = go_command(watched(go, workshop, &log), workshop);
    command.args(asset.go_arguments(asset.name)).arg(asset.package());
    let status = Watched::spawn(&mut command)?.wait()?;
    if !status.success() {
        bail!(
            "building {} {} failed ({status}); Go said at last:\n{}",
            asset.name,
            asset.version,
            tail(&log, SHOWN)
        );
    }
    Ok(output)
}

fn go_command(mut command: Command, workshop: &Path) -> Command {
    command
        .current_dir(workshop)
        .env("CGO_ENABLED", "0")
        // A workspace of the user's would replace our module file.
        .env("GOWORK", "off")
        // So that what a killed build leaves is removed with the rest.
        .env("GOTMPDIR", workshop.join("tmp"));
    for cross in ["GOOS", "GOARCH"] {
        command.env_remove(cross);
    }
    command
}
