//! What a plan is made for: declarations of a file, or live ones, with what is known of each.

use anyhow::{Context, Result, bail};
use kube::ResourceExt;
use rules::inputs::Meta;
use rules::kinds::{CampaignStatus, DialerCampaignState, FINALIZER, HOLD, Observed, RECONCILE, RELEASE};

use super::cluster::Cluster;
use super::concern::Concern;
use super::manifest::{self, Item, Manifests};
use crate::cli::PlanArgs;

/// Everything that plans are made of.
pub struct Subjects {
    pub all: Vec<Subject>,
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
    let before = policies(args, cluster.as_ref(), &mut notes).await?.required(args.require_policy);
    let mut concern = before.with(&file.policies, &file.labels);
    let mut found = Subjects { all: Vec::new(), before, notes, concern: Concern::default() };
    for item in chosen(args, cluster.as_ref(), &mut file).await? {
        found.all.push(subject(args, cluster.as_ref(), item).await?);
    }
    if let Some(cluster) = &cluster {
        for Subject { namespace, .. } in &found.all {
            // Without the right to read them, every policy may concern it: said with the plan.
            if let Err(why) = concern.learn(cluster, namespace).await {
                found.notes.push(format!("{why:#}"));
            }
            let _ = found.before.learn(cluster, namespace).await;
        }
    }
    found.concern = concern;
    Ok(found)
}

async fn connect(args: &PlanArgs, notes: &mut Vec<String>) -> Result<Option<Cluster>> {
    if args.policies.is_some() {
        return Ok(None);
    }
    match Cluster::connect().await {
        Ok(cluster) => Ok(Some(cluster)),
        Err(why) if args.file.is_some() && args.no_policies => {
            notes.push(format!("{why:#}: what runs now is not known"));
            Ok(None)
        }
        Err(why) => Err(why.context("to plan a file without a cluster, give --policies DIR or --no-policies")),
    }
}

async fn policies(args: &PlanArgs, cluster: Option<&Cluster>, notes: &mut Vec<String>) -> Result<Concern> {
    if args.no_policies {
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
async fn chosen(args: &PlanArgs, cluster: Option<&Cluster>, file: &mut Manifests) -> Result<Vec<Item<DialerCampaignState>>> {
    let mut items = std::mem::take(&mut file.campaigns);
    if let Some(name) = &args.name {
        items.retain(|item| item.object.name_any() == *name);
    }
    if !items.is_empty() {
        return Ok(items);
    }
    let Some(cluster) = cluster else {
        match &args.name {
            Some(name) => bail!("no DialerCampaignState {name} in the file, and with --policies no cluster is asked"),
            None => bail!("no DialerCampaignState to plan: give a file that holds one with -f"),
        }
    };
    let namespace = args.namespace.as_deref().unwrap_or(&cluster.namespace);
    let live = match &args.name {
        Some(name) => vec![cluster.known_campaign(namespace, name).await?],
        None => cluster.campaigns(namespace).await?,
    };
    if live.is_empty() {
        bail!("no DialerCampaignState in namespace {namespace}; is it another one (-n), or a file (-f)?");
    }
    Ok(live.into_iter().map(|object| Item { object, source: "the live object".to_owned() }).collect())
}

async fn subject(args: &PlanArgs, cluster: Option<&Cluster>, item: Item<DialerCampaignState>) -> Result<Subject> {
    let Item { object, source } = item;
    let (given, wanted) = (object.namespace(), args.namespace.clone());
    if let (Some(given), Some(wanted)) = (&given, &wanted)
        && given != wanted
    {
        bail!("{source}: namespace {given} of {} is not that of -n {wanted}", object.name_any());
    }
    let default = || cluster.map_or_else(|| "default".to_owned(), |cluster| cluster.namespace.clone());
    let namespace = given.or(wanted).unwrap_or_else(default);
    let mut subject = Subject { namespace, source, live: None, notes: Vec::new(), object };
    if subject.is_live() {
        subject.live = Some(subject.object.clone());
    } else if let Some(cluster) = cluster {
        match cluster.campaign(&subject.namespace, &subject.object.name_any()).await {
            Ok(live) => subject.live = live,
            // Only who asks for policies needs the cluster.
            Err(why) if args.no_policies => subject.notes.push(format!("{why:#}: what runs now is not known")),
            Err(why) => return Err(why),
        }
    }
    Ok(subject)
}

impl Subject {
    fn is_live(&self) -> bool {
        self.object.metadata.uid.is_some() && self.object.metadata.resource_version.is_some() && self.source == "the live object"
    }

    /// Whether it is another declaration than the one that is in force.
    pub fn is_new(&self) -> bool {
        !self.is_live()
    }

    /// What will matter of its metadata: applying adds annotations and takes none away that others have set.
    pub fn meta(&self) -> Meta {
        let own = meta_of(&self.object);
        let Some(live) = self.live.as_ref().filter(|_| self.is_new()) else { return own };
        let there = meta_of(live);
        Meta {
            generation: there.generation + i64::from(live.spec != self.object.spec),
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
            Some(live) => (of(live), "the status of the live object"),
            None => (of(&self.object), "the status in the file"),
        };
        match status.observed {
            None | Some(Observed::Unknown) => (status, Observed::Paused, "nothing: it is assumed"),
            Some(observed) => (status, observed, by),
        }
    }
}

/// What matters of an object's metadata, as the loop takes it.
pub fn meta_of(object: &DialerCampaignState) -> Meta {
    let annotation = |name: &str| object.annotations().get(name).cloned();
    Meta {
        generation: object.metadata.generation.unwrap_or_default(),
        hold: annotation(HOLD),
        release: annotation(RELEASE),
        reconcile: annotation(RECONCILE),
        deleting: object.metadata.deletion_timestamp.is_some(),
        finalizer: object.finalizers().iter().any(|name| name == FINALIZER),
    }
}
