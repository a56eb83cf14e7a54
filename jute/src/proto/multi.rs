//! multi and multiRead.

use super::request::*;
use super::response::*;
use crate::data::Stat;
use crate::record::records;
use crate::{Buffer, Cause, DecodeError, ErrorCode, Op, OpCode, Reader, Str, Wire, Writer};

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

    const BEFORE_REQUEST: MultiHeader = MultiHeader {
        op: OpCode(-1),
        done: false,
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

    /// The operation.
    pub fn op(&self) -> Op {
        match self {
            MultiOp::Create(op, _) => *op,
            MultiOp::CreateTtl(_) => Op::CreateTtl,
            MultiOp::Delete(_) => Op::Delete,
            MultiOp::SetData(_) => Op::SetData,
            MultiOp::Check(_) => Op::Check,
            MultiOp::GetData(_) => Op::GetData,
            MultiOp::GetChildren(_) => Op::GetChildren,
        }
    }

    fn write(&self, w: &mut Writer<'_>) {
        match self {
            MultiOp::Create(_, request) => request.write(w),
            MultiOp::CreateTtl(request) => request.write(w),
            MultiOp::Delete(request) => request.write(w),
            MultiOp::SetData(request) => request.write(w),
            MultiOp::Check(request) => request.write(w),
            MultiOp::GetData(path) | MultiOp::GetChildren(path) => {
                w.text(path.as_deref());
                w.bool(false);
            }
        }
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

    /// Appends the ops and the end marker, as a client sends them.
    pub fn write(&self, w: &mut Writer<'_>) {
        for op in &self.ops {
            let header = MultiHeader {
                op: op.op().into(),
                ..MultiHeader::BEFORE_REQUEST
            };
            header.write(w);
            op.write(w);
        }
        MultiHeader::END.write(w);
    }
}

/// What became of one op of a multi or multiRead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultiResult {
    /// create: the path.
    Create(Option<Str>),
    /// create2, createContainer and createTTL.
    Create2(Create2Response),
    /// delete.
    Delete,
    /// setData: the znode after it.
    SetData(Stat),
    /// check.
    Check,
    /// getData.
    GetData {
        /// The data.
        data: Buffer,
        /// The znode.
        stat: Stat,
    },
    /// getChildren: names in no order.
    GetChildren(Option<Vec<Str>>),
    /// It failed, or a multi failed: 0 before the op that failed, -2 behind it.
    Error(ErrorCode),
}

/// The answer to a multi or multiRead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MultiResponse {
    /// One result for each op.
    pub results: Vec<MultiResult>,
}

impl MultiResponse {
    /// Decodes results up to the end marker; bytes behind it are left.
    ///
    /// # Errors
    /// A type that answers no op, or bytes that do not decode.
    /// Source: `MultiResponse.deserialize`.
    pub fn read(r: &mut Reader) -> Result<Self, DecodeError> {
        let mut results = Vec::new();
        loop {
            let header = MultiHeader::read(r)?;
            if header.done {
                return Ok(MultiResponse { results });
            }
            results.push(read_result(header.op, r)?);
        }
    }
}

fn read_result(code: OpCode, r: &mut Reader) -> Result<MultiResult, DecodeError> {
    Ok(match code.op() {
        Some(Op::Create) => MultiResult::Create(PathResponse::read(r)?.path),
        Some(Op::Create2) => MultiResult::Create2(Wire::read(r)?),
        Some(Op::Delete) => MultiResult::Delete,
        Some(Op::SetData) => MultiResult::SetData(Wire::read(r)?),
        Some(Op::Check) => MultiResult::Check,
        Some(Op::GetData) => {
            let GetDataResponse { data, stat } = Wire::read(r)?;
            MultiResult::GetData { data, stat }
        }
        Some(Op::GetChildren) => MultiResult::GetChildren(NamesResponse::read(r)?.names),
        Some(Op::Error) => MultiResult::Error(ErrorCode(ErrorResponse::read(r)?.err)),
        _ => {
            return Err(
                DecodeError::from(Cause::Unknown(code.0)).within("MultiResponse", "results")
            );
        }
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;

    #[test]
    fn a_multi_reads_back_as_it_was_written() {
        let path = Some(Str::from("/a"));
        let request = MultiRequest {
            ops: vec![
                MultiOp::Create(
                    Op::CreateContainer,
                    CreateRequest {
                        path: path.clone(),
                        acl: Some(Vec::new()),
                        flags: CONTAINER,
                        ..CreateRequest::default()
                    },
                ),
                MultiOp::CreateTtl(CreateTtlRequest {
                    path: path.clone(),
                    flags: 5,
                    ttl: 9,
                    ..CreateTtlRequest::default()
                }),
                MultiOp::Delete(DeleteRequest { path, version: 3 }),
            ],
        };
        let mut bytes = BytesMut::new();
        request.write(&mut Writer::for_file(&mut bytes));
        let mut r = Reader::new(bytes.freeze(), 1024);
        assert_eq!(MultiRequest::read(&mut r).unwrap(), request);
        r.finish().unwrap();
    }

    #[test]
    fn results_end_at_their_marker_and_name_their_op() {
        let mut bytes = BytesMut::new();
        let mut w = Writer::for_file(&mut bytes);
        for code in [0, -101, -2] {
            w.i32(-1);
            w.bool(false);
            w.i32(code);
            w.i32(code);
        }
        w.put(&MultiHeader::END);
        let read = |bytes: &[u8]| {
            let mut r = Reader::new(bytes::Bytes::copy_from_slice(bytes), 1024);
            MultiResponse::read(&mut r).map(|response| response.results)
        };
        let codes = [0, -101, -2].map(|code| MultiResult::Error(ErrorCode(code)));
        assert_eq!(read(&bytes).unwrap(), codes);
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_err(), "{end}");
        }
        assert!(read(&[0, 0, 0, 99, 0, 0, 0, 0, 0]).is_err());
    }
}
