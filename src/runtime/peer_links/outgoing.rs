//! What waits to be sent over one connection of the quorum port, in order.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes, BytesMut};
use jute::quorum::QuorumPacket;
use jute::{Wire, Writer};

use crate::base::Stamp;
use crate::config::limits;

/// A snapshot on its way to a learner: the body of its file, piece by piece.
pub trait SnapshotSource: Send {
    /// The next piece; None at the end. Blocks.
    ///
    /// # Errors
    /// The file cannot be read on.
    fn next_piece(&mut self) -> io::Result<Option<Bytes>>;
}

/// Packets, and snapshots between them.
///
/// Small packets share a buffer, so that many of them make one write. The data of a large one is shared with all other
/// connections it goes to.
#[derive(Default)]
pub struct Outgoing {
    queue: VecDeque<Item>,
    /// Packets behind the queue.
    open: BytesMut,
    /// Bytes of packets that came in and that went out, ever.
    queued: u64,
    sent: u64,
    /// Bytes that were handed out, ever; those that are not sent yet are with the connection's task.
    handed_out: u64,
    /// The same for snapshots.
    snapshots_queued: u64,
    snapshots_sent: u64,
    amid_snapshot: bool,
    /// Packets that came in, since the start or a reset.
    packets: u64,
    /// Their last zxid, of those that have one; -1 before.
    last_zxid: i64,
    marks: VecDeque<Mark>,
    /// Packets behind the last of the batches.
    unbatched: u64,
    /// Packets that were queued together and are not sent as a whole, oldest first; and how many they are in all.
    batches: VecDeque<Batch>,
    batched: u64,
}

/// Packets of one round of the commit loop.
struct Batch {
    /// Where the queue ended behind them.
    queued: u64,
    packets: u64,
    at: Stamp,
}

enum Item {
    Bytes(Bytes),
    Snapshot(Box<dyn SnapshotSource>),
}

/// Where the queue ended when somebody asked to be told that it is drained up to there.
struct Mark {
    queued: u64,
    snapshots: u64,
}

/// What to send next.
pub enum Next {
    /// Nothing waits.
    Nothing,
    /// Some bytes were handed out.
    Bytes,
    /// A whole snapshot, by itself.
    Snapshot(Box<dyn SnapshotSource>),
}

impl Outgoing {
    /// Appends a packet. False if that is more than a connection may have waiting; a packet of any size may wait
    /// alone.
    pub fn push(&mut self, packet: &QuorumPacket) -> bool {
        let shared = packet
            .data
            .as_ref()
            .filter(|data| data.len() >= SHARED_FROM);
        let Some(data) = shared else {
            return self.push_with(|out| packet.write(&mut Writer::for_file(out)));
        };
        let before = self.open.len();
        let mut w = Writer::for_file(&mut self.open);
        w.i32(packet.kind);
        w.i64(packet.zxid);
        w.i32(data.len() as i32);
        let head = self.open.len() - before;
        self.note(packet.zxid);
        self.close_buffer();
        self.queue.push_back(Item::Bytes(data.clone()));
        packet
            .auth_info
            .write(&mut Writer::for_file(&mut self.open));
        self.count(head + data.len() + self.open.len())
    }

    /// The same for a packet that `write` appends to what it is given.
    pub fn push_with(&mut self, write: impl FnOnce(&mut BytesMut)) -> bool {
        let before = self.open.len();
        write(&mut self.open);
        // Behind the kind of the packet.
        let zxid = self.open.get(before + 4..).and_then(<[u8]>::first_chunk);
        self.note(zxid.map_or(0, |zxid| i64::from_be_bytes(*zxid)));
        self.count(self.open.len() - before)
    }

    fn count(&mut self, size: usize) -> bool {
        let waited = self.waiting();
        self.queued += size as u64;
        waited == 0 || self.waiting() <= limits::PEER_LINK_BYTES as u64
    }

    fn note(&mut self, zxid: i64) {
        self.packets += 1;
        self.unbatched += 1;
        if zxid > 0 {
            self.last_zxid = zxid;
        }
    }

    /// What came in since the last call was queued at `at`, together.
    pub fn end_batch(&mut self, at: Stamp) {
        let packets = std::mem::take(&mut self.unbatched);
        if packets > 0 {
            let queued = self.queued;
            self.batched += packets;
            self.batches.push_back(Batch {
                queued,
                packets,
                at,
            });
        }
    }

    /// When the oldest batch was queued that is sent by now; each is told of once.
    pub fn batch_sent(&mut self) -> Option<Stamp> {
        let Batch {
            queued,
            packets,
            at,
        } = *self.batches.front()?;
        if queued > self.sent {
            return None;
        }
        self.batches.pop_front();
        self.batched -= packets;
        Some(at)
    }

    /// Packets of batches that are not sent as a whole.
    pub fn waiting_packets(&self) -> u64 {
        self.batched
    }

    /// Packets that came in, and their last zxid, since the start or the last reset.
    pub fn told(&self) -> (u64, i64) {
        let last = if self.last_zxid > 0 {
            self.last_zxid
        } else {
            -1
        };
        (self.packets, last)
    }

    /// Counts packets from here on.
    pub fn reset(&mut self) {
        (self.packets, self.last_zxid) = (0, 0);
    }

    /// Appends a snapshot, which counts for nothing: it is read from its file as it is sent.
    pub fn push_snapshot(&mut self, snapshot: Box<dyn SnapshotSource>) {
        self.close_buffer();
        self.queue.push_back(Item::Snapshot(snapshot));
        self.snapshots_queued += 1;
    }

    /// Asks to be told once, by [`Outgoing::sent`] or [`Outgoing::sent_snapshot`], that little is left of what waits
    /// now. True if that is so already.
    pub fn mark(&mut self) -> bool {
        self.marks.push_back(Mark {
            queued: self.queued,
            snapshots: self.snapshots_queued,
        });
        self.reached() > 0
    }

    /// Hands out what goes next: bytes into `into`, not much more than a write takes, or a snapshot.
    pub fn take(&mut self, into: &mut VecDeque<Bytes>) -> Next {
        let mut taken = 0;
        while taken < BYTES_AT_ONCE && into.len() < PIECES_AT_ONCE {
            if self.queue.is_empty() {
                self.close_buffer();
            }
            match self.queue.pop_front() {
                Some(Item::Bytes(bytes)) => {
                    taken += bytes.len();
                    into.push_back(bytes);
                }
                Some(Item::Snapshot(snapshot)) if into.is_empty() => {
                    self.amid_snapshot = true;
                    return Next::Snapshot(snapshot);
                }
                Some(snapshot) => {
                    self.queue.push_front(snapshot);
                    break;
                }
                None => break,
            }
        }
        self.handed_out += taken as u64;
        match into.is_empty() {
            true => Next::Nothing,
            false => Next::Bytes,
        }
    }

    /// `bytes` of what was handed out are with the system. Returns how many marks are reached by that.
    pub fn sent(&mut self, bytes: usize) -> usize {
        self.sent += bytes as u64;
        self.reached()
    }

    /// The snapshot that was handed out is with the system. Returns how many marks are reached by that.
    pub fn sent_snapshot(&mut self) -> usize {
        self.snapshots_sent += 1;
        self.amid_snapshot = false;
        self.reached()
    }

    /// Sends what waits by one call of `write`, if it is not much and nothing goes before it. Returns how many marks
    /// are reached by that, and whether something is left for the connection's task.
    pub fn send_now(
        &mut self,
        write: impl FnOnce(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> (usize, bool) {
        let busy = self.amid_snapshot || self.handed_out != self.sent;
        let snapshot = |item: &Item| matches!(item, Item::Snapshot(_));
        if busy || self.waiting() > BYTES_NOW || self.queue.front().is_some_and(snapshot) {
            return (0, true);
        }
        let mut pieces = VecDeque::new();
        self.take(&mut pieces);
        let slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        // What goes wrong is for the task to find out: it tries again.
        let written = match slices.is_empty() {
            true => 0,
            false => write(&slices).unwrap_or(0),
        };
        advance(&mut pieces, written);
        for piece in pieces.into_iter().rev() {
            self.handed_out -= piece.len() as u64;
            self.queue.push_front(Item::Bytes(piece));
        }
        let reached = self.sent(written);
        (reached, self.waiting() > 0 || !self.queue.is_empty())
    }

    /// Bytes of packets that wait.
    pub fn waiting(&self) -> u64 {
        self.queued - self.sent
    }

    fn reached(&mut self) -> usize {
        let little = limits::PEER_LINK_DRAINED_BYTES as u64;
        let (sent, snapshots) = (self.sent, self.snapshots_sent);
        let is_reached = |mark: &Mark| mark.queued <= sent + little && mark.snapshots <= snapshots;
        let count = self
            .marks
            .iter()
            .take_while(|mark| is_reached(mark))
            .count();
        self.marks.drain(..count);
        count
    }

    fn close_buffer(&mut self) {
        if !self.open.is_empty() {
            self.queue
                .push_back(Item::Bytes(self.open.split().freeze()));
        }
    }
}

/// Takes `written` bytes off the front of `pieces`.
pub fn advance(pieces: &mut VecDeque<Bytes>, written: usize) {
    let mut left = written;
    while let Some(piece) = pieces.front_mut().filter(|_| left > 0) {
        let taken = left.min(piece.len());
        piece.advance(taken);
        left -= taken;
        if piece.is_empty() {
            pieces.pop_front();
        }
    }
}

/// Data from this size on is not copied.
const SHARED_FROM: usize = 4 << 10;

/// What is handed out at once.
const BYTES_AT_ONCE: usize = 256 << 10;

/// What is worth sending without waking the connection's task; more than that is better done beside the commit loop.
const BYTES_NOW: u64 = 8 << 10;

/// Pieces that one write takes; the system's own limit is 1024.
const PIECES_AT_ONCE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    struct Pieces(Vec<&'static [u8]>);

    impl SnapshotSource for Pieces {
        fn next_piece(&mut self) -> io::Result<Option<Bytes>> {
            Ok(self.0.pop().map(Bytes::from_static))
        }
    }

    #[test]
    fn packets_that_were_queued_together_have_waited_once_all_are_sent() {
        let mut outgoing = Outgoing::default();
        let at = Stamp;
        assert!(outgoing.push(&packet(10)) && outgoing.push(&packet(20)));
        outgoing.end_batch(at(1));
        outgoing.end_batch(at(2));
        assert!(outgoing.push(&packet(30)));
        outgoing.end_batch(at(3));
        assert_eq!(
            (outgoing.batch_sent(), outgoing.waiting_packets()),
            (None, 3)
        );
        let bytes = encoded(&[packet(10), packet(20)]).len();
        outgoing.sent(bytes - 1);
        assert_eq!(outgoing.batch_sent(), None);
        outgoing.sent(1);
        assert_eq!(outgoing.batch_sent(), Some(at(1)));
        assert_eq!(
            (outgoing.batch_sent(), outgoing.waiting_packets()),
            (None, 1)
        );
        outgoing.sent(encoded(&[packet(30)]).len());
        assert_eq!(outgoing.batch_sent(), Some(at(3)));
        assert_eq!(
            (outgoing.batch_sent(), outgoing.waiting_packets()),
            (None, 0)
        );
    }

    fn packet(size: usize) -> QuorumPacket {
        QuorumPacket {
            kind: 2,
            zxid: size as i64,
            data: Some(vec![7; size].into()),
            auth_info: None,
        }
    }

    fn encoded(packets: &[QuorumPacket]) -> Vec<u8> {
        let mut out = BytesMut::new();
        packets
            .iter()
            .for_each(|packet| packet.write(&mut Writer::for_file(&mut out)));
        out.to_vec()
    }

    fn drain(outgoing: &mut Outgoing) -> Vec<u8> {
        let (mut all, mut pieces) = (Vec::new(), VecDeque::new());
        while let Next::Bytes = outgoing.take(&mut pieces) {
            for piece in pieces.drain(..) {
                outgoing.sent(piece.len());
                all.extend_from_slice(&piece);
            }
        }
        all
    }

    #[test]
    fn packets_of_all_sizes_come_out_as_they_went_in() {
        let packets: Vec<_> = [0, 100, SHARED_FROM, 1, BYTES_AT_ONCE + 1, SHARED_FROM, 3]
            .map(packet)
            .to_vec();
        let mut outgoing = Outgoing::default();
        for packet in &packets {
            assert!(outgoing.push(packet));
        }
        assert_eq!(outgoing.waiting(), encoded(&packets).len() as u64);
        assert_eq!(drain(&mut outgoing), encoded(&packets));
        assert_eq!(outgoing.waiting(), 0);
    }

    #[test]
    fn the_budget_counts_what_waits_and_lets_one_packet_of_any_size_in() {
        let mut outgoing = Outgoing::default();
        assert!(outgoing.push(&packet(limits::PEER_LINK_BYTES + 1)));
        assert!(!outgoing.push(&packet(0)));
        drain(&mut outgoing);
        assert!(outgoing.push(&packet(limits::PEER_LINK_BYTES / 2)));
        assert!(outgoing.push(&packet(limits::PEER_LINK_BYTES / 4)));
        assert!(!outgoing.push(&packet(limits::PEER_LINK_BYTES / 4)));
    }

    #[test]
    fn a_snapshot_keeps_its_place_and_costs_no_budget() {
        let mut outgoing = Outgoing::default();
        outgoing.push(&packet(1));
        outgoing.push_snapshot(Box::new(Pieces(vec![b"body"])));
        outgoing.push(&packet(2));
        let mut pieces = VecDeque::new();
        assert!(matches!(outgoing.take(&mut pieces), Next::Bytes));
        assert_eq!(pieces.pop_front().unwrap(), encoded(&[packet(1)]));
        assert!(matches!(outgoing.take(&mut pieces), Next::Snapshot(_)));
        outgoing.sent_snapshot();
        assert_eq!(drain(&mut outgoing), encoded(&[packet(2)]));
    }

    #[test]
    fn what_is_sent_at_once_keeps_the_order_whatever_the_system_takes() {
        let packets: Vec<_> = [100, SHARED_FROM, 1, 7].map(packet).to_vec();
        let mut outgoing = Outgoing::default();
        let mut sent = Vec::new();
        let mut take = |most: usize, slices: &[IoSlice<'_>]| {
            let all = slices.iter().flat_map(|slice| slice.iter().copied());
            let before = sent.len();
            sent.extend(all.take(most));
            Ok(sent.len() - before)
        };
        outgoing.push(&packets[0]);
        outgoing.push(&packets[1]);
        assert_eq!(outgoing.send_now(|slices| take(200, slices)), (0, true));
        outgoing.push(&packets[2]);
        let blocked = |_: &[IoSlice<'_>]| Err(io::ErrorKind::WouldBlock.into());
        assert_eq!(outgoing.send_now(blocked), (0, true));
        assert_eq!(
            outgoing.send_now(|slices| take(usize::MAX, slices)),
            (0, false)
        );
        assert_eq!(outgoing.send_now(|_| panic!("nothing waits")), (0, false));
        assert_eq!(sent, encoded(&packets[..3]));
    }

    #[test]
    fn nothing_overtakes_what_the_task_is_sending() {
        let never = |_: &[IoSlice<'_>]| panic!("not now");
        let mut outgoing = Outgoing::default();
        outgoing.push(&packet(5));
        let mut pieces = VecDeque::new();
        outgoing.take(&mut pieces);
        outgoing.push(&packet(6));
        assert_eq!(outgoing.send_now(never), (0, true));
        outgoing.sent(pieces[0].len());
        outgoing.push_snapshot(Box::new(Pieces(vec![b"body"])));
        outgoing.take(&mut pieces);
        outgoing.sent(pieces[1].len());
        assert_eq!(outgoing.send_now(never), (0, true), "a snapshot waits");
        assert!(matches!(
            outgoing.take(&mut VecDeque::new()),
            Next::Snapshot(_)
        ));
        outgoing.push(&packet(7));
        assert_eq!(outgoing.send_now(never), (0, true), "a snapshot is sent");
        outgoing.sent_snapshot();
        assert!(!outgoing.send_now(|slices| Ok(slices[0].len())).1);
    }

    #[test]
    fn a_mark_is_reached_when_little_is_left_before_it() {
        let mut outgoing = Outgoing::default();
        assert!(outgoing.mark(), "nothing waits");
        outgoing.push(&packet(limits::PEER_LINK_DRAINED_BYTES * 2));
        assert!(!outgoing.mark());
        let size = outgoing.waiting() as usize;
        outgoing.push_snapshot(Box::new(Pieces(vec![])));
        assert!(!outgoing.mark());
        let enough = size - limits::PEER_LINK_DRAINED_BYTES;
        assert_eq!(outgoing.sent(enough - 1), 0);
        assert_eq!(outgoing.sent(1), 1, "the second waits for the snapshot");
        assert_eq!(outgoing.sent_snapshot(), 1);
    }
}
