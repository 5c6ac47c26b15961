//! Why a campaign is as it is: the loop's own decision on what the API server has, and what the operator last said.

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use rules::campaign::{Campaign, Seen};
use rules::decide::{Decision, decide};
use rules::gates::{Gate, Row, Verdict, WINDOW};
use rules::inputs::{Inputs, Meta, Site, Tenant, Window};
use rules::kinds::{CXoneTenant, CampaignStatus, DialerCampaignState, Observed};
use rules::plan::{Question, ideal_site, plan};
use rules::policies::Policies;
use rules::reasons::{Reason, conditions};
use rules::trouble::Now;
use rules::zones;

use super::answer::{self, Asked};
use super::args::WhyArgs;
use super::cluster::Cluster;
use super::concern::Concern;
use super::plan::{TIMEOUT, zone_of};
use super::said;
use super::views::{GateView, Holding, Said, SaidCondition, Source, Transition, WhyReport};
use super::when::Zone;

/// How many of the coming transitions are told.
const NEXT_AT_MOST: usize = 4;
/// How far ahead they are looked for.
const AHEAD: SignedDuration = SignedDuration::from_hours(400 * 24);
/// The platform's clock where the operator said that it is wrong.
const WRONG_CLOCK: SignedDuration = SignedDuration::from_secs(3600);

/// Where the operator can't read what whoever asks can.
const BEYOND: &str =
    "the policies can be read from here, and the operator last said that it can't read them: it acts on that";

/// Answers.
///
/// # Errors
/// Where there is no such campaign, or the cluster does not give what is needed.
pub async fn report(args: &WhyArgs) -> Result<WhyReport> {
    let cluster = Cluster::connect().await?;
    let namespace = args.namespace.as_deref().unwrap_or(&cluster.namespace);
    let object = cluster.known_campaign(namespace, &args.name).await?;
    let tenant = cluster.tenant(namespace, &object.spec.tenant_ref.name).await?;
    let concern = concern(args, &cluster, namespace).await.with_context(|| last_words(&object))?;
    let status = object.status.clone().unwrap_or_default();
    let read = concern.about(namespace);
    // With --no-policies it is asked what would be without them.
    let policies = if args.rules.no_policies { read.clone() } else { said::policies(read.clone(), &status) };
    let beyond = (policies != read).then(|| BEYOND.to_owned());
    let known = Known {
        namespace,
        name: &args.name,
        status,
        meta: Meta::of(&object),
        policies,
        tenant: tenant.as_ref(),
        object: &object,
        at: Timestamp::now(),
    };
    let zone = zone_of(args.show.zone.as_deref(), &object.spec, &known.policies)?;
    Ok(known.report(&zone, concern.note(namespace).into_iter().chain(beyond)))
}

async fn concern(args: &WhyArgs, cluster: &Cluster, namespace: &str) -> Result<Concern> {
    if args.rules.no_policies {
        return Ok(Concern::without());
    }
    let mut concern = Concern::of(cluster.policies().await?).required(args.rules.require_policy);
    concern.learn(cluster, namespace).await?;
    Ok(concern)
}

/// Who may not read all is told at least what the operator said of it.
fn last_words(object: &DialerCampaignState) -> String {
    let ready = object.status.as_ref().and_then(|status| status.condition(conditions::READY));
    ready.map_or_else(
        || "the operator has said nothing of it yet".to_owned(),
        |c| format!("the operator last said Ready={} {}: {}", c.status, c.reason, c.message),
    )
}

/// What is known of a campaign.
struct Known<'a> {
    namespace: &'a str,
    name: &'a str,
    object: &'a DialerCampaignState,
    status: CampaignStatus,
    meta: Meta,
    policies: Policies,
    tenant: Option<&'a CXoneTenant>,
    at: Timestamp,
}

impl Known<'_> {
    fn report(&self, zone: &Zone, more: impl Iterator<Item = String>) -> WhyReport {
        let spec = &self.object.spec;
        let (site, window) =
            (self.site(), Window::at(spec.compliance_window.as_ref(), &self.policies, self.at));
        let now = Now { wall: self.at, mono: TIMEOUT };
        let campaign = self.campaign(now);
        let (policies, meta) = (&self.policies, &self.meta);
        let inputs = Inputs { spec, meta, site: &site, policies, window: &window, campaign: &campaign, now };
        let mut decision = decide(&inputs);
        said::retell(&mut decision, &self.status);
        let next = self.next(&site, zone);
        let observed = campaign.known();
        let asked =
            Asked { inputs: &inputs, decision: &decision, observed, status: &self.status, next: &next, zone };
        let gates = decision.gates.iter().map(|gate| self.gate(gate, &window)).collect::<Vec<_>>();
        WhyReport {
            answer: answer::sentence(&asked, self.name),
            advice: answer::advice(&asked, &gates),
            policies: Source::all(&self.policies),
            namespace: self.namespace.to_owned(),
            name: self.name.to_owned(),
            campaign_id: spec.campaign_id.clone(),
            tenant: spec.tenant_ref.name.clone(),
            at: self.at,
            zone: zone.name.clone(),
            zone_database: zones::version(),
            declared: spec.state,
            effective: decision.effective,
            observed,
            notes: answer::notes(&asked).into_iter().chain(more).collect(),
            operator: self.said(),
            gates,
            next,
        }
    }

    /// As the loop would take it up, with the state that the operator last read.
    fn campaign(&self, now: Now) -> Campaign {
        let (spec, meta) = (&self.object.spec, &self.meta);
        let mut campaign = Campaign::resume(self.status.clone(), meta.generation, now);
        campaign.declared(spec, meta.generation, meta.release.as_deref());
        let seen = self.status.observed.filter(|observed| *observed != Observed::Unknown);
        campaign.seen = seen.map(|observed| Seen { observed, at: now });
        campaign.last_look = Some(now);
        campaign.skew = said::gives(&self.status, Reason::ClockSkew).then_some(WRONG_CLOCK);
        campaign
    }

    /// What only the running operator knows is taken as it last said.
    fn site(&self) -> Site {
        let told = self.tenant.and_then(|tenant| tenant.status.as_ref());
        let is_told = |reason: Reason| {
            let mut conditions = told.iter().flat_map(|status| &status.conditions);
            conditions.any(|c| c.type_ == conditions::READY && c.reason == reason.as_str())
        };
        let timeout = self.tenant.and_then(|tenant| u64::try_from(tenant.spec.timeout_seconds).ok());
        let site = Site {
            tenant: match self.tenant {
                None => Tenant::NotFound,
                Some(_) if is_told(Reason::EndpointNotAllowed) => Tenant::NotAllowed,
                Some(_) if is_told(Reason::CredentialsMissing) => Tenant::WithoutCredentials,
                Some(_) if is_told(Reason::Unauthorized) => Tenant::Refused,
                Some(_) => Tenant::Usable,
            },
            ..ideal_site(timeout.map_or(TIMEOUT, std::time::Duration::from_secs))
        };
        said::site(&self.status, site)
    }

    fn next(&self, site: &Site, zone: &Zone) -> Vec<Transition> {
        let plan = plan(&Question {
            spec: &self.object.spec,
            meta: &self.meta,
            // What passes by itself holds nothing up for long.
            site: &Site { listed: true, audit_writable: true, ..site.clone() },
            policies: &self.policies,
            status: &self.status,
            observed: self.status.observed.unwrap_or(Observed::Unknown),
            from: self.at,
            until: self.at.checked_add(AHEAD).unwrap_or(Timestamp::MAX),
            at_most: NEXT_AT_MOST,
        });
        plan.changes.iter().map(|change| Transition::of(change, zone, &self.policies)).collect()
    }

    fn gate(&self, gate: &Gate, window: &Window) -> GateView {
        let open = match window {
            Window::Known(view) if gate.rule == WINDOW && view.open => Some(view),
            _ => None,
        };
        let holding = gate.obstacle().map(|o| Holding::of(o, &self.policies, self.namespace, self.name));
        GateView {
            gate: gate.rule,
            row: match gate.row {
                Row::Run => "run",
                Row::Start => "start",
                Row::Facts => "facts",
            },
            verdict: match gate.verdict {
                Verdict::Open => "open",
                Verdict::Closed(_) => "closed",
                Verdict::Unknown => "unknown",
            },
            within: open.map(|view| view.rule.text.clone()),
            closes: open.and_then(|view| view.next_close),
            holding,
        }
    }

    fn said(&self) -> Said {
        let conditions = self.status.conditions.iter().map(|c| SaidCondition {
            type_: c.type_.clone(),
            status: c.status.clone(),
            reason: c.reason.clone(),
            message: c.message.clone(),
        });
        Said {
            generation: self.meta.generation,
            observed_generation: self.status.observed_generation,
            effective: self.status.effective,
            conditions: conditions.collect(),
        }
    }
}

/// The first thing that stands against running, or else against starting.
pub fn first_obstacle(decision: &Decision) -> Option<&rules::gates::Obstacle> {
    let mut rows = [Row::Run, Row::Start, Row::Facts].into_iter();
    rows.find_map(|row| decision.obstacles(row).find_map(Gate::obstacle))
}
