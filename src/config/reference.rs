//! What every key is for, in words: the explanations of `zoo.cfg.example`, which stands in the program so that they are
//! written once, joined with the table of keys.

use super::keys::{self, Key, Scope, Support};

/// Explains every key, in groups.
const EXAMPLE: &str = include_str!("../../zoo.cfg.example");

/// A group of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its heading.
    pub name: &'static str,
    /// Its keys, in the order of the example.
    pub entries: Vec<Explained>,
}

/// A key and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The key, or the family it belongs to.
    pub key: &'static Key,
    /// What it does, in a sentence or two, without unit and notes.
    pub text: String,
    /// The value of the example: the default where there is one.
    pub example: String,
}

/// All keys of the example, grouped as there.
pub fn sections() -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut words: Vec<&str> = Vec::new();
    for line in EXAMPLE.lines() {
        let heading = line
            .strip_prefix("# ---- ")
            .and_then(|rest| rest.strip_suffix(" ----"));
        if let Some(name) = heading {
            sections.push(Section {
                name,
                entries: Vec::new(),
            });
            words.clear();
        } else if let Some((name, value)) = setting(line) {
            let text = without_notes(&words.join(" "));
            words.clear();
            if let (Some(section), Some(key)) = (sections.last_mut(), keys::find(name)) {
                let example = value.to_owned();
                section.entries.push(Explained { key, text, example });
            }
        } else if let Some(word) = line.strip_prefix("# ") {
            words.push(word);
        } else {
            words.clear();
        }
    }
    sections
}

/// What the key with this name is for; a member of a family stands for all of it.
pub fn explain(name: &str) -> Option<Explained> {
    let key = keys::find(name)?;
    let mut entries = sections().into_iter().flat_map(|section| section.entries);
    entries.find(|entry| entry.key == key)
}

impl Explained {
    /// What becomes of the key, where it is not simply honoured.
    pub fn note(&self) -> Option<String> {
        match self.key.support {
            Support::Honoured => None,
            Support::Ensemble => Some("members of an ensemble only".to_owned()),
            Support::NoEffect(why) => Some(format!("no effect: {why}")),
            Support::NotYet(what) => Some(format!("not built yet: {what}")),
        }
    }

    /// Where it may be written.
    pub fn place(&self) -> String {
        let name = self.key.name;
        match self.key.scope {
            Scope::Named => "zoo.cfg".to_owned(),
            Scope::NamedOrProperty | Scope::Property => {
                format!("zoo.cfg, -Dzookeeper.{name}")
            }
            Scope::PropertyOrBare => format!("zoo.cfg, -Dzookeeper.{name}, -D{name}"),
            Scope::Bare => format!("-D{name}"),
        }
    }
}

/// The whole reference as `docs/configuration.md` has it.
pub fn markdown() -> String {
    let mut out = String::from(HEAD);
    for section in sections() {
        out.push_str(&format!("\n## {}\n\n", section.name));
        out.push_str("| key | default | what it does | where |\n|---|---|---|---|\n");
        for entry in &section.entries {
            let key = entry.key;
            let default = match (key.default, key.unit) {
                ("", _) => String::new(),
                (value, "") => format!("`{value}`"),
                (value, unit) => format!("`{value}` {unit}"),
            };
            let note = entry.note().map(|note| format!(" *({note})*"));
            out.push_str(&format!(
                "| `{}` | {default} | {}{} | {} |\n",
                key.name,
                entry.text.replace('|', "\\|"),
                note.unwrap_or_default(),
                entry.place()
            ));
        }
    }
    out
}

const HEAD: &str = "# Configuration\n\n\
    Every key of `zoo.cfg`, with Java's name and default. This page is written by `oxkeeper config reference`, from\n\
    the table of keys that the server itself reads and from [zoo.cfg.example](../zoo.cfg.example).\n\n\
    `oxkeeper config check zoo.cfg` explains the keys of a file and finds mistakes in it before a server is started.\n\
    A key that nobody knows is a warning, as Java starts with it; a value that Java refuses is refused.\n\
    `-D` words come on the command line of `oxkeeper server` or in JVMFLAGS and SERVER_JVMFLAGS; a key in the file\n\
    wins over the same one as a word.\n";

/// Name without prefix and value, if the line is a setting, be it commented out.
fn setting(line: &'static str) -> Option<(&'static str, &'static str)> {
    let entry = match line.strip_prefix("# -D") {
        Some(word) => word,
        None => line.strip_prefix('#').unwrap_or(line),
    };
    let is_text = entry.is_empty() || entry.starts_with([' ', '#']);
    let (name, value) = entry.split_once('=').filter(|_| !is_text)?;
    Some((name.strip_prefix("zookeeper.").unwrap_or(name), value))
}

/// Units and what becomes of a key are the table's to say.
fn without_notes(text: &str) -> String {
    let mut text = text.trim();
    while text.ends_with([')', ']']) {
        let Some(open) = text
            .rfind(['(', '['])
            .filter(|open| is_note(&text[*open..]))
        else {
            break;
        };
        text = text[..open].trim_end();
    }
    text.to_owned()
}

fn is_note(text: &str) -> bool {
    let inner = text.trim_matches(['(', ')', '[', ']']);
    let known = ["no effect", "not built yet", "ensemble"];
    text.starts_with('[') || inner.split(", ").all(|word| known.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_table_is_explained_once() {
        let entries: Vec<_> = sections().into_iter().flat_map(|s| s.entries).collect();
        for key in keys::all() {
            let count = entries.iter().filter(|entry| entry.key == key).count();
            assert_eq!(count, 1, "{}", key.name);
        }
        for entry in &entries {
            assert!(
                entry.text.len() > 10,
                "{}: {:?}",
                entry.key.name,
                entry.text
            );
        }
    }

    #[test]
    fn units_and_notes_are_left_to_the_table() {
        let jvm = explain("jvm.pause.sleep.time.ms").unwrap();
        assert_eq!(jvm.text, "How often that is measured.");
        assert!(jvm.note().unwrap().starts_with("no effect: "));
        let server = explain("server.7").unwrap();
        assert!(
            server.text.ends_with("[host:]clientPort."),
            "{}",
            server.text
        );
        assert_eq!(explain("tickTime").unwrap().note(), None);
        assert_eq!(explain("nobody.knows"), None);
    }

    #[test]
    fn the_page_of_the_documents_is_this_one() {
        let page = include_str!("../../docs/configuration.md");
        assert!(
            page == markdown(),
            "docs/configuration.md is stale: cargo run -- config reference > docs/configuration.md"
        );
    }
}
