import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.MetadataReportConfig;
import org.apache.dubbo.config.RegistryConfig;
import org.apache.dubbo.config.bootstrap.DubboBootstrap;

/**
 * What provider and consumer have in common: everything Dubbo can keep in ZooKeeper is kept there.
 */
final class Settings {
    /**
     * Of the registry's connection; a killed provider is gone after about this long. On a busy
     * machine a JVM must come back to a restarted server within it.
     */
    private static final int SESSION_MS = 10_000;

    static DubboBootstrap bootstrap(String name, String server) {
        ApplicationConfig application = new ApplicationConfig(name);
        application.setQosEnable(false);
        application.setMetadataType("remote");
        application.setRegisterMode("all");
        String address = "zookeeper://" + server + "?session=" + SESSION_MS;
        MetadataReportConfig metadata = new MetadataReportConfig();
        metadata.setAddress(address);
        return DubboBootstrap.getInstance()
            .application(application)
            .registry(new RegistryConfig(address))
            .metadataReport(metadata);
    }

    private Settings() {
    }
}
