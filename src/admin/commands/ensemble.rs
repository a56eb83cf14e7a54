//! Commands about the other servers, and this one's place among them.

use serde_json::{Map, Value, json};

use crate::admin::answer::{Answer, Query};
use crate::admin::{Admin, Mode, text};
use crate::base::ServerId;
use crate::config::Membership;
use crate::config::ensemble::{Member, PeerAddress, Role};
use crate::runtime::peer_links::PeerLinks;

/// Source: `LeaderCommand`.
pub(super) fn leader(admin: &Admin, _: &Query) -> Answer {
    let mut answer = Answer::default();
    let Some(own) = &admin.config.member else {
        answer.put("error", "server is not initialized");
        return answer;
    };
    let ensemble = admin.counters.ensemble();
    let leader = ensemble.leader;
    let hosts = leader.and_then(|leader| own.ensemble.members.get(&leader.0));
    answer.put("is_leader", admin.mode(&ensemble) == Some(Mode::Leader));
    answer.put("leader_id", leader.map_or(-1, |leader| leader.0));
    answer.put(
        "leader_ip",
        hosts
            .map(|member| different_hosts(member).join("|"))
            .unwrap_or_default(),
    );
    answer
}

/// Source: `VotingViewCommand`.
pub(super) fn voting_view(admin: &Admin, _: &Query) -> Answer {
    let mut view = Map::new();
    if let Some(own) = &admin.config.member {
        let members = own.ensemble.members.iter();
        for (id, member) in members.filter(|(_, member)| member.role == Role::Participant) {
            let addresses = |port: Port| texts(member, port);
            let shown = json!({
                "server_addresses": addresses(QUORUM),
                "election_addresses": addresses(ELECTION),
                "client_address": client_address(admin, own, ServerId(*id), member).unwrap_or_default(),
                "learner_type": "participant",
            });
            view.insert(id.to_string(), shown);
        }
    }
    let mut answer = Answer::default();
    answer.put("current_config", view);
    answer
}

/// Only a leader has any.
///
/// Source: `SyncedObserverConsCommand`, `LearnerHandler.getLearnerHandlerInfo`.
pub(super) fn observers(admin: &Admin, _: &Query) -> Answer {
    let leads = admin.mode(&admin.counters.ensemble()) == Some(Mode::Leader);
    let peers = admin.peers.get().filter(|_| leads);
    let links = peers.map(PeerLinks::observers).unwrap_or_default();
    let shown = links.iter().map(|link| {
        json!({
            "remote_socket_address": text::socket_address(&link.remote),
            "sid": link.server.map_or(-1, |server| server.0),
            "established": link.since.0,
            // Packets are not told apart once they are queued.
            "queued_packets": u64::from(link.waiting_bytes > 0),
            "queued_packets_size": link.waiting_bytes,
            "packets_received": link.received,
            "packets_sent": link.sent,
            "requests": link.requests,
            "last_zxid": link.last_zxid,
        })
    });
    let shown: Vec<Value> = shown.collect();
    let mut answer = Answer::default();
    answer.put("synced_observers", shown.len());
    answer.put("observers", shown);
    answer
}

/// Source: `ObserverCnxnStatResetCommand`.
pub(super) fn reset_observers(admin: &Admin, _: &Query) -> Answer {
    if let Some(peers) = admin.peers.get() {
        peers.reset_observers();
    }
    Answer::default()
}

/// Source: `ZabStateCommand`. Java's AdminServer hears of a server once that serves.
pub(super) fn zabstate(admin: &Admin, _: &Query) -> Answer {
    let mut answer = Answer::default();
    let ensemble = admin.counters.ensemble();
    let mode = admin.mode(&ensemble);
    let (Some(own), Some(mode)) = (&admin.config.member, mode) else {
        answer.put("voting", false);
        answer.put("zabstate", "");
        return answer;
    };
    let member = own.ensemble.members.get(&own.id.0);
    let address =
        |port: Port| member.map_or(Value::Null, |member| multiple_addresses(member, port));
    let zxid = admin.gate.read(|tree| tree.last_zxid());
    answer.put("myid", own.id.0);
    answer.put("is_leader", mode == Mode::Leader);
    answer.put("quorum_address", address(QUORUM));
    answer.put("election_address", address(ELECTION));
    let client = member.and_then(|member| client_address(admin, own, own.id, member));
    answer.put("client_address", client);
    answer.put("voting", own.role == Role::Participant);
    answer.put("last_zxid", format!("{:#x}", zxid.0));
    answer.put("zab_epoch", zxid.0 >> 32);
    answer.put("zab_counter", zxid.0 & 0xffff_ffff);
    answer.put("zabstate", "broadcast");
    answer
}

/// Which of a server's two ports is meant.
type Port = fn(&PeerAddress) -> u16;

const QUORUM: Port = |address| address.quorum_port;
const ELECTION: Port = |address| address.election_port;

fn texts(member: &Member, port: Port) -> Vec<String> {
    let text = |address: &PeerAddress| {
        crate::config::HostPort {
            host: Some(address.host.clone()),
            port: port(address),
        }
        .to_string()
    };
    member.addresses.iter().map(text).collect()
}

fn different_hosts(member: &Member) -> Vec<&str> {
    let mut hosts: Vec<&str> = Vec::new();
    for address in &member.addresses {
        if !hosts.contains(&address.host.as_str()) {
            hosts.push(&address.host);
        }
    }
    hosts
}

/// What the line of a server says; of this very server also what `clientPort` says.
///
/// Source: `QuorumPeerConfig.setupClientPort`.
fn client_address(
    admin: &Admin,
    own: &Membership,
    id: ServerId,
    member: &Member,
) -> Option<String> {
    let stated = member.client.as_ref();
    let stated = stated.or(admin.config.client_addr.as_ref().filter(|_| id == own.id));
    stated.map(ToString::to_string)
}

/// Reachable is what is written: nobody is sent to look.
///
/// Source: the getters of `MultipleAddresses`, whose order Java leaves open.
fn multiple_addresses(member: &Member, port: Port) -> Value {
    let all = texts(member, port);
    let mut ports: Vec<u16> = Vec::new();
    for number in member.addresses.iter().map(port) {
        if !ports.contains(&number) {
            ports.push(number);
        }
    }
    let wildcards: Vec<_> = ports.iter().map(|port| format!("0.0.0.0:{port}")).collect();
    let one = all.first();
    json!({
        "empty": all.is_empty(),
        "one": one,
        "reachable_or_one": one,
        "reachable_address": one,
        "all_addresses": all,
        "all_reachable_addresses": all,
        "all_reachable_addresses_or_all": all,
        "wildcard_addresses": wildcards,
        "all_ports": ports,
        "all_host_strings": different_hosts(member),
    })
}
