//! Real objects at their stages, and the test data of the health scripts, which is made of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Expected, kstatus, oracle};

/// An object, and what the engines said of it when it was taken: status and message.
pub struct Sample {
    pub object: Value,
    pub health: (String, String),
    pub strict: (String, String),
    pub kstatus: (String, String),
}

/// Objects by kind and stage.
#[derive(Default)]
pub struct Samples(BTreeMap<(String, String), Sample>);

impl Samples {
    /// Takes an object at its stage, as `kubectl get -o yaml` shows it.
    pub fn take(&mut self, stage: &str, object: &impl Serialize) {
        let mut object = json!(object);
        object["metadata"].as_object_mut().unwrap().remove("managedFields");
        let kind = object["kind"].as_str().expect("a kind").to_owned();
        let objects = std::slice::from_ref(&object);
        let sample = Sample {
            health: oracle::health(&oracle::health_script(&kind), objects).remove(0),
            strict: oracle::health(&oracle::strict_script(), objects).remove(0),
            kstatus: kstatus(objects).remove(0),
            object,
        };
        assert!(self.0.insert((kind, stage.to_owned()), sample).is_none(), "{stage} twice");
    }

    pub fn get(&self, kind: &str, stage: &str) -> &Sample {
        let found = self.0.get(&(kind.to_owned(), stage.to_owned()));
        found.unwrap_or_else(|| panic!("no {kind} at the stage {stage}"))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Asserts that the test data is like these objects; with UPDATE=1 writes it anew.
    pub fn keep(&self, table: &[Expected]) {
        let update = std::env::var_os("UPDATE").is_some();
        for row in table {
            let object = &self.get(row.kind, row.stage).object;
            if update {
                let text = serde_saphyr::to_string(&anonymous(object, row)).unwrap();
                std::fs::create_dir_all(file(row).parent().unwrap()).unwrap();
                std::fs::write(file(row), text).unwrap();
                continue;
            }
            let text = std::fs::read_to_string(file(row)).unwrap();
            let kept: Value = serde_saphyr::from_str(&text).unwrap();
            let place = file(row).display().to_string();
            assert_eq!(shape(&kept), shape(object), "{place}: write it anew with UPDATE=1");
        }
        if update {
            let kinds: std::collections::BTreeSet<_> = table.iter().map(|row| row.kind).collect();
            kinds.into_iter().for_each(|kind| write_tests(kind, table));
        }
    }
}

fn file(row: &Expected) -> PathBuf {
    oracle::customizations().join(row.kind).join("testdata").join(format!("{}.yaml", row.stage))
}

/// What of an object does not differ from one run to the next: what is declared, and what its conditions say.
fn shape(object: &Value) -> Value {
    let fields = |part: &Value| part.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>());
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let conditions: Vec<Value> = conditions.map(|c| json!([c["type"], c["status"], c["reason"]])).collect();
    let behind = object["metadata"]["generation"] != object["status"]["observedGeneration"];
    json!([object["kind"], fields(&object["spec"]), conditions, behind])
}

/// The object with names that say something to a reader. Nothing that tells its stage is changed.
fn anonymous(object: &Value, row: &Expected) -> Value {
    let mut text = object.to_string();
    let metadata = &object["metadata"];
    let mut names = vec![(metadata["name"].as_str(), row.stage)];
    names.push((metadata["namespace"].as_str(), "sales"));
    names.push((metadata["uid"].as_str(), "0a61e5e4-5f2c-4a55-9d64-5f6d2b7f3c11"));
    for (name, instead) in names.into_iter().filter_map(|(name, instead)| Some((name?, instead))) {
        text = text.replace(&format!("\"{name}\""), &format!("\"{instead}\""));
    }
    let mut object: Value = serde_json::from_str(&text).unwrap();
    object["metadata"]["resourceVersion"] = json!("4711");
    if (row.kind, row.stage) == ("DialingPolicy", "fresh") {
        // One that is never older than a minute.
        object["metadata"]["creationTimestamp"] = json!("2199-01-01T00:00:00Z");
    }
    object
}

/// The list that Argo CD's own tests read.
fn write_tests(kind: &str, table: &[Expected]) {
    let test = |row: &Expected| {
        let object: Value = serde_saphyr::from_str(&std::fs::read_to_string(file(row)).unwrap()).unwrap();
        let (status, message) = oracle::health(&oracle::health_script(kind), &[object]).remove(0);
        json!({"healthStatus": {"status": status, "message": message},
               "inputPath": format!("testdata/{}.yaml", row.stage)})
    };
    let tests: Vec<Value> = table.iter().filter(|row| row.kind == kind).map(test).collect();
    let text = serde_saphyr::to_string(&json!({"tests": tests})).unwrap();
    std::fs::write(oracle::customizations().join(kind).join("health_test.yaml"), text).unwrap();
}
