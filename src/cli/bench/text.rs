//! The report for people.

use std::fmt::Write;

use super::report::{Latency, Part, Report};

/// All of it, in lines.
pub fn show(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(text, "{}", headline(report));
    let _ = write!(
        text,
        "{} requests in {:.1} s: {}/s",
        report.requests,
        report.seconds,
        rate(report.per_second)
    );
    if report.bytes_sent > 0 {
        let (sent, received) = (size(report.bytes_sent), size(report.bytes_received));
        let _ = write!(text, "; {sent} sent, {received} received with the warm-up");
    }
    text.push_str("\n\n");
    let columns = [
        "min", "mean", "p50", "p90", "p95", "p99", "p99.9", "p99.99", "max",
    ];
    let _ = write!(text, "{:<22} {:>9} {:>9}", "latency, ms", "requests", "/s");
    columns.iter().for_each(|name| {
        let _ = write!(text, " {name:>8}");
    });
    text.push('\n');
    for part in &report.kinds {
        row(&mut text, part);
    }
    if report.kinds.len() > 1 {
        let all = Part {
            name: "all".into(),
            requests: report.requests,
            per_second: report.per_second,
            latency: report.latency,
            errors: 0,
            connections_lost: None,
            version: None,
            mode: None,
        };
        row(&mut text, &all);
    }
    text.push('\n');
    for part in &report.servers {
        row(&mut text, part);
        let said = [part.mode.as_deref(), part.version.as_deref()];
        let mut notes: Vec<String> = said.into_iter().flatten().map(str::to_owned).collect();
        if let Some(lost) = part.connections_lost.filter(|lost| *lost > 0) {
            notes.push(format!("{lost} connections lost"));
        }
        if !notes.is_empty() {
            let _ = writeln!(text, "    {}", notes.join(", "));
        }
    }
    text.push('\n');
    ending(&mut text, report);
    text
}

fn headline(report: &Report) -> String {
    let settings = &report.settings;
    let mut words = vec![settings.work.name()];
    if let Some(reads) = settings.reads {
        words.push(format!("({reads} % reads)"));
    }
    words.push(format!("on {}:", settings.server));
    words.push(format!(
        "{} connections x {} in flight,",
        settings.connections, settings.in_flight
    ));
    if let Some(keys) = settings.keys {
        words.push(format!("{keys} znodes,"));
    }
    words.push(format!("{} bytes,", settings.size));
    if settings.skew > 0.0 {
        words.push(format!("skew {},", settings.skew));
    }
    words.push(match settings.rate {
        Some(rate) => format!("open loop at {rate}/s"),
        None => "closed loop".into(),
    });
    if report.interrupted {
        words.push("(interrupted)".into());
    }
    words.join(" ")
}

fn row(text: &mut String, part: &Part) {
    let _ = write!(
        text,
        "{:<22} {:>9} {:>9}",
        part.name,
        part.requests,
        rate(part.per_second)
    );
    let Latency {
        min,
        mean,
        p50,
        p90,
        p95,
        p99,
        p999,
        p9999,
        max,
        ..
    } = part.latency;
    for us in [min, mean, p50, p90, p95, p99, p999, p9999, max] {
        let _ = write!(text, " {:>8}", ms(us));
    }
    text.push('\n');
}

fn ending(text: &mut String, report: &Report) {
    for (error, count) in &report.errors {
        let _ = writeln!(text, "errors       {count} x {error}");
    }
    let gaps = &report.gaps;
    let lost: u64 = report
        .servers
        .iter()
        .filter_map(|server| server.connections_lost)
        .sum();
    if lost > 0 {
        let _ = writeln!(
            text,
            "connections  {lost} lost, {} back after {} ms on average, {} ms at most; {} requests sent again",
            gaps.count,
            ms(gaps.mean),
            ms(gaps.max),
            report.sent_again
        );
    }
    let _ = writeln!(
        text,
        "generator    {:.1} us CPU per request; busiest of {} threads: {:.0} %",
        report.client.cpu_per_request,
        report.settings.threads.min(report.settings.connections),
        report.client.busiest_thread * 100.0
    );
    for warning in &report.warnings {
        let _ = writeln!(text, "WARNING: {warning}");
    }
}

/// Microseconds as milliseconds, with as many digits as mean something.
pub fn ms(us: f64) -> String {
    match us / 1e3 {
        ms if ms >= 100.0 => format!("{ms:.0}"),
        ms if ms >= 10.0 => format!("{ms:.1}"),
        ms if ms >= 1.0 => format!("{ms:.2}"),
        ms => format!("{ms:.3}"),
    }
}

/// A number per second.
pub fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate >= 100.0 => format!("{rate:.0}"),
        rate => format!("{rate:.1}"),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}
