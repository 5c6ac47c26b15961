//! The folder `policies`, as a cluster would have it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rules::kinds::{DialingPolicy, DialingPolicySpec, Zone};
use rules::policies::Policy;
use serde_json::Value;

/// Before the name of a place it is the label of a namespace that calls there.
const CALLS: &str = "dialer.cxone-operator.io/calls-";

/// A file of the folder.
pub struct File {
    /// Its name without `.yaml`.
    pub stem: String,
    pub text: String,
    /// What it holds, field by field.
    pub raw: Value,
    pub object: DialingPolicy,
}

impl File {
    pub fn spec(&self) -> &DialingPolicySpec {
        &self.object.spec
    }

    /// The lines of its header, without the `#`.
    pub fn header(&self) -> String {
        let lines = self.text.lines().map_while(|line| line.strip_prefix('#'));
        lines.map(str::trim).collect::<Vec<_>>().join(" ")
    }

    pub fn policy(&self) -> Policy {
        let name = self.object.metadata.name.clone().unwrap();
        Policy { name, generation: 1, spec: self.object.spec.clone() }
    }
}

pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(name)
}

pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every policy, by name.
pub fn all() -> Vec<File> {
    let entries = path("").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|it| it == "yaml")).collect();
    paths.sort();
    paths.iter().map(|path| file(path)).collect()
}

fn file(path: &Path) -> File {
    let text = read(path);
    let parse = |error: &dyn std::fmt::Display| -> ! { panic!("{}: {error}", path.display()) };
    let raw: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| parse(&error));
    let object = serde_json::from_value(raw.clone()).unwrap_or_else(|error| parse(&error));
    File { stem: path.file_stem().unwrap().to_str().unwrap().into(), text, raw, object }
}

pub fn named(stem: &str) -> File {
    all().into_iter().find(|file| file.stem == stem).unwrap()
}

/// The labels of a namespace that calls these places.
pub fn labels(calls: &[String]) -> BTreeMap<String, String> {
    calls.iter().map(|place| (format!("{CALLS}{place}"), String::new())).collect()
}

/// What concerns a namespace with these labels.
pub fn selected_by(labels: &BTreeMap<String, String>) -> Vec<Arc<Policy>> {
    let files = all().into_iter().filter(|file| file.spec().namespace_selector.matches(labels));
    files.map(|file| Arc::new(file.policy())).collect()
}

/// The zones that a policy is read in, in a campaign with these.
pub fn zones_of<'a>(spec: &'a DialingPolicySpec, campaign: &'a [Zone]) -> &'a [Zone] {
    spec.time_zones.as_deref().unwrap_or(campaign)
}
