//! Who has a container engine gets the same image: same program, same files, same user.

use crate::built::{ONCE, root};

fn last_stage() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("Containerfile")).unwrap();
    let (_, last) = text.split_once("\nFROM scratch\n").expect("the last stage starts from nothing");
    last.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(String::from).collect()
}

#[test]
fn the_containerfile_makes_the_image_that_the_layout_holds() {
    let run = ONCE.config()["config"].clone();
    let expected = [
        "COPY --from=files /files /".to_owned(),
        format!("USER {}", run["User"].as_str().unwrap()),
        format!("ENTRYPOINT {}", run["Entrypoint"]),
    ];
    assert_eq!(last_stage(), expected);
}

#[test]
fn the_containerfile_builds_by_the_same_steps() {
    let text = std::fs::read_to_string(root().join("Containerfile")).unwrap();
    for step in ["image/binary /build", "go run . tree --out /files /dialer-operator"] {
        assert!(text.contains(step), "{step}");
    }
    let toolchain = std::fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    let version =
        toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap().trim_matches('"');
    assert!(text.contains(&format!("library/rust:{version}")), "{version}");
}
