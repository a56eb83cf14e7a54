//! Hard quota limits, and the one quota nobody may set.

use super::Case;
use crate::base::path;
use crate::tree::{Quota, StatsTrack};
use jute::ErrorCode;

impl Case<'_> {
    /// Whether `count` more znodes and `bytes` more data at `path` stay within its hard limits.
    ///
    /// Compared with what is applied, not with what is pending, so a multi or a pipeline can
    /// overshoot. Soft limits never refuse.
    ///
    /// # Errors
    /// `QUOTA_EXCEEDED`; `MARSHALLING_ERROR` if the limits cannot be read.
    /// Source: `ZooKeeperServer.checkQuota`.
    pub(super) fn check_quota(&self, path: &str, bytes: i64, count: i64) -> Result<(), ErrorCode> {
        if !self.options.enforce_quota {
            return Ok(());
        }
        let Some(Quota {
            limits: Some(limits),
            stats,
            ..
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
        let exceeds = |used: i64, more: i64, limit: i64| {
            more != 0 && limit > -1 && used.wrapping_add(more) > limit
        };
        if exceeds(used.count(), count, limits.count_hard_limit())
            || exceeds(used.bytes(), bytes, limits.byte_hard_limit())
        {
            return Err(ErrorCode::QUOTA_EXCEEDED);
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
