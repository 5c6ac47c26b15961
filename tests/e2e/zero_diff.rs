//! What git says and what the cluster says are the same, as long as nobody changes anything: no difference is shown by any tool,
//! however the files were applied, while the operator works on them.

pub mod repository;
pub mod seen;
pub mod ways;

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Secret;
use kube::api::Patch;
use kube::{Api, ResourceExt};
use rules::kinds::{DialerCampaignState, HOLD, RECONCILE, RELEASE};
use serde_json::{Value, json};
use simulator::{LogEntry, Route, State};

use self::repository::DRILL;
use self::ways::{CLIENT_SIDE, Cluster, How, SERVER_SIDE};
use crate::hours::around_the_clock;
use crate::stage::{ORG, Stage, hand, says};
use crate::waiting::until_object;

/// The stages to which the operator brings the campaigns of the drill.
const STAGES: [(&str, &str); 7] = [
    ("runs", "Running"),
    ("pauses", "Paused"),
    ("stops", "Stopped"),
    ("waits", "OutsideWindow"),
    ("watched", "Observe"),
    ("suspended", "Suspended"),
    ("every-field", "Paused"),
];

/// An API server with everything applied, and an operator that has done what there was to do.
async fn applied(how: How) -> (Stage, Vec<Value>) {
    let mut stage = Stage::on_own_cluster_without_operator().await;
    for id in STAGES.map(|(id, _)| id).iter().chain(&["c-7731", "c-7732", "s-1001", "s-1002"]) {
        let campaign = stage.sim.campaign(ORG, id);
        if ["pauses", "stops", "every-field", "s-1001"].contains(id) {
            campaign.set(State::Running);
        }
    }
    let objects = repository::objects(&stage);
    let cluster = cluster(&stage);
    let files = objects.clone();
    blocking(move || cluster.apply(how, &files)).await;
    for namespace in [DRILL, "production", "staging"] {
        add_credentials(&stage, namespace).await;
    }
    stage.start_operator(&["--all-namespaces"]);
    come_to_rest(&stage, &objects).await;
    (stage, objects)
}

fn cluster(stage: &Stage) -> Cluster {
    Cluster::new(&stage.kubeconfig, stage.folder.path())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// What External Secrets or SOPS would bring.
async fn add_credentials(stage: &Stage, namespace: &str) {
    let tenant = stage.sim.tenant(ORG);
    let body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cxone-credentials"},
                      "stringData": {"clientId": tenant.client_id(), "clientSecret": tenant.client_secret()}});
    let secrets: Api<Secret> = Api::namespaced(stage.client.clone(), namespace);
    secrets.patch("cxone-credentials", &hand(), &Patch::Apply(body)).await.unwrap();
}

/// Waits until every campaign is in its stage, and the operator has looked at it again and found nothing new.
async fn come_to_rest(stage: &Stage, objects: &[Value]) {
    for object in objects.iter().filter(|object| object["kind"] == "DialerCampaignState") {
        let meta = &object["metadata"];
        let (namespace, name) = (meta["namespace"].as_str().unwrap(), meta["name"].as_str().unwrap());
        let stage_of = STAGES.iter().find(|(id, _)| namespace == DRILL && *id == name);
        let campaigns: Api<DialerCampaignState> = Api::namespaced(stage.client.clone(), namespace);
        let rests = |object: Option<&DialerCampaignState>| {
            let status = object.and_then(|o| o.status.as_ref());
            status.and_then(|s| s.condition("Ready")).is_some_and(|ready| match stage_of {
                Some((_, reason)) => ready.status == "True" && ready.reason == *reason,
                None => ready.status != "Unknown",
            })
        };
        if let Err(why) = until_object(&campaigns, name, rests).await {
            let live = campaigns.get(name).await.unwrap();
            panic!("{namespace}/{name} never rested: {why}\n{:#}\n{}", json!(live), stage.operator.log());
        }
    }
    let from = stage.sim.last_seq();
    let looked_at = |log: &[LogEntry], id: &str| {
        let looks = |e: &&LogEntry| {
            e.seq > from && e.is_request(Route::StateGet) && e.campaign.as_deref() == Some(id)
        };
        log.iter().filter(looks).count() >= 2
    };
    stage.until_log("two looks at each", |log| STAGES.iter().all(|(id, _)| looked_at(log, id))).await;
    assert_eq!(stage.put_words("runs"), ["running"]);
    assert_eq!(
        (stage.put_words("pauses"), stage.put_words("stops")),
        (vec!["paused".into()], vec!["stopped".into()])
    );
    assert!(
        !Api::<DialerCampaignState>::namespaced(stage.client.clone(), DRILL)
            .get("runs")
            .await
            .unwrap()
            .finalizers()
            .is_empty()
    );
}

/// The files with one field changed in an object of each kind, and which ones.
fn changed(objects: &[Value], by: i64) -> (Vec<Value>, BTreeSet<String>) {
    let mut objects = objects.to_vec();
    let mut names = BTreeSet::new();
    let changes = [
        ("DialerCampaignState production/spring-renewals", "maxActiveCalls", json!(100 + by)),
        ("DialerCampaignState drill/every-field", "resumeAt", json!(format!("2199-11-23T09:00:0{by}-05:00"))),
        ("CXoneTenant drill/default", "timeoutSeconds", json!(by)),
        ("DialingPolicy /us-fl", "citation", json!(format!("another text, {by}"))),
    ];
    for (name, field, value) in changes {
        let object = objects.iter_mut().find(|object| ways::name_of(object) == name).expect(name);
        object["spec"][field] = value;
        names.insert(name.to_owned());
    }
    (objects, names)
}

/// Whatever the operator did to the objects: it signed nothing but status and its finalizer, each status tells its generation in
/// every place, and nobody put an admission webhook up.
fn assert_only_status_is_ours(cluster: &Cluster, objects: &[Value]) {
    let ours = |object: &&Value| object["apiVersion"] == "dialer.cxone-operator.io/v1alpha1";
    let files: Vec<Value> = objects.iter().filter(ours).cloned().collect();
    let mut signed = BTreeSet::new();
    for live in cluster.get(&files) {
        let (generation, status) = (&live["metadata"]["generation"], &live["status"]);
        assert_eq!(status["observedGeneration"], *generation, "{live:#}");
        for condition in status["conditions"].as_array().into_iter().flatten() {
            assert_eq!(condition["observedGeneration"], *generation, "{live:#}");
        }
        for entry in live["metadata"]["managedFields"].as_array().unwrap() {
            if entry["manager"] == "dialer-operator" {
                let fields = entry["fieldsV1"].as_object().unwrap();
                let under =
                    |field: &str| fields[field].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
                let members = fields.keys().map(|field| match field.as_str() {
                    "f:metadata" => format!("{}: {:?}", entry["operation"], under(field)),
                    field => format!("{}: {field}", entry["operation"]),
                });
                signed.extend(members);
            }
        }
    }
    let expected = [r#""Apply": f:status"#, r#""Update": ["f:finalizers"]"#];
    assert_eq!(signed, BTreeSet::from(expected.map(str::to_owned)));
    assert_eq!(cluster.webhooks(), "");
}

async fn assert_no_difference_and_sight(how: How) {
    let (stage, objects) = applied(how).await;
    let cluster = cluster(&stage);
    blocking(move || {
        assert_only_status_is_ours(&cluster, &objects);
        let before = cluster.see(&objects);
        let looks = cluster.looks(&objects);
        let differing: Vec<_> = looks.iter().filter(|(_, names)| !names.is_empty()).collect();
        assert!(differing.is_empty(), "{differing:#?}");
        assert_eq!(cluster.written_since(&before, &objects), BTreeSet::new(), "while nothing changes");
        for how in [CLIENT_SIDE, SERVER_SIDE, How::Flux] {
            assert_eq!(cluster.changed_by(how, &objects), BTreeSet::new(), "{how:?}");
        }

        // None of them is blind.
        let (files, names) = changed(&objects, 1);
        for (way, seen) in cluster.looks(&files) {
            assert_eq!(seen, names, "{way}");
        }
        for (how, by) in [(CLIENT_SIDE, 2), (SERVER_SIDE, 3), (How::Flux, 4)] {
            let (files, names) = changed(&objects, by);
            assert_eq!(cluster.changed_by(how, &files), names, "{how:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_applied_client_side_shows_no_difference_in_any_way_and_a_changed_field_shows_in_all() {
    assert_no_difference_and_sight(CLIENT_SIDE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_applied_server_side_shows_no_difference_in_any_way_and_a_changed_field_shows_in_all() {
    assert_no_difference_and_sight(SERVER_SIDE).await;
}

/// A campaign that runs, as it stands in git, with these annotations there.
async fn running(stage: &Stage, how: How, annotations: Value) -> Value {
    stage.sim.campaign(ORG, "c-1");
    let file = json!({"apiVersion": "dialer.cxone-operator.io/v1alpha1", "kind": "DialerCampaignState",
        "metadata": {"name": "c-1", "namespace": stage.namespace, "annotations": annotations},
        "spec": {"campaignId": "c-1", "state": "Running", "complianceWindow": around_the_clock()}});
    apply(stage, how, &file).await;
    stage.until_ready("c-1", "True", "Running").await;
    file
}

async fn apply(stage: &Stage, how: How, file: &Value) {
    let (cluster, files) = (cluster(stage), [file.clone()]);
    blocking(move || cluster.apply(how, &files)).await;
}

/// `kubectl annotate`, as a person types it.
async fn annotate(stage: &Stage, file: &Value, words: &'static [&'static str]) {
    let (cluster, files) = (cluster(stage), [file.clone()]);
    let said = blocking(move || cluster.annotate(words, &files)).await;
    assert!(said.contains("annotated"), "{said}");
}

/// As the pages say it: under a name of its own, since Flux takes back what is signed by kubectl.
const SIGNED: [&[&str]; 3] = [
    &["--field-manager=by-hand", "dialer.cxone-operator.io/hold=bad list"],
    &["--field-manager=by-hand", "dialer.cxone-operator.io/release=7"],
    &["--field-manager=by-hand", "reconcile.dialer.cxone-operator.io/requestedAt=8"],
];

#[tokio::test(flavor = "multi_thread")]
async fn hold_release_and_requested_at_survive_every_apply_of_the_file_and_show_no_difference() {
    for first in [CLIENT_SIDE, SERVER_SIDE, How::Flux] {
        let stage = Stage::new().await;
        let file = running(&stage, first, json!({"team": "renewals"})).await;
        for words in SIGNED {
            annotate(&stage, &file, words).await;
        }
        stage.until_ready("c-1", "True", "Manual").await;
        for again in [CLIENT_SIDE, SERVER_SIDE, How::Flux] {
            apply(&stage, again, &file).await;
            let object = stage.get("c-1").await;
            for (key, value) in [(HOLD, "bad list"), (RELEASE, "7"), (RECONCILE, "8")] {
                let kept = object.annotations().get(key).map(String::as_str);
                assert_eq!(kept, Some(value), "{first:?}, then {again:?}");
            }
        }
        let (asked, files) = (cluster(&stage), [file.clone()]);
        for (way, seen) in blocking(move || asked.looks(&files)).await {
            assert_eq!(seen, BTreeSet::new(), "{way}");
        }
        stage.look("c-1").await;
        stage.until_ready("c-1", "True", "Manual").await;
        assert_eq!(stage.put_words("c-1"), ["running", "paused"], "nothing has let it go");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flux_takes_back_a_hold_that_kubectl_signed_unless_git_says_merge() {
    const PLAIN: &[&str] = &["dialer.cxone-operator.io/hold=bad list"];
    let held_after_flux = async |annotations: Value| {
        let stage = Stage::new().await;
        let file = running(&stage, How::Flux, annotations).await;
        annotate(&stage, &file, PLAIN).await;
        let held = stage.until_ready("c-1", "True", "Manual").await;
        let warned = says(&held, "Held").unwrap().2.contains("Flux takes back what kubectl signed");
        apply(&stage, How::Flux, &file).await;
        (warned, stage.get("c-1").await.annotations().contains_key(HOLD))
    };
    let taken_back = held_after_flux(json!({})).await;
    assert_eq!(
        taken_back,
        (true, false),
        "it is said before, and this is why the pages name a field manager"
    );
    assert_eq!(held_after_flux(json!({"kustomize.toolkit.fluxcd.io/ssa": "Merge"})).await, (false, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_that_is_written_out_or_left_out_again_is_no_change_and_no_difference() {
    for how in [CLIENT_SIDE, SERVER_SIDE, How::Flux] {
        let stage = Stage::without_operator().await;
        let object = |kind: &str, spec: Value| {
            json!({"apiVersion": "dialer.cxone-operator.io/v1alpha1", "kind": kind,
                   "metadata": {"name": "least", "namespace": stage.namespace}, "spec": spec})
        };
        let least = vec![
            object(
                "DialerCampaignState",
                json!({"campaignId": "c-1", "state": "Running", "complianceWindow": {"timeZones": ["UTC"]}}),
            ),
            object(
                "CXoneTenant",
                json!({"organization": "acme", "credentialsSecretRef": {"name": "none"},
                   "workforce": {"url": "https://wfm.example.org/hooks"}}),
            ),
        ];
        let cluster = cluster(&stage);
        blocking(move || {
            cluster.apply(how, &least);
            let mut full = least.clone();
            for (file, live) in full.iter_mut().zip(cluster.get(&least)) {
                assert_eq!(live["metadata"]["generation"], 1);
                assert_ne!(file["spec"], live["spec"], "there are defaults");
                file["spec"] = live["spec"].clone();
            }
            for files in [&full, &least] {
                cluster.apply(how, files);
                for live in cluster.get(files) {
                    assert_eq!(live["metadata"]["generation"], 1, "{how:?}: {live:#}");
                }
                for (way, seen) in cluster.looks(files) {
                    assert_eq!(seen, BTreeSet::new(), "{way}");
                }
            }
        })
        .await;
    }
}
