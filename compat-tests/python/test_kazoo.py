"""The kazoo client: calls, watches, recipes, chroot, permissions, and lost connections."""

import contextlib
import queue
import socket
import threading
import time

import pytest
from harness import servers
from harness.ports import free_port
from kazoo import exceptions
from kazoo.client import KazooClient, KazooState
from kazoo.protocol.states import EventType
from kazoo.recipe.barrier import DoubleBarrier
from kazoo.recipe.cache import TreeCache, TreeEvent
from kazoo.security import OPEN_ACL_UNSAFE, make_acl, make_digest_acl

SECONDS = 60


@pytest.fixture(scope="module")
def kazoo_server(server_kind):
    """One server for all tests: each has a root of its own."""
    props = {"zookeeper.extendedTypesEnabled": "true"}
    with servers.start(server_kind, cfg={"tickTime": 500}, props=props) as running:
        yield running


@pytest.fixture
def connect(kazoo_server, request):
    """Makes started clients, by default in the chroot of this test."""
    root = "/" + request.node.originalname
    clients = []

    def client(chroot=root, **options):
        made = KazooClient(
            hosts=f"{kazoo_server.host}:{kazoo_server.port}{chroot}", **{"timeout": 10.0, **options}
        )
        clients.append(made)
        made.start(timeout=SECONDS)
        return made

    client("").create(root)
    yield client
    for made in clients:
        with contextlib.suppress(exceptions.KazooException):
            made.stop()
        made.close()


def until(condition, what):
    """Asks until the answer is true."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"did not come about: {what}"
        time.sleep(0.005)


class Events(queue.SimpleQueue):
    """A watch function whose calls can be waited for."""

    def __call__(self, event):
        self.put((event.type, event.path))

    def expect(self, kind, path):
        assert self.get(timeout=SECONDS) == (kind, path)


def cut(client):
    """Breaks the client's connection, as a bad network would."""
    client._connection._socket.shutdown(socket.SHUT_RDWR)


def test_create_read_write_delete(connect):
    zk = connect()
    path, made = zk.create("/a", b"one", include_data=True)
    assert path == "/a"
    assert zk.get("/a") == (b"one", made)
    assert (
        made.czxid == made.mzxid == made.pzxid
        and made.ctime == made.mtime
        and made.data_length == 3
    )
    assert abs(made.ctime / 1000 - time.time()) < 60
    stat = zk.set("/a", b"two", version=0)
    assert (stat.version, stat.mzxid) == (1, made.mzxid + 1)
    zk.create("/a/b/c", makepath=True)
    children, stat = zk.get_children("/a", include_data=True)
    assert (children, stat.numChildren, stat.cversion) == (["b"], 1, 1)
    with pytest.raises(exceptions.NotEmptyError):
        zk.delete("/a")
    zk.delete("/a", recursive=True)
    assert zk.exists("/a") is None
    assert zk.sync("/") == "/"


def test_refusals(connect):
    zk = connect()
    zk.create("/e", ephemeral=True)
    for error, call in [
        (exceptions.NodeExistsError, lambda: zk.create("/e")),
        (exceptions.NoNodeError, lambda: zk.create("/none/x")),
        (exceptions.NoNodeError, lambda: zk.get("/none")),
        (exceptions.NoChildrenForEphemeralsError, lambda: zk.create("/e/x")),
        (exceptions.BadVersionError, lambda: zk.set("/e", b"", version=5)),
        (exceptions.BadVersionError, lambda: zk.delete("/e", version=5)),
        (
            exceptions.InvalidACLError,
            lambda: zk.create("/x", acl=[make_acl("nosuch", "x", all=True)]),
        ),
    ]:
        with pytest.raises(error):
            call()


def test_znode_kinds_and_sequential_names(connect):
    zk, other = connect(), connect()
    assert zk.create("/s", sequence=True) == "/s0000000000"
    assert zk.create("/s", sequence=True, ephemeral=True) == "/s0000000001"
    zk.create("/e", ephemeral=True)
    assert other.exists("/e").owner_session_id == zk.client_id[0]
    zk.stop()
    assert other.get_children("/") == ["s0000000000"]


def test_one_shot_watches(connect):
    zk, other, events = connect(), connect(), Events()
    assert zk.exists("/a", watch=events) is None
    assert zk.get_children("/", watch=events) == []
    other.create("/a")
    events.expect(EventType.CREATED, "/a")
    events.expect(EventType.CHILD, "/")
    zk.get("/a", watch=events)
    other.set("/a", b"1")
    events.expect(EventType.CHANGED, "/a")
    other.set("/a", b"2")
    zk.get("/a", watch=events)
    other.delete("/a")
    events.expect(EventType.DELETED, "/a")
    zk.sync("/")
    assert events.empty()


def test_data_and_children_watch(connect):
    zk, other = connect(), connect()
    data, children = [], []
    zk.DataWatch("/a/x", lambda value, stat: data.append(value))
    other.ensure_path("/a")
    zk.ChildrenWatch("/a", lambda names: children.append(sorted(names)))
    other.create("/a/x", b"1")
    until(
        lambda: data == [None, b"1"] and children == [[], ["x"]],
        f"creation seen: {data} {children}",
    )
    other.set("/a/x", b"2")
    until(lambda: data[-1] == b"2", "change seen")
    other.create("/a/y")
    until(lambda: children[-1] == ["x", "y"], "second child seen")
    other.delete("/a/x")
    until(lambda: data[-1] is None and children[-1] == ["y"], "deletion seen")


def test_tree_cache(connect):
    zk, other = connect(), connect()
    other.create("/t/a", b"1", makepath=True)
    seen = []
    cache = TreeCache(zk, "/t")
    cache.listen(
        lambda event: seen.append((event.event_type, event.event_data and event.event_data.path))
    )
    cache.start()
    until(lambda: (TreeEvent.INITIALIZED, None) in seen, "initialised")
    other.create("/t/a/deep", b"2")
    until(lambda: (TreeEvent.NODE_ADDED, "/t/a/deep") in seen, "depth")
    assert cache.get_data("/t/a").data == b"1"
    other.delete("/t/a", recursive=True)
    until(lambda: cache.get_data("/t/a") is None, "deletion")
    cache.close()


def in_threads(count, body):
    """Runs body(i) in threads; the first error is raised here."""
    errors = []

    def guarded(i):
        try:
            body(i)
        except BaseException as error:  # noqa: BLE001  (handed to the test)
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(i,), daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive(), "not done in time"
    if errors:
        raise errors[0]


def test_lock_and_semaphore(connect):
    clients = [connect() for _ in range(3)]
    inside, most = [], []

    def turns(i):
        for _ in range(4):
            with clients[i].Lock("/lock", f"holder{i}"):
                inside.append(i)
                most.append(len(inside))
                inside.remove(i)

    in_threads(len(clients), turns)
    assert max(most) == 1 and len(most) == 12
    first, second = (clients[i].Lock("/lock", f"holder{i}") for i in (0, 1))
    assert first.acquire(timeout=SECONDS)
    assert not second.acquire(blocking=False)
    assert second.contenders() == ["holder0"]
    first.release()
    semaphores = [client.Semaphore("/semaphore", max_leases=2) for client in clients]
    assert semaphores[0].acquire() and semaphores[1].acquire()
    assert not semaphores[2].acquire(blocking=False)
    semaphores[0].release()
    assert semaphores[2].acquire(timeout=SECONDS)


def test_read_and_write_lock(connect):
    one, two = connect(), connect()
    readers = [client.ReadLock("/rw") for client in (one, two)]
    assert all(reader.acquire(timeout=SECONDS) for reader in readers)
    writer = one.WriteLock("/rw")
    assert not writer.acquire(blocking=False)
    for reader in readers:
        reader.release()
    assert writer.acquire(timeout=SECONDS)
    assert not two.ReadLock("/rw").acquire(blocking=False)
    writer.release()


def test_election(connect):
    first, second = connect(), connect()
    lead, leaders = threading.Event(), queue.SimpleQueue()

    def leader(name):
        leaders.put(name)
        assert lead.wait(SECONDS)

    elections = [
        (client.Election("/election", name), name)
        for client, name in ((first, "one"), (second, "two"))
    ]
    threads = [
        threading.Thread(target=e.run, args=(leader, name), daemon=True) for e, name in elections
    ]
    threads[0].start()
    assert leaders.get(timeout=SECONDS) == "one"
    threads[1].start()
    until(lambda: elections[0][0].contenders() == ["one", "two"], "both contend")
    lead.set()
    assert leaders.get(timeout=SECONDS) == "two"
    for thread in threads:
        thread.join(SECONDS)


def test_party_counter_and_barriers(connect):
    one, two = connect(), connect()
    parties = [client.Party("/party", name) for client, name in ((one, "one"), (two, "two"))]
    for party in parties:
        party.join()
    assert sorted(parties[0]) == ["one", "two"]
    parties[1].leave()
    assert list(parties[0]) == ["one"]

    def count(i):
        counter = (one, two)[i].Counter("/counter")
        for _ in range(10):
            counter += 1

    in_threads(2, count)
    assert one.Counter("/counter").value == 20

    barrier = one.Barrier("/barrier")
    barrier.create()
    assert not two.Barrier("/barrier").wait(timeout=0.1)
    in_threads(
        2, lambda i: barrier.remove() if i else two.Barrier("/barrier").wait(timeout=SECONDS)
    )

    def pass_through(i):
        double = DoubleBarrier((one, two)[i], "/double", 2)
        double.enter()
        assert double.participating
        double.leave()

    in_threads(2, pass_through)


def test_queues(connect):
    one, two = connect(), connect()
    items = [f"item{i}".encode() for i in range(10)]
    into, out = one.Queue("/queue"), two.Queue("/queue")
    for item in items:
        into.put(item)
    assert [out.get() for _ in items] == items
    assert out.get() is None
    into, out = one.LockingQueue("/locking"), two.LockingQueue("/locking")
    into.put_all(items)
    into.put(b"first", priority=1)
    assert out.get(timeout=SECONDS) == b"first"
    assert out.consume()
    assert len(into) == len(items)


def test_transaction(connect):
    zk = connect()
    made = zk.transaction()
    made.create("/a", b"1")
    made.check("/a", version=0)
    made.create("/s", sequence=True)
    made.set_data("/a", b"2")
    made.delete("/s0000000001")
    results = made.commit()
    assert results[0] == "/a" and results[1] is True and results[2] == "/s0000000001"
    assert results[3].version == 1 and results[4] is True
    refused = zk.transaction()
    refused.create("/b")
    refused.check("/a", version=9)
    refused.create("/c")
    results = refused.commit()
    assert [type(result) for result in results] == [
        exceptions.RolledBackError,
        exceptions.BadVersionError,
        exceptions.RuntimeInconsistency,
    ]
    assert zk.exists("/b") is None and zk.exists("/c") is None


def test_chroot_of_one_client_as_seen_by_another(connect, request):
    root, events = connect(""), Events()
    base = "/" + request.node.originalname
    zk = connect()
    assert zk.create("/a/s", b"x", sequence=True, makepath=True) == "/a/s0000000000"
    assert root.get(base + "/a/s0000000000")[0] == b"x"
    zk.get_children("/", watch=events)
    zk.exists("/b", watch=events)
    with root.transaction() as made:
        made.create(base + "/b")
        made.create(base + "/b/c")
    events.expect(EventType.CREATED, "/b")
    events.expect(EventType.CHILD, "/")
    assert sorted(zk.get_children("/")) == ["a", "b"]
    zk.chroot = base + "/a"
    assert zk.get_children("/") == ["s0000000000"]


def test_acl_and_auth(connect):
    zk, stranger = connect(), connect()
    acl = [make_digest_acl("ann", "secret", all=True)]
    zk.add_auth("digest", "ann:secret")
    zk.create("/mine", b"x", acl=acl)
    assert zk.get_acls("/mine")[0] == acl
    for call in (
        lambda: stranger.get("/mine"),
        lambda: stranger.create("/mine/x"),
        lambda: stranger.set_acls("/mine", acl),
    ):
        with pytest.raises(exceptions.NoAuthError):
            call()
    insider = connect(auth_data=[("digest", "ann:secret")])
    assert insider.get("/mine")[0] == b"x"
    assert insider.set_acls("/mine", OPEN_ACL_UNSAFE, version=0).aversion == 1
    assert stranger.get("/mine")[0] == b"x"
    with pytest.raises(exceptions.AuthFailedError):
        connect().add_auth("nosuchscheme", "x")


def test_reconnect_keeps_session_and_watches(connect):
    zk, other, events = connect(), connect(), Events()
    states = []
    zk.add_listener(states.append)
    session = zk.client_id
    zk.create("/e", ephemeral=True)
    data = []
    zk.DataWatch("/e", lambda value, stat: data.append(value))
    zk.exists("/new", watch=events)
    cut(zk)
    until(lambda: states == [KazooState.SUSPENDED, KazooState.CONNECTED], "reconnected")
    assert zk.client_id == session
    other.set("/e", b"after")
    until(lambda: data[-1] == b"after", "watched again")
    # kazoo hands one-shot watches a NONE event when the connection goes; they are gone then.
    assert events.get(timeout=SECONDS)[0] == EventType.NONE
    assert other.exists("/e").owner_session_id == session[0]


def test_session_of_a_closed_socket_expires(connect):
    zk, other, gone, states = connect(timeout=5.0), connect(), Events(), []
    zk.create("/e", ephemeral=True)
    other.exists("/e", watch=gone)
    expired = zk.client_id
    zk.add_listener(states.append)
    served = zk.hosts
    zk.hosts = [("127.0.0.1", free_port())]
    cut(zk)
    gone.expect(EventType.DELETED, "/e")
    zk.hosts = served
    until(
        lambda: states == [KazooState.SUSPENDED, KazooState.LOST, KazooState.CONNECTED],
        "a new session",
    )
    assert zk.client_id[0] != expired[0]
    zk.create("/e", ephemeral=True)


def test_sessions_and_ephemerals_survive_a_restart_of_the_server(server_kind):
    with servers.start(server_kind, cfg={"tickTime": 1500}) as server:
        # Else kazoo waits longer each time, and by the time a slow server is back, for too long.
        often = {"max_tries": -1, "max_delay": 0.5}
        zk = KazooClient(
            hosts=f"{server.host}:{server.port}", timeout=30.0, connection_retry=often
        )
        zk.start(timeout=SECONDS)
        states = []
        zk.add_listener(states.append)
        session = zk.client_id
        zk.create("/e", b"kept", ephemeral=True)
        server.kill()
        server.restart()
        until(lambda: states[-1:] == [KazooState.CONNECTED], f"reconnected: {states}")
        assert zk.client_id == session
        assert zk.get("/e")[0] == b"kept"
        zk.stop()
        zk.close()
