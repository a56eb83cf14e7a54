//! `wchs`, `wchc`, `wchp`: data watches, those of children lists left out as in Java.
//!
//! Source: `WatchManager.dumpWatches`, `WatchManager.toString`.

use super::line;
use crate::admin::walks::Watches;

pub(super) fn summary(watches: &Watches) -> String {
    format!(
        "{} connections watching {} paths\nTotal watches:{}\n",
        watches.by_connection.len(),
        watches.by_path().len(),
        watches.total()
    )
}

pub(super) fn by_connection(watches: &Watches) -> String {
    let mut out = String::new();
    for (session, paths) in &watches.by_connection {
        line(&mut out, format_args!("{session}"));
        for path in paths {
            line(&mut out, format_args!("\t{path}"));
        }
    }
    out.push('\n');
    out
}

pub(super) fn by_path(watches: &Watches) -> String {
    let mut out = String::new();
    for (path, sessions) in watches.by_path() {
        line(&mut out, format_args!("{path}"));
        for session in sessions {
            line(&mut out, format_args!("\t{session}"));
        }
    }
    out.push('\n');
    out
}
