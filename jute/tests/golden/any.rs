//! Any value of every record.

use bytes::Bytes;
use jute::data::*;
use jute::persist::*;
use jute::proto::*;
use jute::quorum::*;
use jute::txn::*;
use jute::{Buffer, ErrorCode, OpCode, Str};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// A type all of whose values can be made.
pub trait Any: Sized {
    /// Any of them, small ones rather than large ones.
    fn any() -> BoxedStrategy<Self>;
}

macro_rules! primitives {
    ($($type:ty),*) => {$(
        impl Any for $type {
            fn any() -> BoxedStrategy<Self> {
                any::<$type>().boxed()
            }
        }
    )*};
}

primitives!(i32, i64, bool);

impl Any for Str {
    fn any() -> BoxedStrategy<Self> {
        ".{0,12}".prop_map(|text| Str::from(text.as_str())).boxed()
    }
}

impl Any for Option<Str> {
    fn any() -> BoxedStrategy<Self> {
        option::of(Str::any()).boxed()
    }
}

impl Any for Buffer {
    fn any() -> BoxedStrategy<Self> {
        option::of(vec(any::<u8>(), 0..20).prop_map(Bytes::from)).boxed()
    }
}

impl<T: Any + std::fmt::Debug + 'static> Any for Option<Vec<T>> {
    fn any() -> BoxedStrategy<Self> {
        option::of(vec(T::any(), 0..4)).boxed()
    }
}

impl Any for OpCode {
    fn any() -> BoxedStrategy<Self> {
        any::<i32>().prop_map(OpCode).boxed()
    }
}

impl Any for ErrorCode {
    fn any() -> BoxedStrategy<Self> {
        any::<i32>().prop_map(ErrorCode).boxed()
    }
}

impl Any for ConnectRequest {
    fn any() -> BoxedStrategy<Self> {
        // Without the last byte, one that follows would be taken for it.
        (ConnectFields::any(), any::<bool>())
            .prop_map(|(fields, read_only)| ConnectRequest {
                fields,
                read_only: Some(read_only),
            })
            .boxed()
    }
}

/// Records by their fields; a field that is forgotten does not compile.
macro_rules! records {
    ($($name:ident { $($field:ident),* })*) => {
        $(impl Any for $name {
            fn any() -> BoxedStrategy<Self> {
                // One by one: tuples end at twelve.
                let strategy = Just($name::default()).boxed();
                $(let strategy = (strategy, Any::any())
                    .prop_map(|(mut record, $field): ($name, _)| {
                        record.$field = $field;
                        record
                    })
                    .boxed();)*
                strategy
            }
        }
        const _: fn($name) = |record| {
            let $name { $($field: _),* } = record;
        };)*

        macro_rules! for_each_record {
            ($each:ident) => {{
                use jute::{data::*, persist::*, proto::*, quorum::*, txn::*};
                $each!(ConnectRequest, $($name),*);
            }};
        }
        pub(crate) use for_each_record;
    };
}

records! {
    Id { scheme, id }
    Acl { perms, id }
    Stat {
        czxid, mzxid, ctime, mtime, version, cversion, aversion, ephemeral_owner, data_length,
        num_children, pzxid
    }
    StatPersisted {
        czxid, mzxid, ctime, mtime, version, cversion, aversion, ephemeral_owner, pzxid
    }
    ClientInfo { auth_scheme, user }
    FileHeader { magic, version, dbid }
    LearnerInfo { server_id, protocol_version, config_version }
    QuorumPacket { kind, zxid, data, auth_info }
    QuorumAuthPacket { magic, status, token }
    ConnectFields { protocol_version, last_zxid_seen, timeout, session_id, password }
    RequestHeader { xid, op }
    ReplyHeader { xid, zxid, err }
    MultiHeader { op, done, err }
    CreateRequest { path, data, acl, flags }
    CreateTtlRequest { path, data, acl, flags, ttl }
    DeleteRequest { path, version }
    WatchableRequest { path, watch }
    SetDataRequest { path, data, version }
    PathRequest { path }
    SetAclRequest { path, acl, version }
    CheckVersionRequest { path, version }
    ReconfigRequest { joining_servers, leaving_servers, new_members, cur_config_id }
    AuthPacket { kind, scheme, auth }
    SaslToken { token }
    PathResponse { path }
    Create2Response { path, stat }
    StatResponse { stat }
    GetDataResponse { data, stat }
    NamesResponse { names }
    GetChildren2Response { children, stat }
    GetAclResponse { acl, stat }
    GetAllChildrenNumberResponse { total_number }
    WhoAmIResponse { client_info }
    ErrorResponse { err }
    SetWatches { relative_zxid, data_watches, exist_watches, child_watches }
    SetWatches2 {
        relative_zxid, data_watches, exist_watches, child_watches, persistent_watches,
        persistent_recursive_watches
    }
    WatcherEvent { kind, state, path }
    WatchesRequest { path, kind }
    AddWatchRequest { path, mode }
    TxnHeader { client_id, cxid, zxid, time, kind }
    TxnDigest { version, tree_digest }
    CreateTxn { path, data, acl, ephemeral, parent_cversion }
    CreateContainerTxn { path, data, acl, parent_cversion }
    CreateTtlTxn { path, data, acl, parent_cversion, ttl }
    DeleteTxn { path }
    SetDataTxn { path, data, version }
    CheckVersionTxn { path, version }
    SetAclTxn { path, acl, version }
    CreateSessionTxn { timeout }
    CloseSessionTxn { paths }
    ErrorTxn { err }
    SubTxn { kind, data }
    StoredMulti { txns }
}

/// What may stand alone and in a multi.
fn simple() -> BoxedStrategy<Txn> {
    prop_oneof![
        CreateTxn::any().prop_map(Txn::Create),
        CreateTxn::any().prop_map(Txn::Create2),
        CreateContainerTxn::any().prop_map(Txn::CreateContainer),
        CreateTtlTxn::any().prop_map(Txn::CreateTtl),
        DeleteTxn::any().prop_map(Txn::Delete),
        DeleteTxn::any().prop_map(Txn::DeleteContainer),
        SetDataTxn::any().prop_map(Txn::SetData),
        CheckVersionTxn::any().prop_map(Txn::Check),
        ErrorTxn::any().prop_map(Txn::Error),
    ]
    .boxed()
}

impl Any for LoggedTxn {
    fn any() -> BoxedStrategy<Self> {
        // Two empty paths cannot be told from no list and a digest; no real path is empty.
        let real = |txn: &CloseSessionTxn| !txn.paths.iter().flatten().any(|path| path.is_empty());
        let txn = prop_oneof![
            4 => simple(),
            1 => vec(simple(), 0..4).prop_map(Txn::Multi),
            1 => CreateSessionTxn::any().prop_map(Txn::CreateSession),
            1 => CloseSessionTxn::any()
                .prop_filter("an empty path", real)
                .prop_map(|txn| Txn::CloseSession(Some(txn))),
            1 => Just(Txn::CloseSession(None)),
            1 => SetDataTxn::any().prop_map(Txn::Reconfig),
            1 => SetAclTxn::any().prop_map(Txn::SetAcl),
        ];
        let digest = option::of(any::<i64>().prop_map(|tree_digest| TxnDigest {
            version: 2,
            tree_digest,
        }));
        (TxnHeader::any(), txn, digest)
            .prop_map(|(header, txn, digest)| LoggedTxn {
                header: TxnHeader {
                    kind: txn.op().into(),
                    ..header
                },
                txn,
                digest,
            })
            .boxed()
    }
}
