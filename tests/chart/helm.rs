//! Helm itself, and what it renders.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::Value;

/// The folder of the project.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The chart.
pub fn chart() -> PathBuf {
    root().join("charts/dialer-operator")
}

/// A file of values that stands for one way to install.
pub fn values(name: &str) -> PathBuf {
    root().join("tests/chart/values").join(format!("{name}.yaml"))
}

/// Every such way.
pub fn ways() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("tests/chart/values")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.len() > 2, "{names:?}");
    names
}

static HELM: LazyLock<PathBuf> = LazyLock::new(|| devcluster::assets::HELM.path().unwrap());

/// Runs Helm, which sees nothing of this user's own settings.
pub fn helm(args: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(&*HELM);
    command.args(args).env_clear().env("HOME", home.path()).current_dir(root());
    command.output().unwrap()
}

fn template(args: &[&str]) -> Output {
    let chart = chart();
    let fixed =
        ["template", "dialer-operator", chart.to_str().unwrap(), "-n", "dialer-system", "--set-string"];
    let fixed = fixed.into_iter().chain(["image.repository=registry.example.com/dialer-operator"]);
    helm(&fixed.chain(args.iter().copied()).collect::<Vec<_>>())
}

/// What is rendered with these arguments, or why Helm refuses to.
pub fn attempt(args: &[&str]) -> Result<String, String> {
    let output = template(args);
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

/// What is rendered, as text.
pub fn rendered(args: &[&str]) -> String {
    attempt(args).unwrap_or_else(|said| panic!("{args:?}: {said}"))
}

/// Why Helm refuses to render.
pub fn refusal(args: &[&str]) -> String {
    attempt(args).err().unwrap_or_else(|| panic!("{args:?} is rendered"))
}

/// The objects of a text of YAML documents.
pub fn objects(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    all.into_iter().filter(|object| !object.is_null()).collect()
}

/// What is rendered with these `--set` values.
pub fn set(values: &[&str]) -> Vec<Value> {
    objects(&rendered(&values.iter().flat_map(|value| ["--set", value]).collect::<Vec<_>>()))
}

/// What is rendered with this JSON as values.
pub fn json(values: &Value) -> Vec<Value> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), values.to_string()).unwrap();
    objects(&rendered(&["-f", file.path().to_str().unwrap()]))
}

/// What is rendered for one way to install.
pub fn way(name: &str) -> Vec<Value> {
    objects(&rendered(&["-f", values(name).to_str().unwrap()]))
}

/// The objects of a kind.
pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// The one object of a kind.
pub fn the<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let all = of_kind(objects, kind);
    assert_eq!(all.len(), 1, "{kind}: {all:#?}");
    all[0]
}

/// The operator's container.
pub fn container(objects: &[Value]) -> &Value {
    let containers = &the(objects, "Deployment")["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers.as_array().unwrap().len(), 1);
    &containers[0]
}

/// Its arguments.
pub fn args(objects: &[Value]) -> Vec<&str> {
    container(objects)["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect()
}
