//! Ids of new sessions.

use crate::base::SessionId;

/// Hands out session ids.
///
/// Bits 63-56 are the server's id, 55-16 the low 40 bits of a millisecond clock, 15-0 start at zero and count, carrying
/// upward.
/// Source: `SessionTrackerImpl.initializeNextSessionId`.
#[derive(Clone, Debug)]
pub struct IdSource {
    next: i64,
}

impl IdSource {
    /// Ids of server `server_id`, started when the clock showed `clock_ms`.
    pub fn new(server_id: u8, clock_ms: i64) -> Self {
        let clock = ((clock_ms as u64) << 24) >> 8;
        let mut next = (clock | (u64::from(server_id) << 56)) as i64;
        if next == i64::MIN {
            // That value marks containers.
            next += 1;
        }
        IdSource { next }
    }

    /// An id that this source did not give before. Never 0.
    pub fn next_id(&mut self) -> SessionId {
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        if id == 0 {
            self.next_id()
        } else {
            SessionId(id)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_carry_the_server_and_the_clock() {
        let mut ids = IdSource::new(1, 0x12_3456_789a);
        assert_eq!(ids.next_id(), SessionId(0x0112_3456_789a_0000));
        assert_eq!(ids.next_id(), SessionId(0x0112_3456_789a_0001));
        assert_eq!(IdSource::new(0x80, 0).next_id(), SessionId(i64::MIN + 1));
        assert_eq!(IdSource::new(0, 0).next_id(), SessionId(1));
    }
}
