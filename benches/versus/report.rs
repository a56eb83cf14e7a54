//! The table at the end: what was measured of each server, the ratio, and the ratio to reach.

use crate::process::Kind;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Measurements by name, in the order they first came.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
}

struct Row {
    name: String,
    /// Highest allowed ratio of ours to Java's, where there is one.
    goal: Option<f64>,
    values: BTreeMap<u8, Vec<f64>>,
}

impl Report {
    /// Notes one measurement; further ones of the same name count as further rounds.
    pub fn note(&mut self, name: impl Into<String>, kind: Kind, value: f64, goal: Option<f64>) {
        let name = name.into();
        let place = self
            .rows
            .iter()
            .position(|row| row.name == name)
            .unwrap_or_else(|| {
                self.rows.push(Row {
                    name,
                    goal,
                    values: BTreeMap::new(),
                });
                self.rows.len() - 1
            });
        self.rows[place]
            .values
            .entry(kind as u8)
            .or_default()
            .push(value);
    }

    /// The table; each number is the median of its rounds.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{:<44} {:>12} {:>12} {:>8} {:>8}\n",
            "median of the rounds", "java", "oxkeeper", "ratio", "goal"
        );
        for row in &self.rows {
            let median = |kind: Kind| row.values.get(&(kind as u8)).map(|values| median(values));
            let (java, ours) = (median(Kind::Java), median(Kind::Oxkeeper));
            let ratio = java.zip(ours).map(|(java, ours)| ours / java);
            let verdict = match (ratio, row.goal) {
                (Some(ratio), Some(goal)) if ratio <= goal => "  met",
                (Some(_), Some(_)) => "  MISSED",
                _ => "",
            };
            let number = |value: Option<f64>| value.map_or(String::from("-"), short);
            let goal = row.goal.map_or(String::new(), |goal| format!("{goal:.2}"));
            let ratio = ratio.map_or(String::from("-"), |ratio| format!("{ratio:.3}"));
            let (java, ours) = (number(java), number(ours));
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{:<44} {java:>12} {ours:>12} {ratio:>8} {goal:>8}{verdict}",
                row.name
            );
        }
        text
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
