//! A Java server's own log: the requests behind it, judged here, must give the same transactions
//! and digests.
//!
//! `java-3.9.5.log` is the first log file of a standalone server without the padding at its end. It
//! holds every type of transaction, refused ones, and a failed multi.

use super::*;
use jute::txn::CreateContainerTxn;

const LOG: &[u8] = include_bytes!("../testdata/java-3.9.5.log");
const FILE_HEADER: usize = 16;
const CHECKSUM: usize = 8;

fn records() -> Vec<LoggedTxn> {
    let mut rest = &LOG[FILE_HEADER..];
    let mut records = Vec::new();
    while let Some((length, tail)) = rest[CHECKSUM..].split_first_chunk() {
        let (payload, tail) = tail.split_at(i32::from_be_bytes(*length) as usize);
        records.push(LoggedTxn::read(Bytes::copy_from_slice(payload)).unwrap());
        rest = tail.strip_prefix(b"B").unwrap();
        if rest.is_empty() {
            break;
        }
    }
    records
}

/// A request that can lead to `txn`; sequential znodes are asked for by their final name.
fn request(txn: &Txn) -> WriteRequest {
    let flagged = |txn: &CreateTxn| CreateRequest {
        path: txn.path.clone(),
        data: txn.data.clone(),
        acl: txn.acl.clone(),
        flags: i32::from(txn.ephemeral),
    };
    match txn.clone() {
        Txn::Create(txn) => WriteRequest::Create(Op::Create, flagged(&txn)),
        Txn::Create2(txn) => WriteRequest::Create(Op::Create2, flagged(&txn)),
        Txn::CreateContainer(CreateContainerTxn {
            path, data, acl, ..
        }) => {
            let flags = 4;
            let request = CreateRequest {
                path,
                data,
                acl,
                flags,
            };
            WriteRequest::Create(Op::CreateContainer, request)
        }
        Txn::CreateTtl(txn) => WriteRequest::CreateTtl(CreateTtlRequest {
            path: txn.path,
            data: txn.data,
            acl: txn.acl,
            flags: 5,
            ttl: txn.ttl,
        }),
        Txn::Delete(txn) => WriteRequest::Delete(DeleteRequest {
            path: txn.path,
            version: -1,
        }),
        Txn::SetData(txn) => WriteRequest::SetData(SetDataRequest {
            path: txn.path,
            data: txn.data,
            version: txn.version - 1,
        }),
        Txn::SetAcl(txn) => WriteRequest::SetAcl(SetAclRequest {
            path: txn.path,
            acl: txn.acl,
            version: txn.version - 1,
        }),
        Txn::DeleteContainer(txn) => WriteRequest::DeleteContainer(txn.path.unwrap()),
        Txn::CreateSession(txn) => WriteRequest::CreateSession {
            timeout: txn.timeout,
        },
        Txn::CloseSession(_) => WriteRequest::CloseSession,
        Txn::Error(ErrorTxn { err: -110 }) => create("/a", 0),
        Txn::Error(ErrorTxn { err: -103 }) => set_data("/a", "", 99),
        Txn::Error(ErrorTxn { .. }) => set_data("/a", "", -1),
        Txn::Multi(txns) => multi_of(txns.iter().map(op).collect()),
        Txn::Check(_) | Txn::Reconfig(_) => panic!("{txn:?}"),
    }
}

fn op(txn: &Txn) -> MultiOp {
    if let Txn::Check(txn) = txn {
        return check(txn.path.as_ref().unwrap(), txn.version - 1);
    }
    let WriteRequest::Multi(mut one) = multi([request(txn)]) else {
        unreachable!()
    };
    one.ops.remove(0)
}

fn replay(pipelined: bool) {
    let options = TreeOptions {
        extended_types: true,
        ..TreeOptions::default()
    };
    let mut world = World::with(options, PrepOptions::default());
    let records = records();
    assert_eq!(records.len(), 33);
    for expected in records {
        let (zxid, now) = (Zxid(expected.header.zxid), WallMs(expected.header.time));
        let session = SessionId(expected.header.client_id);
        world.live.0.insert(session, false);
        let caller = Caller {
            session,
            cxid: expected.header.cxid,
            ids: &world.ids,
        };
        let request = request(&expected.txn);
        let got = world
            .prep
            .judge(&world.tree, &world.live, caller, &request, zxid, now);
        assert_eq!(got, expected, "{request:?}");
        world.queue.push_back(got);
        if !pipelined {
            world.apply_all();
        }
    }
    world.apply_all();
}

#[test]
fn judging_gives_the_transactions_and_digests_java_logged() {
    replay(false);
    replay(true);
}
