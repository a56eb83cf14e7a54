//! Whether a configuration means one server or an ensemble, and whether it is complete for that.

use std::net::IpAddr;

use super::ensemble::{Ensemble, EnsembleFault, HostPort, Role};
use super::lookup::Lookup;
use super::problem::Severity::{Error, Warning};
use super::raw::{self, RawConfig, RawFault};
use super::server::{Config, ConfigSources};
use super::{member, numbers, security};
use crate::base::ServerId;

/// Reads who is in the ensemble, checks it, and settles the client port, which a server's own line
/// may give. Leaves what a member needs in the configuration, unless the server stands alone.
/// Source: `QuorumPeerConfig.setupQuorumPeerConfig`, `parseDynamicConfig`, `isDistributed`.
pub(super) fn decide(config: &mut Config, keys: &mut Lookup<'_>, sources: &ConfigSources) {
    let multi_address = keys.flag("multiAddress.enabled");
    let standalone_enabled = keys.flag("standaloneEnabled");
    let said = keys.text("peerType").unwrap_or_default();
    let said = Role::parse(&said);
    if said.is_none() {
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
    let own = myid.and_then(|sid| Some((sid, ensemble.members.get(&sid)?)));
    if let Some((sid, member)) = own {
        if let Some(client) = member.client.clone() {
            let client = own_client_address(keys, config.client_addr.take(), client);
            config.client_addr = Some(client);
        }
        if said.is_some_and(|said| said != member.role) {
            let why = format!("server.{sid} says otherwise, and wins");
            keys.warn("peerType", &why);
        }
    }
    if !count_voters(keys, &ensemble, standalone_enabled) {
        return;
    }
    limits_are_set(keys);
    interrupted_reconfiguration(keys, sources, &ensemble);
    match own.map(|(sid, member)| (sid, member.role)) {
        Some((sid, role)) => member::fill(config, keys, ServerId(sid), role, ensemble),
        None => number_is_wanting(keys, myid),
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
    ensemble.take_version_from(name);
    if ensemble.is_hierarchical() {
        for entry in raw
            .entries()
            .iter()
            .filter(|entry| !entry.key.starts_with("server."))
        {
            security::refuse_hierarchy(keys, name, entry);
        }
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

/// Source: `QuorumPeerConfig.checkValidity`.
fn limits_are_set(keys: &mut Lookup<'_>) {
    let tick = keys.number("tickTime");
    for name in ["initLimit", "syncLimit"] {
        if keys.number(name) < 1 {
            let why = format!("must be at least 1 tick (tickTime is {tick} ms)");
            keys.error(name, &why);
        }
    }
}

/// A member must know which one it is. Source: `QuorumPeerConfig.checkValidity`, `QuorumPeer.start`.
fn number_is_wanting(keys: &mut Lookup<'_>, myid: Option<i64>) {
    let why = match myid {
        None => "there must be a file myid in it, with this server's number".to_owned(),
        Some(sid) => format!("its myid is {sid}, but there is no server.{sid}"),
    };
    keys.error("dataDir", &why);
}

/// A Java server that was stopped in the middle of a reconfiguration leaves the configuration that was proposed. It
/// then asks for a quorum of that one, too; to ask only for one of the old could elect a second leader.
/// Source: `QuorumPeerConfig.parse`.
fn interrupted_reconfiguration(
    keys: &mut Lookup<'_>,
    sources: &ConfigSources,
    committed: &Ensemble,
) {
    let Some((name, bytes)) = &sources.next_dynamic else {
        return;
    };
    let raw = RawConfig::parse(bytes);
    let (proposed, _) = Ensemble::parse(raw.entries(), true);
    let line = raw.get("version").map(|entry| entry.line);
    if proposed.version > committed.version {
        let text = format!(
            "version={:x}: a reconfiguration was proposed and is not complete, and this server cannot take part in \
             it; let Java servers complete it, or remove the file if it was given up everywhere",
            proposed.version
        );
        keys.push_in(name, Error, line, text);
    } else {
        let text = "no effect: the configuration in force is not older; the file can be removed"
            .to_owned();
        keys.push_in(name, Warning, line, text);
    }
}
