//! Bytes of large requests in work at once.
//!
//! Source: `ZooKeeperServer.checkRequestSizeWhenReceivingMessage`, `requestFinished`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What all large requests of the server share.
#[derive(Debug)]
pub struct LargeRequests {
    threshold: usize,
    max_bytes: usize,
    in_work: AtomicUsize,
}

/// The bytes of one large request; free again when it is dropped.
#[derive(Debug)]
pub struct LargeRequest {
    of: Arc<LargeRequests>,
    bytes: usize,
}

impl LargeRequests {
    /// A request of more than `threshold` bytes is large; all of them together have `max_bytes`.
    pub fn new(threshold: usize, max_bytes: usize) -> Arc<Self> {
        Arc::new(LargeRequests {
            threshold,
            max_bytes,
            in_work: AtomicUsize::new(0),
        })
    }

    /// Whether a frame of `length` bytes is worth reading; asked when its length is known.
    pub fn has_room(&self, length: usize) -> bool {
        let taken = self.in_work.load(Ordering::Relaxed);
        length <= self.threshold || taken.saturating_add(length) <= self.max_bytes
    }

    /// Counts a request whose body has `length` bytes. None if it is not large.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn take(of: &Arc<Self>, length: usize) -> Result<Option<LargeRequest>, NoRoom> {
        if length <= of.threshold {
            return Ok(None);
        }
        let permit = LargeRequest {
            of: of.clone(),
            bytes: length,
        };
        let before = of.in_work.fetch_add(length, Ordering::Relaxed);
        match before.saturating_add(length) <= of.max_bytes {
            true => Ok(Some(permit)),
            false => Err(NoRoom),
        }
    }
}

/// Too many bytes of large requests are in work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

impl Drop for LargeRequest {
    fn drop(&mut self) {
        self.of.in_work.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_requests_share_a_budget_and_give_it_back() {
        let all = LargeRequests::new(100, 250);
        assert!(LargeRequests::take(&all, 100).is_ok_and(|permit| permit.is_none()));
        let first = LargeRequests::take(&all, 150).unwrap();
        assert!(first.is_some() && all.has_room(100) && !all.has_room(101));
        assert!(LargeRequests::take(&all, 101).is_err());
        drop(first);
        assert!(LargeRequests::take(&all, 250).is_ok());
        assert!(LargeRequests::take(&all, usize::MAX).is_err());
        assert!(all.has_room(250), "what was refused is not counted");
    }
}
