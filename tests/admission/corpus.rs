//! The objects that are tried, as data.

use std::path::Path;

use jiff::ToSpan;
use jiff::civil::{Date, date};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// All that is tried for one kind: a file beside this one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Corpus {
    pub kind: String,
    pub plural: String,
    /// Whether objects lie in namespaces.
    pub namespaced: bool,
    /// Objects that are admitted.
    accepted: Vec<Entry>,
    /// Objects that are refused when they are created.
    refused: Vec<Entry>,
    /// Changes to the spec of an object that exists: refused where they say something, otherwise admitted.
    pub changes: Vec<Change>,
    /// What nobody, the operator included, can put into status.
    pub refused_statuses: Vec<Change>,
}

/// An object as the file has it: kind and name need not be repeated in each.
#[derive(Deserialize)]
struct Entry {
    case: String,
    #[serde(default)]
    says: Vec<String>,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

/// An object as a person writes it.
pub struct Object {
    /// What is tried, in words.
    pub case: String,
    /// How each line begins that `kubectl apply` shows.
    pub says: Vec<String>,
    pub manifest: Value,
}

/// A change to an object that exists.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub case: String,
    #[serde(default)]
    pub says: Vec<String>,
    /// The spec that exists.
    pub before: Value,
    /// What is merged into the object.
    pub patch: Value,
}

pub fn all() -> [Corpus; 3] {
    ["campaign", "tenant", "policy"].map(read)
}

fn read(name: &str) -> Corpus {
    let mut data: Value = read_yaml(&Path::new(file!()).with_file_name(format!("{name}.yaml")));
    write_out(&mut data);
    serde_json::from_value(data).unwrap_or_else(|error| panic!("{name}.yaml: {error}"))
}

/// Puts a list in the place of each `{times: 3, of: ...}`; in an item `<day>` is a date of its own.
fn write_out(data: &mut Value) {
    if let Some(times) = data["times"].as_u64() {
        let item = data["of"].to_string();
        let of_day =
            |day: Date| serde_json::from_str::<Value>(&item.replace("<day>", &day.to_string())).unwrap();
        *data = date(2026, 1, 1).series(1.day()).take(times as usize).map(of_day).collect();
    }
    match data {
        Value::Array(items) => items.iter_mut().for_each(write_out),
        Value::Object(fields) => fields.values_mut().for_each(write_out),
        _ => {}
    }
}

/// Reads a file of this repository.
pub fn read_yaml<T: DeserializeOwned>(path: &Path) -> T {
    let mut documents = read_documents(path);
    assert_eq!(documents.len(), 1, "{} holds more than one document", path.display());
    documents.remove(0)
}

/// Reads a file of this repository that may hold several documents.
pub fn read_documents<T: DeserializeOwned>(path: &Path) -> Vec<T> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

impl Corpus {
    pub fn accepted(&self) -> Vec<Object> {
        self.objects(&self.accepted)
    }

    pub fn refused(&self) -> Vec<Object> {
        self.objects(&self.refused)
    }

    fn objects(&self, entries: &[Entry]) -> Vec<Object> {
        entries.iter().map(|entry| self.object(entry)).collect()
    }

    fn object(&self, Entry { case, says, fields }: &Entry) -> Object {
        let mut manifest = self.manifest(Value::Null);
        let object = manifest.as_object_mut().unwrap();
        object.remove("spec");
        object.extend(fields.clone());
        Object { case: case.clone(), says: says.clone(), manifest }
    }

    /// An object with this spec that a test stores. It bears the test's name: where there are no namespaces, tests would meet.
    pub fn stored(&self, test: &str, spec: Value) -> Value {
        let mut manifest = self.manifest(spec);
        manifest["metadata"]["name"] = test.into();
        manifest
    }

    /// An object with this spec.
    pub fn manifest(&self, spec: Value) -> Value {
        json!({"apiVersion": "dialer.cxone-operator.io/v1alpha1", "kind": self.kind,
               "metadata": {"name": "example"}, "spec": spec})
    }
}
