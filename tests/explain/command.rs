//! The real binary in a folder of its own, far from any cluster.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A folder with manifests.
pub struct Folder(TempDir);

/// What the binary said.
pub struct Said {
    pub well: bool,
    pub out: String,
    pub err: String,
}

impl Folder {
    /// With these files.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir(folder.path().join("policies")).unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs the binary here.
    pub fn run(&self, args: &[&str]) -> Said {
        self.run_on(args, "")
    }

    /// The same, with this on standard input.
    pub fn run_on(&self, args: &[&str], input: &str) -> Said {
        self.run_with(args, &[], input)
    }

    /// The same, with these variables in the environment.
    pub fn run_with(&self, args: &[&str], variables: &[(&str, &str)], input: &str) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dialer-operator"));
        command.args(args).current_dir(self.path()).env_clear();
        // What looks like a cluster here would answer nobody.
        command.env("KUBECONFIG", self.path().join("kubeconfig")).env("HOME", self.path());
        command.envs(variables.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { well: output.status.success(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Plans `c.yaml` with the folder `policies` and no cluster; it must go well.
    pub fn plan(&self, args: &[&str]) -> Said {
        let said = self.run(&[&["plan", "-f", "c.yaml", "--policies", "policies"], args].concat());
        assert!(said.well, "{}", said.err);
        said
    }
}

/// A campaign of New York, with more fields of its spec.
pub fn campaign(more: &str) -> String {
    format!(
        "apiVersion: dialer.cxone-operator.io/v1alpha1
kind: DialerCampaignState
metadata: {{name: spring, namespace: sales}}
spec:
  campaignId: c-7731
  state: Running
{more}
"
    )
}

/// Hours around the clock in New York, as a field of a spec.
pub const ALWAYS: &str = "  complianceWindow:
    timeZones: [America/New_York]
    hours: [{days: [Mon, Tue, Wed, Thu, Fri, Sat, Sun], from: \"00:00\", to: \"24:00\"}]";

/// A policy of every namespace, with these fields of its spec.
pub fn policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: dialer.cxone-operator.io/v1alpha1
kind: DialingPolicy
metadata: {{name: {name}}}
spec:
{spec}
"
    )
}
