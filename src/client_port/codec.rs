//! Frames to requests. What cannot be decoded is refused here, in every role, and never ordered.

use bytes::Bytes;
use jute::proto::{AuthPacket, MultiRequest, PathRequest, RequestHeader, SetWatches, SetWatches2};
use jute::{Cause, DecodeError, Op, Reader, Str, Wire};

use crate::prep::WriteRequest;
use crate::replica::body;
use crate::replica::request::{ReadRequest, Request};

/// A frame of an established connection.
#[derive(Debug)]
pub enum Frame {
    /// Goes through the session's lane.
    Request(Request),
    /// Served by the connection at once, ahead of what it waits for.
    Auth(AuthPacket),
    /// The same; answered as a server without SASL answers.
    Sasl,
}

/// Decodes a frame. `limit` bounds each string and buffer in it, in bytes. Left-over bytes are ignored.
///
/// # Errors
/// Where Java closes the connection without an answer: no whole header, or an auth or sasl body that does not
/// decode. Every other undecodable body is a request to be refused in its turn.
/// Source: `ZooKeeperServer.processPacket`, `PrepRequestProcessor.pRequest`.
pub fn decode(frame: Bytes, limit: usize) -> Result<(i32, Frame), DecodeError> {
    let length = frame.len();
    let mut r = Reader::new(frame, limit);
    let RequestHeader { xid, op } = Wire::read(&mut r)?;
    let request = match op.op() {
        Some(Op::Auth) => return Ok((xid, Frame::Auth(Wire::read(&mut r)?))),
        Some(Op::Sasl) => {
            // Java's connection trips over a null token and closes.
            if r.buffer()?.is_none() {
                let null = DecodeError::from(Cause::NegativeLength(-1));
                return Err(null.within("GetSASLRequest", "token"));
            }
            return Ok((xid, Frame::Sasl));
        }
        None => Request::Read(ReadRequest::Unknown(op.0)),
        Some(op) => request(op, &mut r, length, limit).unwrap_or_else(|error| {
            tracing::debug!("{op:?} with xid {xid} does not decode: {error}");
            Request::Read(ReadRequest::Undecodable(op))
        }),
    };
    Ok((xid, Frame::Request(request)))
}

fn request(op: Op, r: &mut Reader, length: usize, limit: usize) -> Result<Request, DecodeError> {
    Ok(match op {
        Op::Create
        | Op::Create2
        | Op::CreateContainer
        | Op::CreateTtl
        | Op::Delete
        | Op::SetData
        | Op::SetAcl
        | Op::Reconfig
        | Op::Multi
        | Op::CloseSession => Request::Write(write(op, r, length, limit)?),
        _ => Request::Read(read_body(op, r)?),
    })
}

/// A byte that is no text becomes a character of three. What grows beyond `limit` by that could be read by no other
/// server, and a leader of Java's would close the connection to the whole server that passed it on.
fn write(op: Op, r: &mut Reader, length: usize, limit: usize) -> Result<WriteRequest, DecodeError> {
    let request = body::read(op, r)?;
    if length > limit / 3 {
        let length = body::of(&request).len();
        if length > limit {
            return Err(Cause::TooLong { length, limit }.into());
        }
    }
    Ok(request)
}

fn read_body(op: Op, r: &mut Reader) -> Result<ReadRequest, DecodeError> {
    Ok(match op {
        Op::Ping => ReadRequest::Ping,
        Op::Exists => ReadRequest::Exists(Wire::read(r)?),
        Op::GetData => ReadRequest::GetData(Wire::read(r)?),
        Op::GetChildren => ReadRequest::GetChildren(Wire::read(r)?),
        Op::GetChildren2 => ReadRequest::GetChildren2(Wire::read(r)?),
        Op::GetAcl => ReadRequest::GetAcl(path(r)?),
        Op::GetAllChildrenNumber => ReadRequest::GetAllChildrenNumber(path(r)?),
        Op::GetEphemerals => ReadRequest::GetEphemerals(path(r)?),
        Op::Sync => ReadRequest::Sync(path(r)?),
        Op::MultiRead => ReadRequest::MultiRead(MultiRequest::read(r)?),
        Op::SetWatches => {
            let SetWatches {
                relative_zxid,
                data_watches,
                exist_watches,
                child_watches,
            } = Wire::read(r)?;
            ReadRequest::SetWatches(SetWatches2 {
                relative_zxid,
                data_watches,
                exist_watches,
                child_watches,
                persistent_watches: Some(Vec::new()),
                persistent_recursive_watches: Some(Vec::new()),
            })
        }
        Op::SetWatches2 => ReadRequest::SetWatches2(Wire::read(r)?),
        Op::AddWatch => ReadRequest::AddWatch(Wire::read(r)?),
        Op::CheckWatches => ReadRequest::CheckWatches(Wire::read(r)?),
        Op::RemoveWatches => ReadRequest::RemoveWatches(Wire::read(r)?),
        Op::WhoAmI => ReadRequest::WhoAmI,
        // Known numbers that no client may send on their own.
        op => ReadRequest::Unknown(op as i32),
    })
}

fn path(r: &mut Reader) -> Result<Option<Str>, DecodeError> {
    PathRequest::read(r).map(|request| request.path)
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};

    use super::*;

    /// A delete of a path of `length` bytes.
    fn delete(length: usize, byte: u8) -> Bytes {
        let mut frame = BytesMut::new();
        frame.put_i32(1);
        frame.put_i32(Op::Delete as i32);
        frame.put_i32(length as i32);
        frame.put_bytes(byte, length);
        frame.put_i32(-1);
        frame.freeze()
    }

    #[test]
    fn text_that_outgrows_the_limit_when_it_is_replaced_is_refused() {
        let is_refused = |frame| {
            let (_, frame) = decode(frame, 1000).unwrap();
            matches!(frame, Frame::Request(Request::Read(_)))
        };
        assert!(!is_refused(delete(990, b'a')));
        assert!(!is_refused(delete(300, 0xff)));
        assert!(is_refused(delete(400, 0xff)));
    }
}
