//! The NetworkPolicy: what gets in, and where the pod may go.

use serde_json::{Value, json};

use crate::helm::{json as with, of_kind, the, way};

fn policy(values: &Value) -> Value {
    the(&with(values), "NetworkPolicy")["spec"].clone()
}

/// The ports of an egress rule.
fn ports(rule: &Value) -> Vec<u64> {
    rule["ports"].as_array().unwrap().iter().map(|port| port["port"].as_u64().unwrap()).collect()
}

#[test]
fn by_default_nothing_gets_in_and_dns_the_api_server_and_https_alone_are_reached() {
    let spec = policy(&json!({}));
    assert_eq!((&spec["policyTypes"], &spec["ingress"]), (&json!(["Ingress", "Egress"]), &Value::Null));
    let egress = spec["egress"].as_array().unwrap();
    let all: Vec<Vec<u64>> = egress.iter().map(ports).collect();
    assert_eq!(all, [vec![53, 53], vec![443, 6443], vec![443]]);
    assert!(egress[0]["to"].to_string().contains("kube-system"));
}

#[test]
fn cxone_is_looked_for_on_the_internet_and_not_in_private_networks() {
    let spec = policy(&json!({}));
    let blocks = spec["egress"][2]["to"].as_array().unwrap();
    let except: Vec<&str> = blocks
        .iter()
        .flat_map(|peer| peer["ipBlock"]["except"].as_array().unwrap())
        .map(|cidr| cidr.as_str().unwrap())
        .collect();
    for private in ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7"] {
        assert!(except.contains(&private), "{private}");
    }
}

#[test]
fn the_ports_of_the_allowed_endpoints_and_sinks_are_opened_and_no_others() {
    let spec = policy(&json!({"allowEndpoints": ["cxone.example.com", "http://[::1]:8080"],
                              "allowSinks": ["wfm.example.com:8443", "http://agents.example.com", "[2001:db8::1]"]}));
    let mut opened = ports(&spec["egress"][3]);
    opened.sort_unstable();
    assert_eq!(opened, [80, 443, 8080, 8443]);
}

#[test]
fn with_a_proxy_nothing_but_the_proxy_is_reached_outside() {
    for (url, port) in
        [("http://proxy.example.com:3128", 3128), ("http://proxy.example.com/", 80), ("https://p", 443)]
    {
        let spec = policy(&json!({"proxy": {"url": url}, "allowSinks": ["wfm.example.com:8443"]}));
        let all: Vec<Vec<u64>> = spec["egress"].as_array().unwrap().iter().map(ports).collect();
        assert_eq!(all, [vec![53, 53], vec![443, 6443], vec![port]], "{url}");
    }
}

#[test]
fn the_api_server_can_be_narrowed_to_its_address() {
    let to = json!([{"ipBlock": {"cidr": "203.0.113.10/32"}}]);
    let spec = policy(&json!({"networkPolicy": {"apiServer": {"to": to, "ports": [6443]}}}));
    assert_eq!((&spec["egress"][1]["to"], ports(&spec["egress"][1])), (&to, vec![6443]));
}

#[test]
fn only_who_is_named_reads_the_metrics_and_only_them() {
    let from = json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]);
    let spec = policy(&json!({"networkPolicy": {"metricsFrom": from}}));
    assert_eq!(spec["ingress"], json!([{"from": from, "ports": [{"port": "admin", "protocol": "TCP"}]}]));
}

#[test]
fn every_egress_rule_names_its_ports_and_every_one_but_the_api_servers_whom() {
    let objects = way("all-on");
    let egress = the(&objects, "NetworkPolicy")["spec"]["egress"].as_array().unwrap();
    assert_eq!(egress.len(), 5);
    for rule in egress {
        assert!(!ports(rule).is_empty() && !rule["to"].as_array().unwrap().is_empty(), "{rule}");
    }
}

#[test]
fn it_can_be_left_to_others() {
    assert!(of_kind(&way("bare"), "NetworkPolicy").is_empty());
}
