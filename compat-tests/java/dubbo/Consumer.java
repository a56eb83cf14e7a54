import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.EnumMap;
import java.util.Map;
import java.util.TreeSet;
import org.apache.dubbo.config.ReferenceConfig;
import org.apache.dubbo.config.bootstrap.DubboBootstrap;
import org.apache.dubbo.rpc.Invoker;
import org.apache.dubbo.rpc.cluster.ClusterInvoker;

/**
 * Argument: server. Knows the Greeter twice, found by interface and by application, and prints each
 * list of provider ports whenever it changes, as "interface [1, 2]". A line on its input makes it
 * call every provider of both lists and print those that answered: "interface answered by [1, 2]".
 */
public final class Consumer {
    private static final int MANY_CALLS = 1000;
    /** A provider's first answer loads its classes; Dubbo's own second is short on a busy machine. */
    private static final int CALL_MS = 30_000;

    private enum Discovery {
        INTERFACE, APPLICATION;

        String word() {
            return name().toLowerCase();
        }
    }

    private static final Map<Discovery, ReferenceConfig<Greeter>> REFERENCES =
        new EnumMap<>(Discovery.class);

    public static void main(String[] args) throws Exception {
        DubboBootstrap bootstrap = Settings.bootstrap("greeter-consumer", args[0]);
        for (Discovery discovery : Discovery.values()) {
            ReferenceConfig<Greeter> reference = new ReferenceConfig<>();
            reference.setInterface(Greeter.class);
            reference.setId(discovery.word());
            reference.setCheck(false);
            reference.setScope("remote");
            reference.setTimeout(CALL_MS);
            reference.setProvidedBy("greeter-provider");
            reference.setParameters(Map.of("migration.step", "FORCE_" + discovery));
            REFERENCES.put(discovery, reference);
            bootstrap.reference(reference);
        }
        bootstrap.start();
        System.out.println("started");
        Thread lists = new Thread(Consumer::printLists, "lists");
        lists.setDaemon(true);
        lists.start();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            REFERENCES.forEach((discovery, reference) -> {
                System.out.println(discovery.word() + " answered by " + answering(reference));
            });
        }
        Runtime.getRuntime().halt(0);
    }

    private static void printLists() {
        Map<Discovery, String> printed = new EnumMap<>(Discovery.class);
        while (true) {
            REFERENCES.forEach((discovery, reference) -> {
                String ports = ports(reference).toString();
                if (!ports.equals(printed.put(discovery, ports))) {
                    System.out.println(discovery.word() + " " + ports);
                }
            });
            try {
                Thread.sleep(20);
            } catch (InterruptedException e) {
                return;
            }
        }
    }

    /** Calls until every listed provider has answered, or very often; the ports of those that did. */
    private static TreeSet<Integer> answering(ReferenceConfig<Greeter> reference) {
        TreeSet<Integer> ports = new TreeSet<>();
        for (int i = 0; i < MANY_CALLS && !ports.equals(ports(reference)); i++) {
            ports.add(Integer.valueOf(reference.get().greet("you")));
        }
        return ports;
    }

    private static TreeSet<Integer> ports(ReferenceConfig<Greeter> reference) {
        reference.get();
        TreeSet<Integer> ports = new TreeSet<>();
        Invoker<?> invoker = reference.getInvoker();
        for (Invoker<?> provider : ((ClusterInvoker<?>) invoker).getDirectory().getAllInvokers()) {
            ports.add(provider.getUrl().getPort());
        }
        return ports;
    }
}
