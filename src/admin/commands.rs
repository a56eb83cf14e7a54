//! The table of the AdminServer's commands. A new one is a line here and a function.
//!
//! Source: `Commands`.

mod connections;
mod ensemble;
mod server;
mod vitals;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hyper::Method;

use super::answer::{Answer, Call, Query};
use super::{Admin, restore, snapshot};

/// One command.
pub struct Command {
    /// What it answers to, the name it calls itself by first.
    pub names: &'static [&'static str],
    /// Whether a member without a leader cannot answer it.
    pub needs_server: bool,
    /// GET or POST.
    pub method: Method,
    /// What it does.
    pub run: Run,
}

/// What a command does.
#[derive(Clone, Copy)]
pub enum Run {
    /// Looks at the server and answers at once. Runs on a thread of its own.
    Look(fn(&Admin, &Query) -> Answer),
    /// May wait, take a body, and answer with a stream. Runs as a task: long work goes to `spawn_blocking`.
    Act(fn(Arc<Admin>, Call) -> Acting),
}

/// An answer that is in work.
pub type Acting = Pin<Box<dyn Future<Output = Answer> + Send>>;

const fn get(names: &'static [&'static str], look: fn(&Admin, &Query) -> Answer) -> Command {
    Command {
        names,
        needs_server: true,
        method: Method::GET,
        run: Run::Look(look),
    }
}

/// A command that a member answers also without a leader.
const fn always(names: &'static [&'static str], look: fn(&Admin, &Query) -> Answer) -> Command {
    Command {
        names,
        needs_server: false,
        method: Method::GET,
        run: Run::Look(look),
    }
}

/// Every command of Java's, in the order of their names.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    get(&["configuration", "conf", "config"], server::configuration),
    get(&["connection_stat_reset", "crst"], connections::connection_stat_reset),
    get(&["connections", "cons"], connections::connections),
    get(&["dirs"], server::dirs),
    get(&["dump"], connections::dump),
    always(&["environment", "env", "envi"], server::environment),
    always(&["get_trace_mask", "gtmk"], server::get_trace_mask),
    get(&["hash"], server::hash),
    get(&["initial_configuration", "icfg"], server::initial_configuration),
    get(&["is_read_only", "isro"], server::is_read_only),
    get(&["last_snapshot", "lsnp"], server::last_snapshot),
    get(&["leader", "lead"], ensemble::leader),
    always(&["monitor", "mntr"], server::monitor),
    get(&["observer_connection_stat_reset", "orst"], ensemble::reset_observers),
    get(&["observers", "obsr"], ensemble::observers),
    get(&["ruok"], |_, _| Answer::default()),
    Command {
        names: &["restore", "rest"],
        needs_server: true,
        method: Method::POST,
        run: Run::Act(|admin, call| Box::pin(restore::restore(admin, call))),
    },
    get(&["server_stats", "srvr"], server::server_stats),
    always(&["set_trace_mask", "stmk"], server::set_trace_mask),
    Command {
        names: &["snapshot", "snap"],
        needs_server: true,
        method: Method::GET,
        run: Run::Act(|admin, call| Box::pin(snapshot::snapshot(admin, call))),
    },
    get(&["stat_reset", "srst"], server::stat_reset),
    get(&["stats", "stat"], server::stats),
    always(&["system_properties", "sysp"], server::system_properties),
    get(&["voting_view"], ensemble::voting_view),
    get(&["watch_summary", "wchs"], connections::watch_summary),
    get(&["watches", "wchc"], connections::watches),
    get(&["watches_by_path", "wchp"], connections::watches_by_path),
    always(&["zabstate"], ensemble::zabstate),
];

/// Commands that Java does not have, and that are not on the page of links, which is Java's.
pub static OWN: &[Command] = &[
    always(&["hot_paths", "hot"], vitals::hot_paths),
    always(&["vitals", "vitl"], vitals::vitals),
];

/// The command of this name or alias; upper and lower case matter.
pub fn find(name: &str) -> Option<&'static Command> {
    let mut all = COMMANDS.iter().chain(OWN);
    all.find(|command| command.names.contains(&name))
}

impl Command {
    /// What it calls itself in its answers.
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_name_means_two_commands() {
        let all = COMMANDS.iter().chain(OWN);
        let names: Vec<_> = all.flat_map(|command| command.names).collect();
        let different: BTreeSet<_> = names.iter().collect();
        assert_eq!(names.len(), different.len());
    }
}
