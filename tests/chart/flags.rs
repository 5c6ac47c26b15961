//! What the chart makes of its values are arguments that the operator takes.

use std::process::Command;

use cxone::AllowEntry;
use regex::Regex;
use serde_json::{Value, json};

use crate::helm::{args, chart, container, json as with, way, ways};

/// What the operator says to these arguments where there is no cluster.
fn said_to(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_dialer-operator"))
        .args(args)
        .env_clear()
        .env("KUBECONFIG", "/nonexistent/kubeconfig")
        .output()
        .unwrap();
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_operator_takes_every_argument_that_the_chart_makes() {
    for name in ways() {
        let objects = way(&name);
        let said = said_to(&args(&objects));
        assert!(said.contains("no cluster:"), "{name}: {said}");
    }
    assert!(!said_to(&["run", "--no-such-flag"]).contains("no cluster:"));
}

#[test]
fn each_value_becomes_its_flag() {
    let objects = with(&json!({
        "watchNamespace": "sales", "policies": {"required": true}, "allowEndpoints": ["a.example.com", "http://b:1"],
        "allowSinks": ["c:2"], "proxy": {"url": "http://p:3128"}, "log": {"format": "text", "level": "debug"},
        "audit": {"persistence": {"enabled": true}, "maxSize": "1GiB", "maxAge": "12h"},
        "admin": {"host": "[::]", "port": 9090}
    }));
    assert_eq!(
        args(&objects),
        [
            "run",
            "--admin-addr=[::]:9090",
            "--log-format=text",
            "--log-level=debug",
            "--watch-namespace=sales",
            "--require-policy",
            "--allow-endpoint=a.example.com",
            "--allow-endpoint=http://b:1",
            "--allow-sink=c:2",
            "--proxy=http://p:3128",
            "--audit-log=/var/lib/dialer-operator/audit.jsonl",
            "--audit-log-max-size=1GiB",
            "--audit-log-max-age=12h",
        ]
    );
    assert!(args(&way("alone")).contains(&"--no-policies"));
}

#[test]
fn every_flag_of_the_operator_can_be_set_by_a_value() {
    let help = Command::new(env!("CARGO_BIN_EXE_dialer-operator")).args(["run", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let template = std::fs::read_to_string(chart().join("templates/deployment.yaml")).unwrap();
    let flags: Vec<&str> = help
        .lines()
        .filter_map(|line| line.trim().strip_prefix("--"))
        .map(|line| line.split([' ', '=']).next().unwrap())
        .collect();
    assert!(flags.len() > 10, "{flags:?}");
    for flag in flags {
        assert!(template.contains(&format!("--{flag}")), "--{flag}");
    }
}

#[test]
fn a_proxy_with_a_password_comes_from_a_secret_and_is_no_argument() {
    let objects = way("bare");
    let secret = json!({"name": "proxy", "key": "url"});
    let env = json!([{"name": "DIALER_PROXY", "valueFrom": {"secretKeyRef": secret}}]);
    assert_eq!(container(&objects)["env"], env);
    assert!(!args(&objects).iter().any(|arg| arg.starts_with("--proxy")));
    let help = Command::new(env!("CARGO_BIN_EXE_dialer-operator")).args(["run", "--help"]).output().unwrap();
    assert!(String::from_utf8_lossy(&help.stdout).contains("DIALER_PROXY"));
}

fn pattern(pointer: &str) -> Regex {
    let schema = std::fs::read_to_string(chart().join("values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    Regex::new(schema.pointer(pointer).unwrap().as_str().unwrap()).unwrap()
}

#[test]
fn the_schema_takes_a_host_exactly_where_the_flags_do() {
    let pattern = pattern("/definitions/allowEntry/pattern");
    let good = [
        "example.com",
        "EXAMPLE.com",
        "a",
        "a-b.c_d.example",
        "example.com:8443",
        "https://example.com",
        "http://example.com",
        "http://127.0.0.1:8080",
        "[::1]",
        "[::1]:8443",
        "http://[2001:db8::1]:80",
        "example.com:1",
        "example.com:65535",
    ];
    for entry in good {
        assert!(pattern.is_match(entry) && entry.parse::<AllowEntry>().is_ok(), "{entry}");
    }
    let bad = [
        "",
        " ",
        "example.com/",
        "example.com/path",
        "http://example.com/",
        "ftp://example.com",
        "user@example.com",
        "*.example.com",
        "example.com.",
        "example.com:0",
        "example.com:65536",
        "example.com:99999",
        "example.com?x",
        "example.com#x",
        "a b",
        "https://",
        ":443",
        "example.com:port",
        "\\example.com",
        "example.com\n",
        "[::1",
        "exa%6dple.com",
    ];
    for entry in bad {
        assert!(!pattern.is_match(entry), "the schema takes {entry:?}");
    }
    // What the URL standard repairs to a plain host (%6d) or allows as an odd one is refused by the schema alone.
    for entry in bad.into_iter().filter(|entry| !entry.contains('%')) {
        assert!(entry.parse::<AllowEntry>().is_err(), "the flag takes {entry:?}");
    }
    assert!(!pattern.is_match("a.example.com,b.example.com"), "the flag would make two of it");
}

#[test]
fn sizes_and_ages_that_the_schema_takes_are_taken_by_the_flags_within_their_bounds() {
    let (size, age) =
        ("/properties/audit/properties/maxSize/pattern", "/properties/audit/properties/maxAge/pattern");
    for text in ["1MiB", "64MiB", "16GiB", "500MB", "1GB", "4096KiB"] {
        assert!(pattern(size).is_match(text) && audit::size(text).is_ok(), "{text}");
    }
    for text in ["64", "1.5GiB", "-1MiB", "MiB", "64 TiB"] {
        assert!(!pattern(size).is_match(text) && audit::size(text).is_err(), "{text}");
    }
    for text in ["7d", "12h", "1d 12h", "30m", "3660d"] {
        assert!(pattern(age).is_match(text) && audit::age(text).is_ok(), "{text}");
    }
    for text in ["7", "a week", "-1d", "1s"] {
        assert!(!pattern(age).is_match(text) && audit::age(text).is_err(), "{text}");
    }
}
