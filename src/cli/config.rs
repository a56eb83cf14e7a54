//! `oxkeeper config`: say what a configuration means, and what is wrong with it, before a server is started with it.

use std::fs;
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::server::{Refusal, sources};
use crate::config::raw::RawConfig;
use crate::config::reference;
use crate::config::{Config, ConfigSources, Problem, Severity};

/// What `oxkeeper config` does.
#[derive(Debug, clap::Subcommand)]
pub enum ConfigCommand {
    /// Explain every setting of a zoo.cfg, and find mistakes in it and in what it points to.
    ///
    /// Nothing is started and nothing is changed. Exit code 0: a server starts with it, maybe with warnings;
    /// 2: it does not.
    #[command(after_help = "Example: oxkeeper config check /etc/oxkeeper/zoo.cfg")]
    Check(CheckArgs),
    /// Print what every key is for, with its default, as Markdown.
    Reference,
}

/// What to check.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// A Java system property: -Dname=value. Also read from the -D words of JVMFLAGS and SERVER_JVMFLAGS.
    #[arg(short = 'D', value_name = "NAME=VALUE")]
    properties: Vec<String>,
    /// Print findings only, and no explanations.
    #[arg(short, long)]
    quiet: bool,
    /// The configuration file.
    #[arg(value_name = "zoo.cfg")]
    config: PathBuf,
}

/// Runs the command.
pub fn run(command: &ConfigCommand) -> ExitCode {
    match command {
        ConfigCommand::Check(args) => check(args),
        ConfigCommand::Reference => {
            print!("{}", reference::markdown());
            ExitCode::SUCCESS
        }
    }
}

fn check(args: &CheckArgs) -> ExitCode {
    let sources = match sources(&args.properties, Some(&args.config)) {
        Ok(sources) => sources,
        Err(Refusal(text)) => {
            println!("error: {text}");
            return ExitCode::from(WOULD_NOT_START);
        }
    };
    if !args.quiet {
        explain(&sources);
    }
    let parsed = Config::parse(&sources);
    let (config, problems) = match &parsed {
        Ok(loaded) => (Some(&loaded.config), &loaded.warnings),
        Err(invalid) => (None, &invalid.problems),
    };
    for problem in problems {
        println!("{}: {problem}", name(problem));
    }
    let Some(config) = config else {
        println!("A server does not start with this.");
        return ExitCode::from(WOULD_NOT_START);
    };
    let found = outside(config);
    for finding in &found {
        println!("warning: {finding}");
    }
    println!("{}", summary(config, problems.len() + found.len()));
    ExitCode::SUCCESS
}

/// Source: `ExitCode.INVALID_INVOCATION`.
const WOULD_NOT_START: u8 = 2;

fn name(problem: &Problem) -> &'static str {
    match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// Every setting with what it is for.
fn explain(sources: &ConfigSources) {
    for (file, text) in files(sources) {
        println!("{file}:");
        for entry in RawConfig::parse(text).entries() {
            println!("  {}={}", entry.key, entry.value);
            explain_key(&entry.key);
        }
    }
    if !sources.system_properties.is_empty() {
        println!("-D words:");
    }
    for (name, value) in &sources.system_properties {
        println!("  -D{name}={value}");
        explain_key(name.strip_prefix("zookeeper.").unwrap_or(name));
    }
    println!();
}

fn files(sources: &ConfigSources) -> Vec<(&str, &[u8])> {
    let mut files = vec![(&*sources.cfg_name, &*sources.cfg)];
    if let Some((name, text)) = &sources.dynamic {
        files.push((name, text));
    }
    files
}

fn explain_key(name: &str) {
    let Some(explained) = reference::explain(name) else {
        println!("      Nobody reads this.");
        return;
    };
    let (default, unit) = (explained.key.default, explained.key.unit);
    let default = match default {
        "" => String::new(),
        default => format!(" Default: {default}."),
    };
    let unit = match unit {
        "" => String::new(),
        unit => format!(" In {unit}."),
    };
    println!("      {}{unit}{default}", explained.text);
    if let Some(note) = explained.note().filter(|_| !is_of_ensembles(&explained)) {
        println!("      ({note})");
    }
}

/// That a key of an ensemble is one needs no word.
fn is_of_ensembles(explained: &reference::Explained) -> bool {
    explained.key.support == crate::config::keys::Support::Ensemble
}

/// What no file says: folders and names that a start would meet.
fn outside(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    folder("dataDir", &config.data_dir, config, &mut found);
    if config.data_log_dir != config.data_dir {
        folder("dataLogDir", &config.data_log_dir, config, &mut found);
    }
    let Some(own) = &config.member else {
        return found;
    };
    if own.ensemble.voters() % 2 == 0 {
        let voters = own.ensemble.voters();
        found.push(format!(
            "{voters} voters survive the loss of no more servers than {} would; an odd number is cheaper",
            voters - 1
        ));
    }
    for (id, member) in &own.ensemble.members {
        for address in &member.addresses {
            let at = (address.host.as_str(), address.quorum_port);
            if let Err(error) = at.to_socket_addrs() {
                found.push(format!(
                    "server.{id}: the name {} cannot be resolved from here: {error}",
                    address.host
                ));
            }
        }
    }
    found
}

fn folder(key: &str, path: &Path, config: &Config, found: &mut Vec<String>) {
    let shown = path.display();
    let missing = if config.datadir_autocreate {
        "it will be made"
    } else {
        "a server does not start without it (datadir.autocreate=false)"
    };
    match fs::metadata(path.join("version-2")).or_else(|_| fs::metadata(path)) {
        Ok(there) if !there.is_dir() => found.push(format!("{key}={shown}: is no folder")),
        Ok(there) if there.permissions().readonly() => {
            found.push(format!("{key}={shown}: cannot be written"));
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            found.push(format!("{key}={shown}: does not exist; {missing}"));
        }
        Err(error) => found.push(format!("{key}={shown}: {error}")),
    }
}

fn summary(config: &Config, findings: usize) -> String {
    let port = match &config.client_addr {
        Some(addr) => format!("clients on port {}", addr.port),
        None => "no port for clients".to_owned(),
    };
    let what = match &config.member {
        None => "A standalone server".to_owned(),
        Some(own) => format!(
            "Server {} of {} voters and {} observers",
            own.id,
            own.ensemble.voters(),
            own.ensemble.observers()
        ),
    };
    let how = match findings {
        0 => String::new(),
        1 => ", with 1 warning".to_owned(),
        count => format!(", with {count} warnings"),
    };
    format!("{what} starts with this: {port}{how}.")
}
