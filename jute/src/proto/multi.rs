//! multi and multiRead.

use super::request::*;
use crate::record::records;
use crate::{Cause, DecodeError, Op, OpCode, Reader, Str, Wire};

records! {
    /// Before every op of a multi and every result, and at its end.
    MultiHeader {
        /// The op; -1 at the end and for a failure.
        op: OpCode,
        /// True at the end.
        done: bool,
        /// -1 in requests, the result in answers.
        err: i32,
    }
}

impl MultiHeader {
    /// What ends a multi request and its answer.
    pub const END: MultiHeader = MultiHeader {
        op: OpCode(-1),
        done: true,
        err: -1,
    };
}

/// One op of a multi or multiRead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultiOp {
    /// create, create2 or createContainer, which the first field tells.
    Create(Op, CreateRequest),
    /// createTTL.
    CreateTtl(CreateTtlRequest),
    /// delete.
    Delete(DeleteRequest),
    /// setData.
    SetData(SetDataRequest),
    /// check.
    Check(CheckVersionRequest),
    /// getData; its watch flag is ignored.
    GetData(Option<Str>),
    /// getChildren; its watch flag is ignored.
    GetChildren(Option<Str>),
}

impl MultiOp {
    /// True for what a multiRead may hold, false for what a multi may hold.
    pub fn is_read(&self) -> bool {
        matches!(self, MultiOp::GetData(_) | MultiOp::GetChildren(_))
    }
}

/// The body of a multi or multiRead: ops of one kind only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MultiRequest {
    /// The ops in order, maybe none.
    pub ops: Vec<MultiOp>,
}

impl MultiRequest {
    /// Decodes ops up to the end marker; bytes behind it are left.
    ///
    /// What Java's decoder refuses is refused here: an unknown op, a create with flags that are no mode or a TTL mode,
    /// a null ACL in a create, reads among writes. A create with the container flag becomes a createContainer, a
    /// createTTL without a TTL flag becomes a create, as there.
    ///
    /// # Errors
    /// Any of the above, or bytes that do not decode.
    /// Source: `MultiOperationRecord.deserialize`, `Op.create`.
    pub fn read(r: &mut Reader) -> Result<Self, DecodeError> {
        let mut ops: Vec<MultiOp> = Vec::new();
        loop {
            let header = MultiHeader::read(r)?;
            if header.done {
                return Ok(MultiRequest { ops });
            }
            let op = read_op(header.op, r)?;
            if ops
                .first()
                .is_some_and(|first| first.is_read() != op.is_read())
            {
                return Err(DecodeError::from(Cause::MixedOps).within("MultiRequest", "ops"));
            }
            ops.push(op);
        }
    }
}

fn read_op(code: OpCode, r: &mut Reader) -> Result<MultiOp, DecodeError> {
    let unknown = |n| Err(DecodeError::from(Cause::Unknown(n)).within("MultiRequest", "ops"));
    Ok(match code.op() {
        Some(op @ (Op::Create | Op::Create2 | Op::CreateContainer)) => {
            let request = CreateRequest::read(r)?;
            if request.acl.is_none() {
                return Err(DecodeError::from(Cause::NullVector).within("CreateRequest", "acl"));
            }
            match request.flags {
                0..=3 => MultiOp::Create(op, request),
                CONTAINER => MultiOp::Create(Op::CreateContainer, request),
                flags => return unknown(flags),
            }
        }
        Some(Op::CreateTtl) => match CreateTtlRequest::read(r)? {
            request @ CreateTtlRequest { flags: 5 | 6, .. } => MultiOp::CreateTtl(request),
            CreateTtlRequest {
                path,
                data,
                acl,
                flags,
                ..
            } => {
                let op = if flags == CONTAINER {
                    Op::CreateContainer
                } else {
                    Op::Create
                };
                MultiOp::Create(
                    op,
                    CreateRequest {
                        path,
                        data,
                        acl,
                        flags,
                    },
                )
            }
        },
        Some(Op::Delete) => MultiOp::Delete(Wire::read(r)?),
        Some(Op::SetData) => MultiOp::SetData(Wire::read(r)?),
        Some(Op::Check) => MultiOp::Check(Wire::read(r)?),
        Some(Op::GetData) => MultiOp::GetData(WatchableRequest::read(r)?.path),
        Some(Op::GetChildren) => MultiOp::GetChildren(WatchableRequest::read(r)?.path),
        _ => return unknown(code.0),
    })
}

/// Create mode CONTAINER.
const CONTAINER: i32 = 4;
