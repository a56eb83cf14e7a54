//! multi: all ops or none.

use super::Case;
use jute::proto::{MultiOp, MultiRequest};
use jute::txn::{ErrorTxn, Txn};
use jute::{ErrorCode, Str};

impl Case<'_> {
    /// Every op sees what the earlier ones did. At the first failure nothing has happened: the
    /// earlier ops keep their form in the log, the failing one and the later ones become errors.
    ///
    /// # Errors
    /// `MARSHALLING_ERROR` as a whole if an op has no path or only reads, before any is judged, and
    /// where judging one meets it: Java's unexpected exceptions end the loop over the ops.
    /// Source: `PrepRequestProcessor.pRequestHelper`, `getPendingChanges` (which trips over a null
    /// path).
    pub(super) fn multi(&mut self, request: &MultiRequest) -> Result<Txn, ErrorCode> {
        if request
            .ops
            .iter()
            .any(|op| op.is_read() || path(op).is_none())
        {
            return Err(ErrorCode::MARSHALLING_ERROR);
        }
        self.pending.begin(self.tree);
        let mut txns = Vec::with_capacity(request.ops.len());
        for op in &request.ops {
            match self.judge_op(op) {
                Ok(txn) => txns.push(txn),
                Err(ErrorCode::MARSHALLING_ERROR) => {
                    self.pending.roll_back();
                    return Err(ErrorCode::MARSHALLING_ERROR);
                }
                Err(code) => {
                    self.pending.roll_back();
                    txns.push(error(code));
                    txns.resize(request.ops.len(), error(ErrorCode::RUNTIME_INCONSISTENCY));
                    return Ok(Txn::Multi(txns));
                }
            }
        }
        self.pending.commit();
        Ok(Txn::Multi(txns))
    }

    fn judge_op(&mut self, op: &MultiOp) -> Result<Txn, ErrorCode> {
        match op {
            MultiOp::Create(op, request) => self.create((*op, request).into()),
            MultiOp::CreateTtl(request) => self.create(request.into()),
            MultiOp::Delete(request) => self.delete(request),
            MultiOp::SetData(request) => self.set_data(request),
            MultiOp::Check(request) => self.check(request),
            MultiOp::GetData(_) | MultiOp::GetChildren(_) => Err(ErrorCode::MARSHALLING_ERROR),
        }
    }
}

fn path(op: &MultiOp) -> Option<&Str> {
    match op {
        MultiOp::Create(_, request) => request.path.as_ref(),
        MultiOp::CreateTtl(request) => request.path.as_ref(),
        MultiOp::Delete(request) => request.path.as_ref(),
        MultiOp::SetData(request) => request.path.as_ref(),
        MultiOp::Check(request) => request.path.as_ref(),
        MultiOp::GetData(path) | MultiOp::GetChildren(path) => path.as_ref(),
    }
}

fn error(code: ErrorCode) -> Txn {
    Txn::Error(ErrorTxn { err: code.0 })
}
