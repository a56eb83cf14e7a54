//! setData, setACL, and check inside a multi.

use super::create::{len, share};
use super::pending::key;
use super::{Case, next_version};
use crate::auth::perms;
use crate::base::path;
use crate::tree::digest;
use jute::proto::{CheckVersionRequest, SetAclRequest, SetDataRequest};
use jute::txn::{CheckVersionTxn, SetAclTxn, SetDataTxn, Txn};
use jute::{ErrorCode, Str};

impl Case<'_> {
    pub(super) fn set_data(&mut self, request: &SetDataRequest) -> Result<Txn, ErrorCode> {
        self.check_session()?;
        let path = valid(request.path.as_ref())?;
        let mut record = self.get(path)?;
        self.check_acl(&record.acl, perms::WRITE)?;
        let (before, after) = (record.data_len, len(&request.data));
        self.check_quota(path, i64::from(after) - i64::from(before), 0)?;
        let version = next_version(record.stat.version, request.version)?;

        let key = key(path);
        record.stat.version = version;
        record.stat.mtime = self.now.0;
        record.stat.mzxid = self.zxid.0;
        record.data_len = after;
        if self.tree.options().digest {
            record.crc = digest::path_data_crc(&key, request.data.as_deref());
        }
        self.put(key, record);
        Ok(Txn::SetData(SetDataTxn {
            path: Some(path.clone()),
            data: request.data.clone(),
            version,
        }))
    }

    pub(super) fn set_acl(&mut self, request: &SetAclRequest) -> Result<Txn, ErrorCode> {
        self.check_session()?;
        let path = valid(request.path.as_ref())?;
        let acl = self.fix_up(request.acl.as_deref())?;
        let mut record = self.get(path)?;
        self.check_acl(&record.acl, perms::ADMIN)?;
        let version = next_version(record.stat.aversion, request.version)?;

        record.stat.aversion = version;
        record.acl = share(&acl, &record.acl);
        self.put(key(path), record);
        Ok(Txn::SetAcl(SetAclTxn {
            path: Some(path.clone()),
            acl: Some(acl),
            version,
        }))
    }

    pub(super) fn check(&mut self, request: &CheckVersionRequest) -> Result<Txn, ErrorCode> {
        self.check_session()?;
        let path = valid(request.path.as_ref())?;
        let record = self.get(path)?;
        self.check_acl(&record.acl, perms::READ)?;
        let version = next_version(record.stat.version, request.version)?;
        Ok(Txn::Check(CheckVersionTxn {
            path: Some(path.clone()),
            version,
        }))
    }
}

/// Unlike create and delete, these see a null path as an invalid one.
fn valid(path: Option<&Str>) -> Result<&Str, ErrorCode> {
    path.filter(|path| path::is_valid(path))
        .ok_or(ErrorCode::BAD_ARGUMENTS)
}
