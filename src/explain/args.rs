//! The command lines of `plan` and `why`.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};
use jiff::Timestamp;

/// The arguments of `plan`.
#[derive(Args)]
#[command(after_help = "\
It calls the same decision as the operator, and writes nothing. Without -f it plans what lives in the
cluster: the named campaign, or all of the namespace. With -f it plans the campaigns of the file as if
they were applied, together with the policies and namespaces in it; a file of policies alone is planned
for the live campaigns of the namespace. Where something runs that applying would close, it warns: of
what is planned, and, where the file holds policies or namespaces, of every live campaign in the
cluster, as far as you may list them (else it says which right is missing).

Examples:
  dialer-operator plan spring -n sales                        the coming week of a live campaign
  dialer-operator plan -f spring.yaml                         as if it were applied now
  dialer-operator plan -f spring.yaml --policies policies/    without any cluster
  dialer-operator plan -f freeze.yaml -n sales                what a policy would do to the campaigns that live there
  dialer-operator plan -f - --from 2026-10-31T00:00:00Z       over the night in which clocks change
  dialer-operator plan spring -n sales --output json | jq '.campaigns[].transitions[0]'")]
pub struct PlanArgs {
    /// One campaign: of the file, or else live.
    pub name: Option<String>,
    /// Plan the campaigns of this file (`-`: standard input); any number of YAML documents.
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The namespace (default: that of the file, or of the kubeconfig's context).
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// How many calendar days, today included, 1 to 400.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=400))]
    pub days: u16,
    /// Begin at this instant (RFC 3339 with an offset; default: now), with the campaign as it is now.
    #[arg(long, value_name = "INSTANT")]
    pub from: Option<Timestamp>,
    /// Take policies and namespaces from the *.yaml of this folder, and contact no cluster at all.
    #[arg(long, value_name = "DIR")]
    pub policies: Option<PathBuf>,
    #[command(flatten)]
    pub rules: RuleArgs,
    #[command(flatten)]
    pub show: ShowArgs,
}

/// The arguments of `why`.
#[derive(Args)]
#[command(after_help = "\
It reads the declaration, its status, its tenant, its namespace and the policies, decides on them as the
operator does, and writes nothing. What only the running operator can know (calls, claims, CXone's
clock) is told as the operator last said it.

It needs the right to get dialercampaignstates and cxonetenants in the namespace, to get the namespace,
and to list dialingpolicies; to list dialercampaignstates too, to tell names where one is not found.

Examples:
  dialer-operator why spring -n sales
  dialer-operator why spring -n sales --output json | jq -r .answer
  dialer-operator why spring -n sales --output json | jq '.gates[] | select(.verdict == \"closed\")'")]
pub struct WhyArgs {
    /// The campaign's DialerCampaignState.
    pub name: String,
    /// The namespace (default: that of the kubeconfig's context).
    #[arg(short, long)]
    pub namespace: Option<String>,
    #[command(flatten)]
    pub rules: RuleArgs,
    #[command(flatten)]
    pub show: ShowArgs,
}

/// As the operator was started.
#[derive(Args)]
pub struct RuleArgs {
    /// As with an operator that runs with --no-policies.
    #[arg(long, env = "DIALER_NO_POLICIES", value_parser = FalseyValueParser::new())]
    pub no_policies: bool,
    /// As with an operator that runs with --require-policy.
    #[arg(long, env = "DIALER_REQUIRE_POLICY", value_parser = FalseyValueParser::new())]
    pub require_policy: bool,
}

impl RuleArgs {
    /// Whether what is asked for goes together. The flags may come from the environment, where `DIALER_NO_POLICIES=false` is
    /// none: so their values count, and not that they are given.
    ///
    /// # Errors
    /// Where it does not.
    pub fn agree(&self, policies: Option<&Path>) -> Result<()> {
        ensure!(
            !(self.no_policies && self.require_policy),
            "--no-policies cannot be used with --require-policy: hours can't come from policies that are not read"
        );
        ensure!(
            !(self.no_policies && policies.is_some()),
            "--policies cannot be used with --no-policies, which may come from DIALER_NO_POLICIES"
        );
        Ok(())
    }
}

/// How it is told.
#[derive(Args)]
pub struct ShowArgs {
    /// The time zone of what is shown (default: the campaign's first).
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
    /// For people, or for a machine.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Colour; `auto`: on a terminal, unless NO_COLOR is set.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    pub color: Color,
}

/// The form of what is told.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
    Yaml,
}

/// When there is colour.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}
