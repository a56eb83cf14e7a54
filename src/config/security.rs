//! Keys about security that are not built yet. One whose neglect would let somebody in, or would
//! leave out what was promised between servers, stops the start; one that only offers one more way
//! in is a warning.

use super::fill;
use super::lookup::Lookup;
use super::problem::Severity;
use super::raw::RawEntry;
use super::server::Config;

/// Flags that must not be on, and what they promise.
const REFUSED_FLAGS: [(&str, &str); 6] = [
    (
        "sslQuorum",
        "TLS between servers is not built yet, and would be missing; switch it off on every server",
    ),
    (
        "quorum.auth.enableSasl",
        "SASL between servers is not built yet, and would be missing; switch it off on every server",
    ),
    (
        "quorum.auth.learnerRequireSasl",
        "SASL between servers is not built yet, and would be missing; switch it off on every server",
    ),
    (
        "quorum.auth.serverRequireSasl",
        "SASL between servers is not built yet, and would be missing; switch it off on every server",
    ),
    (
        "enforce.auth.enabled",
        "enforced authentication is not built yet; anybody would be let in",
    ),
    (
        "sessionRequireClientSASLAuth",
        "SASL is not built yet; anybody would be let in",
    ),
];

/// Names what cannot be neglected.
pub(super) fn check(config: &Config, keys: &mut Lookup<'_>) {
    for (name, why) in REFUSED_FLAGS {
        if keys.flag(name) {
            keys.error(name, why);
        }
    }
    sasl_flags_agree(keys);
    if keys.find("oraclePath").is_some() {
        let why = "an oracle is not built yet, and it changes what a quorum is; \
                   remove it on every server, or add a third voter";
        keys.error("oraclePath", why);
    }
    for entry in keys.raw().entries() {
        if entry.key.starts_with("group") || entry.key.starts_with("weight") {
            refuse_hierarchy(keys, &config.cfg_name, entry);
        }
    }
    let secure = fill::listener(keys, "secureClientPort", "secureClientPortAddress");
    if secure.is_some() {
        if config.client_addr.is_none() {
            let why = "TLS is not built yet, and there is no clientPort to serve instead";
            keys.error("secureClientPort", why);
        } else {
            keys.warn(
                "secureClientPort",
                "not opened: TLS is not built yet; clientPort is served",
            );
        }
    } else if config.client_addr.is_none() {
        keys.warn("clientPort", "is not set, so no client can connect");
    }
}

/// Groups and weights, in zoo.cfg or in the dynamic file.
pub(super) fn refuse_hierarchy(keys: &mut Lookup<'_>, file: &str, entry: &RawEntry) {
    let text = format!(
        "{}: hierarchical quorums are not built yet, and they change what a quorum is; \
         remove groups and weights on every server",
        entry.key
    );
    keys.push_in(file, Severity::Error, Some(entry.line), text);
}

/// Source: `QuorumPeerConfig.parseProperties`.
fn sasl_flags_agree(keys: &mut Lookup<'_>) {
    let [learner, server] = [
        "quorum.auth.learnerRequireSasl",
        "quorum.auth.serverRequireSasl",
    ];
    let enabled = keys.flag("quorum.auth.enableSasl");
    let (learner_requires, server_requires) = (keys.flag(learner), keys.flag(server));
    for (name, requires) in [(learner, learner_requires), (server, server_requires)] {
        if requires && !enabled {
            keys.error(name, "needs quorum.auth.enableSasl=true");
        }
    }
    if server_requires && !learner_requires {
        keys.error(server, "needs quorum.auth.learnerRequireSasl=true");
    }
}
