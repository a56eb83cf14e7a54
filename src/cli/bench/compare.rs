//! Two reports side by side.

use std::fmt::Write;
use std::path::Path;

use super::report::{Latency, Part, Report, Settings};
use super::text::{ms, rate};

/// The table of both, each number of the second by that of the first.
///
/// # Errors
/// Text for a person: one of them is no report.
pub fn compare(before: &Path, after: &Path) -> Result<String, String> {
    Ok(table(&read(before)?, &read(after)?))
}

fn read(path: &Path) -> Result<Report, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    let report: Report =
        serde_json::from_str(&text).map_err(|error| wrong(&format!("no report: {error}")))?;
    match report.format {
        1 => Ok(report),
        format => Err(wrong(&format!(
            "a report of format {format}, which is not known"
        ))),
    }
}

/// Lines of two numbers and their ratio.
struct Table(String);

impl Table {
    fn line(&mut self, name: &str, before: f64, after: f64, show: fn(f64) -> String) {
        let ratio = match before > 0.0 {
            true => format!("{:.3}", after / before),
            false => "-".into(),
        };
        let (before, after) = (show(before), show(after));
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(self.0, "{name:<28} {before:>10} {after:>10} {ratio:>8}");
    }

    fn latencies(&mut self, name: &str, before: &Latency, after: &Latency) {
        let shown = |of: &Latency| [of.mean, of.p50, of.p99, of.p999, of.max];
        let names = ["mean", "p50", "p99", "p99.9", "max"];
        for ((what, before), after) in names.iter().zip(shown(before)).zip(shown(after)) {
            self.line(&format!("{name}: {what}, ms"), before, after, ms);
        }
    }
}

fn table(before: &Report, after: &Report) -> String {
    let mut table = Table(format!(
        "{:<28} {:>10} {:>10} {:>8}\n",
        "", "before", "after", "ratio"
    ));
    table.line(
        "requests per second",
        before.per_second,
        after.per_second,
        rate,
    );
    for (one, other) in pairs(&before.kinds, &after.kinds) {
        let name = &one.name;
        if before.kinds.len() > 1 {
            table.line(
                &format!("{name}: per second"),
                one.per_second,
                other.per_second,
                rate,
            );
        }
        table.latencies(name, &one.latency, &other.latency);
    }
    let failed = |report: &Report| (report.errors.values().sum::<u64>() + report.unanswered) as f64;
    table.line(
        "errors and unanswered",
        failed(before),
        failed(after),
        |count| format!("{count:.0}"),
    );
    let used = |report: &Report| report.client.cpu_per_request;
    table.line("generator CPU, us", used(before), used(after), |us| {
        format!("{us:.1}")
    });
    let mut text = table.0;
    if asked(before) != asked(after) {
        text.push_str("WARNING: the two were asked to do different things\n");
    }
    for (name, report) in [("before", before), ("after", after)] {
        for warning in &report.warnings {
            let _ = writeln!(text, "WARNING: {name}: {warning}");
        }
    }
    text
}

/// What was asked for, but for where.
fn asked(report: &Report) -> Settings {
    Settings {
        server: String::new(),
        path: String::new(),
        threads: 0,
        warmup: 0.0,
        ..report.settings.clone()
    }
}

/// Parts that both have.
fn pairs<'a>(before: &'a [Part], after: &'a [Part]) -> impl Iterator<Item = (&'a Part, &'a Part)> {
    before.iter().filter_map(|one| {
        let other = after.iter().find(|other| other.name == one.name)?;
        Some((one, other))
    })
}
