//! Whose word is enough: majorities, weighted groups, and both configurations while one replaces the other.
//!
//! Pure, and small enough to distrust: `testdata/quorum.txt` holds examples, and a property test compares with a slow
//! twin. The oracle for ensembles of two is left out.
//! Source: `QuorumMaj`, `QuorumHierarchical`, `SyncedLearnerTracker`.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::ServerId;

/// Number of a group in a hierarchical configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub i64);

/// Where a server stands in a hierarchical configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Its group; every server is in one.
    pub group: GroupId,
    /// What its word weighs in that group. A server without weight never leads.
    pub weight: u64,
}

/// Which sets of servers are quorums under one configuration. Servers that do not vote never count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuorumSystem {
    /// More than half of the voters.
    Majority {
        /// All who vote.
        voters: BTreeSet<ServerId>,
    },
    /// More than half of the groups that have weight, each with more than half of its weight.
    Hierarchical {
        /// All who vote.
        voters: BTreeSet<ServerId>,
        /// Everyone in a group. The weight of an observer belongs to its group, though nobody hears its word.
        placements: BTreeMap<ServerId, Placement>,
    },
}

impl QuorumSystem {
    /// Whether `server` votes.
    pub fn is_voter(&self, server: ServerId) -> bool {
        self.voters().contains(&server)
    }

    /// All who vote.
    pub fn voters(&self) -> &BTreeSet<ServerId> {
        match self {
            QuorumSystem::Majority { voters } | QuorumSystem::Hierarchical { voters, .. } => voters,
        }
    }

    /// What a server's word weighs: 1 under a majority, whoever it is; 0 for a server that no group knows (Java
    /// fails on such a server).
    pub fn weight(&self, server: ServerId) -> u64 {
        match self {
            QuorumSystem::Majority { .. } => 1,
            QuorumSystem::Hierarchical { placements, .. } => {
                placements.get(&server).map_or(0, |place| place.weight)
            }
        }
    }

    /// Whether the voters among `servers` are a quorum.
    pub fn is_quorum(&self, servers: &BTreeSet<ServerId>) -> bool {
        let heard = servers.intersection(self.voters());
        match self {
            QuorumSystem::Majority { voters } => heard.count() > voters.len() / 2,
            QuorumSystem::Hierarchical { placements, .. } => {
                let total = weights(placements.values());
                let heard = weights(heard.filter_map(|server| placements.get(server)));
                let won = total.iter().filter(|(group, total)| {
                    heard.get(*group).is_some_and(|heard| *heard > **total / 2)
                });
                let groups = total.values().filter(|total| **total > 0).count();
                won.count() > groups / 2
            }
        }
    }
}

/// The weight of each group.
fn weights<'a>(places: impl Iterator<Item = &'a Placement>) -> BTreeMap<GroupId, u128> {
    let mut sums = BTreeMap::new();
    for place in places {
        *sums.entry(place.group).or_default() += u128::from(place.weight);
    }
    sums
}

/// The configurations that a decision needs: the committed one, and the one that was proposed after it as long as it
/// is not committed. Each counts its own voters, and all must agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorums {
    committed: QuorumSystem,
    pending: Option<QuorumSystem>,
}

impl Quorums {
    /// `pending` is the last-seen configuration if its version is greater than that of the committed one.
    pub fn new(committed: QuorumSystem, pending: Option<QuorumSystem>) -> Self {
        Quorums { committed, pending }
    }

    /// The configuration in force.
    pub fn committed(&self) -> &QuorumSystem {
        &self.committed
    }

    /// Whether `server` votes in any of them.
    pub fn is_voter(&self, server: ServerId) -> bool {
        self.all().any(|system| system.is_voter(server))
    }

    /// Everyone who votes in any of them.
    pub fn voters(&self) -> BTreeSet<ServerId> {
        self.all().flat_map(QuorumSystem::voters).copied().collect()
    }

    /// Whether `servers` are a quorum of each of them.
    pub fn reached_by(&self, servers: &BTreeSet<ServerId>) -> bool {
        self.all().all(|system| system.is_quorum(servers))
    }

    /// Whether the voters for which `agrees` is true are a quorum of each of them. Allocates nothing under majorities.
    pub fn reached_if(&self, agrees: impl Fn(ServerId) -> bool) -> bool {
        self.all().all(|system| match system {
            QuorumSystem::Majority { voters } => {
                voters.iter().filter(|voter| agrees(**voter)).count() > voters.len() / 2
            }
            QuorumSystem::Hierarchical { voters, .. } => {
                let agreeing = voters.iter().copied().filter(|voter| agrees(*voter));
                system.is_quorum(&agreeing.collect())
            }
        })
    }

    fn all(&self) -> impl Iterator<Item = &QuorumSystem> {
        std::iter::once(&self.committed).chain(&self.pending)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(words: &str) -> BTreeSet<ServerId> {
        let ids = words.split_whitespace();
        ids.map(|id| ServerId(id.parse().unwrap())).collect()
    }

    /// `1 2 3`, or `1=<group>*<weight> ..` with `~` behind the servers that do not vote.
    fn system(words: &str) -> QuorumSystem {
        if !words.contains('=') {
            return QuorumSystem::Majority { voters: ids(words) };
        }
        let mut voters = BTreeSet::new();
        let mut placements = BTreeMap::new();
        for word in words.split_whitespace() {
            let (id, place) = word.trim_end_matches('~').split_once('=').unwrap();
            let (group, weight) = place.split_once('*').unwrap();
            let id = ServerId(id.parse().unwrap());
            let place = Placement {
                group: GroupId(group.parse().unwrap()),
                weight: weight.parse().unwrap(),
            };
            placements.insert(id, place);
            if !word.ends_with('~') {
                voters.insert(id);
            }
        }
        QuorumSystem::Hierarchical { voters, placements }
    }

    #[test]
    fn the_table_of_quorums_holds() {
        let mut quorums = None;
        let mut rows = 0;
        for line in include_str!("testdata/quorum.txt").lines() {
            if line.starts_with('#') {
                continue;
            }
            if let Some(words) = line.strip_prefix("quorums") {
                let mut systems = words.split('+').map(system);
                quorums = Some(Quorums::new(systems.next().unwrap(), systems.next()));
            } else if let Some((servers, answer)) = line.split_once(" -> ") {
                let quorums: &Quorums = quorums.as_ref().unwrap();
                let reached = quorums.reached_by(&ids(servers));
                let answered = if reached { "yes" } else { "no" };
                assert_eq!(answered, answer, "{line} of {quorums:?}");
                rows += 1;
            }
        }
        assert!(rows > 40, "{rows} rows");
    }

    #[test]
    fn weight_is_one_under_a_majority_and_zero_outside_of_every_group() {
        let server = ServerId;
        assert_eq!(system("1 2 3").weight(server(9)), 1);
        let groups = system("1=1*2 2=1*0 3=2*5~");
        let weight = |id| groups.weight(server(id));
        assert_eq!((weight(1), weight(2), weight(3), weight(4)), (2, 0, 5, 0));
        assert!(groups.is_voter(server(1)) && !groups.is_voter(server(3)));
    }

    #[test]
    fn voters_of_both_configurations_are_known() {
        let both = Quorums::new(system("1 2 3"), Some(system("3 4")));
        assert_eq!(both.voters(), ids("1 2 3 4"));
        assert!(both.is_voter(ServerId(1)) && both.is_voter(ServerId(4)));
        assert!(!both.is_voter(ServerId(5)));
        assert_eq!(both.committed(), &system("1 2 3"));
    }

    const SERVERS: i64 = 7;

    fn any_majority() -> impl Strategy<Value = QuorumSystem> {
        prop::collection::btree_set((0..SERVERS).prop_map(ServerId), 0..6)
            .prop_map(|voters| QuorumSystem::Majority { voters })
    }

    fn any_groups() -> impl Strategy<Value = QuorumSystem> {
        let member = (0..3i64, 0..4u64, prop::bool::weighted(0.8));
        let members = prop::collection::btree_map((0..SERVERS).prop_map(ServerId), member, 0..8);
        members.prop_map(|members| QuorumSystem::Hierarchical {
            voters: members
                .iter()
                .filter(|(_, (_, _, votes))| *votes)
                .map(|(id, _)| *id)
                .collect(),
            placements: members
                .iter()
                .map(|(id, (group, weight, _))| {
                    let group = GroupId(*group);
                    let weight = *weight;
                    (*id, Placement { group, weight })
                })
                .collect(),
        })
    }

    fn any_system() -> impl Strategy<Value = QuorumSystem> {
        prop_oneof![any_majority(), any_groups()]
    }

    fn subsets() -> impl Iterator<Item = BTreeSet<ServerId>> {
        (0..1u32 << SERVERS).map(|bits| {
            let inside = (0..SERVERS).filter(|id| bits >> id & 1 == 1);
            inside.map(ServerId).collect()
        })
    }

    /// More than half, said without division and without sums made in advance.
    fn slow(system: &QuorumSystem, servers: &BTreeSet<ServerId>) -> bool {
        let counts = |server: &ServerId| system.is_voter(*server) && servers.contains(server);
        let QuorumSystem::Hierarchical { placements, .. } = system else {
            let voters = system.voters();
            return 2 * voters.iter().filter(|voter| counts(voter)).count() > voters.len();
        };
        let (mut with_weight, mut won) = (0, 0);
        for group in 0..3 {
            let members = || placements.iter().filter(move |(_, p)| p.group.0 == group);
            let total: u64 = members().map(|(_, place)| place.weight).sum();
            let heard = members().filter(|(server, _)| counts(server));
            let heard: u64 = heard.map(|(_, place)| place.weight).sum();
            with_weight += usize::from(total > 0);
            won += usize::from(2 * heard > total);
        }
        2 * won > with_weight
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_slow_twin_agrees_on_every_subset(system in any_system()) {
            for servers in subsets() {
                prop_assert_eq!(system.is_quorum(&servers), slow(&system, &servers), "{:?}", servers);
            }
        }

        #[test]
        fn two_quorums_share_a_voter(system in any_system()) {
            let quorums: Vec<_> = subsets().filter(|servers| system.is_quorum(servers)).collect();
            for one in &quorums {
                for other in &quorums {
                    let shared = one.intersection(other).any(|server| system.is_voter(*server));
                    prop_assert!(shared, "{:?} and {:?}", one, other);
                }
            }
        }

        #[test]
        fn while_one_configuration_replaces_another_both_must_agree(
            old in any_system(), new in any_system(),
        ) {
            let both = Quorums::new(old.clone(), Some(new.clone()));
            let alone = Quorums::new(old.clone(), None);
            for servers in subsets() {
                let expected = slow(&old, &servers) && slow(&new, &servers);
                prop_assert_eq!(both.reached_by(&servers), expected);
                prop_assert_eq!(alone.reached_by(&servers), slow(&old, &servers));
            }
        }
    }
}
