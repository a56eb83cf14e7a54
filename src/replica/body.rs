//! The bodies of writes: as clients send them, and as a learner passes them on to its leader.
//!
//! A learner decodes what its client sends before anything else, so what it passes on is always what a leader can
//! read, without whatever stood behind it. A body that decodes is written again byte for byte, but for a multi whose
//! creates say one thing with their op and another with their flags: they say the same afterwards.
//! Source: `FollowerRequestProcessor`, `Learner.request`, `PrepRequestProcessor.pRequestHelper`.

use bytes::{Bytes, BytesMut};
use jute::proto::{MultiHeader, MultiOp, MultiRequest, PathRequest};
use jute::txn::CreateSessionTxn;
use jute::{Cause, DecodeError, Op, Reader, Wire, Writer};

use crate::prep::WriteRequest;

/// Reads the body of a write that a client may send.
///
/// # Errors
/// It does not decode, or `op` is no such write.
pub fn read(op: Op, r: &mut Reader) -> Result<WriteRequest, DecodeError> {
    Ok(match op {
        Op::Create | Op::Create2 | Op::CreateContainer => WriteRequest::Create(op, Wire::read(r)?),
        Op::CreateTtl => WriteRequest::CreateTtl(Wire::read(r)?),
        Op::Delete => WriteRequest::Delete(Wire::read(r)?),
        Op::SetData => WriteRequest::SetData(Wire::read(r)?),
        Op::SetAcl => WriteRequest::SetAcl(Wire::read(r)?),
        Op::Reconfig => WriteRequest::Reconfig(Wire::read(r)?),
        Op::CloseSession => WriteRequest::CloseSession,
        Op::Multi => {
            let multi = MultiRequest::read(r)?;
            if multi.ops.first().is_some_and(MultiOp::is_read) {
                return Err(DecodeError::from(Cause::MixedOps).within("MultiRequest", "ops"));
            }
            WriteRequest::Multi(multi)
        }
        op => return Err(Cause::Unknown(op as i32).into()),
    })
}

/// As [`read`], for what a learner passed on: its own wishes, too.
///
/// # Errors
/// As [`read`].
pub(super) fn read_forwarded(op: Op, body: Bytes) -> Result<WriteRequest, DecodeError> {
    let limit = body.len();
    let mut r = Reader::new(body, limit);
    match op {
        Op::CreateSession => {
            let CreateSessionTxn { timeout } = Wire::read(&mut r)?;
            Ok(WriteRequest::CreateSession { timeout })
        }
        Op::DeleteContainer => match PathRequest::read(&mut r)?.path {
            Some(path) => Ok(WriteRequest::DeleteContainer(path)),
            None => Err(Cause::NegativeLength(-1).into()),
        },
        op => read(op, &mut r),
    }
}

/// The body of `request`.
pub(super) fn of(request: &WriteRequest) -> Bytes {
    let mut body = BytesMut::new();
    let mut w = Writer::for_file(&mut body);
    match request {
        WriteRequest::Create(_, request) => request.write(&mut w),
        WriteRequest::CreateTtl(request) => request.write(&mut w),
        WriteRequest::Delete(request) => request.write(&mut w),
        WriteRequest::SetData(request) => request.write(&mut w),
        WriteRequest::SetAcl(request) => request.write(&mut w),
        WriteRequest::Reconfig(request) => request.write(&mut w),
        WriteRequest::Multi(request) => multi(request, &mut w),
        WriteRequest::DeleteContainer(path) => w.text(Some(path)),
        WriteRequest::CreateSession { timeout } => w.i32(*timeout),
        WriteRequest::CloseSession => {}
    }
    body.freeze()
}

fn multi(request: &MultiRequest, w: &mut Writer<'_>) {
    let op = |op: Op, w: &mut Writer<'_>| {
        w.put(&MultiHeader {
            op: op.into(),
            done: false,
            err: -1,
        });
    };
    for part in &request.ops {
        match part {
            MultiOp::Create(kind, request) => {
                op(*kind, w);
                request.write(w);
            }
            MultiOp::CreateTtl(request) => {
                op(Op::CreateTtl, w);
                request.write(w);
            }
            MultiOp::Delete(request) => {
                op(Op::Delete, w);
                request.write(w);
            }
            MultiOp::SetData(request) => {
                op(Op::SetData, w);
                request.write(w);
            }
            MultiOp::Check(request) => {
                op(Op::Check, w);
                request.write(w);
            }
            // Not in a write: refused when it was read.
            MultiOp::GetData(_) | MultiOp::GetChildren(_) => {}
        }
    }
    w.put(&MultiHeader::END);
}
