//! Manifests from files, from standard input and from a folder, read strictly: nothing is planned that would be refused.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use rules::kinds::{DialerCampaignState, DialingPolicy};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::check;
use super::schema::{self, Problem};

const GROUP: &str = "dialer.cxone-operator.io/";
const VERSION: &str = "dialer.cxone-operator.io/v1alpha1";

/// What manifests hold that a plan is made of.
#[derive(Default)]
pub struct Manifests {
    pub campaigns: Vec<Item<DialerCampaignState>>,
    pub policies: Vec<Item<DialingPolicy>>,
    /// The labels of namespaces.
    pub labels: BTreeMap<String, BTreeMap<String, String>>,
    pub notes: Vec<String>,
}

/// An object, and where it was read.
pub struct Item<T> {
    pub object: T,
    /// `FILE, document 2`.
    pub source: String,
}

/// So much may come of aliases.
const MOST_UNFOLDED: usize = 20_000;

/// Reads a file, or standard input where it is `-`.
///
/// # Errors
/// With file, document, field, value and what would be accepted.
pub fn read(path: &Path) -> Result<Manifests> {
    let mut found = Manifests::default();
    let (name, text) = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input can't be read")?;
        ("standard input".to_owned(), text)
    } else {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(|| format!("{name} can't be read"))?;
        (name, text)
    };
    found.take_in(&name, &text)?;
    Ok(found)
}

/// Reads every `*.yaml` and `*.yml` of a folder.
///
/// # Errors
/// As [`read`] does.
pub fn read_folder(folder: &Path) -> Result<Manifests> {
    let name = folder.display();
    let entries = std::fs::read_dir(folder).with_context(|| format!("the folder {name} can't be read"))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("the folder {name} can't be read"))?.path();
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut all = Manifests::default();
    for path in paths {
        let mut found = read(&path)?;
        if !found.campaigns.is_empty() {
            all.notes
                .push(format!("{}: campaigns in the folder of policies are not planned", path.display()));
        }
        all.policies.append(&mut found.policies);
        all.labels.append(&mut found.labels);
        all.notes.append(&mut found.notes);
    }
    if all.policies.is_empty() {
        all.notes.push(format!("{name} holds no DialingPolicy in its *.yaml"));
    }
    Ok(all)
}

impl Manifests {
    fn take_in(&mut self, name: &str, text: &str) -> Result<()> {
        // A file of a stranger's pull request may unfold without end.
        let options = serde_saphyr::options! {
            alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MOST_UNFOLDED },
        };
        let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options)
            .map_err(|error| anyhow!("{name} is no YAML: {error}"))?;
        if documents.iter().all(Value::is_null) {
            bail!("{name} is empty: a DialerCampaignState or a DialingPolicy is expected");
        }
        for (place, document) in documents.into_iter().enumerate().filter(|(_, value)| !value.is_null()) {
            let source = format!("{name}, document {}", place + 1);
            match document {
                Value::Object(object) => self.take_object(&source, object)?,
                other => bail!("{source}: {} is no object with apiVersion and kind", shown(&other)),
            }
        }
        Ok(())
    }

    fn take_object(&mut self, source: &str, mut object: Map<String, Value>) -> Result<()> {
        let word = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (version, kind) = (word("apiVersion"), word("kind"));
        match (version.as_str(), kind.as_str()) {
            (_, "") | ("", _) => bail!("{source}: apiVersion or kind is missing"),
            ("v1", "List") => {
                let items = object.remove("items").unwrap_or_default();
                for (place, item) in items.as_array().into_iter().flatten().enumerate() {
                    let item = item.as_object().cloned().unwrap_or_default();
                    self.take_object(&format!("{source}, item {}", place + 1), item)?;
                }
            }
            ("v1", "Namespace") => {
                let name = name_of(source, &object)?;
                refuse(source, &kind, &name, &schema::check(&kind, &object)?)?;
                let labels = object.get("metadata").and_then(|meta| meta.get("labels")).cloned();
                let labels = labels.filter(|labels| !labels.is_null());
                let labels = labels.map(serde_json::from_value::<BTreeMap<String, String>>).transpose();
                let labels =
                    labels.with_context(|| format!("{source}: metadata.labels are no map of strings"))?;
                let mut labels = labels.unwrap_or_default();
                // The API server gives it to every namespace.
                labels.insert("kubernetes.io/metadata.name".to_owned(), name.clone());
                self.labels.insert(name, labels);
            }
            (VERSION, "DialerCampaignState") => {
                let object: DialerCampaignState =
                    strict(source, &kind, object, |o: &DialerCampaignState| check::campaign(&o.spec))?;
                self.campaigns.push(Item { object, source: source.to_owned() });
            }
            (VERSION, "DialingPolicy") => {
                let object: DialingPolicy =
                    strict(source, &kind, object, |o: &DialingPolicy| check::policy(&o.spec))?;
                self.policies.push(Item { object, source: source.to_owned() });
            }
            (other, "DialerCampaignState" | "DialingPolicy") => {
                bail!("{source}: apiVersion {other:?} of {kind} is not known; {VERSION} is");
            }
            (ours, other) if ours.starts_with(GROUP) && other != "CXoneTenant" => {
                bail!(
                    "{source}: kind {other:?} is not known; DialerCampaignState, DialingPolicy and CXoneTenant are"
                );
            }
            _ => self.notes.push(format!("{source}: {kind} is ignored")),
        }
        Ok(())
    }
}

fn strict<T: DeserializeOwned>(
    source: &str,
    kind: &str,
    object: Map<String, Value>,
    check: impl FnOnce(&T) -> Vec<Problem>,
) -> Result<T> {
    let name = name_of(source, &object)?;
    let mut problems = schema::check(kind, &object)?;
    let decoded = serde_json::from_value(Value::Object(object));
    if let Ok(decoded) = &decoded {
        // What is known of a field's meaning tells more than its form does.
        let found = check(decoded);
        problems.retain(|problem| !found.iter().any(|better| better.field == problem.field));
        problems.extend(found);
    }
    refuse(source, kind, &name, &problems)?;
    decoded.map_err(|error| anyhow!("{source}: {kind} {name} can't be decoded: {error}"))
}

fn refuse(source: &str, kind: &str, name: &str, problems: &[Problem]) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    let told: Vec<_> = problems.iter().map(|p| format!("\n  {}: {}", p.field, p.what)).collect();
    Err(anyhow!("{source}: {kind} {name} is not valid:{}", told.concat()))
}

fn name_of(source: &str, object: &Map<String, Value>) -> Result<String> {
    let name = object.get("metadata").and_then(|meta| meta.get("name")).and_then(Value::as_str);
    name.map(str::to_owned).ok_or_else(|| anyhow!("{source}: metadata.name is missing"))
}

fn shown(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}
