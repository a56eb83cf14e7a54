import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Runs the named checks of one suite: prints "ok NAME" or "FAIL NAME reason", and ends the JVM with
 * 1 if any failed.
 *
 * The first argument of a suite is the server as host:port; any others are the names of the only
 * checks to run.
 */
final class Checks {
    /**
     * How long anything that a server should cause may take: far beyond need, so that only a fault
     * reaches it.
     */
    static final long DEADLINE_MS = 60_000;
    private static final long CHECK_MS = 240_000;
    private static final int AT_ONCE = 4;

    interface Body {
        void run() throws Exception;
    }

    private record Check(String name, Body body) {
    }

    final String server;
    private final Set<String> only;
    private final List<Check> checks = new ArrayList<>();
    private final List<String> failed = Collections.synchronizedList(new ArrayList<>());
    private int done;

    Checks(String[] args) {
        server = args[0];
        only = new HashSet<>(List.of(args).subList(1, args.length));
    }

    /** Runs it now, with no other check beside it. */
    void alone(String name, Body body) throws InterruptedException {
        if (only.isEmpty() || only.contains(name)) {
            done++;
            run(new Check(name, body));
        }
    }

    /** Runs it in finish(), beside others: most of a check is waiting. */
    void add(String name, Body body) {
        if (only.isEmpty() || only.contains(name)) {
            checks.add(new Check(name, body));
        }
    }

    private void run(Check check) throws InterruptedException {
        AtomicReference<Throwable> cause = new AtomicReference<>();
        Thread thread = new Thread(() -> {
            try {
                check.body.run();
            } catch (Throwable e) {
                cause.set(e);
            }
        }, check.name);
        thread.setDaemon(true);
        long start = System.nanoTime();
        thread.start();
        thread.join(CHECK_MS);
        if (thread.isAlive()) {
            Throwable stuck = new IllegalStateException("not done after " + CHECK_MS + " ms");
            stuck.setStackTrace(thread.getStackTrace());
            cause.set(stuck);
        }
        long ms = (System.nanoTime() - start) / 1_000_000;
        synchronized (failed) {
            if (cause.get() == null) {
                System.out.printf("ok %s %d ms%n", check.name, ms);
            } else {
                failed.add(check.name);
                System.out.println("FAIL " + check.name + " " + cause.get());
                cause.get().printStackTrace(System.out);
            }
        }
    }

    /** Ends the JVM: other threads of the clients under test must not keep it alive. */
    void finish() throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(AT_ONCE);
        List<Future<?>> running = new ArrayList<>();
        for (Check check : checks) {
            running.add(pool.submit(() -> {
                run(check);
                return null;
            }));
        }
        for (Future<?> check : running) {
            check.get();
        }
        done += checks.size();
        System.out.println(done + " checks, " + failed.size() + " failed " + failed);
        System.out.flush();
        Runtime.getRuntime().halt(failed.isEmpty() && done > 0 ? 0 : 1);
    }

    static void equal(Object expected, Object got, String what) {
        if (!Objects.deepEquals(expected, got)) {
            throw new AssertionError(what + ": expected " + expected + ", got " + got);
        }
    }

    static void that(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    /** The exception of this type that the body throws; it is an error if there is none. */
    static <E extends Exception> E fails(Class<E> type, Body body) throws Exception {
        try {
            body.run();
        } catch (Exception e) {
            if (type.isInstance(e)) {
                return type.cast(e);
            }
            throw e;
        }
        throw new AssertionError("no " + type.getSimpleName());
    }

    /** Asks until the answer is true; fails at the deadline. */
    static void await(String what, Callable<Boolean> condition) throws Exception {
        long deadline = System.nanoTime() + DEADLINE_MS * 1_000_000;
        while (!condition.call()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("did not come about in " + DEADLINE_MS + " ms: " + what);
            }
            Thread.sleep(5);
        }
    }
}
