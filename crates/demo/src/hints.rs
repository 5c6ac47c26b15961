//! What the user may try next.

use crate::kubectl;
use crate::stage::{ORG, Stage};
use crate::tell;

/// Tells it.
pub fn tell(stage: &Stage) {
    let cxone = stage.sim.url();
    let outside = |campaign: &str, status: &str| {
        format!(
            "curl {cxone}/_sim/tenants/{ORG}/campaigns/{campaign}/outside -d '{{\"status\":\"{status}\"}}'"
        )
    };
    let hold = "kubectl annotate dcs survey-east dialer.cxone-operator.io/hold";
    tell::heading("Your turn: all of it stays up until Ctrl-C. In another terminal:");
    tell::hint(
        "let this shell talk to the demo's cluster; your own kubeconfig stays as it is",
        &[&setting(stage)],
    );
    tell::hint("watch the campaigns", &["kubectl get dcs -w"]);
    tell::hint("see all that is known of one", &["kubectl describe dcs winter-renewals"]);
    tell::hint(
        "change a declaration",
        &["${EDITOR:-vi} 02-winter-renewals.yaml", "kubectl apply -f 02-winter-renewals.yaml"],
    );
    let freeze = "kubectl patch dpol emergency --type merge -p '{\"spec\":{\"freeze\":";
    tell::hint(
        "freeze all campaigns, and let go",
        &[
            &format!("{freeze}{{\"reason\":\"bad list\",\"until\":null,\"pauseRunning\":null}}}}}}'"),
            &format!("{freeze}null}}}}'"),
        ],
    );
    tell::hint("brake one, and let go", &[&format!("{hold}='bad list'"), &format!("{hold}-")]);
    tell::hint(
        "be the outside hand: a start beyond the hours is undone, a pause is respected",
        &[&outside("c-7732", "running"), &outside("c-7731", "paused")],
    );
    tell::hint("see CXone live, in a browser", &[&format!("{cxone}/")]);
    tell::hint(
        "read what the operator logs, records and counts",
        &["tail -f operator.log audit.jsonl", &format!("curl {}/metrics", stage.operator.admin())],
    );
    tell::prose("Ctrl-C ends all of it and removes that folder.");
}

fn setting(stage: &Stage) -> String {
    let (folder, kubeconfig) = (stage.folder().display(), stage.kubeconfig().display());
    let alias = match kubectl::on_path() {
        Some(_) => String::new(),
        None => format!("; alias kubectl={}", stage.kubectl.program().display()),
    };
    format!("cd {folder}; export KUBECONFIG={kubeconfig}{alias}")
}
