//! What the chart makes of its values are arguments that the operator takes.

use std::process::Command;

use cxone::AllowEntry;
use serde_json::{Value, json};

use crate::helm::{args, attempt, chart, container, json as with, way, ways};

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

/// Whether the chart takes these values, and what it says where it does not.
fn taken(values: &Value) -> Result<(), String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), values.to_string()).unwrap();
    attempt(&["-f", file.path().to_str().unwrap()]).map(drop)
}

const HOSTS: [&str; 21] = [
    "example.com",
    "EXAMPLE.com",
    "a",
    "a-b.c_d.example",
    "1a.2b.c3",
    "example.com:8443",
    "https://example.com",
    "http://example.com",
    "http://127.0.0.1:8080",
    "0.0.0.0",
    "255.249.199.99",
    "[::]",
    "[::1]",
    "[::1]:8443",
    "[1::]",
    "[1:2:3::5:6:7]",
    "[1:2:3:4:5:6:7:8]",
    "http://[2001:db8::1]:80",
    "example.com:1",
    "example.com:65535",
    "example.com:443",
];

/// What the flags refuse too.
const NO_HOSTS: [&str; 29] = [
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
    "1.2.3.999",
    "1.2.3.4.5",
    "example.1",
    "[:::]",
    "[1:2:3:4:5:6:7]",
    "[1:2:3:4:5:6:7:8:9]",
    "[1::3::5]",
    "[12345::]",
];

/// What the URL standard repairs or completes to a host, and a list that a flag would take for two.
const ODD: [&str; 4] = ["exa%6dple.com", "1.2.3", "0x7f.0.0.1", "a.example.com,b.example.com"];

#[test]
fn the_chart_takes_a_host_where_the_flags_do() {
    for host in HOSTS {
        assert!(host.parse::<AllowEntry>().is_ok(), "the flag refuses {host}");
    }
    taken(&json!({"allowEndpoints": HOSTS, "allowSinks": HOSTS})).unwrap();
    for host in NO_HOSTS {
        assert!(host.parse::<AllowEntry>().is_err(), "the flag takes {host:?}");
    }
    for host in NO_HOSTS.into_iter().chain(ODD) {
        let said = taken(&json!({"allowEndpoints": [host]})).expect_err(host);
        let named = format!("allowEndpoints: {host:?} is not accepted; it takes HOST[:PORT]");
        assert!(said.contains(&named), "{host:?}: {said}");
    }
}

/// Values at both ends of what is accepted, and beyond, with what else the value takes.
#[test]
fn sizes_ages_and_levels_that_the_chart_takes_are_taken_by_the_flags() {
    let audit = |name: &str, text: &str| json!({"audit": {"persistence": {"enabled": true}, name: text}});
    for text in ["1MiB", "64MiB", "9999MiB", "1GiB", "16GiB"] {
        assert!(audit::size(text).is_ok() && taken(&audit("maxSize", text)).is_ok(), "{text}");
    }
    for text in ["", "64", "1.5GiB", "-1MiB", "0MiB", "500kB", "1KiB", "17GiB", "64 TiB"] {
        let said = taken(&audit("maxSize", text)).expect_err(text);
        assert!(
            said.contains(&format!("audit.maxSize: {text:?}")) && said.contains("16GiB"),
            "{text}: {said}"
        );
    }
    for text in ["1m", "9999m", "12h", "9999h", "1d", "7d", "999d", "2999d", "3660d"] {
        assert!(audit::age(text).is_ok() && taken(&audit("maxAge", text)).is_ok(), "{text}");
    }
    for text in ["", "7", "a week", "-1d", "0d", "1s", "3661d", "9999d"] {
        let said = taken(&audit("maxAge", text)).expect_err(text);
        assert!(
            said.contains(&format!("audit.maxAge: {text:?}")) && said.contains("3660d"),
            "{text}: {said}"
        );
    }
    let level = |text: &str| json!({"log": {"level": text}});
    for text in
        ["error", "warn", "info", "debug", "trace", "OFF", "h2=warn", "info,dialer_operator=debug,a::b=trace"]
    {
        taken(&level(text)).unwrap();
        let said = said_to(&["run", &format!("--log-level={text}")]);
        assert!(said.contains("no cluster:"), "{text}: {said}");
    }
    for text in ["", "infoo", "info,", "info,dialer_operator", "info,dialer_operator=debgu"] {
        let said = taken(&level(text)).expect_err(text);
        assert!(said.contains(&format!("log.level: {text:?}")) && said.contains("debug"), "{text}: {said}");
        assert!(said_to(&["run", &format!("--log-level={text}")]).contains("--log-level"), "{text}");
    }
}
