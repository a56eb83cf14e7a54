//! The lines, word for word.

use jute::data::{Acl, Id};
use jute::proto::*;
use jute::txn::{ErrorTxn, Txn};
use jute::{ErrorCode, Op};

use super::*;
use crate::prep::WriteRequest;
use crate::tree::{Applied, Outcome};

fn caller() -> Caller {
    Caller {
        session: SessionId(0x1000),
        users: Some("bob,::1".into()),
        ip: "::1".into(),
    }
}

fn outcome(op: Op, path: Option<&str>) -> Outcome {
    Outcome {
        err: ErrorCode::OK,
        op,
        path: path.map(Into::into),
        stat: None,
    }
}

fn refused() -> Txn {
    Txn::Error(ErrorTxn { err: -101 })
}

/// The lines behind session, user and address.
fn lines(request: &WriteRequest, txn: &Txn, applied: &Applied) -> Vec<String> {
    let mut events = Vec::new();
    if let Some(asked) = Asked::of(request, caller) {
        asked.events(Outcomes { txn, applied }, &mut events);
    }
    let shown = events.iter().map(|event| {
        let line = event.to_string();
        let rest = line.strip_prefix("session=0x1000\tuser=bob,::1\tip=::1\t");
        rest.unwrap_or_else(|| panic!("{line}")).to_owned()
    });
    shown.collect()
}

fn done(request: &WriteRequest, op: Op, path: &str) -> Vec<String> {
    let applied = Applied::One(outcome(op, Some(path)));
    lines(request, &Txn::CloseSession(None), &applied)
}

fn failed(request: &WriteRequest) -> Vec<String> {
    let error = Outcome {
        err: ErrorCode(-101),
        ..outcome(Op::Error, None)
    };
    lines(request, &refused(), &Applied::One(error))
}

fn create(flags: i32, path: &str) -> CreateRequest {
    CreateRequest {
        path: Some(path.into()),
        flags,
        ..CreateRequest::default()
    }
}

#[test]
fn a_create_tells_its_mode_and_the_name_it_got() {
    let request = WriteRequest::Create(Op::Create, create(2, "/q-"));
    assert_eq!(
        done(&request, Op::Create, "/q-0000000007"),
        ["operation=create\tznode=/q-0000000007\tznode_type=persistent_sequential\tresult=success"]
    );
    assert_eq!(
        failed(&request),
        ["operation=create\tznode=/q-\tznode_type=persistent_sequential\tresult=failure"]
    );
    let ttl = WriteRequest::CreateTtl(CreateTtlRequest {
        path: Some("/t".into()),
        flags: 5,
        ..CreateTtlRequest::default()
    });
    assert_eq!(
        failed(&ttl),
        ["operation=create\tznode=/t\tznode_type=persistent_with_ttl\tresult=failure"]
    );
}

#[test]
fn a_create_with_flags_that_mean_nothing_is_not_told() {
    let request = WriteRequest::Create(Op::Create, create(9, "/a"));
    assert_eq!(failed(&request), [""; 0]);
}

#[test]
fn the_other_writes_tell_their_path() {
    let delete = WriteRequest::Delete(DeleteRequest {
        path: Some("/a".into()),
        version: -1,
    });
    assert_eq!(
        done(&delete, Op::Delete, "/a"),
        ["operation=delete\tznode=/a\tresult=success"]
    );
    let set = WriteRequest::SetData(SetDataRequest {
        path: Some("/a".into()),
        ..SetDataRequest::default()
    });
    assert_eq!(
        failed(&set),
        ["operation=setData\tznode=/a\tresult=failure"]
    );
    let reconfig = WriteRequest::Reconfig(ReconfigRequest::default());
    assert_eq!(failed(&reconfig), ["operation=reconfig\tresult=failure"]);
    assert_eq!(failed(&WriteRequest::CloseSession), [""; 0]);
}

#[test]
fn a_set_acl_tells_the_list_that_was_asked_for() {
    let entry = |perms, scheme: &str, id: &str| Acl {
        perms,
        id: Id {
            scheme: Some(scheme.into()),
            id: Some(id.into()),
        },
    };
    let acl = vec![entry(31, "world", "anyone"), entry(5, "auth", "")];
    let request = |acl| {
        WriteRequest::SetAcl(SetAclRequest {
            path: Some("/a".into()),
            acl,
            version: -1,
        })
    };
    assert_eq!(
        done(&request(Some(acl)), Op::SetAcl, "/a"),
        ["operation=setAcl\tznode=/a\tacl=world:anyone:cdrwaauth::cr\tresult=success"]
    );
    assert_eq!(failed(&request(None)), [""; 0], "Java trips over it");
}

#[test]
fn a_multi_tells_each_change_or_its_failure() {
    let check = CheckVersionRequest {
        path: Some("/c".into()),
        version: 1,
    };
    let ops = vec![
        MultiOp::Create(Op::Create, create(1, "/e")),
        MultiOp::Create(Op::Create, create(2, "/s")),
        MultiOp::CreateTtl(CreateTtlRequest {
            path: Some("/t".into()),
            flags: 5,
            ..CreateTtlRequest::default()
        }),
        MultiOp::Check(check),
        MultiOp::Delete(DeleteRequest::default()),
    ];
    let multi = |ops: Vec<MultiOp>| WriteRequest::Multi(MultiRequest { ops });
    let outcomes = vec![
        outcome(Op::Create, Some("/e")),
        outcome(Op::Create2, Some("/s0000000001")),
        outcome(Op::CreateTtl, Some("/t")),
        outcome(Op::Check, Some("/c")),
        outcome(Op::Delete, Some("/d")),
        outcome(Op::SetData, Some("/f")),
    ];
    assert_eq!(
        lines(
            &multi(ops.clone()),
            &Txn::Multi(vec![]),
            &Applied::Multi(outcomes)
        ),
        [
            "operation=create\tznode=/e\tznode_type=ephemeral\tresult=success",
            "operation=create\tznode=/s0000000001\tresult=success",
            "operation=create\tznode=/t\tresult=success",
            "operation=delete\tznode=/d\tresult=success",
            "operation=setData\tznode=/f\tresult=success",
        ]
    );
    let errors = Applied::Multi(vec![outcome(Op::Error, None), outcome(Op::Error, None)]);
    let no_such_mode = vec![MultiOp::Create(Op::Create, create(9, "/a"))];
    let txn = Txn::Multi(vec![]);
    assert_eq!(
        lines(&multi(ops), &txn, &errors),
        ["operation=multiOperation\tresult=failure"]
    );
    assert_eq!(lines(&multi(no_such_mode), &txn, &errors), [""; 0]);
}

#[test]
fn undecodable_writes_are_told_by_whoever_judges_them() {
    let line = |op, judges| undecodable(op, judges, caller).map(|event| event.to_string());
    let start = "session=0x1000\tuser=bob,::1\tip=::1\t";
    for judges in [true, false] {
        assert_eq!(
            line(Op::Multi, judges),
            Some(format!("{start}operation=multiOperation\tresult=failure"))
        );
        assert_eq!(
            line(Op::Reconfig, judges),
            Some(format!("{start}operation=reconfig\tresult=failure"))
        );
    }
    assert_eq!(line(Op::Create, false), None);
    assert_eq!(
        line(Op::Create2, true),
        Some(format!(
            "{start}operation=create\tznode_type=persistent\tresult=failure"
        ))
    );
    assert_eq!(line(Op::SetAcl, true), None, "Java trips over it");
}

#[test]
fn a_session_that_ends_tells_its_ephemerals_and_no_address() {
    let change = |kind, path: &str| Change {
        kind,
        path: path.into(),
        acl: Default::default(),
        parent_acl: Default::default(),
    };
    let changes = [
        change(ChangeKind::Deleted, "/e1"),
        change(ChangeKind::Deleted, "/e2"),
    ];
    let lines: Vec<String> = ephemerals_gone(&"root".into(), SessionId(-1), &changes)
        .map(|event| event.to_string())
        .collect();
    let line = |path| {
        format!(
            "session=0xffffffffffffffff\tuser=root\t\
             operation=ephemeralZNodeDeletionOnSessionCloseOrExpire\tznode={path}\tresult=success"
        )
    };
    assert_eq!(lines, [line("/e1"), line("/e2")]);
}

#[test]
fn the_server_tells_its_start_and_its_stop() {
    let user = "root".into();
    assert_eq!(
        Event::server_start(&user, Verdict::Success).to_string(),
        "user=root\toperation=serverStart\tresult=success"
    );
    let failed = Event::server_start(&user, Verdict::Failure);
    assert!(failed.is_failure());
    assert_eq!(
        Event::server_stop(&user).to_string(),
        "user=root\toperation=serverStop\tresult=invoked"
    );
}

#[test]
fn a_path_cannot_begin_a_line_of_its_own() {
    let forged = WriteRequest::Create(Op::Create, create(0, "/a\nuser=root\tresult=success"));
    assert_eq!(
        failed(&forged),
        [
            "operation=create\tznode=/a\\u000auser=root\\u0009result=success\t\
             znode_type=persistent\tresult=failure"
        ]
    );
}
