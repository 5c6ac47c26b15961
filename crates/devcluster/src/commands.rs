//! What the sub-commands do. Stdout carries only what a shell may evaluate or read; all else goes to stderr.

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader, Write, stderr, stdout};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use devcluster::assets::{self, Asset};
use devcluster::{Cluster, Options, Progress, tail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::named::{Name, Named, State};

/// How often it is looked whether the servers still run.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a holder gets to end its cluster before it is killed, and a killed one's watchdogs to do it.
const END_TIMEOUT: Duration = Duration::from_secs(15);
/// How much of a log an error shows, in lines.
const SHOWN: usize = 20;

/// `devcluster up`: holds a cluster until a signal.
pub fn up(name: &Name, background: bool) -> Result<()> {
    if background {
        // Out of the session of the terminal, so that closing it ends nothing.
        rustix::process::setsid().context("can't leave the terminal")?;
    }
    let named = Named::open(name)?;
    refuse_second(name, &named)?;
    let claim = named.claim().with_context(|| format!("can't start cluster {name}"))?;
    let cluster = Cluster::start(&Options::default())?;
    let held = hold(&cluster, || {
        claim.publish(&cluster)?;
        print_export(&named.kubeconfig())?;
        if !background {
            say(&usage(name, &cluster));
        }
        Ok(())
    });
    cluster.stop()?;
    held
}

/// `devcluster up --detach`: starts a holder in the background and returns when its cluster serves.
pub fn detach(name: &Name) -> Result<()> {
    let named = Named::open(name)?;
    refuse_second(name, &named)?;
    // Here, where the progress of a build can be seen.
    for asset in [&assets::ETCD, &assets::KUBE_APISERVER] {
        asset.path()?;
    }
    let mut holder = spawn_holder(name, &named)?;
    let export = first_line(&mut holder)?;
    if export.is_empty() {
        let status = holder.wait()?;
        bail!("the cluster did not start ({status}):\n{}", tail(&named.log(), SHOWN));
    }
    writeln!(stdout(), "{export}")?;
    say(&format!("Cluster {name} runs in the background. End it with: {}", down_command(name)));
    Ok(())
}

/// `devcluster down`: ends the cluster of a name, all of it.
pub fn down(name: &Name) -> Result<()> {
    let named = Named::open(name)?;
    let (holder, record) = match named.state()? {
        State::Free => bail!("no cluster {name} runs; `devcluster status` shows those that do"),
        State::Stale => {
            drop(named.claim()?);
            say(&format!("Cluster {name} was killed before; cleared what it had left."));
            return Ok(());
        }
        State::Starting(holder) => (holder, None),
        State::Serving(holder, record) => (holder, Some(record)),
    };
    let _progress = Progress::start(format!("ending cluster {name}"));
    end_holder(&named, holder)?;
    if let Some(record) = record {
        let ended = eventually(|| Ok(!record.folder.exists()))?;
        ensure!(ended, "the servers of cluster {name} are still there: see {}", record.folder.display());
    }
    say(&format!("Cluster {name} has ended."));
    Ok(())
}

/// `devcluster status`: a line for each cluster.
pub fn status() -> Result<()> {
    let mut lines = Vec::new();
    for name in Named::all()? {
        let named = Named::open(&name)?;
        let kubeconfig = named.kubeconfig();
        match named.state()? {
            State::Free => {}
            State::Stale => {
                lines.push(format!("{name}: was killed; `{}` clears what is left", down_command(&name)))
            }
            State::Starting(holder) => lines.push(format!("{name}: starting, held by process {holder}")),
            State::Serving(holder, record) => lines.push(format!(
                "{name}: serving at {}, held by process {holder}\n  export KUBECONFIG={}",
                record.server,
                shell_quoted(&kubeconfig)
            )),
        }
    }
    if lines.is_empty() {
        say("No cluster runs. Start one with: devcluster up");
    }
    for line in lines {
        writeln!(stdout(), "{line}")?;
    }
    Ok(())
}

/// `devcluster build`: makes sure that programs are there, and prints their paths.
pub fn build(names: &[String]) -> Result<()> {
    let wanted: Vec<&Asset> = if names.is_empty() {
        assets::ALL.to_vec()
    } else {
        names.iter().map(|name| find_asset(name)).collect::<Result<_>>()?
    };
    for asset in wanted {
        writeln!(stdout(), "{}", asset.path()?.display())?;
    }
    Ok(())
}

/// A line on stderr. A stderr that is gone is no reason to fail, hence not `eprintln!`, which panics.
pub fn say(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}

fn refuse_second(name: &Name, named: &Named) -> Result<()> {
    let kubeconfig = named.kubeconfig();
    match named.state()? {
        State::Free | State::Stale => Ok(()),
        State::Starting(holder) => bail!("cluster {name} is being started by process {holder}"),
        State::Serving(..) => bail!(
            "cluster {name} runs already: export KUBECONFIG={}\nEnd it with `{}`, or start another with `--name`",
            shell_quoted(&kubeconfig),
            down_command(name)
        ),
    }
}

fn print_export(kubeconfig: &Path) -> Result<()> {
    let mut stdout = stdout();
    writeln!(stdout, "export KUBECONFIG={}", shell_quoted(kubeconfig))?;
    Ok(stdout.flush()?)
}

fn usage(name: &Name, cluster: &Cluster) -> String {
    format!(
        "Cluster {name} serves at {}; its logs are in {}.\n\
         Run the line above in another shell, then for example: kubectl get namespaces\n\
         (no kubectl? `devcluster build kubectl` makes one). Ctrl-C ends it, from elsewhere: {}",
        cluster.server_url(),
        cluster.folder().display(),
        down_command(name)
    )
}

fn down_command(name: &Name) -> String {
    match name.to_string().as_str() {
        "default" => "devcluster down".into(),
        name => format!("devcluster down --name {name}"),
    }
}

/// Waits for Ctrl-C, SIGTERM or a closed terminal. An error if a server ends before.
///
/// Signals are caught from before the announcement, so that who acts on it finds nothing left behind, but not
/// earlier: a build or a start is best ended by the signal itself, and the watchdogs clean up.
fn hold(cluster: &Cluster, announce: impl FnOnce() -> Result<()>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        announce()?;
        let mut check = tokio::time::interval(CHECK_INTERVAL);
        loop {
            tokio::select! {
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
                _ = hangup.recv() => return Ok(()),
                _ = check.tick() => cluster.check()?,
            }
        }
    })
}

/// The holder writes to a log: a pipe or terminal of ours may be gone long before it is.
fn spawn_holder(name: &Name, named: &Named) -> Result<Child> {
    named.create()?;
    let log = File::create(named.log()).with_context(|| format!("can't write {}", named.log().display()))?;
    let program = env::current_exe().context("can't find the program that I am")?;
    Command::new(program)
        .args(["up", "--background", "--name", &name.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .context("can't start the background process")
}

/// What the holder says when its cluster serves; empty if it ends before.
fn first_line(holder: &mut Child) -> Result<String> {
    let _progress = Progress::start("starting etcd and kube-apiserver");
    let stdout = holder.stdout.take().context("the background process has no stdout")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    Ok(line.trim_end().into())
}

/// Asks the holder to end, and kills it if it does not; its watchdogs then end the servers.
fn end_holder(named: &Named, holder: i32) -> Result<()> {
    let pid = Pid::from_raw(holder).context("the holder's process id is 0")?;
    let ended = || Ok(matches!(named.state()?, State::Free | State::Stale));
    for signal in [Signal::TERM, Signal::KILL] {
        // It may have ended since we looked; then the next line finds that out.
        let _ = kill_process(pid, signal);
        if eventually(ended)? {
            drop(named.claim()?);
            return Ok(());
        }
    }
    bail!("process {holder}, which holds the cluster, can't be killed")
}

/// Whether something comes true within [`END_TIMEOUT`].
fn eventually(fact: impl Fn() -> Result<bool>) -> Result<bool> {
    let deadline = Instant::now() + END_TIMEOUT;
    while !fact()? {
        if Instant::now() > deadline {
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(true)
}

fn find_asset(name: &str) -> Result<&'static Asset> {
    let found = assets::ALL.iter().find(|asset| asset.name == name);
    let known: Vec<&str> = assets::ALL.iter().map(|asset| asset.name).collect();
    found.copied().with_context(|| format!("no asset {name:?}: there are {}", known.join(", ")))
}

/// In single quotes, unless it is plain.
fn shell_quoted(path: &Path) -> String {
    let text = path.display().to_string();
    if text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c)) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_survives_evaluation_by_a_shell() {
        assert_eq!(shell_quoted(Path::new("/home/jane/.cache/x")), "/home/jane/.cache/x");
        assert_eq!(shell_quoted(Path::new("/it's here/x")), r"'/it'\''s here/x'");
    }
}
