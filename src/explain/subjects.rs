//! What a plan is made for: declarations of a file, or live ones, with what is known of each.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use kube::ResourceExt;
use rules::inputs::Meta;
use rules::kinds::{CampaignStatus, DialerCampaignState, Observed};

use super::args::PlanArgs;
use super::cluster::Cluster;
use super::concern::Concern;
use super::manifest::{self, Item, Manifests};
use super::others;

/// Everything that plans are made of.
pub struct Subjects {
    pub all: Vec<Subject>,
    /// Those that live besides, where the file holds what may close them: only warnings are told of them.
    pub others: Vec<Subject>,
    /// The policies as they will be.
    pub concern: Concern,
    /// The policies as they are in the cluster.
    pub before: Concern,
    pub notes: Vec<String>,
}

/// One declaration.
pub struct Subject {
    pub object: DialerCampaignState,
    pub namespace: String,
    /// Where it was read.
    pub source: String,
    /// The object that lives in the cluster.
    pub live: Option<DialerCampaignState>,
    /// Whether it is not what is in force, but what would be applied.
    pub is_new: bool,
    pub notes: Vec<String>,
}

/// Reads all that the arguments name.
///
/// # Errors
/// Where a manifest is wrong, or the cluster does not give what is needed.
pub async fn gather(args: &PlanArgs) -> Result<Subjects> {
    let mut file = args.file.as_deref().map(manifest::read).transpose()?.unwrap_or_default();
    let mut notes = std::mem::take(&mut file.notes);
    let cluster = connect(args, &mut notes).await?;
    let before = policies(args, cluster.as_ref(), &mut notes).await?.required(args.rules.require_policy);
    let mut concern = before.with(&file.policies, &file.labels);
    let mut found =
        Subjects { all: Vec::new(), others: Vec::new(), before, notes, concern: Concern::default() };
    found.all = chosen(args, cluster.as_ref(), &mut file, &mut found.notes).await?;
    if let Some(cluster) = &cluster {
        if rules_of(args, &file) {
            let here = args.namespace.as_deref().unwrap_or(&cluster.namespace).to_owned();
            found.others = others::gather(cluster, &found.all, [here].into(), &mut found.notes).await;
        }
        let all = found.all.iter().chain(&found.others).map(|subject| subject.namespace.as_str());
        for namespace in all.collect::<BTreeSet<_>>() {
            // Without the right to read them, every policy may concern it: said with the plan.
            let learnt =
                concern.learn(cluster, namespace).await.and(found.before.learn(cluster, namespace).await);
            let told = learnt.err().map(|why| format!("{why:#}"));
            found.notes.extend(told.filter(|told| !found.notes.contains(told)));
        }
    }
    found.concern = concern;
    Ok(found)
}

/// Whether the file holds what may close campaigns that are not in it: policies, or labels by which policies select.
fn rules_of(args: &PlanArgs, file: &Manifests) -> bool {
    !(args.rules.no_policies || file.policies.is_empty() && file.labels.is_empty())
}

async fn connect(args: &PlanArgs, notes: &mut Vec<String>) -> Result<Option<Cluster>> {
    if args.policies.is_some() {
        return Ok(None);
    }
    match Cluster::connect().await {
        Ok(cluster) => Ok(Some(cluster)),
        Err(why) if args.file.is_some() && args.rules.no_policies => {
            notes.push(format!("{why:#}: what runs now is not known"));
            Ok(None)
        }
        Err(why) => {
            Err(why.context("to plan a file without a cluster, give --policies DIR or --no-policies"))
        }
    }
}

async fn policies(args: &PlanArgs, cluster: Option<&Cluster>, notes: &mut Vec<String>) -> Result<Concern> {
    if args.rules.no_policies {
        return Ok(Concern::without());
    }
    if let Some(folder) = &args.policies {
        let mut found = manifest::read_folder(folder)?;
        notes.append(&mut found.notes);
        return Ok(Concern::default().with(&found.policies, &found.labels));
    }
    let Some(cluster) = cluster else { return Ok(Concern::default()) };
    let all = cluster.policies().await.context(
        "the policies are needed: give --policies DIR for files instead, or --no-policies to plan without them",
    )?;
    Ok(Concern::of(all))
}

/// The declarations that are asked for: those of the file, the one of this name, or all of the namespace.
async fn chosen(
    args: &PlanArgs,
    cluster: Option<&Cluster>,
    file: &mut Manifests,
    notes: &mut Vec<String>,
) -> Result<Vec<Subject>> {
    let mut items = std::mem::take(&mut file.campaigns);
    if let Some(name) = &args.name {
        items.retain(|item| item.object.name_any() == *name);
    }
    let mut subjects = Vec::new();
    for item in items {
        subjects.push(declared(args, cluster, item).await?);
    }
    if !subjects.is_empty() {
        return Ok(subjects);
    }
    let Some(cluster) = cluster else {
        match &args.name {
            Some(name) => {
                bail!("no DialerCampaignState {name} in a file (-f), and with --policies no cluster is asked")
            }
            None => bail!("no DialerCampaignState to plan: give a file that holds one with -f"),
        }
    };
    let namespace = args.namespace.as_deref().unwrap_or(&cluster.namespace);
    let live = match &args.name {
        Some(name) => vec![cluster.known_campaign(namespace, name).await?],
        None => cluster.campaigns(namespace).await?,
    };
    if live.is_empty() && rules_of(args, file) {
        notes.push(format!("no DialerCampaignState in namespace {namespace}: there is none to plan"));
    } else if live.is_empty() {
        bail!("no DialerCampaignState in namespace {namespace}; is it another one (-n), or a file (-f)?");
    }
    Ok(live.into_iter().map(|object| Subject::living(namespace, object)).collect())
}

/// A declaration of a file, as if it were applied.
async fn declared(
    args: &PlanArgs,
    cluster: Option<&Cluster>,
    Item { object, source }: Item<DialerCampaignState>,
) -> Result<Subject> {
    let (given, wanted, name) = (object.namespace(), args.namespace.clone(), object.name_any());
    if let (Some(given), Some(wanted)) = (&given, &wanted)
        && given != wanted
    {
        bail!("{source}: namespace {given} of {name} is not that of -n {wanted}");
    }
    let default = || cluster.map_or_else(|| "default".to_owned(), |cluster| cluster.namespace.clone());
    let namespace = given.or(wanted).unwrap_or_else(default);
    let mut subject = Subject { namespace, source, live: None, is_new: true, notes: Vec::new(), object };
    if let Some(cluster) = cluster {
        match cluster.campaign(&subject.namespace, &name).await {
            Ok(live) => subject.live = live,
            // Only who asks for policies needs the cluster.
            Err(why) if args.rules.no_policies => {
                subject.notes.push(format!("{why:#}: what runs now is not known"));
            }
            Err(why) => return Err(why),
        }
    }
    Ok(subject)
}

impl Subject {
    /// A declaration as it is in force.
    pub fn living(namespace: &str, object: DialerCampaignState) -> Self {
        Self {
            live: Some(object.clone()),
            object,
            is_new: false,
            namespace: namespace.to_owned(),
            source: "the live object".to_owned(),
            notes: Vec::new(),
        }
    }

    /// What will matter of its metadata: applying adds annotations and takes none away that others have set.
    pub fn meta(&self) -> Meta {
        let own = Meta::of(&self.object);
        let Some(live) = self.live.as_ref().filter(|_| self.is_new) else { return own };
        let there = Meta::of(live);
        Meta {
            generation: there.generation + i64::from(live.spec != self.object.spec),
            hold_is_fleeting: own.hold.is_none() && there.hold_is_fleeting,
            hold: own.hold.or(there.hold),
            release: own.release.or(there.release),
            reconcile: own.reconcile.or(there.reconcile),
            deleting: there.deleting,
            finalizer: there.finalizer,
        }
    }

    /// The status that says most of what is, and what CXone said by it.
    pub fn known(&self) -> (CampaignStatus, Observed, &'static str) {
        let of = |object: &DialerCampaignState| object.status.clone().unwrap_or_default();
        let (status, by) = match &self.live {
            Some(live) => (of(live), "by the status of the live object"),
            None => (of(&self.object), "by the status in the file"),
        };
        match status.observed {
            None | Some(Observed::Unknown) => (status, Observed::Paused, "assumed: nothing is known of it"),
            Some(observed) => (status, observed, by),
        }
    }
}
