//! One request on its way to the connection, and the way back of its answer.

use bytes::BytesMut;
use jute::{Buffer, Op, Reader, Writer};
use tokio::sync::oneshot;

use super::error::Error;
use super::watches::Change;

/// What a caller waits for: a reader at the body of the reply.
pub(super) type Answer = Result<Reader, Error>;

/// A framed request without its xid, which the connection gives it.
#[derive(Debug)]
pub(super) struct Request {
    pub op: Op,
    pub frame: BytesMut,
    /// What its success does to the session's watches.
    pub change: Option<Change>,
    /// What an auth packet says, to be said again on the next connection.
    pub identity: Option<Identity>,
    pub answer: oneshot::Sender<Answer>,
}

/// What addauth said.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub scheme: String,
    pub auth: Buffer,
}

/// Frames a request with xid 0.
pub(super) fn frame(op: Op, body: impl FnOnce(&mut Writer<'_>)) -> BytesMut {
    let mut frame = BytesMut::with_capacity(64);
    Writer::for_file(&mut frame).framed(|w| {
        w.i32(0);
        w.i32(op as i32);
        body(w);
    });
    frame
}

/// Where the xid stands in a framed request.
pub(super) const XID: std::ops::Range<usize> = 4..8;
