//! How long the commonest frames take to decode and encode.

#![allow(missing_docs)] // of what the macro makes

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, criterion_group, criterion_main};
use jute::data::{Acl, Id, Stat};
use jute::proto::{CreateRequest, GetDataResponse, MultiHeader, MultiRequest, ReplyHeader};
use jute::txn::{CreateTxn, LoggedTxn, Txn, TxnDigest, TxnHeader};
use jute::{ErrorCode, Op, Reader, Wire, Writer};

fn kilobyte() -> Option<Bytes> {
    Some(Bytes::from_static(&[7; 1024]))
}

fn open_acl() -> Option<Vec<Acl>> {
    let id = Id {
        scheme: Some("world".into()),
        id: Some("anyone".into()),
    };
    Some(vec![Acl { perms: 31, id }])
}

fn bytes_of(write: impl FnOnce(&mut Writer<'_>)) -> Bytes {
    let mut out = BytesMut::new();
    write(&mut Writer::for_client(&mut out));
    out.freeze()
}

fn decode(c: &mut Criterion) {
    let create = CreateRequest {
        path: Some("/services/orders/member-".into()),
        data: kilobyte(),
        acl: open_acl(),
        flags: 3,
    };
    let frame = bytes_of(|w| w.put(&create));
    c.bench_function("decode create of 1 KB", |b| {
        b.iter(|| CreateRequest::read(&mut Reader::new(black_box(frame.clone()), 1 << 20)));
    });
    let op = bytes_of(|w| {
        w.put(&MultiHeader {
            op: Op::Create.into(),
            done: false,
            err: -1,
        });
        w.put(&create);
    });
    let end = bytes_of(|w| w.put(&MultiHeader::END));
    let multi = Bytes::from([&op[..], &op, &op, &op, &end].concat());
    c.bench_function("decode multi of 4 creates", |b| {
        b.iter(|| MultiRequest::read(&mut Reader::new(black_box(multi.clone()), 1 << 20)));
    });
}

fn encode(c: &mut Criterion) {
    let reply = GetDataResponse {
        data: kilobyte(),
        stat: Stat::default(),
    };
    let header = ReplyHeader {
        xid: 1,
        zxid: 2,
        err: ErrorCode::OK,
    };
    let mut out = BytesMut::with_capacity(1 << 16);
    c.bench_function("encode reply of 1 KB", |b| {
        b.iter(|| {
            out.clear();
            Writer::for_client(&mut out).framed(|w| {
                w.put(black_box(&header));
                w.put(black_box(&reply));
            });
        });
    });
    let txn = CreateTxn {
        path: Some("/services/orders/member-0000000001".into()),
        data: kilobyte(),
        acl: open_acl(),
        ephemeral: true,
        parent_cversion: 2,
    };
    let logged = LoggedTxn {
        header: TxnHeader {
            kind: Op::Create.into(),
            ..TxnHeader::default()
        },
        txn: Txn::Create(txn),
        digest: Some(TxnDigest::default()),
    };
    c.bench_function("encode txn of 1 KB", |b| {
        b.iter(|| {
            out.clear();
            black_box(&logged).write(&mut out);
        });
    });
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
