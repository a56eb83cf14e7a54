//! How far the log is on disk, for the threads that write snapshots: no snapshot may claim more.

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::base::Zxid;

/// The end of the log, and the right to write snapshots beside it.
#[derive(Debug)]
pub struct Durable {
    upto: Mutex<Zxid>,
    moved: Condvar,
    /// Held by whoever writes a snapshot, or changes the history under it.
    snapshots: Mutex<()>,
}

impl Durable {
    /// The log ends at `upto`.
    pub fn new(upto: Zxid) -> Durable {
        Durable {
            upto: Mutex::new(upto),
            moved: Condvar::new(),
            snapshots: Mutex::new(()),
        }
    }

    /// The log ends at `upto` now.
    pub fn set(&self, upto: Zxid) {
        *self.upto.lock() = upto;
        self.moved.notify_all();
    }

    /// Waits until the log holds `zxid`. The marker that begins an epoch is in no log: everything before it was durable
    /// before anybody served in that epoch.
    pub fn wait_for(&self, zxid: Zxid) {
        let mut upto = self.upto.lock();
        while zxid.counter() != 0 && *upto < zxid {
            self.moved.wait(&mut upto);
        }
    }

    /// Waits until no snapshot is being written; none is, as long as this is held.
    pub fn no_snapshot(&self) -> MutexGuard<'_, ()> {
        self.snapshots.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_waits_for_the_log_unless_it_ends_at_a_marker() {
        let durable = Durable::new(Zxid(0x1_0000_0005));
        durable.wait_for(Zxid(0x1_0000_0005));
        durable.wait_for(Zxid(0x2_0000_0000));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| durable.wait_for(Zxid(0x2_0000_0002)));
            durable.set(Zxid(0x2_0000_0001));
            assert!(!waiting.is_finished());
            durable.set(Zxid(0x2_0000_0003));
            waiting.join().unwrap();
        });
    }
}
