//! Live campaigns that nobody asked to plan, and that a file's policies may close all the same.

use std::collections::BTreeSet;

use kube::ResourceExt;

use super::cluster::Cluster;
use super::subjects::Subject;

/// Every other live campaign that can be read; what can't be is noted. These are the namespaces that were asked for.
pub async fn gather(
    cluster: &Cluster,
    asked: &[Subject],
    mut namespaces: BTreeSet<String>,
    notes: &mut Vec<String>,
) -> Vec<Subject> {
    let live = match cluster.all_campaigns().await {
        Ok(all) => all,
        Err(why) => {
            notes.push(format!(
                "campaigns of other namespaces were not looked at, and applying this may close some: {why:#}"
            ));
            namespaces.extend(asked.iter().map(|subject| subject.namespace.clone()));
            let mut all = Vec::new();
            for namespace in &namespaces {
                match cluster.campaigns(namespace).await {
                    Ok(more) => all.extend(more),
                    Err(why) => notes.push(format!(
                        "other campaigns of namespace {namespace} were not looked at either: {why:#}"
                    )),
                }
            }
            all
        }
    };
    let is_asked = |namespace: &str, name: &str| {
        asked.iter().any(|subject| subject.namespace == namespace && subject.object.name_any() == name)
    };
    let others = live.into_iter().filter_map(|object| {
        let namespace = object.namespace()?;
        (!is_asked(&namespace, &object.name_any())).then(|| Subject::living(&namespace, object))
    });
    others.collect()
}
