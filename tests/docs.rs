//! The documents name only tests and differences that exist.

#![allow(clippy::unwrap_used)] // tests

use std::fs;
use std::path::Path;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_test_that_the_list_of_known_bugs_names_exists() {
    let text = read("docs/known-bugs.md");
    let mut count = 0;
    for (file, test) in quoted(&text).filter_map(|name| name.split_once("::")) {
        let code = read(file);
        let is_there = [format!("fn {test}("), format!("def {test}(")]
            .iter()
            .any(|opening| code.contains(opening));
        assert!(is_there, "docs/known-bugs.md: {file} has no test {test}");
        count += 1;
    }
    assert!(count > 40, "only {count} tests");
}

#[test]
fn every_test_named_after_a_bug_is_in_the_list() {
    let text = read("docs/known-bugs.md");
    for file in [
        "tests/known_bugs.rs",
        "src/storage/tests/bugs.rs",
        "src/sim/tests/mistakes.rs",
    ] {
        let code = read(file);
        for line in code.lines().filter_map(|line| line.strip_prefix("fn ")) {
            let name = line.split('(').next().unwrap();
            if ["zk_", "ch_", "rk_"]
                .iter()
                .any(|kind| name.starts_with(kind))
            {
                assert!(
                    text.contains(&format!("`{file}::{name}`")),
                    "{file}: {name}"
                );
            }
        }
    }
}

#[test]
fn every_deliberate_difference_is_told_to_operators() {
    let text = read("docs/differences.md");
    let list = read("compat-tests/differential/deliberate.py");
    let ids: Vec<&str> = list
        .split("Deliberate(\n")
        .skip(1)
        .map(|entry| entry.split('"').nth(1).unwrap())
        .collect();
    assert!(ids.len() >= 10, "{ids:?}");
    for id in ids {
        assert!(
            text.contains(&format!("`{id}`")),
            "docs/differences.md: {id} is missing"
        );
    }
}
