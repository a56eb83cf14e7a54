//! Bytes owed to one client, in order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use parking_lot::{Mutex, MutexGuard};

use crate::base::Stamp;
use crate::config::limits::OUTBOX_BYTES;

/// Replies and notifications waiting for one connection's socket.
///
/// Anyone may append; only the connection's task takes. Replies are bounded by the connection
/// itself, which reads no further requests while much is owed, and by whoever serves riders, who
/// asks for room first; a last bound closes a connection that asked for more than all of this in
/// one go. Notifications are not the client's doing, so a backlog of them closes the connection.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: Mutex<Queue>,
    closed: AtomicBool,
}

#[derive(Debug, Default)]
struct Queue {
    bytes: BytesMut,
    notifications: u64,
    notification_bytes: usize,
    replies: u64,
    lengths: Lengths,
    filled: Stamp,
    last_word: bool,
    wanted: bool,
    waker: Option<Waker>,
}

/// Lengths of replies in bytes, without the four in front.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lengths {
    /// Of the last.
    pub last: usize,
    /// Of the shortest.
    pub min: usize,
    /// Of the longest.
    pub max: usize,
}

impl Lengths {
    fn add(&mut self, is_first: bool, bytes: usize) {
        let Lengths { last, min, max } = self;
        *last = bytes;
        *min = if is_first { bytes } else { bytes.min(*min) };
        *max = if is_first { bytes } else { bytes.max(*max) };
    }
}

/// What a connection's task took out.
#[derive(Debug, Default)]
pub struct Taken {
    /// Frames among the bytes.
    pub frames: u64,
    /// Replies among the frames; the others are notifications.
    pub replies: u64,
    /// Bytes of notifications among the bytes.
    pub notification_bytes: usize,
    /// Lengths of the replies, if there are any.
    pub lengths: Lengths,
    /// When the first was put in.
    pub filled: Stamp,
    /// Nothing follows: close the socket once the bytes are written.
    pub last_word: bool,
    /// Somebody waits for the room: [`Outbox::has_room`] said no.
    pub wanted: bool,
}

/// Wakers to call once the gate is released, and what time it is meanwhile.
#[derive(Debug, Default)]
pub struct Wakes(Vec<Waker>, Stamp);

impl Wakes {
    /// From now on this is the time, to measure with.
    pub fn set_stamp(&mut self, at: Stamp) {
        self.1 = at;
    }

    /// Wakes every connection that has something new.
    pub fn wake_all(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }

    /// Forgets them: for a task that filled its own outbox and is awake.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl Outbox {
    /// Appends one reply frame, which `write` encodes straight into the buffer.
    pub fn reply(&self, wakes: &mut Wakes, write: impl FnOnce(&mut BytesMut)) {
        let mut queue = self.queue.lock();
        if self.is_closed() || queue.last_word {
            return;
        }
        if queue.bytes.len() > OUTBOX_BYTES {
            self.close_now(&mut queue);
        } else {
            let before = queue.bytes.len();
            if before == 0 {
                queue.filled = wakes.1;
            }
            write(&mut queue.bytes);
            let (is_first, bytes) = (queue.replies == 0, queue.bytes.len() - before);
            queue.lengths.add(is_first, bytes.saturating_sub(4));
            queue.replies += 1;
        }
        wakes.0.extend(queue.waker.take());
    }

    /// Appends one notification frame. False if more than `limit` bytes of notifications are unsent,
    /// for which the connection closes instead.
    pub fn notify(
        &self,
        wakes: &mut Wakes,
        limit: usize,
        write: impl FnOnce(&mut BytesMut),
    ) -> bool {
        let mut queue = self.queue.lock();
        if self.is_closed() || queue.last_word {
            return true;
        }
        let before = queue.bytes.len();
        write(&mut queue.bytes);
        queue.notification_bytes += queue.bytes.len() - before;
        queue.notifications += 1;
        let fits = queue.notification_bytes <= limit;
        if !fits {
            self.close_now(&mut queue);
        }
        wakes.0.extend(queue.waker.take());
        fits
    }

    /// Nothing was added, but what the connection waits for besides may have come.
    pub fn wake(&self, wakes: &mut Wakes) {
        wakes.0.extend(self.queue.lock().waker.take());
    }

    /// Nothing may follow what is queued: the connection closes once that is written.
    pub fn finish(&self, wakes: &mut Wakes) {
        let mut queue = self.queue.lock();
        queue.last_word = true;
        wakes.0.extend(queue.waker.take());
    }

    /// Drops what is queued; the connection closes at once.
    pub fn close(&self, wakes: &mut Wakes) {
        let mut queue = self.queue.lock();
        self.close_now(&mut queue);
        wakes.0.extend(queue.waker.take());
    }

    fn close_now(&self, queue: &mut MutexGuard<'_, Queue>) {
        queue.bytes = BytesMut::new();
        queue.last_word = true;
        self.closed.store(true, Ordering::Release);
    }

    /// Whether [`Outbox::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether [`Outbox::finish`] or [`Outbox::close`] was called.
    pub fn has_last_word(&self) -> bool {
        self.queue.lock().last_word
    }

    /// Bytes nobody has taken yet.
    pub fn len(&self) -> usize {
        self.queue.lock().bytes.len()
    }

    /// Whether at most `limit` bytes are queued. If not, whoever takes them next is told that
    /// somebody waits for it.
    pub fn has_room(&self, limit: usize) -> bool {
        let mut queue = self.queue.lock();
        // What is closed takes anything: it keeps nothing.
        let room = queue.bytes.len() <= limit || self.is_closed();
        queue.wanted |= !room;
        room
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Moves everything queued to `into`, which must be empty, and gives its old buffer to the
    /// queue.
    pub fn take(&self, into: &mut BytesMut) -> Taken {
        debug_assert!(into.is_empty(), "taken before the last batch was written");
        let mut queue = self.queue.lock();
        std::mem::swap(&mut queue.bytes, into);
        let replies = std::mem::take(&mut queue.replies);
        Taken {
            frames: replies + std::mem::take(&mut queue.notifications),
            replies,
            notification_bytes: std::mem::take(&mut queue.notification_bytes),
            lengths: queue.lengths,
            filled: queue.filled,
            last_word: queue.last_word,
            wanted: std::mem::take(&mut queue.wanted),
        }
    }

    /// Ready when something is queued or the connection is to close; otherwise wakes the task when
    /// that changes.
    pub fn poll_filled(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut queue = self.queue.lock();
        if !queue.bytes.is_empty() || queue.last_word {
            return Poll::Ready(());
        }
        match &mut queue.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            waker => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Ready when the connection is to close at once; otherwise wakes the task when that changes.
    pub fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut queue = self.queue.lock();
        if self.is_closed() {
            return Poll::Ready(());
        }
        queue.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;

    use super::*;

    #[test]
    fn a_backlog_of_notifications_closes_and_replies_do_not() {
        let (outbox, mut wakes) = (Outbox::default(), Wakes::default());
        outbox.reply(&mut wakes, |out| out.put_bytes(1, 1000));
        outbox.notify(&mut wakes, 100, |out| out.put_bytes(2, 60));
        assert!(!outbox.is_closed());
        let fits = outbox.notify(&mut wakes, 100, |out| out.put_bytes(2, 60));
        assert!(!fits);
        assert!(outbox.is_closed());
    }

    #[test]
    fn a_reply_of_any_size_is_let_in_and_none_beyond_the_last_bound() {
        let (outbox, mut wakes) = (Outbox::default(), Wakes::default());
        outbox.reply(&mut wakes, |out| out.put_bytes(1, OUTBOX_BYTES + 1));
        assert!(!outbox.is_closed() && !outbox.has_room(OUTBOX_BYTES));
        let mut bytes = BytesMut::new();
        assert!(outbox.take(&mut bytes).wanted);
        assert!(outbox.has_room(0), "taken");
        outbox.reply(&mut wakes, |out| out.put_bytes(1, OUTBOX_BYTES + 1));
        outbox.reply(&mut wakes, |out| out.put_u8(1));
        assert!(outbox.is_closed() && outbox.is_empty());
    }

    #[test]
    fn nothing_follows_the_last_word() {
        let (outbox, mut wakes) = (Outbox::default(), Wakes::default());
        outbox.reply(&mut wakes, |out| out.put_u8(1));
        outbox.finish(&mut wakes);
        outbox.reply(&mut wakes, |out| out.put_u8(2));
        let mut bytes = BytesMut::new();
        let taken = outbox.take(&mut bytes);
        assert!(taken.last_word && taken.frames == 1);
        assert_eq!(bytes[..], [1]);
    }
}
