//! The way into the commit loop: everyone pushes, the loop takes all there is at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, oneshot};

use crate::config::limits;
use crate::replica::{Input, Replica, RestoreRefused};
use crate::storage::snapshot::Written;
use crate::tree::{Frozen, Tree};
use crate::zab::io::Input as PeerInput;

/// What the commit loop hears.
pub enum Message {
    /// Something for the replica.
    Input(Input),
    /// The log says that a snapshot is due.
    SnapshotDue,
    /// An operator wants a snapshot, and to be told of it: None if it could not be written.
    TakeSnapshot(oneshot::Sender<Option<Written>>),
    /// A snapshot was written, or failed.
    SnapshotDone(Frozen),
    /// Somebody wants to know something that only the loop knows.
    Ask(Box<dyn FnOnce(&mut Replica) + Send>),
    /// An operator wants this database in the place of the one there is, and to be told when it is durable.
    Restore(Box<Tree>, oneshot::Sender<Result<(), RestoreRefused>>),
    /// Take nothing more from clients; stop once everything accepted is applied.
    Stop,
}

/// A queue whose reader sleeps while it is empty. A push costs a wake-up only then.
///
/// Its length is bounded by its writers: connections stop reading while the server has too much to do, links to other
/// servers wait for the next round once they have said enough in this one ([`Pace`]), everyone else has one message in
/// flight.
#[derive(Default)]
pub struct Mailbox {
    state: Mutex<State>,
    filled: Condvar,
    /// How often everything was taken.
    rounds: AtomicU64,
    taken: Notify,
}

#[derive(Default)]
struct State {
    messages: Vec<Message>,
    asleep: bool,
}

impl Message {
    /// Something that another server, or the way to it, made happen.
    pub fn peer(input: PeerInput) -> Message {
        Message::Input(Input::Peer(input))
    }
}

impl Mailbox {
    /// Appends one message.
    pub fn push(&self, message: Message) {
        let mut state = self.state.lock();
        state.messages.push(message);
        self.wake(state.asleep);
    }

    /// Appends `messages`, in order, and empties it.
    pub fn push_all(&self, messages: &mut Vec<Message>) {
        if messages.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        state.messages.append(messages);
        self.wake(state.asleep);
    }

    fn wake(&self, asleep: bool) {
        if asleep {
            self.filled.notify_one();
        }
    }

    /// Swaps everything queued into `into`, which must be empty; waits up to `patience` for something.
    pub fn take(&self, into: &mut Vec<Message>, patience: Duration) {
        debug_assert!(into.is_empty());
        let mut state = self.state.lock();
        if state.messages.is_empty() && !patience.is_zero() {
            state.asleep = true;
            self.filled.wait_for(&mut state, patience);
            state.asleep = false;
        }
        std::mem::swap(&mut state.messages, into);
        drop(state);
        self.rounds.fetch_add(1, Ordering::Release);
        self.taken.notify_waiters();
    }
}

/// Keeps one link to another server from filling the mailbox faster than it is emptied.
#[derive(Default)]
pub struct Pace {
    round: u64,
    bytes: usize,
}

impl Pace {
    /// Counts `bytes` that went into `mailbox`; waits for the next round if that was enough for this one.
    pub async fn keep(&mut self, mailbox: &Mailbox, bytes: usize) {
        let round = mailbox.rounds.load(Ordering::Acquire);
        if self.round != round {
            (self.round, self.bytes) = (round, 0);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes <= limits::PEER_LINK_BYTES_PER_ROUND {
            return;
        }
        loop {
            let taken = mailbox.taken.notified();
            if mailbox.rounds.load(Ordering::Acquire) != self.round {
                return;
            }
            taken.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_link_that_said_enough_waits_until_everything_is_taken() {
        let (mailbox, mut pace) = (Mailbox::default(), Pace::default());
        pace.keep(&mailbox, limits::PEER_LINK_BYTES_PER_ROUND).await;
        tokio::select! {
            biased;
            () = pace.keep(&mailbox, 1) => panic!("it did not wait"),
            () = std::future::ready(()) => {}
        }
        mailbox.take(&mut Vec::new(), Duration::ZERO);
        pace.keep(&mailbox, limits::PEER_LINK_BYTES_PER_ROUND).await;
    }
}
