//! `audit show`.

use serde_json::Value;

use crate::book::Book;

fn lines(args: &[&str]) -> Vec<Value> {
    let said = Book::new().audit(&[&["show", "--output", "json"], args].concat());
    assert!(said.well, "{}", said.err);
    said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn lines_are_found_by_campaign_time_outcome_id_and_event_in_their_order() {
    assert_eq!(lines(&[]).len(), 10);
    for campaign in ["spring", "c-spring"] {
        let found = lines(&["--campaign", campaign, "--namespace", "sales"]);
        assert!(found.len() == 4 && found.iter().all(|line| line["name"] == "spring"), "{found:#?}");
        assert!(found.is_sorted_by_key(|line| line["timestamp"].to_string()), "{found:#?}");
    }
    assert_eq!(lines(&["--outcome", "applied"]).len(), 4);
    assert_eq!(lines(&["--event", "CHAIN_OPENED"]).len(), 2);
    assert_eq!(lines(&["--id", "00000000-0000-4000-8000-000000000002"]).len(), 2);
    assert_eq!(lines(&["--since", "2026-11-22T20:06:00Z", "--event", "state_transition"]).len(), 2);
    assert_eq!(lines(&["--until", "2026-11-22T20:01:00Z", "--event", "state_transition"]).len(), 1);
    assert_eq!(lines(&["--until", "200000d"]).len(), 0);
    assert_eq!(lines(&["--campaign", "spr"]).len(), 0);
}

#[test]
fn the_table_fits_a_terminal_and_what_others_wrote_does_not_steer_it() {
    let said = Book::new().audit(&["show", "--outcome", "Applied"]);
    let expected = "\
WHEN                 EVENT                 CAMPAIGN               TO      WHAT        WHY              ID
2026-11-22T20:02:00Z STATE_TRANSITION      sales/spring           Paused  Applied                      00000000
";
    assert!(said.out.starts_with(expected), "{}", said.out);
    assert!(said.out.lines().all(|line| line.chars().count() <= 112), "{}", said.out);
    assert!(!said.out.contains('\u{1b}'));
}

#[test]
fn csv_is_read_back_as_it_was_written() {
    let said =
        Book::new().audit(&["show", "--output", "csv", "--id", "00000000-0000-4000-8000-000000000001"]);
    let rows: Vec<_> = said.out.split_terminator("\r\n").collect();
    assert_eq!(rows.len(), 3, "{rows:#?}");
    assert!(rows[0].starts_with("timestamp,event,namespace,name,campaignId"));
    assert!(rows[1].contains("\"a \"\"quoted\"\" text, with a comma\n"), "{}", rows[1]);
}

#[test]
fn no_cell_is_taken_for_a_formula_by_a_spreadsheet() {
    for evil in ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\\t=1", "\\r=1"] {
        let book = Book::new();
        book.edit(0, |text| text.replace("\"name\":\"spring\"", &format!("\"name\":\"{evil}\"")));
        let told = book.audit(&["show", "--output", "csv"]).out;
        let plain = evil.replace("\\t", "\t").replace("\\r", "\r");
        assert!(told.contains(&format!("'{plain}")), "{told}");
        assert!(!told.contains(&format!(",{plain}")) && !told.contains(&format!("\"{plain}")), "{told}");
    }
}

#[test]
fn what_is_no_line_is_left_out_and_said_and_a_changed_line_is_shown() {
    let book = Book::new();
    book.edit(1, |text| format!("not a line\n{}{{\"torn", text.replacen("sales", "other", 1)));
    let said = book.audit(&["show", "--output", "json"]);
    assert!(said.well, "{}", said.err);
    assert_eq!(said.out.lines().count(), 10);
    assert!(said.out.contains("other"));
    let path = book.files()[1].display().to_string();
    assert!(said.err.contains(&format!("warning: {path}:1: no JSON object")), "{}", said.err);
    assert!(said.err.contains("has no end (6 bytes)"), "{}", said.err);
}

#[test]
fn what_can_not_be_asked_for_is_refused_with_what_can() {
    for (args, accepted) in [
        (["--outcome", "Done"], "NotApplied"),
        (["--event", "START"], "TRANSITION_BLOCKED"),
        (["--since", "yesterday"], "2h or 7d"),
        (["--id", "spring"], "a UUID"),
    ] {
        let said = Book::new().audit(&[&["show"], args.as_slice()].concat());
        assert!(!said.well && said.err.contains(args[0]), "{}", said.err);
        assert!(said.err.contains(accepted), "{}", said.err);
    }
    let book = Book::new();
    let absent = book.path().join("absent.jsonl");
    let said = book.audit(&["show", absent.to_str().unwrap()]);
    assert!(!said.well && said.err.contains("absent.jsonl can't be read"), "{}", said.err);
}
