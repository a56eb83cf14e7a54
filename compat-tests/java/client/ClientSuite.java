import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.AsyncCallback;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.client.ZKClientConfig;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.ClientInfo;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.server.auth.DigestAuthenticationProvider;

/** ZooKeeper's own Java client, every call of it. */
public final class ClientSuite {
    private static final int SESSION_MS = 40_000;
    /** Short enough to wait for its end; no pause of a busy machine may take as long. */
    private static final int SHORT_SESSION_MS = 5_000;
    private static String server;

    public static void main(String[] args) throws Exception {
        Checks checks = new Checks(args);
        server = checks.server;
        checks.add("create_read_write_delete", ClientSuite::createReadWriteDelete);
        // Its zxids follow each other.
        checks.alone("stat_fields", ClientSuite::statFields);
        checks.add("refusals", ClientSuite::refusals);
        checks.add("znode_kinds", ClientSuite::znodeKinds);
        checks.add("sequential_names", ClientSuite::sequentialNames);
        checks.add("multi_is_atomic", ClientSuite::multiIsAtomic);
        checks.add("multi_read", ClientSuite::multiRead);
        checks.add("one_shot_watches", ClientSuite::oneShotWatches);
        checks.add("persistent_watches", ClientSuite::persistentWatches);
        checks.add("remove_watches", ClientSuite::removeWatches);
        checks.add("acl_digest_and_auth", ClientSuite::aclDigestAndAuth);
        checks.add("who_am_i", ClientSuite::whoAmI);
        checks.add("ephemerals_and_counts", ClientSuite::ephemeralsAndCounts);
        checks.add("pipelined_async_calls_keep_order", ClientSuite::pipelinedOrder);
        checks.add("large_data_and_many_children", ClientSuite::largeData);
        checks.add("chroot", ClientSuite::chroot);
        checks.add("chroot_that_does_not_exist", ClientSuite::missingChroot);
        checks.add("config_znode", ClientSuite::configZnode);
        checks.add("reconnect_keeps_session_and_watches", ClientSuite::reconnect);
        checks.add(
            "reconnect_restores_many_watches_of_every_kind", ClientSuite::reconnectManyWatches);
        checks.add("session_moves_with_its_password", ClientSuite::sessionMoves);
        checks.add("wrong_password_is_expired", ClientSuite::wrongPassword);
        checks.add("session_expires", ClientSuite::sessionExpires);
        checks.add("idle_session_stays", ClientSuite::idleSessionStays);
        checks.finish();
    }

    /** A connected client that remembers its events. */
    private static final class Client implements AutoCloseable, Watcher {
        final BlockingQueue<WatchedEvent> events = new LinkedBlockingQueue<>();
        final ZooKeeper zk;
        volatile KeeperState state;

        Client(String address, int sessionMs) throws Exception {
            zk = new ZooKeeper(address, sessionMs, this, new ZKClientConfig());
            Checks.await("connected to " + address, () -> zk.getState().isConnected());
        }

        Client(String suffix) throws Exception {
            this(server + suffix, SESSION_MS);
        }

        Client() throws Exception {
            this("");
        }

        @Override
        public void process(WatchedEvent event) {
            if (event.getType() == EventType.None) {
                state = event.getState();
            } else {
                events.add(event);
            }
        }

        void expect(EventType type, String path) throws Exception {
            WatchedEvent event = events.poll(Checks.DEADLINE_MS, TimeUnit.MILLISECONDS);
            Checks.that(event != null, "no event, expected " + type + " " + path);
            Checks.equal(type + " " + path, event.getType() + " " + event.getPath(), "event");
        }

        /** Everything the server sent before this call has been delivered when it returns. */
        void expectNoMore() throws Exception {
            zk.exists("/", false);
            BlockingQueue<Integer> drained = new LinkedBlockingQueue<>();
            zk.exists("/", false, (rc, path, ctx, stat) -> drained.add(rc), null);
            Checks.that(
                drained.poll(Checks.DEADLINE_MS, TimeUnit.MILLISECONDS) != null, "no reply");
            Checks.equal("[]", events.toString(), "events left");
        }

        /** Until a request gets through again after the connection was lost. */
        void awaitService() throws Exception {
            Checks.await("connected again", () -> {
                try {
                    return zk.exists("/", false) != null;
                } catch (KeeperException.ConnectionLossException e) {
                    return false;
                }
            });
        }

        String create(String path, String data, CreateMode mode) throws Exception {
            return zk.create(path, data.getBytes(UTF_8), Ids.OPEN_ACL_UNSAFE, mode);
        }

        String create(String path) throws Exception {
            return create(path, "", CreateMode.PERSISTENT);
        }

        String get(String path) throws Exception {
            return new String(zk.getData(path, false, null), UTF_8);
        }

        @Override
        public void close() throws Exception {
            zk.close();
        }
    }

    /** As a list that the client itself may search for null, which List.of refuses. */
    private static List<ACL> aclOf(String scheme, String id) {
        return new ArrayList<>(List.of(new ACL(Perms.ALL, new Id(scheme, id))));
    }

    private static byte[] bytes(String text) {
        return text.getBytes(UTF_8);
    }

    private static void createReadWriteDelete() throws Exception {
        try (Client c = new Client()) {
            Checks.equal("/crud", c.create("/crud", "one", CreateMode.PERSISTENT), "created path");
            Checks.equal("one", c.get("/crud"), "data");
            Checks.equal(1, c.zk.setData("/crud", bytes("two"), 0).getVersion(), "version");
            Checks.equal("two", c.get("/crud"), "data");
            Checks.equal(2, c.zk.setData("/crud", null, -1).getVersion(), "version");
            Checks.that(c.zk.getData("/crud", false, null) == null, "null data stays null");
            c.create("/crud/b");
            c.create("/crud/a");
            Checks.equal(List.of("a", "b"), sorted(c.zk.getChildren("/crud", false)), "children");
            c.zk.delete("/crud/a", 0);
            c.zk.delete("/crud/b", -1);
            c.zk.delete("/crud", 2);
            Checks.that(c.zk.exists("/crud", false) == null, "deleted");
        }
    }

    private static void statFields() throws Exception {
        try (Client c = new Client()) {
            long before = System.currentTimeMillis();
            Stat created = new Stat();
            c.zk.create(
                "/stat", bytes("12345"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, created);
            Stat stat = c.zk.exists("/stat", false);
            Checks.equal(created, stat, "stat of create2");
            Checks.equal(stat.getCzxid(), stat.getMzxid(), "mzxid");
            Checks.equal(stat.getCzxid(), stat.getPzxid(), "pzxid");
            Checks.equal(stat.getCtime(), stat.getMtime(), "mtime");
            Checks.that(Math.abs(stat.getCtime() - before) < 60_000, "ctime " + stat.getCtime());
            Checks.equal(5, stat.getDataLength(), "data length");
            Stat child = new Stat();
            c.zk.create("/stat/e", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL, child);
            Checks.equal(c.zk.getSessionId(), child.getEphemeralOwner(), "owner");
            Checks.equal(stat.getCzxid() + 1, child.getCzxid(), "zxid of the next write");
            Stat parent = new Stat();
            c.zk.getChildren("/stat", false, parent);
            Checks.equal(1, parent.getCversion(), "cversion");
            Checks.equal(1, parent.getNumChildren(), "children");
            Checks.equal(child.getCzxid(), parent.getPzxid(), "pzxid of parent");
            Checks.equal(stat.getMzxid(), parent.getMzxid(), "mzxid of parent");
            c.zk.delete("/stat/e", -1);
            Checks.equal(2, c.zk.exists("/stat", false).getCversion(), "cversion counts deletes");
            Stat set = c.zk.setData("/stat", bytes("1"), -1);
            Checks.equal(1, set.getVersion(), "version");
            Checks.equal(child.getCzxid() + 2, set.getMzxid(), "mzxid of set");
            Checks.equal(1, c.zk.setACL("/stat", Ids.OPEN_ACL_UNSAFE, 0).getAversion(), "aversion");
        }
    }

    private static void refusals() throws Exception {
        try (Client c = new Client()) {
            c.create("/refuse");
            c.create("/refuse/child");
            Checks.fails(KeeperException.NodeExistsException.class, () -> c.create("/refuse"));
            Checks.fails(KeeperException.NoNodeException.class, () -> c.create("/refuse/no/such"));
            Checks.fails(KeeperException.NoNodeException.class, () -> c.get("/refuse/none"));
            Checks.fails(KeeperException.NoNodeException.class,
                () -> c.zk.setData("/refuse/none", null, -1));
            Checks.fails(
                KeeperException.BadVersionException.class, () -> c.zk.setData("/refuse", null, 7));
            Checks.fails(
                KeeperException.BadVersionException.class, () -> c.zk.delete("/refuse/child", 7));
            Checks.fails(KeeperException.NotEmptyException.class, () -> c.zk.delete("/refuse", -1));
            Checks.fails(KeeperException.BadVersionException.class,
                () -> c.zk.setACL("/refuse", Ids.OPEN_ACL_UNSAFE, 9));
            Checks.fails(KeeperException.InvalidACLException.class,
                () -> c.zk.create(
                        "/refuse/acl", null, aclOf("nosuch", "x"), CreateMode.PERSISTENT));
            Checks.fails(KeeperException.InvalidACLException.class,
                () -> c.zk.create(
                        "/refuse/acl", null, Collections.emptyList(), CreateMode.PERSISTENT));
            c.create("/refuse/eph", "", CreateMode.EPHEMERAL);
            Checks.fails(KeeperException.NoChildrenForEphemeralsException.class,
                () -> c.create("/refuse/eph/x"));
            Checks.fails(KeeperException.BadArgumentsException.class, () -> c.zk.delete("/", -1));
        }
    }

    private static void znodeKinds() throws Exception {
        try (Client c = new Client(); Client other = new Client()) {
            c.create("/kinds");
            c.create("/kinds/c", "", CreateMode.CONTAINER);
            Checks.equal(0L, c.zk.exists("/kinds/c", false).getEphemeralOwner(), "container owner");
            c.zk.create("/kinds/t", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL,
                new Stat(), 600_000);
            Checks.equal(0L, c.zk.exists("/kinds/t", false).getEphemeralOwner(), "TTL owner");
            String seq = c.zk.create("/kinds/s-", null, Ids.OPEN_ACL_UNSAFE,
                CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, new Stat(), 600_000);
            Checks.equal("/kinds/s-0000000002", seq, "sequential TTL name");
            c.create("/kinds/e", "", CreateMode.EPHEMERAL);
            String es = c.create("/kinds/es-", "", CreateMode.EPHEMERAL_SEQUENTIAL);
            Checks.equal(5, other.zk.getChildren("/kinds", false).size(), "children");
            c.zk.close();
            Checks.that(
                other.zk.exists("/kinds/e", false) == null, "ephemeral gone with its session");
            Checks.that(
                other.zk.exists(es, false) == null, "ephemeral sequential gone with its session");
            Checks.that(other.zk.exists("/kinds/t", false) != null, "TTL znode stays");
        }
    }

    private static void sequentialNames() throws Exception {
        try (Client c = new Client()) {
            c.create("/seq");
            for (int i = 0; i < 12; i++) {
                CreateMode mode =
                    i % 2 == 0 ? CreateMode.PERSISTENT_SEQUENTIAL : CreateMode.EPHEMERAL_SEQUENTIAL;
                Checks.equal(String.format("/seq/n%010d", i), c.create("/seq/n", "", mode), "name");
            }
            c.create("/seq/plain");
            Checks.equal("/seq/0000000013", c.create("/seq/", "", CreateMode.PERSISTENT_SEQUENTIAL),
                "empty prefix");
            c.zk.delete("/seq/plain", -1);
            Checks.equal("/seq/n0000000014",
                c.create("/seq/n", "", CreateMode.PERSISTENT_SEQUENTIAL), "after delete");
        }
    }

    private static void multiIsAtomic() throws Exception {
        try (Client c = new Client()) {
            c.create("/multi");
            List<OpResult> done = c.zk.multi(List.of(
                Op.check("/multi", 0),
                Op.create("/multi/a", bytes("a"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.create("/multi/s-", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL),
                Op.setData("/multi/a", bytes("b"), 0),
                Op.create("/multi/e", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL),
                Op.delete("/multi/e", 0)));
            Checks.equal("/multi/a", ((OpResult.CreateResult) done.get(1)).getPath(), "created");
            Checks.equal("/multi/s-0000000001", ((OpResult.CreateResult) done.get(2)).getPath(),
                "sequential");
            Checks.equal(1, ((OpResult.SetDataResult) done.get(3)).getStat().getVersion(),
                "version in the multi");
            Stat a = c.zk.exists("/multi/a", false);
            Checks.equal(a.getCzxid(), a.getMzxid(), "one zxid for all of it");
            Checks.equal(a.getCzxid(), c.zk.exists("/multi/s-0000000001", false).getCzxid(),
                "one zxid for all of it");

            KeeperException refused = Checks.fails(KeeperException.BadVersionException.class,
                () -> c.zk.multi(List.of(
                        Op.create("/multi/x", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                        Op.setData("/multi/a", bytes("lost"), 99), Op.delete("/multi/a", -1))));
            List<Integer> codes = new ArrayList<>();
            for (OpResult result : refused.getResults()) {
                codes.add(((OpResult.ErrorResult) result).getErr());
            }
            Checks.equal(List.of(0, -103, -2), codes, "per-op results");
            Checks.that(c.zk.exists("/multi/x", false) == null, "nothing of it happened");
            Checks.equal("b", c.get("/multi/a"), "nothing of it happened");
            Checks.equal("/multi/s-0000000003",
                c.create("/multi/s-", "", CreateMode.PERSISTENT_SEQUENTIAL),
                "a refused multi uses no number");
            Checks.equal(0, c.zk.multi(List.of()).size(), "empty multi");
            c.zk.transaction().create("/multi/t", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)
                .delete("/multi/t", -1).commit();
        }
    }

    private static void multiRead() throws Exception {
        try (Client c = new Client()) {
            c.create("/mread", "data", CreateMode.PERSISTENT);
            c.create("/mread/x");
            List<OpResult> got = c.zk.multi(List.of(Op.getData("/mread"), Op.getChildren("/mread"),
                Op.getData("/mread/none"), Op.getData("/mread/x")));
            Checks.equal(
                "data", new String(((OpResult.GetDataResult) got.get(0)).getData(), UTF_8), "data");
            Checks.equal(
                1, ((OpResult.GetDataResult) got.get(0)).getStat().getNumChildren(), "stat");
            Checks.equal(
                List.of("x"), ((OpResult.GetChildrenResult) got.get(1)).getChildren(), "children");
            Checks.equal(-101, ((OpResult.ErrorResult) got.get(2)).getErr(), "missing");
            Checks.equal(0, ((OpResult.GetDataResult) got.get(3)).getData().length,
                "reads go on after an error");
        }
    }

    private static void oneShotWatches() throws Exception {
        try (Client c = new Client(); Client other = new Client()) {
            c.create("/watch");
            Checks.that(c.zk.exists("/watch/a", true) == null, "not yet");
            c.zk.getChildren("/watch", true);
            other.create("/watch/a", "1", CreateMode.PERSISTENT);
            c.expect(EventType.NodeCreated, "/watch/a");
            c.expect(EventType.NodeChildrenChanged, "/watch");
            c.zk.getData("/watch/a", true, null);
            other.zk.setData("/watch/a", bytes("2"), -1);
            Checks.equal("2", c.get("/watch/a"), "the event came first");
            c.expect(EventType.NodeDataChanged, "/watch/a");
            other.zk.setData("/watch/a", bytes("3"), -1);
            c.expectNoMore();
            c.zk.getData("/watch/a", true, null);
            c.zk.exists("/watch/a", true);
            c.zk.getChildren("/watch/a", true);
            c.zk.getChildren("/watch", true);
            other.zk.delete("/watch/a", -1);
            c.expect(EventType.NodeDeleted, "/watch/a");
            c.expect(EventType.NodeChildrenChanged, "/watch");
            c.expectNoMore();
        }
    }

    private static void persistentWatches() throws Exception {
        try (Client c = new Client(); Client other = new Client()) {
            c.create("/pers");
            c.zk.addWatch("/pers", c, AddWatchMode.PERSISTENT);
            other.create("/pers/a");
            c.expect(EventType.NodeChildrenChanged, "/pers");
            other.zk.setData("/pers", bytes("1"), -1);
            c.expect(EventType.NodeDataChanged, "/pers");
            other.zk.setData("/pers", bytes("2"), -1);
            c.expect(EventType.NodeDataChanged, "/pers");
            other.zk.delete("/pers/a", -1);
            c.expect(EventType.NodeChildrenChanged, "/pers");
            c.zk.removeWatches("/pers", c, Watcher.WatcherType.Any, false);
            c.expect(EventType.PersistentWatchRemoved, "/pers");

            c.zk.addWatch("/pers", c, AddWatchMode.PERSISTENT_RECURSIVE);
            other.create("/pers/x");
            c.expect(EventType.NodeCreated, "/pers/x");
            other.create("/pers/x/y");
            c.expect(EventType.NodeCreated, "/pers/x/y");
            other.zk.setData("/pers/x/y", bytes("1"), -1);
            c.expect(EventType.NodeDataChanged, "/pers/x/y");
            other.zk.delete("/pers/x/y", -1);
            c.expect(EventType.NodeDeleted, "/pers/x/y");
            other.zk.delete("/pers/x", -1);
            c.expect(EventType.NodeDeleted, "/pers/x");
            other.zk.delete("/pers", -1);
            c.expect(EventType.NodeDeleted, "/pers");
            other.create("/pers");
            c.expect(EventType.NodeCreated, "/pers");
            c.expectNoMore();
        }
    }

    private static void removeWatches() throws Exception {
        try (Client c = new Client(); Client other = new Client()) {
            c.create("/unwatch");
            c.zk.getData("/unwatch", c, null);
            c.zk.getChildren("/unwatch", c);
            c.zk.removeWatches("/unwatch", c, Watcher.WatcherType.Data, false);
            c.expect(EventType.DataWatchRemoved, "/unwatch");
            other.zk.setData("/unwatch", bytes("1"), -1);
            c.expectNoMore();
            c.zk.removeAllWatches("/unwatch", Watcher.WatcherType.Any, false);
            c.expect(EventType.ChildWatchRemoved, "/unwatch");
            other.create("/unwatch/a");
            c.expectNoMore();
            Checks.fails(KeeperException.NoWatcherException.class,
                () -> c.zk.removeWatches("/unwatch", c, Watcher.WatcherType.Any, false));
        }
    }

    private static void aclDigestAndAuth() throws Exception {
        try (Client owner = new Client(); Client stranger = new Client()) {
            owner.zk.addAuthInfo("digest", bytes("ann:secret"));
            owner.zk.create("/acl", bytes("x"), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
            Stat stat = new Stat();
            List<ACL> acl = owner.zk.getACL("/acl", stat);
            String id = DigestAuthenticationProvider.generateDigest("ann:secret");
            Checks.equal(
                List.of(new ACL(Perms.ALL, new Id("digest", id))), acl, "auth becomes the digest");
            Checks.equal(0, stat.getAversion(), "aversion");
            Checks.fails(KeeperException.NoAuthException.class, () -> stranger.get("/acl"));
            Checks.fails(KeeperException.NoAuthException.class, () -> stranger.create("/acl/a"));
            Checks.fails(KeeperException.NoAuthException.class,
                () -> stranger.zk.getChildren("/acl", false));
            Checks.fails(KeeperException.NoAuthException.class,
                () -> stranger.zk.setACL("/acl", Ids.OPEN_ACL_UNSAFE, -1));
            Checks.fails(
                KeeperException.NoAuthException.class, () -> stranger.zk.exists("/acl", false));
            stranger.zk.addAuthInfo("digest", bytes("ann:wrong"));
            Checks.fails(KeeperException.NoAuthException.class, () -> stranger.get("/acl"));
            stranger.zk.addAuthInfo("digest", bytes("ann:secret"));
            Checks.equal("x", stranger.get("/acl"), "a second identity helps");
            List<ACL> mixed = Arrays.asList(
                new ACL(Perms.READ, Ids.ANYONE_ID_UNSAFE),
                new ACL(Perms.ALL, new Id("digest", id)),
                new ACL(Perms.CREATE, new Id("ip", "127.0.0.0/8")));
            owner.zk.setACL("/acl", mixed, 0);
            Checks.equal(mixed, owner.zk.getACL("/acl", null), "acl as set");
            try (Client local = new Client()) {
                local.create("/acl/by-ip");
                Checks.equal("x", local.get("/acl"), "world read");
                Checks.fails(
                    KeeperException.NoAuthException.class, () -> local.zk.delete("/acl/by-ip", -1));
                List<ACL> shown = local.zk.getACL("/acl", null);
                Checks.equal("ann:x", shown.get(1).getId().getId(),
                    "digest hidden from those without admin");
            }
            Checks.fails(KeeperException.InvalidACLException.class, () -> {
                try (Client nobody = new Client()) {
                    nobody.zk.create("/acl/none", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
                }
            });
        }
        Client bad = new Client();
        bad.zk.addAuthInfo("nosuchscheme", bytes("x"));
        Checks.await("auth failed", () -> bad.state == KeeperState.AuthFailed);
        Checks.fails(KeeperException.class, () -> bad.get("/"));
        bad.close();
    }

    private static void whoAmI() throws Exception {
        try (Client c = new Client()) {
            Checks.equal(List.of(new ClientInfo("ip", "127.0.0.1")), c.zk.whoAmI(), "before");
            c.zk.addAuthInfo("digest", bytes("ann:secret"));
            Checks.equal(
                new TreeSet<>(List.of("ip 127.0.0.1", "digest ann")), identities(c), "after");
        }
    }

    private static TreeSet<String> identities(Client c) throws Exception {
        TreeSet<String> all = new TreeSet<>();
        c.zk.whoAmI().forEach(info -> all.add(info.getAuthScheme() + " " + info.getUser()));
        return all;
    }

    private static void ephemeralsAndCounts() throws Exception {
        try (Client c = new Client(); Client other = new Client()) {
            c.create("/eph");
            c.create("/eph/sub");
            c.create("/eph/sub/e1", "", CreateMode.EPHEMERAL);
            c.create("/eph/e2", "", CreateMode.EPHEMERAL);
            other.create("/eph/e3", "", CreateMode.EPHEMERAL);
            Checks.equal(
                List.of("/eph/e2", "/eph/sub/e1"), sorted(c.zk.getEphemerals()), "own ephemerals");
            Checks.equal(List.of("/eph/sub/e1"), c.zk.getEphemerals("/eph/sub"), "below a prefix");
            Checks.equal(4, c.zk.getAllChildrenNumber("/eph"), "all below");
            Checks.fails(KeeperException.NoNodeException.class,
                () -> c.zk.getAllChildrenNumber("/eph/none"));
        }
    }

    private static void pipelinedOrder() throws Exception {
        try (Client c = new Client()) {
            c.create("/pipe");
            List<String> log = Collections.synchronizedList(new ArrayList<>());
            List<String> expected = new ArrayList<>();
            BlockingQueue<Integer> end = new LinkedBlockingQueue<>();
            for (int i = 0; i < 200; i++) {
                String path = "/pipe/n" + i;
                c.zk.create(path, bytes("0"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
                    (AsyncCallback.StringCallback) (rc, p, ctx, name)
                        -> log.add("create " + rc),
                    null);
                c.zk.setData(path, bytes("1"), 0, (rc, p, ctx, stat) -> log.add("set " + rc), null);
                c.zk.getData(path, false,
                    (rc, p, ctx, data, stat) -> log.add("get " + new String(data, UTF_8)), null);
                c.zk.delete(path, 5, (rc, p, ctx) -> log.add("delete " + rc), null);
                c.zk.getChildren("/pipe", false,
                    (AsyncCallback.ChildrenCallback) (rc, p, ctx, names)
                        -> log.add("children " + names.size()),
                    null);
                expected.addAll(
                    List.of("create 0", "set 0", "get 1", "delete -103", "children " + (i + 1)));
            }
            c.zk.sync("/pipe", (rc, p, ctx) -> end.add(rc), null);
            Checks.equal(0, end.poll(Checks.DEADLINE_MS, TimeUnit.MILLISECONDS), "sync");
            Checks.equal(expected, log, "replies in order");
        }
    }

    private static void largeData() throws Exception {
        try (Client c = new Client()) {
            byte[] big = new byte[1_000_000];
            Arrays.fill(big, (byte) 7);
            c.zk.create("/large", big, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            Checks.that(
                Arrays.equals(big, c.zk.getData("/large", false, null)), "a million bytes back");
            List<Op> ops = new ArrayList<>();
            for (int i = 0; i < 3000; i++) {
                ops.add(Op.create("/large/child-with-a-longer-name-" + i, null, Ids.OPEN_ACL_UNSAFE,
                    CreateMode.PERSISTENT));
            }
            c.zk.multi(ops);
            Checks.equal(3000, c.zk.getChildren("/large", false).size(), "children");
            Checks.fails(KeeperException.ConnectionLossException.class,
                () -> c.zk.setData("/large", new byte[1_100_000], -1));
            c.awaitService();
            Checks.equal(0, c.zk.exists("/large", false).getVersion(), "not written");
        }
    }

    private static void chroot() throws Exception {
        try (Client root = new Client()) {
            root.create("/app");
            root.create("/app/team");
            try (Client c = new Client("/app/team")) {
                Checks.equal(
                    "/a", c.create("/a", "1", CreateMode.PERSISTENT), "path without the prefix");
                Checks.equal("/s0000000001", c.create("/s", "", CreateMode.EPHEMERAL_SEQUENTIAL),
                    "sequential name");
                Checks.equal("1", root.get("/app/team/a"), "where it really is");
                Checks.equal(2, c.zk.getChildren("/", true).size(), "children of the chroot");
                c.zk.exists("/b", true);
                c.zk.getData("/a", true, null);
                root.zk.setData("/app/team/a", bytes("2"), -1);
                c.expect(EventType.NodeDataChanged, "/a");
                root.create("/app/team/b");
                c.expect(EventType.NodeCreated, "/b");
                c.expect(EventType.NodeChildrenChanged, "/");
                c.zk.addWatch("/", c, AddWatchMode.PERSISTENT_RECURSIVE);
                root.create("/app/team/b/deep");
                c.expect(EventType.NodeCreated, "/b/deep");
                c.zk.removeWatches("/", c, Watcher.WatcherType.Any, false);
                c.expect(EventType.PersistentWatchRemoved, "/");
                List<OpResult> done = c.zk.multi(List.of(
                    Op.create("/m", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                    Op.create("/m/s-", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL),
                    Op.check("/a", 1)));
                // Of multi and getEphemerals this client hands on what the server said: the chroot
                // is still on.
                Checks.equal("/app/team/m/s-0000000000",
                    ((OpResult.CreateResult) done.get(1)).getPath(), "multi result");
                Checks.equal(
                    List.of("/app/team/s0000000001"), c.zk.getEphemerals("/"), "ephemerals");
                Checks.equal(6, c.zk.getAllChildrenNumber("/"), "all below the chroot");
                c.zk.setACL("/m", Ids.READ_ACL_UNSAFE, 0);
                Checks.fails(KeeperException.NoAuthException.class, () -> c.create("/m/x"));
                c.zk.delete("/a", 1);
            }
        }
    }

    private static void missingChroot() throws Exception {
        try (Client c = new Client("/not/made/yet"); Client root = new Client()) {
            Checks.fails(KeeperException.NoNodeException.class, () -> c.create("/x"));
            Checks.that(c.zk.exists("/", true) == null, "the chroot itself is missing");
            root.create("/not");
            root.create("/not/made");
            root.create("/not/made/yet");
            c.expect(EventType.NodeCreated, "/");
            c.create("/x");
        }
    }

    private static void configZnode() throws Exception {
        try (Client c = new Client()) {
            Stat stat = new Stat();
            c.zk.getConfig(false, stat);
            Checks.equal(List.of("config", "quota"), sorted(c.zk.getChildren("/zookeeper", false)),
                "/zookeeper");
            Checks.fails(KeeperException.NoAuthException.class,
                () -> c.zk.setData("/zookeeper/config", bytes("x"), -1));
        }
    }

    private static void reconnect() throws Exception {
        try (Relay relay = new Relay(server); Client c = new Client(relay.address(), SESSION_MS);
             Client other = new Client()) {
            long id = c.zk.getSessionId();
            c.create("/again");
            c.create("/again/e", "", CreateMode.EPHEMERAL);
            c.zk.getData("/again", true, null);
            c.zk.getChildren("/again", true);
            c.zk.exists("/again/new", true);
            relay.shut();
            Checks.await("noticed", () -> !c.zk.getState().isConnected());
            other.zk.setData("/again", bytes("meanwhile"), -1);
            other.create("/again/new");
            relay.open();
            Checks.await("back", () -> c.zk.getState().isConnected());
            Checks.equal(id, c.zk.getSessionId(), "session id");
            List<String> events = new ArrayList<>();
            for (int i = 0; i < 3; i++) {
                WatchedEvent event = c.events.poll(Checks.DEADLINE_MS, TimeUnit.MILLISECONDS);
                Checks.that(event != null, "missed changes are told, got " + events);
                events.add(event.getType() + " " + event.getPath());
            }
            Checks.equal(List.of("NodeChildrenChanged /again", "NodeCreated /again/new",
                             "NodeDataChanged /again"),
                sorted(events), "missed changes");
            Checks.equal(id, other.zk.exists("/again/e", false).getEphemeralOwner(),
                "the ephemeral is still there");
        }
    }

    /** So many watches that the client splits them over several setWatches2 requests. */
    private static void reconnectManyWatches() throws Exception {
        try (Relay relay = new Relay(server); Client c = new Client(relay.address(), SESSION_MS);
             Client other = new Client()) {
            c.create("/many");
            int count = 1500;
            String longName = "x".repeat(100);
            for (int i = 0; i < count; i++) {
                c.zk.exists("/many/" + longName + i, true, (rc, path, ctx, stat) -> { }, null);
            }
            c.zk.addWatch("/many", c, AddWatchMode.PERSISTENT_RECURSIVE);
            relay.shut();
            Checks.await("away", () -> c.state == KeeperState.Disconnected);
            relay.open();
            Checks.await("back", () -> c.state == KeeperState.SyncConnected);
            // The client says so before its watches are set; what it asks next comes behind them.
            c.expectNoMore();
            other.create("/many/" + longName + "7");
            c.expect(EventType.NodeCreated, "/many/" + longName + "7");
            other.create("/many/" + longName + (count - 1));
            c.expect(EventType.NodeCreated, "/many/" + longName + (count - 1));
            other.create("/many/elsewhere");
            c.expect(EventType.NodeCreated, "/many/elsewhere");
        }
    }

    private static void sessionMoves() throws Exception {
        try (Relay relay = new Relay(server); Client other = new Client()) {
            Client first = new Client(relay.address(), SESSION_MS);
            first.create("/moves", "", CreateMode.EPHEMERAL);
            long id = first.zk.getSessionId();
            // Otherwise the first would take its session back at once.
            relay.shut();
            BlockingQueue<KeeperState> states = new LinkedBlockingQueue<>();
            ZooKeeper second = new ZooKeeper(
                server, SESSION_MS, e -> states.add(e.getState()), id, first.zk.getSessionPasswd());
            Checks.equal(KeeperState.SyncConnected,
                states.poll(Checks.DEADLINE_MS, TimeUnit.MILLISECONDS), "resumed");
            Checks.equal(id, second.getSessionId(), "session id");
            Checks.equal(id, second.exists("/moves", false).getEphemeralOwner(), "owner");
            second.close();
            Checks.that(other.zk.exists("/moves", false) == null, "closed by its second holder");
            relay.open();
            Checks.await("the first is told", () -> first.state == KeeperState.Expired);
        }
    }

    private static void wrongPassword() throws Exception {
        try (Client c = new Client()) {
            List<KeeperState> states = Collections.synchronizedList(new ArrayList<>());
            ZooKeeper thief = new ZooKeeper(server, SESSION_MS,
                e -> states.add(e.getState()), c.zk.getSessionId(), new byte[16]);
            Checks.await("refused", () -> states.contains(KeeperState.Expired));
            thief.close();
            // Any claim to a session closes the connection that held it; with its password the
            // owner gets it back.
            long id = c.zk.getSessionId();
            c.awaitService();
            Checks.equal(id, c.zk.getSessionId(), "session id");
        }
    }

    private static void sessionExpires() throws Exception {
        try (Relay relay = new Relay(server); Client other = new Client()) {
            Client c = new Client(relay.address(), SHORT_SESSION_MS);
            c.create("/expires", "", CreateMode.EPHEMERAL);
            other.zk.exists("/expires", true);
            relay.shut();
            other.expect(EventType.NodeDeleted, "/expires");
            relay.open();
            Checks.await("told of it", () -> c.state == KeeperState.Expired);
            Checks.fails(KeeperException.SessionExpiredException.class, () -> c.get("/"));
        }
    }

    /**
     * Pings alone keep a session for several of its timeouts; the clock here is another session's
     * own expiry.
     */
    private static void idleSessionStays() throws Exception {
        try (Relay relay = new Relay(server); Client idle = new Client(server, SHORT_SESSION_MS);
             Client watcher = new Client()) {
            idle.create("/idle", "", CreateMode.EPHEMERAL);
            for (int round = 0; round < 2; round++) {
                relay.open();
                Client dies = new Client(relay.address(), SHORT_SESSION_MS);
                dies.create("/idle-clock", "", CreateMode.EPHEMERAL);
                watcher.zk.exists("/idle-clock", true);
                relay.shut();
                watcher.expect(EventType.NodeDeleted, "/idle-clock");
            }
            Checks.that(watcher.zk.exists("/idle", false) != null, "still there");
            Checks.equal(KeeperState.SyncConnected, idle.state, "never lost its connection");
        }
    }

    private static List<String> sorted(List<String> names) {
        List<String> all = new ArrayList<>(names);
        Collections.sort(all);
        return all;
    }
}
