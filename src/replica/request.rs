//! Requests as the server sees them: decoded, and sorted by what may serve them.

use jute::proto::{AddWatchRequest, MultiRequest, SetWatches2, WatchableRequest, WatchesRequest};
use jute::{Op, Str};

use crate::prep::WriteRequest;

/// A client's request after its header, decoded on the connection that received it.
#[derive(Debug)]
pub enum Request {
    /// Served from the tree, in the session's order.
    Read(ReadRequest),
    /// Judged, ordered, logged and applied.
    Write(WriteRequest),
}

/// A request that orders nothing.
#[derive(Debug)]
#[allow(missing_docs)] // the names are the operations'
pub enum ReadRequest {
    Ping,
    Exists(WatchableRequest),
    GetData(WatchableRequest),
    GetChildren(WatchableRequest),
    GetChildren2(WatchableRequest),
    GetAcl(Option<Str>),
    GetAllChildrenNumber(Option<Str>),
    GetEphemerals(Option<Str>),
    Sync(Option<Str>),
    MultiRead(MultiRequest),
    SetWatches(SetWatches2),
    /// The same with persistent lists; kept apart for statistics only.
    SetWatches2(SetWatches2),
    AddWatch(AddWatchRequest),
    CheckWatches(WatchesRequest),
    RemoveWatches(WatchesRequest),
    WhoAmI,
    /// It waited too long for its turn: answered with THROTTLEDOP in the session's order.
    Throttled,
    /// A body that does not decode: answered with MARSHALLINGERROR in the session's order. Keeps
    /// the op for statistics.
    Undecodable(Op),
    /// An op nobody knows: answered with UNIMPLEMENTED, then the connection closes.
    Unknown(i32),
}

/// Four letters for an operation, as the `cons` command prints them.
///
/// Source: `FinalRequestProcessor.processRequest`, `lastOp`.
pub fn short_name(op: Op) -> &'static str {
    match op {
        Op::CreateSession => "SESS",
        Op::Ping => "PING",
        Op::Create | Op::Create2 | Op::CreateTtl | Op::CreateContainer => "CREA",
        Op::Delete | Op::DeleteContainer => "DELE",
        Op::SetData => "SETD",
        Op::Reconfig => "RECO",
        Op::SetAcl => "SETA",
        Op::CloseSession => "CLOS",
        Op::Sync => "SYNC",
        Op::Check => "CHEC",
        Op::Exists => "EXIS",
        Op::GetData => "GETD",
        Op::SetWatches => "SETW",
        Op::SetWatches2 => "STW2",
        Op::AddWatch => "ADDW",
        Op::GetAcl => "GETA",
        Op::GetChildren | Op::GetChildren2 => "GETC",
        Op::GetAllChildrenNumber => "GETACN",
        Op::CheckWatches => "CHKW",
        Op::RemoveWatches => "REMW",
        Op::WhoAmI => "HOMI",
        Op::GetEphemerals => "GETE",
        Op::Multi => "MULT",
        Op::MultiRead => "MLTR",
        Op::Notification | Op::Auth | Op::Sasl | Op::Error => "NA",
    }
}

impl ReadRequest {
    /// Whether serving it may be far more work than one lookup.
    pub fn is_heavy(&self) -> bool {
        matches!(
            self,
            ReadRequest::GetChildren(_)
                | ReadRequest::GetChildren2(_)
                | ReadRequest::GetAllChildrenNumber(_)
                | ReadRequest::GetEphemerals(_)
                | ReadRequest::MultiRead(_)
                | ReadRequest::SetWatches(_)
                | ReadRequest::SetWatches2(_)
        )
    }

    /// The path it is about, if it names just one.
    pub fn path(&self) -> Option<&str> {
        match self {
            ReadRequest::Exists(request)
            | ReadRequest::GetData(request)
            | ReadRequest::GetChildren(request)
            | ReadRequest::GetChildren2(request) => request.path.as_deref(),
            ReadRequest::GetAcl(path)
            | ReadRequest::GetAllChildrenNumber(path)
            | ReadRequest::GetEphemerals(path)
            | ReadRequest::Sync(path) => path.as_deref(),
            ReadRequest::AddWatch(request) => request.path.as_deref(),
            ReadRequest::CheckWatches(request) | ReadRequest::RemoveWatches(request) => {
                request.path.as_deref()
            }
            _ => None,
        }
    }

    /// The operation, None for one without a name.
    pub fn op(&self) -> Option<Op> {
        Some(match self {
            ReadRequest::Ping => Op::Ping,
            ReadRequest::Exists(_) => Op::Exists,
            ReadRequest::GetData(_) => Op::GetData,
            ReadRequest::GetChildren(_) => Op::GetChildren,
            ReadRequest::GetChildren2(_) => Op::GetChildren2,
            ReadRequest::GetAcl(_) => Op::GetAcl,
            ReadRequest::GetAllChildrenNumber(_) => Op::GetAllChildrenNumber,
            ReadRequest::GetEphemerals(_) => Op::GetEphemerals,
            ReadRequest::Sync(_) => Op::Sync,
            ReadRequest::MultiRead(_) => Op::MultiRead,
            ReadRequest::SetWatches(_) => Op::SetWatches,
            ReadRequest::SetWatches2(_) => Op::SetWatches2,
            ReadRequest::AddWatch(_) => Op::AddWatch,
            ReadRequest::CheckWatches(_) => Op::CheckWatches,
            ReadRequest::RemoveWatches(_) => Op::RemoveWatches,
            ReadRequest::WhoAmI => Op::WhoAmI,
            ReadRequest::Undecodable(op) => *op,
            ReadRequest::Throttled | ReadRequest::Unknown(_) => return None,
        })
    }
}
