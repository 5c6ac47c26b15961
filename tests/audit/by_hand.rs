//! The format can be verified by who has nothing but its description.

use std::process::Command;

use crate::book::{Book, run};

#[test]
fn the_ten_lines_of_python_in_the_page_verify_what_we_verify_and_find_what_we_find() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/audit.md")).unwrap();
    let script =
        page.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a script");
    assert!(script.lines().count() <= 11, "{script}");
    let book = Book::new();
    let by_hand = || run(Command::new("python3").args(["-c", script]).args(book.files()));
    let said = by_hand();
    assert_eq!((said.well, said.out.trim()), (true, format!("head/{}", book.head).as_str()), "{}", said.err);
    book.edit(1, |text| text.replacen("Paused", "Running", 1));
    let said = by_hand();
    assert!(!said.well && said.err.contains("changed"), "{}", said.err);
    let book = Book::new();
    book.edit(0, |text| text.lines().skip(1).map(|line| format!("{line}\n")).collect());
    let said = run(Command::new("python3").args(["-c", script]).args(book.files()));
    assert!(!said.well && said.err.contains("does not follow None"), "{}", said.err);
}
