//! The way into the commit loop: everyone pushes, the loop takes all there is at once.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::replica::Input;
use crate::tree::Frozen;

/// What the commit loop hears.
pub enum Message {
    /// Something for the replica.
    Input(Input),
    /// The log says that a snapshot is due.
    SnapshotDue,
    /// A snapshot was written, or failed.
    SnapshotDone(Frozen),
    /// Take nothing more from clients; stop once everything accepted is applied.
    Stop,
}

/// A queue whose reader sleeps while it is empty. A push costs a wake-up only then.
///
/// Its length is bounded by its writers: connections stop reading while the server has too much to do, everyone else
/// has one message in flight.
#[derive(Default)]
pub struct Mailbox {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    messages: Vec<Message>,
    asleep: bool,
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
    }
}
