//! `audit verify`.

use serde_json::Value;

use crate::book::Book;

#[test]
fn a_whole_record_is_told_with_its_size_span_and_head() {
    let book = Book::new();
    let head = book.head.to_string();
    let said = book.audit(&["verify", "--head", &head]);
    assert!(said.well, "{}", said.err);
    let expected = format!(
        "verified: 10 lines, 2 chains, 2 files
  from  2026-11-22T20:00:00Z
  to    2026-11-22T20:07:00Z
  head  {head}
"
    );
    assert_eq!(said.out, expected);
    let told: Value = serde_json::from_str(&book.audit(&["verify", "--output", "json"]).out).unwrap();
    assert_eq!((&told["verified"], &told["record"]["lines"]), (&true.into(), &10.into()));
    assert_eq!(told["record"]["head"]["hash"], book.head.hash.to_string());
}

#[test]
fn the_first_bad_line_is_named_with_its_file_and_why_and_it_ends_with_one() {
    let book = Book::new();
    book.edit(1, |text| text.replacen("Paused", "Running", 1));
    let said = book.audit(&["verify"]);
    assert!(!said.well && said.out.is_empty(), "{}", said.out);
    let path = book.files()[1].display().to_string();
    assert!(said.err.starts_with(&format!("dialer-operator: {path}:")), "{}", said.err);
    assert!(said.err.contains("changed: it carries the hash"), "{}", said.err);
    let said = book.audit(&["verify", "--output", "json"]);
    let told: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.well, &told["verified"], &told["fault"]["file"]), (false, &false.into(), &path.into()));
}

#[test]
fn what_was_cut_off_the_end_is_found_by_the_head_that_was_kept() {
    let book = Book::new();
    let head = book.head.to_string();
    book.edit(1, |text| text.trim_end().rsplit_once('\n').unwrap().0.to_owned() + "\n");
    assert!(book.audit(&["verify"]).well);
    let said = book.audit(&["verify", "--head", &head]);
    assert!(!said.well && said.err.contains(&format!("expected the line {head}")), "{}", said.err);
}

#[test]
fn older_files_that_are_gone_are_stood_for_by_the_head_they_were_verified_up_to() {
    let book = Book::new();
    std::fs::remove_file(&book.files()[0]).unwrap();
    let said = book.audit(&["verify"]);
    assert!(!said.well, "{}", said.out);
    let after =
        said.err.split("--after ").nth(1).and_then(|rest| rest.split('`').next()).expect("what would help");
    let said = book.audit(&["verify", "--after", after]);
    assert!(said.well, "{}", said.err);
}

#[test]
fn what_is_no_head_is_refused_with_what_is_accepted() {
    let said = Book::new().audit(&["verify", "--head", "41"]);
    assert!(!said.well, "{}", said.out);
    assert!(said.err.contains("--head") && said.err.contains("CHAIN/SEQ/HASH"), "{}", said.err);
}
