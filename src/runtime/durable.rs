//! How far the log is on disk, for the threads that write snapshots: no snapshot may claim more.

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::base::Zxid;

/// The end of the log, and the right to write snapshots beside it.
#[derive(Debug)]
pub struct Durable {
    log: Mutex<Log>,
    moved: Condvar,
    /// Held by whoever writes a snapshot, or changes the history under it.
    files: Mutex<()>,
}

#[derive(Debug)]
struct Log {
    upto: Zxid,
    /// The history is about to change: whoever writes a snapshot gives it up.
    changes: bool,
}

impl Durable {
    /// The log ends at `upto`.
    pub fn new(upto: Zxid) -> Durable {
        Durable {
            log: Mutex::new(Log {
                upto,
                changes: false,
            }),
            moved: Condvar::new(),
            files: Mutex::new(()),
        }
    }

    /// The log ends at `upto` now.
    pub fn set(&self, upto: Zxid) {
        self.log.lock().upto = upto;
        self.moved.notify_all();
    }

    /// Waits until the log holds `zxid`; false if the history is to change instead. The marker that begins an epoch is
    /// in no log: everything before it was durable before anybody served in that epoch.
    pub fn wait_for(&self, zxid: Zxid) -> bool {
        let mut log = self.log.lock();
        while zxid.counter() != 0 && log.upto < zxid && !log.changes {
            self.moved.wait(&mut log);
        }
        !log.changes
    }

    /// Whether the history is about to change, so that a snapshot in the making is of no use.
    pub fn changes(&self) -> bool {
        self.log.lock().changes
    }

    /// The right to write or remove snapshots. Waits for whoever has it.
    pub fn files(&self) -> MutexGuard<'_, ()> {
        self.files.lock()
    }

    /// The right to change the history. Whoever writes a snapshot gives up.
    pub fn change(&self) -> MutexGuard<'_, ()> {
        self.log.lock().changes = true;
        self.moved.notify_all();
        let files = self.files.lock();
        self.log.lock().changes = false;
        files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_waits_for_the_log_unless_it_ends_at_a_marker() {
        let durable = Durable::new(Zxid(0x1_0000_0005));
        assert!(durable.wait_for(Zxid(0x1_0000_0005)));
        assert!(durable.wait_for(Zxid(0x2_0000_0000)));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| durable.wait_for(Zxid(0x2_0000_0002)));
            durable.set(Zxid(0x2_0000_0001));
            assert!(!waiting.is_finished());
            durable.set(Zxid(0x2_0000_0003));
            assert!(waiting.join().unwrap());
        });
    }

    #[test]
    fn whoever_changes_the_history_does_not_wait_for_a_snapshot_to_be_complete() {
        let durable = Durable::new(Zxid(5));
        std::thread::scope(|scope| {
            let files = durable.files();
            let changing = scope.spawn(|| drop(durable.change()));
            assert!(!durable.wait_for(Zxid(6)));
            assert!(durable.changes());
            drop(files);
            changing.join().unwrap();
        });
        assert!(!durable.changes());
    }
}
