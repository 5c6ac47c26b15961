//! What can be said of every file without asking a calendar.

use serde_json::{Value, json};

use crate::folder::{self, File, path, read};

#[test]
fn every_file_says_what_a_policy_can_say_and_nothing_else() {
    for file in folder::all() {
        assert_eq!(file.raw, serde_json::to_value(&file.object).unwrap(), "{}", file.stem);
    }
}

#[test]
fn every_file_has_the_name_of_its_policy() {
    for file in folder::all() {
        // A name for the folder, and one to type in a hurry.
        let name = if file.stem == "emergency-freeze" { "emergency" } else { &file.stem };
        assert_eq!(file.object.metadata.name.as_deref(), Some(name));
    }
}

#[test]
fn every_file_names_its_sources_when_they_were_read_and_that_it_is_no_legal_advice() {
    for file in folder::all().iter().filter(|file| file.stem != "emergency-freeze") {
        let header = file.header();
        for words in ["Source: ", "Read on 2026-11-22.", "Data for your counsel to check, not legal advice."]
        {
            assert!(header.contains(words), "{} lacks {words:?}", file.stem);
        }
    }
}

#[test]
fn every_file_has_a_citation_that_fits_and_that_confesses_doubt() {
    for file in folder::all() {
        let citation = file.spec().citation.clone().unwrap_or_default();
        assert!((20..=512).contains(&citation.chars().count()), "{}: {citation:?}", file.stem);
        assert_eq!(citation.contains("UNSURE"), doubts(&file), "{}", file.stem);
        assert_eq!(citation.contains("(dates to be filled in)"), bars_holidays(&file), "{}", file.stem);
    }
}

#[test]
fn every_file_but_the_brake_is_selected_by_one_label_of_its_own_place() {
    for file in folder::all().iter().filter(|file| file.stem != "emergency-freeze") {
        // What is until a date and what is from it on go by one label.
        let place = file.stem.split("-until-").next().unwrap();
        let key = format!("dialer.cxone-operator.io/calls-{place}");
        let selector = json!({"matchExpressions": [{"key": key, "operator": "Exists"}]});
        assert_eq!(file.raw["spec"]["namespaceSelector"], selector, "{}", file.stem);
    }
}

#[test]
fn no_file_invents_a_holiday_and_the_lines_to_fill_in_close_the_day() {
    for file in folder::all() {
        assert!(file.spec().closed_dates.is_empty(), "{}", file.stem);
        if !bars_holidays(&file) {
            continue;
        }
        let filled = file.text.replace("  # closedDates:", "  closedDates:");
        let filled = filled.replace("  # - {date: \"YYYY-MM-DD\"", "  - {date: \"2026-12-25\"");
        let object: Value = serde_saphyr::from_str(&filled).unwrap();
        let closed = json!([{"date": "2026-12-25", "reason": "name of the holiday"}]);
        assert_eq!(object["spec"]["closedDates"], closed, "{}", file.stem);
    }
}

#[test]
fn the_readme_lists_every_file_and_whether_it_is_sure() {
    let readme = read(&path("README.md"));
    for file in folder::all() {
        let start = format!("| [`{0}`]({0}.yaml) |", file.stem);
        let row = readme.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("README.md does not list {}", file.stem));
        assert_eq!(row.contains("UNSURE"), doubts(&file), "{row}");
        assert_eq!(row.contains("fill in the holidays"), bars_holidays(&file), "{row}");
    }
    let listed = readme.lines().filter(|line| line.starts_with("| [`")).count();
    assert_eq!(listed, folder::all().len());
}

/// Whether the rule itself is in doubt.
fn doubts(file: &File) -> bool {
    file.text.contains("\n# UNSURE: ")
}

/// Whether it waits for dates that its sources do not give.
fn bars_holidays(file: &File) -> bool {
    file.text.contains("\n  # UNSURE: ") && file.text.contains("\n  # closedDates:\n")
}
