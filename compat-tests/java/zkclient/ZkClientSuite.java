import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.I0Itec.zkclient.IZkChildListener;
import org.I0Itec.zkclient.IZkDataListener;
import org.I0Itec.zkclient.IZkStateListener;
import org.I0Itec.zkclient.ZkClient;
import org.I0Itec.zkclient.exception.ZkBadVersionException;
import org.I0Itec.zkclient.exception.ZkNoNodeException;
import org.I0Itec.zkclient.exception.ZkNodeExistsException;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;

/** com.101tec:zkclient on an old Java client (see pom.xml). */
public final class ZkClientSuite {
    private static final int CONNECT_MS = (int) Checks.DEADLINE_MS;
    private static final int SESSION_MS = 40_000;
    /** Short enough to wait for its end; no pause of a busy machine may take as long. */
    private static final int SHORT_SESSION_MS = 5_000;
    private static String server;

    public static void main(String[] args) throws Exception {
        Checks checks = new Checks(args);
        server = checks.server;
        checks.add("create_read_write_delete", ZkClientSuite::createReadWriteDelete);
        checks.add("znode_kinds", ZkClientSuite::znodeKinds);
        checks.add("versions", ZkClientSuite::versions);
        checks.add("multi", ZkClientSuite::multi);
        checks.add("auth", ZkClientSuite::auth);
        checks.add(
            "listeners", () -> listeners(client(server, SESSION_MS), client(server, SESSION_MS)));
        checks.add("listeners_in_chroot", ZkClientSuite::listenersInChroot);
        checks.add("reconnect", ZkClientSuite::reconnect);
        checks.add("expiry_starts_a_new_session", ZkClientSuite::expiry);
        checks.finish();
    }

    private static ZkClient client(String address, int sessionMs) {
        return new ZkClient(address, sessionMs, CONNECT_MS);
    }

    private static void createReadWriteDelete() throws Exception {
        ZkClient c = client(server, SESSION_MS);
        c.createPersistent("/crud/a/b", true);
        c.writeData("/crud/a/b", "text");
        Checks.equal("text", c.readData("/crud/a/b"), "data");
        Checks.equal(List.of("b"), c.getChildren("/crud/a"), "children");
        Checks.equal(1, c.countChildren("/crud"), "count");
        Checks.fails(ZkNodeExistsException.class, () -> c.createPersistent("/crud/a"));
        Checks.fails(ZkNoNodeException.class, () -> c.readData("/crud/none"));
        Checks.that(c.readData("/crud/none", true) == null, "null if missing");
        Checks.that(!c.delete("/crud/none"), "nothing to delete");
        Checks.that(c.deleteRecursive("/crud"), "deleted");
        Checks.that(!c.exists("/crud"), "gone");
        c.close();
    }

    private static void znodeKinds() throws Exception {
        ZkClient c = client(server, SESSION_MS);
        ZkClient other = client(server, SESSION_MS);
        c.createPersistent("/kinds");
        c.createEphemeral("/kinds/e", "x");
        Checks.equal(
            "/kinds/s0000000001", c.createPersistentSequential("/kinds/s", "1"), "sequential");
        Checks.equal("/kinds/s0000000002", c.createEphemeralSequential("/kinds/s", "2"),
            "ephemeral sequential");
        Checks.equal(3, other.countChildren("/kinds"), "children");
        c.close();
        Checks.equal(List.of("s0000000001"), other.getChildren("/kinds"),
            "ephemerals went with the session");
        other.close();
    }

    private static void versions() throws Exception {
        ZkClient c = client(server, SESSION_MS);
        c.createPersistent("/version", "0");
        Stat stat = new Stat();
        c.readData("/version", stat);
        Checks.equal(0, stat.getVersion(), "version");
        Checks.equal(1, c.writeDataReturnStat("/version", "1", 0).getVersion(), "version");
        Checks.fails(ZkBadVersionException.class, () -> c.writeData("/version", "2", 0));
        c.updateDataSerialized("/version", old -> old + "+");
        Checks.equal("1+", c.readData("/version"), "updated");
        Checks.that(Math.abs(c.getCreationTime("/version") - System.currentTimeMillis()) < 60_000,
            "creation time");
        c.close();
    }

    private static void multi() throws Exception {
        ZkClient c = client(server, SESSION_MS);
        c.multi(
            List.of(Op.create("/multi", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.create("/multi/s", new byte[0], Ids.OPEN_ACL_UNSAFE,
                    CreateMode.PERSISTENT_SEQUENTIAL)));
        Checks.equal(List.of("s0000000000"), c.getChildren("/multi"), "made");
        c.close();
    }

    private static void auth() throws Exception {
        ZkClient c = client(server, SESSION_MS);
        ZkClient stranger = client(server, SESSION_MS);
        c.addAuthInfo("digest", "ann:secret".getBytes());
        c.createPersistent("/auth", "x", Ids.CREATOR_ALL_ACL);
        Checks.equal("x", c.readData("/auth"), "data");
        Checks.fails(RuntimeException.class, () -> stranger.readData("/auth"));
        Checks.equal(1, c.getAcl("/auth").getKey().size(), "acl");
        stranger.close();
        c.close();
    }

    private static void listenersInChroot() throws Exception {
        ZkClient root = client(server, SESSION_MS);
        root.createPersistent("/chroot/app", true);
        listeners(
            client(server + "/chroot/app", SESSION_MS), client(server + "/chroot/app", SESSION_MS));
        Checks.that(root.exists("/chroot/app/listen"), "where it really is");
        root.close();
    }

    /** Changes one listener saw, in words. */
    private static final class Seen implements IZkChildListener, IZkDataListener, IZkStateListener {
        final List<String> all = Collections.synchronizedList(new ArrayList<>());
        final CountDownLatch newSession = new CountDownLatch(1);

        @Override
        public void handleChildChange(String parent, List<String> children) {
            all.add("children " + parent + " " + children);
        }

        @Override
        public void handleDataChange(String path, Object data) {
            all.add("data " + path + " " + data);
        }

        @Override
        public void handleDataDeleted(String path) {
            all.add("deleted " + path);
        }

        @Override
        public void handleStateChanged(KeeperState state) {
            all.add("state " + state);
        }

        @Override
        public void handleNewSession() {
            newSession.countDown();
        }

        @Override
        public void handleSessionEstablishmentError(Throwable error) {
            all.add("error " + error);
        }

        void expect(String what) throws Exception {
            Checks.await(what, () -> all.contains(what));
        }
    }

    private static void listeners(ZkClient watching, ZkClient changing) throws Exception {
        Seen seen = new Seen();
        watching.subscribeChildChanges("/listen", seen);
        watching.subscribeDataChanges("/listen/a", seen);
        changing.createPersistent("/listen");
        seen.expect("children /listen []");
        changing.createPersistent("/listen/a", "1");
        seen.expect("children /listen [a]");
        seen.expect("data /listen/a 1");
        changing.writeData("/listen/a", "2");
        seen.expect("data /listen/a 2");
        changing.delete("/listen/a");
        seen.expect("deleted /listen/a");
        changing.createEphemeral("/listen/e");
        seen.expect("children /listen [e]");
        Checks.that(
            watching.waitUntilExists("/listen/e", TimeUnit.MILLISECONDS, Checks.DEADLINE_MS),
            "exists");
        changing.close();
        Checks.await("ephemeral gone", () -> seen.all.lastIndexOf("children /listen []") > 0);
        watching.close();
    }

    private static void reconnect() throws Exception {
        try (Relay relay = new Relay(server)) {
            ZkClient c = client(relay.address(), SESSION_MS);
            ZkClient other = client(server, SESSION_MS);
            Seen seen = new Seen();
            c.createPersistent("/again");
            c.createEphemeral("/again/e");
            c.subscribeStateChanges(seen);
            c.subscribeDataChanges("/again", seen);
            relay.shut();
            seen.expect("state Disconnected");
            other.writeData("/again", "meanwhile");
            relay.open();
            seen.expect("state SyncConnected");
            seen.expect("data /again meanwhile");
            Checks.that(c.exists("/again/e"), "same session");
            c.close();
            other.close();
        }
    }

    private static void expiry() throws Exception {
        try (Relay relay = new Relay(server)) {
            ZkClient c = client(relay.address(), SHORT_SESSION_MS);
            ZkClient other = client(server, SESSION_MS);
            Seen seen = new Seen();
            c.subscribeStateChanges(seen);
            c.createEphemeral("/expiry");
            relay.shut();
            Checks.await("gone", () -> !other.exists("/expiry"));
            relay.open();
            Checks.that(
                seen.newSession.await(Checks.DEADLINE_MS, TimeUnit.MILLISECONDS), "new session");
            c.createEphemeral("/expiry");
            Checks.that(other.exists("/expiry"), "made by the new session");
            c.close();
            other.close();
        }
    }
}
