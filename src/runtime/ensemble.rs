//! What a member of an ensemble has beside a server that stands alone: two ports, and a past to account for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::election_links::{ElectionLinks, ElectionOptions};
use super::log_writer::LogQueue;
use super::mailbox::Mailbox;
use super::peer_links::{PeerLinks, PeerPortOptions};
use super::ports::{self, Address, BindTries, ListenError};
use super::snapshot_streams::Receiving;
use crate::base::{ServerId, Zxid};
use crate::config::ensemble::PeerAddress;
use crate::config::{Config, Membership};
use crate::metrics::Metrics;
use crate::storage::{Base, Dirs, Disk, Recovered, StorageError, epochs};
use crate::tree::TreeOptions;

use crate::zab::history::{History, HistoryLimits, Logged};
use crate::zab::io::Stored;

/// The open ports of a member.
#[derive(Clone)]
pub struct Ports {
    /// Who leads is found out here.
    pub election: ElectionLinks,
    /// The leader and its learners speak here.
    pub peers: PeerLinks,
}

/// Ports that are bound but not served: connections wait in the backlog.
pub struct Bound {
    election: Vec<TcpListener>,
    quorum: Vec<TcpListener>,
}

/// Binds both ports on every own address, or on every address of the machine.
///
/// # Errors
/// Names the address that cannot be had.
pub async fn bind(own: &Membership) -> Result<Bound, ListenError> {
    let tries = BindTries {
        most: own.bind_attempts.unwrap_or(0),
        pause: BIND_PAUSE,
    };
    let bind = async |port: fn(&PeerAddress) -> u16| {
        let members = addresses(own, port);
        let mut addresses = members.get(&own.id).cloned().unwrap_or_default();
        if own.listen_on_all_ips {
            addresses = addresses
                .iter()
                .map(|own| Address::everywhere(own.port))
                .collect();
            addresses.sort();
            addresses.dedup();
        }
        ports::listen(&addresses, tries).await
    };
    Ok(Bound {
        election: bind(|address| address.election_port).await?,
        quorum: bind(|address| address.quorum_port).await?,
    })
}

impl Bound {
    /// Serves the ports. To be called on a runtime.
    pub fn serve(
        self,
        config: &Config,
        own: &Membership,
        tree: TreeOptions,
        mailbox: &Arc<Mailbox>,
        log: &Arc<LogQueue>,
        metrics: &Arc<Metrics>,
    ) -> Ports {
        let ticks = |count: u32| config.tick_time.saturating_mul(count);
        let election = ElectionOptions {
            me: own.id,
            members: addresses(own, |address| address.election_port),
            multi_address: own.multi_address,
            connect_timeout: own.cnx_timeout,
            handshake_timeout: own.cnx_handshake_timeout,
            keep_alive: own.tcp_keep_alive,
        };
        let field_limit = config.jute_buffer_max();
        let peers = PeerPortOptions {
            members: addresses(own, |address| address.quorum_port),
            registration_timeout: ticks(own.init_limit),
            dial_timeout: ticks(own.connect_limit),
            dial_pause: own.leader_connect_delay,
            log: log.clone(),
            metrics: metrics.clone(),
            packet_limit: field_limit,
            snapshots: Arc::new(move |zxid| {
                Box::new(Receiving::new(zxid, tree.clone(), field_limit))
            }),
        };
        Ports {
            election: ElectionLinks::start(election, self.election, mailbox.clone()),
            peers: PeerLinks::start(peers, self.quorum, mailbox.clone()),
        }
    }
}

impl Ports {
    /// Closes both ports and all that was open through them.
    pub async fn stop(&self) {
        self.election.stop().await;
        self.peers.stop().await;
    }
}

fn addresses(
    own: &Membership,
    port: impl Fn(&PeerAddress) -> u16,
) -> BTreeMap<ServerId, Vec<Address>> {
    let members = own.ensemble.members.iter().map(|(sid, member)| {
        let addresses = member.addresses.iter().map(|address| Address {
            host: address.host.clone(),
            port: port(address),
        });
        (ServerId(*sid), addresses.collect())
    });
    members.collect()
}

/// What the disk of this server says, for the protocol. Completes what is missing of the epochs.
///
/// # Errors
/// If the epochs on disk do not go with the history.
pub fn stored(
    disk: &dyn Disk,
    dirs: &Dirs,
    recovered: &mut Recovered,
    limits: HistoryLimits,
) -> Result<Stored, StorageError> {
    let trusted = recovered.base != Base::Missing;
    let last = recovered.last_zxid.max(Zxid::ZERO);
    let epochs = epochs::load(disk, dirs, last)?;
    for note in &epochs.notes {
        tracing::warn!("{note}");
    }
    let tail = std::mem::take(&mut recovered.tail);
    Ok(Stored {
        accepted_epoch: epochs.accepted,
        current_epoch: epochs.current,
        history: history(recovered.base_zxid, last, recovered.replayed, tail, limits),
        log_whole_after: recovered.base_zxid.max(Zxid::ZERO),
        trusted,
    })
}

/// The end of the log that is kept in memory. `tail` is the end of the `replayed` records after `base`.
fn history(
    base: Zxid,
    last: Zxid,
    replayed: u64,
    tail: Vec<(Zxid, bytes::Bytes)>,
    limits: HistoryLimits,
) -> History {
    let from = match tail.first() {
        // What came before is not there to be told.
        Some((first, _)) if (tail.len() as u64) < replayed => Zxid(first.0 - 1),
        Some(_) => base.max(Zxid::ZERO),
        None => last,
    };
    let mut history = History::after(from, limits);
    for (zxid, txn) in tail {
        history.push(Logged { zxid, txn });
    }
    history
}

/// Time between two tries to bind a port.
const BIND_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HistoryLimits = HistoryLimits {
        count: 100,
        bytes: 1 << 20,
    };

    fn records(zxids: &[i64]) -> Vec<(Zxid, bytes::Bytes)> {
        let record = |zxid: &i64| (Zxid(*zxid), bytes::Bytes::new());
        zxids.iter().map(record).collect()
    }

    #[test]
    fn the_history_begins_where_nothing_is_missing() {
        let (base, last) = (Zxid(0x1_0000_0005), Zxid(0x2_0000_0001));
        let whole = records(&[0x1_0000_0006, 0x2_0000_0001]);
        let history_of = |replayed, tail| history(base, last, replayed, tail, LIMITS);
        assert_eq!(history_of(2, whole).base(), base);
        let cut = history_of(2, records(&[0x2_0000_0001]));
        assert_eq!((cut.base(), cut.last()), (Zxid(0x2_0000_0000), last));
        let none = history_of(2, records(&[]));
        assert_eq!((none.base(), none.last()), (last, last));
    }
}
