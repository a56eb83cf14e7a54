//! Frames to requests. What cannot be decoded is refused here, in every role, and never ordered.

use bytes::Bytes;
use jute::proto::{AuthPacket, MultiRequest, PathRequest, RequestHeader, SetWatches, SetWatches2};
use jute::{Cause, DecodeError, Op, Reader, Str, Wire};

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
        Some(op) => request(op, &mut r).unwrap_or_else(|error| {
            tracing::debug!("{op:?} with xid {xid} does not decode: {error}");
            Request::Read(ReadRequest::Undecodable(op))
        }),
    };
    Ok((xid, Frame::Request(request)))
}

fn request(op: Op, r: &mut Reader) -> Result<Request, DecodeError> {
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
        | Op::CloseSession => Request::Write(body::read(op, r)?),
        _ => Request::Read(read_body(op, r)?),
    })
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
