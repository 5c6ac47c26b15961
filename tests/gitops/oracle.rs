//! What the engines of Argo CD and Flux say of objects.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// Where the scripts and their test data are.
pub fn customizations() -> PathBuf {
    deploy().join("argocd/resource_customizations/dialer.cxone-operator.io")
}

/// The folder of all that is deployed.
pub fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

/// The script that tells the health of a kind.
pub fn health_script(kind: &str) -> PathBuf {
    customizations().join(kind).join("health.lua")
}

/// The script for waves that must wait for real dialing.
pub fn strict_script() -> PathBuf {
    deploy().join("argocd/strict/health.lua")
}

/// What a health script says of each object: status and message.
pub fn health(script: &Path, objects: &[Value]) -> Vec<(String, String)> {
    said(&ask("health", &[script.to_str().unwrap()], objects))
}

/// One answer for each object.
pub fn ask(command: &str, arguments: &[&str], objects: &[Value]) -> Vec<Value> {
    let oracle = devcluster::assets::GITOPS_ORACLE.path().expect("the oracle");
    let mut process = Command::new(oracle)
        .arg(command)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(json!(objects).to_string().as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command} {arguments:?}: {complaint}");
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), objects.len());
    answers
}

/// Status and message of each answer.
pub fn said(answers: &[Value]) -> Vec<(String, String)> {
    let word = |answer: &Value, field: &str| answer[field].as_str().unwrap_or_default().to_owned();
    answers.iter().map(|answer| (word(answer, "status"), word(answer, "message"))).collect()
}
