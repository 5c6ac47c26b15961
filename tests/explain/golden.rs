//! What people see.

use insta::assert_snapshot;

use crate::command::{ALWAYS, Folder, campaign, policy};

const FEDERAL: &str = "  citation: 47 CFR 64.1200(c)(1)
  closeLeadSeconds: 60
  hours: [{days: [Mon, Tue, Wed, Thu, Fri, Sat, Sun], from: \"08:00\", to: \"21:00\"}]
  closedDates: [{date: \"2026-11-26\", reason: Thanksgiving}]";

#[test]
fn a_week_in_which_clocks_change_marks_the_long_day_and_tells_local_times() {
    let night = "  complianceWindow:
    timeZones: [America/New_York]
    hours: [{days: [Sat], from: \"22:00\", to: \"03:15\"}, {days: [Mon, Wed], from: \"08:00\", to: \"20:00\"}]";
    let folder = Folder::with(&[("c.yaml", &campaign(night))]);
    assert_snapshot!(folder.plan(&["--from", "2026-10-30T18:10:00Z"]).out);
}

#[test]
fn each_edge_names_its_policy_and_each_rule_is_told_once_with_its_citation() {
    let folder =
        Folder::with(&[("c.yaml", &campaign(ALWAYS)), ("policies/us.yaml", &policy("us-federal", FEDERAL))]);
    assert_snapshot!(folder.plan(&["--from", "2026-11-24T13:05:00Z", "--days", "4"]).out);
}

#[test]
fn a_freeze_with_an_end_is_told_with_both() {
    let freeze = "  freeze: {reason: \"storm over Ohio\", until: \"2026-11-24T15:00:00-05:00\"}";
    let folder = Folder::with(&[
        ("c.yaml", &campaign(ALWAYS)),
        ("policies/us.yaml", &policy("us-federal", FEDERAL)),
        ("policies/storm.yaml", &policy("storm", freeze)),
    ]);
    assert_snapshot!(folder.plan(&["--from", "2026-11-24T16:00:00Z", "--days", "2"]).out);
}

#[test]
fn what_closes_and_what_opens_last_are_both_told_where_they_differ() {
    let hours = |from: &str, to: &str| {
        format!("  hours: [{{days: [Mon, Tue, Wed, Thu, Fri, Sat, Sun], from: \"{from}\", to: \"{to}\"}}]")
    };
    let folder = Folder::with(&[
        ("c.yaml", &campaign(ALWAYS)),
        ("policies/early.yaml", &policy("early", &hours("08:00", "12:00"))),
        ("policies/late.yaml", &policy("late", &hours("10:00", "21:00"))),
    ]);
    let out = folder.plan(&["--from", "2026-11-24T18:05:00Z", "--days", "2"]).out;
    // Lines are broken at a hundred columns.
    let flat = out.split_whitespace().collect::<Vec<_>>().join(" ");
    let told = "held now, OutsideWindow until Wed 2026-11-25 10:00:00 EST: outside policy early: Mon-Sun 08:00-12:00 in \
                America/New_York, closed 30 s early; what opens last is policy late: Mon-Sun 10:00-21:00";
    assert!(flat.contains(told), "{out}");
}

#[test]
fn hours_that_never_open_are_told_as_such() {
    let never = "  complianceWindow:
    timeZones: [America/New_York, Asia/Tokyo]
    hours: [{days: [Mon, Tue, Wed, Thu, Fri], from: \"09:00\", to: \"12:00\"}]";
    let folder = Folder::with(&[("c.yaml", &campaign(never))]);
    assert_snapshot!(folder.plan(&["--from", "2026-11-24T13:05:00Z", "--days", "2"]).out);
}

#[test]
fn in_a_pipe_it_is_plain_ascii_of_a_hundred_columns_and_each_transition_is_a_line() {
    let folder =
        Folder::with(&[("c.yaml", &campaign(ALWAYS)), ("policies/us.yaml", &policy("us-federal", FEDERAL))]);
    let said = folder.plan(&["--from", "2026-11-24T13:05:00Z"]);
    assert!(said.out.is_ascii(), "{}", said.out);
    assert!(said.out.lines().all(|line| line.len() <= 100), "{}", said.out);
    let closes: Vec<_> = said
        .out
        .lines()
        .filter(|line| {
            line.contains("OutsideWindow ") && line.contains("[2] us-federal")
                || line.contains("[1] us-federal")
        })
        .collect();
    assert!(closes.len() > 4, "{}", said.out);
    assert_eq!(said.err, "");

    let colourful = folder.plan(&["--from", "2026-11-24T13:05:00Z", "--color", "always"]);
    assert!(colourful.out.contains("\u{1b}[32m"), "{}", colourful.out);
}

#[test]
fn the_help_of_both_teaches_by_examples() {
    let folder = Folder::with(&[]);
    for (args, words) in [
        (["plan", "--help"], ["plan -f spring.yaml --policies policies/", "writes nothing"]),
        (["why", "--help"], ["why spring -n sales", "list dialingpolicies"]),
    ] {
        let said = folder.run(&args);
        assert!(said.well && words.iter().all(|word| said.out.contains(word)), "{}", said.out);
    }
}
