//! The image at work: on a real API server, with nothing but its own files.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use devcluster::assets::KUBECTL;
use devcluster::{Cluster, Options};
use simulator::{Simulator, SimulatorConfig};

use crate::container::Container;
use crate::server::{NAME, SEARCH, Server, name_server};

/// Nothing that is waited for takes that long, unless the machine is overloaded.
const PATIENCE: Duration = Duration::from_secs(120);
const ORG: &str = "acme";
const ROOTS: &str = "etc/ssl/certs/ca-certificates.crt";

#[test]
fn it_says_what_it_is_and_brings_its_definitions() {
    let container = Container::new();
    let said = container.prints(&["--version"]);
    assert!(
        said.starts_with(&format!("dialer-operator {} (zone database ", env!("CARGO_PKG_VERSION"))),
        "{said}"
    );
    assert_eq!(container.prints(&["crd"]).matches("kind: CustomResourceDefinition").count(), 3);
}

#[test]
fn it_works_as_process_1_without_a_place_to_write_and_trusts_who_its_own_roots_vouch_for() {
    let container = Container::new();
    let cluster = Cluster::start(&Options::default()).unwrap();
    let kubectl = Kubectl(cluster.kubeconfig());
    kubectl.apply(&container.prints(&["crd"]));
    kubectl.run(&["wait", "--for=condition=Established", "crd", "--all"], "");
    // Established is told a moment before the kinds are served.
    kubectl.until(&container, &["get", "dcs,cxt", "-A"], "No resources found");
    let sim = Simulator::start_blocking(SimulatorConfig::default()).unwrap();
    sim.campaign(ORG, "c-1");
    let server = Server::start();
    resolve_names(&container);
    let outside = format!("{NAME}:{}", server.address.port());
    kubectl.apply(&manifests(&sim, &outside));
    container.mount("kubeconfig", &std::fs::read_to_string(cluster.kubeconfig()).unwrap());

    let files = container.files();
    let allowed = [sim.url(), outside];
    let allow = |of: usize| ["--allow-endpoint", &allowed[of]];
    let args = [&["run", "--admin-addr", "127.0.0.1:0", "--no-policies"][..], &allow(0), &allow(1)].concat();
    let started = || container.start(&args);
    let operator = started();
    kubectl.until(&container, &["get", "dcs", "c-1", "-o", READY], "Running");
    // The name was found, the server reached, and its certificate refused.
    kubectl.until(&container, &["get", "cxt", "outside", "-o", MESSAGE], "TLS failed");
    assert!(operator.stop(), "{}", container.log());
    assert_eq!(container.files(), files);

    container.append(ROOTS, &server.authority);
    let operator = started();
    kubectl.until(&container, &["get", "cxt", "outside", "-o", READY], "Unauthorized");
    assert!(operator.stop(), "{}", container.log());
}

const READY: &str = "jsonpath={.status.conditions[?(@.type==\"Ready\")].reason}";
const MESSAGE: &str = "jsonpath={.status.conditions[?(@.type==\"Ready\")].message}";

/// As a kubelet sets it up. Port 53 is for root alone: without it, the file of hosts answers instead of a name server.
fn resolve_names(container: &Container) {
    match name_server() {
        Some(address) => {
            container.mount("etc/hosts", "127.0.0.1 localhost\n");
            container.mount("etc/resolv.conf", &format!("nameserver {}\n{SEARCH}", address.ip()));
        }
        None => container.mount("etc/hosts", &format!("127.0.0.1 localhost {NAME}\n")),
    }
}

fn manifests(sim: &Simulator, outside: &str) -> String {
    let tenant = sim.tenant(ORG);
    let (id, secret, url) = (tenant.client_id(), tenant.client_secret(), sim.url());
    format!(
        "apiVersion: v1
kind: Secret
metadata: {{name: credentials}}
stringData: {{clientId: {id:?}, clientSecret: {secret:?}}}
---
apiVersion: dialer.cxone-operator.io/v1alpha1
kind: CXoneTenant
metadata: {{name: default}}
spec: {{baseUrl: {url:?}, credentialsSecretRef: {{name: credentials}}}}
---
apiVersion: dialer.cxone-operator.io/v1alpha1
kind: CXoneTenant
metadata: {{name: outside}}
spec: {{baseUrl: \"https://{outside}\", credentialsSecretRef: {{name: credentials}}}}
---
apiVersion: dialer.cxone-operator.io/v1alpha1
kind: DialerCampaignState
metadata: {{name: c-1}}
spec:
  campaignId: c-1
  state: Running
  complianceWindow:
    timeZones: [UTC]
    hours: [{{days: [Mon, Tue, Wed, Thu, Fri, Sat, Sun], from: \"00:00\", to: \"24:00\"}}]
"
    )
}

/// A person's kubectl.
struct Kubectl<'a>(&'a Path);

impl Kubectl<'_> {
    fn try_run(&self, args: &[&str], input: &str) -> (bool, String) {
        let mut command = Command::new(KUBECTL.path().unwrap());
        command.arg("--kubeconfig").arg(self.0).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }

    fn run(&self, args: &[&str], input: &str) {
        let (well, said) = self.try_run(args, input);
        assert!(well, "kubectl {args:?}: {said}");
    }

    fn apply(&self, manifest: &str) {
        self.run(&["apply", "--server-side", "-f", "-"], manifest);
    }

    /// Waits until it answers with these words.
    fn until(&self, container: &Container, args: &[&str], words: &str) {
        let begun = Instant::now();
        loop {
            let (_, said) = self.try_run(args, "");
            if said.contains(words) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "kubectl {args:?}: {said}, not {words}\n{}", container.log());
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}
