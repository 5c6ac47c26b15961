//! What is wrong is refused, with the file, the document, the field, the value, and what would be accepted.

use std::time::{Duration, Instant};

use crate::command::{ALWAYS, Folder, campaign, policy};

fn refusal(file: &str) -> String {
    let folder = Folder::with(&[("c.yaml", file)]);
    let said = folder.run(&["plan", "-f", "c.yaml", "--policies", "policies"]);
    assert!(!said.well && said.out.is_empty(), "planned all the same:\n{}", said.out);
    said.err
}

#[test]
fn every_wrong_field_of_a_campaign_is_named_with_what_would_be_accepted() {
    let hours = |text: &str| format!("  complianceWindow: {{timeZones: [UTC], hours: [{text}]}}");
    let zone = |name: &str| format!("  complianceWindow: {{timeZones: [{name}]}}");
    for (more, words) in [
        ("  pauseDurationSecond: 5", "spec.pauseDurationSecond: unknown field; known here: campaignId"),
        ("  maxActiveCalls: many", "spec.maxActiveCalls: \"many\" is a string; a whole number is expected"),
        ("  pauseDurationSeconds: 7201", "spec.pauseDurationSeconds: 7201 is out of range: 0 to 7200"),
        ("  resumeMode: Slowly", "spec.resumeMode: \"Slowly\" is not one of Immediate, Gradual, Scheduled"),
        ("  resumeMode: Scheduled", "spec.resumeAt: is missing: resumeMode Scheduled needs it"),
        ("  resumeAt: tomorrow", "spec.resumeAt: \"tomorrow\" is no instant; RFC 3339 with an offset"),
        (&zone("Mars/Phobos"), "spec.complianceWindow.timeZones[0]: \"Mars/Phobos\" is no known time zone"),
        (&zone("america/new_york"), "\"america/new_york\" is no known time zone"),
        (&zone("\"+05:00\""), "\"+05:00\" is no known time zone"),
        (
            &hours("{days: [Mon], from: \"08:00\", to: \"25:00\"}"),
            "hours[0].to: \"25:00\" is no time of day at which hours end: 00:00 to 24:00",
        ),
        (
            &hours("{days: [Mon], from: \"24:00\", to: \"08:00\"}"),
            "hours[0].from: \"24:00\" is no time of day at which hours begin",
        ),
        (
            &hours("{days: [Mon], from: \"08:00\", to: \"08:00\"}"),
            "hours[0]: from and to are both 08:00: they must differ",
        ),
        (
            &hours("{days: [Monday], from: \"08:00\", to: \"09:00\"}"),
            "hours[0].days[0]: \"Monday\" is not one of Mon, Tue",
        ),
    ] {
        let told = refusal(&campaign(more));
        assert!(
            told.contains("c.yaml, document 1: DialerCampaignState spring is not valid"),
            "{more}: {told}"
        );
        assert!(told.contains(words), "{more}: {told}");
    }
}

#[test]
fn every_wrong_field_of_a_policy_is_named_too_wherever_it_stands() {
    for (spec, words) in [
        (
            "  closedDates: [{date: \"2026-02-30\", reason: x}]",
            "spec.closedDates[0].date: \"2026-02-30\" is no date",
        ),
        (
            "  effectiveFrom: \"2026-12-01\"\n  effectiveUntil: \"2026-11-01\"",
            "spec.effectiveUntil: 2026-11-01 is before effectiveFrom 2026-12-01",
        ),
        ("  timeZones: [Local]", "spec.timeZones[0]: \"Local\" is no known time zone"),
        (
            "  freeze: {reason: x, until: \"2026-11-24T15:00:00\"}",
            "spec.freeze.until: \"2026-11-24T15:00:00\" is no instant",
        ),
        ("  freeze: {until: \"2026-11-24T15:00:00Z\"}", "spec.freeze.reason: is missing"),
        (
            "  namespaceSelector: {matchExpressions: [{key: a, operator: In}]}",
            "matchExpressions[0].values: are required",
        ),
    ] {
        let told = refusal(&format!("{}---\n{}", campaign(ALWAYS), policy("p", spec)));
        assert!(told.contains("c.yaml, document 2: DialingPolicy p is not valid"), "{spec}: {told}");
        assert!(told.contains(words), "{spec}: {told}");

        let folder = Folder::with(&[("c.yaml", &campaign(ALWAYS)), ("policies/p.yaml", &policy("p", spec))]);
        let said = folder.run(&["plan", "-f", "c.yaml", "--policies", "policies"]);
        assert!(
            !said.well && said.err.contains("policies/p.yaml, document 1") && said.err.contains(words),
            "{}",
            said.err
        );
    }
}

#[test]
fn what_is_no_manifest_is_told_by_its_place() {
    for (text, words) in [
        ("a: [", "c.yaml is no YAML: "),
        ("", "c.yaml is empty"),
        ("- 1", "c.yaml, document 1: [1] is no object"),
        ("kind: DialerCampaignState", "c.yaml, document 1: apiVersion or kind is missing"),
        (
            "apiVersion: dialer.cxone-operator.io/v1\nkind: DialingPolicy",
            "apiVersion \"dialer.cxone-operator.io/v1\" of DialingPolicy is not known",
        ),
        (
            "apiVersion: dialer.cxone-operator.io/v1alpha1\nkind: DialingPolcy",
            "kind \"DialingPolcy\" is not known; DialerCampaignState, DialingPolicy and CXoneTenant are",
        ),
        ("apiVersion: v1\nkind: ConfigMap", "no DialerCampaignState to plan"),
        (
            "apiVersion: dialer.cxone-operator.io/v1alpha1\nkind: DialerCampaignState\nspec: {}",
            "metadata.name is missing",
        ),
    ] {
        let told = refusal(text);
        assert!(told.contains(words), "{text}: {told}");
    }
    let folder = Folder::with(&[]);
    let said = folder.run(&["plan", "-f", "none.yaml", "--policies", "policies"]);
    assert!(said.err.contains("none.yaml can't be read: No such file"), "{}", said.err);
    let said = folder.run(&["plan", "-f", "none.yaml", "--policies", "elsewhere"]);
    assert!(!said.well, "{}", said.out);
}

#[test]
fn without_a_cluster_what_needs_one_says_what_to_give_instead() {
    let folder = Folder::with(&[("c.yaml", &campaign(ALWAYS))]);
    for (args, words) in [
        (
            vec!["plan", "-f", "c.yaml"],
            "to plan a file without a cluster, give --policies DIR or --no-policies",
        ),
        (vec!["plan", "spring"], "no cluster: neither a kubeconfig"),
        (vec!["why", "spring"], "no cluster: neither a kubeconfig"),
        (vec!["plan", "spring", "--policies", "policies"], "with --policies no cluster is asked"),
        (
            vec!["plan", "-f", "c.yaml", "-n", "other", "--policies", "policies"],
            "namespace sales of spring is not that of -n other",
        ),
        (
            vec!["plan", "-f", "c.yaml", "--policies", "policies", "--zone", "Mars/Phobos"],
            "\"Mars/Phobos\" is no time zone",
        ),
        (vec!["plan", "-f", "c.yaml", "--days", "0", "--policies", "policies"], "0 is not in 1..=400"),
        (vec!["plan", "-f", "c.yaml", "--policies", "p", "--no-policies"], "cannot be used with"),
    ] {
        let said = folder.run(&args);
        assert!(!said.well && said.err.contains(words), "{args:?}: {}", said.err);
    }
}

#[test]
fn flags_exclude_each_other_by_their_values_wherever_they_come_from() {
    let folder = Folder::with(&[("c.yaml", &campaign(ALWAYS))]);
    let run = |no_policies: &str, more: &[&str]| {
        let args = [&["plan", "-f", "c.yaml"], more].concat();
        folder.run_with(&args, &[("DIALER_NO_POLICIES", no_policies)], "")
    };
    for off in ["", "false", "0", "no"] {
        for more in [&["--policies", "policies", "--require-policy"][..], &["--policies", "policies"]] {
            let said = run(off, more);
            assert!(said.well, "{off:?} {more:?}: {}", said.err);
        }
    }
    let said = run("true", &["--require-policy"]);
    assert!(
        !said.well && said.err.contains("--no-policies cannot be used with --require-policy"),
        "{}",
        said.err
    );
    let said = run("true", &["--policies", "policies"]);
    assert!(!said.well && said.err.contains("may come from DIALER_NO_POLICIES"), "{}", said.err);
    let said = folder.run_with(&["why", "spring", "--no-policies"], &[("DIALER_REQUIRE_POLICY", "yes")], "");
    assert!(!said.well && said.err.contains("--no-policies cannot be used"), "{}", said.err);
    let said = run("true", &[]);
    assert!(said.well, "{}", said.err);
}

#[test]
fn a_kubeconfig_that_can_not_be_parsed_is_not_quoted() {
    let folder = Folder::with(&[
        ("kubeconfig", "users: [{name: x, user: {token: s3cret"),
        ("c.yaml", &campaign(ALWAYS)),
    ]);
    let said = folder.run(&["why", "spring"]);
    assert!(!said.well && !said.err.contains("s3cret"), "{}", said.err);
}

/// A kubeconfig of a server that does not answer.
fn kubeconfig(more_of_cluster: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
current-context: x
contexts: [{{name: x, context: {{cluster: x, user: x}}}}]
clusters: [{{name: x, cluster: {{server: 'https://127.0.0.1:1'{more_of_cluster}}}}}]
users: [{{name: x, user: {{token: s3cret}}}}]
"
    )
}

#[test]
fn a_proxy_of_the_environment_does_not_decide_how_the_cluster_is_reached() {
    let folder = Folder::with(&[("kubeconfig", &kubeconfig(""))]);
    let plain = folder.run(&["why", "spring"]).err;
    assert!(plain.contains("the cluster does not answer"), "{plain}");
    for proxy in ["http://127.0.0.1:2", "http://[", "socks5://127.0.0.1:2", "http://direct.invalid/"] {
        for name in ["HTTPS_PROXY", "https_proxy"] {
            let said = folder.run_with(&["why", "spring"], &[(name, proxy)], "");
            assert_eq!(said.err, plain, "{name}={proxy}");
        }
    }
}

#[test]
fn a_proxy_that_a_kubeconfig_names_is_refused() {
    let kubeconfig = kubeconfig(", proxy-url: 'http://user:s3cret@127.0.0.1:1'");
    let folder = Folder::with(&[("kubeconfig", &kubeconfig)]);
    for args in [["why", "spring"].as_slice(), &["run", "--admin-addr", "127.0.0.1:0"]] {
        let said = folder.run(args);
        assert!(!said.well && said.err.contains("proxy-url is not supported"), "{}", said.err);
        assert!(!said.err.contains("s3cret"), "{}", said.err);
    }
}

#[test]
fn a_file_that_would_unfold_without_end_is_refused_in_time() {
    let laughs: String =
        (1..12).map(|n| format!("l{n}: &l{n} [{}]\n", vec![format!("*l{}", n - 1); 9].join(","))).collect();
    let aliases = format!("l0: &l0 ha\n{laughs}");
    let merged: String =
        (1..12).map(|n| format!("l{n}: &l{n} {{a: *l{m}, b: *l{m}, <<: *l{m}}}\n", m = n - 1)).collect();
    let itself = "spec: &x {complianceWindow: *x}\n".to_owned();
    for (what, text) in [
        ("aliases of aliases", aliases),
        ("merges of merges", format!("l0: &l0 {{ha: ha}}\n{merged}")),
        ("an alias of itself", itself),
        ("lists within lists", "[".repeat(200_000)),
        ("mappings within mappings", format!("spec: {}", "{a: ".repeat(100_000))),
    ] {
        let begun = Instant::now();
        let told = refusal(&format!(
            "apiVersion: dialer.cxone-operator.io/v1alpha1\nkind: DialerCampaignState\n{text}"
        ));
        assert!(told.contains("c.yaml"), "{what}: {told}");
        assert!(told.len() < 4096, "{what}: {} bytes", told.len());
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}: {:?}", begun.elapsed());
    }
}
