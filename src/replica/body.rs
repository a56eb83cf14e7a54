//! The bodies of writes: as clients send them, and as a learner passes them on to its leader.
//!
//! A learner decodes what its client sends before anything else, so what it passes on is always what a leader can
//! read, without whatever stood behind it. A body that decodes is written again byte for byte, but for a multi whose
//! creates say one thing with their op and another with their flags: they say the same afterwards.
//! Source: `FollowerRequestProcessor`, `Learner.request`, `PrepRequestProcessor.pRequestHelper`.

use bytes::{Bytes, BytesMut};
use jute::proto::{MultiHeader, MultiOp, MultiRequest};
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

/// As [`read`], for what a learner passed on: new sessions, too.
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
        op => read(op, &mut r),
    }
}

/// The body of `request`.
pub fn of(request: &WriteRequest) -> Bytes {
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

#[cfg(test)]
mod tests {
    use jute::data::{Acl, Id};
    use jute::proto::*;

    use super::*;

    fn acl() -> Option<Vec<Acl>> {
        Some(vec![Acl {
            perms: 31,
            id: Id {
                scheme: Some("world".into()),
                id: Some("anyone".into()),
            },
        }])
    }

    fn create(flags: i32) -> CreateRequest {
        CreateRequest {
            path: Some("/a".into()),
            data: None,
            acl: acl(),
            flags,
        }
    }

    fn all() -> Vec<(Op, WriteRequest)> {
        let ttl = CreateTtlRequest {
            path: Some("/t".into()),
            data: Some(b"x".as_slice().into()),
            acl: acl(),
            flags: 5,
            ttl: 99,
        };
        let delete = DeleteRequest {
            path: Some("/a".into()),
            version: -1,
        };
        let set = SetDataRequest {
            path: None,
            data: Some(Bytes::new()),
            version: 3,
        };
        let check = CheckVersionRequest {
            path: Some("/c".into()),
            version: 1,
        };
        let ops = vec![
            MultiOp::Create(Op::Create, create(1)),
            MultiOp::Create(Op::Create2, create(2)),
            MultiOp::Create(Op::CreateContainer, create(4)),
            MultiOp::CreateTtl(ttl.clone()),
            MultiOp::Delete(delete.clone()),
            MultiOp::SetData(set.clone()),
            MultiOp::Check(check),
        ];
        vec![
            (Op::Create, WriteRequest::Create(Op::Create, create(3))),
            (Op::Create2, WriteRequest::Create(Op::Create2, create(0))),
            (
                Op::CreateContainer,
                WriteRequest::Create(Op::CreateContainer, create(4)),
            ),
            (Op::CreateTtl, WriteRequest::CreateTtl(ttl)),
            (Op::Delete, WriteRequest::Delete(delete)),
            (Op::SetData, WriteRequest::SetData(set)),
            (Op::SetAcl, WriteRequest::SetAcl(SetAclRequest::default())),
            (
                Op::Reconfig,
                WriteRequest::Reconfig(ReconfigRequest::default()),
            ),
            (Op::Multi, WriteRequest::Multi(MultiRequest { ops })),
            (Op::Multi, WriteRequest::Multi(MultiRequest::default())),
            (
                Op::CreateSession,
                WriteRequest::CreateSession { timeout: 4000 },
            ),
            (Op::CloseSession, WriteRequest::CloseSession),
        ]
    }

    #[test]
    fn what_is_passed_on_says_what_the_client_said() {
        for (op, request) in all() {
            let body = of(&request);
            assert_eq!(read_forwarded(op, body.clone()).unwrap(), request);
            assert_eq!(of(&read_forwarded(op, body.clone()).unwrap()), body);
            for end in 0..body.len() {
                assert!(read_forwarded(op, body.slice(..end)).is_err(), "{op:?}");
            }
        }
    }

    #[test]
    fn a_creates_body_is_the_clients_own() {
        let sent =
            b"\0\0\0\x02/a\0\0\0\x02hi\0\0\0\x01\0\0\0\x1f\0\0\0\x05world\0\0\0\x06anyone\0\0\0\0";
        let mut r = Reader::new(Bytes::from_static(sent), 100);
        let request = read(Op::Create, &mut r).unwrap();
        assert_eq!(of(&request)[..], sent[..]);
    }
}
