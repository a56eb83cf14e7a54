//! The operations.

use jute::data::{Acl, ClientInfo, Id, Stat};
use jute::proto::*;
use jute::{Buffer, DecodeError, ErrorCode, Op, Reader, Str, Wire};

use super::error::Error;
use super::path::check_path;
use super::session::Client;
use super::watches::{Change, RemoveKind, WatchMode};

/// What kind of znode create makes. Source: `CreateMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateMode {
    /// Stays until deleted.
    Persistent,
    /// Goes with its session.
    Ephemeral,
    /// Stays; the server appends a number to its name.
    PersistentSequential,
    /// Goes with its session; the server appends a number to its name.
    EphemeralSequential,
    /// Goes some time after its last child.
    Container,
    /// Goes when it had no children and no change for as many ms.
    Ttl(i64),
    /// As [`CreateMode::Ttl`]; the server appends a number to its name.
    SequentialTtl(i64),
}

impl CreateMode {
    /// The number on the wire.
    pub fn flags(self) -> i32 {
        match self {
            CreateMode::Persistent => 0,
            CreateMode::Ephemeral => 1,
            CreateMode::PersistentSequential => 2,
            CreateMode::EphemeralSequential => 3,
            CreateMode::Container => 4,
            CreateMode::Ttl(_) => 5,
            CreateMode::SequentialTtl(_) => 6,
        }
    }

    /// Whether the server appends a number.
    pub fn is_sequential(self) -> bool {
        matches!(
            self,
            CreateMode::PersistentSequential
                | CreateMode::EphemeralSequential
                | CreateMode::SequentialTtl(_)
        )
    }

    fn op(self) -> Op {
        match self {
            CreateMode::Container => Op::CreateContainer,
            CreateMode::Ttl(_) | CreateMode::SequentialTtl(_) => Op::CreateTtl,
            _ => Op::Create2,
        }
    }
}

/// Everybody may do everything.
pub fn open_acl() -> Vec<Acl> {
    vec![Acl {
        perms: 31,
        id: Id {
            scheme: Some(Str::from_static("world")),
            id: Some(Str::from_static("anyone")),
        },
    }]
}

/// Where servers keep the ensemble's configuration, whatever the chroot.
const CONFIG_PATH: &str = "/zookeeper/config";

/// Paths are as the caller sees them: below the chroot, which is added and taken off. Every operation can end with
/// [`Error::ConnectionLoss`], [`Error::SessionExpired`], [`Error::AuthFailed`], [`Error::Closed`] or
/// [`Error::BadReply`]; a version of -1 stands for any.
impl Client {
    /// Creates a znode; the answer has its path, which a sequential mode decides.
    ///
    /// # Errors
    /// `NODE_EXISTS`, `NO_NODE` (no parent), `NO_AUTH`, `INVALID_ACL`, `NO_CHILDREN_FOR_EPHEMERALS`,
    /// `QUOTA_EXCEEDED`, `UNIMPLEMENTED` (TTL where the server has none).
    pub async fn create(
        &self,
        path: &str,
        data: Buffer,
        acl: &[Acl],
        mode: CreateMode,
    ) -> Result<Create2Response, Error> {
        match mode.is_sequential() {
            true => check_path(&format!("{path}1"))?,
            false => check_path(path)?,
        }
        let request = CreateRequest {
            path: Some(self.outward(path)),
            data,
            acl: Some(acl.to_vec()),
            flags: mode.flags(),
        };
        let reply = self.call(mode.op(), None, |w| {
            w.put(&request);
            if let CreateMode::Ttl(ttl) | CreateMode::SequentialTtl(ttl) = mode {
                w.i64(ttl);
            }
        });
        let mut created: Create2Response = decode(reply.await?)?;
        created.path = created.path.map(|path| self.inward(&path));
        Ok(created)
    }

    /// Deletes a znode without children.
    ///
    /// # Errors
    /// `NO_NODE`, `NOT_EMPTY`, `BAD_VERSION`, `NO_AUTH`.
    pub async fn delete(&self, path: &str, version: i32) -> Result<(), Error> {
        let request = DeleteRequest {
            path: Some(self.checked(path)?),
            version,
        };
        nothing(self.call(Op::Delete, None, |w| w.put(&request)).await?)
    }

    /// The znode's Stat; None where there is none, which a watch then waits for.
    ///
    /// # Errors
    /// `NO_AUTH`.
    pub async fn exists(&self, path: &str, watch: bool) -> Result<Option<Stat>, Error> {
        let path = self.checked(path)?;
        let change = watch.then(|| Change::Exists(path.clone()));
        match self.watchable(Op::Exists, path, change).await {
            Ok(reply) => Ok(Some(decode::<StatResponse>(reply)?.stat)),
            Err(Error::Server(ErrorCode::NO_NODE)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The znode's data.
    ///
    /// # Errors
    /// `NO_NODE`, `NO_AUTH`.
    pub async fn get_data(&self, path: &str, watch: bool) -> Result<GetDataResponse, Error> {
        let path = self.checked(path)?;
        let change = watch.then(|| Change::Data(path.clone()));
        decode(self.watchable(Op::GetData, path, change).await?)
    }

    /// Replaces the znode's data.
    ///
    /// # Errors
    /// `NO_NODE`, `BAD_VERSION`, `NO_AUTH`, `QUOTA_EXCEEDED`.
    pub async fn set_data(&self, path: &str, data: Buffer, version: i32) -> Result<Stat, Error> {
        let request = SetDataRequest {
            path: Some(self.checked(path)?),
            data,
            version,
        };
        let reply = self.call(Op::SetData, None, |w| w.put(&request)).await?;
        Ok(decode::<StatResponse>(reply)?.stat)
    }

    /// Names of the znode's children, in no order, and its Stat.
    ///
    /// # Errors
    /// `NO_NODE`, `NO_AUTH`.
    pub async fn get_children(
        &self,
        path: &str,
        watch: bool,
    ) -> Result<GetChildren2Response, Error> {
        let path = self.checked(path)?;
        let change = watch.then(|| Change::Child(path.clone()));
        decode(self.watchable(Op::GetChildren2, path, change).await?)
    }

    /// The znode's ACL.
    ///
    /// # Errors
    /// `NO_NODE`, `NO_AUTH`.
    pub async fn get_acl(&self, path: &str) -> Result<GetAclResponse, Error> {
        decode(self.path_request(Op::GetAcl, self.checked(path)?).await?)
    }

    /// Replaces the znode's ACL; `version` is of the ACL.
    ///
    /// # Errors
    /// `NO_NODE`, `BAD_VERSION`, `NO_AUTH`, `INVALID_ACL`.
    pub async fn set_acl(&self, path: &str, acl: &[Acl], version: i32) -> Result<Stat, Error> {
        let request = SetAclRequest {
            path: Some(self.checked(path)?),
            acl: Some(acl.to_vec()),
            version,
        };
        let reply = self.call(Op::SetAcl, None, |w| w.put(&request)).await?;
        Ok(decode::<StatResponse>(reply)?.stat)
    }

    /// Waits until this server has caught up with the leader.
    ///
    /// # Errors
    /// `NOT_READ_ONLY`.
    pub async fn sync(&self, path: &str) -> Result<(), Error> {
        let reply = self.path_request(Op::Sync, self.checked(path)?).await?;
        decode::<PathResponse>(reply).map(|_| ())
    }

    /// All of `ops` or none; the results say which one failed. Paths in `ops` are the caller's.
    ///
    /// # Errors
    /// Only where the request as a whole is refused; the failure of an op is [`MultiResult::Error`].
    pub async fn multi(&self, ops: Vec<MultiOp>) -> Result<Vec<MultiResult>, Error> {
        self.many(Op::Multi, ops).await
    }

    /// Each of `ops`, which read, on its own, in one round trip. Paths in `ops` are the caller's.
    ///
    /// # Errors
    /// As [`Client::multi`].
    pub async fn multi_read(&self, ops: Vec<MultiOp>) -> Result<Vec<MultiResult>, Error> {
        self.many(Op::MultiRead, ops).await
    }

    /// Watches until [`Client::remove_watches`], whether there is a znode or not.
    ///
    /// # Errors
    /// Of the connection only.
    pub async fn add_watch(&self, path: &str, mode: WatchMode) -> Result<(), Error> {
        let path = self.checked(path)?;
        let request = AddWatchRequest {
            path: Some(path.clone()),
            mode: match mode {
                WatchMode::Persistent => 0,
                WatchMode::PersistentRecursive => 1,
            },
        };
        let change = Some(Change::Add(path, mode));
        let reply = self.call(Op::AddWatch, change, |w| w.put(&request)).await?;
        decode::<ErrorResponse>(reply).map(|_| ())
    }

    /// Takes watches off a path; an event tells of each kind. With `local` they go even if the server cannot be
    /// reached.
    ///
    /// # Errors
    /// `NO_WATCHER`.
    pub async fn remove_watches(
        &self,
        path: &str,
        kind: RemoveKind,
        local: bool,
    ) -> Result<(), Error> {
        let path = self.checked(path)?;
        let request = WatchesRequest {
            path: Some(path.clone()),
            kind: kind as i32,
        };
        let change = Some(Change::Remove { path, kind, local });
        self.call(Op::RemoveWatches, change, |w| w.put(&request))
            .await
            .map(|_| ())
    }

    /// This session's ephemeral znodes whose path begins with `prefix`. Differs from the other operations: prefix and
    /// answer are the server's paths, whatever the chroot, as in Java.
    ///
    /// # Errors
    /// Of the connection only.
    pub async fn get_ephemerals(&self, prefix: &str) -> Result<Vec<Str>, Error> {
        check_path(prefix)?;
        let reply = self.path_request(Op::GetEphemerals, prefix.into()).await?;
        Ok(decode::<NamesResponse>(reply)?.names.unwrap_or_default())
    }

    /// Number of znodes below the path.
    ///
    /// # Errors
    /// `NO_NODE`, `NO_AUTH`.
    pub async fn get_all_children_number(&self, path: &str) -> Result<i32, Error> {
        let path = self.checked(path)?;
        let reply = self.path_request(Op::GetAllChildrenNumber, path).await?;
        Ok(decode::<GetAllChildrenNumberResponse>(reply)?.total_number)
    }

    /// Who the server takes this connection for.
    ///
    /// # Errors
    /// Of the connection only.
    pub async fn who_am_i(&self) -> Result<Vec<ClientInfo>, Error> {
        let reply = self.call(Op::WhoAmI, None, |_| {}).await?;
        let who: WhoAmIResponse = decode(reply)?;
        Ok(who.client_info.unwrap_or_default())
    }

    /// The ensemble's configuration.
    ///
    /// # Errors
    /// `NO_NODE` (servers before 3.5), `NO_AUTH`.
    pub async fn get_config(&self, watch: bool) -> Result<GetDataResponse, Error> {
        let path = Str::from_static(CONFIG_PATH);
        let change = watch.then(|| Change::Data(path.clone()));
        decode(self.watchable(Op::GetData, path, change).await?)
    }

    /// Changes the ensemble; the answer is the new configuration.
    ///
    /// # Errors
    /// `RECONFIG_DISABLED`, `UNIMPLEMENTED` (standalone), `RECONFIG_IN_PROGRESS`, `BAD_VERSION`, `BAD_ARGUMENTS`,
    /// `NEW_CONFIG_NO_QUORUM`, `NO_AUTH`.
    pub async fn reconfig(&self, request: &ReconfigRequest) -> Result<GetDataResponse, Error> {
        decode(self.call(Op::Reconfig, None, |w| w.put(request)).await?)
    }

    fn outward(&self, path: &str) -> Str {
        self.inner.servers.chroot.outward(path).into()
    }

    fn inward(&self, path: &Str) -> Str {
        self.inner.servers.chroot.inward(path)
    }

    fn checked(&self, path: &str) -> Result<Str, Error> {
        check_path(path)?;
        Ok(self.outward(path))
    }

    async fn watchable(&self, op: Op, path: Str, change: Option<Change>) -> Result<Reader, Error> {
        let watch = change.is_some();
        let path = Some(path);
        self.call(op, change, |w| w.put(&WatchableRequest { path, watch }))
            .await
    }

    async fn path_request(&self, op: Op, path: Str) -> Result<Reader, Error> {
        let path = Some(path);
        self.call(op, None, |w| w.put(&PathRequest { path })).await
    }

    async fn many(&self, op: Op, mut ops: Vec<MultiOp>) -> Result<Vec<MultiResult>, Error> {
        for op in &mut ops {
            let path = path_of(op);
            *path = path.as_ref().map(|path| self.outward(path));
        }
        let request = MultiRequest { ops };
        let mut reply = self.call(op, None, |w| request.write(w)).await?;
        let response = MultiResponse::read(&mut reply).map_err(Error::BadReply)?;
        nothing(reply)?;
        let mut results = response.results;
        for result in &mut results {
            if let MultiResult::Create(path) | MultiResult::Create2(Create2Response { path, .. }) =
                result
            {
                *path = path.as_ref().map(|path| self.inward(path));
            }
        }
        Ok(results)
    }
}

fn path_of(op: &mut MultiOp) -> &mut Option<Str> {
    match op {
        MultiOp::Create(_, request) => &mut request.path,
        MultiOp::CreateTtl(request) => &mut request.path,
        MultiOp::Delete(request) => &mut request.path,
        MultiOp::SetData(request) => &mut request.path,
        MultiOp::Check(request) => &mut request.path,
        MultiOp::GetData(path) | MultiOp::GetChildren(path) => path,
    }
}

fn decode<T: Wire>(mut reply: Reader) -> Result<T, Error> {
    let read = |reply: &mut Reader| -> Result<T, DecodeError> {
        let value = T::read(reply)?;
        reply.finish()?;
        Ok(value)
    };
    read(&mut reply).map_err(Error::BadReply)
}

fn nothing(reply: Reader) -> Result<(), Error> {
    reply.finish().map_err(Error::BadReply)
}
