//! What will happen, by time and then in the order in which it was arranged.

use std::collections::BTreeMap;

use super::Us;
use super::shell::LogJob;
use crate::base::ServerId;

/// Something that will happen. What concerns a process names its boot and is void after it.
#[derive(Debug)]
pub(super) enum Event {
    /// A deadline of a server may be over.
    Timer { server: ServerId, boot: u64 },
    /// A commit loop takes what has gathered.
    Round { server: ServerId, boot: u64 },
    /// The disk is done with one batch.
    Disk { server: ServerId, boot: u64 },
    /// A snapshot goes on by a chunk.
    Snapshot { server: ServerId, boot: u64 },
    /// A log was read.
    Log {
        server: ServerId,
        boot: u64,
        job: LogJob,
    },
    /// A connection to a leader is tried.
    Dial {
        server: ServerId,
        boot: u64,
        dial: u64,
    },
    /// The next thing on its way to an end of a link arrives.
    Arrival { link: u64, end: usize },
    /// An end that takes a snapshot looks whether it still hears something.
    Silence { link: u64, end: usize },
    /// An election port takes what waits in its slot for another server.
    Post { from: ServerId, to: ServerId },
    /// A vote arrives.
    Vote { from: ServerId, to: ServerId },
    /// An election connection is tried.
    Meet { from: ServerId, to: ServerId },
    /// A server hears that an election connection is there or gone.
    News {
        at: ServerId,
        boot: u64,
        about: ServerId,
        up: bool,
    },
    /// A client does something.
    Client { client: usize },
    /// The next thing of a client arrives at its server.
    ToServer { wire: usize },
    /// The next thing of a server arrives at a client.
    ToClient { wire: usize },
    /// Something goes wrong.
    Fault,
    /// Something that went wrong is over.
    FaultEnds { nth: usize },
    /// A server starts.
    Boot { server: ServerId },
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    events: BTreeMap<(Us, u64), Event>,
    sequence: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at: Us, event: Event) {
        self.sequence += 1;
        self.events.insert((at, self.sequence), event);
    }

    /// The next event at or before `until`.
    pub(super) fn pop(&mut self, until: Us) -> Option<(Us, Event)> {
        let entry = self.events.first_entry()?;
        if entry.key().0 > until {
            return None;
        }
        let ((at, _), event) = entry.remove_entry();
        Some((at, event))
    }
}
