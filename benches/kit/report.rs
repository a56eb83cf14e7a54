//! The table at the end: what was measured of each server, the ratio, and the ratio to reach.

use super::process::Kind;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What the ratio of ours to Java's must be.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
}

impl Goal {
    fn met(self, ratio: f64) -> bool {
        match self {
            Goal::AtMost(limit) => ratio <= limit,
            Goal::AtLeast(limit) => ratio >= limit,
        }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Goal::AtMost(limit) => write!(f, "<={limit:.2}"),
            Goal::AtLeast(limit) => write!(f, ">={limit:.2}"),
        }
    }
}

/// Measurements by name, in the order they first came.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
}

struct Row {
    name: String,
    goal: Option<Goal>,
    worst: bool,
    values: BTreeMap<u8, Vec<f64>>,
}

impl Report {
    /// Notes one measurement; further ones of the same name count as further rounds.
    pub fn note(&mut self, name: impl Into<String>, kind: Kind, value: f64, goal: Option<Goal>) {
        let name = name.into();
        let place = self.rows.iter().position(|row| row.name == name);
        let place = place.unwrap_or_else(|| {
            self.rows.push(Row {
                name,
                goal,
                worst: false,
                values: BTreeMap::new(),
            });
            self.rows.len() - 1
        });
        let values = &mut self.rows[place].values;
        values.entry(kind as u8).or_default().push(value);
    }

    /// As [`Report::note`], for what is to have a second line: the highest number of the rounds.
    pub fn note_with_worst(
        &mut self,
        name: impl Into<String>,
        kind: Kind,
        value: f64,
        goal: Option<Goal>,
    ) {
        let name = name.into();
        self.note(name.clone(), kind, value, goal);
        if let Some(row) = self.rows.iter_mut().find(|row| row.name == name) {
            row.worst = true;
        }
    }

    /// The table; each number is the median of its rounds.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{:<52} {:>10} {:>10} {:>8} {:>8}\n",
            "median of the rounds", "java", "oxkeeper", "ratio", "goal"
        );
        for row in &self.rows {
            row.print(&row.name, median, &mut text);
            if row.worst {
                row.print("    the worst of the rounds", highest, &mut text);
            }
        }
        text
    }
}

impl Row {
    fn print(&self, name: &str, pick: fn(&[f64]) -> f64, text: &mut String) {
        let of = |kind: Kind| self.values.get(&(kind as u8)).map(|values| pick(values));
        let (java, ours) = (of(Kind::Java), of(Kind::Oxkeeper));
        let ratio = java.zip(ours).map(|(java, ours)| ours / java);
        let verdict = match (ratio, self.goal) {
            (Some(ratio), Some(goal)) if goal.met(ratio) => "  met",
            (Some(_), Some(_)) => "  MISSED",
            _ => "",
        };
        let number = |value: Option<f64>| value.map_or(String::from("-"), short);
        let goal = self.goal.map_or(String::new(), |goal| goal.to_string());
        let ratio = ratio.map_or(String::from("-"), |ratio| format!("{ratio:.3}"));
        let (java, ours) = (number(java), number(ours));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{name:<52} {java:>10} {ours:>10} {ratio:>8} {goal:>8}{verdict}"
        );
    }
}

fn short(value: f64) -> String {
    match value {
        value if value >= 1000.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.3}"),
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn highest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::max)
}
