//! From the configuration of a member to what its part of the protocol is told.

use std::time::Duration;

use bytes::Bytes;

use crate::base::ServerId;
use crate::config::ensemble::{Ensemble, Role};
use crate::config::{Config, Membership, limits};
use crate::zab::election::{LearnerType, Patience};
use crate::zab::history::HistoryLimits;
use crate::zab::io::{PeerOptions, Tuning};
use crate::zab::quorum::{QuorumSystem, Quorums};

/// Who decides in this ensemble: a majority of those that vote. The configuration refuses groups and weights.
pub fn quorums(ensemble: &Ensemble) -> Quorums {
    let voters = ensemble
        .members
        .iter()
        .filter(|(_, member)| member.role == Role::Participant);
    let voters = voters.map(|(sid, _)| ServerId(*sid)).collect();
    Quorums::new(QuorumSystem::Majority { voters }, None)
}

/// What the peer of this member is told.
pub fn peer_options(config: &Config, own: &Membership) -> PeerOptions {
    let ticks = |count: u32| -> Duration { config.tick_time.saturating_mul(count) };
    PeerOptions {
        tuning: Tuning {
            force_snapshot: own.force_snapshot_sync,
            snapshots_at_once: own.max_snap_syncs,
            diffs_at_once: own.max_diff_syncs,
            wait_for_epoch: own.max_wait_for_epoch,
            leader_serves: own.leader_serves,
            observer_pause: own.observer_election_delay + own.observer_reconnect_delay,
        },
        me: own.id,
        learner: match own.role {
            Role::Participant => LearnerType::Participant,
            Role::Observer => LearnerType::Observer,
        },
        quorums: quorums(&own.ensemble),
        config: Bytes::from(own.ensemble.text()),
        config_version: own.ensemble.version,
        tick: config.tick_time,
        init_limit: ticks(own.init_limit),
        sync_limit: ticks(own.sync_limit),
        patience: Patience {
            first: own.min_notification_interval,
            most: own.max_notification_interval,
        },
        history: HistoryLimits {
            count: own.commit_log_count,
            bytes: limits::HISTORY_BYTES,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::ConfigSources;

    #[test]
    fn a_member_knows_its_ensemble_and_its_limits() {
        let cfg = "tickTime=500\ninitLimit=10\nsyncLimit=4\ndataDir=/d\nclientPort=2181\n\
                   server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2:observer\n";
        let sources = ConfigSources {
            cfg: cfg.into(),
            myid: Some(b"4\n".to_vec()),
            ..ConfigSources::default()
        };
        let config = Config::parse(&sources).unwrap().config;
        let options = peer_options(&config, config.member.as_ref().unwrap());
        assert_eq!(
            (options.me, options.learner),
            (ServerId(4), LearnerType::Observer)
        );
        let voters: BTreeSet<_> = [1, 2, 3].map(ServerId).into();
        assert_eq!(options.quorums.voters(), voters);
        assert!(
            options
                .config
                .ends_with(b"\nserver.4=d:1:2:observer\nversion=0")
        );
        assert_eq!(options.init_limit, Duration::from_secs(5));
        assert_eq!(options.sync_limit, Duration::from_secs(2));
        assert_eq!(options.history.count, 500);
        assert_eq!(config.session_server_id(), 4);
    }
}
