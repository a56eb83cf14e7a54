//! The documents name only tests, differences, pages, commands and scripts that exist.

#![allow(clippy::unwrap_used)] // tests

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

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

/// Every document, by its path from the top of the checkout.
fn documents() -> Vec<String> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found: Vec<_> = ["README.md", "CHANGELOG.md", "docker/README.md"]
        .map(String::from)
        .into();
    let mut folders = vec![top.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                found.push(path.strip_prefix(top).unwrap().display().to_string());
            }
        }
    }
    assert!(found.len() > 15, "{found:?}");
    found
}

/// Lines outside of code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Lines of blocks that are marked as shell.
fn shell(text: &str) -> Vec<&str> {
    let mut block = None;
    let mut found = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("```"), block) {
            (Some(language), None) => block = Some(language),
            (Some(_), Some(_)) => block = None,
            (None, Some("sh")) => found.push(line),
            (None, _) => {}
        }
    }
    found
}

/// Where the links of a line lead.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let behind = line.split("](").skip(1);
    behind.filter_map(|rest| rest.split(')').next())
}

/// What `[..](#..)` may say to lead to a heading of a document, as GitHub makes it of the heading.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for heading in prose(text).filter(|line| line.starts_with('#')) {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
        let anchor = words
            .chars()
            .filter(kept)
            .collect::<String>()
            .replace(' ', "-");
        let count = seen.entry(anchor.clone()).or_default();
        found.insert(match count {
            0 => anchor,
            _ => format!("{anchor}-{count}"),
        });
        *count += 1;
    }
    found
}

/// A path without its dots.
fn straight(path: &Path) -> PathBuf {
    let mut straight = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(straight.pop(), "{}", path.display()),
            Component::CurDir => {}
            part => straight.push(part),
        }
    }
    straight
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_exist() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut findings, mut count) = (Vec::new(), 0);
    for name in documents() {
        let text = read(&name);
        for target in prose(&text).flat_map(targets) {
            if target.contains("://") {
                continue;
            }
            count += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let to = match path {
                "" => PathBuf::from(&name),
                path => straight(&Path::new(&name).with_file_name(path)),
            };
            if !top.join(&to).exists() {
                findings.push(format!("{name}: {target}: there is no such file"));
            } else if !anchor.is_empty()
                && !anchors(&read(&to.display().to_string())).contains(anchor)
            {
                findings.push(format!("{name}: {target}: there is no such heading"));
            }
        }
    }
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    assert!(count > 50, "only {count} links");
}

/// The commands of a line of shell, each as its words, without quotes and comments.
fn commands(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, ' ') => words.extend(word.take()),
            (None, '|' | ';' | '&') => {
                words.extend(word.take());
                commands.push(std::mem::take(&mut words));
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    commands.push(words);
    for words in &mut commands {
        let is_before = |word: &String| word == "sudo" || word.contains('=') && !word.contains('/');
        let before = words.iter().take_while(|word| is_before(word)).count();
        words.drain(..before);
    }
    commands.retain(|words| !words.is_empty());
    commands
}

/// What the program says of itself, asked once for each command.
#[derive(Default)]
struct Manual {
    pages: BTreeMap<Vec<String>, String>,
}

impl Manual {
    fn page(&mut self, command: &[String]) -> String {
        let ask = || {
            let mut program = Command::new(env!("CARGO_BIN_EXE_oxkeeper"));
            let asked = program.args(command).arg("--help").output().unwrap();
            assert!(asked.status.success(), "{command:?} --help: {asked:?}");
            String::from_utf8(asked.stdout).unwrap()
        };
        self.pages
            .entry(command.to_vec())
            .or_insert_with(ask)
            .clone()
    }

    /// What is wrong with these words behind the program's name.
    fn object(&mut self, words: &[String]) -> Option<String> {
        let (mut command, mut page) = (Vec::new(), self.page(&[]));
        let mut rest = words;
        while let [word, behind @ ..] = rest {
            if !subcommands(&page).contains(word) {
                break;
            }
            command.push(word.clone());
            page = self.page(&command);
            rest = behind;
        }
        match rest {
            [word, ..] if command.is_empty() && !word.starts_with('-') => {
                Some(format!("no command {word}"))
            }
            _ if command == ["cli"] => object_to_shell(&page, rest),
            _ => {
                let known = options(&page);
                let unknown =
                    |word: &&String| word.starts_with('-') && !known.contains_key(option(word));
                rest.iter()
                    .find(unknown)
                    .map(|word| format!("no option {word}"))
            }
        }
    }
}

/// The commands that a page of help lists.
fn subcommands(page: &str) -> BTreeSet<String> {
    let list = page.lines().skip_while(|line| *line != "Commands:").skip(1);
    let list = list.take_while(|line| !line.is_empty());
    list.filter_map(|line| line.split_whitespace().next())
        .map(String::from)
        .collect()
}

/// The options that a page of help lists, and whether they take a value after a space.
fn options(page: &str) -> BTreeMap<&str, bool> {
    let mut found = BTreeMap::new();
    for line in page
        .lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with('-'))
    {
        let definition = line.split("  ").next().unwrap_or_default();
        let words: Vec<&str> = definition
            .split(' ')
            .map(|word| word.trim_end_matches(','))
            .collect();
        let takes_value = words.last().is_some_and(|word| !word.starts_with('-'));
        let names = words.iter().filter(|word| word.starts_with('-'));
        found.extend(names.map(|name| (*name, takes_value)));
    }
    found
}

/// The name in a word that begins with a dash: without its value.
fn option(word: &str) -> &str {
    match word.starts_with("--") {
        true => word.split('=').next().unwrap_or(word),
        false => word.get(..2).unwrap_or(word),
    }
}

/// The shell has zkCli's options: long names behind one dash, then a command of its own.
fn object_to_shell(page: &str, words: &[String]) -> Option<String> {
    let known = options(page);
    let mut words = words.iter();
    let command = loop {
        let word = words.next()?;
        if !word.starts_with('-') {
            break word;
        }
        match known.get(word.as_str()) {
            Some(true) => words.next(),
            Some(false) => None,
            None => return Some(format!("no option {word}")),
        };
    };
    let table = read("src/cli/shell/table.rs");
    (!table.contains(&format!("\"{command}\"")))
        .then(|| format!("no command {command} in the shell"))
}

/// A command as a sentence names it; what stands for something else is left out.
fn named(span: &str) -> Option<Vec<String>> {
    let words = span.strip_prefix("oxkeeper ")?.split_whitespace();
    Some(
        words
            .filter(|word| !word.contains(['…', '[', ']', '<']))
            .map(String::from)
            .collect(),
    )
}

#[test]
fn every_command_of_the_program_in_the_documents_exists_with_its_options() {
    let (mut manual, mut findings, mut count) = (Manual::default(), Vec::new(), 0);
    for name in documents() {
        let text = read(&name);
        let blocks = shell(&text).into_iter().flat_map(commands);
        let in_blocks = blocks.filter(|words| Path::new(&words[0]).ends_with("oxkeeper"));
        let in_blocks = in_blocks.map(|words| words[1..].to_vec());
        for words in in_blocks.chain(quoted(&text).filter_map(named)) {
            count += 1;
            let wrong = manual.object(&words);
            findings.extend(wrong.map(|wrong| format!("{name}: {}: {wrong}", words.join(" "))));
        }
    }
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    assert!(count > 60, "only {count} commands");
}

#[test]
fn every_script_and_file_that_commands_in_the_documents_name_exists() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ours = [
        "bin/",
        "docker/",
        "kubernetes/",
        "packaging/",
        "compat-tests/",
        "fuzz/",
        "./check",
    ];
    let mut count = 0;
    for name in documents() {
        for words in shell(&read(&name)).into_iter().flat_map(commands) {
            for word in &words {
                let word = word.strip_prefix("/usr/share/oxkeeper/").unwrap_or(word);
                if ours.iter().any(|folder| word.starts_with(folder)) {
                    assert!(
                        top.join(word).exists(),
                        "{name}: {}: there is no {word}",
                        words.join(" ")
                    );
                    count += 1;
                }
            }
        }
    }
    assert!(count > 10, "only {count} files");
}

#[test]
fn the_image_is_built_from_every_file_that_the_program_includes() {
    let copied: BTreeSet<String> = read("docker/Dockerfile")
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .flat_map(|line| line.split(' ').map(str::to_owned))
        .collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src")];
    let mut outside = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // Tests are not built there.
            let text = fs::read_to_string(&path).unwrap_or_default();
            let program = text.split("#[cfg(test)]\nmod ").next().unwrap();
            let is_test = path.to_string_lossy().contains("tests");
            for included in program.split("include_str!(\"").skip(1) {
                let name = included.split('"').next().unwrap();
                let file = straight(&path.parent().unwrap().join(name));
                if !is_test && !file.starts_with(root.join("src")) {
                    outside.insert(file.strip_prefix(root).unwrap().display().to_string());
                }
            }
        }
    }
    assert!(!outside.is_empty());
    for file in outside {
        assert!(
            copied.contains(&file),
            "docker/Dockerfile does not copy {file}"
        );
    }
}
