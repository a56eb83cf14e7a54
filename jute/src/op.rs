//! Operation numbers: open on the wire, closed in names.

use crate::{DecodeError, Reader, Wire, Writer};

/// The number a client sent as its operation; any number decodes.
/// Source: `ZooDefs.OpCode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OpCode(pub i32);

/// An operation or transaction type with a name.
/// Source: `ZooDefs.OpCode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[allow(missing_docs)] // the names are the field's own
pub enum Op {
    Notification = 0,
    Create = 1,
    Delete = 2,
    Exists = 3,
    GetData = 4,
    SetData = 5,
    GetAcl = 6,
    SetAcl = 7,
    GetChildren = 8,
    Sync = 9,
    Ping = 11,
    GetChildren2 = 12,
    Check = 13,
    Multi = 14,
    Create2 = 15,
    Reconfig = 16,
    CheckWatches = 17,
    RemoveWatches = 18,
    CreateContainer = 19,
    DeleteContainer = 20,
    CreateTtl = 21,
    MultiRead = 22,
    Auth = 100,
    SetWatches = 101,
    Sasl = 102,
    GetEphemerals = 103,
    GetAllChildrenNumber = 104,
    SetWatches2 = 105,
    AddWatch = 106,
    WhoAmI = 107,
    CreateSession = -10,
    CloseSession = -11,
    Error = -1,
}

impl OpCode {
    /// The operation, if the number has a name.
    pub fn op(self) -> Option<Op> {
        Some(match self.0 {
            0 => Op::Notification,
            1 => Op::Create,
            2 => Op::Delete,
            3 => Op::Exists,
            4 => Op::GetData,
            5 => Op::SetData,
            6 => Op::GetAcl,
            7 => Op::SetAcl,
            8 => Op::GetChildren,
            9 => Op::Sync,
            11 => Op::Ping,
            12 => Op::GetChildren2,
            13 => Op::Check,
            14 => Op::Multi,
            15 => Op::Create2,
            16 => Op::Reconfig,
            17 => Op::CheckWatches,
            18 => Op::RemoveWatches,
            19 => Op::CreateContainer,
            20 => Op::DeleteContainer,
            21 => Op::CreateTtl,
            22 => Op::MultiRead,
            100 => Op::Auth,
            101 => Op::SetWatches,
            102 => Op::Sasl,
            103 => Op::GetEphemerals,
            104 => Op::GetAllChildrenNumber,
            105 => Op::SetWatches2,
            106 => Op::AddWatch,
            107 => Op::WhoAmI,
            -10 => Op::CreateSession,
            -11 => Op::CloseSession,
            -1 => Op::Error,
            _ => return None,
        })
    }
}

impl From<Op> for OpCode {
    fn from(op: Op) -> Self {
        OpCode(op as i32)
    }
}

impl Wire for OpCode {
    fn read(r: &mut Reader) -> Result<Self, DecodeError> {
        r.i32().map(OpCode)
    }
    fn write(&self, w: &mut Writer<'_>) {
        w.i32(self.0);
    }
    fn size(&self) -> usize {
        4
    }
}
