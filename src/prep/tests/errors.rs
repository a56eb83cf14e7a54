//! Which error a client sees when several are due.

use super::*;

/// `/open` with a child, `/locked` and `/locked/in` that nobody may touch, `/e` ephemeral, `/v` at
/// version 1.
fn furnished(extended_types: bool) -> World {
    let options = TreeOptions {
        extended_types,
        ..TreeOptions::default()
    };
    let mut world = World::with(options, PrepOptions::default());
    for path in ["/open", "/open/child", "/locked", "/locked/in", "/v"] {
        world.done(create(path, 0));
    }
    world.done(create("/e", 1));
    world.done(set_data("/v", "1", 0));
    for path in ["/locked/in", "/locked"] {
        world.done(set_acl(path, acl(31, "digest", "nobody:x"), -1));
    }
    world
}

fn null_path(request: &WriteRequest) -> WriteRequest {
    let mut request = request.clone();
    match &mut request {
        WriteRequest::Create(_, request) => request.path = None,
        WriteRequest::CreateTtl(request) => request.path = None,
        WriteRequest::Delete(request) => request.path = None,
        WriteRequest::SetData(request) => request.path = None,
        WriteRequest::SetAcl(request) => request.path = None,
        other => panic!("{other:?}"),
    }
    request
}

fn without_acl(request: &WriteRequest) -> WriteRequest {
    let mut request = request.clone();
    match &mut request {
        WriteRequest::Create(_, request) => request.acl = None,
        WriteRequest::CreateTtl(request) => request.acl = None,
        WriteRequest::SetAcl(request) => request.acl = None,
        other => panic!("{other:?}"),
    }
    request
}

fn of(op: Op, path: &str, flags: i32) -> WriteRequest {
    WriteRequest::Create(op, create_request(path, flags))
}

fn expect(world: &mut World, rows: Vec<(SessionId, WriteRequest, i32)>) {
    for (session, request, expected) in rows {
        let before = world.prep.outstanding();
        assert_eq!(
            world.code(session, &request),
            expected,
            "{session} {request:?}"
        );
        if expected != 0 {
            assert_eq!(
                world.prep.outstanding(),
                before,
                "a refusal left {request:?} pending"
            );
        }
    }
    world.apply_all();
}

#[test]
fn create_checks_flags_ttl_session_path_acl_parent_permission_name_then_existence() {
    let (a, c) = (ALICE, CLOSING);
    let rows = vec![
        (c, without_acl(&create("bad", 7)), -8),
        (c, without_acl(&create("bad", -1)), -8),
        (c, create_ttl("bad", 5, 0), -6),
        (c, of(Op::Create, "bad", 5), -6),
        (c, without_acl(&create("bad", 0)), -112),
        (STRANGER, create("bad", 0), -12),
        (STRANGER, create("bad", 1), -112),
        (STRANGER, create("bad", 3), -112),
        (a, null_path(&without_acl(&create("", 0))), -5),
        (a, without_acl(&create("noslash", 0)), -8),
        (a, without_acl(&create("/nul\0/x", 0)), -8),
        (a, without_acl(&create("", 0)), -8),
        (a, without_acl(&create("/none/x", 0)), -114),
        (a, create("/none/x/", 0), -101),
        (a, create("/open//x", 0), -101),
        (a, create("/none/", 0), -101),
        (a, create("none/x", 0), -101),
        (a, create("/locked/in", 0), -102),
        (a, create("/locked/.", 0), -102),
        (a, create("/open/", 0), -8),
        (a, create("/open/.", 0), -8),
        (a, create("/open/\u{1f600}", 0), -8),
        (a, create("//", 0), -8),
        (a, create("/", 0), -110),
        (a, create("/open", 1), -110),
        (a, create("/zookeeper", 0), -110),
        (a, create("/e/x", 0), -108),
        (a, create("/e/x", 2), -108),
        (a, create("/new", 0), 0),
        (a, create("/open/", 2), 0),
    ];
    expect(&mut furnished(false), rows);
}

#[test]
fn create_checks_the_ttl_range_before_the_session_with_extended_types() {
    let (a, c) = (ALICE, CLOSING);
    let rows = vec![
        (c, create_ttl("bad", 5, 0), -8),
        (c, create_ttl("bad", 6, -1), -8),
        (c, create_ttl("bad", 5, 1 << 40), -8),
        (c, of(Op::Create, "bad", 5), -8),
        (c, of(Op::Create2, "bad", 6), -8),
        (c, of(Op::CreateContainer, "bad", 5), -8),
        (c, create_ttl("bad", 5, 1), -112),
        (a, create_ttl("/ttl", 5, (1 << 40) - 1), 0),
        (a, create_ttl("/ttl-", 6, 1), 0),
        (a, create("/ttl/child", 0), 0),
    ];
    expect(&mut furnished(true), rows);
}

#[test]
fn flags_that_do_not_fit_the_opcode_are_bad_arguments() {
    let a = ALICE;
    let mut rows = Vec::new();
    for flags in 0..4 {
        rows.push((a, of(Op::CreateContainer, "/new", flags), -8));
        rows.push((a, create_ttl("/new", flags, -1), -8));
        rows.push((a, create_ttl("/new", flags, 5), -8));
    }
    rows.push((a, of(Op::Create, "/new", 4), -8));
    rows.push((a, of(Op::Create2, "/new", 4), -8));
    rows.push((a, create_ttl("/new", 4, -1), -8));
    rows.push((a, container("/new"), 0));
    rows.push((a, create("/new/child", 0), 0));
    expect(&mut furnished(true), rows);
}

#[test]
fn delete_checks_session_path_parent_permission_existence_version_then_children() {
    let a = ALICE;
    let rows = vec![
        (CLOSING, null_path(&delete("", -1)), -112),
        (STRANGER, delete("/v", -1), -12),
        (a, null_path(&delete("", -1)), -5),
        (a, delete("noslash", -1), -8),
        (a, delete("/v\0", -1), -8),
        (a, delete("", -1), -8),
        (a, delete("/", -1), -8),
        (a, delete("/zookeeper", -1), -8),
        (a, delete("/zookeeper/quota", -1), -8),
        (a, delete("/zookeeper/config", -1), -8),
        (a, delete("/none/x", -1), -101),
        (a, delete("/locked/none", 5), -102),
        (a, delete("/open/none", 5), -101),
        (a, delete("/v/", -1), -101),
        (a, delete("//v", -1), -101),
        (a, delete("/open", 5), -103),
        (a, delete("/v", 0), -103),
        (a, delete("/open", 0), -111),
        (a, delete("/open", -1), -111),
        (a, delete("/v", 1), 0),
        (a, delete("/v", 1), -101),
    ];
    expect(&mut furnished(false), rows);
}

#[test]
fn set_data_checks_session_path_existence_permission_then_version() {
    let a = ALICE;
    let rows = vec![
        (CLOSING, null_path(&set_data("", "", -1)), -112),
        (a, null_path(&set_data("", "", -1)), -8),
        (a, set_data("/none/", "", -1), -8),
        (a, set_data("v", "", -1), -8),
        (a, set_data("/none", "", -1), -101),
        (a, set_data("/locked", "", 9), -102),
        (a, set_data("/zookeeper/config", "", 9), -102),
        (a, set_data("/v", "", 0), -103),
        (a, set_data("/v", "", 1), 0),
        (a, set_data("/", "", 0), 0),
    ];
    expect(&mut furnished(false), rows);
}

#[test]
fn set_acl_checks_session_path_list_existence_permission_then_version() {
    let a = ALICE;
    let bad = || acl(31, "digest", "no colon");
    let mut nobody = open_acl();
    nobody.iter_mut().flatten().for_each(|acl| acl.id.id = None);
    let rows = vec![
        (CLOSING, null_path(&set_acl("", None, -1)), -112),
        (a, null_path(&set_acl("", None, -1)), -8),
        (a, set_acl("/none/", bad(), -1), -8),
        (a, set_acl("/none", bad(), -1), -114),
        (a, set_acl("/none", None, -1), -114),
        (a, set_acl("/none", Some(vec![]), -1), -114),
        (a, set_acl("/none", nobody, -1), -5),
        (a, set_acl("/none", open_acl(), -1), -101),
        (a, set_acl("/locked", open_acl(), 9), -102),
        (a, set_acl("/v", open_acl(), 1), -103),
        (a, set_acl("/v", open_acl(), 0), 0),
        (a, set_acl("/", open_acl(), 0), 0),
    ];
    expect(&mut furnished(false), rows);
}

#[test]
fn check_validates_as_set_data_does() {
    let mut world = furnished(false);
    world.done(set_acl("/open/child", acl(2, "world", "anyone"), -1));
    for (session, path, version, expected) in [
        (CLOSING, "/none/", 5, -112),
        (ALICE, "/none/", 5, -8),
        (ALICE, "/none", 5, -101),
        (ALICE, "/open/child", 5, -102),
        (ALICE, "/v", 0, -103),
        (ALICE, "/v", 1, 0),
        (ALICE, "/v", -1, 0),
    ] {
        let txn = world.judge(session, &multi_of(vec![check(path, version)]));
        assert_eq!(codes(&txn), [expected], "{path}");
    }
    world.apply_all();
}

#[test]
fn delete_container_spares_what_has_children_or_is_none() {
    let mut world = furnished(true);
    world.done(container("/c"));
    world.done(container("/full"));
    world.done(create("/full/x", 0));
    world.done(create_ttl("/ttl", 5, 10));
    let mut code =
        |path: &str| world.code(SessionId(0), &WriteRequest::DeleteContainer(path.into()));
    assert_eq!(code("/zookeeper"), -8);
    assert_eq!(code("c"), -8);
    assert_eq!(code("/none"), -101);
    assert_eq!(code("/open"), -111);
    assert_eq!(code("/full"), -111);
    assert_eq!(code("/e"), -103);
    assert_eq!(code("/v"), -103, "replaced by a persistent znode meanwhile");
    assert_eq!(code("/c"), 0);
    assert_eq!(code("/c"), -101);
    assert_eq!(code("/ttl"), 0);
    world.apply_all();
}

#[test]
fn reconfig_is_disabled_unless_configured_and_then_unknown_to_one_server() {
    let request = WriteRequest::Reconfig(ReconfigRequest::default());
    assert_eq!(World::new().code(CLOSING, &request), -123);
    let enabled = PrepOptions {
        reconfig_enabled: true,
        ..PrepOptions::default()
    };
    let mut world = World::with(TreeOptions::default(), enabled);
    assert_eq!(world.code(CLOSING, &request), -112);
    assert_eq!(world.code(ALICE, &request), -6);
}

#[test]
fn a_quota_for_the_root_cannot_be_made() {
    let mut world = World::new();
    assert_eq!(
        world.code(ALICE, &create("/zookeeper/quota/zookeeper_limits", 0)),
        -8
    );
    assert_eq!(
        world.code(ALICE, &create("/zookeeper/quota/zookeeper_stats", 0)),
        -8
    );
    assert_eq!(
        world.code(ALICE, &create("/zookeeper/quota/zookeeper_other", 0)),
        0
    );
    assert_eq!(world.code(ALICE, &create("/zookeeper/quota/a", 0)), 0);
    assert_eq!(
        world.code(ALICE, &create("/zookeeper/quota/a/zookeeper_limits", 0)),
        0
    );
    world.apply_all();
}

#[test]
fn identities_open_what_an_acl_names() {
    let mut world = World::new();
    world.become_user("bob:pw");
    world.done(set_acl("/", acl(31, "auth", ""), -1));
    assert_eq!(world.code(ALICE, &create("/mine", 0)), 0);
    world.ids = auth::initial(IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert_eq!(world.code(ALICE, &create("/theirs", 0)), -102);
    assert_eq!(world.code(ALICE, &delete("/mine", -1)), -102);
    world.apply_all();
}

#[test]
fn versions_skip_the_one_that_means_any() {
    assert_eq!(next_version(5, 5), Ok(6));
    assert_eq!(next_version(5, -1), Ok(6));
    assert_eq!(next_version(5, 4), Err(ErrorCode::BAD_VERSION));
    assert_eq!(next_version(i32::MAX, -1), Ok(i32::MIN));
    assert_eq!(next_version(-2, -1), Ok(0));
    assert_eq!(next_version(-1, -1), Ok(0));
}

/// `/q` with a limit of two znodes and ten bytes, and one znode of four bytes in it.
fn limited() -> World {
    let options = PrepOptions {
        enforce_quota: true,
        ..PrepOptions::default()
    };
    let mut world = World::with(TreeOptions::default(), options);
    for path in ["/q", "/zookeeper/quota/q"] {
        world.done(create(path, 0));
    }
    for name in ["zookeeper_limits", "zookeeper_stats"] {
        world.done(create(&format!("/zookeeper/quota/q/{name}"), 0));
    }
    let limits = "count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=2";
    world.done(set_data("/zookeeper/quota/q/zookeeper_limits", limits, -1));
    world
}

#[test]
fn hard_limits_refuse_behind_existence_and_before_versions() {
    let mut world = limited();
    world.done(create("/other", 0));
    world.done(create("/q/one", 0));
    for (request, expected) in [
        (create("/q/one", 0), -110),
        (create("/q/two", 0), -125),
        (create("/q/", 2), -125),
        (set_data("/q/one", "1234567", 9), -125),
        (set_data("/q/one", "123456", 9), -103),
        (set_data("/q/one", "123456", 0), 0),
    ] {
        assert_eq!(world.code(ALICE, &request), expected, "{request:?}");
        world.apply_all();
    }
    let swap = world.judge(ALICE, &multi([delete("/q/one", -1), create("/q/two", 0)]));
    assert_eq!(codes(&swap), [0, -125], "the delete is not applied yet");
}

#[test]
fn quotas_compare_with_what_is_applied() {
    let mut world = limited();
    for path in ["/q/one", "/q/two", "/q/three"] {
        assert_eq!(world.code(ALICE, &create(path, 0)), 0);
    }
    world.apply_all();
    assert_eq!(world.code(ALICE, &create("/q/four", 0)), -125);
    assert_eq!(
        world.code(ALICE, &set_data("/q/one", "123", 0)),
        -125,
        "still above the limit"
    );
    assert_eq!(
        world.code(ALICE, &set_data("/q/one", "1234", 0)),
        0,
        "same length"
    );
}

#[test]
fn soft_limits_refuse_nothing_and_are_noted_where_there_is_no_hard_one() {
    let mut world = limited();
    let limits = "count=2,bytes=3=;byteHardLimit=16;countHardLimit=-1";
    world.done(set_data("/zookeeper/quota/q/zookeeper_limits", limits, -1));
    world.done(create("/q/one", 0));
    assert_eq!(world.prep.take_exceeded(), [], "both limits are reached");
    world.done(create("/q/two", 0));
    let soft = world.prep.take_exceeded();
    assert_eq!(
        soft[0].to_string(),
        "Quota exceeded: /q [current count=3, softCountLimit=2]: nothing is refused, but somebody did not want that \
         much there; delete some of it, or raise the limit (setquota -n)"
    );
    assert_eq!(world.code(ALICE, &set_data("/q/one", "123456789", 0)), -125);
    let hard = world.prep.take_exceeded();
    assert_eq!((soft.len(), hard.len()), (1, 1));
    assert!(hard[0].is_hard && !soft[0].is_hard);
    let text = hard[0].to_string();
    assert!(
        text.contains("hardByteLimit=16]: the write is refused;"),
        "{text}"
    );
    let multi = world.judge(ALICE, &multi([create("/q/three", 0)]));
    assert_eq!(codes(&multi), [0]);
    assert_eq!(world.prep.take_exceeded().len(), 1, "also inside a multi");
}

#[test]
fn limits_that_cannot_be_read_refuse_and_stats_do_not() {
    let mut world = limited();
    world.done(set_data("/zookeeper/quota/q/zookeeper_stats", "junk", -1));
    world.done(create("/q/one", 0));
    world.done(set_data("/zookeeper/quota/q/zookeeper_limits", "junk", -1));
    assert_eq!(world.code(ALICE, &create("/q/two", 0)), -5);
    assert_eq!(world.code(ALICE, &set_data("/q/one", "", -1)), -5);
    assert_eq!(world.code(ALICE, &delete("/q/one", -1)), 0);
    world.apply_all();
}
