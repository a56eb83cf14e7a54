//! House rules as tests: who may use whom, what is banned where, and how large things may get.

#![allow(clippy::unwrap_used)] // a test may panic

use std::fs;
use std::path::{Path, PathBuf};

/// What each module of `src/` may use besides itself. A file of its own name comes before its folder.
const LAYERS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("config", &["base"]),
    ("metrics", &["base"]),
    ("tree", &["base"]),
    ("watch", &["base", "tree"]),
    ("session", &["base"]),
    ("auth", &["base"]),
    ("prep", &["base", "tree", "session", "auth"]),
    ("audit", &["base", "tree", "auth", "prep"]),
    ("storage", &["base", "config", "tree", "sim"]),
    ("doctor", &["base", "config", "tree", "storage", "sim"]),
    ("zab", &["base"]),
    ("testkit", &[]),
    (
        "replica",
        &[
            "base", "config", "metrics", "tree", "watch", "session", "auth", "prep", "audit",
            "storage", "zab",
        ],
    ),
    ("runtime/wiring.rs", &["*"]),
    (
        "runtime",
        &[
            "base", "config", "metrics", "tree", "watch", "session", "auth", "prep", "storage",
            "zab", "replica",
        ],
    ),
    ("logging", &["audit"]),
    ("client_port", &["*"]),
    ("client", &["base", "config"]),
    ("load", &["base", "client"]),
    ("admin", &["*"]),
    ("cli", &["*"]),
    (
        "sim",
        &[
            "base", "config", "metrics", "tree", "watch", "session", "auth", "prep", "storage",
            "zab", "replica",
        ],
    ),
];

/// Files that may ask the system for time, files or sockets.
const WORLDLY: &[&str] = &[
    "runtime/",
    "client_port/",
    "client/",
    "load/",
    "admin/",
    "cli/",
    "logging/",
    "testkit/scenario.rs",
    "storage/os_disk.rs",
    "main.rs",
    "bin/",
];

/// What only worldly files may say, and what to do instead.
const BANNED: &[(&str, &str)] = &[
    ("Instant::now", "take the time from `now`"),
    ("SystemTime::now", "take the time from `now`"),
    ("std::fs::", "go through `storage::Disk`"),
    (
        "std::net::Tcp",
        "sockets live in `runtime` and `client_port`",
    ),
    ("thread::spawn", "threads live in `runtime`"),
    ("thread::sleep", "nobody sleeps; give the owner a deadline"),
    ("tokio::", "tasks live in `runtime` and `client_port`"),
    (
        "HashMap::new()",
        "its order is random; use FxHashMap or BTreeMap",
    ),
];

const LINES_PER_FILE: usize = 800;
const LINES_PER_FUNCTION: usize = 70;
const COLUMNS: usize = 120;

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    assert!(files.len() > 20, "no sources under {}", root.display());
    let name = |path: &PathBuf| path.strip_prefix(&root).unwrap().display().to_string();
    files
        .iter()
        .map(|path| (name(path), fs::read_to_string(path).unwrap()))
        .collect()
}

fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push(path);
        }
    }
}

fn is_test_file(name: &str) -> bool {
    name.ends_with("tests.rs") || name.contains("/tests/")
}

/// The part of a file before its tests.
fn code(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(text)
}

fn report(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn modules_use_only_the_layers_below_them() {
    let mut findings = Vec::new();
    for (name, text) in sources() {
        let Some((layer, allowed)) = LAYERS
            .iter()
            .find(|(layer, _)| name.starts_with(&format!("{layer}/")) || name == *layer)
        else {
            continue;
        };
        if is_test_file(&name) || allowed.contains(&"*") {
            continue;
        }
        for (number, line) in code(&text).lines().enumerate() {
            for used in line.split("crate::").skip(1) {
                let used: String = used
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                let known = LAYERS.iter().any(|(layer, _)| *layer == used);
                if known && used != *layer && !allowed.contains(&used.as_str()) {
                    findings.push(format!(
                        "src/{name}:{}: {layer} may not use {used}; move it up, or pass it in",
                        number + 1
                    ));
                }
            }
        }
    }
    report(findings);
}

#[test]
fn only_the_outer_layers_touch_the_world() {
    let mut findings = Vec::new();
    for (name, text) in sources() {
        if is_test_file(&name) || WORLDLY.iter().any(|worldly| name.starts_with(worldly)) {
            continue;
        }
        for (number, line) in code(&text).lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for (banned, instead) in BANNED {
                if line.contains(banned) {
                    let at = number + 1;
                    findings.push(format!(
                        "src/{name}:{at}: {banned} is banned here; {instead}"
                    ));
                }
            }
        }
    }
    report(findings);
}

#[test]
fn files_and_functions_stay_small_and_say_what_they_are() {
    let mut findings = Vec::new();
    for (name, text) in sources() {
        if !text.starts_with("//!") {
            findings.push(format!(
                "src/{name}:1: starts without //! saying what it is for"
            ));
        }
        let code = if is_test_file(&name) { "" } else { code(&text) };
        let lines: Vec<&str> = code.lines().collect();
        if lines.len() > LINES_PER_FILE {
            findings.push(format!(
                "src/{name}: {} lines; split it by concern",
                lines.len()
            ));
        }
        for (number, line) in text.lines().enumerate() {
            if line.chars().count() > COLUMNS {
                findings.push(format!("src/{name}:{}: over {COLUMNS} columns", number + 1));
            }
        }
        for (first, length) in functions(&lines) {
            if length > LINES_PER_FUNCTION {
                findings.push(format!(
                    "src/{name}:{first}: a function of {length} lines; split it"
                ));
            }
        }
    }
    report(findings);
}

/// Line and length of each function, told by its indentation.
fn functions(lines: &[&str]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let is_function = [
            "fn ",
            "pub fn ",
            "async fn ",
            "pub async fn ",
            "pub(super) fn ",
            "pub(crate) fn ",
        ]
        .iter()
        .any(|opening| line.trim_start().starts_with(opening));
        if !is_function {
            continue;
        }
        // A trait's method without a body ends with its signature.
        let signature = lines[start..]
            .iter()
            .find(|line| line.ends_with(['{', ';', '}']));
        if signature.is_some_and(|line| line.ends_with(';')) {
            continue;
        }
        let close = format!("{}}}", " ".repeat(indent));
        let end = lines[start..].iter().position(|line| *line == close);
        found.push((start + 1, end.map_or(0, |end| end + 1)));
    }
    found
}

#[test]
fn dependencies_say_why_they_are_there() {
    let manifest =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let mut inside = false;
    let mut findings = Vec::new();
    for (number, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            inside = line.contains("dependencies");
        } else if inside && line.contains('=') && !line.contains(" # ") {
            findings.push(format!(
                "Cargo.toml:{}: no reason behind the dependency",
                number + 1
            ));
        }
    }
    report(findings);
}
