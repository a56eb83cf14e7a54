import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.VersionedValue;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.framework.state.ConnectionStateListener;
import org.apache.curator.retry.RetryNTimes;
import org.apache.curator.x.discovery.ServiceCache;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.zookeeper.CreateMode;

/**
 * Curator's recipes and service discovery; the third argument of each client is its namespace or
 * chroot.
 */
public final class CuratorSuite {
    private static final int SESSION_MS = 40_000;
    /** Short enough to wait for its end; no pause of a busy machine may take as long. */
    private static final int SHORT_SESSION_MS = 6_000;
    private static final long WAIT = Checks.DEADLINE_MS;
    private static String server;

    public static void main(String[] args) throws Exception {
        Checks checks = new Checks(args);
        server = checks.server;
        try (CuratorFramework root = client("", null)) {
            root.create().orSetData().forPath("/chroot");
        }
        checks.add("framework_calls", CuratorSuite::frameworkCalls);
        checks.add("transaction", CuratorSuite::transaction);
        checks.add("protected_create_survives_a_cut", CuratorSuite::protectedCreate);
        checks.add("leader_latch", () -> leaderLatch("", null));
        checks.add("leader_latch_in_chroot_and_namespace", () -> leaderLatch("/chroot", "spaced"));
        checks.add("leader_latch_after_expiry", CuratorSuite::leaderLatchAfterExpiry);
        checks.add("leader_selector", CuratorSuite::leaderSelector);
        checks.add("mutex", () -> mutex("", null));
        checks.add("mutex_in_chroot_and_namespace", () -> mutex("/chroot", "spaced"));
        checks.add("read_write_lock", CuratorSuite::readWriteLock);
        checks.add("semaphore", CuratorSuite::semaphore);
        checks.add("barrier", CuratorSuite::barrier);
        checks.add("double_barrier", CuratorSuite::doubleBarrier);
        checks.add("shared_count", CuratorSuite::sharedCount);
        checks.add("distributed_atomic_long", CuratorSuite::atomicLong);
        checks.add("distributed_queue", CuratorSuite::distributedQueue);
        checks.add("simple_distributed_queue", CuratorSuite::simpleQueue);
        checks.add("curator_cache", () -> curatorCache("", null));
        checks.add(
            "curator_cache_in_chroot_and_namespace", () -> curatorCache("/chroot", "spaced"));
        checks.add("persistent_watcher_over_a_cut", CuratorSuite::persistentWatcher);
        checks.add("persistent_node", CuratorSuite::persistentNode);
        checks.add("persistent_ttl_node", CuratorSuite::persistentTtlNode);
        checks.add("group_member", CuratorSuite::groupMember);
        checks.add("service_discovery", () -> serviceDiscovery("", null));
        checks.add("service_discovery_in_chroot_and_namespace",
            () -> serviceDiscovery("/chroot", "spaced"));
        checks.finish();
    }

    private static CuratorFramework client(String address, String namespace, int sessionMs)
        throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.builder()
            .connectString(address)
            .namespace(namespace)
            .sessionTimeoutMs(sessionMs)
            .connectionTimeoutMs(5_000)
            .retryPolicy(new RetryNTimes(50, 100))
            .build();
        client.start();
        Checks.that(client.blockUntilConnected((int) WAIT, TimeUnit.MILLISECONDS), "not connected");
        return client;
    }

    private static CuratorFramework client(String chroot, String namespace) throws Exception {
        return client(server + chroot, namespace, SESSION_MS);
    }

    private static String data(CuratorFramework client, String path) throws Exception {
        return new String(client.getData().forPath(path), UTF_8);
    }

    private static void frameworkCalls() throws Exception {
        try (CuratorFramework c = client("", null)) {
            c.create().creatingParentsIfNeeded().forPath("/calls/a/b", "x".getBytes(UTF_8));
            c.create().creatingParentContainersIfNeeded().forPath("/calls/containers/b");
            c.create().orSetData().forPath("/calls/a/b", "y".getBytes(UTF_8));
            Checks.equal("y", data(c, "/calls/a/b"), "create or set");
            Checks.equal(2,
                c.setData().withVersion(1).forPath("/calls/a/b", new byte[0]).getVersion(),
                "version");
            c.setData().compressed().forPath("/calls/a/b", "zipped".getBytes(UTF_8));
            Checks.equal("zipped",
                new String(c.getData().decompressed().forPath("/calls/a/b"), UTF_8), "compressed");
            String guid = c.create()
                              .withProtection()
                              .withMode(CreateMode.EPHEMERAL_SEQUENTIAL)
                              .forPath("/calls/p-");
            Checks.that(
                guid.matches("/calls/_c_[0-9a-f-]{36}-p-0000000002"), "protected name " + guid);
            CountDownLatch background = new CountDownLatch(1);
            c.getChildren().inBackground((client, event) -> {
                if (event.getResultCode() == 0 && event.getChildren().contains("a")) {
                    background.countDown();
                }
            }).forPath("/calls");
            Checks.that(background.await(WAIT, TimeUnit.MILLISECONDS), "background call");
            c.sync().forPath("/calls");
            c.delete().guaranteed().deletingChildrenIfNeeded().forPath("/calls");
            Checks.that(c.checkExists().forPath("/calls") == null, "deleted");
            Checks.that(c.checkExists().creatingParentsIfNeeded().forPath("/calls/new/x") == null,
                "only parents");
            Checks.that(c.checkExists().forPath("/calls/new") != null, "parents made");
        }
    }

    private static void transaction() throws Exception {
        try (CuratorFramework c = client("/chroot", "tx")) {
            c.create().creatingParentsIfNeeded().forPath("/t");
            Collection<CuratorTransactionResult> results = c.transaction().forOperations(
                c.transactionOp().check().withVersion(0).forPath("/t"),
                c.transactionOp().create().forPath("/t/a", "1".getBytes(UTF_8)),
                c.transactionOp().setData().forPath("/t/a", "2".getBytes(UTF_8)),
                c.transactionOp().create().forPath("/t/b"),
                c.transactionOp().delete().forPath("/t/b"));
            Checks.equal(5, results.size(), "results");
            Checks.equal("2", data(c, "/t/a"), "done");
            Checks.fails(Exception.class, () -> c.transaction().forOperations(
                c.transactionOp().create().forPath("/t/c"),
                c.transactionOp().delete().forPath("/t/none")));
            Checks.that(c.checkExists().forPath("/t/c") == null, "all or nothing");
        }
    }

    /**
     * Cut after cut while ephemeral sequential znodes are made: each create ends as exactly one
     * znode.
     */
    private static void protectedCreate() throws Exception {
        try (Relay relay = new Relay(server);
                CuratorFramework c = client(relay.address(), null, SESSION_MS);
                CuratorFramework other = client("", null)) {
            other.create().forPath("/protected");
            int count = 3;
            for (int i = 0; i < count; i++) {
                if (i > 0) {
                    relay.cut();
                }
                c.create()
                    .withProtection()
                    .withMode(CreateMode.EPHEMERAL_SEQUENTIAL)
                    .forPath("/protected/n-");
            }
            Checks.equal(count, other.getChildren().forPath("/protected").size(), "znodes");
        }
    }

    private static void leaderLatch(String chroot, String namespace) throws Exception {
        try (CuratorFramework a = client(chroot, namespace);
             CuratorFramework b = client(chroot, namespace)) {
            LeaderLatch first = new LeaderLatch(a, "/latch", "first");
            LeaderLatch second = new LeaderLatch(b, "/latch", "second");
            first.start();
            Checks.that(first.await(WAIT, TimeUnit.MILLISECONDS), "first leads");
            second.start();
            Checks.await("both known", () -> first.getParticipants().size() == 2);
            Checks.that(!second.hasLeadership(), "only one leads");
            Checks.equal("first", second.getLeader().getId(), "leader as the other sees it");
            first.close();
            Checks.that(second.await(WAIT, TimeUnit.MILLISECONDS), "second follows");
            second.close();
        }
    }

    private static void leaderLatchAfterExpiry() throws Exception {
        try (Relay relay = new Relay(server);
                CuratorFramework a = client(relay.address(), null, SHORT_SESSION_MS);
                CuratorFramework b = client("", null)) {
            LeaderLatch first = new LeaderLatch(a, "/latch-expiry", "first");
            LeaderLatch second = new LeaderLatch(b, "/latch-expiry", "second");
            first.start();
            Checks.that(first.await(WAIT, TimeUnit.MILLISECONDS), "first leads");
            second.start();
            Checks.await("second waits", () -> second.getParticipants().size() == 2);
            relay.shut();
            Checks.that(
                second.await(WAIT, TimeUnit.MILLISECONDS), "second leads once first expired");
            Checks.await("first knows", () -> !first.hasLeadership());
            relay.open();
            Checks.await("first is back in line",
                () -> second.getParticipants().size() == 2 && second.hasLeadership());
            second.close();
            Checks.that(first.await(WAIT, TimeUnit.MILLISECONDS), "first leads again");
            first.close();
        }
    }

    private static void leaderSelector() throws Exception {
        try (CuratorFramework a = client("", null); CuratorFramework b = client("", null)) {
            AtomicInteger leading = new AtomicInteger();
            AtomicInteger most = new AtomicInteger();
            CountDownLatch turns = new CountDownLatch(6);
            List<LeaderSelector> selectors = new ArrayList<>();
            Set<String> leaders = Collections.synchronizedSet(new HashSet<>());
            for (CuratorFramework c : List.of(a, b)) {
                String id = "selector" + selectors.size();
                LeaderSelector selector =
                    new LeaderSelector(c, "/selector", new LeaderSelectorListenerAdapter() {
                        @Override
                        public void takeLeadership(CuratorFramework client) {
                            most.accumulateAndGet(leading.incrementAndGet(), Math::max);
                            leaders.add(id);
                            leading.decrementAndGet();
                            turns.countDown();
                        }
                    });
                selector.setId(id);
                selector.autoRequeue();
                selectors.add(selector);
            }
            selectors.forEach(LeaderSelector::start);
            Checks.that(turns.await(WAIT, TimeUnit.MILLISECONDS), "leadership goes round");
            Checks.await("both had a turn", () -> leaders.size() == 2);
            Checks.equal(1, most.get(), "leaders at once");
            selectors.forEach(LeaderSelector::close);
        }
    }

    private static void mutex(String chroot, String namespace) throws Exception {
        int threads = 4;
        int rounds = 5;
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        try (CuratorFramework a = client(chroot, namespace);
             CuratorFramework b = client(chroot, namespace)) {
            List<Callable<Void>> work = new ArrayList<>();
            for (int i = 0; i < threads; i++) {
                InterProcessMutex mutex = new InterProcessMutex(i % 2 == 0 ? a : b, "/mutex");
                work.add(() -> {
                    for (int round = 0; round < rounds; round++) {
                        Checks.that(mutex.acquire(WAIT, TimeUnit.MILLISECONDS), "acquired");
                        most.accumulateAndGet(inside.incrementAndGet(), Math::max);
                        Thread.yield();
                        inside.decrementAndGet();
                        mutex.release();
                    }
                    return null;
                });
            }
            all(work);
            Checks.equal(1, most.get(), "holders at once");
            InterProcessMutex held = new InterProcessMutex(a, "/mutex");
            held.acquire();
            held.acquire();
            Checks.that(
                !new InterProcessMutex(b, "/mutex").acquire(100, TimeUnit.MILLISECONDS), "taken");
            held.release();
            Checks.equal(1, held.getParticipantNodes().size(), "still held once");
            held.release();
        }
    }

    private static void all(List<Callable<Void>> work) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(work.size());
        try {
            for (Future<Void> done : pool.invokeAll(work)) {
                done.get(WAIT, TimeUnit.MILLISECONDS);
            }
        } finally {
            pool.shutdownNow();
        }
    }

    private static void readWriteLock() throws Exception {
        try (CuratorFramework a = client("", null); CuratorFramework b = client("", null)) {
            InterProcessReadWriteLock one = new InterProcessReadWriteLock(a, "/rw");
            InterProcessReadWriteLock two = new InterProcessReadWriteLock(b, "/rw");
            one.readLock().acquire();
            Checks.that(two.readLock().acquire(WAIT, TimeUnit.MILLISECONDS), "readers share");
            two.readLock().release();
            Checks.that(
                !two.writeLock().acquire(100, TimeUnit.MILLISECONDS), "writer waits for readers");
            one.readLock().release();
            Checks.that(two.writeLock().acquire(WAIT, TimeUnit.MILLISECONDS), "writer");
            Checks.that(
                !one.readLock().acquire(100, TimeUnit.MILLISECONDS), "reader waits for writer");
            Checks.that(two.readLock().acquire(WAIT, TimeUnit.MILLISECONDS), "writer may read");
            two.writeLock().release();
            Checks.that(one.readLock().acquire(WAIT, TimeUnit.MILLISECONDS), "downgraded");
            one.readLock().release();
            two.readLock().release();
        }
    }

    private static void semaphore() throws Exception {
        try (CuratorFramework a = client("", null); CuratorFramework b = client("", null)) {
            InterProcessSemaphoreV2 one = new InterProcessSemaphoreV2(a, "/semaphore", 3);
            InterProcessSemaphoreV2 two = new InterProcessSemaphoreV2(b, "/semaphore", 3);
            Collection<Lease> leases = one.acquire(2);
            Lease third = two.acquire(WAIT, TimeUnit.MILLISECONDS);
            Checks.that(third != null, "the third lease");
            Checks.that(two.acquire(100, TimeUnit.MILLISECONDS) == null, "no fourth");
            Checks.equal(3, two.getParticipantNodes().size(), "leases");
            one.returnAll(leases);
            leases = two.acquire(2, WAIT, TimeUnit.MILLISECONDS);
            Checks.that(leases != null, "returned leases can be had");
            two.returnAll(leases);
            two.returnLease(third);
        }
    }

    private static void barrier() throws Exception {
        try (CuratorFramework a = client("", null); CuratorFramework b = client("", null)) {
            DistributedBarrier setter = new DistributedBarrier(a, "/barrier");
            setter.setBarrier();
            Checks.that(
                !new DistributedBarrier(b, "/barrier").waitOnBarrier(100, TimeUnit.MILLISECONDS),
                "shut");
            all(List.of(
                () -> {
                    Checks.that(new DistributedBarrier(b, "/barrier")
                                    .waitOnBarrier(WAIT, TimeUnit.MILLISECONDS),
                        "opened");
                    return null;
                },
                () -> {
                    setter.removeBarrier();
                    return null;
                }));
        }
    }

    private static void doubleBarrier() throws Exception {
        int members = 3;
        AtomicInteger inside = new AtomicInteger();
        try (CuratorFramework a = client("", null); CuratorFramework b = client("", null)) {
            List<Callable<Void>> work = new ArrayList<>();
            for (int i = 0; i < members; i++) {
                DistributedDoubleBarrier barrier =
                    new DistributedDoubleBarrier(i == 0 ? a : b, "/double", members);
                work.add(() -> {
                    inside.incrementAndGet();
                    Checks.that(barrier.enter(WAIT, TimeUnit.MILLISECONDS), "entered");
                    Checks.equal(members, inside.get(), "all came before any entered");
                    Checks.that(barrier.leave(WAIT, TimeUnit.MILLISECONDS), "left");
                    return null;
                });
            }
            all(work);
        }
    }

    private static void sharedCount() throws Exception {
        try (CuratorFramework a = client("", null); CuratorFramework b = client("", null);
             SharedCount one = new SharedCount(a, "/count", 3);
             SharedCount two = new SharedCount(b, "/count", 3)) {
            one.start();
            two.start();
            Checks.equal(3, two.getCount(), "seed");
            one.setCount(10);
            Checks.await("seen by the other", () -> two.getCount() == 10);
            Checks.that(
                two.trySetCount(two.getVersionedValue(), 11), "set from the newest version");
            Checks.await("seen by the first", () -> one.getCount() == 11);
            VersionedValue<Integer> before = one.getVersionedValue();
            two.setCount(12);
            Checks.that(!one.trySetCount(before, 13), "an old version is refused");
        }
    }

    private static void atomicLong() throws Exception {
        int rounds = 15;
        try (CuratorFramework a = client("", null); CuratorFramework b = client("", null)) {
            List<Callable<Void>> work = new ArrayList<>();
            for (CuratorFramework c : List.of(a, b)) {
                DistributedAtomicLong value =
                    new DistributedAtomicLong(c, "/long", new RetryNTimes(1000, 1));
                work.add(() -> {
                    for (int i = 0; i < rounds; i++) {
                        AtomicValue<Long> added = value.increment();
                        Checks.that(added.succeeded(), "incremented");
                    }
                    return null;
                });
            }
            all(work);
            DistributedAtomicLong value =
                new DistributedAtomicLong(a, "/long", new RetryNTimes(10, 1));
            Checks.equal(2L * rounds, value.get().postValue(), "nothing lost");
            Checks.that(
                !value.compareAndSet(1L, 2L).succeeded(), "compare and set of an old value");
        }
    }

    private static void distributedQueue() throws Exception {
        QueueSerializer<String> text = new QueueSerializer<>() {
            @Override
            public byte[] serialize(String item) {
                return item.getBytes(UTF_8);
            }

            @Override
            public String deserialize(byte[] bytes) {
                return new String(bytes, UTF_8);
            }
        };
        List<String> taken = Collections.synchronizedList(new ArrayList<>());
        QueueConsumer<String> consumer = new QueueConsumer<>() {
            @Override
            public void consumeMessage(String message) {
                taken.add(message);
            }

            @Override
            public void stateChanged(CuratorFramework client, ConnectionState state) {
            }
        };
        try (CuratorFramework a = client("", null); CuratorFramework b = client("", null);
             DistributedQueue<String> in =
                 QueueBuilder.builder(a, null, text, "/queue").buildQueue();
             DistributedQueue<String> out = QueueBuilder.builder(b, consumer, text, "/queue")
                                                .lockPath("/queue-locks")
                                                .buildQueue()) {
            in.start();
            List<String> expected = new ArrayList<>();
            for (int i = 0; i < 20; i++) {
                in.put("item" + i);
                expected.add("item" + i);
            }
            Checks.that(in.flushPuts(WAIT, TimeUnit.MILLISECONDS), "put");
            out.start();
            Checks.await("all taken", () -> taken.size() >= expected.size());
            Checks.equal(expected, taken, "in order, once each");
        }
    }

    private static void simpleQueue() throws Exception {
        try (CuratorFramework a = client("", null); CuratorFramework b = client("", null)) {
            SimpleDistributedQueue in = new SimpleDistributedQueue(a, "/simple-queue");
            SimpleDistributedQueue out = new SimpleDistributedQueue(b, "/simple-queue");
            for (int i = 0; i < 5; i++) {
                Checks.that(in.offer(("item" + i).getBytes(UTF_8)), "offered");
            }
            Checks.equal("item0", new String(out.peek(), UTF_8), "peek");
            for (int i = 0; i < 5; i++) {
                Checks.equal("item" + i, new String(out.take(), UTF_8), "order");
            }
            Checks.that(out.poll() == null, "empty");
            all(List.of(
                () -> {
                    Checks.equal("late", new String(out.take(), UTF_8), "a take that waited");
                    return null;
                },
                () -> {
                    in.offer("late".getBytes(UTF_8));
                    return null;
                }));
        }
    }

    private static void curatorCache(String chroot, String namespace) throws Exception {
        try (CuratorFramework a = client(chroot, namespace);
             CuratorFramework b = client(chroot, namespace)) {
            a.create().creatingParentsIfNeeded().forPath("/cache/old", "0".getBytes(UTF_8));
            CountDownLatch ready = new CountDownLatch(1);
            List<String> seen = Collections.synchronizedList(new ArrayList<>());
            CuratorCache cache = CuratorCache.build(b, "/cache");
            cache.listenable().addListener(
                CuratorCacheListener.builder()
                    .forCreates(node -> seen.add("created " + node.getPath()))
                    .forChanges((before, node)
                                    -> seen.add("changed " + node.getPath() + " "
                                        + new String(node.getData(), UTF_8)))
                    .forDeletes(node -> seen.add("deleted " + node.getPath()))
                    .forInitialized(ready::countDown)
                    .build());
            cache.start();
            Checks.that(ready.await(WAIT, TimeUnit.MILLISECONDS), "initialised");
            Checks.equal(Set.of("created /cache", "created /cache/old"), new HashSet<>(seen),
                "first contents");
            seen.clear();
            a.create().forPath("/cache/new", "1".getBytes(UTF_8));
            Checks.await("create seen", () -> seen.contains("created /cache/new"));
            a.setData().forPath("/cache/new", "2".getBytes(UTF_8));
            Checks.await("change seen", () -> seen.contains("changed /cache/new 2"));
            a.create().forPath("/cache/new/deep", new byte[0]);
            Checks.await("depth seen", () -> cache.get("/cache/new/deep").isPresent());
            a.delete().deletingChildrenIfNeeded().forPath("/cache/new");
            Checks.await("delete seen", () -> seen.contains("deleted /cache/new"));
            Checks.equal(2, cache.size(), "cached znodes");
            cache.close();
        }
    }

    private static void persistentWatcher() throws Exception {
        try (Relay relay = new Relay(server);
                CuratorFramework a = client(relay.address(), "watched", SESSION_MS);
                CuratorFramework b = client("", "watched");
                PersistentWatcher watcher = new PersistentWatcher(a, "/w", true)) {
            List<String> seen = Collections.synchronizedList(new ArrayList<>());
            CountDownLatch set = new CountDownLatch(1);
            CountDownLatch back = new CountDownLatch(1);
            watcher.getListenable().addListener(
                event -> seen.add(event.getType() + " " + event.getPath()));
            watcher.getResetListenable().addListener(set::countDown);
            a.getConnectionStateListenable().addListener(
                (ConnectionStateListener) (client, state) -> {
                    if (state == ConnectionState.RECONNECTED) {
                        back.countDown();
                    }
                });
            watcher.start();
            Checks.that(set.await(WAIT, TimeUnit.MILLISECONDS), "watch set");
            b.create().forPath("/w");
            Checks.await("created", () -> seen.contains("NodeCreated /w"));
            relay.cut();
            Checks.that(back.await(WAIT, TimeUnit.MILLISECONDS), "reconnected");
            // The client set its watches again before it sends this.
            a.checkExists().forPath("/");
            b.create().forPath("/w/after");
            Checks.await("still watched", () -> seen.contains("NodeCreated /w/after"));
        }
    }

    private static void persistentNode() throws Exception {
        try (Relay relay = new Relay(server);
             CuratorFramework a = client(relay.address(), null, SHORT_SESSION_MS);
             CuratorFramework b = client("", null);
             PersistentNode node =
                 new PersistentNode(a, CreateMode.EPHEMERAL, false, "/node", "x".getBytes(UTF_8))) {
            node.start();
            Checks.that(node.waitForInitialCreate(WAIT, TimeUnit.MILLISECONDS), "made");
            long owner = b.checkExists().forPath("/node").getEphemeralOwner();
            b.delete().forPath("/node");
            Checks.await("made again", () -> b.checkExists().forPath("/node") != null);
            relay.shut();
            Checks.await("gone with its session", () -> b.checkExists().forPath("/node") == null);
            relay.open();
            Checks.await(
                "made by the next session", () -> b.checkExists().forPath("/node") != null);
            Checks.that(
                owner != b.checkExists().forPath("/node").getEphemeralOwner(), "another owner");
        }
    }

    private static void persistentTtlNode() throws Exception {
        try (CuratorFramework a = client("", null)) {
            PersistentTtlNode node = new PersistentTtlNode(a, "/ttl", 1_000, "x".getBytes(UTF_8));
            node.start();
            Checks.that(node.waitForInitialCreate(WAIT, TimeUnit.MILLISECONDS), "made");
            Checks.equal("x", data(a, "/ttl"), "data");
            Checks.await("touch child", () -> a.checkExists().forPath("/ttl/touch") != null);
            node.close();
        }
    }

    private static void groupMember() throws Exception {
        try (Relay relay = new Relay(server);
                CuratorFramework a = client(relay.address(), "spaced", SHORT_SESSION_MS);
                CuratorFramework b = client("", "spaced")) {
            GroupMember first = new GroupMember(a, "/group", "first", "1".getBytes(UTF_8));
            GroupMember second = new GroupMember(b, "/group", "second");
            first.start();
            second.start();
            Checks.await("both",
                () -> second.getCurrentMembers().keySet().equals(Set.of("first", "second")));
            byte[] data = "2".getBytes(UTF_8);
            // Its cache may know of its znode before it knows that it made it.
            Checks.await("made", () -> {
                try {
                    second.setThisData(data);
                    return true;
                } catch (IllegalStateException tooEarly) {
                    return false;
                }
            });
            Checks.await(
                "data", () -> Arrays.equals(data, first.getCurrentMembers().get("second")));
            relay.shut();
            Checks.await(
                "one expired", () -> second.getCurrentMembers().keySet().equals(Set.of("second")));
            relay.open();
            Checks.await("and came back", () -> second.getCurrentMembers().size() == 2);
            first.close();
            second.close();
        }
    }

    private static void serviceDiscovery(String chroot, String namespace) throws Exception {
        try (CuratorFramework a = client(chroot, namespace);
             CuratorFramework b = client(chroot, namespace)) {
            ServiceInstance<Void> one =
                ServiceInstance.<Void>builder().name("svc").id("one").port(1001).build();
            ServiceInstance<Void> two =
                ServiceInstance.<Void>builder().name("svc").id("two").port(1002).build();
            ServiceDiscovery<Void> provider = ServiceDiscoveryBuilder.builder(Void.class)
                                                  .client(a)
                                                  .basePath("/discovery")
                                                  .thisInstance(one)
                                                  .build();
            ServiceDiscovery<Void> consumer = ServiceDiscoveryBuilder.builder(Void.class)
                                                  .client(b)
                                                  .basePath("/discovery")
                                                  .build();
            provider.start();
            consumer.start();
            ServiceCache<Void> cache = consumer.serviceCacheBuilder().name("svc").build();
            cache.start();
            provider.registerService(two);
            Checks.await("both found", () -> cache.getInstances().size() == 2);
            Checks.equal(Set.of("svc"), new HashSet<>(consumer.queryForNames()), "names");
            Checks.equal(1002, consumer.queryForInstance("svc", "two").getPort(), "port");
            provider.unregisterService(two);
            Checks.await("one left", () -> cache.getInstances().size() == 1);
            provider.close();
            Checks.await("none left", () -> cache.getInstances().isEmpty());
            cache.close();
            consumer.close();
        }
    }
}
