//! Limits of quotas, and the one quota nobody may set.

use std::fmt;

use super::Case;
use crate::base::path;
use crate::tree::{Quota, StatsTrack};
use jute::ErrorCode;

/// A write that goes beyond a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The znode with the quota.
    pub path: String,
    /// What is limited.
    pub what: Limited,
    /// How much there would be with the write.
    pub wanted: i64,
    /// How much there may be.
    pub limit: i64,
    /// Whether the write is refused.
    pub is_hard: bool,
}

/// What a quota limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// Znodes, the one with the quota among them.
    Count,
    /// Bytes of their data.
    Bytes,
}

/// Begins as Java's line does, for those who look for it.
impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (current, limit, option) = match (self.what, self.is_hard) {
            (Limited::Count, true) => ("count", "hardCountLimit", "-N"),
            (Limited::Count, false) => ("count", "softCountLimit", "-n"),
            (Limited::Bytes, true) => ("bytes", "hardByteLimit", "-B"),
            (Limited::Bytes, false) => ("bytes", "softByteLimit", "-b"),
        };
        let outcome = match self.is_hard {
            true => "the write is refused",
            false => "nothing is refused, but somebody did not want that much there",
        };
        write!(
            f,
            "Quota exceeded: {} [current {current}={}, {limit}={}]: {outcome}; delete some of it, or raise the limit \
             (setquota {option})",
            self.path, self.wanted, self.limit
        )
    }
}

impl Case<'_> {
    /// Whether `count` more znodes and `bytes` more data at `path` stay within its hard limits. A soft limit refuses
    /// nothing and counts only where there is no hard one; what goes beyond either is noted.
    ///
    /// Compared with what is applied, not with what is pending, so a multi or a pipeline can overshoot.
    ///
    /// # Errors
    /// `QUOTA_EXCEEDED`; `MARSHALLING_ERROR` if the limits cannot be read.
    /// Source: `ZooKeeperServer.checkQuota`.
    pub(super) fn check_quota(
        &mut self,
        path: &str,
        bytes: i64,
        count: i64,
    ) -> Result<(), ErrorCode> {
        if !self.options.enforce_quota {
            return Ok(());
        }
        let Some(Quota {
            limits: Some(limits),
            stats,
            path: above,
        }) = self.tree.quota_of(path)
        else {
            return Ok(());
        };
        let limits =
            StatsTrack::parse(self.tree.data(limits)).ok_or(ErrorCode::MARSHALLING_ERROR)?;
        let used = stats.and_then(|stats| StatsTrack::parse(self.tree.data(stats)));
        // Stats nobody can read are made anew with the next write below them.
        let Some(used) = used else {
            return Ok(());
        };
        let counted = [
            (
                Limited::Count,
                (used.count(), count),
                (limits.count_hard_limit(), limits.count()),
            ),
            (
                Limited::Bytes,
                (used.bytes(), bytes),
                (limits.byte_hard_limit(), limits.bytes()),
            ),
        ];
        for (what, (used, more), (hard, soft)) in counted {
            let is_hard = hard > -1;
            let limit = if is_hard { hard } else { soft };
            let wanted = used.wrapping_add(more);
            if more == 0 || limit <= -1 || wanted <= limit {
                continue;
            }
            self.exceeded.push(Exceeded {
                path: above.clone(),
                what,
                wanted,
                limit,
                is_hard,
            });
            if is_hard {
                return Err(ErrorCode::QUOTA_EXCEEDED);
            }
        }
        Ok(())
    }
}

/// Whether `path` would be the limits or stats of a quota for `/`, which no server keeps and which
/// kills Java's.
pub(super) fn is_of_root(path: &str) -> bool {
    path::parent(path) == Some(path::QUOTA)
        && matches!(path::name(path), path::LIMITS_NAME | path::STATS_NAME)
}
