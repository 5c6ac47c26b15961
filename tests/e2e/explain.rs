//! `plan` and `why` of live objects: what they say is what the operator then does, and they write nothing.

mod truth;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::api::PostParams;
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use simulator::State;

use crate::hours::{DAYS, around_the_clock, closed_now, opens_in};
use crate::stage::{ORG, PATIENCE, Stage, ms_after};

/// From an edge that was foretold to the PUT.
const AT_ONCE: std::ops::RangeInclusive<i64> = 0..=1000;

/// What the binary said.
struct Told {
    well: bool,
    out: String,
    err: String,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{}\n{}", self.out, self.err))
    }
}

/// Runs the binary as this kubeconfig's user, in the stage's namespace.
async fn run_as(stage: &Stage, kubeconfig: &Path, args: &[&str], input: &str) -> Told {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dialer-operator"));
    command.args(args).args(["--namespace", &stage.namespace]).env("KUBECONFIG", kubeconfig);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let input = input.to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    });
    let output = output.await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Told { well: output.status.success(), out: text(output.stdout), err: text(output.stderr) }
}

async fn run(stage: &Stage, args: &[&str], input: &str) -> Told {
    run_as(stage, &stage.kubeconfig, args, input).await
}

/// What it said as JSON; it must have gone well.
async fn told(stage: &Stage, args: &[&str]) -> Value {
    let told = run(stage, &[args, &["--output", "json"]].concat(), "").await;
    assert!(told.well, "{}", told.err);
    told.json()
}

/// A policy that is not applied.
fn policy(stage: &Stage, name: &str, mut spec: Value) -> Value {
    spec["namespaceSelector"] = json!({"matchLabels": {"kubernetes.io/metadata.name": stage.namespace}});
    json!({"apiVersion": "dialer.cxone-operator.io/v1alpha1", "kind": "DialingPolicy",
           "metadata": {"name": name}, "spec": spec})
}

/// A manifest of the campaign, as it stands in git.
fn manifest(name: &str, spec: Value) -> String {
    let mut full = json!({"campaignId": name, "state": "Running", "complianceWindow": around_the_clock()});
    full.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    json!({"apiVersion": "dialer.cxone-operator.io/v1alpha1", "kind": "DialerCampaignState",
           "metadata": {"name": name}, "spec": full})
    .to_string()
}

fn instant(value: &Value) -> Timestamp {
    value.as_str().unwrap_or_else(|| panic!("no instant: {value}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_tells_a_violation_by_its_name() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    stage.declare("c-1", "Running", json!({"mode": "Observe", "complianceWindow": closed_now()})).await;
    stage.until_ready("c-1", "False", "OutsideWindow").await;
    let plan = told(&stage, &["plan", "c-1"]).await;
    let notes = plan["campaigns"][0]["notes"].to_string();
    assert!(notes.contains("the operator last said Violation, OutsideWindow: "), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_made_now_and_what_the_operator_then_does_agree_to_the_second() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1");
    let (mut window, opens) = opens_in(Duration::from_secs(25));
    let ends = (opens + SignedDuration::from_mins(1)).strftime("%H:%M").to_string();
    window["hours"][0]["to"] = ends.into();
    // Open for half a minute: longer than a start needs before the end of the hours.
    window["closeLeadSeconds"] = 30.into();
    stage.declare("c-1", "Running", json!({"complianceWindow": window})).await;
    stage.until_ready("c-1", "True", "OutsideWindow").await;

    let plan = told(&stage, &["plan", "c-1", "--days", "2"]).await;
    let campaign = &plan["campaigns"][0];
    assert_eq!((&campaign["effective"], &campaign["observed"]), (&json!("Held"), &json!("Paused")), "{plan}");
    let foretold = campaign["transitions"].as_array().unwrap();
    assert_eq!(instant(&foretold[0]["at"]), opens, "{plan}");
    assert_eq!(instant(&foretold[1]["at"]), opens + SignedDuration::from_secs(30), "{plan}");
    let next = stage.get("c-1").await.status.unwrap().next_transition.unwrap();
    assert_eq!(next.at.0, opens);

    stage.until_puts("c-1", 2).await;
    let status = stage.until_ready("c-1", "True", "OutsideWindow").await.status.unwrap();
    let puts = stage.sim.puts("c-1");
    assert_eq!(puts.len(), 2, "{}", stage.story("c-1").await);
    for ((put, word), said) in puts.iter().zip(stage.put_words("c-1")).zip(foretold) {
        assert_eq!(word, said["to"].as_str().unwrap().to_lowercase());
        let late = ms_after(instant(&said["at"]), put);
        eprintln!("FIGURE from a foretold {word} to its PUT: {late} ms");
        assert!(AT_ONCE.contains(&late), "{late} ms\n{}", stage.story("c-1").await);
    }
    // Newest first: what was recorded has the causes that were foretold.
    let causes: Vec<_> = status.history.iter().rev().map(|record| json!(record.cause)).collect();
    assert_eq!(causes, [foretold[0]["cause"].clone(), foretold[1]["cause"].clone()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn applying_what_would_close_a_running_campaign_is_warned_of_and_nothing_is_written() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    stage.declare("c-1", "Running", json!({})).await;
    stage.until_ready("c-1", "True", "Running").await;
    stage.look("c-1").await;
    let version = stage.get("c-1").await.resource_version();
    let args = ["plan", "-f", "-", "--output", "json"];
    let warning =
        |told: &Told| told.json()["campaigns"][0]["warnings"][0].as_str().unwrap_or("none").to_owned();

    let same = run(&stage, &args, &manifest("c-1", json!({}))).await;
    assert_eq!((warning(&same), same.err.as_str()), ("none".into(), ""), "{}", same.out);
    let policy_of = |spec| policy(&stage, "a-freeze", spec).to_string();
    let nights = json!({"complianceWindow": closed_now()});
    for (what, text, why) in [
        ("paused", manifest("c-1", json!({"state": "Paused"})), "declared Paused"),
        ("closed hours", manifest("c-1", nights), "Mon-Sun"),
        ("a freeze alone", policy_of(json!({"freeze": {"reason": "storm"}})), "storm"),
    ] {
        let closing = run(&stage, &args, &text).await;
        let warned = warning(&closing);
        assert!(closing.well, "{what}: {}", closing.err);
        assert!(
            warned.contains(&format!("closes {}/c-1 at once, which runs now: ", stage.namespace)),
            "{what}: {warned}"
        );
        assert!(warned.contains(why), "{what}: {warned}");
        assert_eq!(closing.err, format!("warning: {warned}\n"), "{what}");
    }
    let other = manifest("c-1", json!({"campaignId": "c-2"}));
    let refused = run(&stage, &args, &other).await;
    assert!(warning(&refused).contains("campaignId is immutable"), "{}", refused.out);
    assert_eq!(stage.get("c-1").await.resource_version(), version);
    assert_eq!(stage.put_words("c-1"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_campaign_is_told_with_the_rule_its_source_and_the_minute_at_which_it_will_dial() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1");
    stage.declare("c-1", "Running", json!({})).await;
    let mut hours = closed_now();
    hours.as_object_mut().unwrap().remove("closeLeadSeconds");
    hours["citation"] = "Law 12".into();
    let policy = stage.apply_policy("hours", hours.clone()).await.name_any();
    stage.until_ready("c-1", "True", "OutsideWindow").await;

    let why = told(&stage, &["why", "c-1"]).await;
    let answer = why["answer"].as_str().unwrap();
    let opens = instant(&why["next"][0]["at"]);
    assert_eq!(opens.strftime("%H:%M").to_string(), hours["hours"][0]["from"]);
    let local = opens.strftime("%a %Y-%m-%d %H:%M:%S UTC").to_string();
    assert!(
        answer.starts_with(&format!("c-1 is not dialing: outside policy {}: Mon-Sun", policy)),
        "{answer}"
    );
    assert!(answer.contains("[Law 12]") && answer.contains(&format!("it will {local} (in ")), "{answer}");
    let gate = why["gates"].as_array().unwrap().iter().find(|g| g["gate"] == "compliance window").unwrap();
    assert_eq!((&gate["verdict"], &gate["reason"]), (&json!("closed"), &json!("OutsideWindow")));
    assert_eq!((&gate["policy"]["name"], &gate["citation"]), (&json!(policy), &json!("Law 12")));
    assert_eq!(
        (&why["declared"], &why["effective"], &why["observed"]),
        (&json!("Running"), &json!("Held"), &json!("Paused"))
    );
    assert_eq!(why["notes"], json!([]), "the operator agrees: {why}");

    let text = run(&stage, &["why", "c-1"], "").await.out;
    assert!(text.starts_with("c-1 is not dialing: outside policy"), "{text}");
    assert!(
        text.contains("closed   compliance window        OutsideWindow until") && text.is_ascii(),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_campaign_is_told_with_who_froze_it_until_when_and_how_to_lift_it() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    stage.declare("c-1", "Running", json!({})).await;
    stage.until_ready("c-1", "True", "Running").await;
    let until = Timestamp::from_second(Timestamp::now().as_second() + 7200).unwrap();
    let policy =
        stage.apply_policy("freeze", json!({"freeze": {"reason": "storm", "until": until}})).await.name_any();
    stage.until_ready("c-1", "True", "Frozen").await;

    let why = told(&stage, &["why", "c-1"]).await;
    let answer = why["answer"].as_str().unwrap();
    assert!(answer.contains(&format!("frozen by policy {}", policy)) && answer.contains("storm"), "{answer}");
    assert_eq!((instant(&why["next"][0]["at"]), &why["next"][0]["to"]), (until, &json!("Running")), "{why}");
    assert!(why["advice"][0].as_str().unwrap().contains(&format!("patch dpol {}", policy)), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_campaign_is_told_with_its_end_and_a_hold_by_who_can_lift_it() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    let mut window = around_the_clock();
    // Its end is days away, on whatever day this runs.
    let closed = (Timestamp::now() + SignedDuration::from_hours(72)).strftime("%a").to_string();
    window["hours"][0]["days"] = DAYS.into_iter().filter(|day| *day != closed).collect();
    stage.declare("c-1", "Running", json!({"complianceWindow": window})).await;
    stage.until_ready("c-1", "True", "Running").await;
    let why = told(&stage, &["why", "c-1"]).await;
    let answer = why["answer"].as_str().unwrap();
    assert!(
        answer.starts_with("c-1 is dialing; it stops ") && answer.contains("00:00:00 UTC (in "),
        "{answer}"
    );
    assert_eq!(why["next"][0]["to"], "Paused");

    stage.annotate("c-1", rules::kinds::HOLD, Some("bad list")).await;
    stage.until_ready("c-1", "True", "Manual").await;
    let why = told(&stage, &["why", "c-1"]).await;
    assert_eq!(
        why["answer"],
        "c-1 is not dialing: held by the hold annotation: bad list; nothing that is known starts it"
    );
    let advice = why["advice"][0].as_str().unwrap();
    assert!(advice.contains(&format!("kubectl annotate -n {} dcs c-1", stage.namespace)), "{advice}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_operator_runs_it_is_said_that_status_is_behind() {
    let mut stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1").set(State::Running);
    stage.declare("c-1", "Running", json!({})).await;
    stage.until_ready("c-1", "True", "Running").await;
    stage.operator.kill();
    stage.change("c-1", json!({"state": "Paused"})).await;
    let why = told(&stage, &["why", "c-1"]).await;
    let notes = why["notes"].to_string();
    assert!(notes.contains("status speaks of generation 1, the declaration is generation 2"), "{notes}");
    assert!(
        notes.contains("status says Running, not held; by what is declared and the clock it is Paused"),
        "{notes}"
    );
    assert!(
        why["answer"].as_str().unwrap().starts_with("c-1 is dialing and must not: declared Paused"),
        "{why}"
    );
}

/// This stage's kubeconfig, for a user who is nobody until he gets rights.
fn kubeconfig_of(stage: &Stage, user: &str) -> std::path::PathBuf {
    let text = std::fs::read_to_string(&stage.kubeconfig).unwrap();
    let mut config: Value = serde_saphyr::from_str(&text).unwrap();
    config["users"][0]["user"]["as"] = user.into();
    let path = stage.folder.path().join(user);
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

async fn create<K>(api: Api<K>, body: Value)
where
    K: Resource + Clone + DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    api.create(&PostParams::default(), &serde_json::from_value(body).unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_gets_an_answer_and_who_may_not_is_told_which_right_he_needs() {
    let stage = Stage::new().await;
    stage.sim.campaign(ORG, "c-1");
    stage.declare("c-1", "Running", json!({})).await;
    stage.until_ready("c-1", "True", "Running").await;
    let user = format!("user-of-{}", stage.namespace);
    let config = kubeconfig_of(&stage, &user);
    let told = run_as(&stage, &config, &["why", "c-1"], "").await;
    let needed = format!(
        "the right to get dialercampaignstates.dialer.cxone-operator.io in namespace {} is needed",
        stage.namespace
    );
    assert!(!told.well && told.err.contains(&needed), "{}", told.err);

    let subjects = json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]);
    let binding = |kind: &str| {
        json!({"metadata": {"name": user}, "subjects": subjects,
               "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": user}})
    };
    let rule = |group: &str, resources: &[&str], verb: &str| json!({"apiGroups": [group], "resources": resources, "verbs": [verb]});
    let ours = "dialer.cxone-operator.io";
    let role = json!({"metadata": {"name": user}, "rules": [rule(ours, &["dialercampaignstates", "cxonetenants"], "get")]});
    create::<Role>(Api::namespaced(stage.client.clone(), &stage.namespace), role).await;
    create::<RoleBinding>(Api::namespaced(stage.client.clone(), &stage.namespace), binding("Role")).await;
    let until = async |words: &str| {
        let waiting = async {
            loop {
                let told = run_as(&stage, &config, &["why", "c-1"], "").await;
                if told.err.contains(words) {
                    return told;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never told: {words}"))
    };
    let told = until("the right to list dialingpolicies.dialer.cxone-operator.io in the whole cluster").await;
    assert!(!told.well && told.err.contains("the operator last said Ready=True Running"), "{}", told.err);

    let reads = [rule(ours, &["dialingpolicies"], "list"), rule("", &["namespaces"], "get")];
    create::<ClusterRole>(
        Api::all(stage.client.clone()),
        json!({"metadata": {"name": user}, "rules": reads}),
    )
    .await;
    create::<ClusterRoleBinding>(Api::all(stage.client.clone()), binding("ClusterRole")).await;
    let waiting = async {
        loop {
            let told = run_as(&stage, &config, &["why", "c-1"], "").await;
            if told.well {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let told = tokio::time::timeout(PATIENCE, waiting).await.expect("an answer");
    assert!(told.out.starts_with("c-1 is dialing"), "{}", told.out);
    let told = run(&stage, &["why", "c-2"], "").await;
    let others = format!("no DialerCampaignState c-2 in namespace {}; there are: c-1", stage.namespace);
    assert!(!told.well && told.err.contains(&others), "{}", told.err);
}
