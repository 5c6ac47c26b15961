//! The bill of materials tells what is in the program, no more and no less.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::built::{ONCE, root};

fn bill() -> Value {
    let name = format!("dialer-operator-{}.cdx.json", env!("CARGO_PKG_VERSION"));
    serde_json::from_str(&ONCE.file(&name)).unwrap()
}

/// What cargo builds into the program, as name and version.
fn packages() -> BTreeSet<String> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let tree = ["tree", "--locked", "--quiet", "--edges", "normal", "--prefix", "none"];
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(tree).args(["--package", "dialer-operator", "--target", &target]).current_dir(root());
    let listed = String::from_utf8(cargo.output().unwrap().stdout).unwrap();
    let named = |line: &str| {
        let mut words = line.split_whitespace();
        Some(format!("{}@{}", words.next()?, words.next()?.strip_prefix('v')?))
    };
    listed.lines().filter_map(named).collect()
}

fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of[name].as_str().unwrap_or_default()
}

fn id(component: &Value) -> String {
    format!("{}@{}", text(component, "name"), text(component, "version"))
}

#[test]
fn it_lists_every_package_of_the_program_and_none_besides() {
    let bill = bill();
    let mut listed: BTreeSet<String> = bill["components"].as_array().unwrap().iter().map(id).collect();
    listed.insert(id(&bill["metadata"]["component"]));
    let packages = packages();
    assert!(packages.len() > 100, "{packages:?}");
    let missing: Vec<_> = packages.difference(&listed).collect();
    let besides: Vec<_> = listed.difference(&packages).collect();
    assert!(missing.is_empty() && besides.is_empty(), "missing {missing:?}, besides {besides:?}");
}

#[test]
fn each_package_has_its_licence_and_where_it_is_from() {
    for each in bill()["components"].as_array().unwrap() {
        let (name, version) = (text(each, "name"), text(each, "version"));
        assert!(text(each, "purl").starts_with(&format!("pkg:cargo/{name}@{version}")), "{each}");
        let licences = each["licenses"].as_array().expect(name);
        assert!(!licences.is_empty(), "{each}");
        if text(each, "bom-ref").starts_with("registry+") {
            assert_eq!(text(&each["hashes"][0], "alg"), "SHA-256", "{each}");
        }
    }
}

#[test]
fn it_is_cyclonedx_whose_references_hold_and_the_same_for_everybody() {
    let bill = bill();
    assert_eq!((text(&bill, "bomFormat"), text(&bill, "specVersion")), ("CycloneDX", "1.5"));
    assert_eq!(bill["version"], 1);
    assert!(bill.get("serialNumber").is_none());
    let created: jiff::Timestamp = text(&bill["metadata"], "timestamp").parse().unwrap();
    assert_eq!(created, text(&ONCE.config(), "created").parse::<jiff::Timestamp>().unwrap());
    let all = bill["components"].as_array().unwrap().iter().chain([&bill["metadata"]["component"]]);
    let refs: BTreeSet<&str> = all.map(|each| text(each, "bom-ref")).collect();
    for each in bill["dependencies"].as_array().unwrap() {
        let on = each["dependsOn"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for named in on.chain([text(each, "ref")]) {
            assert!(refs.contains(named), "{named} is no component");
        }
    }
    let written = bill.to_string();
    assert!(
        !written.contains(env!("CARGO_MANIFEST_DIR")) && !written.contains(&std::env::var("HOME").unwrap())
    );
}
