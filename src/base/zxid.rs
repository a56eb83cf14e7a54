//! Positions in the total order of writes.

use std::fmt;

/// Position in the total order of writes: leader epoch in the high 32 bits, counter within the epoch in the low 32.
///
/// `counter == 0` is the epoch's own marker and never carries a transaction. Compared as a signed integer, as Java
/// does.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zxid(pub i64);

/// Number of a leadership, the high half of a [`Zxid`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub i64);

impl Epoch {
    /// The last epoch there can be: beyond it the numbers of transactions would be negative. Who claims to have
    /// accepted it leaves none for anybody.
    pub const LAST: Epoch = Epoch(i32::MAX as i64);
}

impl Zxid {
    /// Before every transaction.
    pub const ZERO: Zxid = Zxid(0);

    /// The leadership this position belongs to.
    pub fn epoch(self) -> Epoch {
        Epoch(self.0 >> 32)
    }

    /// The position within its epoch.
    pub fn counter(self) -> u32 {
        self.0 as u32
    }

    /// The position after this one, or None where the counter is used up and a new epoch is needed.
    pub fn next(self) -> Option<Zxid> {
        (self.counter() != u32::MAX).then_some(Zxid(self.0.wrapping_add(1)))
    }

    /// The marker of `epoch`.
    pub fn first_of(epoch: Epoch) -> Zxid {
        Zxid(epoch.0 << 32)
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_end_with_their_epoch() {
        assert_eq!(Zxid(0x1_0000_0001).next(), Some(Zxid(0x1_0000_0002)));
        assert_eq!(Zxid(0x1_ffff_ffff).next(), None);
        assert_eq!(Zxid(0x2_0000_0005).epoch(), Epoch(2));
        assert_eq!(format!("{}", Zxid(0x2_0000_0005)), "0x200000005");
    }
}
