//! The pod: Pod Security "restricted", probes, its end, its volume, its image.

use serde_json::{Value, json};

use crate::helm::{args, chart, container, json as with, of_kind, root, set, the, way, ways};

fn pod(objects: &[Value]) -> &Value {
    &the(objects, "Deployment")["spec"]["template"]
}

/// The controls of Pod Security "restricted" (and of "baseline" below it), as its page lists them; what breaks one.
fn broken_controls(pod: &Value) -> Vec<&'static str> {
    let spec = &pod["spec"];
    let container = &spec["containers"][0];
    let (of_pod, of_container) = (&spec["securityContext"], &container["securityContext"]);
    let either = |key: &str| [&of_container[key], &of_pod[key]].into_iter().find(|v| !v.is_null()).cloned();
    let absent = |value: &Value, keys: &[&str]| keys.iter().all(|key| value[*key].is_null());
    let volumes = spec["volumes"].as_array().cloned().unwrap_or_default();
    let allowed = [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ];
    let volume_ok = |volume: &Value| {
        volume.as_object().unwrap().keys().all(|key| key == "name" || allowed.contains(&key.as_str()))
    };
    let controls = [
        ("host namespaces", absent(spec, &["hostNetwork", "hostPID", "hostIPC"])),
        (
            "windows host process",
            absent(of_pod, &["windowsOptions"]) && absent(of_container, &["windowsOptions"]),
        ),
        ("privileged containers", absent(of_container, &["privileged"])),
        ("capabilities", of_container["capabilities"] == json!({"drop": ["ALL"]})),
        ("host ports", container["ports"].as_array().unwrap().iter().all(|port| absent(port, &["hostPort"]))),
        (
            "apparmor, selinux, proc mount, sysctls",
            absent(of_container, &["appArmorProfile", "seLinuxOptions", "procMount"])
                && absent(of_pod, &["appArmorProfile", "seLinuxOptions", "sysctls", "supplementalGroups"]),
        ),
        ("volume types", volumes.iter().all(volume_ok)),
        ("privilege escalation", of_container["allowPrivilegeEscalation"] == json!(false)),
        ("running as non-root", either("runAsNonRoot") == Some(json!(true))),
        ("running as non-root user", either("runAsUser") != Some(json!(0))),
        ("seccomp", either("seccompProfile") == Some(json!({"type": "RuntimeDefault"}))),
        ("no further containers", absent(spec, &["initContainers", "ephemeralContainers"])),
    ];
    controls.into_iter().filter(|(_, holds)| !holds).map(|(name, _)| name).collect()
}

#[test]
fn the_pod_is_within_pod_security_restricted_however_it_is_installed() {
    for name in ways() {
        let objects = way(&name);
        assert_eq!(broken_controls(pod(&objects)), [""; 0], "{name}");
        assert_eq!(container(&objects)["securityContext"]["readOnlyRootFilesystem"], true, "{name}");
    }
}

#[test]
fn the_look_at_pod_security_sees_what_is_not_restricted() {
    let mut objects = way("default");
    let deployment = objects.iter_mut().find(|object| object["kind"] == "Deployment").unwrap();
    let spec = &mut deployment["spec"]["template"]["spec"];
    spec["hostNetwork"] = json!(true);
    spec["securityContext"] = json!({"runAsUser": 0});
    spec["volumes"] = json!([{"name": "host", "hostPath": {"path": "/"}}]);
    spec["containers"][0]["securityContext"] = json!({"privileged": true});
    assert_eq!(
        broken_controls(pod(&objects)),
        [
            "host namespaces",
            "privileged containers",
            "capabilities",
            "volume types",
            "privilege escalation",
            "running as non-root",
            "running as non-root user",
            "seccomp"
        ]
    );
}

#[test]
fn there_is_one_pod_and_never_a_second_beside_it() {
    let objects = way("all-on");
    let spec = &the(&objects, "Deployment")["spec"];
    assert_eq!((&spec["replicas"], &spec["strategy"]), (&json!(1), &json!({"type": "Recreate"})));
}

#[test]
fn it_is_probed_where_it_says_whether_it_lives_and_is_ready() {
    for (set_to, addr) in [("admin.port=8081", "0.0.0.0:8081"), ("admin.port=9090", "0.0.0.0:9090")] {
        let objects = set(&[set_to]);
        let container = container(&objects);
        let ports = container["ports"].as_array().unwrap();
        let port = ports.iter().find(|port| port["name"] == "admin").unwrap();
        assert!(args(&objects).contains(&format!("--admin-addr={addr}").as_str()));
        assert!(addr.ends_with(&format!(":{}", port["containerPort"])));
        for (probe, path) in [("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
            assert_eq!(container[probe]["httpGet"], json!({"path": path, "port": "admin"}));
        }
    }
}

/// The seconds of a constant of the loop.
fn seconds(name: &str) -> u64 {
    let source = std::fs::read_to_string(root().join("src/run.rs")).unwrap();
    let head = format!("const {name}: Duration = Duration::from_secs(");
    let rest = source.split_once(&head).unwrap_or_else(|| panic!("no {name} in src/run.rs")).1;
    rest.split_once(')').unwrap().0.parse().unwrap()
}

#[test]
fn the_kubelet_waits_longer_than_the_operator_takes_to_end() {
    let takes: u64 = ["GRACE", "FLUSH_WITHIN", "END_WITHIN"].into_iter().map(seconds).sum();
    let objects = way("default");
    let waits = pod(&objects)["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(waits > takes, "{waits} s, and it takes {takes} s");
    let schema = std::fs::read_to_string(chart().join("values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let least = schema["properties"]["terminationGracePeriodSeconds"]["minimum"].as_u64().unwrap();
    assert!(least > takes, "a value of {least} s is accepted, and it takes {takes} s");
}

#[test]
fn the_audit_record_is_written_to_a_claim_that_an_uninstall_keeps() {
    let objects = way("all-on");
    let claim = the(&objects, "PersistentVolumeClaim");
    assert_eq!(claim["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    assert_eq!(claim["metadata"]["annotations"]["backup"], "daily");
    let spec = &pod(&objects)["spec"];
    let audit = &spec["volumes"][0];
    assert_eq!(audit["persistentVolumeClaim"]["claimName"], claim["metadata"]["name"]);
    let mount = &container(&objects)["volumeMounts"][0];
    assert_eq!(mount["name"], audit["name"]);
    let file =
        args(&objects).into_iter().find_map(|arg| arg.strip_prefix("--audit-log=")).unwrap().to_owned();
    assert!(file.starts_with(&format!("{}/", mount["mountPath"].as_str().unwrap())), "{file}");
    // Not root, and yet it may write there.
    assert_eq!(spec["securityContext"]["fsGroup"], spec["securityContext"]["runAsGroup"]);
}

#[test]
fn a_claim_that_exists_is_used_and_none_made() {
    let objects = set(&["audit.persistence.enabled=true", "audit.persistence.existingClaim=ours"]);
    assert!(of_kind(&objects, "PersistentVolumeClaim").is_empty());
    assert_eq!(pod(&objects)["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"], "ours");
}

#[test]
fn without_a_volume_no_file_is_written() {
    let objects = way("default");
    assert!(!args(&objects).iter().any(|arg| arg.starts_with("--audit-log")));
    assert!(pod(&objects)["spec"]["volumes"].is_null());
}

#[test]
fn a_digest_decides_which_image_it_is_and_otherwise_the_version_does() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let image = |values: &Value| container(&with(values))["image"].as_str().unwrap().to_owned();
    let name = "registry.example.com/dialer-operator";
    assert_eq!(image(&json!({})), format!("{name}:{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(image(&json!({"image": {"tag": "edge"}})), format!("{name}:edge"));
    assert_eq!(image(&json!({"image": {"tag": "edge", "digest": digest}})), format!("{name}@{digest}"));
}

#[test]
fn the_token_is_mounted_into_the_operators_pod_alone() {
    let objects = way("default");
    assert_eq!(the(&objects, "ServiceAccount")["automountServiceAccountToken"], false);
    assert_eq!(pod(&objects)["spec"]["automountServiceAccountToken"], true);
}

#[test]
fn what_selects_the_pod_selects_it() {
    for name in ways() {
        let objects = way(&name);
        let labels = pod(&objects)["metadata"]["labels"].as_object().unwrap();
        let selectors = objects.iter().filter_map(|object| match object["kind"].as_str().unwrap() {
            "Deployment" | "PodDisruptionBudget" => Some(&object["spec"]["selector"]["matchLabels"]),
            "NetworkPolicy" => Some(&object["spec"]["podSelector"]["matchLabels"]),
            "Service" => Some(&object["spec"]["selector"]),
            _ => None,
        });
        for (key, value) in selectors.flat_map(|selector| selector.as_object().unwrap()) {
            assert_eq!(labels.get(key), Some(value), "{name}: {key}");
        }
    }
}

#[test]
fn own_labels_and_annotations_reach_the_pod_and_can_not_change_what_selects_it() {
    let objects = with(&json!({"podLabels": {"team": "dialing", "app.kubernetes.io/name": "other"},
                               "podAnnotations": {"note": "yes"}}));
    let meta = &pod(&objects)["metadata"];
    assert_eq!((&meta["labels"]["team"], &meta["annotations"]["note"]), (&json!("dialing"), &json!("yes")));
    assert_eq!(meta["labels"]["app.kubernetes.io/name"], "dialer-operator");
}

#[test]
fn an_upgrade_that_changes_the_version_of_the_chart_alone_leaves_the_pod_running() {
    let objects = way("default");
    assert!(!pod(&objects)["metadata"].to_string().contains("helm.sh/chart"));
}

#[test]
fn a_service_monitor_finds_the_port_of_the_service() {
    let objects = way("all-on");
    let (service, monitor) = (the(&objects, "Service"), the(&objects, "ServiceMonitor"));
    let wanted = monitor["spec"]["selector"]["matchLabels"].as_object().unwrap();
    assert!(wanted.iter().all(|(key, value)| service["metadata"]["labels"][key] == *value));
    assert_eq!(monitor["spec"]["endpoints"][0]["port"], service["spec"]["ports"][0]["name"]);
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "admin");
}

#[test]
fn a_budget_is_made_only_where_it_is_chosen_and_never_guards_a_pod_that_is_not_ready() {
    assert!(of_kind(&way("default"), "PodDisruptionBudget").is_empty());
    let objects = way("all-on");
    let spec = &the(&objects, "PodDisruptionBudget")["spec"];
    assert_eq!(
        (&spec["maxUnavailable"], &spec["unhealthyPodEvictionPolicy"]),
        (&json!(0), &json!("AlwaysAllow"))
    );
}
