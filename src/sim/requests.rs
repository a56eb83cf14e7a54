//! What clients ask for: a small world of paths, so that requests meet.

use bytes::Bytes;
use jute::data::{Acl, Id};
use jute::proto::{
    CheckVersionRequest, CreateRequest, DeleteRequest, MultiOp, MultiRequest, SetAclRequest,
    SetDataRequest, WatchableRequest,
};
use jute::{Op, Str};
use rand::Rng;
use rand::rngs::SmallRng;

use super::check::watches::Watched;
use super::plan::pick;
use crate::prep::WriteRequest;
use crate::replica::request::{ReadRequest, Request};

/// Folders that exist from the beginning on.
pub(super) const FOLDERS: [&str; 3] = ["/a", "/b", "/c"];

/// What a client remembers of a request that it has sent.
#[derive(Clone, Debug)]
pub(super) enum What {
    Write,
    Close,
    Ping,
    Sync,
    Read {
        kind: ReadKind,
        path: String,
        watch: bool,
    },
    SetWatches {
        since: i64,
    },
}

/// What a read looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadKind {
    Exists,
    Data,
    Children,
}

impl ReadKind {
    /// What its watch is on, given whether the znode is there.
    pub(super) fn watched(self, there: bool) -> Option<Watched> {
        match (self, there) {
            (ReadKind::Exists, false) => Some(Watched::Exists),
            (ReadKind::Exists | ReadKind::Data, true) => Some(Watched::Data),
            (ReadKind::Children, true) => Some(Watched::Children),
            (_, false) => None,
        }
    }
}

fn text(path: &str) -> Option<Str> {
    Some(path.into())
}

pub(super) fn anyone() -> Option<Vec<Acl>> {
    let id = Id {
        scheme: text("world"),
        id: text("anyone"),
    };
    Some(vec![Acl { perms: 31, id }])
}

pub(super) fn create(op: Op, path: &str, data: &[u8], flags: i32) -> CreateRequest {
    let _ = op;
    CreateRequest {
        path: text(path),
        data: Some(Bytes::copy_from_slice(data)),
        acl: anyone(),
        flags,
    }
}

fn some_path(rng: &mut SmallRng) -> String {
    let folder = *pick(rng, &FOLDERS);
    match rng.random_range(0..10) {
        0 => folder.to_owned(),
        1 => format!("{folder}/k{}/x", rng.random_range(0..2)),
        _ => format!("{folder}/k{}", rng.random_range(0..4)),
    }
}

fn some_data(rng: &mut SmallRng) -> Vec<u8> {
    let length = *pick(rng, &[0, 3, 20, 200]);
    (0..length).map(|_| rng.random()).collect()
}

const EPHEMERAL: i32 = 1;
const SEQUENTIAL: i32 = 2;

/// Some write.
pub(super) fn some_write(rng: &mut SmallRng) -> Request {
    let path = some_path(rng);
    Request::Write(match rng.random_range(0..20) {
        0..4 => some_create(rng, &path, 0),
        4..6 => some_create(rng, &path, EPHEMERAL),
        6 => some_create(rng, &format!("{path}-"), SEQUENTIAL),
        7 => some_create(rng, &format!("{path}-"), SEQUENTIAL | EPHEMERAL),
        8 => WriteRequest::Create(
            Op::CreateContainer,
            create(Op::CreateContainer, &path, b"", 4),
        ),
        9..11 => WriteRequest::Delete(DeleteRequest {
            path: text(&path),
            version: -1,
        }),
        11 => WriteRequest::SetAcl(SetAclRequest {
            path: text(&path),
            acl: anyone(),
            version: -1,
        }),
        12..14 => WriteRequest::Multi(some_multi(rng)),
        _ => WriteRequest::SetData(SetDataRequest {
            path: text(&path),
            data: Some(some_data(rng).into()),
            version: *pick(rng, &[-1, -1, -1, 0, 1, 2]),
        }),
    })
}

fn some_create(rng: &mut SmallRng, path: &str, flags: i32) -> WriteRequest {
    let op = *pick(rng, &[Op::Create, Op::Create2]);
    WriteRequest::Create(op, create(op, path, &some_data(rng), flags))
}

fn some_multi(rng: &mut SmallRng) -> MultiRequest {
    let ops = (0..rng.random_range(1..4)).map(|_| {
        let path = some_path(rng);
        match rng.random_range(0..5) {
            0 => MultiOp::Create(Op::Create, create(Op::Create, &path, b"m", 0)),
            1 => MultiOp::Create(Op::Create2, create(Op::Create2, &path, b"e", EPHEMERAL)),
            2 => MultiOp::Delete(DeleteRequest {
                path: text(&path),
                version: -1,
            }),
            3 => MultiOp::SetData(SetDataRequest {
                path: text(&path),
                data: Some(some_data(rng).into()),
                version: -1,
            }),
            _ => MultiOp::Check(CheckVersionRequest {
                path: text(&path),
                version: *pick(rng, &[-1, 0, 1]),
            }),
        }
    });
    MultiRequest { ops: ops.collect() }
}

/// Some read, with a watch or without.
pub(super) fn some_read(rng: &mut SmallRng) -> (What, Request) {
    let path = some_path(rng);
    let watch = rng.random_bool(0.3);
    let kind = *pick(rng, &[ReadKind::Exists, ReadKind::Data, ReadKind::Children]);
    let request = WatchableRequest {
        path: text(&path),
        watch,
    };
    let request = match kind {
        ReadKind::Exists => ReadRequest::Exists(request),
        ReadKind::Data => ReadRequest::GetData(request),
        ReadKind::Children => ReadRequest::GetChildren2(request),
    };
    (What::Read { kind, path, watch }, Request::Read(request))
}
