//! Whether a configuration means one server or an ensemble, and whether it is complete for that.

use std::net::IpAddr;

use super::ensemble::{self, Ensemble, EnsembleFault, HostPort, Role};
use super::lookup::Lookup;
use super::numbers;
use super::problem::Severity::{Error, Warning};
use super::raw::{self, RawConfig, RawFault};
use super::server::{Config, ConfigSources};

/// Reads who is in the ensemble, checks it, and settles the client port, which a server's own line
/// may give.
/// Source: `QuorumPeerConfig.setupQuorumPeerConfig`, `parseDynamicConfig`.
pub(super) fn decide(config: &mut Config, keys: &mut Lookup<'_>, sources: &ConfigSources) {
    let multi_address = keys.flag("multiAddress.enabled");
    let standalone_enabled = keys.flag("standaloneEnabled");
    let role = keys.text("peerType").unwrap_or_default();
    if Role::parse(&role).is_none() {
        keys.error("peerType", "must be participant or observer");
    }
    let ensemble = if keys.find("dynamicConfigFile").is_some() {
        from_dynamic_file(keys, sources, multi_address)
    } else {
        let (ensemble, faults) = Ensemble::parse(keys.raw().entries(), multi_address);
        report(keys, &sources.cfg_name, faults);
        ensemble
    };
    let myid = myid(keys, sources);
    if let Some(client) = myid.and_then(|myid| ensemble.members.get(&myid)?.client.clone()) {
        config.client_addr = Some(own_client_address(keys, config.client_addr.take(), client));
    }
    if let Some(sid) = myid.filter(|sid| ensemble.members.contains_key(sid)) {
        let said = Role::parse(&role).unwrap_or_default();
        if ensemble
            .members
            .get(&sid)
            .is_some_and(|member| member.role != said)
        {
            let why = format!("server.{sid} says otherwise, and wins");
            keys.warn("peerType", &why);
        }
    }
    if count_voters(keys, &ensemble, standalone_enabled) {
        complete(keys, &ensemble, myid);
        let line = keys
            .raw()
            .entries()
            .iter()
            .find(|e| e.key.starts_with("server."))
            .map(|e| e.line);
        let text = "ensembles are not built yet: this configuration has ".to_owned()
            + &format!(
                "{} voters and {} observers",
                ensemble.voters(),
                ensemble.observers()
            );
        keys.push_in(&sources.cfg_name, Error, line, text);
    }
}

/// The ensemble of a dynamic file. Its version is in its name.
fn from_dynamic_file(keys: &mut Lookup<'_>, sources: &ConfigSources, multi: bool) -> Ensemble {
    let moved = ["server.", "group", "weight"];
    for entry in keys.raw().entries() {
        if moved.iter().any(|prefix| entry.key.starts_with(prefix)) {
            let text = format!(
                "{}: must be in the dynamic file, because there is one",
                entry.key
            );
            keys.push_in(&sources.cfg_name, Error, Some(entry.line), text);
        }
    }
    let Some((name, bytes)) = &sources.dynamic else {
        keys.error("dynamicConfigFile", "cannot be read");
        return Ensemble::default();
    };
    let raw = RawConfig::parse(bytes);
    for fault in raw.faults() {
        let (line, text, severity) = match fault {
            RawFault::MalformedUnicode { line } => (line, "malformed \\u escape".to_owned(), Error),
            RawFault::Superseded { key, line, by } => (
                line,
                format!("{key}: has no effect, it is given again in line {by}"),
                Warning,
            ),
        };
        keys.push_in(name, severity, Some(*line), text);
    }
    for entry in raw.entries() {
        let known = moved.iter().any(|prefix| entry.key.starts_with(prefix));
        if entry.key == "version" {
            let text = "version: must not be in the file; it is the end of its name".to_owned();
            keys.push_in(name, Error, Some(entry.line), text);
        } else if !known {
            let text = format!(
                "{}: only server.N, group.N and weight.N may be here",
                entry.key
            );
            keys.push_in(name, Error, Some(entry.line), text);
        }
    }
    let (mut ensemble, faults) = Ensemble::parse(raw.entries(), multi);
    report(keys, name, faults);
    ensemble.version = ensemble::version_in_name(name).unwrap_or(0);
    if ensemble.is_hierarchical() {
        let text = "group.N, weight.N: not built yet, and they change what a quorum is".to_owned();
        keys.push_in(name, Error, None, text);
    }
    ensemble
}

fn report(keys: &mut Lookup<'_>, file: &str, faults: Vec<EnsembleFault>) {
    for fault in faults {
        keys.push_in(file, Error, fault.line, fault.text);
    }
}

/// This server's number. A malformed one is an error even where it is not needed, as in Java.
/// Source: `QuorumPeerConfig.setupMyId`.
fn myid(keys: &mut Lookup<'_>, sources: &ConfigSources) -> Option<i64> {
    let line = raw::myid_line(sources.myid.as_deref()?).unwrap_or_default();
    let number = numbers::parse_decimal(&line);
    if number.is_none() {
        keys.push_in("myid", Error, Some(1), format!("{line:?} is not a number"));
    }
    number
}

/// The client address of this server's own line, which must not contradict zoo.cfg.
/// Source: `QuorumPeerConfig.setupClientPort`.
fn own_client_address(keys: &mut Lookup<'_>, file: Option<HostPort>, own: HostPort) -> HostPort {
    let Some(file) = file else { return own };
    let literal = |address: &HostPort| {
        address
            .host
            .as_deref()
            .and_then(|h| h.parse::<IpAddr>().ok())
    };
    let hosts_differ = !file.is_wildcard()
        && match (literal(&file), literal(&own)) {
            (Some(one), Some(other)) => one != other,
            // A name may mean the other address; that shows when it is resolved.
            _ => false,
        };
    if file.port != own.port {
        keys.error("clientPort", &format!("this server's own line says {own}"));
    } else if hosts_differ {
        keys.error(
            "clientPortAddress",
            &format!("this server's own line says {own}"),
        );
    }
    own
}

/// Whether this is an ensemble; complains where the numbers of servers make no sense.
fn count_voters(keys: &mut Lookup<'_>, ensemble: &Ensemble, standalone_enabled: bool) -> bool {
    let (voters, observers) = (ensemble.voters(), ensemble.observers());
    match voters {
        0 if !standalone_enabled => {
            keys.error(
                "standaloneEnabled",
                "there must be a participant among the servers",
            );
            return false;
        }
        0 | 1 if standalone_enabled => {
            if observers > 0 {
                let why = format!("{observers} observers need at least 2 participants to observe");
                about_servers(keys, true, &why);
            } else if voters == 1 {
                about_servers(
                    keys,
                    false,
                    "the only server, which therefore runs standalone",
                );
            }
            return false;
        }
        _ => {}
    }
    if voters <= 2 {
        about_servers(
            keys,
            false,
            "no failure of a server is tolerated; that needs at least 3",
        );
    } else if voters % 2 == 0 {
        about_servers(
            keys,
            false,
            "an odd number of participants would tolerate as many failures",
        );
    }
    true
}

/// A remark about the servers as a whole, at the first of them.
fn about_servers(keys: &mut Lookup<'_>, fatal: bool, why: &str) {
    let first = keys
        .raw()
        .entries()
        .iter()
        .find(|entry| entry.key.starts_with("server."));
    let key = first.map_or_else(|| "dynamicConfigFile".to_owned(), |entry| entry.key.clone());
    let line = first
        .or_else(|| keys.raw().get("dynamicConfigFile"))
        .map(|entry| entry.line);
    keys.push(
        if fatal { Error } else { Warning },
        line,
        format!("{key}: {why}"),
    );
}

/// What an ensemble cannot do without. Source: `QuorumPeerConfig.checkValidity`,
/// `QuorumPeer.start`.
fn complete(keys: &mut Lookup<'_>, ensemble: &Ensemble, myid: Option<i64>) {
    let tick = keys.number("tickTime");
    for name in ["initLimit", "syncLimit"] {
        if keys.number(name) < 1 {
            keys.error(
                name,
                &format!("must be at least 1 tick (tickTime is {tick} ms)"),
            );
        }
    }
    match myid {
        None => keys.error(
            "dataDir",
            "there must be a file myid in it, with this server's number",
        ),
        Some(sid) if !ensemble.members.contains_key(&sid) => {
            keys.error(
                "dataDir",
                &format!("its myid is {sid}, but there is no server.{sid}"),
            );
        }
        Some(_) => {}
    }
}
