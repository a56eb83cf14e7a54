//! Module `org.apache.zookeeper.txn`: what is ordered, logged and applied.

use crate::data::Acl;
use crate::record::{elements, records};
use crate::{Buffer, Cause, DecodeError, Op, OpCode, Reader, Str, Wire, Writer};
use bytes::{Bytes, BytesMut};

records! {
    /// Before every transaction.
    TxnHeader {
        /// Session of the client.
        client_id: i64,
        /// xid of the client's request.
        cxid: i32,
        /// Position in the order.
        zxid: i64,
        /// Wall clock of the server that prepared it, ms since the epoch.
        time: i64,
        /// Type of the record that follows.
        kind: OpCode,
    }
    /// After a transaction: what the tree must hash to once it is applied.
    TxnDigest {
        /// 2.
        version: i32,
        /// Sum of the znodes' digests, modulo 2^64.
        tree_digest: i64,
    }
    /// create and create2.
    CreateTxn {
        /// Final path.
        path: Option<Str>,
        /// Data.
        data: Buffer,
        /// ACL as stored.
        acl: Option<Vec<Acl>>,
        /// Whether the session owns it.
        ephemeral: bool,
        /// Children ever created under the parent, this one included; -1 means one more than before.
        parent_cversion: i32,
    }
    /// createContainer.
    CreateContainerTxn {
        /// Final path.
        path: Option<Str>,
        /// Data.
        data: Buffer,
        /// ACL as stored.
        acl: Option<Vec<Acl>>,
        /// As [`CreateTxn::parent_cversion`].
        parent_cversion: i32,
    }
    /// createTTL.
    CreateTtlTxn {
        /// Final path.
        path: Option<Str>,
        /// Data.
        data: Buffer,
        /// ACL as stored.
        acl: Option<Vec<Acl>>,
        /// As [`CreateTxn::parent_cversion`].
        parent_cversion: i32,
        /// Time to live in ms.
        ttl: i64,
    }
    /// delete and deleteContainer.
    DeleteTxn {
        /// The znode.
        path: Option<Str>,
    }
    /// setData and reconfig.
    SetDataTxn {
        /// The znode.
        path: Option<Str>,
        /// New data.
        data: Buffer,
        /// Version the znode gets.
        version: i32,
    }
    /// check, inside a multi: changes nothing.
    CheckVersionTxn {
        /// The znode.
        path: Option<Str>,
        /// Its version plus one.
        version: i32,
    }
    /// setACL.
    SetAclTxn {
        /// The znode.
        path: Option<Str>,
        /// New ACL.
        acl: Option<Vec<Acl>>,
        /// ACL version the znode gets.
        version: i32,
    }
    /// createSession.
    CreateSessionTxn {
        /// Session timeout in ms.
        timeout: i32,
    }
    /// closeSession.
    CloseSessionTxn {
        /// Ephemerals to delete.
        paths: Option<Vec<Str>>,
    }
    /// A write that was refused.
    ErrorTxn {
        /// Its error code.
        err: i32,
    }
    /// One op of a multi, as stored.
    SubTxn {
        /// Type of `data`.
        kind: OpCode,
        /// The record of that type.
        data: Buffer,
    }
    /// A multi, as stored.
    StoredMulti {
        /// The ops.
        txns: Option<Vec<SubTxn>>,
    }
}

elements! { SubTxn = 8 }

/// What a transaction does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names are the operations'
pub enum Txn {
    CreateSession(CreateSessionTxn),
    /// None where the writer had `closeSessionTxn.enabled=false` or was older than 3.6: every ephemeral of the session.
    CloseSession(Option<CloseSessionTxn>),
    Error(ErrorTxn),
    Create(CreateTxn),
    Create2(CreateTxn),
    CreateContainer(CreateContainerTxn),
    CreateTtl(CreateTtlTxn),
    Delete(DeleteTxn),
    DeleteContainer(DeleteTxn),
    SetData(SetDataTxn),
    Reconfig(SetDataTxn),
    SetAcl(SetAclTxn),
    Check(CheckVersionTxn),
    /// Any error among the ops means that none is applied.
    Multi(Vec<Txn>),
}

impl Txn {
    /// The type number that stands in its header.
    pub fn op(&self) -> Op {
        match self {
            Txn::CreateSession(_) => Op::CreateSession,
            Txn::CloseSession(_) => Op::CloseSession,
            Txn::Error(_) => Op::Error,
            Txn::Create(_) => Op::Create,
            Txn::Create2(_) => Op::Create2,
            Txn::CreateContainer(_) => Op::CreateContainer,
            Txn::CreateTtl(_) => Op::CreateTtl,
            Txn::Delete(_) => Op::Delete,
            Txn::DeleteContainer(_) => Op::DeleteContainer,
            Txn::SetData(_) => Op::SetData,
            Txn::Reconfig(_) => Op::Reconfig,
            Txn::SetAcl(_) => Op::SetAcl,
            Txn::Check(_) => Op::Check,
            Txn::Multi(_) => Op::Multi,
        }
    }

    /// Decodes the record of type `kind`.
    ///
    /// # Errors
    /// An unknown type, or bytes that do not decode.
    /// Source: `SerializeUtils.deserializeTxn`.
    pub fn read(kind: OpCode, r: &mut Reader) -> Result<Txn, DecodeError> {
        Ok(match kind.op() {
            Some(Op::CreateSession) => Txn::CreateSession(Wire::read(r)?),
            Some(Op::CloseSession) => Txn::CloseSession(read_close_session(r)?),
            Some(Op::Error) => Txn::Error(Wire::read(r)?),
            Some(Op::Create) => Txn::Create(read_create(r)?),
            Some(Op::Create2) => Txn::Create2(Wire::read(r)?),
            Some(Op::CreateContainer) => Txn::CreateContainer(Wire::read(r)?),
            Some(Op::CreateTtl) => Txn::CreateTtl(Wire::read(r)?),
            Some(Op::Delete) => Txn::Delete(Wire::read(r)?),
            Some(Op::DeleteContainer) => Txn::DeleteContainer(Wire::read(r)?),
            Some(Op::SetData) => Txn::SetData(Wire::read(r)?),
            Some(Op::Reconfig) => Txn::Reconfig(Wire::read(r)?),
            Some(Op::SetAcl) => Txn::SetAcl(Wire::read(r)?),
            Some(Op::Check) => Txn::Check(Wire::read(r)?),
            Some(Op::Multi) => Txn::Multi(read_multi(r)?),
            _ => return Err(DecodeError::from(Cause::Unknown(kind.0)).within("TxnHeader", "kind")),
        })
    }

    /// Appends the record without its header.
    pub fn write(&self, w: &mut Writer<'_>) {
        match self {
            Txn::CreateSession(t) => t.write(w),
            Txn::CloseSession(t) => t.iter().for_each(|t| t.write(w)),
            Txn::Error(t) => t.write(w),
            Txn::Create(t) | Txn::Create2(t) => t.write(w),
            Txn::CreateContainer(t) => t.write(w),
            Txn::CreateTtl(t) => t.write(w),
            Txn::Delete(t) | Txn::DeleteContainer(t) => t.write(w),
            Txn::SetData(t) | Txn::Reconfig(t) => t.write(w),
            Txn::SetAcl(t) => t.write(w),
            Txn::Check(t) => t.write(w),
            Txn::Multi(txns) => {
                w.i32(txns.len() as i32);
                for txn in txns {
                    w.i32(txn.op() as i32);
                    w.framed(|w| txn.write(w));
                }
            }
        }
    }
}

/// A create of 3.3 and before has no parent cversion.
fn read_create(r: &mut Reader) -> Result<CreateTxn, DecodeError> {
    let (path, data, acl, ephemeral) = (
        Wire::read(r)?,
        Wire::read(r)?,
        Wire::read(r)?,
        Wire::read(r)?,
    );
    let parent_cversion = if r.left() == 0 { -1 } else { r.i32()? };
    Ok(CreateTxn {
        path,
        data,
        acl,
        ephemeral,
        parent_cversion,
    })
}

/// The path list may be absent, with or without a digest behind it; a digest alone is 12 bytes and starts with its
/// version, 2, which could also begin a list of two paths, but those would need more bytes.
fn read_close_session(r: &mut Reader) -> Result<Option<CloseSessionTxn>, DecodeError> {
    if r.left() == 0 || (r.left() == DIGEST_SIZE && r.rest().starts_with(&[0, 0, 0, 2])) {
        return Ok(None);
    }
    Wire::read(r).map(Some)
}

fn read_multi(r: &mut Reader) -> Result<Vec<Txn>, DecodeError> {
    let stored = StoredMulti::read(r)?;
    let mut txns = Vec::new();
    for sub in stored.txns.unwrap_or_default() {
        let allowed = matches!(
            sub.kind.op(),
            Some(
                Op::Create
                    | Op::Create2
                    | Op::CreateContainer
                    | Op::CreateTtl
                    | Op::Delete
                    | Op::DeleteContainer
                    | Op::SetData
                    | Op::Check
                    | Op::Error
            )
        );
        if !allowed {
            return Err(DecodeError::from(Cause::Unknown(sub.kind.0)).within("SubTxn", "kind"));
        }
        let data = sub.data.unwrap_or_default();
        let limit = data.len();
        txns.push(Txn::read(sub.kind, &mut Reader::new(data, limit))?);
    }
    Ok(txns)
}

/// Bytes of a [`TxnDigest`].
const DIGEST_SIZE: usize = 12;

/// A transaction as it stands in a log record or a proposal: header, record, maybe a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedTxn {
    /// Who, when, and which position.
    pub header: TxnHeader,
    /// What.
    pub txn: Txn,
    /// What the tree hashes to afterwards, if the writer said so.
    pub digest: Option<TxnDigest>,
}

impl LoggedTxn {
    /// Decodes a payload; bytes behind what is understood are ignored, as newer versions append fields.
    ///
    /// # Errors
    /// An unknown type, or bytes that do not decode.
    /// Source: `SerializeUtils.deserializeTxn`.
    pub fn read(payload: Bytes) -> Result<LoggedTxn, DecodeError> {
        // Java's own limit would make a record it could write unreadable; what is there in full may be read.
        let limit = payload.len();
        let mut r = Reader::new(payload, limit);
        let header = TxnHeader::read(&mut r)?;
        let txn = Txn::read(header.kind, &mut r)?;
        let digest = if r.left() >= DIGEST_SIZE {
            Some(TxnDigest::read(&mut r)?)
        } else {
            None
        };
        Ok(LoggedTxn {
            header,
            txn,
            digest,
        })
    }

    /// The time in the header of a payload, in ms since 1970, without decoding the rest. None if it is too short.
    pub fn time_in(payload: &[u8]) -> Option<i64> {
        // Behind client, cxid and zxid.
        const AT: usize = 8 + 4 + 8;
        let bytes = payload.get(AT..)?.first_chunk()?;
        Some(i64::from_be_bytes(*bytes))
    }

    /// Appends the payload to `out`.
    pub fn write(&self, out: &mut BytesMut) {
        let mut w = Writer::for_file(out);
        self.header.write(&mut w);
        self.txn.write(&mut w);
        if let Some(digest) = &self.digest {
            digest.write(&mut w);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(txn: Txn, digest: Option<TxnDigest>) {
        let header = TxnHeader {
            client_id: 7,
            cxid: 1,
            zxid: 2,
            time: 3,
            kind: txn.op().into(),
        };
        let logged = LoggedTxn {
            header,
            txn,
            digest,
        };
        let mut out = BytesMut::new();
        logged.write(&mut out);
        assert_eq!(LoggedTxn::time_in(&out), Some(3));
        assert_eq!(LoggedTxn::time_in(&out[..27]), None);
        assert_eq!(LoggedTxn::read(out.freeze()), Ok(logged));
    }

    #[test]
    fn close_session_without_paths_keeps_its_digest() {
        let digest = Some(TxnDigest {
            version: 2,
            tree_digest: 0x0000_0001_4142_4344,
        });
        round_trip(Txn::CloseSession(None), digest.clone());
        round_trip(Txn::CloseSession(None), None);
        let paths = Some(vec!["/a".into(), "/b".into()]);
        round_trip(Txn::CloseSession(Some(CloseSessionTxn { paths })), digest);
    }

    #[test]
    fn a_multi_nests_its_records() {
        let delete = Txn::Delete(DeleteTxn {
            path: Some("/a".into()),
        });
        round_trip(
            Txn::Multi(vec![delete, Txn::Error(ErrorTxn { err: -2 })]),
            None,
        );
    }

    #[test]
    fn a_multi_inside_a_multi_is_refused() {
        let multi = Txn::Multi(vec![Txn::Multi(vec![])]);
        let header = TxnHeader {
            client_id: 7,
            cxid: 1,
            zxid: 2,
            time: 3,
            kind: multi.op().into(),
        };
        let mut out = BytesMut::new();
        LoggedTxn {
            header,
            txn: multi,
            digest: None,
        }
        .write(&mut out);
        assert!(LoggedTxn::read(out.freeze()).is_err());
    }
}
