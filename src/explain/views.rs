//! What is told, in the form in which a machine may read it. The texts are made of the same.

use jiff::Timestamp;
use jiff::civil::Date;
use rules::gates::Obstacle;
use rules::kinds::{Cause, DeclaredState, Effective, Observed, PolicyRef, Target};
use rules::plan::Change;
use rules::policies::Policies;
use serde::{Serialize, Serializer};

use super::bars::{CELLS, Cell};
use super::when::Zone;

/// The coming transitions of some campaigns.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanReport {
    /// When the plan begins.
    pub from: Timestamp,
    /// The compiled-in zone database.
    pub zone_database: &'static str,
    pub campaigns: Vec<PlannedCampaign>,
    /// What applying would do to live campaigns that are not among these.
    pub warnings: Vec<String>,
    /// What a plan can't know, and takes for granted.
    pub assumptions: Vec<&'static str>,
    pub notes: Vec<String>,
}

/// The coming transitions of one campaign.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedCampaign {
    pub namespace: String,
    pub name: String,
    pub campaign_id: String,
    /// Where the declaration was read.
    pub source: String,
    pub declared: DeclaredState,
    /// What declaration and gates come to when the plan begins.
    pub effective: Effective,
    /// What CXone says when the plan begins.
    pub observed: Observed,
    /// Where that is known from.
    pub observed_by: &'static str,
    /// The zone of everything local.
    pub zone: String,
    /// Before when the plan ends.
    pub until: Timestamp,
    /// What holds it when the plan begins.
    pub held_now: Vec<Holding>,
    pub transitions: Vec<Transition>,
    pub running: Vec<Running>,
    pub days: Vec<Day>,
    /// What holds it when the plan ends.
    pub held_at_end: Vec<Holding>,
    pub policies: Vec<PolicyRef>,
    pub warnings: Vec<String>,
    pub notes: Vec<String>,
}

/// A change that will come about.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    pub at: Timestamp,
    pub local: String,
    /// What is sent to CXone; absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Target>,
    pub effective: Effective,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The rule behind it.
    pub rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub citation: Option<String>,
}

/// A time during which it dials.
#[derive(Serialize)]
pub struct Running {
    pub from: Timestamp,
    pub until: Timestamp,
}

/// One day.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Day {
    pub date: Date,
    pub weekday: String,
    /// 1440, but for the days on which clocks change.
    pub length_minutes: i64,
    pub clock_change: bool,
    pub running_seconds: i64,
    /// The reasons of policies that close the date.
    pub closed: Vec<String>,
    /// 48 half hours by the clock: `#` runs, `+` partly, `.` not, blank: over, or skipped by the clock.
    #[serde(rename = "bar", serialize_with = "plain")]
    pub cells: [Cell; CELLS],
}

/// Something that holds a campaign.
#[derive(Serialize, Clone)]
#[serde(rename_all = "camelCase")]
pub struct Holding {
    pub reason: &'static str,
    pub detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub citation: Option<String>,
    /// What a person can do.
    pub advice: String,
}

/// Why a campaign is as it is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyReport {
    pub namespace: String,
    pub name: String,
    pub campaign_id: String,
    pub tenant: String,
    /// The answer in one sentence.
    pub answer: String,
    /// When it was asked.
    pub at: Timestamp,
    pub zone: String,
    pub zone_database: &'static str,
    pub declared: DeclaredState,
    /// What declaration and gates come to now.
    pub effective: Effective,
    /// What CXone said when the operator last read it.
    pub observed: Observed,
    /// The policies that concern it.
    pub policies: Vec<Source>,
    pub gates: Vec<GateView>,
    pub next: Vec<Transition>,
    pub advice: Vec<String>,
    pub operator: Said,
    pub notes: Vec<String>,
}

/// A gate and what it found.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GateView {
    pub gate: &'static str,
    /// `run` (closed: it is paused), `start` (closed: a start waits), `facts` (only the operator reads them).
    pub row: &'static str,
    /// `open`, `closed` or `unknown`.
    pub verdict: &'static str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub holding: Option<Holding>,
    /// The hours that it is within, and when they end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closes: Option<Timestamp>,
}

/// A policy, and where its rule comes from.
#[derive(Serialize)]
pub struct Source {
    #[serde(flatten)]
    pub policy: PolicyRef,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub citation: Option<String>,
}

/// What the operator last said.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    /// The generation of the declaration.
    pub generation: i64,
    /// The one that it spoke of.
    pub observed_generation: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective: Option<Effective>,
    pub conditions: Vec<SaidCondition>,
}

/// A condition, without its times.
#[derive(Serialize)]
pub struct SaidCondition {
    #[serde(rename = "type")]
    pub type_: String,
    pub status: String,
    pub reason: String,
    pub message: String,
}

impl PlanReport {
    /// Every warning.
    pub fn warnings(&self) -> impl Iterator<Item = &String> {
        self.campaigns.iter().flat_map(|campaign| &campaign.warnings).chain(&self.warnings)
    }
}

impl Transition {
    /// A change of a plan, in local time and with the citation of its policy.
    pub fn of(change: &Change, zone: &Zone, policies: &Policies) -> Self {
        Self {
            at: change.at,
            local: zone.rfc3339(change.at),
            to: change.to,
            effective: change.effective,
            cause: change.cause,
            rule: change.why.clone(),
            citation: citation(change.policy.as_ref(), policies),
            policy: change.policy.clone(),
        }
    }

    /// Whether it dials from then on.
    pub fn starts(&self) -> bool {
        self.to == Some(Target::Running)
    }
}

impl Holding {
    /// An obstacle of a campaign, with what a person can do about it.
    pub fn of(obstacle: &Obstacle, policies: &Policies, namespace: &str, name: &str) -> Self {
        let policy = obstacle.policy.as_ref();
        let whose = policy.map_or("NAME", |policy| &policy.name);
        let advice = obstacle.reason.advice().replace("dpol NAME", &format!("dpol {whose}"));
        Self {
            reason: obstacle.reason.as_str(),
            detail: obstacle.detail.clone(),
            until: obstacle.until,
            citation: citation(policy, policies),
            policy: obstacle.policy.clone(),
            advice: advice.replace("dcs NAME", &format!("-n {namespace} dcs {name}")),
        }
    }

    /// What it is, without the instant that is told beside it.
    pub fn words(&self) -> String {
        let Some(until) = self.until else { return self.detail.clone() };
        match self.detail.strip_suffix(&format!("; opens {until}")) {
            Some(words) => words.to_owned(),
            None => self.detail.replace(&format!("; opens {until} with "), "; what opens last is "),
        }
    }
}

/// The mark of a half hour.
pub fn mark(cell: Cell, [runs, partly, rests]: [char; 3]) -> char {
    match cell {
        Cell::Blank => ' ',
        Cell::Rests => rests,
        Cell::Partly => partly,
        Cell::Runs => runs,
    }
}

impl Source {
    /// Every policy of these.
    pub fn all(policies: &Policies) -> Vec<Self> {
        let of = |policy: &PolicyRef| citation(Some(policy), policies);
        policies.references().into_iter().map(|policy| Self { citation: of(&policy), policy }).collect()
    }
}

fn citation(policy: Option<&PolicyRef>, policies: &Policies) -> Option<String> {
    policies.get(&policy?.name)?.spec.citation.clone()
}

fn plain<S: Serializer>(cells: &[Cell; CELLS], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&cells.iter().map(|cell| mark(*cell, ['#', '+', '.'])).collect::<String>())
}
